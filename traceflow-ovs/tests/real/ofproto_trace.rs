//! Traces through the tables of a real switch.

use traceflow_core::packet::{IcmpHeader, MacAddress, Packet, Protocol, TcpFlags, Transport};
use traceflow_ovs::ofproto_trace::{Caveat, Ending, Entry, Found, Tunnel, flow};
use traceflow_ovs::unixctl::Unixctl;

use crate::switch::{PATIENCE, Switch};

const BRIDGE: &str = "add-br br0 -- set bridge br0 datapath_type=dummy fail-mode=secure protocols=OpenFlow15 \
    -- add-port br0 pod1 -- set interface pod1 type=dummy ofport_request=3 \
    -- add-port br0 pod2 -- set interface pod2 type=dummy ofport_request=4 \
    -- add-port br0 tun0 -- set interface tun0 type=geneve options:remote_ip=flow options:key=flow ofport_request=1";

fn start(flows: &[&str]) -> Option<(Switch, Unixctl)> {
    let switch = Switch::start()?;
    switch.vsctl(BRIDGE);
    flows.iter().for_each(|flow| switch.ofctl("add-flow", "br0", flow));
    let unixctl = Unixctl::new(switch.unixctl(), PATIENCE);
    Some((switch, unixctl))
}

/// One packet of each protocol and family, and the beginning of what the switch reads in its flow.
fn packets() -> Vec<(Packet, &'static str)> {
    let ethernet = Packet::ethernet(MacAddress([2, 0, 0, 0, 0, 1]), MacAddress([2, 0, 0, 0, 0, 2]));
    let four = || {
        ethernet
            .ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into())
            .dscp(63)
            .ttl(9)
    };
    let six = || {
        ethernet
            .ipv6("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap())
            .flow_label(0xabcde)
    };
    let tcp = || Transport::Tcp {
        source: 1,
        destination: 2,
        flags: TcpFlags(0xff),
    };
    let udp = || Transport::Udp {
        source: 1,
        destination: 2,
    };
    let sctp = || Transport::Sctp {
        source: 1,
        destination: 2,
    };
    let other = || Transport::Other(Protocol(47));
    vec![
        (four().transport(tcp()).unwrap(), "tcp"),
        (six().transport(tcp()).unwrap(), "tcp6"),
        (four().flags(1).transport(udp()).unwrap(), "udp"),
        (six().transport(udp()).unwrap(), "udp6"),
        (four().transport(sctp()).unwrap(), "sctp"),
        (six().transport(sctp()).unwrap(), "sctp6"),
        (four().icmp(IcmpHeader::ECHO_REQUEST).unwrap(), "icmp"),
        (six().icmpv6(IcmpHeader::ECHO_REQUEST_V6).unwrap(), "icmp6"),
        (four().transport(other()).unwrap(), "ip"),
        (six().transport(other()).unwrap(), "ipv6"),
    ]
}

#[tokio::test]
async fn a_switch_reads_the_flow_of_every_packet() {
    let Some((_switch, unixctl)) = start(&["actions=pod2"]) else {
        return;
    };
    for (packet, name) in packets() {
        let entry = Entry {
            in_port: 3,
            tunnel: None,
            registers: vec![(10, 7)],
        };
        let trace = unixctl.trace("br0", &flow(&packet, &entry), &[]).await.unwrap();
        let read = &trace.passes[0].flow;
        assert!(read.starts_with(&format!("{name},reg10=0x7,in_port=pod1,")), "{read}");
        assert!(
            read.contains("dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02"),
            "{read}"
        );
        assert_eq!(trace.ending(), Ending::Sent);
    }
}

#[tokio::test]
async fn a_flow_matches_what_the_packet_has() {
    let wanted = [
        "tcp,in_port=3,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_tos=252,nw_ttl=9,tcp_src=1,tcp_dst=2,tcp_flags=0xff",
        "tcp6,ipv6_src=fd00::1,ipv6_dst=fd00::2,ipv6_label=0xabcde,nw_ttl=64,tcp_src=1,tcp_dst=2",
        // A fragment of a flow table that is set up as usual has no ports.
        "udp,nw_frag=first,nw_tos=252",
        "udp6,udp_src=1,udp_dst=2",
        "sctp,sctp_src=1,sctp_dst=2",
        "sctp6,sctp_src=1,sctp_dst=2",
        "icmp,icmp_type=8,icmp_code=0",
        "icmp6,icmp_type=128,icmp_code=0",
        "ip,nw_proto=47",
        "ipv6,nw_proto=47",
    ];
    let flows: Vec<String> = wanted
        .iter()
        .map(|wanted| format!("priority=9,{wanted} actions=drop"))
        .collect();
    let Some((_switch, unixctl)) = start(&flows.iter().map(String::as_str).collect::<Vec<_>>()) else {
        return;
    };
    for (packet, _) in packets() {
        let entry = Entry {
            in_port: 3,
            ..Entry::default()
        };
        let trace = unixctl.trace("br0", &flow(&packet, &entry), &[]).await.unwrap();
        assert_eq!(
            trace.ending(),
            Ending::Dropped {
                pass: 0,
                visit: Some(0)
            }
        );
        assert!(
            matches!(trace.passes[0].visits[0].found, Found::Flow { priority: 9, .. }),
            "{trace:?}"
        );
    }
}

#[tokio::test]
async fn a_packet_out_of_a_tunnel_is_traced_with_its_key() {
    let tunnelled = "in_port=1,tun_id=0x11,tun_src=192.0.2.2,tun_dst=192.0.2.1,reg10=5 actions=pod1";
    let Some((_switch, unixctl)) = start(&[tunnelled]) else {
        return;
    };
    let tunnel = Tunnel {
        source: [192, 0, 2, 2].into(),
        destination: [192, 0, 2, 1].into(),
        id: 0x11,
    };
    let entry = Entry {
        in_port: 1,
        tunnel: Some(tunnel),
        registers: vec![(10, 5)],
    };
    let (packet, _) = packets().remove(0);
    let trace = unixctl.trace("br0", &flow(&packet, &entry), &[]).await.unwrap();
    assert_eq!(trace.ending(), Ending::Sent);
}

#[tokio::test]
async fn a_trace_leaves_no_connection_and_says_what_it_assumed() {
    let flows = [
        "table=0,ip actions=ct(commit,table=1)",
        "table=1,ct_state=+est,ip actions=pod2",
        "table=1,priority=0 actions=drop",
    ];
    let Some((_switch, unixctl)) = start(&flows) else {
        return;
    };
    let (packet, _) = packets().remove(0);
    let flow = flow(
        &packet,
        &Entry {
            in_port: 3,
            ..Entry::default()
        },
    );
    let trace = unixctl.trace("br0", &flow, &[]).await.unwrap();
    assert_eq!(
        trace.ending(),
        Ending::Dropped {
            pass: 1,
            visit: Some(0)
        }
    );
    assert_eq!(trace.caveats(), [Caveat::AssumedConntrack]);
    let trace = unixctl.trace("br0", &flow, &["trk,est"]).await.unwrap();
    assert_eq!(trace.ending(), Ending::Sent);
    assert_eq!(unixctl.call("dpctl/dump-conntrack", &[]).await.unwrap(), "");
}
