//! A stream tells the same however it is cut into pieces.

#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use traceflow_openflow::connection::{Config, Connection, Event};

/// A hello and a features reply, so that what follows is not thrown away.
const HANDSHAKE: [u8; 48] = [
    6, 0, 0, 16, 0, 0, 0, 1, 0, 1, 0, 8, 0, 0, 0, 0x72, //
    6, 6, 0, 32, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 254, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (cuts, stream) = input;
    let stream = [&HANDSHAKE[..], &stream].concat();
    let mut pieces = Vec::new();
    let mut rest = &stream[..];
    for cut in cuts {
        let (piece, after) = rest.split_at(usize::from(cut).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    assert_eq!(told(&pieces), told(&[&stream[..]]));
});

/// The events and the bytes to be sent.
fn told(pieces: &[&[u8]]) -> (Vec<Event>, Vec<u8>) {
    let now = Instant::now();
    let mut connection = Connection::new(Config::default(), now);
    let (mut events, mut sent) = (Vec::new(), Vec::new());
    for piece in pieces {
        connection.handle_bytes(piece, now);
        events.extend(std::iter::from_fn(|| connection.poll_event()));
        sent.extend(connection.poll_transmit().unwrap_or_default());
    }
    (events, sent)
}
