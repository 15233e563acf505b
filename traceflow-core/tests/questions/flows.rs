//! Wrong flows.

use traceflow_core::spec::PacketSpec;

#[test]
fn each_mistake_in_a_flow_gets_its_message_and_column() {
    for (what, flow, message) in CASES {
        match flow.parse::<PacketSpec>() {
            Ok(_) => panic!("{what}: accepted"),
            Err(mistake) => assert_eq!(mistake.to_string(), *message, "{what}"),
        }
    }
}

/// What is wrong; the flow; the message.
const CASES: &[(&str, &str, &str)] = &[
    (
        "an empty flow",
        "",
        "flow:1:1: the input is empty; it needs a flow such as tcp,tcp_dst=80",
    ),
    (
        "a flow of spaces",
        "  ",
        "flow:1:1: the input is empty; it needs a flow such as tcp,tcp_dst=80",
    ),
    (
        "an empty item",
        "tcp,,tcp_dst=80",
        "flow:1:5: there is nothing here; use one comma between two items",
    ),
    (
        "a comma at the end",
        "tcp,",
        "flow:1:5: nothing follows the comma; use one comma between two items",
    ),
    (
        "a comma at the beginning",
        ",tcp",
        "flow:1:1: there is nothing here; use one comma between two items",
    ),
    (
        "an unknown word",
        "http",
        "flow:1:1: http: there is no such field; use tcp, tcp6, udp, udp6, sctp, sctp6, icmp, icmp6, ip, ipv6, tcp_src, tcp_dst, tcp_flags, udp_src, udp_dst, sctp_src, sctp_dst, tp_src, tp_dst, icmp_type, icmp_code, icmpv6_type, icmpv6_code, nw_proto, nw_ttl, ip_dscp, ct_state or new",
    ),
    (
        "a misspelt key",
        "tcp,tcp_dts=80",
        "flow:1:5: tcp_dts: there is no such field; did you mean tcp_dst?",
    ),
    (
        "a key of another protocol",
        "tcp,udp_dst=53",
        "flow:1:5: udp_dst: belongs to UDP, but the packet is TCP; use tcp_dst, or udp instead of tcp",
    ),
    (
        "a key that only its protocol has",
        "udp,tcp_flags=2",
        "flow:1:5: tcp_flags: belongs to TCP, but the packet is UDP; remove it, or use tcp instead of udp",
    ),
    (
        "an ICMPv6 key in ICMP",
        "icmp,icmpv6_type=128",
        "flow:1:6: icmpv6_type: belongs to ICMPv6, but the packet is ICMP; use icmp_type, or icmp6 instead of icmp",
    ),
    (
        "two protocols",
        "tcp,udp",
        "flow:1:5: udp: a packet has one protocol, and tcp is given, too; keep one of them",
    ),
    (
        "a protocol by name and by number",
        "tcp,nw_proto=17",
        "flow:1:5: nw_proto: a packet has one protocol, and tcp is given, too; keep one of them",
    ),
    (
        "keys of two protocols",
        "tcp_dst=80,udp_src=53",
        "flow:1:12: udp_src: belongs to UDP, but the packet is TCP; use tcp_src, or udp instead of tcp_dst",
    ),
    (
        "a word twice",
        "tcp,tcp",
        "flow:1:5: tcp: the key stands twice, first at 1:1; remove one",
    ),
    (
        "a key twice",
        "tcp,tcp_dst=80,tcp_dst=81",
        "flow:1:16: tcp_dst: the key stands twice, first at 1:5; remove one",
    ),
    (
        "two families",
        "ip,tcp6",
        "flow:1:4: tcp6: this says IPv6, but ip says IPv4; keep one of them",
    ),
    (
        "ICMPv6 over IPv4",
        "ip,icmp6",
        "flow:1:4: icmp6: this says IPv6, but ip says IPv4; keep one of them",
    ),
    (
        "a port beyond 16 bits",
        "tcp,tcp_dst=65536",
        "flow:1:5: tcp_dst: 65536 is out of range; use 1 to 65535",
    ),
    (
        "port 0",
        "tcp,tcp_dst=0",
        "flow:1:5: tcp_dst: 0 is out of range; use 1 to 65535",
    ),
    (
        "a number beyond 64 bits",
        "tcp,tcp_dst=99999999999999999999",
        "flow:1:5: tcp_dst: 99999999999999999999 is out of range; use 1 to 65535",
    ),
    (
        "a port that is a word",
        "tcp,tcp_dst=http",
        "flow:1:5: tcp_dst: \"http\" is not a number; use a number from 1 to 65535",
    ),
    (
        "a mask",
        "tcp,tcp_dst=0x50/0xff",
        "flow:1:5: tcp_dst: \"0x50/0xff\" is not a number; use a number from 1 to 65535",
    ),
    (
        "a negative number",
        "tcp,tcp_dst=-1",
        "flow:1:5: tcp_dst: -1 is out of range; use 1 to 65535",
    ),
    (
        "no value",
        "tcp,tcp_dst=",
        "flow:1:5: tcp_dst: a value is missing; use tcp_dst= and a number from 1 to 65535",
    ),
    (
        "a key without '='",
        "tcp,tcp_dst",
        "flow:1:5: tcp_dst: a value is missing; use tcp_dst= and a number from 1 to 65535",
    ),
    (
        "a protocol with a value",
        "tcp=6",
        "flow:1:1: tcp: this word takes no value; use tcp alone",
    ),
    (
        "an unknown TCP flag",
        "tcp,tcp_flags=+sin",
        "flow:1:5: tcp_flags: \"sin\" is not a TCP flag; use fin, syn, rst, psh, ack, urg, ece or cwr",
    ),
    (
        "a TCP flag set and not set",
        "tcp,tcp_flags=+syn-syn",
        "flow:1:5: tcp_flags: a flag can't be set and not set; keep one of them",
    ),
    (
        "TCP flags beyond 8 bits",
        "tcp,tcp_flags=256",
        "flow:1:5: tcp_flags: 256 is out of range; use 0 to 255",
    ),
    (
        "a TCP flag without sign",
        "tcp,tcp_flags=syn",
        "flow:1:5: tcp_flags: \"syn\" has no sign; use flags such as +syn-ack, or a number from 0 to 255",
    ),
    (
        "a TTL of 0",
        "icmp,nw_ttl=0",
        "flow:1:6: nw_ttl: 0 is out of range; use 1 to 255",
    ),
    (
        "a DSCP beyond 6 bits",
        "icmp,ip_dscp=64",
        "flow:1:6: ip_dscp: 64 is out of range; use 0 to 63",
    ),
    (
        "an ICMP type beyond 8 bits",
        "icmp,icmp_type=256",
        "flow:1:6: icmp_type: 256 is out of range; use 0 to 255",
    ),
    (
        "a connection state that can't be matched",
        "tcp,ct_state=+est",
        "flow:1:5: ct_state: \"+est\" is not a state that can be asked for; use +new, the first packet of a connection",
    ),
    (
        "an end in the flow",
        "tcp,nw_dst=10.0.0.1",
        "flow:1:5: nw_dst: the ends of the trace are not part of the flow; name them as source and destination",
    ),
    (
        "a port without a protocol",
        "tp_dst=80",
        "flow:1:1: tp_dst: which protocol's port this is, is not said; use tcp, udp or sctp",
    ),
    (
        "a port of a protocol without ports",
        "icmp,tp_dst=80",
        "flow:1:6: tp_dst: ICMP has no ports; use tcp, udp or sctp",
    ),
    (
        "a port by two keys",
        "tcp_dst=80,tp_dst=81",
        "flow:1:12: tp_dst: another key says this, too; keep one of them",
    ),
    (
        "a protocol number beyond 8 bits",
        "nw_proto=256",
        "flow:1:1: nw_proto: 256 is out of range; use 0 to 255",
    ),
    (
        "something a terminal would act on",
        "tcp,\x1b[31m=1",
        "flow:1:5: \\u{1b}[31m: there is no such field; use tcp, tcp6, udp, udp6, sctp, sctp6, icmp, icmp6, ip, ipv6, tcp_src, tcp_dst, tcp_flags, udp_src, udp_dst, sctp_src, sctp_dst, tp_src, tp_dst, icmp_type, icmp_code, icmpv6_type, icmpv6_code, nw_proto, nw_ttl, ip_dscp, ct_state or new",
    ),
];

/// As Open vSwitch writes it, whose `icmp_type` is of either family.
#[test]
fn over_ipv6_the_keys_of_icmp_mean_icmpv6_in_any_order() {
    let parsed = |flow: &str| flow.parse::<PacketSpec>().unwrap();
    let expected = parsed("icmp6,icmpv6_type=8,icmpv6_code=1");
    for flow in [
        "icmp6,icmp_type=8,icmp_code=1",
        "ipv6,icmpv6_code=1,icmp_type=8",
        "icmp_type=8,icmpv6_code=1,ipv6",
    ] {
        assert_eq!(parsed(flow), expected, "{flow}");
    }
}
