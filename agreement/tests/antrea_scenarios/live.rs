//! Real traffic that is followed.

use std::sync::Arc;

use agreement::world::World;
use testbed::fabric::Form;
use traceflow_core::inventory::Inventory;
use traceflow_core::names::ObjectName;
use traceflow_core::packet::{
    CapturedPacket, CapturedTransport, IcmpHeader, IpFamily, Ipv4Header, Protocol, Transport,
};
use traceflow_core::plan::{Plan, Question};
use traceflow_core::session::Progress;
use traceflow_core::spec::{CommandLine, IcmpSpec};
use traceflow_core::trace::Trace;
use traceflow_core::tracer::Tracer;
use traceflow_sim::{Cluster, Traffic};

use crate::clusters::policed;
use crate::told::{ALLOWED, GUARDED, GUARDED_V6, TUNNELLED, Told, as_text, told};
use crate::{FROM, injecting, plan, simulated, switches_are_installed};

/// Live traffic: name, whether only drops are asked for, the ends that are asked for, if they are, the flow, the Pods that send
/// and receive, what is told, and the TTL with which the packet was caught: counted down wherever it was routed before.
type Live = (
    &'static str,
    bool,
    [Option<&'static str>; 2],
    &'static str,
    [&'static str; 2],
    Told,
    u8,
);

/// Antrea's live cases ping, all of them.
const LIVE: &[Live] = &[
    (
        "intraNodeICMPDstIPLiveTraceflowIPv4",
        false,
        [Some(FROM), Some("10.244.0.4")],
        "icmp",
        [FROM, "node1-pod2"],
        &[("node1", &[GUARDED, ALLOWED, "delivered"])],
        64,
    ),
    // Antrea watches at the receiver alone, as the sender is an address to it, and begins with "received". Here the node is known
    // to be the sender's, too, and the whole way over it is told.
    (
        "intraNodeICMPSrcIPDroppedTraceflowIPv4",
        true,
        [Some("10.244.0.2"), Some("node1-pod1")],
        "icmp",
        [FROM, "node1-pod1"],
        &[("node1", &[GUARDED, ALLOWED, "ingress-default-drop"])],
        64,
    ),
    (
        "intraNodeICMPDstIPLiveTraceflowIPv6",
        false,
        [Some(FROM), Some("fd00:10:244::4")],
        "icmp6",
        [FROM, "node1-pod2"],
        &[("node1", &[GUARDED_V6, ALLOWED, "delivered"])],
        64,
    ),
    (
        "interNodeICMPDstPodLiveTraceflowIPv4",
        false,
        [Some(FROM), Some("node2-pod0")],
        "icmp",
        [FROM, "node2-pod0"],
        &[
            ("node1", &[GUARDED, ALLOWED, TUNNELLED]),
            ("node2", &["received", "delivered"]),
        ],
        63,
    ),
    (
        "interNodeICMPDstPodLiveTraceflowIPv6",
        false,
        [Some(FROM), Some("node2-pod0")],
        "icmp6",
        [FROM, "node2-pod0"],
        &[
            ("node1", &[GUARDED_V6, ALLOWED, TUNNELLED]),
            ("node2", &["received", "delivered"]),
        ],
        63,
    ),
    // TestStartTraceflow.
    (
        "live traceflow receive only",
        false,
        [None, Some("node2-pod0")],
        "icmp",
        [FROM, "node2-pod0"],
        &[("node2", &["received", "delivered"])],
        62,
    ),
];

fn following<'a>((_, dropped_only, [source, destination], flow, ..): &Live) -> CommandLine<'a> {
    CommandLine {
        source: *source,
        destination: *destination,
        flow: Some(flow),
        live_traffic: true,
        dropped_only: *dropped_only,
        ..CommandLine::default()
    }
}

/// When the second packet is sent, as a ping goes on. It is never told.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Second {
    /// While the first is on its way.
    AtOnce,
    /// When the first has given the answer.
    AfterTheAnswer,
}

/// Arms the trace, and has `send` send its packets, numbered from 1.
async fn followed(tracer: &Tracer, plan: Plan, second: Second, mut send: impl FnMut(u16)) -> Trace {
    let mut tracing = tracer.trace(plan);
    let mut sent = 0;
    while let Some(news) = tracing.progress().await {
        let packets = match (news, second) {
            (Progress::Armed { .. }, Second::AtOnce) => 2,
            (Progress::Armed { .. }, Second::AfterTheAnswer) | (Progress::CleaningUp, Second::AfterTheAnswer) => 1,
            _ => 0,
        };
        for _ in 0..packets {
            sent += 1;
            send(sent);
        }
    }
    assert_eq!(sent, 2, "the first packet gives the answer");
    tracing.await.unwrap()
}

/// The identifier of every ping here.
const ID: u16 = 7;

/// The way, told once, and the packet as it was caught: the sender's first, whole, with the TTL that it had where it was caught.
fn check_live(live: &Live, second: Second, cluster: &Cluster, trace: &Trace) {
    let (name, _, _, flow, [source, destination], expected, ttl) = live;
    let (verdict, notes) = (&trace.verdict, &trace.notes);
    assert_eq!(
        told(&trace.hops),
        as_text(expected),
        "{name}, {second:?}: {verdict} {notes:?}"
    );
    assert_eq!(trace.finding, None, "{name}");
    let v4 = *flow == "icmp";
    let address = |pod: &str| {
        let pod = cluster.pod(&ObjectName::new("default", pod)).unwrap();
        pod.address(if v4 { IpFamily::V4 } else { IpFamily::V6 }).unwrap()
    };
    let caught = trace.captured.clone().expect("the packet was caught");
    let expected = CapturedPacket {
        source: address(source),
        destination: address(destination),
        length: if v4 { 84 } else { 104 },
        ttl: *ttl,
        dscp: 0,
        flags: v4.then_some(Ipv4Header::DONT_FRAGMENT),
        protocol: if v4 { Protocol::ICMP } else { Protocol::ICMPV6 },
        // Antrea leaves identifier and sequence number out, as it can't know those of its ping.
        transport: CapturedTransport::Icmp(IcmpHeader {
            icmp_type: if v4 { 8 } else { 128 },
            code: 0,
            id: ID,
            sequence: 1,
        }),
        // Whatever the sender chose.
        identification: caught.identification,
        nonce: caught.nonce,
    };
    assert_eq!(caught, expected, "{name}, {second:?}");
}

#[tokio::test(start_paused = true)]
async fn of_real_traffic_on_the_simulated_network() {
    for live in LIVE {
        for second in [Second::AtOnce, Second::AfterTheAnswer] {
            let (_, _, _, flow, [source, destination], ..) = live;
            let cluster = Arc::new(policed().build().unwrap());
            let (network, tracer) = simulated(&cluster);
            let ping: Traffic = format!("{source}->{destination} {flow}").parse().unwrap();
            let trace = followed(&tracer, plan(&cluster, following(live)), second, |number| {
                let header = IcmpSpec {
                    id: Some(ID),
                    sequence: Some(number),
                    ..IcmpSpec::default()
                };
                let mut ping = ping.clone();
                ping.packet = ping.packet.with_icmp(header).unwrap();
                network.send(&ping).unwrap();
            });
            check_live(live, second, &cluster, &trace.await);
            tracer.close().await.unwrap();
            assert_eq!(network.leftovers(), Vec::<String>::new());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_real_traffic_on_switches() {
    if !switches_are_installed() {
        return;
    }
    let cluster = Arc::new(policed().build().unwrap());
    let world = World::start(cluster.clone(), Form::Rootless).unwrap();
    for live in LIVE {
        for second in [Second::AtOnce, Second::AfterTheAnswer] {
            let (_, _, _, flow, [source, destination], ..) = live;
            let link = world.fabric.pod_link(&ObjectName::new("default", *source)).unwrap();
            let trace = followed(&world.tracer, plan(&cluster, following(live)), second, |number| {
                let ping = ping(&cluster, [source, destination, flow], number);
                link.send(&ping).unwrap();
            });
            check_live(live, second, &cluster, &trace.await);
        }
    }
    assert_eq!(world.end().await.unwrap(), Vec::<String>::new());
}

/// What a Pod behind a Service is handed: the scenarios of a Service name its target port, which no observation does.
const ARRIVING: &[(&str, &str, &str)] = &[
    ("serviceTraceflowIPv4", "tcp,tcp_dst=8080", "tcp,tcp_dst=80"),
    ("serviceTraceflowIPv6", "tcp6,tcp_dst=8080", "tcp6,tcp_dst=80"),
];

fn arriving<'a>(flow: &'a str) -> CommandLine<'a> {
    CommandLine {
        destination: Some("agnhost"),
        flow: Some(flow),
        live_traffic: true,
        ..CommandLine::default()
    }
}

fn check_arrived(name: &str, trace: &Trace) {
    let caught = trace.captured.as_ref().expect("the packet was caught");
    let port = caught.transport.ports().map(|(_, destination)| destination);
    assert_eq!(port, Some(8080), "{name}");
    let arrived: Told = &[("node2", &["received", "delivered"])];
    assert_eq!(told(&trace.hops), as_text(arrived), "{name}");
}

#[tokio::test(start_paused = true)]
async fn a_service_hands_on_to_its_target_port_on_the_simulated_network() {
    for (name, flow, sent) in ARRIVING {
        let cluster = Arc::new(policed().build().unwrap());
        let (network, tracer) = simulated(&cluster);
        let request: Traffic = format!("{FROM}->svc {sent}").parse().unwrap();
        let trace = followed(&tracer, plan(&cluster, arriving(flow)), Second::AtOnce, |_| {
            network.send(&request).unwrap();
        });
        check_arrived(name, &trace.await);
        tracer.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_hands_on_to_its_target_port_on_switches() {
    if !switches_are_installed() {
        return;
    }
    let cluster = Arc::new(policed().build().unwrap());
    let world = World::start(cluster.clone(), Form::Rootless).unwrap();
    for (name, flow, sent) in ARRIVING {
        let link = world.fabric.pod_link(&ObjectName::new("default", FROM)).unwrap();
        let Question::Inject { packet, .. } = plan(&cluster, injecting(&[FROM, "svc", sent])).question else {
            unreachable!("a packet was asked for")
        };
        let trace = followed(&world.tracer, plan(&cluster, arriving(flow)), Second::AtOnce, |_| {
            link.send(&packet.to_vec()).unwrap();
        });
        check_arrived(name, &trace.await);
    }
    assert_eq!(world.end().await.unwrap(), Vec::<String>::new());
}

/// The frame of a ping, as Linux' has it: with 56 bytes of payload.
fn ping(cluster: &Cluster, asked: [&str; 3], number: u16) -> Vec<u8> {
    let Question::Inject { mut packet, .. } = plan(cluster, injecting(&asked)).question else {
        unreachable!("a packet was asked for")
    };
    if let Transport::Icmp(header) | Transport::Icmpv6(header) = &mut packet.transport {
        (header.id, header.sequence) = (ID, number);
    }
    let mut frame = packet.to_vec();
    // Where the length is, and the checksum that covers it: IPv4's own, or ICMPv6's.
    let (length, checksum) = match packet.ip.family() {
        IpFamily::V4 => (16, 24),
        IpFamily::V6 => (18, 56),
    };
    let field = |frame: &[u8], at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
    let (old, sum) = (field(&frame, length), field(&frame, checksum));
    let more = 56 - 8;
    let new = old + more;
    frame.extend(vec![0; usize::from(more)]);
    frame[length..length + 2].copy_from_slice(&new.to_be_bytes());
    frame[checksum..checksum + 2].copy_from_slice(&updated(sum, old, new).to_be_bytes());
    frame
}

/// A checksum after one of the fields that it covers has changed (RFC 1624, equation 3).
fn updated(sum: u16, old: u16, new: u16) -> u16 {
    let mut total = u32::from(!sum) + u32::from(!old) + u32::from(new);
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    !(total as u16)
}
