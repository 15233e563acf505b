//! The simulated cluster: Kubernetes objects, checked, completed and indexed so that walking a packet through them
//! costs the same however many there are.

mod builder;
mod check;
mod compile;
mod completion;
mod contents;
mod edit;
mod endpoints;
mod inventory;
mod left_out;
mod links;
mod live;
mod set_aside;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use traceflow_core::input::{BadInput, Text};
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::packet::{IpFamily, MacAddress, Protocol};

use crate::model::{Egress, Node, Pod, Service, TrafficMode};
use crate::objects::{LoadError, Objects, Unmodelled};
use crate::policy::{self, PolicyIndex};

pub use builder::{ClusterBuilder, Object};
pub use contents::ServiceEndpoint;
pub use edit::Reference;
pub(crate) use endpoints::{Backend, Backends};
use links::Links;
pub use live::LiveCluster;
use set_aside::SetAside;

/// A cluster that packets can be walked through.
///
/// ```
/// use traceflow_core::inventory::Inventory;
/// use traceflow_core::names::ObjectName;
/// use traceflow_sim::Cluster;
///
/// let cluster = Cluster::builder().node("a").node("b").pod("default/web", "a").pod("default/client", "b").build()?;
/// let web = cluster.pod(&ObjectName::new("default", "web")).expect("it was just put there");
/// assert_eq!(web.addresses, ["10.244.0.2".parse::<std::net::IpAddr>()?]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Cluster {
    pub(crate) seed: u64,
    mode: TrafficMode,
    pub(crate) nodes: Vec<NodeRecord>,
    pub(crate) pods: Vec<PodRecord>,
    pub(crate) services: Vec<ServiceRecord>,
    /// The ports of every node that lead to a Service's port.
    pub(crate) node_ports: HashMap<(Protocol, u16), (ServiceId, usize)>,
    /// In the order of their names.
    pub(crate) egresses: Vec<EgressRecord>,
    node_names: HashMap<NodeName, NodeId>,
    pod_names: HashMap<ObjectName, PodId>,
    service_names: HashMap<ObjectName, ServiceId>,
    holders: HashMap<IpAddr, Holder>,
    /// All nodes' ranges, in the order of their first addresses. They don't overlap.
    ranges: Vec<(IpNet, NodeId)>,
    pub(crate) policies: PolicyIndex,
    links: Links,
    /// Those that were read as such, then those that are set aside.
    unmodelled: Vec<Unmodelled>,
    read_as_unmodelled: usize,
    set_aside: Vec<SetAside>,
}

/// The index of a node in [`Cluster::nodes`]; they are sorted by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeId(pub(crate) u32);

/// The index of a Pod in [`Cluster::pods`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PodId(pub(crate) u32);

/// The index of a Service in [`Cluster::services`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ServiceId(pub(crate) u32);

/// Who holds an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    Pod(PodId),
    Service(ServiceId),
    Node(NodeId),
    Gateway(NodeId),
}

/// A node with what follows from it.
#[derive(Debug)]
pub(crate) struct NodeRecord {
    pub(crate) node: Node,
    /// The address of its gateway port in each of its `podCIDRs`.
    pub(crate) gateways: Vec<IpAddr>,
    pub(crate) gateway_mac: MacAddress,
}

/// A Pod with what follows from it.
#[derive(Debug)]
pub(crate) struct PodRecord {
    pub(crate) pod: Arc<Pod>,
    pub(crate) node: Option<NodeId>,
    /// `None` on the host's network.
    pub(crate) mac: Option<MacAddress>,
    /// By which the policies know it.
    pub(crate) policy_id: policy::PodId,
    /// The place in [`Cluster::egresses`] of the one that applies to it.
    pub(crate) egress: Option<usize>,
}

/// An Egress with what follows from it.
#[derive(Debug)]
pub(crate) struct EgressRecord {
    pub(crate) egress: Egress,
    /// The node that has its addresses; `None` if none has.
    pub(crate) node: Option<NodeId>,
}

/// A Service with its endpoints.
#[derive(Debug)]
pub(crate) struct ServiceRecord {
    pub(crate) service: Service,
    /// For each of its ports.
    pub(crate) backends: Vec<Backends>,
}

impl Cluster {
    /// A cluster built in code; what is left open is filled in as [`ClusterBuilder`] says.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::default()
    }

    /// The cluster of these objects. What they leave open is filled in as [`ClusterBuilder`] says.
    ///
    /// # Errors
    /// The first place where the objects don't fit together: a name or address twice, a node that isn't there.
    pub fn new(objects: Objects) -> Result<Self, BadInput> {
        compile::compile(objects)
    }

    /// The cluster of the Kubernetes objects in this text.
    ///
    /// # Errors
    /// The first mistake, with its place; messages call the text `cluster`.
    pub fn from_yaml(text: &str) -> Result<Self, BadInput> {
        let mut objects = Objects::default();
        objects.read(&Text::new("cluster", text))?;
        Self::new(objects)
    }

    /// The cluster of the Kubernetes objects in these files and folders ([`Objects::read_path`]).
    ///
    /// # Errors
    /// [`LoadError`], for the first file that can't be read or is wrong.
    pub fn from_paths(paths: impl IntoIterator<Item = impl AsRef<std::path::Path>>) -> Result<Self, LoadError> {
        let mut objects = Objects::default();
        for path in paths {
            objects.read_path(path.as_ref())?;
        }
        Ok(Self::new(objects)?)
    }

    /// The objects that were given and that no trace takes into account, for their kind isn't modelled.
    pub fn unmodelled(&self) -> &[Unmodelled] {
        &self.unmodelled
    }

    /// The same cluster, choosing Service endpoints by another seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How packets of Pods go from node to node.
    pub fn traffic_mode(&self) -> TrafficMode {
        self.mode
    }

    /// Where the tunnel ends that leads from one node to another; `None` if they are routed.
    pub(crate) fn tunnel_end(&self, from: NodeId, to: NodeId) -> Option<IpAddr> {
        let first = |node| self.node_record(node).node.addresses.first().copied();
        let end = first(to)?;
        match self.mode {
            TrafficMode::Encap | TrafficMode::WireGuard => Some(end),
            TrafficMode::NoEncap => None,
            TrafficMode::Hybrid => Some(end).filter(|end| first(from).is_none_or(|own| !in_one_subnet(own, *end))),
        }
    }

    /// Whether what is for Pods of the other node is routed by the nodes, and leaves the switch by its gateway port.
    pub fn is_routed(&self, from: &NodeName, to: &NodeName) -> bool {
        match (self.node_id(from), self.node_id(to)) {
            (Some(from), Some(to)) => from != to && self.tunnel_end(from, to).is_none(),
            _ => false,
        }
    }

    pub(crate) fn holder(&self, address: IpAddr) -> Option<Holder> {
        self.holders.get(&address).copied()
    }

    pub(crate) fn node_id(&self, name: &NodeName) -> Option<NodeId> {
        self.node_names.get(name).copied()
    }

    pub(crate) fn pod_id(&self, name: &ObjectName) -> Option<PodId> {
        self.pod_names.get(name).copied()
    }

    pub(crate) fn service_named(&self, name: &ObjectName) -> Option<&ServiceRecord> {
        self.service_names.get(name).map(|&id| self.service_record(id))
    }

    pub(crate) fn node_record(&self, id: NodeId) -> &NodeRecord {
        &self.nodes[id.0 as usize]
    }

    pub(crate) fn pod_record(&self, id: PodId) -> &PodRecord {
        &self.pods[id.0 as usize]
    }

    pub(crate) fn service_record(&self, id: ServiceId) -> &ServiceRecord {
        &self.services[id.0 as usize]
    }

    /// The node whose `podCIDRs` the address lies in.
    pub(crate) fn node_of_range(&self, address: IpAddr) -> Option<NodeId> {
        let behind = self.ranges.partition_point(|(range, _)| range.network() <= address);
        let (range, node) = self.ranges.get(behind.checked_sub(1)?)?;
        range.contains(&address).then_some(*node)
    }

    /// Whether the address is the node's own or its gateway's.
    pub(crate) fn is_own_address(&self, node: NodeId, address: IpAddr) -> bool {
        let record = self.node_record(node);
        let is_egress_address = || self.holder(address) == Some(Holder::Node(node));
        record.node.addresses.contains(&address) || record.gateways.contains(&address) || is_egress_address()
    }

    /// The Egress of a Pod, with its address of this family.
    pub(crate) fn egress_of(&self, pod: PodId, family: IpFamily) -> Option<(&EgressRecord, IpAddr)> {
        let record = &self.egresses[self.pod_record(pod).egress?];
        let mut addresses = record.egress.addresses.iter();
        let address = addresses.find(|address| IpFamily::of(**address) == family)?;
        Some((record, *address))
    }

    /// The address of the node's gateway port.
    pub(crate) fn gateway(&self, node: NodeId, family: IpFamily) -> Option<IpAddr> {
        let gateways = &self.node_record(node).gateways;
        gateways
            .iter()
            .copied()
            .find(|&address| IpFamily::of(address) == family)
    }

    /// Whether the node has an address of its own in this family.
    pub(crate) fn has_family(&self, node: NodeId, family: IpFamily) -> bool {
        let addresses = &self.node_record(node).node.addresses;
        addresses.iter().any(|&address| IpFamily::of(address) == family)
    }
}

fn in_one_subnet(one: IpAddr, other: IpAddr) -> bool {
    let subnet = |address: IpAddr| IpNet::new(address, if address.is_ipv4() { 24 } else { 64 });
    subnet(one).is_ok_and(|subnet| subnet.contains(&other))
}
