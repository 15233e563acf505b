//! What is done for every trace allocates nothing.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::time::Instant;

use allocation_counter::measure;
use traceflow_openflow::action::{Action, SetField};
use traceflow_openflow::connection::{Config, Connection, Event};
use traceflow_openflow::field::Field;
use traceflow_openflow::instruction::Instruction;
use traceflow_openflow::matching::Match;
use traceflow_openflow::message::{FlowMod, Hello, Message, PacketIn2, PacketInView, PacketOut};
use traceflow_openflow::{Port, Version};

fn allocations(of: impl FnOnce()) -> u64 {
    measure(of).count_total
}

fn flow_mod() -> Message {
    let matching = Match::new()
        .with(Field::OXM_OF_ETH_TYPE, 0x0800)
        .with(Field::OXM_OF_IP_PROTO, 6)
        .with(Field::OXM_OF_TCP_DST, 80)
        .with_masked(Field::register(0), 0x100, 0x100);
    let actions = vec![
        Action::SetField(SetField::new(Field::register(4), 7)),
        Action::Output {
            port: Port(3),
            max_len: 0,
        },
    ];
    Message::FlowMod(FlowMod {
        matching,
        instructions: vec![Instruction::ApplyActions(actions)],
        ..FlowMod::add()
    })
}

fn packet_out() -> Message {
    let actions = vec![Action::SetField(SetField::new(Field::register(10), 7))];
    Message::PacketOut(PacketOut::new(Port(3), vec![0; 54], actions))
}

fn packet_in() -> Vec<u8> {
    let metadata = Match::new()
        .with(Field::OXM_OF_IN_PORT, 3)
        .with(Field::packet_register(5), 7 << 32)
        .with(Field::NXM_NX_CT_ZONE, 65_520);
    PacketIn2 {
        metadata,
        userdata: vec![1, 2, 3],
        ..PacketIn2::new(vec![0; 54])
    }
    .to_message()
}

#[test]
fn a_flow_mod_is_encoded_with_one_allocation_and_into_a_used_buffer_with_none() {
    let message = flow_mod();
    let fresh = allocations(|| {
        let mut buffer = Vec::new();
        message.encode(Version::V1_5, 1, &mut buffer).unwrap();
    });
    assert_eq!(fresh, 1);
    let mut used = Vec::with_capacity(512);
    assert_eq!(allocations(|| message.encode(Version::V1_5, 1, &mut used).unwrap()), 0);
}

#[test]
fn a_packet_out_is_encoded_into_a_used_buffer_without_any() {
    let message = packet_out();
    let mut used = Vec::with_capacity(512);
    assert_eq!(allocations(|| message.encode(Version::V1_5, 1, &mut used).unwrap()), 0);
}

#[test]
fn a_packet_in_is_read_where_it_stands() {
    let bytes = packet_in();
    let count = allocations(|| {
        let view = PacketInView::decode(&bytes).unwrap().unwrap();
        assert_eq!((view.packet.len(), view.metadata.register(10)), (54, Some(7)));
        let frame = view.packet.as_ptr_range();
        assert!(bytes.as_ptr_range().contains(&frame.start), "it is no copy");
    });
    assert_eq!(count, 0);
}

/// A connection whose handshake is done.
fn ready() -> Connection {
    let mut connection = Connection::new(Config::default(), Instant::now());
    let mut from_switch = Vec::new();
    Message::Hello(Hello::new(&[Version::V1_5]))
        .encode(Version::V1_5, 0, &mut from_switch)
        .unwrap();
    connection.handle_bytes(&from_switch, Instant::now());
    // `OFPT_FEATURES_REPLY`, to the request whose xid is 2.
    let features = [
        &[6, 6, 0, 32, 0, 0, 0, 2][..],
        &1_u64.to_be_bytes(),
        &[0, 0, 0, 0, 254, 0, 0, 0],
        &[0; 8],
    ]
    .concat();
    connection.handle_bytes(&features, Instant::now());
    assert!(connection.is_ready());
    while connection.poll_event().is_some() {}
    connection
}

#[test]
fn a_connection_shows_packet_ins_and_sends_packet_outs_without_any() {
    let mut connection = ready();
    let (many, message) = (packet_in().repeat(10), packet_out());
    let mut buffer = Vec::with_capacity(1 << 14);
    connection.poll_transmit_into(&mut buffer);
    buffer.clear();
    buffer.reserve(1 << 14);
    let mut shown = 0;
    let mut round = || {
        connection.handle_bytes_showing(&many, Instant::now(), &mut |view| shown += view.packet.len());
        for _ in 0..10 {
            connection.send(&message).unwrap();
        }
        connection.poll_transmit_into(&mut buffer);
        buffer.clear();
    };
    // Until both buffers are as long as they have to be.
    round();
    round();
    assert_eq!(allocations(round), 0);
    assert_eq!(shown, 3 * 10 * 54);
}

#[test]
fn packet_ins_behind_another_event_are_events_in_their_order() {
    let mut connection = ready();
    let mut bytes = packet_in();
    Message::BarrierReply.encode(Version::V1_5, 0, &mut bytes).unwrap();
    bytes.extend(packet_in());
    let mut shown = 0;
    connection.handle_bytes_showing(&bytes, Instant::now(), &mut |_| shown += 1);
    assert_eq!(shown, 1, "the first, before which nothing else has come");
    assert_eq!(connection.poll_event(), Some(Event::Message(Message::BarrierReply)));
    let last = connection.poll_event();
    assert!(matches!(last, Some(Event::Message(Message::PacketIn2(_)))), "{last:?}");
    assert_eq!(connection.poll_event(), None);
}
