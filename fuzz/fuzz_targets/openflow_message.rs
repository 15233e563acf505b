//! Any bytes are read as a message, and what was read is written as something that is read the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use traceflow_openflow::Version;
use traceflow_openflow::message::{Header, Message, PacketInView};

fuzz_target!(|bytes: &[u8]| {
    assert!(Message::decode_all(bytes).count() <= bytes.len().div_ceil(8));
    let Ok((header, message)) = Message::decode(bytes) else {
        return;
    };
    print(&header, &message, bytes.len());
    if let Message::PacketIn2(packet_in) = &message {
        let view = PacketInView::decode(bytes).expect("it was read").expect("it is one");
        assert_eq!(view.to_packet_in(), *packet_in);
    }
    let Some(version) = Version::from_wire(header.version) else {
        return;
    };
    let mut written = Vec::new();
    // Some things can be received but not sent: a value cut from its bits, a reserved range.
    if message.encode(version, header.xid, &mut written).is_err() {
        return;
    }
    let (_, again) = Message::decode(&written).expect("our own messages are whole");
    let mut rewritten = Vec::new();
    again
        .encode(version, header.xid, &mut rewritten)
        .expect("what was written once can be written again");
    assert_eq!(rewritten, written, "{message:?}\n{again:?}");
});

/// Printing may not panic either, and no few bytes become a long text.
fn print(header: &Header, message: &Message, length: usize) {
    let text = message.with_header(header).to_string();
    assert!(text.len() <= 4096 + 100 * length, "{} bytes became {} of text", length, text.len());
}
