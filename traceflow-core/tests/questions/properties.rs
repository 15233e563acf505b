//! What holds for any text and any question.

use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::Duration;

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;
use traceflow_core::input::Text;
use traceflow_core::names::ObjectName;
use traceflow_core::packet::{IpFamily, Protocol, TcpFlags};
use traceflow_core::plan::TcpFlagsMatch;
use traceflow_core::spec::{Destination, IcmpSpec, Manifest, PacketSpec, Source, TraceSpec};

use crate::world::{MANIFEST, World};

proptest! {
    #[test]
    fn any_text_is_a_manifest_or_a_mistake_with_a_place(text in manifest_like()) {
        match Manifest::read(&Text::new("f", text)) {
            Ok(manifests) => prop_assert!(!manifests.is_empty()),
            Err(mistake) => prop_assert!(mistake.place().is_some() && !mistake.excerpt().is_empty()),
        }
    }

    #[test]
    fn any_text_is_a_flow_or_a_mistake_within_it(text in flow_like()) {
        if let Err(mistake) = text.parse::<PacketSpec>() {
            let place = mistake.place().unwrap();
            prop_assert!(place.line == 1 && place.column as usize <= text.chars().count() + 1, "{mistake}");
        }
    }

    #[test]
    fn the_order_of_a_flows_items_does_not_matter(text in flow_like()) {
        if let Ok(packet) = text.parse::<PacketSpec>() {
            let reversed: Vec<&str> = text.split(',').rev().collect();
            prop_assert_eq!(reversed.join(" , ").parse::<PacketSpec>().unwrap(), packet);
        }
    }

    #[test]
    fn a_question_prints_to_a_manifest_that_asks_the_same(spec in question()) {
        let object = json!({
            "apiVersion": "crd.antrea.io/v1beta1",
            "kind": "Traceflow",
            "metadata": { "name": "tf" },
            "spec": spec.to_json(),
        });
        let manifests = Manifest::read(&Text::new("f", object.to_string())).unwrap();
        prop_assert_eq!(manifests[0].spec(), &spec);
    }

    #[test]
    fn a_question_is_planned_or_a_mistake_with_a_field(spec in question(), seed: u64) {
        let plan = traceflow_core::plan::Plan::resolve(&spec, &World, &mut fastrand::Rng::with_seed(seed));
        if let Err(mistake) = plan {
            prop_assert!(mistake.field().starts_with("spec."), "{mistake}");
        }
    }
}

/// A manifest with a few lines replaced by words that mean something.
fn manifest_like() -> impl Strategy<Value = String> {
    let lines: Vec<&str> = MANIFEST.lines().collect();
    let words = select(vec![
        "apiVersion: v1",
        "kind: List",
        "items:",
        "- ",
        "  ",
        "{",
        "}",
        "[]",
        "&a",
        "*a",
        "<<: *a",
        "null",
        "---",
        "\t",
        "'",
        "\"",
        "  source: {ip: 1.1.1.1}",
        "  liveTraffic: true",
        "      ttl: 300",
        "spec: {}",
        "  icmp: {}",
        ": ",
        "# ",
        "status: 3",
    ]);
    let line =
        prop_oneof![3 => (0..lines.len()).prop_map(move |at| lines[at].to_owned()), 1 => words.prop_map(str::to_owned)];
    prop::collection::vec(line, 0..24).prop_map(|lines| lines.join("\n"))
}

fn flow_like() -> impl Strategy<Value = String> {
    let item = select(vec![
        "tcp",
        "udp6",
        "icmp",
        "ip",
        "ipv6",
        "tcp_dst=80",
        "tcp_src = 0x10",
        "udp_dst=53",
        "nw_ttl=3",
        "nw_proto=58",
        "tcp_flags=+syn-ack",
        "icmp_type=8",
        "icmpv6_code=1",
        "new",
        "ct_state=+new",
        "ip_dscp=63",
        "",
        "=",
        "tp_dst=1",
        "é",
        "tcp_dst=99999999999999999999",
    ]);
    prop::collection::vec(item, 0..5).prop_map(|items| items.join(","))
}

fn question() -> impl Strategy<Value = TraceSpec> {
    let name = select(vec!["pod1", "pod3", "six", "web", "headless", "pod9"])
        .prop_map(|name| ObjectName::new("default", name));
    let address = select(vec!["10.0.1.1", "10.96.0.1", "8.8.8.8", "fd00:2::6"])
        .prop_map(|text| text.parse::<IpAddr>().expect("an address"));
    let source = prop_oneof![
        name.clone().prop_map(Source::Pod),
        address.clone().prop_map(Source::Address)
    ];
    let destination = prop_oneof![
        name.clone().prop_map(Destination::Pod),
        name.prop_map(Destination::Service),
        address.prop_map(Destination::Address),
    ];
    let ends = (option::of(source), option::of(destination));
    (ends, packet(), any::<[bool; 2]>(), 1..=300u64).prop_filter_map(
        "not a question",
        |((source, destination), packet, [live, dropped_only], timeout)| {
            TraceSpec::builder()
                .source(source)
                .destination(destination)
                .packet(packet)
                .live(live)
                .dropped_only(dropped_only && live)
                .timeout(Duration::from_secs(timeout))
                .build()
                .ok()
        },
    )
}

/// A packet that a manifest has words for.
fn packet() -> impl Strategy<Value = PacketSpec> {
    let family = option::of(select(vec![IpFamily::V4, IpFamily::V6]));
    let protocol = option::of(prop_oneof![4 => select(vec![1, 6, 17, 132]), 1 => 1..=255u8].prop_map(Protocol));
    let ports = (option::of(1..=u16::MAX), option::of(1..=u16::MAX));
    let icmp: (Option<u8>, Option<u8>, Option<u16>, Option<u16>) = Default::default();
    let icmp = prop_oneof![1 => Just(icmp), 1 => any::<(Option<u8>, Option<u8>, Option<u16>, Option<u16>)>()];
    let numbers = (any::<Option<u8>>(), option::of(0..=7u8), any::<Option<u8>>());
    (family, protocol, ports, icmp, numbers).prop_filter_map(
        "not a packet",
        |(family, protocol, (source, destination), icmp, (ttl, ip_flags, tcp_flags))| {
            let mut packet = protocol.map(PacketSpec::of).unwrap_or_default();
            match protocol {
                Some(Protocol::TCP | Protocol::UDP | Protocol::SCTP) => {
                    packet = packet.with_ports(source, destination).ok()?;
                }
                Some(Protocol::ICMP | Protocol::ICMPV6) => {
                    let (icmp_type, code, id, sequence) = icmp;
                    packet = packet
                        .with_icmp(IcmpSpec {
                            icmp_type,
                            code,
                            id,
                            sequence,
                        })
                        .ok()?;
                }
                // Only an IP header can name any other protocol.
                Some(_) if family.is_none() => return None,
                _ => {}
            }
            if let (Some(Protocol::TCP), Some(flags)) = (protocol, tcp_flags) {
                packet = packet.with_tcp_flags(TcpFlagsMatch::exactly(TcpFlags(flags))).ok()?;
            }
            let Some(family) = family else {
                return Some(packet);
            };
            packet = packet.with_family(family).ok()?;
            if let Some(ttl) = ttl.and_then(NonZeroU8::new) {
                packet = packet.with_ttl(ttl);
            }
            match (family, ip_flags) {
                (IpFamily::V4, Some(flags)) => packet.with_ip_flags(flags).ok(),
                _ => Some(packet),
            }
        },
    )
}
