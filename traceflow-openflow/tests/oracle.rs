//! Against ovs-ofctl: what it writes for a flow is what we write for it, and it reads our text as the same flow.
//!
//! Runs where ovs-ofctl is on the path; elsewhere it says so and checks nothing.

mod samples;

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use traceflow_openflow::Version;
use traceflow_openflow::matching::FieldMatch;
use traceflow_openflow::message::{FeaturesReply, FlowMod, Hello, Message};

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
    }
}

#[test]
fn ovs_ofctl_reads_every_message_that_we_write() {
    if !present() {
        return;
    }
    let mut wrong = Vec::new();
    for version in Version::ALL {
        for message in samples::messages(version) {
            let mut bytes = Vec::new();
            message
                .encode(version, 7, &mut bytes)
                .expect("a sample fits its version");
            let text = printed_by_ovs_ofctl(&bytes);
            // The multipart messages and the ONF's extensions have other names there.
            let name = message
                .name()
                .replace("OFPT_MULTIPART_", "")
                .replace("OFPT_BUNDLE_", "");
            if text.contains("***") || !text.contains(name.trim_start_matches("NXT_")) && !text.contains("ST_") {
                wrong.push(format!("{version}: {}: {text}\n  {}", message.name(), hex(&bytes)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
