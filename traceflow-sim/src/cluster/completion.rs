//! Fills in what bare manifests leave open, the same way every time.
//!
//! - Without any Node object, the nodes are those that Pods name; if no Pod names one, `node-1` and `node-2`.
//! - The cluster has the families of the addresses and ranges that are given; IPv4 if none is.
//! - A node without a `podCIDR` gets the /24 or /64 that a Pod on it has its address in, else the first free one from
//!   10.244.0.0/24 or `fd00:10:244::/64` on; one without an address the one that a Pod
//!   says (`status.hostIPs`) or shares with it, else the first free one from 172.18.0.2 or `fd00:172:18::2` on.
//! - Running Pods without a node go to the nodes in turn, in the order of their names.
//! - Running Pods without an address get the first free one of their node's ranges; on the host's network, the node's.
//! - Services without an address get the first free one from 10.96.0.10 or `fd00:10:96::a` on, unless headless.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use traceflow_core::input::{BadInput, Problem};
use traceflow_core::names::NodeName;
use traceflow_core::packet::IpFamily;

use crate::model::{Node, Pod};
use crate::objects::{Objects, Origin, Placed};

pub(super) fn complete(objects: &mut Objects) -> Result<(), BadInput> {
    add_nodes(objects);
    objects.nodes.sort_by(|a, b| a.object.name.cmp(&b.object.name));
    objects.pods.sort_by(|a, b| a.object.name.cmp(&b.object.name));
    objects.services.sort_by(|a, b| a.object.name.cmp(&b.object.name));
    place_pods(objects);
    let mut completion = Completion::new(objects);
    completion.complete_nodes(objects)?;
    completion.complete_pods(objects)?;
    completion.complete_services(objects);
    Ok(())
}

/// The first address of a range that its node's gateway can have: mostly the first host address.
pub(super) fn gateway_of(range: &IpNet, is_free: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    (1..u128::from(u16::MAX))
        .map_while(|number| nth(range, number))
        .find(|&address| is_free(address))
}

fn add_nodes(objects: &mut Objects) {
    if !objects.nodes.is_empty() {
        return;
    }
    let mut names: BTreeSet<NodeName> = objects.pods.iter().filter_map(|pod| pod.object.node.clone()).collect();
    if names.is_empty() {
        names.extend([NodeName::from("node-1"), NodeName::from("node-2")]);
    }
    objects.nodes.extend(names.into_iter().map(|name| Placed {
        origin: Origin::Code(format!("Node {name}")),
        object: Node {
            name,
            labels: Default::default(),
            addresses: Vec::new(),
            pod_cidrs: Vec::new(),
        },
    }));
}

fn place_pods(objects: &mut Objects) {
    let mut turns = objects.nodes.iter().map(|node| &node.object.name).cycle();
    let unplaced = objects
        .pods
        .iter_mut()
        .map(|pod| &mut pod.object)
        .filter(|pod| is_running(pod) && pod.node.is_none());
    for pod in unplaced {
        pod.node = turns.next().cloned();
    }
}

pub(super) fn is_running(pod: &Pod) -> bool {
    &*pod.phase == "Running"
}

/// What is given, so that what is assigned is different.
struct Completion {
    families: Vec<IpFamily>,
    ranges: Vec<IpNet>,
    taken: HashSet<IpAddr>,
    /// For each range, how many of its addresses have been looked at.
    cursors: HashMap<IpNet, u128>,
    /// The ranges of the usual size in which an address is taken.
    inhabited: HashSet<IpNet>,
    /// How many of the ranges that are given out have been looked at, for each family.
    numbers: HashMap<IpFamily, u16>,
}

impl Completion {
    fn new(objects: &Objects) -> Self {
        let nodes = objects.nodes.iter().map(|node| &node.object);
        let pods = objects.pods.iter().map(|pod| &pod.object);
        let services = objects.services.iter().map(|service| &service.object);
        let mut taken: HashSet<IpAddr> = nodes.clone().flat_map(|node| node.addresses.iter().copied()).collect();
        taken.extend(pods.flat_map(|pod| pod.addresses.iter().chain(&pod.host_addresses).copied()));
        taken.extend(services.flat_map(|service| service.cluster_ips.iter().chain(&service.external_ips).copied()));
        let ranges: Vec<IpNet> = nodes.flat_map(|node| node.pod_cidrs.iter().copied()).collect();
        let given = taken.iter().copied().chain(ranges.iter().map(IpNet::addr));
        let families: BTreeSet<IpFamily> = given.map(IpFamily::of).collect();
        let families = if families.is_empty() {
            vec![IpFamily::V4]
        } else {
            families.into_iter().collect()
        };
        Self {
            families,
            ranges,
            inhabited: taken.iter().map(|&address| surrounding(address)).collect(),
            taken,
            cursors: HashMap::new(),
            numbers: HashMap::new(),
        }
    }

    fn complete_nodes(&mut self, objects: &mut Objects) -> Result<(), BadInput> {
        let mut on_node = addresses_by_node(&objects.pods, own_addresses);
        let mut on_host = addresses_by_node(&objects.pods, host_addresses);
        for Placed { object: node, origin } in &mut objects.nodes {
            let pods = on_node.remove(&node.name).unwrap_or_default();
            let host = on_host.remove(&node.name).unwrap_or_default();
            for family in self.families.clone() {
                if !node.pod_cidrs.iter().any(|range| IpFamily::of(range.addr()) == family) {
                    let range = self.range(family, &pods);
                    node.pod_cidrs.push(range.ok_or_else(|| no_range_left(origin))?);
                }
                let of_family = |address: &&IpAddr| IpFamily::of(**address) == family;
                if !node.addresses.iter().any(|address| of_family(&address)) {
                    let known = host.iter().find(of_family).copied();
                    node.addresses
                        .extend(known.or_else(|| self.next(&node_pool(family), 2)));
                }
            }
        }
        self.reserve_gateways();
        Ok(())
    }

    /// A range that a Pod's address lies in, or a free one.
    fn range(&mut self, family: IpFamily, pods: &[IpAddr]) -> Option<IpNet> {
        let around = pods
            .iter()
            .filter(|&&address| IpFamily::of(address) == family)
            .map(|&address| surrounding(address))
            .find(|range| self.is_apart(range));
        let range = around.or_else(|| self.uninhabited_range(family))?;
        self.ranges.push(range);
        Some(range)
    }

    fn uninhabited_range(&mut self, family: IpFamily) -> Option<IpNet> {
        loop {
            let number = self.numbers.entry(family).or_default();
            let range = numbered_range(family, *number)?;
            *number = number.checked_add(1)?;
            if !self.inhabited.contains(&range) && self.is_apart(&range) {
                return Some(range);
            }
        }
    }

    fn is_apart(&self, range: &IpNet) -> bool {
        !self.ranges.iter().any(|known| overlap(known, range))
    }

    fn reserve_gateways(&mut self) {
        let is_free = |address| !self.taken.contains(&address);
        let gateways: Vec<IpAddr> = self
            .ranges
            .iter()
            .filter_map(|range| gateway_of(range, is_free))
            .collect();
        self.taken.extend(gateways);
    }

    fn complete_pods(&mut self, objects: &mut Objects) -> Result<(), BadInput> {
        let nodes: HashMap<&NodeName, &Node> = objects
            .nodes
            .iter()
            .map(|node| (&node.object.name, &node.object))
            .collect();
        for Placed { object: pod, origin } in &mut objects.pods {
            if !pod.addresses.is_empty() || !is_running(pod) {
                continue;
            }
            let Some(node) = pod.node.as_ref().and_then(|name| nodes.get(name)) else {
                continue;
            };
            if pod.host_network {
                pod.addresses.clone_from(&node.addresses);
                continue;
            }
            for range in &node.pod_cidrs {
                let address = self.next(range, 2).ok_or_else(|| full(node, range, origin))?;
                pod.addresses.push(address);
            }
        }
        Ok(())
    }

    fn complete_services(&mut self, objects: &mut Objects) {
        let open = |service: &crate::model::Service| service.cluster_ips.is_empty() && !service.headless;
        for service in objects
            .services
            .iter_mut()
            .map(|service| &mut service.object)
            .filter(|service| open(service))
        {
            for family in self.families.clone() {
                service.cluster_ips.extend(self.next(&service_pool(family), 10));
            }
        }
    }

    /// The first free address of a range, from its `start`th on.
    fn next(&mut self, range: &IpNet, start: u128) -> Option<IpAddr> {
        let cursor = self.cursors.entry(*range).or_insert(start);
        loop {
            let address = nth(range, *cursor)?;
            *cursor += 1;
            if self.taken.insert(address) {
                return Some(address);
            }
        }
    }
}

/// The addresses of the Pods on each node: of those on the host's network, or of the others.
fn addresses_by_node(pods: &[Placed<Pod>], addresses_of: impl Fn(&Pod) -> &[IpAddr]) -> HashMap<NodeName, Vec<IpAddr>> {
    let mut addresses: HashMap<NodeName, Vec<IpAddr>> = HashMap::new();
    for pod in pods.iter().map(|pod| &pod.object) {
        if let Some(node) = &pod.node {
            addresses.entry(node.clone()).or_default().extend(addresses_of(pod));
        }
    }
    addresses
}

/// The Pod's addresses in its node's ranges.
fn own_addresses(pod: &Pod) -> &[IpAddr] {
    if pod.host_network { &[] } else { &pod.addresses }
}

/// What the Pod knows of its node's addresses.
fn host_addresses(pod: &Pod) -> &[IpAddr] {
    if pod.host_network && pod.host_addresses.is_empty() {
        &pod.addresses
    } else {
        &pod.host_addresses
    }
}

fn no_range_left(origin: &Origin) -> BadInput {
    let what = "no range of addresses is left for the Pods of this node".into();
    let remedy = "give the nodes podCIDRs".into();
    origin.error("metadata.name", Problem::Unusable { what, remedy })
}

pub(super) fn full(node: &Node, range: &IpNet, origin: &Origin) -> BadInput {
    let what = format!("podCIDR {range} of node {} has no address left for it", node.name);
    origin.error(
        "metadata.name",
        Problem::Unusable {
            what: what.into(),
            remedy: "give the node a larger podCIDR, or the Pod another node".into(),
        },
    )
}

/// The address at this place of the range, if it is one that a host can have.
pub(super) fn nth(range: &IpNet, number: u128) -> Option<IpAddr> {
    match range {
        IpNet::V4(range) => {
            let address = u32::from(range.network()).checked_add(u32::try_from(number).ok()?)?;
            (address < u32::from(range.broadcast())).then(|| Ipv4Addr::from_bits(address).into())
        }
        IpNet::V6(range) => {
            let address = range.network().to_bits().checked_add(number)?;
            (address <= range.broadcast().to_bits()).then(|| Ipv6Addr::from_bits(address).into())
        }
    }
}

fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}

fn surrounding(address: IpAddr) -> IpNet {
    match address {
        IpAddr::V4(address) => IpNet::V4(Ipv4Net::new_assert(address, 24).trunc()),
        IpAddr::V6(address) => IpNet::V6(Ipv6Net::new_assert(address, 64).trunc()),
    }
}

/// 10.244.0.0/24 or `fd00:10:244::/64` and what follows, up to the end of 10.0.0.0/8.
fn numbered_range(family: IpFamily, number: u16) -> Option<IpNet> {
    Some(match family {
        IpFamily::V4 => {
            let [high, low] = number.checked_add(244 << 8)?.to_be_bytes();
            IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(10, high, low, 0), 24))
        }
        IpFamily::V6 => {
            let address = Ipv6Addr::new(0xfd00, 0x10, 0x244, number, 0, 0, 0, 0);
            IpNet::V6(Ipv6Net::new_assert(address, 64))
        }
    })
}

fn node_pool(family: IpFamily) -> IpNet {
    match family {
        IpFamily::V4 => IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(172, 18, 0, 0), 16)),
        IpFamily::V6 => IpNet::V6(Ipv6Net::new_assert(
            Ipv6Addr::new(0xfd00, 0x172, 0x18, 0, 0, 0, 0, 0),
            64,
        )),
    }
}

pub(super) fn service_pool(family: IpFamily) -> IpNet {
    match family {
        IpFamily::V4 => IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(10, 96, 0, 0), 12)),
        IpFamily::V6 => IpNet::V6(Ipv6Net::new_assert(
            Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 0, 0),
            112,
        )),
    }
}
