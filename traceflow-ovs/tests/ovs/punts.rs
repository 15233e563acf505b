//! What recorded packet-ins say: bytes of a real switch in, observations out.

use std::fmt::Write;

use expect_test::expect_file;
use testbed::realisation::{GATEWAY_PORT, TABLES, TUNNEL_PORT};
use traceflow_core::render;
use traceflow_openflow::message::Message;
use traceflow_ovs::Punted;
use traceflow_ovs::directory::NoNames;
use traceflow_ovs::pipeline::{Antrea, Pipeline, Switch};

#[test]
fn recorded_packet_ins_say_what_they_said_then() {
    let switch = Switch {
        tables: TABLES.iter().map(|&(name, number)| (number, name.to_owned())).collect(),
        free_tables: vec![253],
        tunnels: vec![TUNNEL_PORT],
        routed: Vec::new(),
        gateway: Some(GATEWAY_PORT),
    };
    let layout = Antrea::default().layout(&switch).unwrap();
    let mut told = String::new();
    for line in include_str!("../golden/punts.txt").lines() {
        if line.starts_with('#') {
            writeln!(told, "{line}").unwrap();
            continue;
        }
        let (_, message) = Message::decode(&bytes(line)).unwrap();
        let Message::PacketIn2(packet_in) = message else {
            panic!("{message:?}")
        };
        let punted = Punted::read(&packet_in, &layout, &NoNames).unwrap();
        let end = if punted.left { "left at" } else { "ended at" };
        writeln!(told, "  {} | {end} {}", render::packet(&punted.packet), punted.table).unwrap();
        for seen in &punted.observations {
            writeln!(told, "    {}", render::observation(seen)).unwrap();
        }
    }
    expect_file!["../golden/punts.told.txt"].assert_eq(&told);
}

fn bytes(digits: &str) -> Vec<u8> {
    let pair = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(pair).collect()
}
