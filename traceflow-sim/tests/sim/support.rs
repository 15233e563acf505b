//! Questions in one line, answers as text.

use std::fmt::Write;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use traceflow_core::datapath::{Datapath, Mark, Probe, ProbeKind, Report, Sighting, TraceId};
use traceflow_core::inventory::{Inventory, Owner};
use traceflow_core::names::ObjectName;
use traceflow_core::observation::Observation;
use traceflow_core::packet::{
    CapturedPacket, CapturedTransport, IcmpHeader, IpFamily, IpHeader, Ipv4Header, Ipv6Header, MacAddress, Nonce,
    Packet, Protocol, TcpFlags, Transport,
};
use traceflow_core::plan::{End, FlowMatch, Plan, Question};
use traceflow_core::trace::{Hop, Predictor};
use traceflow_sim::{Cluster, SimNetwork};

/// A client on one node, a web server on another, and nothing in the way.
pub(crate) fn two_nodes() -> SimNetwork {
    let cluster = Cluster::builder()
        .node("a")
        .node("b")
        .pod("client", "a")
        .pod("web", "b")
        .build();
    SimNetwork::new(cluster.unwrap())
}

/// The demo document's cluster.
pub(crate) fn demo() -> Cluster {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/demo/cluster.yaml");
    Cluster::from_paths([folder]).unwrap()
}

/// A packet to inject, from a Pod to a Pod, Service or address.
#[derive(Debug, Clone)]
pub(crate) struct Asking {
    source: ObjectName,
    destination: String,
    transport: Transport,
    ttl: u8,
    family: IpFamily,
    spoofed: Option<IpAddr>,
}

impl Asking {
    pub(crate) fn of(source: &str, destination: &str, transport: Transport) -> Self {
        Self {
            source: name(source),
            destination: destination.to_owned(),
            transport,
            ttl: 64,
            family: IpFamily::V4,
            spoofed: None,
        }
    }

    pub(crate) fn tcp(source: &str, destination: &str, port: u16) -> Self {
        let flags = TcpFlags::SYN;
        let (from, to) = (40000, port);
        Self::of(
            source,
            destination,
            Transport::Tcp {
                source: from,
                destination: to,
                flags,
            },
        )
    }

    pub(crate) fn ping(source: &str, destination: &str) -> Self {
        let header = IcmpHeader {
            icmp_type: 8,
            code: 0,
            id: 1,
            sequence: 1,
        };
        Self::of(source, destination, Transport::Icmp(header))
    }

    pub(crate) fn udp(source: &str, destination: &str, port: u16) -> Self {
        Self::of(
            source,
            destination,
            Transport::Udp {
                source: 40000,
                destination: port,
            },
        )
    }

    pub(crate) fn source_port(mut self, port: u16) -> Self {
        match &mut self.transport {
            Transport::Tcp { source, .. } | Transport::Udp { source, .. } | Transport::Sctp { source, .. } => {
                *source = port
            }
            _ => panic!("no ports"),
        }
        self
    }

    pub(crate) fn tcp_flags(mut self, wanted: u8) -> Self {
        match &mut self.transport {
            Transport::Tcp { flags, .. } => *flags = TcpFlags(wanted),
            _ => panic!("not TCP"),
        }
        self
    }

    pub(crate) fn ttl(mut self, ttl: u8) -> Self {
        self.ttl = ttl;
        self
    }

    pub(crate) fn v6(mut self) -> Self {
        self.family = IpFamily::V6;
        if let Transport::Icmp(header) = self.transport {
            self.transport = Transport::Icmpv6(IcmpHeader {
                icmp_type: 128,
                ..header
            });
        }
        self
    }

    pub(crate) fn spoofed(mut self, source: &str) -> Self {
        self.spoofed = Some(source.parse().unwrap());
        self
    }

    pub(crate) fn plan(&self, cluster: &Cluster) -> Plan {
        let pod = cluster.pod(&self.source).unwrap();
        let source = self.spoofed.unwrap_or_else(|| pod.address(self.family).unwrap());
        let destination = self.destination_address(cluster);
        let ip = match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => IpHeader::V4(Ipv4Header {
                source,
                destination,
                ttl: self.ttl,
                dscp: 0,
                flags: 0,
                identification: 1,
            }),
            (IpAddr::V6(source), IpAddr::V6(destination)) => IpHeader::V6(Ipv6Header {
                source,
                destination,
                hop_limit: self.ttl,
                dscp: 0,
                flow_label: 0,
            }),
            _ => panic!("two families"),
        };
        let node = pod.node.unwrap();
        let end = |address, owner| End {
            owner,
            address,
            mac: None,
            node: None,
        };
        let packet = Packet {
            source_mac: pod.mac.unwrap(),
            destination_mac: MacAddress([0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]),
            ip,
            transport: self.transport.clone(),
            nonce: Nonce(0x0123_4567_89ab_cdef),
        };
        Plan {
            source: Some(end(source, Some(Owner::Pod(self.source.clone())))),
            destination: Some(end(destination, cluster.owner(destination))),
            question: Question::Inject {
                pod: self.source.clone(),
                node,
                packet,
            },
            timeout: Duration::from_secs(20),
            choices: Vec::new(),
        }
    }

    fn destination_address(&self, cluster: &Cluster) -> IpAddr {
        if let Ok(address) = self.destination.parse() {
            return address;
        }
        let name = name(&self.destination);
        let pod = cluster.pod(&name).map(|pod| pod.addresses);
        let addresses = pod
            .or_else(|| cluster.service(&name).map(|service| service.cluster_ips))
            .unwrap();
        addresses
            .into_iter()
            .find(|&address| IpFamily::of(address) == self.family)
            .unwrap()
    }

    pub(crate) fn probe(&self, cluster: &Cluster) -> (Probe, Packet) {
        let Question::Inject { pod, packet, .. } = self.plan(cluster).question else {
            unreachable!()
        };
        let kind = ProbeKind::Injected {
            pod,
            packet: packet.clone(),
        };
        let probe = Probe {
            trace: TraceId(1),
            mark: Mark(1),
            kind,
            lifetime: Duration::from_secs(60),
        };
        (probe, packet)
    }

    /// The path that is predicted, as text.
    pub(crate) fn predicted(&self, network: &SimNetwork) -> String {
        text(&network.predict(&self.plan(network.cluster())).unwrap().hops)
    }

    /// The same, once it is clear that an injected packet takes the same path and leaves nothing behind.
    pub(crate) async fn predicted_and_injected(&self, network: &SimNetwork) -> String {
        let predicted = self.predicted(network);
        let (probe, packet) = self.probe(network.cluster());
        let Question::Inject { node, .. } = self.plan(network.cluster()).question else {
            unreachable!()
        };
        let mut streams: Vec<_> = network.datapaths().iter().map(|datapath| datapath.reports()).collect();
        for datapath in network.datapaths() {
            datapath.attach().await.unwrap();
        }
        network.datapath(&node).unwrap().inject(&probe, &packet).await.unwrap();
        let mut injected = String::new();
        let mut seen = Vec::new();
        for stream in &mut streams {
            seen.extend(drain(stream));
        }
        seen.sort_by_key(|sighting| sighting.node != node);
        for sighting in &seen {
            assert_eq!(sighting.nonce, Some(packet.nonce));
            injected += &one_hop(sighting.node.as_str(), &sighting.observations);
        }
        assert_eq!(predicted, injected, "the injected packet takes the predicted path");
        for datapath in network.datapaths() {
            datapath.remove(&probe).await.unwrap();
            datapath.detach().await.unwrap();
        }
        assert_eq!(network.leftovers(), Vec::<String>::new());
        predicted
    }
}

/// Arms a live probe at every node.
pub(crate) fn live(
    network: &SimNetwork,
    source: &str,
    destination: &str,
    protocol: Protocol,
    port: Option<u16>,
    dropped_only: bool,
) -> Probe {
    let cluster = network.cluster();
    let address = |text: &str| {
        let pod = cluster.pod(&name(text)).map(|pod| pod.addresses);
        pod.or_else(|| cluster.service(&name(text)).map(|service| service.cluster_ips))
            .unwrap()[0]
    };
    let matching = FlowMatch {
        source: Some(address(source)),
        destination: Some(address(destination)),
        protocol: Some(protocol),
        destination_port: port,
        ..FlowMatch::any(IpFamily::V4)
    };
    probe(7, matching, dropped_only)
}

pub(crate) fn probe(number: u32, matching: FlowMatch, dropped_only: bool) -> Probe {
    Probe {
        trace: TraceId(u64::from(number)),
        mark: Mark(number),
        kind: ProbeKind::Live { matching, dropped_only },
        lifetime: Duration::from_secs(60),
    }
}

/// What all nodes report of this traffic while the probe is installed everywhere, as text.
pub(crate) async fn sightings(network: &SimNetwork, probe: &Probe, traffic: &str) -> String {
    let mut streams: Vec<_> = network.datapaths().iter().map(|datapath| datapath.reports()).collect();
    for datapath in network.datapaths() {
        datapath.install(probe).await.unwrap();
    }
    network.send(&traffic.parse().unwrap()).unwrap();
    let mut text = String::new();
    for stream in &mut streams {
        for sighting in drain(stream) {
            assert_eq!(sighting.mark, probe.mark);
            text += &one_hop(sighting.node.as_str(), &sighting.observations);
            text += &captured(sighting.packet.as_ref().unwrap());
        }
    }
    for datapath in network.datapaths() {
        datapath.remove(probe).await.unwrap();
    }
    assert_eq!(network.leftovers(), Vec::<String>::new());
    text
}

/// The sightings that are there to be read.
pub(crate) fn drain(stream: &mut futures_core::stream::BoxStream<'static, Report>) -> Vec<Sighting> {
    let mut seen = Vec::new();
    while let Some(Some(report)) = stream.next().now_or_never() {
        if let Report::Seen(sighting) = report {
            seen.push(sighting);
        }
    }
    seen
}

pub(crate) fn datapath(network: &SimNetwork, node: &str) -> Arc<dyn Datapath> {
    network.datapath(&node.into()).unwrap()
}

pub(crate) fn name(text: &str) -> ObjectName {
    let (namespace, name) = text.split_once('/').unwrap_or(("default", text));
    ObjectName::new(namespace, name)
}

/// A path as text.
pub(crate) fn text(hops: &[Hop]) -> String {
    hops.iter()
        .map(|hop| one_hop(hop.node.as_str(), &hop.observations))
        .collect()
}

fn one_hop(node: &str, observations: &[Observation]) -> String {
    let mut text = format!("{node}\n");
    for observation in observations {
        text += &line(observation);
    }
    text
}

fn line(observation: &Observation) -> String {
    let mut line = format!("  {}", observation.component);
    if let Some(info) = &observation.component_info {
        write!(line, "/{info}").unwrap();
    }
    write!(line, " {}", observation.action).unwrap();
    let details = [
        ("pod", observation.pod.as_ref().map(ToString::to_string)),
        (
            "translatedSrcIP",
            observation.translated_src_ip.map(|address| address.to_string()),
        ),
        (
            "translatedDstIP",
            observation.translated_dst_ip.map(|address| address.to_string()),
        ),
        (
            "tunnelDstIP",
            observation.tunnel_dst_ip.map(|address| address.to_string()),
        ),
        (
            "networkPolicy",
            observation.network_policy.as_ref().map(ToString::to_string),
        ),
        (
            "networkPolicyRule",
            observation.network_policy_rule.as_ref().map(ToString::to_string),
        ),
        ("egress", observation.egress.as_ref().map(ToString::to_string)),
        ("egressIP", observation.egress_ip.map(|address| address.to_string())),
        ("egressNode", observation.egress_node.as_ref().map(ToString::to_string)),
    ];
    for (key, value) in details {
        if let Some(value) = value {
            write!(line, " {key}={value}").unwrap();
        }
    }
    if let Some(reason) = &observation.reason {
        write!(line, " ({reason})").unwrap();
    }
    line + "\n"
}

fn captured(packet: &CapturedPacket) -> String {
    let CapturedPacket {
        source,
        destination,
        ttl,
        length,
        ..
    } = packet;
    let transport = match &packet.transport {
        CapturedTransport::Tcp {
            source,
            destination,
            flags,
            ..
        } => {
            format!("Tcp {{ source: {source}, destination: {destination}, flags: {flags:?} }}")
        }
        CapturedTransport::Icmp(_) => "Icmp".to_owned(),
        other => format!("{other:?}"),
    };
    let flags = packet.flags.map_or_else(|| "-".to_owned(), |flags| flags.to_string());
    let protocol = packet.protocol.0;
    format!(
        "  captured {source} to {destination} protocol {protocol} ttl {ttl} flags {flags} length {length} {transport}\n"
    )
}
