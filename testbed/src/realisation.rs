//! What a cluster asks of each node's switch, as values: ports, tables, groups and flows.

use std::net::IpAddr;

use ipnet::IpNet;
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::observation::PolicyRef;
use traceflow_core::packet::{MacAddress, Protocol};

/// One node, ready to be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRealisation {
    /// Its name.
    pub name: NodeName,
    /// Its own addresses, the tunnel's end first.
    pub addresses: Vec<IpAddr>,
    /// The other nodes' tunnel ends.
    pub peers: Vec<(NodeName, IpAddr)>,
    /// Its gateway port.
    pub gateway: Gateway,
    /// The ports of its Pods, by number.
    pub pods: Vec<PodPort>,
    /// What the switch does, in ovs-ofctl's syntax.
    pub program: Program,
    /// Which rule has which number (the conjunction id that the pipeline leaves in its registers).
    pub rules: Vec<RuleId>,
}

/// The number of the tunnel port on every node.
pub const TUNNEL_PORT: u32 = 1;

/// The number of the gateway port on every node.
pub const GATEWAY_PORT: u32 = 2;

/// The gateway port of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// Its MAC address.
    pub mac: MacAddress,
    /// Its addresses, with the range of Pods that each is the gateway of.
    pub addresses: Vec<(IpAddr, IpNet)>,
}

/// The port of a Pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodPort {
    /// The Pod.
    pub pod: ObjectName,
    /// The port's OpenFlow number.
    pub port: u32,
    /// The Pod's MAC address.
    pub mac: MacAddress,
    /// The Pod's addresses, at most one per family.
    pub addresses: Vec<IpAddr>,
    /// What its containers declare to listen on.
    pub listens: Vec<(Protocol, u16)>,
}

/// Groups and flows, one a line, as `ovs-ofctl add-groups` and `add-flows` read them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Program {
    /// The groups.
    pub groups: String,
    /// The flows.
    pub flows: String,
}

/// A rule of a policy and its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleId {
    /// The number.
    pub id: u32,
    /// The policy.
    pub policy: PolicyRef,
    /// The rule's name, where rules have names.
    pub rule: Option<String>,
}
