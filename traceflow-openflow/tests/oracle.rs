//! Against ovs-ofctl: what it writes for a flow is what we write for it, and it reads our text as the same flow.
//!
//! Runs where ovs-ofctl is on the path; elsewhere it says so and checks nothing.

mod captures;
mod samples;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use traceflow_openflow::field::{Field, Value};
use traceflow_openflow::matching::FieldMatch;
use traceflow_openflow::message::{ErrorMessage, FeaturesReply, FlowMod, Hello, Message};
use traceflow_openflow::{NICIRA, ONF, Version};

/// Conditions that a flow can have, as ovs-ofctl reads them.
const MATCHES: &str = include_str!("oracle/matches.txt");

/// Actions that a flow can have, as ovs-ofctl reads them; those that only one version has say so.
const ACTIONS: &str = include_str!("oracle/actions.txt");

#[test]
fn flows_are_the_bytes_of_ovs_ofctl_and_our_text_reads_back_as_them() {
    if !present() {
        return;
    }
    for version in Version::ALL {
        let flows = flows(version);
        let theirs = sent_by_ovs_ofctl(version, &flows);
        assert_eq!(theirs.len(), flows.len());
        let wrong: Vec<String> = flows
            .iter()
            .zip(&theirs)
            .filter_map(|(text, bytes)| difference(version, text, bytes))
            .collect();
        assert!(wrong.is_empty(), "{version}:\n{}", wrong.join("\n"));
        let texts: Vec<String> = theirs.iter().map(|bytes| flow(bytes).to_string()).collect();
        let again = sent_by_ovs_ofctl(version, &texts);
        assert_eq!(again.len(), texts.len(), "ovs-ofctl refused one of our texts");
        let misread = |(index, (theirs, again)): (usize, (&Vec<u8>, &Vec<u8>))| {
            (flow(theirs) != flow(again)).then(|| format!("{} is printed as {}", flows[index], texts[index]))
        };
        let wrong: Vec<String> = theirs.iter().zip(&again).enumerate().filter_map(misread).collect();
        assert!(wrong.is_empty(), "{version}:\n{}", wrong.join("\n"));
        println!("{version}: {} flows", flows.len());
        assert!(flows.len() >= 300, "{}", flows.len());
    }
}

#[test]
fn ovs_ofctl_reads_every_message_that_we_write() {
    if !present() {
        return;
    }
    let (mut wrong, mut names) = (Vec::new(), BTreeSet::new());
    for version in Version::ALL {
        for message in samples::messages(version) {
            names.insert(message.name());
            wrong.extend(misunderstanding(version, &message));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let missing: Vec<_> = Message::NAMES.iter().filter(|name| !names.contains(*name)).collect();
    assert!(missing.is_empty(), "there is no sample of {missing:?}");
    println!("{} kinds of messages", names.len());
}

/// What ovs-ofctl reads in our message, if that isn't what we say that it is.
fn misunderstanding(version: Version, message: &Message) -> Option<String> {
    let mut bytes = Vec::new();
    message
        .encode(version, 7, &mut bytes)
        .expect("a sample fits its version");
    // As it was sent: not every version can say everything.
    let (header, message) = Message::decode(&bytes).expect("our own messages are whole");
    let (ours, theirs) = (message.with_header(&header).to_string(), printed_by_ovs_ofctl(&bytes));
    let alike = words(&ours) == words(&theirs) || OTHERWISE.iter().any(|start| theirs.starts_with(start));
    (theirs.contains("***") || !alike).then(|| format!("ours   {ours}\ntheirs {theirs}  {}", hex(&bytes)))
}

/// Its order of fields and ports is its own, and it knows what is in a packet.
#[test]
fn captured_messages_print_as_ovs_ofctl_prints_them() {
    if !present() {
        return;
    }
    let (mut same, mut alike, mut wrong) = (0, 0, Vec::new());
    for bytes in captures::described().map(|(_, bytes)| bytes) {
        let (header, message) = Message::decode(&bytes).expect("a captured message");
        let (ours, theirs) = (message.with_header(&header).to_string(), printed_by_ovs_ofctl(&bytes));
        match theirs.trim_end_matches('\n') {
            theirs if theirs == ours => same += 1,
            theirs if words(theirs) == words(&ours) => alike += 1,
            // What the switch refused ovs-ofctl can't read either.
            theirs if theirs.contains("***") || OTHERWISE.iter().any(|start| theirs.starts_with(start)) => {}
            theirs => wrong.push(format!("ours   {ours}\ntheirs {theirs}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{same} captured messages print the same, {alike} in another order");
    assert!(same >= 100, "{same}");
}

/// What we don't take apart; and what we say in other words: a flush without what it leaves open, the cookies
/// of a filter, reasons kind by kind, payload in one line.
const OTHERWISE: [&str; 13] = [
    "OFPST_TABLE ",
    "OFPST_TABLE_FEATURES reply",
    "OFPST_GROUP_FEATURES reply",
    "OFPST_QUEUE ",
    "OFPST_PORT ",
    "OFPT_PORT_MOD ",
    "NXT_CT_FLUSH ",
    "OFPST_FLOW request",
    "OFPST_AGGREGATE request",
    "OFPST_TABLE_DESC reply",
    "OFPT_SET_ASYNC ",
    "OFPT_GET_ASYNC_REPLY ",
    "OFPT_ECHO_REQUEST ",
];

/// Where the words differ: one side has the first, the other the second.
const WORDS: [(&str, &str); 12] = [
    ("ip_src", "nw_src"),
    ("ip_dst", "nw_dst"),
    ("icmpv6_", "icmp_"),
    ("tcp_src", "tp_src"),
    ("tcp_dst", "tp_dst"),
    ("ONFT_", "OFPT_"),
    ("ONFST_", "OFPST_"),
    // Ours for the bit of OpenFlow 1.3.
    ("no-abbrev", "own"),
    // Left out by ovs-ofctl: of what is 0, and the priority of a flow that is monitored.
    ("table_id=0 ", ""),
    ("priority=7,", ""),
    (
        "priority=300,tcp,tp_dst=80 actions=dec_ttl\n event",
        "tcp,tp_dst=80 actions=dec_ttl\n event",
    ),
    ("bucket_id:0,", ""),
];

/// The words of a text in an order that doesn't depend on it, without what only one side says.
fn words(text: &str) -> Vec<String> {
    let one_sided = ["packet=", "continuation", "vlan_tci=0x0000,dl_src"];
    let said_by_both = |line: &&str| !one_sided.iter().any(|part| line.contains(part));
    let text: Vec<&str> = text.lines().filter(said_by_both).collect();
    let text = WORDS
        .into_iter()
        .fold(text.join("\n"), |text, (theirs, ours)| text.replace(theirs, ours));
    let words = text.split([' ', ',', '\n']).filter(|word| !word.is_empty());
    let mut words: Vec<String> = words.map(ToOwned::to_owned).collect();
    words.sort();
    words
}

#[test]
fn errors_are_called_what_ovs_ofctl_calls_them() {
    if !present() {
        return;
    }
    let standard = (0..20).flat_map(|kind| (0..25).map(move |code| ErrorMessage::new(kind, code, Vec::new())));
    let named = compared(Version::V1_5, standard);
    let extended = (0..60)
        .map(|code| (NICIRA, code))
        .chain((2300..2700).map(|code| (ONF, code)));
    let extended = extended.map(|(experimenter, code)| ErrorMessage {
        experimenter: Some(experimenter),
        ..ErrorMessage::new(0xffff, code, Vec::new())
    });
    println!("{} errors", named + compared(Version::V1_3, extended));
}

/// Compares the names of those errors that ovs-ofctl knows, and says how many those are.
fn compared(version: Version, errors: impl Iterator<Item = ErrorMessage>) -> usize {
    let path = std::env::temp_dir().join(format!("traceflow-errors-{}-{}", std::process::id(), version.wire()));
    let (errors, mut bytes) = (errors.collect::<Vec<_>>(), Vec::new());
    for (xid, error) in errors.iter().enumerate() {
        let encoded = Message::Error(error.clone()).encode(version, xid as u32, &mut bytes);
        encoded.expect("an error without data");
    }
    std::fs::write(&path, bytes).expect("a file in the folder for temporary files");
    let output = Command::new("ovs-ofctl")
        .arg("ofp-parse")
        .arg(&path)
        .output()
        .expect("ovs-ofctl starts");
    let _ = std::fs::remove_file(&path);
    let text = String::from_utf8_lossy(&output.stdout);
    let known = |line: &&str| line.starts_with("OFPT_ERROR") && !line.contains("***");
    let lines: Vec<&str> = text.lines().filter(known).collect();
    for line in &lines {
        let (head, name) = line.split_once("): ").expect("a header and a name");
        let xid = head.rsplit("0x").next().map(|digits| usize::from_str_radix(digits, 16));
        let error = &errors[xid.expect("an xid").expect("a number")];
        assert_eq!(error.name(), Some(name), "{error:?}");
    }
    lines.len()
}

/// The names of the fields, how many bytes they take, and whether they can have a mask: the first one that it doesn't
/// know, or of another width, ends ovs-ofctl. That some need others beside them is no matter here.
#[test]
fn ovs_ofctl_reads_every_field_by_our_name_in_our_width() {
    if !present() {
        return;
    }
    let lines: Vec<String> = fields().flat_map(as_text).collect();
    let answers = answered_by_ovs_ofctl(&["parse-oxm", "OpenFlow15"], &lines);
    assert_eq!(answers.len(), lines.len(), "refused: {:?}", lines.get(answers.len()));
    println!("{} fields, with and without mask", lines.len());
}

/// Every field that has a name here.
fn fields() -> impl Iterator<Item = Field> {
    let classes = [0, 1, 0x1000, 0x8000, 0x8001];
    let experimenters = [NICIRA, ONF, 0x005a_d650];
    let plain = classes
        .into_iter()
        .flat_map(|class| (0..128).map(move |number| Field::new(class, number)));
    let extended = experimenters
        .into_iter()
        .flat_map(|experimenter| (0..128).map(move |number| Field::of_experimenter(experimenter, number)));
    plain.chain(extended).filter(|field| field.maskable().is_some())
}

/// A value of the field, and one with a mask if it can have one.
fn as_text(field: Field) -> Vec<String> {
    let value = Value::new(field, 1);
    let name = field.wire_name();
    let mut lines = vec![format!("{name}({})", hex(value.bytes()))];
    if field.maskable() == Some(true) {
        lines.push(format!("{name}_W({0}/{0})", hex(value.bytes())));
    }
    lines
}

/// What ovs-ofctl says to each line.
fn answered_by_ovs_ofctl(arguments: &[&str], lines: &[String]) -> Vec<String> {
    let mut ovs_ofctl = Command::new("ovs-ofctl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("ovs-ofctl starts");
    let text = lines.join("\n") + "\n";
    let mut stdin = ovs_ofctl.stdin.take().expect("stdin is piped");
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = ovs_ofctl.wait_with_output().expect("ovs-ofctl ends");
    // It may have given up before the end.
    let _ = writer.join().expect("the writer ends");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(ToOwned::to_owned)
        .collect()
}

fn printed_by_ovs_ofctl(bytes: &[u8]) -> String {
    let output = Command::new("ovs-ofctl")
        .args(["ofp-print", &hex(bytes)])
        .output()
        .expect("ovs-ofctl starts");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Whether ovs-ofctl is there.
fn present() -> bool {
    let found = Command::new("ovs-ofctl")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok();
    if !found {
        println!("skipped: ovs-ofctl is not on this machine (apt-get install openvswitch-common)");
    }
    found
}

/// One flow for each condition and each action.
fn flows(version: Version) -> Vec<String> {
    let other = if version == Version::V1_3 { "1.5: " } else { "1.3: " };
    let lines = |text: &'static str| text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let matches = lines(MATCHES).map(|line| format!("{line} actions=drop"));
    let actions = lines(ACTIONS).filter(|line| !line.starts_with(other)).map(|line| {
        let line = line.trim_start_matches("1.3: ").trim_start_matches("1.5: ");
        // Prerequisites of what the action touches stand before a bar.
        match line.split_once(" | ") {
            Some((matching, actions)) => format!("{matching} actions={actions}"),
            None => format!("ip actions={line}"),
        }
    });
    matches.chain(actions).collect()
}

/// What is wrong with our reading or writing of a flow-mod.
fn difference(version: Version, text: &str, bytes: &[u8]) -> Option<String> {
    let (header, message) = match Message::decode(bytes) {
        Ok(decoded) => decoded,
        Err(error) => return Some(format!("{text}: {error}")),
    };
    if format!("{message:?}").contains("Unknown") {
        return Some(format!("{text}: has something unknown: {message:?}"));
    }
    if let Message::FlowMod(flow) = &message {
        let known = |condition: &FieldMatch| condition.field.maskable().is_some();
        if let Some(unknown) = flow.matching.fields.iter().find(|condition| !known(condition)) {
            return Some(format!("{text}: has an unknown field: {unknown:?}"));
        }
    }
    let mut ours = Vec::new();
    if let Err(error) = message.encode(version, header.xid, &mut ours) {
        return Some(format!("{text}: {error}"));
    }
    (ours != bytes).then(|| format!("{text}\n  ours   {}\n  theirs {}", hex(&ours), hex(bytes)))
}

fn flow(bytes: &[u8]) -> FlowMod {
    match Message::decode(bytes) {
        Ok((_, Message::FlowMod(flow))) => flow,
        other => panic!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The flow-mods that ovs-ofctl sends for `flows` to a switch that we play.
fn sent_by_ovs_ofctl(version: Version, flows: &[String]) -> Vec<Vec<u8>> {
    let path = socket_path(version);
    let listener = UnixListener::bind(&path).expect("a socket in the folder for temporary files");
    let mut ovs_ofctl = Command::new("ovs-ofctl")
        .args([
            "--no-names",
            "-O",
            if version == Version::V1_3 {
                "OpenFlow13"
            } else {
                "OpenFlow15"
            },
            "add-flows",
        ])
        .arg(format!("unix:{}", path.display()))
        .arg("-")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ovs-ofctl starts");
    let text = flows.join("\n");
    let mut stdin = ovs_ofctl.stdin.take().expect("stdin is piped");
    stdin.write_all(text.as_bytes()).expect("ovs-ofctl reads its flows");
    drop(stdin);
    let switch = std::thread::spawn(move || played_switch(&listener, version));
    let output = ovs_ofctl.wait_with_output().expect("ovs-ofctl ends");
    // Let the played switch go also if ovs-ofctl never came.
    drop(UnixStream::connect(&path));
    let _ = std::fs::remove_file(&path);
    assert!(output.status.success(), "{}", complaint(&output.stderr, flows));
    switch.join().expect("the played switch ends")
}

/// What ovs-ofctl has to say, and the flow that it means: it begins with the line's number, `ovs-ofctl: -:17: …`.
fn complaint(stderr: &[u8], flows: &[String]) -> String {
    let stderr = String::from_utf8_lossy(stderr);
    let line = stderr
        .rsplit("-:")
        .next()
        .and_then(|rest| rest.split(':').next())
        .and_then(|line| line.parse().ok());
    let flow = line.and_then(|line: usize| flows.get(line.wrapping_sub(1)));
    format!("{stderr}{flow:?}")
}

fn socket_path(version: Version) -> PathBuf {
    std::env::temp_dir().join(format!("traceflow-oracle-{}-{}", std::process::id(), version.wire()))
}

/// Answers what ovs-ofctl asks and returns the flow-mods.
fn played_switch(listener: &UnixListener, version: Version) -> Vec<Vec<u8>> {
    let (mut stream, _) = listener.accept().expect("ovs-ofctl connects");
    send(&mut stream, version, 1, &Message::Hello(Hello::new(&Version::ALL)));
    let mut flows = Vec::new();
    while let Some(bytes) = receive(&mut stream) {
        let Ok((header, message)) = Message::decode(&bytes) else {
            continue;
        };
        match message {
            Message::FlowMod(_) => flows.push(bytes),
            Message::BarrierRequest => send(&mut stream, version, header.xid, &Message::BarrierReply),
            Message::EchoRequest(echo) => send(&mut stream, version, header.xid, &Message::EchoReply(echo)),
            Message::FeaturesRequest => {
                send(
                    &mut stream,
                    version,
                    header.xid,
                    &Message::FeaturesReply(FeaturesReply::default()),
                );
            }
            _ => {}
        }
    }
    flows
}

fn send(stream: &mut UnixStream, version: Version, xid: u32, message: &Message) {
    let mut bytes = Vec::new();
    message.encode(version, xid, &mut bytes).expect("a short message");
    // ovs-ofctl may have gone already.
    let _ = stream.write_all(&bytes);
}

fn receive(stream: &mut UnixStream) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 8];
    stream.read_exact(&mut bytes).ok()?;
    bytes.resize(usize::from(u16::from_be_bytes([bytes[2], bytes[3]])), 0);
    stream.read_exact(&mut bytes[8..]).ok()?;
    Some(bytes)
}
