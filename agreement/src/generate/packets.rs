//! Packets of chance.

use super::objects::{Kind, Objects};
use super::topology::Topology;
use crate::case::Asked;

/// What a packet is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Pod,
    Service,
    Other,
    /// A node, at this port, which is a Service's.
    NodePort(u16),
}

/// A packet from one of the Pods to a Pod, a Service, a node, an address outside or nobody's.
pub fn packet(topology: &Topology, objects: &Objects, random: &mut fastrand::Rng) -> Asked {
    let senders: Vec<(String, &[String])> = topology.senders().collect();
    let (from, own) = senders[random.usize(..senders.len())].clone();
    let is_reachable = |address: &String| own.iter().any(|own| own.contains(':') == address.contains(':'));
    let mut pods: Vec<String> = topology.pods.iter().flat_map(|pod| &*pod.addresses).cloned().collect();
    // What a Pod sends to itself never reaches the network.
    pods.retain(|address| is_reachable(address) && !own.contains(address));
    let mut services = service_addresses(objects);
    services.retain(is_reachable);
    let mut others = topology.other_addresses();
    others.retain(is_reachable);
    let (to, end) = match random.u8(..10) {
        0..=5 if !pods.is_empty() => (random.choice(&pods), End::Pod),
        6..=8 if !services.is_empty() => (random.choice(&services), End::Service),
        _ => (random.choice(&others), End::Other),
    };
    let to = to.cloned().unwrap_or_default();
    // A Pod of the host's network is behind the gateway.
    let end = match topology
        .pods
        .iter()
        .any(|pod| pod.host_network && pod.addresses.contains(&to))
    {
        true => End::Other,
        false => end,
    };
    let node_ports = node_ports(objects);
    let (to, end) = match random.choice(&node_ports).filter(|_| random.u8(..10) == 0) {
        Some(&port) => {
            let mut nodes = topology.node_addresses();
            nodes.retain(is_reachable);
            (random.choice(nodes).unwrap_or_default(), End::NodePort(port))
        }
        None => (to, end),
    };
    let flow = flow(random, to.contains(':'), end);
    Asked { from, to, flow }
}

fn node_ports(objects: &Objects) -> Vec<u16> {
    let services = objects.of(Kind::Service);
    let ports = services.filter_map(|service| {
        let (_, rest) = service.text.split_once("nodePort: ")?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    });
    ports.collect()
}

fn service_addresses(objects: &Objects) -> Vec<String> {
    let addresses = objects.of(Kind::Service).flat_map(|service| {
        let lists = ["clusterIPs: [", "externalIPs: ["].into_iter();
        lists.filter_map(|field| service.text.split_once(field)?.1.split_once(']'))
    });
    let addresses = addresses.flat_map(|(list, _)| list.split(", "));
    addresses.map(|address| address.trim_matches('"').to_owned()).collect()
}

fn flow(random: &mut fastrand::Rng, is_six: bool, end: End) -> String {
    let port = |random: &mut fastrand::Rng, ports: &[u16]| random.choice(ports).copied().unwrap_or_default();
    let source = random.u16(32_768..61_000);
    let (tcp, udp, sctp, icmp) = match is_six {
        true => ("ipv6,tcp", "ipv6,udp", "ipv6,sctp", "icmp6"),
        false => ("tcp", "udp", "sctp", "icmp"),
    };
    if let End::NodePort(port) = end {
        let protocol = if random.u8(..3) == 0 { udp } else { tcp };
        let name = protocol.trim_start_matches("ipv6,");
        return format!("{protocol},{name}_src={source},{name}_dst={port}");
    }
    let mut flow = match random.u8(..16) {
        0..=7 => {
            let flags = match random.u8(..6) {
                0 => ",tcp_flags=0x10",
                1 => ",tcp_flags=0",
                _ => "",
            };
            let ports = [79, 80, 80, 80, 81, 443, 8000, 8080];
            format!("{tcp},tcp_src={source},tcp_dst={}{flags}", port(random, &ports))
        }
        8..=11 => format!("{udp},udp_src={source},udp_dst={}", port(random, &[53, 53, 5353, 80])),
        12 if end != End::Service => format!("{sctp},sctp_src={source},sctp_dst={}", port(random, &[80, 9])),
        _ => icmp.to_owned(),
    };
    // To an endpoint and to the gateway Antrea's pipeline counts otherwise than the simulator.
    if end == End::Pod && random.u8(..12) == 0 {
        flow += [",nw_ttl=1", ",nw_ttl=2", ",nw_ttl=3"][random.usize(..3)];
    }
    flow
}
