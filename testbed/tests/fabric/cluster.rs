//! A small network of our own: every node routes to its own Pods and tunnels to the others'.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use testbed::realisation::{Gateway, NodeRealisation, PodPort, Program, TUNNEL_PORT};
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::packet::{MacAddress, Protocol};

/// The MAC address of every gateway.
pub(crate) const GATEWAY: MacAddress = MacAddress([2, 0, 0, 10, 0, 1]);

/// Nodes `node-0` and so on with two Pods each, `default/pod-0-0` and so on, of both families.
pub(crate) fn nodes(count: u8, underlay: Family) -> Vec<NodeRealisation> {
    (0..count).map(|node| realisation(node, count, underlay)).collect()
}

/// Over what the nodes tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

pub(crate) fn node_name(node: u8) -> NodeName {
    NodeName::new(format!("node-{node}"))
}

pub(crate) fn pod_name(node: u8, pod: u8) -> ObjectName {
    ObjectName::new("default", format!("pod-{node}-{pod}"))
}

pub(crate) fn pod_mac(node: u8, pod: u8) -> MacAddress {
    MacAddress([2, 0, 0, 10, node, 10 + pod])
}

pub(crate) fn pod_v4(node: u8, pod: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 10, node, 10 + pod)
}

pub(crate) fn pod_v6(node: u8, pod: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 10, u16::from(node), 0, 0, 0, 0, 10 + u16::from(pod))
}

fn tunnel_end(node: u8, underlay: Family) -> IpAddr {
    match underlay {
        Family::V4 => Ipv4Addr::new(192, 168, 77, 1 + node).into(),
        Family::V6 => Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1 + u16::from(node)).into(),
    }
}

fn realisation(node: u8, count: u8, underlay: Family) -> NodeRealisation {
    let others = (0..count).filter(|other| *other != node);
    NodeRealisation {
        name: node_name(node),
        addresses: vec![tunnel_end(node, underlay)],
        egress_addresses: Vec::new(),
        peers: others
            .clone()
            .map(|other| (node_name(other), tunnel_end(other, underlay)))
            .collect(),
        routed: Vec::new(),
        gateway: Gateway {
            mac: GATEWAY,
            addresses: vec![
                (
                    Ipv4Addr::new(10, 10, node, 1).into(),
                    format!("10.10.{node}.0/24").parse().unwrap(),
                ),
                (
                    format!("fd00:a:{node}::1").parse().unwrap(),
                    format!("fd00:a:{node}::/64").parse().unwrap(),
                ),
            ],
        },
        pods: (0..2).map(|pod| port(node, pod)).collect(),
        program: Program {
            groups: "group_id=1,type=select,bucket=bucket_id:0,weight:100,actions=drop\n".to_owned(),
            flows: flows(node, others, underlay),
        },
        rules: Vec::new(),
    }
}

fn port(node: u8, pod: u8) -> PodPort {
    PodPort {
        pod: pod_name(node, pod),
        port: 3 + u32::from(pod),
        mac: pod_mac(node, pod),
        addresses: vec![pod_v4(node, pod).into(), pod_v6(node, pod).into()],
        listens: vec![
            (Protocol::TCP, 80),
            (Protocol::UDP, 53),
            (Protocol::TCP, 80),
            (Protocol::SCTP, 9),
        ],
    }
}

fn flows(node: u8, others: impl Iterator<Item = u8>, underlay: Family) -> String {
    let mut flows = String::from("# What no flow is for is dropped\ntable=0,priority=0 actions=drop\n");
    for pod in 0..2 {
        let (mac, port) = (pod_mac(node, pod), 3 + pod);
        let actions = format!("set_field:{mac}->eth_dst,output:{port}");
        let _ = writeln!(
            flows,
            "cookie=0x4{pod},table=0,priority=100,ip,nw_dst={} actions={actions}",
            pod_v4(node, pod)
        );
        let _ = writeln!(
            flows,
            "cookie=0x6{pod},table=0,priority=100,ipv6,ipv6_dst={} actions={actions}",
            pod_v6(node, pod)
        );
    }
    for other in others {
        let end = tunnel_end(other, underlay);
        let field = if end.is_ipv6() { "tun_ipv6_dst" } else { "tun_dst" };
        let actions = format!("set_field:{end}->{field},output:{TUNNEL_PORT}");
        let _ = writeln!(
            flows,
            "table=0,priority=50,ip,nw_dst=10.10.{other}.0/24 actions={actions}"
        );
        let _ = writeln!(
            flows,
            "table=0,priority=50,ipv6,ipv6_dst=fd00:a:{other}::/64 actions={actions}"
        );
    }
    flows
}
