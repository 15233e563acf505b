//! What a cluster asks of each node's switch, as values: ports, tables, groups and flows.
//!
//! [`realise`] says it for a whole cluster. The flows stand in the tables, registers, marks and connection tracking zones of
//! Antrea's pipeline (v1.15, encap mode, `proxyAll`), so that whoever reads that pipeline reads this one. Where the pipeline
//! leaves a question open that the simulator answers, its flows answer as the simulator does:
//!
//! - A packet to a Service's address that is for none of its ports is dropped in `ServiceLB`.
//! - A Service that is local to nodes, and has endpoints on others only, drops; without any endpoint it rejects.
//! - A packet to an address of the node's own range that nobody has gets no port to leave by, whatever MAC address it is
//!   sent to, and is dropped in `Output`.
//! - A Pod takes what comes from itself and from its own node; where a Service leads it back to itself, it is judged on its way out.
//! - What an Egress applies to whose address no node has is dropped in `EgressMark`.
//! - Of Antrea's policies with the same tier and priority, the first by kind, namespace and name is asked first.
//! - Where several rules of Kubernetes policies allow a packet, that of the first policy by namespace and name is hit, and of its rules the first.
//!
//! Known differences: `dec_ttl` is Antrea's, which decrements on the way to a Service's endpoint and to the gateway on the
//! same node too, and not on the way out. A Service's first packet that is sent again is Antrea's too: it is translated
//! before the load balancer sees it, and goes to an endpoint of the same node by way of the gateway. The userspace datapath
//! translates no SCTP, calls protocols that it doesn't know invalid, and takes a segment with FIN and ACK for the first of
//! a connection.
//!
//! Traffic modes: encap, noEncap and hybrid. WireGuard's tunnels are the node's own business, and its flows those of encap.
//!
//! Not realised: what comes to external addresses and node ports from outside.

mod clause;
mod flow;
mod group;
mod mark;
mod rule;
mod rule_numbers;
mod site;
mod stages;
mod table;

use std::net::IpAddr;

use ipnet::IpNet;
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::observation::PolicyRef;
use traceflow_core::packet::{MacAddress, Protocol};
use traceflow_sim::Cluster;
use traceflow_sim::policy::Direction;

pub use rule_numbers::RuleNumbers;
pub use table::TABLES;

use site::{Peer, Site};

/// One node, ready to be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRealisation {
    /// Its name.
    pub name: NodeName,
    /// Its own addresses, the tunnel's end first, and those that it has for Egresses.
    pub addresses: Vec<IpAddr>,
    /// The addresses that it has for Egresses, in the order of the marks by which a packet is told to leave under one: the
    /// first is 1.
    pub egress_addresses: Vec<IpAddr>,
    /// The other nodes' addresses: tunnels end at the first of each, and at those that it has for Egresses.
    pub peers: Vec<(NodeName, IpAddr)>,
    /// The other nodes whose Pods are reached by the gateway port, without a tunnel.
    pub routed: Vec<RoutedPeer>,
    /// Its gateway port.
    pub gateway: Gateway,
    /// The ports of its Pods, by number.
    pub pods: Vec<PodPort>,
    /// What the switch does, in ovs-ofctl's syntax.
    pub program: Program,
    /// Which rule has which number (the conjunction id that the pipeline leaves in its registers): the rules that are
    /// applied on this node, of egress first, each in the order in which they are tried. A rule of Antrea's whose peers
    /// depend on the namespace that it is applied in has one for each.
    pub rules: Vec<RuleId>,
}

/// Another node to which the node itself is the router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutedPeer {
    /// Its name.
    pub name: NodeName,
    /// Its own addresses, by which it is reached.
    pub addresses: Vec<IpAddr>,
    /// The ranges of its Pods, and addresses of Pods outside of them.
    pub networks: Vec<IpNet>,
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

/// Groups and flows, one a line, as `ovs-ofctl add-groups` and `add-flows` read them (OpenFlow 1.5). Flows name groups, so
/// the groups come first.
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

/// Why a cluster can't be built on switches.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RealisationError {
    /// A tunnel needs an address to end at.
    #[error("node {0} has no address that a tunnel could end at")]
    NoTunnelEnd(NodeName),
    /// A tunnel is of one family.
    #[error("the first addresses of nodes {0} and {1} are of two families, and a tunnel is of one")]
    TunnelFamilies(NodeName, NodeName),
    /// Ports from 0xff00 on are reserved in OpenFlow 1.0, which Open vSwitch keeps to.
    #[error("node {0} has more Pods than a switch has ports")]
    TooManyPods(NodeName),
    /// A mark of 8 bits tells them apart.
    #[error("node {0} has more Egress addresses than there are marks")]
    TooManyEgressAddresses(NodeName),
    /// Each rule has a priority of its own.
    #[error("node {0} has more rules than a table has priorities")]
    TooManyRules(NodeName),
    /// Rules have been given all numbers that there are.
    #[error("there is no number left for a rule")]
    NumbersExhausted,
}

/// What the cluster asks of each node, in the order of their names; the same cluster asks the same.
///
/// ```
/// use testbed::realisation::realise;
/// use traceflow_sim::Cluster;
///
/// let cluster = Cluster::builder().node("a").node("b").pod("client", "a").pod("web", "b").build()?;
/// let nodes = realise(&cluster)?;
/// assert_eq!(nodes[0].pods[0].pod.to_string(), "default/client");
/// assert!(nodes[0].program.flows.contains("set_field:172.18.0.3->tun_dst"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`RealisationError`], for what switches have no room for.
pub fn realise(cluster: &Cluster) -> Result<Vec<NodeRealisation>, RealisationError> {
    realise_with(cluster, &mut RuleNumbers::default())
}

/// The same, with rules that keep the numbers which they had in an earlier realisation.
///
/// # Errors
/// [`RealisationError`], for what switches have no room for.
pub fn realise_with(cluster: &Cluster, numbers: &mut RuleNumbers) -> Result<Vec<NodeRealisation>, RealisationError> {
    let rules = rule::number(cluster, numbers)?;
    let nodes = cluster.node_objects();
    nodes
        .map(|node| realise_node(&Site::new(cluster, node, &rules)?))
        .collect()
}

fn tunnel_ends(peer: &Peer) -> impl Iterator<Item = (NodeName, IpAddr)> {
    peer.addresses.iter().map(|&end| (peer.name.clone(), end))
}

fn routed(peer: &Peer) -> RoutedPeer {
    let strays = peer.routes.strays.iter().map(|&stray| IpNet::from(stray));
    RoutedPeer {
        name: peer.name.clone(),
        addresses: peer.addresses.clone(),
        networks: peer.routes.ranges.iter().copied().chain(strays).collect(),
    }
}

fn realise_node(site: &Site<'_>) -> Result<NodeRealisation, RealisationError> {
    let flows = stages::flows(site)?;
    let groups = site.services.iter().filter_map(group::of);
    let rules = site.rules(Direction::Egress).chain(site.rules(Direction::Ingress));
    Ok(NodeRealisation {
        name: site.node.name.clone(),
        addresses: site.addresses.clone(),
        egress_addresses: site.egress_addresses.clone(),
        peers: site.peers.iter().flat_map(tunnel_ends).collect(),
        routed: site.peers.iter().filter(|peer| peer.is_routed).map(routed).collect(),
        gateway: site.gateway.clone(),
        pods: site.pods.clone(),
        program: Program {
            groups: groups.map(|group| format!("{group}\n")).collect(),
            flows: flows.iter().map(|flow| format!("{flow}\n")).collect(),
        },
        rules: rules.map(|local| local.rule.id()).collect(),
    })
}
