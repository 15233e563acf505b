//! Messages of a real switch and a real ovs-ofctl: each is read, has nothing unknown, and is written as the same bytes.

use traceflow_openflow::message::Message;

const CAPTURES: [(&str, &str); 2] = [
    ("OpenFlow 1.5", include_str!("golden/openflow15.txt")),
    ("OpenFlow 1.3", include_str!("golden/openflow13.txt")),
];

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
    for (version, text) in CAPTURES {
        for (what, bytes) in messages(text) {
            count += 1;
            wrong.extend(difference(&bytes, &what).map(|why| format!("{version}: {what}\n  {why}")));
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count > 150, "{count}");
}

#[test]
fn messages_are_called_what_ovs_ofctl_calls_them() {
    for (version, text) in CAPTURES {
        for (what, bytes) in messages(text).filter(|(what, _)| !what.contains("ST_") && !is_raw(what)) {
            let (_, message) = Message::decode(&bytes).expect("a captured message");
            // The ONF's extensions are called by their later names here.
            let name = what
                .split([' ', ':'])
                .next()
                .unwrap_or_default()
                .replace("ONFT_", "OFPT_");
            assert_eq!(message.name(), name, "{version}: {what}");
        }
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

/// What ovs-ofctl says a message is, and its bytes.
fn messages(text: &str) -> impl Iterator<Item = (String, Vec<u8>)> + '_ {
    let mut what = "";
    text.lines()
        .filter(|line| !line.is_empty())
        .filter_map(move |line| match line.strip_prefix("# ") {
            Some(comment) => {
                what = comment
                    .strip_prefix("> ")
                    .or_else(|| comment.strip_prefix("< "))
                    .unwrap_or(what);
                None
            }
            None => Some((what.to_owned(), bytes(line))),
        })
}

fn bytes(digits: &str) -> Vec<u8> {
    let digits: Vec<u32> = digits.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits
        .chunks_exact(2)
        .map(|pair| (pair[0] << 4 | pair[1]) as u8)
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
