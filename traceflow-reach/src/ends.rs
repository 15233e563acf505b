//! The ends of a matrix, looked up once each, so that a packet from one to the other costs no look-up.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use traceflow_core::inventory::{Inventory, Owner, PodEntry};
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::packet::{IpFamily, MacAddress};
use traceflow_core::plan::End;
use traceflow_sim::Cluster;
use traceflow_sim::model::{Labels, Pod};

use crate::selector::Selected;

/// A Pod that sends.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    pub(crate) name: ObjectName,
    pub(crate) labels: Arc<Labels>,
    pub(crate) port: Result<PodPort, Unfit>,
}

/// Where packets of a Pod enter the network.
#[derive(Debug, Clone)]
pub(crate) struct PodPort {
    pub(crate) node: NodeName,
    pub(crate) mac: MacAddress,
    pub(crate) gateway_mac: MacAddress,
    pub(crate) addresses: PerFamily<IpAddr>,
}

/// Where packets go.
#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    pub(crate) target: Target,
    pub(crate) labels: Arc<Labels>,
    pub(crate) ends: Result<PerFamily<End>, Unfit>,
    /// Among how many endpoints it chooses, at most, if it is a Service.
    pub(crate) endpoints: usize,
}

/// Whom a packet of a matrix is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// A Pod.
    Pod(ObjectName),
    /// A Service's own address.
    Service(ObjectName),
    /// An address, whoever has it.
    Address(IpAddr),
}

impl fmt::Display for Target {
    /// As a [`Selector`](crate::Selector) has it: `shop/cart`, `svc/data/orders`, `8.8.8.8`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod(name) => name.fmt(f),
            Self::Service(name) => write!(f, "svc/{name}"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// What makes an end unfit to be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unfit {
    /// It shares its node's network, so there is no port of its own to send from.
    HostNetwork,
    /// It isn't on a node yet, or doesn't run yet.
    Pending,
    /// It has ended.
    Ended,
    /// It has no address.
    NoAddress,
    /// It has no address of this family.
    NoAddressOf(IpFamily),
    /// The Service has no address of its own.
    Headless,
    /// Its node is not in the cluster.
    UnknownNode,
    /// Nobody knows the MAC address of its port.
    UnknownMac,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostNetwork => f.write_str("uses its node's network, so it has no port to send from"),
            Self::Pending => f.write_str("doesn't run yet"),
            Self::Ended => f.write_str("has ended"),
            Self::NoAddress => f.write_str("has no address"),
            Self::NoAddressOf(family) => write!(f, "has no {family} address"),
            Self::Headless => f.write_str("has no cluster address of its own; ask about its Pods instead"),
            Self::UnknownNode => f.write_str("is on a node that is not in the cluster"),
            Self::UnknownMac => f.write_str("has a port whose MAC address nobody knows"),
        }
    }
}

/// A value for each family that there is one of.
#[derive(Debug, Clone)]
pub(crate) struct PerFamily<T> {
    pub(crate) v4: Option<T>,
    pub(crate) v6: Option<T>,
}

impl<T> PerFamily<T> {
    fn of(addresses: &[IpAddr], value: impl Fn(IpAddr) -> T) -> Self {
        let first = |family| {
            let mut addresses = addresses.iter().copied();
            addresses.find(|&address| IpFamily::of(address) == family).map(&value)
        };
        Self {
            v4: first(IpFamily::V4),
            v6: first(IpFamily::V6),
        }
    }

    pub(crate) fn get(&self, family: IpFamily) -> Option<&T> {
        match family {
            IpFamily::V4 => self.v4.as_ref(),
            IpFamily::V6 => self.v6.as_ref(),
        }
    }
}

impl Sender {
    pub(crate) fn new(cluster: &Cluster, pod: &Pod, labels: Arc<Labels>) -> Self {
        Self {
            name: pod.name.clone(),
            labels,
            port: PodPort::find(cluster, pod),
        }
    }
}

impl PodPort {
    fn find(cluster: &Cluster, pod: &Pod) -> Result<Self, Unfit> {
        if pod.host_network {
            return Err(Unfit::HostNetwork);
        }
        let entry = running(cluster, &pod.name)?;
        let node = entry.node.as_ref().ok_or(Unfit::Pending)?;
        let node = cluster.node(node).ok_or(Unfit::UnknownNode)?;
        if entry.addresses.is_empty() {
            return Err(Unfit::NoAddress);
        }
        Ok(Self {
            node: node.name,
            gateway_mac: node.gateway_mac,
            mac: entry.mac.ok_or(Unfit::UnknownMac)?,
            addresses: PerFamily::of(&entry.addresses, |address| address),
        })
    }
}

fn running(cluster: &Cluster, name: &ObjectName) -> Result<PodEntry, Unfit> {
    let entry = cluster.pod(name).ok_or(Unfit::Ended)?;
    match &*entry.phase {
        "Running" => Ok(entry),
        "Succeeded" | "Failed" => Err(Unfit::Ended),
        _ => Err(Unfit::Pending),
    }
}

impl Receiver {
    pub(crate) fn new(cluster: &Cluster, selected: &Selected<'_>, labels: Arc<Labels>) -> Self {
        let (target, ends) = match selected {
            Selected::Pod(pod) => (Target::Pod(pod.name.clone()), pod_ends(cluster, pod)),
            Selected::Service(name) => (Target::Service(name.clone()), service_ends(cluster, name)),
            Selected::Address(address) => (Target::Address(*address), Ok(address_ends(cluster, *address))),
        };
        Self {
            endpoints: match selected {
                Selected::Service(name) => endpoints(cluster, name),
                _ => 0,
            },
            target,
            labels,
            ends,
        }
    }
}

fn endpoints(cluster: &Cluster, name: &ObjectName) -> usize {
    let ports = cluster.service(name).map_or(0, |service| service.ports.len());
    let choices = (0..ports).flat_map(|port| {
        [IpFamily::V4, IpFamily::V6].map(|family| cluster.service_endpoints(name, port, family).len())
    });
    choices.max().unwrap_or(0)
}

fn pod_ends(cluster: &Cluster, pod: &Pod) -> Result<PerFamily<End>, Unfit> {
    let entry = running(cluster, &pod.name)?;
    if entry.addresses.is_empty() {
        return Err(Unfit::NoAddress);
    }
    Ok(PerFamily::of(&entry.addresses, |address| pod_end(&entry, address)))
}

fn pod_end(entry: &PodEntry, address: IpAddr) -> End {
    End {
        owner: Some(Owner::Pod(entry.name.clone())),
        address,
        mac: entry.mac,
        node: entry.node.clone(),
    }
}

fn service_ends(cluster: &Cluster, name: &ObjectName) -> Result<PerFamily<End>, Unfit> {
    let addresses = cluster
        .service(name)
        .map(|service| service.cluster_ips)
        .unwrap_or_default();
    if addresses.is_empty() {
        return Err(Unfit::Headless);
    }
    Ok(PerFamily::of(&addresses, |address| End {
        owner: Some(Owner::Service(name.clone())),
        address,
        mac: None,
        node: None,
    }))
}

/// At an address that was given as such; whoever has it.
fn address_ends(cluster: &Cluster, address: IpAddr) -> PerFamily<End> {
    let owner = cluster.owner(address);
    let end = match &owner {
        Some(Owner::Pod(name)) => cluster.pod(name).map(|entry| pod_end(&entry, address)),
        Some(Owner::Node(node) | Owner::Gateway(node)) => Some(End {
            owner: owner.clone(),
            address,
            mac: None,
            node: Some(node.clone()),
        }),
        _ => None,
    };
    let end = end.unwrap_or(End {
        owner,
        address,
        mac: None,
        node: None,
    });
    PerFamily::of(&[address], |_| end.clone())
}
