//! One node as its flows see it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use traceflow_core::inventory::{Inventory, Owner, Surroundings};
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::packet::{IpFamily, MacAddress, Protocol};
use traceflow_sim::model::{Node, Pod, Service};
use traceflow_sim::policy::Direction;
use traceflow_sim::{Cluster, ServiceEndpoint};

use super::rule::{NumberedRule, Turn};
use super::{Gateway, PodPort, RealisationError};

/// A node, its place in the cluster and what the cluster asks of it.
pub(super) struct Site<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) node: &'a Node,
    /// The families that its Pods have addresses of.
    pub(super) families: Vec<IpFamily>,
    /// Its own addresses, those for Egresses included.
    pub(super) addresses: Vec<IpAddr>,
    pub(super) egress_addresses: Vec<IpAddr>,
    pub(super) egresses: Vec<PodEgress>,
    pub(super) gateway: Gateway,
    pub(super) pods: Vec<PodPort>,
    pub(super) routes: Routes,
    pub(super) peers: Vec<Peer>,
    pub(super) services: Vec<ServiceAddress>,
    /// The rules that concern Pods here, those of each turn in the order in which they are asked.
    rules: Vec<LocalRule<'a>>,
}

/// A rule and the Pods here that it applies to.
pub(super) struct LocalRule<'a> {
    pub(super) rule: NumberedRule<'a>,
    pub(super) subjects: Vec<Subject<'a>>,
}

/// A Pod here that a rule applies to, and its port.
pub(super) struct Subject<'a> {
    pub(super) pod: &'a Pod,
    pub(super) port: u32,
}

/// How what a Pod here sends leaves the cluster, where an Egress applies to it.
pub(super) struct PodEgress {
    pub(super) port: u32,
    pub(super) address: IpAddr,
    pub(super) at: EgressNode,
}

/// Who has the address of an Egress.
pub(super) enum EgressNode {
    /// This node, by this number.
    Here(u8),
    Elsewhere,
    Nowhere,
}

/// Another node.
pub(super) struct Peer {
    pub(super) name: NodeName,
    pub(super) tunnel_end: IpAddr,
    /// Those for Egresses included.
    pub(super) addresses: Vec<IpAddr>,
    pub(super) gateways: Vec<IpAddr>,
    pub(super) routes: Routes,
    /// Its Pods are reached by the gateway port, without a tunnel.
    pub(super) is_routed: bool,
}

/// Which addresses are a node's Pods'.
pub(super) struct Routes {
    /// Its ranges.
    pub(super) ranges: Vec<IpNet>,
    /// Addresses of its Pods outside of them, perhaps in another node's.
    pub(super) strays: Vec<IpAddr>,
}

/// Where a Service is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// At an address of its own.
    Address(IpAddr),
    /// At any address of the node's.
    Node(IpFamily),
}

impl Place {
    pub(super) fn family(self) -> IpFamily {
        match self {
            Self::Address(address) => IpFamily::of(address),
            Self::Node(family) => family,
        }
    }
}

/// A port of a Service at one of the places where it is reached, from this node.
pub(super) struct ServiceAddress {
    /// The group that its endpoint is chosen in.
    pub(super) group: u32,
    pub(super) place: Place,
    pub(super) protocol: Protocol,
    pub(super) port: u16,
    pub(super) affinity: Option<Duration>,
    pub(super) endpoints: Vec<Endpoint>,
    /// There are endpoints, but none that this node may use.
    pub(super) is_elsewhere: bool,
}

/// An endpoint as it is reached from this node.
pub(super) struct Endpoint {
    pub(super) address: IpAddr,
    pub(super) port: u16,
    /// It is a Pod's own address on another node.
    pub(super) is_remote_pod: bool,
}

/// The first port number that OpenFlow keeps for itself (OFPP_MAX of OpenFlow 1.0, which Open vSwitch keeps to).
const RESERVED_PORTS: u32 = 0xff00;

/// The first port of a Pod.
const FIRST_POD_PORT: u32 = super::GATEWAY_PORT + 1;

impl<'a> Site<'a> {
    pub(super) fn new(
        cluster: &'a Cluster,
        node: &'a Node,
        rules: &[NumberedRule<'a>],
    ) -> Result<Self, RealisationError> {
        let gateway = Gateway {
            mac: gateway_mac(cluster, &node.name),
            addresses: cluster.gateways(&node.name),
        };
        let pods = ports(cluster, node)?;
        let families: BTreeSet<IpFamily> = node.pod_cidrs.iter().map(|range| IpFamily::of(range.addr())).collect();
        let egress_addresses = cluster.egress_addresses(&node.name);
        if egress_addresses.len() > usize::from(u8::MAX) {
            return Err(RealisationError::TooManyEgressAddresses(node.name.clone()));
        }
        Ok(Self {
            cluster,
            node,
            addresses: all_addresses(cluster, node),
            egresses: egresses(cluster, &pods, &egress_addresses),
            egress_addresses,
            families: families.into_iter().collect(),
            gateway,
            rules: rules_here(cluster, &pods, rules),
            pods,
            routes: Routes::of(cluster, node),
            peers: peers(cluster, node)?,
            services: services(cluster, node),
        })
    }

    /// The rules of one direction, those of each turn in the order in which they are asked.
    pub(super) fn rules(&self, direction: Direction) -> impl Iterator<Item = &LocalRule<'a>> {
        self.rules.iter().filter(move |local| local.rule.direction == direction)
    }

    /// The rules of one direction that are asked in this turn, in their order.
    pub(super) fn rules_in(&self, turn: Turn, direction: Direction) -> impl Iterator<Item = &LocalRule<'a>> {
        self.rules(direction).filter(move |local| local.rule.turn() == turn)
    }

    /// The Pods here that rules of this turn apply to.
    pub(super) fn subjects_in(&self, turn: Turn, direction: Direction) -> Vec<&PodPort> {
        let mut subjects = HashSet::new();
        for local in self.rules_in(turn, direction) {
            subjects.extend(local.subjects.iter().map(|subject| subject.port));
        }
        self.pods.iter().filter(|pod| subjects.contains(&pod.port)).collect()
    }

    /// The Pods here that any policy isolates in this direction.
    pub(super) fn isolated(&self, direction: Direction) -> impl Iterator<Item = &PodPort> {
        let is_isolated = move |port: &&PodPort| !self.cluster.isolating(&port.pod, direction).is_empty();
        self.pods.iter().filter(is_isolated)
    }

    /// The address of the gateway port.
    pub(super) fn gateway_address(&self, family: IpFamily) -> Option<IpAddr> {
        let addresses = self.gateway.addresses.iter().map(|(address, _)| *address);
        addresses.into_iter().find(|&address| IpFamily::of(address) == family)
    }
}

impl Routes {
    fn of(cluster: &Cluster, node: &Node) -> Self {
        let addresses = pods_on(cluster, node).flat_map(|pod| &pod.addresses);
        let is_stray = |address: &&IpAddr| !node.pod_cidrs.iter().any(|range| range.contains(*address));
        Self {
            ranges: node.pod_cidrs.clone(),
            strays: addresses.filter(is_stray).copied().collect(),
        }
    }
}

/// The Pods with a network of their own on a node.
fn pods_on<'a>(cluster: &'a Cluster, node: &'a Node) -> impl Iterator<Item = &'a Pod> {
    cluster
        .pod_objects()
        .filter(|pod| pod.node.as_ref() == Some(&node.name) && pod.is_alive() && !pod.host_network)
}

fn ports(cluster: &Cluster, node: &Node) -> Result<Vec<PodPort>, RealisationError> {
    let with_mac = pods_on(cluster, node).filter_map(|pod| Some((pod, cluster.pod(&pod.name)?.mac?)));
    let ports = (FIRST_POD_PORT..).zip(with_mac).map(|(port, (pod, mac))| {
        let fits = port < RESERVED_PORTS;
        fits.then(|| PodPort {
            pod: pod.name.clone(),
            port,
            mac,
            addresses: pod.addresses.clone(),
            listens: pod.ports.iter().map(|port| (port.protocol, port.port)).collect(),
        })
        .ok_or_else(|| RealisationError::TooManyPods(node.name.clone()))
    });
    ports.collect()
}

fn peers(cluster: &Cluster, node: &Node) -> Result<Vec<Peer>, RealisationError> {
    let own_end = tunnel_end(node)?;
    let others = cluster.node_objects().filter(|other| other.name != node.name);
    let peers = others.map(|other| {
        let tunnel_end = tunnel_end(other)?;
        if own_end.is_ipv4() != tunnel_end.is_ipv4() {
            return Err(RealisationError::TunnelFamilies(node.name.clone(), other.name.clone()));
        }
        Ok(Peer {
            name: other.name.clone(),
            tunnel_end,
            addresses: all_addresses(cluster, other),
            gateways: cluster
                .gateways(&other.name)
                .into_iter()
                .map(|(address, _)| address)
                .collect(),
            routes: Routes::of(cluster, other),
            is_routed: cluster.is_routed(&node.name, &other.name),
        })
    });
    peers.collect()
}

/// A node's own addresses and those that it has for Egresses.
fn all_addresses(cluster: &Cluster, node: &Node) -> Vec<IpAddr> {
    let mut addresses = node.addresses.clone();
    let more = cluster.egress_addresses(&node.name).into_iter();
    addresses.extend(more.filter(|address| !node.addresses.contains(address)));
    addresses
}

fn egresses(cluster: &Cluster, pods: &[PodPort], here: &[IpAddr]) -> Vec<PodEgress> {
    let mut egresses = Vec::new();
    for pod in pods {
        for family in [IpFamily::V4, IpFamily::V6] {
            let Some(egress) = cluster.egress(&pod.pod, family) else {
                continue;
            };
            let number = (1..).zip(here).find(|(_, address)| **address == egress.address);
            egresses.push(PodEgress {
                port: pod.port,
                address: egress.address,
                at: match (number, egress.node) {
                    (Some((number, _)), _) => EgressNode::Here(number),
                    (None, Some(_)) => EgressNode::Elsewhere,
                    (None, None) => EgressNode::Nowhere,
                },
            });
        }
    }
    egresses
}

fn tunnel_end(node: &Node) -> Result<IpAddr, RealisationError> {
    let first = node.addresses.first().copied();
    first.ok_or_else(|| RealisationError::NoTunnelEnd(node.name.clone()))
}

fn gateway_mac(cluster: &Cluster, node: &NodeName) -> MacAddress {
    cluster
        .node(node)
        .expect("the node is one of the cluster's")
        .gateway_mac
}

/// Groups are numbered through the whole cluster, so that a group is the same Service's on every node.
fn services(cluster: &Cluster, node: &Node) -> Vec<ServiceAddress> {
    let of_service = |service| service_ports(service).map(move |port| (service, port));
    let at_addresses = cluster
        .service_objects()
        .flat_map(of_service)
        .flat_map(|(service, port)| {
            let addresses = service.cluster_ips.iter().chain(&service.external_ips);
            let at_addresses = addresses.map(|&address| Place::Address(address));
            let at_nodes = families(service).filter(move |_| service.ports[port].node_port.is_some());
            let places = at_addresses.chain(at_nodes.map(Place::Node));
            places.map(move |place| (service, port, place))
        });
    let numbered = (1..).zip(at_addresses);
    numbered
        .map(|(group, (service, port, place))| service_address(cluster, node, service, port, place, group))
        .collect()
}

/// Those of the Service's own addresses.
fn families(service: &Service) -> impl Iterator<Item = IpFamily> {
    let families: BTreeSet<IpFamily> = service
        .cluster_ips
        .iter()
        .map(|&address| IpFamily::of(address))
        .collect();
    families.into_iter()
}

/// The places of a Service's ports, without those that an earlier one hides.
fn service_ports(service: &Service) -> impl Iterator<Item = usize> {
    let mut seen = HashSet::new();
    let is_new = move |index: &usize| {
        let port = &service.ports[*index];
        seen.insert((port.protocol.0, port.port))
    };
    (0..service.ports.len()).filter(is_new)
}

fn service_address(
    cluster: &Cluster,
    node: &Node,
    service: &Service,
    port: usize,
    place: Place,
    group: u32,
) -> ServiceAddress {
    let all = cluster.service_endpoints(&service.name, port, place.family());
    let any = !all.is_empty();
    // `externalTrafficPolicy` is about what comes from outside, which nobody sends here.
    let inside = matches!(place, Place::Address(address) if service.cluster_ips.contains(&address));
    let local_only = service.local_only && inside;
    let is_usable = |endpoint: &ServiceEndpoint| !local_only || endpoint.node.as_ref() == Some(&node.name);
    let usable = all.into_iter().filter(is_usable);
    let endpoints: Vec<Endpoint> = usable.map(|endpoint| seen_from(node, cluster, &endpoint)).collect();
    ServiceAddress {
        group,
        place,
        protocol: service.ports[port].protocol,
        port: match place {
            Place::Address(_) => service.ports[port].port,
            Place::Node(_) => service.ports[port].node_port.unwrap_or_default(),
        },
        affinity: service.affinity,
        is_elsewhere: any && endpoints.is_empty(),
        endpoints,
    }
}

fn seen_from(node: &Node, cluster: &Cluster, endpoint: &ServiceEndpoint) -> Endpoint {
    let is_pod = matches!(cluster.owner(endpoint.address), Some(Owner::Pod(_)));
    Endpoint {
        address: endpoint.address,
        port: endpoint.port,
        is_remote_pod: is_pod && endpoint.node.as_ref() != Some(&node.name),
    }
}

fn rules_here<'a>(cluster: &'a Cluster, pods: &[PodPort], rules: &[NumberedRule<'a>]) -> Vec<LocalRule<'a>> {
    let ports: HashMap<&ObjectName, u32> = pods.iter().map(|port| (&port.pod, port.port)).collect();
    let local = rules.iter().map(|rule| LocalRule {
        rule: rule.clone(),
        subjects: subjects(cluster, &ports, rule),
    });
    local.filter(|local| !local.subjects.is_empty()).collect()
}

fn subjects<'a>(cluster: &'a Cluster, ports: &HashMap<&ObjectName, u32>, rule: &NumberedRule<'a>) -> Vec<Subject<'a>> {
    let subjects = rule.subjects(cluster).into_iter();
    let here = subjects.filter_map(|pod| {
        let port = *ports.get(&pod.name)?;
        Some(Subject { pod, port })
    });
    here.collect()
}
