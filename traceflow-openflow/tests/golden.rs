//! Messages of a real switch and a real ovs-ofctl: each is read, has nothing unknown, and is written as the same bytes.

mod captures;

use traceflow_openflow::message::Message;

/// What this crate leaves to its raw form on purpose.
const RAW: [&str; 5] = [
    "OFPST_TABLE ",
    "OFPST_PORT ",
    "OFPST_QUEUE ",
    "OFPST_GROUP_FEATURES ",
    "OFPT_PORT_MOD ",
];

#[test]
fn captured_messages_come_back_as_they_were() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (what, bytes) in captures::described() {
        count += 1;
        wrong.extend(difference(&bytes, &what).map(|why| format!("{what}\n  {why}")));
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count > 150, "{count}");
}

#[test]
fn messages_are_called_what_ovs_ofctl_calls_them() {
    for (what, bytes) in captures::described().filter(|(what, _)| !what.contains("ST_") && !is_raw(what)) {
        let (_, message) = Message::decode(&bytes).expect("a captured message");
        // The ONF's extensions are called by their later names here.
        let name = what
            .split([' ', ':'])
            .next()
            .unwrap_or_default()
            .replace("ONFT_", "OFPT_");
        assert_eq!(message.name(), name, "{what}");
    }
}

fn difference(bytes: &[u8], what: &str) -> Option<String> {
    let (header, message) = match Message::decode(bytes) {
        Ok(decoded) => decoded,
        Err(error) => return Some(error.to_string()),
    };
    if format!("{message:?}").contains("Unknown {") && !is_raw(what) {
        return Some(format!("has something unknown: {message:?}"));
    }
    let version = traceflow_openflow::Version::from_wire(header.version).expect("both versions are spoken");
    let mut ours = Vec::new();
    match message.encode(version, header.xid, &mut ours) {
        Ok(()) if ours == bytes => None,
        Ok(()) => Some(format!("ours   {}\n  theirs {}", hex(&ours), hex(bytes))),
        Err(error) => Some(error.to_string()),
    }
}

fn is_raw(what: &str) -> bool {
    RAW.iter().any(|raw| what.starts_with(raw))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
