//! Any bytes are read as a message, and what was read is written as something that is read the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use traceflow_openflow::Version;
use traceflow_openflow::message::{Message, MultipartBody, MultipartReply};

fuzz_target!(|bytes: &[u8]| {
    let Ok((header, message)) = Message::decode(bytes) else {
        return;
    };
    print(&message);
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

/// Printing may not panic either.
fn print(message: &Message) {
    match message {
        Message::FlowMod(flow) => drop(flow.to_string()),
        Message::PacketIn2(packet_in) => drop(packet_in.metadata.to_string()),
        Message::PacketOut(out) => drop(out.actions.iter().map(ToString::to_string).collect::<Vec<_>>()),
        Message::Error(error) => drop(error.to_string()),
        Message::MultipartReply(MultipartReply {
            body: MultipartBody::Flows(flows),
            ..
        }) => {
            drop(flows.iter().map(ToString::to_string).collect::<Vec<_>>());
        }
        _ => {}
    }
}
