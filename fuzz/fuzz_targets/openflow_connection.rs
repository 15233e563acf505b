//! Bytes, requests and time in any order: no panic, nothing after the end, no request that waits for ever.

#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use traceflow_openflow::connection::{Config, Connection, Event};
use traceflow_openflow::message::{BundleFlags, Echo, FlowMod, Message, MultipartRequest};

fuzz_target!(|steps: Vec<(u8, Vec<u8>)>| {
    let mut now = Instant::now();
    let mut connection = Connection::new(Config::default(), now);
    let (mut closed, mut sent) = (false, Vec::new());
    for (step, bytes) in steps {
        match step % 8 {
            0 => handshake(&mut connection, now),
            1 => drop(connection.send_all(&[Message::BarrierRequest, Message::EchoRequest(Echo { data: bytes })])),
            2 => bundle(&mut connection, &bytes),
            3 => drop(connection.send(&Message::MultipartRequest(MultipartRequest::Tables))),
            4 => {
                now += Duration::from_millis(100 * u64::from(step));
                connection.handle_timeout(now);
            }
            _ => connection.handle_bytes(&bytes, now),
        }
        while let Some(event) = connection.poll_event() {
            assert!(!closed, "after the end: {event:?}");
            closed = matches!(event, Event::Closed(_));
        }
        sent.clear();
        connection.poll_transmit_into(&mut sent);
        assert_eq!(closed, connection.poll_timeout().is_none());
    }
});

/// A bundle of a message that may be any.
fn bundle(connection: &mut Connection, bytes: &[u8]) {
    if let Ok((_, message)) = Message::decode(bytes) {
        drop(connection.send_bundle(BundleFlags::ATOMIC, [&message, &Message::FlowMod(FlowMod::add())]));
    }
}

fn handshake(connection: &mut Connection, now: Instant) {
    connection.handle_bytes(&[6, 0, 0, 16, 0, 0, 0, 1, 0, 1, 0, 8, 0, 0, 0, 0x72], now);
    let mut features = vec![6, 6, 0, 32, 0, 0, 0, 2];
    features.resize(32, 0);
    connection.handle_bytes(&features, now);
}
