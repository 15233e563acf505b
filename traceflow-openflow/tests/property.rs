//! For any value: reading what was written gives it back. For any bytes: no panic.

mod strategies;

use std::time::Instant;

use proptest::prelude::{ProptestConfig, any, prop, proptest};
use proptest::test_runner::TestCaseError;
use proptest::{prop_assert, prop_assert_eq};
use traceflow_openflow::connection::{Config, Connection};
use traceflow_openflow::message::{Message, PacketInView};
use traceflow_openflow::{NICIRA, ONF, Version};

proptest! {
    // What was found once belongs into a test of its own, not into a file of seeds.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reading_what_was_written_gives_it_back(
        version in prop::sample::select(&Version::ALL[..]),
        xid: u32,
        message in strategies::message(),
    ) {
        let mut bytes = Vec::new();
        // What the version can't say, or what is too long, is refused; then there is nothing to read.
        if message.encode(version, xid, &mut bytes).is_ok() {
            let (header, decoded) = Message::decode(&bytes).map_err(|error| {
                TestCaseError::fail(format!("{error}: {bytes:02x?}"))
            })?;
            prop_assert_eq!(usize::from(header.length), bytes.len());
            prop_assert_eq!(header.xid, xid);
            prop_assert_eq!(decoded, strategies::in_version(message, version));
        }
    }

    #[test]
    fn printing_never_fails(message in strategies::message()) {
        let text = message.to_string();
        prop_assert!(text.starts_with("OFP") || text.starts_with("NXT_") || text.starts_with("ONF") || text.starts_with("unknown"));
    }

    #[test]
    fn arbitrary_bytes_are_refused_or_read(
        version in prop::sample::select(&[4_u8, 6][..]),
        kind in 0_u8..40,
        extension in prop::sample::select(&[NICIRA, ONF][..]),
        number in 0_u32..40,
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        read(&framed(version, kind, &body));
        let mut nicira = extension.to_be_bytes().to_vec();
        nicira.extend(number.to_be_bytes());
        nicira.extend(&body);
        read(&framed(version, 4, &nicira));
    }

    #[test]
    fn cut_and_damaged_messages_are_refused_or_read(
        version in prop::sample::select(&Version::ALL[..]),
        message in strategies::message(),
        cut: prop::sample::Index,
        place: prop::sample::Index,
        damage: u8,
    ) {
        let mut bytes = Vec::new();
        if message.encode(version, 1, &mut bytes).is_ok() {
            read(&bytes[..cut.index(bytes.len())]);
            // With a header that agrees, so that the body's own lengths are what is cut.
            let cut = cut.index(bytes.len()).max(8);
            let mut shorter = bytes[..cut].to_vec();
            shorter[2..4].copy_from_slice(&(cut as u16).to_be_bytes());
            read(&shorter);
            let place = place.index(bytes.len());
            bytes[place] = damage;
            read(&bytes);
        }
    }

    #[test]
    fn a_connection_survives_whatever_comes(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..8),
        handshake: bool,
    ) {
        let now = Instant::now();
        let mut connection = Connection::new(Config::default(), now);
        if handshake {
            connection.handle_bytes(&[6, 0, 0, 16, 0, 0, 0, 1, 0, 1, 0, 8, 0, 0, 0, 0x72], now);
            connection.handle_bytes(&framed(6, 6, &[0; 24]), now);
        }
        for chunk in chunks {
            connection.handle_bytes(&chunk, now);
            while connection.poll_event().is_some() {}
            connection.poll_transmit();
        }
    }
}

fn framed(version: u8, kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![version, kind];
    bytes.extend(((body.len() + 8) as u16).to_be_bytes());
    bytes.extend([0, 0, 0, 1]);
    bytes.extend(body);
    bytes
}

/// Reads, and writes again what could be read: neither may panic.
/// A view and the message agree wherever the message can be read.
fn read(bytes: &[u8]) {
    let view = PacketInView::decode(bytes);
    if let Ok((header, message)) = Message::decode(bytes) {
        match (&message, view) {
            (Message::PacketIn2(packet_in), Ok(Some(view))) => assert_eq!(view.to_packet_in(), *packet_in),
            (Message::PacketIn2(_), other) => panic!("{other:?} of {bytes:02x?}"),
            (_, view) => assert_eq!(view, Ok(None)),
        }
        for version in Version::ALL {
            let _ = message.encode(version, header.xid, &mut Vec::new());
        }
        let _ = message.with_header(&header).to_string();
    }
}
