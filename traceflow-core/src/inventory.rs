//! Who is who: the names, addresses and places that a trace's ends are looked up in.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use crate::names::{NodeName, ObjectName};
use crate::observation::PolicyRef;
use crate::packet::{IpFamily, MacAddress, Protocol};

/// What is known about the cluster's Pods, Services and nodes.
///
/// The simulator's cluster implements it; a controller implements it on its informers. Every method is a look-up in
/// memory: it doesn't block, and it answers from one consistent moment for as long as the caller holds no result.
pub trait Inventory: Send + Sync {
    /// The Pod of this name.
    fn pod(&self, name: &ObjectName) -> Option<PodEntry>;

    /// The Service of this name.
    fn service(&self, name: &ObjectName) -> Option<ServiceEntry>;

    /// Whose address this is; `None` if nobody's in the cluster.
    fn owner(&self, address: IpAddr) -> Option<Owner>;

    /// The node of this name.
    fn node(&self, name: &NodeName) -> Option<NodeEntry>;

    /// The names of all nodes, sorted.
    fn nodes(&self) -> Vec<NodeName>;

    /// The nodes of the Service's endpoints, any of which may be chosen; `None` if that isn't known: then a trace to the
    /// Service watches all nodes.
    fn endpoint_nodes(&self, service: &ObjectName) -> Option<BTreeSet<NodeName>> {
        let _ = service;
        None
    }
}

/// What a model of the cluster knows beyond names: what a backend says of a packet that it has no name for.
///
/// The simulator's cluster implements it. As with an [`Inventory`], every method is a look-up in memory.
pub trait Surroundings: Send + Sync {
    /// The policies that isolate the Pod in this direction, by name; none if there are none, or nobody knows them.
    fn isolating(&self, pod: &ObjectName, direction: Direction) -> Vec<PolicyRef>;

    /// Whether the address lies in a range from which Pods get theirs, whoever has it.
    fn is_pod_range(&self, address: IpAddr) -> bool;

    /// The Egress by which packets of this family leave the cluster that the Pod sends; `None` if there is none, or nobody
    /// knows it.
    fn egress(&self, pod: &ObjectName, family: IpFamily) -> Option<EgressEntry>;

    /// The Service that nodes offer at this port of their own addresses; `None` if there is none, or nobody knows it, which is
    /// the default.
    fn node_port(&self, protocol: Protocol, port: u16) -> Option<ObjectName> {
        let _ = (protocol, port);
        None
    }

    /// The Pod behind this endpoint of the Service; `None` if there is none, or nobody knows it. Several Pods of a node's own
    /// network have one address, so that only this tells them apart. The default is that nobody knows.
    fn endpoint(&self, service: &ObjectName, address: IpAddr, port: u16) -> Option<ObjectName> {
        let _ = (service, address, port);
        None
    }
}

/// The Egress of a Pod (`crd.antrea.io/v1beta1`), for packets of one family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressEntry {
    /// Its name.
    pub name: Arc<str>,
    /// Its address of this family.
    pub address: IpAddr,
    /// The node that has the address; `None` if none has.
    pub node: Option<NodeName>,
}

/// Which way policies look at a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// As what comes to a Pod.
    Ingress,
    /// As what a Pod sends.
    Egress,
}

/// A Pod, as far as a trace needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodEntry {
    /// Namespace and name.
    pub name: ObjectName,
    /// The node that it was scheduled to; `None` while it is pending.
    pub node: Option<NodeName>,
    /// Its addresses, at most one per family, the primary first (`status.podIPs`).
    pub addresses: Vec<IpAddr>,
    /// The MAC address of its interface; `None` if it shares its node's network or nobody knows.
    pub mac: Option<MacAddress>,
    /// `spec.hostNetwork`.
    pub host_network: bool,
    /// `status.phase`: `Running`, `Pending`, `Succeeded`, `Failed` or `Unknown`.
    pub phase: Arc<str>,
}

impl PodEntry {
    /// The Pod's address of this family.
    pub fn address(&self, family: IpFamily) -> Option<IpAddr> {
        self.addresses
            .iter()
            .copied()
            .find(|&address| IpFamily::of(address) == family)
    }
}

/// A Service, as far as a trace needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceEntry {
    /// Namespace and name.
    pub name: ObjectName,
    /// `spec.clusterIPs`; empty for a headless Service.
    pub cluster_ips: Vec<IpAddr>,
    /// `spec.ports`, in their order.
    pub ports: Vec<ServicePort>,
}

/// One port that a Service listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// The port number.
    pub port: u16,
    /// Its name, if it has one.
    pub name: Option<Arc<str>>,
}

/// A node, as far as a trace needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeEntry {
    /// Its name.
    pub name: NodeName,
    /// Its own addresses, the tunnel endpoints first (`status.addresses` of type `InternalIP`).
    pub addresses: Vec<IpAddr>,
    /// The MAC address of its gateway port: where a Pod sends what is not on its own node's subnet.
    pub gateway_mac: MacAddress,
}

/// Whose an address is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Owner {
    /// A Pod's own address.
    Pod(ObjectName),
    /// A Service's cluster address.
    Service(ObjectName),
    /// A node's own address.
    Node(NodeName),
    /// The address of a node's gateway port.
    Gateway(NodeName),
}
