//! Real Pods: a namespace each, a veth pair to the switch, addresses and neighbours as a CNI plug-in would set them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;

use ipnet::IpNet;
use traceflow_core::names::ObjectName;
use traceflow_core::packet::MacAddress;

use super::configuration::{POD_MTU, UNDERLAY_MTU, pod_interface};
use super::error::FabricError;
use super::namespace::Namespace;
use crate::realisation::{Gateway, NodeRealisation, PodPort};

/// The namespaces of a node and of its Pods.
#[derive(Debug)]
pub(crate) struct Wiring {
    pub(crate) node: Namespace,
    pub(crate) pods: BTreeMap<ObjectName, Namespace>,
}

impl Wiring {
    /// Namespaces, links and addresses of a node's Pods; its end of the underlay is `ul0`.
    pub(crate) fn lay(node: &NodeRealisation, underlay: &Underlay, index: usize) -> Result<Self, FabricError> {
        let own = Namespace::new()?;
        own.set(&SILENT)?;
        // What comes out of the gateway port has left the network, whatever the machine's own setting is.
        own.set(&[("ipv4/ip_forward", "0")])?;
        // The links' ends at the switch have no addresses and must not make themselves any.
        own.set(&[
            ("ipv6/conf/all/disable_ipv6", "0"),
            ("ipv6/conf/default/disable_ipv6", "1"),
        ])?;
        let mut pods = BTreeMap::new();
        let mut commands = String::from("link set lo up\n");
        for pod in &node.pods {
            let namespace = Namespace::new()?;
            let disable = if pod.addresses.iter().any(IpAddr::is_ipv6) {
                "0"
            } else {
                "1"
            };
            namespace.set(&SILENT)?;
            namespace.set(&[
                ("ipv6/conf/all/disable_ipv6", disable),
                ("ipv6/conf/default/disable_ipv6", disable),
            ])?;
            let (interface, peer, mac) = (pod_interface(pod.port), namespace.path(), pod.mac);
            // The switch gets a copy of each frame, and so does the kernel: without `arp off` it would answer for itself.
            let _ = writeln!(
                commands,
                "link add {interface} mtu {POD_MTU} type veth peer name eth0 netns {peer} address {mac} mtu {POD_MTU}\n\
                 link set {interface} arp off up"
            );
            pods.insert(pod.pod.clone(), namespace);
        }
        own.ip(&commands)?;
        underlay.connect(index, &own)?;
        for pod in &node.pods {
            let namespace = &pods[&pod.pod];
            namespace.ip(&pod_commands(pod, node))?;
            namespace.write_checksums("eth0")?;
        }
        Ok(Self { node: own, pods })
    }
}

/// What `ip` is told in a Pod's namespace.
fn pod_commands(pod: &PodPort, node: &NodeRealisation) -> String {
    let mut commands = String::from("link set lo up\n");
    for address in &pod.addresses {
        let length =
            gateway_of(*address, &node.gateway).map_or_else(|| address_bits(*address), |(_, range)| range.prefix_len());
        let _ = writeln!(
            commands,
            "addr add {address}/{length} dev eth0{}",
            no_detection(*address)
        );
    }
    commands.push_str("link set eth0 up\n");
    for address in &pod.addresses {
        if let Some((gateway, _)) = gateway_of(*address, &node.gateway) {
            let _ = writeln!(commands, "{}", neighbour(*gateway, node.gateway.mac));
            let _ = writeln!(commands, "route add default via {gateway} dev eth0");
        }
    }
    // Neighbours that are known need not be asked for: a Pod receives what is meant for it and nothing else.
    for other in node.pods.iter().filter(|other| other.pod != pod.pod) {
        for address in other.addresses.iter().filter(|address| same_family(pod, address)) {
            let _ = writeln!(commands, "{}", neighbour(*address, other.mac));
        }
    }
    commands
}

fn gateway_of(address: IpAddr, gateway: &Gateway) -> Option<&(IpAddr, IpNet)> {
    gateway.addresses.iter().find(|(_, range)| range.contains(&address))
}

fn same_family(pod: &PodPort, address: &IpAddr) -> bool {
    pod.addresses.iter().any(|own| own.is_ipv6() == address.is_ipv6())
}

fn neighbour(address: IpAddr, mac: MacAddress) -> String {
    format!("neigh replace {address} lladdr {mac} dev eth0 nud permanent")
}

/// IPv6 looks for others with the same address first, and does without for as long.
pub(crate) fn no_detection(address: IpAddr) -> &'static str {
    if address.is_ipv6() { " nodad" } else { "" }
}

pub(crate) fn address_bits(address: IpAddr) -> u8 {
    if address.is_ipv6() { 128 } else { 32 }
}

/// The network between the nodes: a bridge in a namespace of its own.
#[derive(Debug)]
pub(crate) struct Underlay(Namespace);

impl Underlay {
    pub(crate) fn new() -> Result<Self, FabricError> {
        let namespace = Namespace::new()?;
        namespace.set(&[
            ("ipv6/conf/all/disable_ipv6", "1"),
            ("ipv6/conf/default/disable_ipv6", "1"),
        ])?;
        namespace.ip(&format!(
            "link add hub mtu {UNDERLAY_MTU} type bridge\nlink set hub up\n"
        ))?;
        Ok(Self(namespace))
    }

    fn connect(&self, index: usize, node: &Namespace) -> Result<(), FabricError> {
        let peer = node.path();
        self.0.ip(&format!(
            "link add ul{index} mtu {UNDERLAY_MTU} type veth peer name ul0 netns {peer} mtu {UNDERLAY_MTU}\n\
             link set ul{index} master hub up\n"
        ))?;
        node.ip("link set ul0 arp off up\n")?;
        node.write_checksums("ul0")
    }

    /// Takes the node off the bridge, or puts it back. Its link stays up: one that goes down takes a second to come back.
    pub(crate) fn set_up(&self, index: usize, up: bool) -> Result<(), FabricError> {
        self.0.ip(&format!(
            "link set ul{index} {}\n",
            if up { "master hub" } else { "nomaster" }
        ))
    }
}

/// No address, question or answer that nobody asked for.
const SILENT: [(&str, &str); 6] = [
    ("ipv6/conf/all/accept_ra", "0"),
    ("ipv6/conf/default/accept_ra", "0"),
    ("ipv6/conf/default/accept_dad", "0"),
    ("ipv6/conf/default/dad_transmits", "0"),
    ("ipv6/conf/default/router_solicitations", "0"),
    ("ipv6/conf/default/addr_gen_mode", "1"),
];
