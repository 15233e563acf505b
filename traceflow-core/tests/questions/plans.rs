//! Plans: what is filled in, and that it is written down.

use expect_test::{Expect, expect};
use traceflow_core::packet::{IpFamily, Protocol, TcpFlags, Transport};
use traceflow_core::plan::{FlowMatch, Plan, Question, TcpFlagsMatch};
use traceflow_core::spec::CommandLine;

use crate::world::{World, gateway_of, mac_of};

fn plan_with(seed: u64, source: &str, destination: &str, flow: &str, live_traffic: bool) -> Plan {
    let given = |text| Some(text).filter(|text: &&str| !text.is_empty());
    let line = CommandLine {
        source: given(source),
        destination: given(destination),
        flow: given(flow),
        live_traffic,
        ..CommandLine::default()
    };
    let spec = line.spec(&World).unwrap_or_else(|mistake| panic!("{mistake}"));
    Plan::resolve(&spec, &World, &mut fastrand::Rng::with_seed(seed)).unwrap_or_else(|mistake| panic!("{mistake}"))
}

fn plan(source: &str, destination: &str, flow: &str) -> Plan {
    plan_with(7, source, destination, flow, false)
}

fn packet(plan: &Plan) -> &traceflow_core::packet::Packet {
    match &plan.question {
        Question::Inject { packet, .. } => packet,
        Question::Live { .. } => panic!("not injected"),
    }
}

fn matching(source: &str, destination: &str, flow: &str) -> FlowMatch {
    match plan_with(7, source, destination, flow, true).question {
        Question::Live { matching, .. } => matching,
        Question::Inject { .. } => panic!("not live"),
    }
}

fn check_choices(plan: &Plan, expected: Expect) {
    let choices: Vec<String> = plan.choices.iter().map(ToString::to_string).collect();
    expected.assert_eq(&choices.join("\n"));
}

#[test]
fn without_a_flow_a_pod_gets_an_echo_request() {
    let plan = plan("pod1", "pod2", "");
    assert_eq!(packet(&plan).protocol(), Protocol::ICMP);
    check_choices(
        &plan,
        expect![[r#"
            address family IPv4 (IPv6 would do, too)
            protocol ICMP
            ICMP type 8 (echo request)
            ICMP id 28799
            ICMP sequence 1
            TTL 64
            IP flags DF"#]],
    );
}

#[test]
fn without_a_flow_a_service_gets_its_first_port() {
    let plan = plan("pod1", "web", "");
    assert!(matches!(
        packet(&plan).transport,
        Transport::Tcp {
            destination: 80,
            flags: TcpFlags::SYN,
            ..
        }
    ));
    check_choices(
        &plan,
        expect![[r#"
        address family IPv4 (IPv6 would do, too)
        protocol TCP (of the Service's first port)
        destination port 80 (the Service's first)
        source port 29372
        TCP flags SYN
        TTL 64
        IP flags DF"#]],
    );
}

#[test]
fn with_a_protocol_a_service_gets_its_first_port_of_that_protocol() {
    let plan = plan("pod1", "web", "udp");
    assert!(matches!(
        packet(&plan).transport,
        Transport::Udp { destination: 53, .. }
    ));
}

#[test]
fn what_was_asked_for_is_not_chosen() {
    let plan = plan(
        "four",
        "pod3",
        "tcp,tcp_src=1000,tcp_dst=80,tcp_flags=+syn+ack,nw_ttl=3,ip_dscp=10",
    );
    assert_eq!(
        packet(&plan).transport,
        Transport::Tcp {
            source: 1000,
            destination: 80,
            flags: TcpFlags(0x12)
        }
    );
    assert_eq!(packet(&plan).ip.ttl(), 3);
    check_choices(&plan, expect!["IP flags DF"]);
}

#[test]
fn the_first_hop_is_the_pod_on_the_same_node_and_else_the_gateway() {
    for (destination, mac) in [
        ("pod2", mac_of(2)),
        ("10.0.1.2", mac_of(2)),
        ("pod3", gateway_of("a")),
        ("10.0.2.3", gateway_of("a")),
        ("host", gateway_of("a")),
        ("web", gateway_of("a")),
        ("8.8.8.8", gateway_of("a")),
    ] {
        let flow = if destination == "web" { "" } else { "icmp" };
        let plan = plan("pod1", destination, flow);
        assert_eq!(packet(&plan).destination_mac, mac, "{destination}");
        assert_eq!(packet(&plan).source_mac, mac_of(1));
    }
}

#[test]
fn the_family_is_the_one_that_both_ends_have_and_ipv4_first() {
    for (source, destination, flow, family) in [
        ("pod1", "pod2", "icmp", IpFamily::V4),
        ("pod1", "six", "icmp", IpFamily::V6),
        ("four", "pod1", "icmp", IpFamily::V4),
        ("pod1", "fd00:2::6", "icmp", IpFamily::V6),
        ("pod1", "pod2", "icmp6", IpFamily::V6),
        ("pod1", "pod2", "ipv6,icmp", IpFamily::V6),
        ("pod1", "web", "tcp6", IpFamily::V6),
    ] {
        let plan = plan(source, destination, flow);
        assert_eq!(packet(&plan).ip.family(), family, "{source} {destination} {flow}");
        let wanted = plan.destination.unwrap().address;
        assert_eq!(IpFamily::of(wanted), family);
    }
}

#[test]
fn one_seed_gives_one_plan_and_another_seed_another_source_port() {
    let source_port = |seed| {
        let plan = plan_with(seed, "pod1", "pod3", "udp,udp_dst=53", false);
        assert_eq!(plan, plan_with(seed, "pod1", "pod3", "udp,udp_dst=53", false));
        packet(&plan).transport.ports().unwrap().0
    };
    let ports: Vec<u16> = (0..200).map(source_port).collect();
    assert!(ports.iter().all(|&port| port >= 1024));
    assert!(ports.windows(2).any(|pair| pair[0] != pair[1]));
}

#[test]
fn live_traffic_is_matched_by_what_was_asked_for_and_nothing_else() {
    assert_eq!(
        matching("pod1", "pod3", "tcp,tcp_dst=80,tcp_flags=+syn-ack,ip_dscp=10,new"),
        FlowMatch {
            source: Some([10, 0, 1, 1].into()),
            destination: Some([10, 0, 2, 3].into()),
            protocol: Some(Protocol::TCP),
            destination_port: Some(80),
            tcp_flags: Some(TcpFlagsMatch::new(TcpFlags::SYN, TcpFlags::ACK)),
            dscp: Some(10),
            new_only: true,
            ..FlowMatch::any(IpFamily::V4)
        }
    );
    assert_eq!(
        matching("", "pod3", ""),
        FlowMatch {
            destination: Some([10, 0, 2, 3].into()),
            ..FlowMatch::any(IpFamily::V4)
        }
    );
    assert_eq!(
        matching("pod1", "web", "icmp6,icmpv6_type=1,icmpv6_code=4"),
        FlowMatch {
            source: Some("fd00:1::1".parse().unwrap()),
            destination: Some("fd00:96::1".parse().unwrap()),
            protocol: Some(Protocol::ICMPV6),
            icmp_type: Some(1),
            icmp_code: Some(4),
            ..FlowMatch::any(IpFamily::V6)
        }
    );
}

#[test]
fn live_traffic_may_start_on_a_nodes_network() {
    assert_eq!(matching("host", "", "").source, Some([192, 168, 0, 1].into()));
}
