//! A cluster of nodes `n1`, `n2`, … whose tunnel addresses are 192.168.0.1, 192.168.0.2, …

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use traceflow_core::datapath::{Capabilities, Mark, Sighting};
use traceflow_core::inventory::{Inventory, NodeEntry, Owner, PodEntry, ServiceEntry};
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::observation::{Action, Component, ComponentInfo, Observation};
use traceflow_core::packet::{
    CapturedPacket, CapturedTransport, IpFamily, IpHeader, Ipv4Header, MacAddress, Nonce, Packet, Protocol, TcpFlags,
    Transport,
};
use traceflow_core::plan::{End, FlowMatch, Plan, Question};

/// The nodes `n1` to `nN`.
pub(crate) struct Cluster(pub(crate) u8);

impl Inventory for Cluster {
    fn pod(&self, _name: &ObjectName) -> Option<PodEntry> {
        None
    }

    fn service(&self, _name: &ObjectName) -> Option<ServiceEntry> {
        None
    }

    fn owner(&self, address: IpAddr) -> Option<Owner> {
        self.nodes()
            .into_iter()
            .zip(1..)
            .find(|&(_, number)| tunnel_address(number) == address)
            .map(|(node, _)| Owner::Node(node))
    }

    fn node(&self, _name: &NodeName) -> Option<NodeEntry> {
        None
    }

    fn nodes(&self) -> Vec<NodeName> {
        (1..=self.0).map(node).collect()
    }

    fn endpoint_nodes(&self, service: &ObjectName) -> Option<BTreeSet<NodeName>> {
        (&*service.name == "web").then(|| BTreeSet::from([node(2), node(3)]))
    }
}

pub(crate) fn node(number: u8) -> NodeName {
    NodeName::new(format!("n{number}"))
}

pub(crate) fn tunnel_address(number: u8) -> IpAddr {
    Ipv4Addr::new(192, 168, 0, number).into()
}

/// The address of the Pod on this node.
pub(crate) fn pod_address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, number, 2)
}

/// Everything, with nonces and watches that stand.
pub(crate) fn capable() -> Capabilities {
    Capabilities {
        inject: true,
        live: true,
        dropped_only: true,
        ipv4: true,
        marks: 8,
        mark_memory: Duration::from_secs(10),
        nonce: true,
        standing_watch: true,
        window: None,
        counts_matches: true,
        ..Capabilities::default()
    }
}

fn end(number: u8) -> Option<End> {
    Some(End {
        owner: Some(Owner::Pod(ObjectName::new("default", format!("pod{number}")))),
        address: pod_address(number).into(),
        mac: None,
        node: Some(node(number)),
    })
}

/// From the Pod on `n1` to the Pod on another node.
pub(crate) fn inject_to(destination: u8, source_port: u16) -> Plan {
    Plan {
        source: end(1),
        destination: end(destination),
        question: Question::Inject {
            pod: ObjectName::new("default", "pod1"),
            node: node(1),
            packet: packet_to(destination, source_port),
        },
        timeout: Duration::from_secs(20),
        choices: Vec::new(),
    }
}

/// From the Pod on `n1` to a Service; `web` has endpoints on `n2` and `n3`, of others that isn't known.
pub(crate) fn inject_to_service(name: &str) -> Plan {
    let mut plan = inject_to(9, 1000);
    plan.destination = Some(End {
        owner: Some(Owner::Service(ObjectName::new("default", name))),
        address: pod_address(9).into(),
        mac: None,
        node: None,
    });
    plan
}

pub(crate) fn packet_to(destination: u8, source_port: u16) -> Packet {
    Packet {
        source_mac: MacAddress([2, 0, 0, 0, 0, 1]),
        destination_mac: MacAddress([2, 0, 0, 0, 0, 2]),
        ip: IpHeader::V4(Ipv4Header {
            source: pod_address(1),
            destination: pod_address(destination),
            ttl: 64,
            dscp: 0,
            flags: 2,
            identification: 0,
        }),
        transport: Transport::Tcp {
            source: source_port,
            destination: 80,
            flags: TcpFlags::SYN,
        },
        nonce: Nonce(0),
    }
}

/// Real TCP traffic from the Pod on `n1` to the Pod on another node.
pub(crate) fn live_to(destination: u8, dropped_only: bool) -> Plan {
    Plan {
        source: end(1),
        destination: end(destination),
        question: Question::Live {
            matching: FlowMatch {
                source: Some(pod_address(1).into()),
                destination: Some(pod_address(destination).into()),
                protocol: Some(Protocol::TCP),
                destination_port: Some(80),
                ..FlowMatch::any(IpFamily::V4)
            },
            dropped_only,
        },
        timeout: Duration::from_secs(20),
        choices: Vec::new(),
    }
}

/// What each node on the way from `n1` over tunnels to the last of `through` observes.
pub(crate) fn way(through: &[u8]) -> Vec<(NodeName, Arc<[Observation]>)> {
    let mut way = Vec::new();
    let mut arrival = Observation::new(Component::SpoofGuard, Action::Forwarded);
    for (place, &number) in through.iter().enumerate() {
        let departure = match through.get(place + 1) {
            Some(&next) => tunnel_to(next),
            None => delivered(),
        };
        way.push((node(number), Arc::from([arrival, departure])));
        arrival = received();
    }
    way
}

pub(crate) fn received() -> Observation {
    Observation::new(Component::Forwarding, Action::Received).at(ComponentInfo::Classification)
}

pub(crate) fn delivered() -> Observation {
    Observation::new(Component::Forwarding, Action::Delivered).at(ComponentInfo::Output)
}

pub(crate) fn dropped() -> Observation {
    Observation::new(Component::NetworkPolicy, Action::Dropped).at(ComponentInfo::IngressDefaultRule)
}

pub(crate) fn tunnel_to(number: u8) -> Observation {
    let mut output = Observation::new(Component::Forwarding, Action::Forwarded).at(ComponentInfo::Output);
    output.tunnel_dst_ip = Some(tunnel_address(number));
    output
}

pub(crate) fn sighting(
    node: &NodeName,
    mark: Mark,
    nonce: Option<Nonce>,
    observations: &Arc<[Observation]>,
) -> Sighting {
    Sighting {
        established: false,
        node: node.clone(),
        mark,
        nonce,
        step: 0,
        observations: observations.clone(),
        packet: None,
        timestamp: SystemTime::UNIX_EPOCH,
    }
}

/// A captured TCP SYN from the Pod on `n1`; `number` is its IP identification and sequence number.
pub(crate) fn captured(destination: u8, number: u16) -> CapturedPacket {
    CapturedPacket {
        source: pod_address(1).into(),
        destination: pod_address(destination).into(),
        length: 60,
        ttl: 63,
        dscp: 0,
        flags: Some(2),
        identification: Some(number),
        protocol: Protocol::TCP,
        transport: CapturedTransport::Tcp {
            source: 40_000,
            destination: 80,
            flags: Some(TcpFlags::SYN),
            sequence: Some(number.into()),
        },
        nonce: None,
    }
}
