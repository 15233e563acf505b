//! What a Traceflow resource becomes before anything is sent: the packet, the match, or the reason why not.
//!
//! The names are those of Antrea's `TestPreparePacket` and `TestStartTraceflow`
//! (`pkg/agent/controller/traceflow/traceflow_controller_test.go`), but for those that say that they are ours.

use std::net::{IpAddr, Ipv6Addr};
use std::time::SystemTime;

use traceflow_core::Error;
use traceflow_core::input::{BadInput, Text};
use traceflow_core::packet::{
    CapturedPacket, CapturedTransport, IcmpHeader, IpHeader, Packet, Protocol, TcpFlags, Transport,
};
use traceflow_core::plan::{FlowMatch, Question};
use traceflow_core::render::{Phase, Status};
use traceflow_core::spec::Manifest;
use traceflow_sim::Cluster;

use crate::clusters::nodes;

/// A case, the `spec` of its Traceflow, and what becomes of it.
type Prepared = (&'static str, &'static str, &'static str);

/// Antrea's packets may be fragmented, ours may not, as those of a Linux Pod. What Antrea leaves at 0, the source port and
/// ICMP's identifier, is chosen here, so that connections differ, and a ping begins with number 1; the seed is fixed. Antrea's packet has no destination MAC address yet
/// where it is for the gateway, which gives it one later.
const PACKETS: &[Prepared] = &[
    (
        "tcp packet",
        "source: {pod: node1-pod0, namespace: default}, destination: {pod: node1-pod1, namespace: default}, \
         packet: {transportHeader: {tcp: {srcPort: 80, dstPort: 81, flags: 11}}}",
        "10.244.0.2 > 10.244.0.3, 0a:58:0a:f4:00:02 > 0a:58:0a:f4:00:03, TTL 64 flags 2, TCP 80 > 81 flags 11, 40 bytes",
    ),
    (
        "tcp packet without flag",
        "source: {pod: node1-pod0, namespace: default}, destination: {pod: node1-pod1, namespace: default}, \
         packet: {transportHeader: {tcp: {srcPort: 80, dstPort: 81}}}",
        "10.244.0.2 > 10.244.0.3, 0a:58:0a:f4:00:02 > 0a:58:0a:f4:00:03, TTL 64 flags 2, TCP 80 > 81 flags 2, 40 bytes",
    ),
    (
        "udp packet",
        "source: {pod: node1-pod0, namespace: default}, destination: {pod: node1-pod1, namespace: default}, \
         packet: {transportHeader: {udp: {srcPort: 90, dstPort: 100}}}",
        "10.244.0.2 > 10.244.0.3, 0a:58:0a:f4:00:02 > 0a:58:0a:f4:00:03, TTL 64 flags 2, UDP 90 > 100, 36 bytes",
    ),
    (
        "icmp packet",
        "source: {pod: node1-pod0, namespace: default}, destination: {pod: node1-pod1, namespace: default}, \
         packet: {transportHeader: {icmp: {id: 10, sequence: 20}}}",
        "10.244.0.2 > 10.244.0.3, 0a:58:0a:f4:00:02 > 0a:58:0a:f4:00:03, TTL 64 flags 2, ICMP type 8 code 0 id 10 seq 20, 36 bytes",
    ),
    (
        "Pod-to-Pod traceflow",
        "source: {pod: node1-pod0, namespace: default}, destination: {pod: node1-pod1, namespace: default}",
        "10.244.0.2 > 10.244.0.3, 0a:58:0a:f4:00:02 > 0a:58:0a:f4:00:03, TTL 64 flags 2, ICMP type 8 code 0 id 46802 seq 1, 36 bytes",
    ),
    (
        "Pod-to-IPv4 traceflow",
        "source: {pod: node1-pod0, namespace: default}, destination: {ip: 192.168.99.99}",
        "10.244.0.2 > 192.168.99.99, 0a:58:0a:f4:00:02 > 0a:58:0a:f4:00:01, TTL 64 flags 2, ICMP type 8 code 0 id 46802 seq 1, 36 bytes",
    ),
    (
        "Pod-to-service packet without port and protocol",
        "source: {pod: node1-pod0, namespace: default}, destination: {service: svc, namespace: default}, \
         packet: {ipHeader: {}}",
        "10.244.0.2 > 10.96.0.10, 0a:58:0a:f4:00:02 > 0a:58:0a:f4:00:01, TTL 64 flags 2, TCP 47094 > 80 flags 2, 40 bytes",
    ),
    (
        "Pod-to-service packet with port and protocol",
        "source: {pod: node1-pod0, namespace: default}, destination: {service: svc, namespace: default}, \
         packet: {ipHeader: {protocol: 17}, transportHeader: {udp: {dstPort: 8080}}}",
        "10.244.0.2 > 10.96.0.10, 0a:58:0a:f4:00:02 > 0a:58:0a:f4:00:01, TTL 64 flags 2, UDP 47094 > 8080, 36 bytes",
    ),
    // Ours: what Antrea fills in for IPv6, which has no flags, and what it passes on.
    (
        "icmp packet over IPv6",
        "source: {pod: node1-pod0, namespace: default}, destination: {pod: node1-pod1, namespace: default}, \
         packet: {ipv6Header: {}}",
        "fd00:10:244::2 > fd00:10:244::3, 0a:58:0a:f4:00:02 > 0a:58:0a:f4:00:03, TTL 64, ICMPv6 type 128 code 0 id 46802 seq 1, 56 bytes",
    ),
    (
        "TTL and flags as asked for",
        "source: {pod: node1-pod0, namespace: default}, destination: {pod: node2-pod0, namespace: default}, \
         packet: {ipHeader: {protocol: 1, ttl: 5, flags: 0}}",
        "10.244.0.2 > 10.244.1.3, 0a:58:0a:f4:00:02 > 0a:58:0a:f4:00:01, TTL 5 flags 0, ICMP type 8 code 0 id 46802 seq 1, 36 bytes",
    ),
    (
        "hop limit as asked for",
        "source: {pod: node1-pod0, namespace: default}, destination: {pod: node2-pod0, namespace: default}, \
         packet: {ipv6Header: {nextHeader: 58, hopLimit: 5}}",
        "fd00:10:244::2 > fd00:10:244:1::3, 0a:58:0a:f4:00:02 > 0a:58:0a:f4:00:01, TTL 5, ICMPv6 type 128 code 0 id 46802 seq 1, 56 bytes",
    ),
];

/// Antrea matches what comes to a Pod by its MAC address, we by its IP address, as a MAC address isn't seen on other nodes.
const MATCHES: &[Prepared] = &[
    (
        "receive only from a source IPv4 to destination Pod1 in live traffic traceflow",
        "source: {ip: 192.168.12.4}, destination: {pod: node1-pod0, namespace: default}, liveTraffic: true, \
         packet: {ipHeader: {}}",
        "IPv4 192.168.12.4 > 10.244.0.2, protocol any",
    ),
    (
        "live traceflow receive only",
        "destination: {pod: node1-pod1, namespace: default}, liveTraffic: true",
        "IPv4 any > 10.244.0.3, protocol any",
    ),
    // Antrea's match has no source, as its flows stand at the Pod's port.
    (
        "Pod-to-IPv6 liveTraffic traceflow",
        "source: {pod: node1-pod0, namespace: default}, destination: {ip: '2001:db8::68'}, liveTraffic: true, \
         packet: {ipv6Header: {nextHeader: 58}}",
        "IPv6 fd00:10:244::2 > 2001:db8::68, protocol ICMPv6",
    ),
];

const REFUSALS: &[Prepared] = &[
    (
        "invalid destination IPv4",
        "source: {pod: node1-pod0, namespace: default}, destination: {ip: 1.1.1.300}",
        "spec.destination.ip: \"1.1.1.300\" is not valid; use an IPv4 or IPv6 address such as 10.0.0.1 or fd00::1",
    ),
    (
        "invalid destination IPv6 (ours)",
        "source: {pod: node1-pod0, namespace: default}, destination: {ip: 'fd00::10000'}, packet: {ipv6Header: {}}",
        "spec.destination.ip: \"fd00::10000\" is not valid; use an IPv4 or IPv6 address such as 10.0.0.1 or fd00::1",
    ),
    (
        "empty destination with no live traffic",
        "source: {pod: node1-pod0, namespace: default}",
        "spec.destination: is missing; name a Pod, a Service or an IP address",
    ),
    (
        "source Pod without IPv4 address",
        "source: {pod: v6-only, namespace: default}, destination: {ip: 192.0.2.1}, packet: {ipHeader: {}}",
        "spec.source.pod: Pod default/v6-only has no IPv4 address; choose another, or ask for the other address family",
    ),
    (
        "source Pod without IPv6 address",
        "source: {pod: v4-only, namespace: default}, destination: {pod: node1-pod1, namespace: default}, \
         packet: {ipv6Header: {}}",
        "spec.source.pod: Pod default/v4-only has no IPv6 address; choose another, or ask for the other address family",
    ),
    (
        "destination IP family different from packet",
        "source: {pod: node1-pod0, namespace: default}, destination: {ip: 192.168.1.2}, liveTraffic: true, \
         packet: {ipv6Header: {}}",
        "spec.destination.ip: 192.168.1.2 is an IPv4 address, but the packet is IPv6; use one family for both",
    ),
    (
        "source IP family different from packet for receiver only case",
        "source: {ip: 192.168.1.2}, destination: {pod: node1-pod0, namespace: default}, liveTraffic: true, \
         packet: {ipv6Header: {}}",
        "spec.source.ip: 192.168.1.2 is an IPv4 address, but the packet is IPv6; use one family for both",
    ),
    (
        "destination Pod unavailable",
        "source: {pod: node1-pod0, namespace: default}, destination: {pod: unknown-pod, namespace: default}",
        "spec.destination.pod: Pod default/unknown-pod is not in the cluster; check its name and namespace",
    ),
    (
        "destination Pod without IPv4 address in live traffic traceflow",
        "destination: {pod: v6-only, namespace: default}, liveTraffic: true, packet: {ipHeader: {}}",
        "spec.destination.pod: Pod default/v6-only has no IPv4 address; choose another, or ask for the other address family",
    ),
    (
        "destination Pod without IPv6 address in live traffic traceflow",
        "destination: {pod: v4-only, namespace: default}, liveTraffic: true, packet: {ipv6Header: {}}",
        "spec.destination.pod: Pod default/v4-only has no IPv6 address; choose another, or ask for the other address family",
    ),
    (
        "ends of different families (ours)",
        "source: {pod: v4-only, namespace: default}, destination: {pod: v6-only, namespace: default}",
        "spec.destination.pod: Pod default/v4-only has only IPv4, Pod default/v6-only has only IPv6; choose ends of one address family",
    ),
    (
        "IPv6 Pod-to-headless-service with no ClusterIP",
        "source: {pod: node1-pod0, namespace: default}, destination: {service: headless, namespace: default}, \
         packet: {ipv6Header: {}}",
        "spec.destination.service: Service default/headless has no cluster address of its own; name one of its Pods instead",
    ),
    (
        "IPv6 Pod-to-service with no ports",
        "source: {pod: node1-pod0, namespace: default}, destination: {service: portless, namespace: default}, \
         packet: {ipv6Header: {}}",
        "spec.destination.service: Service default/portless has no ports; say which port the packet goes to",
    ),
    (
        "destination Service unavailable (ours)",
        "source: {pod: node1-pod0, namespace: default}, destination: {service: unknown, namespace: default}",
        "spec.destination.service: Service default/unknown is not in the cluster; check its name and namespace",
    ),
    (
        "IPv6 flags (ours)",
        "source: {pod: node1-pod0, namespace: default}, destination: {pod: node1-pod1, namespace: default}, \
         packet: {ipv6Header: {flags: 2}}",
        "spec.packet.ipv6Header.flags: there is no such field; use nextHeader or hopLimit",
    ),
];

fn cluster() -> Cluster {
    nodes()
        .pod("v4-only", "node1")
        .address("10.244.0.40")
        .pod("v6-only", "node1")
        .address("fd00:10:244::40")
        .service("headless", 80)
        .headless()
        .yaml("apiVersion: v1\nkind: Service\nmetadata: {name: portless}\nspec: {clusterIP: 'fd00:10:96::99'}")
        .build()
        .unwrap()
}

fn asked(cluster: &Cluster, spec: &str) -> Result<Question, BadInput> {
    let text = format!("apiVersion: crd.antrea.io/v1beta1\nkind: Traceflow\nmetadata: {{name: tf}}\nspec: {{{spec}}}");
    let manifests = Manifest::read(&Text::new("tf.yaml", text))?;
    let plan = manifests[0].plan(cluster, &mut fastrand::Rng::with_seed(1))?;
    Ok(plan.question)
}

/// The packet as `FROM > TO, the MAC addresses, the headers, the length of the IP packet`; or the match; or the refusal, without
/// its place in the file.
fn outcome(cluster: &Cluster, spec: &str) -> String {
    match asked(cluster, spec) {
        Ok(Question::Inject { packet, .. }) => packet_text(&packet),
        Ok(Question::Live { matching, .. }) => match_text(&matching),
        Err(error) => {
            let text = error.to_string();
            match text.find("spec") {
                Some(start) => text[start..].to_owned(),
                None => text,
            }
        }
    }
}

fn packet_text(packet: &Packet) -> String {
    let (from, to) = (packet.ip.source(), packet.ip.destination());
    let transport = match packet.transport {
        Transport::Tcp {
            source,
            destination,
            flags: TcpFlags(flags),
        } => format!("TCP {source} > {destination} flags {flags}"),
        Transport::Udp { source, destination } => format!("UDP {source} > {destination}"),
        Transport::Icmp(header) | Transport::Icmpv6(header) => {
            let IcmpHeader {
                icmp_type,
                code,
                id,
                sequence,
            } = header;
            format!(
                "{} type {icmp_type} code {code} id {id} seq {sequence}",
                packet.protocol()
            )
        }
        Transport::Sctp { .. } | Transport::Other(_) => unreachable!("Antrea has no such case"),
    };
    let flags = match &packet.ip {
        IpHeader::V4(header) => format!(" flags {}", header.flags),
        IpHeader::V6(_) => String::new(),
    };
    let length = CapturedPacket::from(packet).length;
    format!(
        "{from} > {to}, {} > {}, TTL {}{flags}, {transport}, {length} bytes",
        packet.source_mac,
        packet.destination_mac,
        packet.ip.ttl()
    )
}

fn match_text(matching: &FlowMatch) -> String {
    let or_any = |text: Option<String>| text.unwrap_or_else(|| "any".to_owned());
    let end = |address: Option<IpAddr>| or_any(address.map(|address| address.to_string()));
    let protocol = or_any(matching.protocol.map(|protocol| protocol.to_string()));
    format!(
        "{} {} > {}, protocol {protocol}",
        matching.family,
        end(matching.source),
        end(matching.destination)
    )
}

#[test]
fn a_resource_becomes_a_packet_or_a_match_or_is_refused() {
    let cluster = cluster();
    let rows = PACKETS.iter().chain(MATCHES).chain(REFUSALS);
    let wrong: Vec<String> = rows
        .map(|(name, spec, expected)| (name, expected, outcome(&cluster, spec)))
        .filter(|(_, expected, outcome)| **expected != outcome)
        .map(|(name, expected, outcome)| format!("{name}\n  expected: {expected}\n  is:       {outcome}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `TestErrTraceflowCRD`.
#[test]
fn a_trace_without_an_answer_has_failed_for_a_reason() {
    let status = Status::new(SystemTime::UNIX_EPOCH, Err(&Error::Closed));
    assert_eq!(
        (status.phase, status.reason.as_deref()),
        (Phase::Failed, Some("the tracer was closed"))
    );
}

/// `TestParseCapturedPacket`: the headers alone, and the length that they claim.
#[test]
fn a_caught_frame_is_read_as_it_claims_to_be() {
    let ethernet = |ether_type: u16| [&[0; 12], &ether_type.to_be_bytes()[..]].concat();
    let ipv4 = |length: u16, flags: u8, ttl: u8, protocol: u8| {
        let [high, low] = length.to_be_bytes();
        let mut header = ethernet(0x0800);
        header.extend([0x45, 0, high, low, 0, 0, flags << 5, 0, ttl, protocol, 0, 0]);
        header.extend([10, 1, 1, 11, 10, 1, 1, 12]);
        header
    };
    let ports = [1080u16.to_be_bytes(), 80u16.to_be_bytes()].concat();
    let tcp = [
        &ports[..],
        &1234u32.to_be_bytes(),
        &[0; 4],
        &[0x50, 2, 0, 0, 0, 0, 0, 0],
    ]
    .concat();
    let udp = [&ports[..], &[0, 8, 0, 0]].concat();
    let (from, to) = ("10.1.1.11".parse().unwrap(), "10.1.1.12".parse().unwrap());
    let read = |header: Vec<u8>, transport: &[u8]| CapturedPacket::from_frame(&[&header, transport].concat()).unwrap();
    let nothing_else = CapturedPacket {
        source: from,
        destination: to,
        length: 1000,
        ttl: 64,
        dscp: 0,
        flags: Some(1),
        identification: Some(0),
        protocol: Protocol::TCP,
        transport: CapturedTransport::Tcp {
            source: 1080,
            destination: 80,
            flags: Some(TcpFlags::SYN),
            sequence: Some(1234),
        },
        nonce: None,
    };
    let caught = read(ipv4(1000, 1, 64, 6), &tcp);
    assert_eq!(CapturedPacket { nonce: None, ..caught }, nothing_else, "tcp");
    let caught = read(ipv4(50, 0, 128, 17), &udp);
    let expected = CapturedPacket {
        length: 50,
        ttl: 128,
        flags: Some(0),
        protocol: Protocol::UDP,
        transport: CapturedTransport::Udp {
            source: 1080,
            destination: 80,
        },
        ..nothing_else
    };
    assert_eq!(caught, expected, "udp");

    let mut header = ethernet(0x86dd);
    header.extend([0x60, 0, 0, 0, 0x03, 0xc0, 58, 8]);
    let (from, to): (Ipv6Addr, Ipv6Addr) = (
        "fd12:ab:34:a001::11".parse().unwrap(),
        "fd12:ab:34:a001::12".parse().unwrap(),
    );
    header.extend([from.octets(), to.octets()].concat());
    let expected = CapturedPacket {
        source: from.into(),
        destination: to.into(),
        // The 960 of the payload, and the header.
        length: 1000,
        ttl: 8,
        flags: None,
        identification: None,
        protocol: Protocol::ICMPV6,
        transport: CapturedTransport::Icmp(IcmpHeader {
            id: 1,
            sequence: 123,
            ..IcmpHeader::ECHO_REQUEST_V6
        }),
        ..nothing_else
    };
    assert_eq!(read(header, &[128, 0, 0, 0, 0, 1, 0, 123]), expected, "icmpv6");
}
