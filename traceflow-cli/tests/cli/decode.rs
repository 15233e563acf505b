//! OpenFlow messages as text.

use std::fmt::Write;
use std::path::Path;

use expect_test::expect;
use traceflow_core::packet::{MacAddress, Nonce, Packet, TcpFlags};
use traceflow_openflow::Version;
use traceflow_openflow::field::Field;
use traceflow_openflow::matching::Match;
use traceflow_openflow::message::{Message, PacketIn2, PacketInReason};

use crate::{traceflow, traceflow_reading};

/// What a flow of ours on the demo's first node sends of a packet that leaves by the tunnel.
fn punt() -> Vec<u8> {
    let packet = Packet::ethernet(MacAddress([2, 0, 0, 0, 0, 1]), MacAddress([2, 0, 0, 0, 0, 2]))
        .ipv4([172, 16, 5, 11].into(), [172, 16, 3, 8].into())
        .ttl(63)
        .nonce(Nonce(0x0102_0304_0506_0708))
        .tcp(43210, 80, TcpFlags::SYN)
        .expect("it is a packet");
    let metadata = Match::new()
        .with(Field::register(10), 0x7f10_2001)
        .with(Field::register(5), 1)
        .with(Field::NXM_NX_TUN_IPV4_DST, 0xc0a8_0b70)
        .with(Field::OXM_OF_IN_PORT, 3);
    let packet_in = PacketIn2 {
        packet: packet.to_vec(),
        full_len: None,
        buffer: None,
        table: Some(39),
        cookie: Some(0x7466 << 48),
        reason: Some(PacketInReason::Action),
        metadata,
        userdata: b"tf\x01\x01\x00".to_vec(),
        continuation: None,
        unknown: Vec::new(),
    };
    let mut bytes = Vec::new();
    let message = Message::PacketIn2(packet_in);
    message.encode(Version::V1_5, 0, &mut bytes).expect("it fits");
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

#[test]
fn a_punt_says_what_was_observed() {
    let run = traceflow(&["decode", &hex(&punt())]);
    assert_eq!((run.exit, run.err.as_str()), (0, ""));
    expect![[r#"
        NXT_PACKET_IN2 (OF1.5) (xid=0x0): table_id=39 cookie=0x7466000000000000 total_len=54 reg10=0x7f102001,reg5=0x1,tun_dst=192.168.11.112,in_port=3 (via action) data_len=54 (unbuffered)
         userdata=74.66.01.01.00
         packet=020000000002020000000001080045000028000040003f06db9cac10050bac100308a8ca005001020304050607085002faf09b8f0000
         which is TCP 172.16.5.11:43210 -> 172.16.3.8:80, flags +syn, TTL 63, 40 bytes, don't fragment
         tracer 0: injected packet, mark 1, left by table Output
          SpoofGuard: Forwarded, from Pod 172.16.5.11
          NetworkPolicy EgressRule: Forwarded, rule 1 (unknown)
          L7NetworkPolicy Output: Redirected
          Forwarding Output: ForwardedOutOfNetwork
    "#]]
    .assert_eq(&run.out);
}

#[test]
fn a_nodes_file_gives_names_to_numbers() {
    let folder = tempfile::tempdir().expect("there is a place for temporary files");
    let nodes = folder.path().join("nodes.yaml");
    let text = "nodes:\n- name: a\n  openflow: unix:/nowhere\n  tunnel: 1\n  rules: [{id: 1, policy: \
                'K8sNetworkPolicy:default/allow-egress-to-pod2'}]\n";
    std::fs::write(&nodes, text).expect("it can be written");
    let messages = folder.path().join("messages");
    std::fs::write(&messages, punt()).expect("it can be written");
    let path = |path: &Path| path.to_str().expect("it is text").to_owned();
    let (messages, nodes) = (path(&messages), path(&nodes));
    let run = traceflow(&["decode", &messages, "--nodes", &nodes, "--node", "a"]);
    let rule = "NetworkPolicy EgressRule: Forwarded, K8sNetworkPolicy:default/allow-egress-to-pod2\n";
    assert!(run.out.contains(rule), "{}{}", run.out, run.err);
    let run = traceflow(&["decode", &messages, "--nodes", &nodes, "--node", "b"]);
    assert_eq!(run.exit, 2);
    assert_eq!(run.err, format!("error: {nodes} says nothing of b; its nodes are a\n"));
}

/// Messages of a real switch, with what it and ovs-ofctl said to each other.
#[test]
fn every_golden_message_is_shown() {
    for file in ["openflow13.txt", "openflow15.txt"] {
        let path = format!("traceflow-openflow/tests/golden/{file}");
        let run = traceflow(&["decode", &path]);
        assert_eq!((run.exit, run.err.as_str()), (0, ""), "{file}");
        let text = std::fs::read_to_string(format!("../{path}")).expect("it is there");
        let messages = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let shown = run.out.lines().filter(|line| line.contains(" (xid=0x"));
        // An error shows the message that it is about, too.
        assert!(shown.count() >= messages.count(), "{file}");
    }
}

#[test]
fn blanks_and_colons_do_not_count() {
    for digits in [
        "06 14 00 08 00 00 00 03",
        "06:14:00:08:00:00:00:03",
        "0614 0008\r\n\n# a remark\n00000003",
    ] {
        let run = traceflow_reading(digits, &["decode", "-"]);
        assert_eq!(
            run.out, "OFPT_BARRIER_REQUEST (OF1.5) (xid=0x3):\n",
            "{digits}: {}",
            run.err
        );
    }
}

#[test]
fn a_message_that_is_cut_does_not_hide_those_before_it() {
    let run = traceflow(&["decode", "0614000800000003 0614000a00000002ff"]);
    assert_eq!(run.exit, 2);
    assert_eq!(run.out, "OFPT_BARRIER_REQUEST (OF1.5) (xid=0x3):\n");
    assert_eq!(
        run.err,
        "error: the message at byte 8 is cut: type 20 (OF1.5) (xid=0x2), 10 bytes long, of which 9 are there and 1 are \
         missing\n"
    );
    let run = traceflow(&["decode", "06140008000000"]);
    let header = "error: the message at byte 0 is cut: 7 bytes are there, and its header alone has 8\n";
    assert_eq!((run.exit, run.err.as_str()), (2, header));
}

#[test]
fn a_message_that_contradicts_itself_does_not_hide_those_behind_it() {
    let run = traceflow(&["decode", "0608000900000001ff 0614000800000002"]);
    assert_eq!(run.out, "OFPT_BARRIER_REQUEST (OF1.5) (xid=0x2):\n");
    assert_eq!(run.err, "error: config flags at byte 8: needs 2 bytes, 1 left\n");
}

#[test]
fn what_are_no_digits_is_shown_with_its_place() {
    for (digits, mistake) in [
        (
            "0614\n08x0",
            "standard input:2:3: 'x' is no hexadecimal digit; use 0 to 9 and a to f, with blanks or colons between bytes",
        ),
        (
            "0614 0",
            "standard input:1:6: the last digit of a byte is missing; use two digits for each byte",
        ),
        (
            "# nothing\n",
            "standard input:1:1: the input is empty; it needs OpenFlow messages, as hexadecimal digits or as they are",
        ),
    ] {
        let run = traceflow_reading(digits, &["decode", "-"]);
        assert_eq!((run.exit, run.out.as_str()), (2, ""), "{digits}");
        assert_eq!(run.err.lines().next(), Some(&*format!("error: {mistake}")), "{digits}");
    }
    let run = traceflow(&["decode", "no/such/file"]);
    assert_eq!(
        (run.exit, run.err.as_str()),
        (2, "error: there is no file no/such/file\n")
    );
}
