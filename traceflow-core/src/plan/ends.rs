//! The two ends of a trace, looked up in the cluster.

use std::net::IpAddr;
use std::slice;

use super::End;
use super::resolve::unusable;
use crate::input::{BadInput, Problem};
use crate::inventory::{Inventory, Owner, PodEntry, ServiceEntry};
use crate::names::ObjectName;
use crate::packet::IpFamily;
use crate::spec::{Destination, Source};

/// Who sends.
pub(super) enum Sender {
    Pod(PodEntry),
    Address(IpAddr),
}

/// Where the packet goes.
pub(super) enum Receiver {
    Pod(PodEntry),
    Service(ServiceEntry),
    Address(IpAddr),
}

/// One end as the address family is chosen: what it is called, and the addresses that it has.
pub(super) struct Reach<'a> {
    field: &'static str,
    name: String,
    addresses: &'a [IpAddr],
}

impl Sender {
    pub(super) fn find(inventory: &dyn Inventory, source: &Source) -> Result<Self, BadInput> {
        match source {
            Source::Pod(name) => running_pod(inventory, name, "spec.source.pod").map(Self::Pod),
            Source::Address(address) => Ok(Self::Address(*address)),
        }
    }

    pub(super) fn reach(&self) -> Reach<'_> {
        match self {
            Self::Pod(pod) => Reach::pod("spec.source.pod", pod),
            Self::Address(address) => Reach::address("spec.source.ip", address),
        }
    }

    pub(super) fn end(&self, inventory: &dyn Inventory, family: IpFamily) -> Result<End, BadInput> {
        match self {
            Self::Pod(pod) => Ok(pod_end(pod, self.reach().address_of(family)?)),
            Self::Address(address) => Ok(address_end(inventory, *address)),
        }
    }
}

impl Receiver {
    pub(super) fn find(inventory: &dyn Inventory, destination: &Destination) -> Result<Self, BadInput> {
        match destination {
            Destination::Pod(name) => running_pod(inventory, name, "spec.destination.pod").map(Self::Pod),
            Destination::Service(name) => service(inventory, name).map(Self::Service),
            Destination::Address(address) => Ok(Self::Address(*address)),
        }
    }

    /// The field of the manifest that names it.
    pub(super) fn field(&self) -> &'static str {
        match self {
            Self::Pod(_) => "spec.destination.pod",
            Self::Service(_) => "spec.destination.service",
            Self::Address(_) => "spec.destination.ip",
        }
    }

    pub(super) fn reach(&self) -> Reach<'_> {
        match self {
            Self::Pod(pod) => Reach::pod(self.field(), pod),
            Self::Service(service) => Reach {
                field: self.field(),
                name: format!("Service {}", service.name),
                addresses: &service.cluster_ips,
            },
            Self::Address(address) => Reach::address(self.field(), address),
        }
    }

    pub(super) fn end(&self, inventory: &dyn Inventory, family: IpFamily) -> Result<End, BadInput> {
        match self {
            Self::Pod(pod) => Ok(pod_end(pod, self.reach().address_of(family)?)),
            Self::Service(service) => Ok(End {
                owner: Some(Owner::Service(service.name.clone())),
                address: self.reach().address_of(family)?,
                mac: None,
                node: None,
            }),
            Self::Address(address) => Ok(address_end(inventory, *address)),
        }
    }
}

impl<'a> Reach<'a> {
    fn pod(field: &'static str, pod: &'a PodEntry) -> Self {
        Self {
            field,
            name: format!("Pod {}", pod.name),
            addresses: &pod.addresses,
        }
    }

    fn address(field: &'static str, address: &'a IpAddr) -> Self {
        Self {
            field,
            name: address.to_string(),
            addresses: slice::from_ref(address),
        }
    }

    fn has(&self, family: IpFamily) -> bool {
        self.addresses.iter().any(|&address| IpFamily::of(address) == family)
    }

    fn address_of(&self, family: IpFamily) -> Result<IpAddr, BadInput> {
        let mut addresses = self.addresses.iter().copied();
        addresses
            .find(|&address| IpFamily::of(address) == family)
            .ok_or_else(|| self.lacks(family))
    }

    fn lacks(&self, family: IpFamily) -> BadInput {
        if self.addresses.is_empty() {
            let what = format!("{} has no address", self.name);
            return unusable(self.field, what, "wait until it has one, or look at its node");
        }
        let what = format!("{} has no {family} address", self.name);
        unusable(self.field, what, "choose another, or ask for the other address family")
    }
}

/// The family of the packet, and whether the other one would have done as well. What was asked for counts; otherwise
/// it is one that all ends have, IPv4 rather than IPv6.
pub(super) fn family(asked: Option<IpFamily>, ends: &[Reach<'_>]) -> Result<(IpFamily, bool), BadInput> {
    if let Some(addressless) = ends.iter().find(|end| end.addresses.is_empty()) {
        return Err(addressless.lacks(IpFamily::V4));
    }
    if let Some(asked) = asked {
        return match ends.iter().find(|end| !end.has(asked)) {
            Some(end) => Err(end.lacks(asked)),
            None => Ok((asked, false)),
        };
    }
    let common = |family| ends.iter().all(|end| end.has(family));
    match (common(IpFamily::V4), common(IpFamily::V6)) {
        (true, both) => Ok((IpFamily::V4, both)),
        (false, true) => Ok((IpFamily::V6, false)),
        (false, false) => Err(no_common_family(ends)),
    }
}

fn no_common_family(ends: &[Reach<'_>]) -> BadInput {
    let named: Vec<String> = ends
        .iter()
        .map(|end| {
            let only = if end.has(IpFamily::V4) {
                IpFamily::V4
            } else {
                IpFamily::V6
            };
            format!("{} has only {only}", end.name)
        })
        .collect();
    let field = ends.last().map_or("spec.destination", |end| end.field);
    unusable(field, named.join(", "), "choose ends of one address family")
}

/// A Pod that can send or receive.
pub(super) fn running_pod(
    inventory: &dyn Inventory,
    name: &ObjectName,
    field: &'static str,
) -> Result<PodEntry, BadInput> {
    let pod = inventory.pod(name).ok_or_else(|| not_found(field, "Pod", name))?;
    match &*pod.phase {
        "Running" => Ok(pod),
        "Succeeded" | "Failed" => {
            let what = format!("Pod {name} has ended ({})", pod.phase);
            Err(unusable(field, what, "choose a Pod that is Running"))
        }
        phase => {
            let what = format!("Pod {name} is {phase}, not Running");
            Err(unusable(field, what, "wait for it, or choose another"))
        }
    }
}

fn service(inventory: &dyn Inventory, name: &ObjectName) -> Result<ServiceEntry, BadInput> {
    const FIELD: &str = "spec.destination.service";
    let service = inventory
        .service(name)
        .ok_or_else(|| not_found(FIELD, "Service", name))?;
    if service.cluster_ips.is_empty() {
        let what = format!("Service {name} has no cluster address of its own");
        return Err(unusable(FIELD, what, "name one of its Pods instead"));
    }
    Ok(service)
}

fn pod_end(pod: &PodEntry, address: IpAddr) -> End {
    End {
        owner: Some(Owner::Pod(pod.name.clone())),
        address,
        mac: pod.mac,
        node: pod.node.clone(),
    }
}

/// The end at an address that was given as such; whoever has it, if it is in the cluster.
fn address_end(inventory: &dyn Inventory, address: IpAddr) -> End {
    let owner = inventory.owner(address);
    let pod = match &owner {
        Some(Owner::Pod(name)) => inventory.pod(name),
        _ => None,
    };
    let node = match &owner {
        Some(Owner::Node(node) | Owner::Gateway(node)) => Some(node.clone()),
        _ => pod.as_ref().and_then(|pod| pod.node.clone()),
    };
    End {
        owner,
        address,
        mac: pod.and_then(|pod| pod.mac),
        node,
    }
}

fn not_found(field: &str, kind: &'static str, name: &ObjectName) -> BadInput {
    let remedy = "check its name and namespace".into();
    let name = name.to_string();
    BadInput::new(field, Problem::NotFound { kind, name, remedy })
}
