//! `traceflow decode`: OpenFlow messages as text, and what tracers' packet-ins among them say.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use traceflow_core::input::{BadInput, Place, Problem, Text};
use traceflow_core::packet::CapturedPacket;
use traceflow_core::render;
use traceflow_openflow::message::{HEADER, Header, Message};
use traceflow_openflow::wire::Reader;
use traceflow_ovs::directory::{Directory, NoNames};
use traceflow_ovs::layout::Layout;
use traceflow_ovs::pipeline::{Antrea, PipelineError};
use traceflow_ovs::{MarkKind, Punted};
use traceflow_sim::Cluster;

use crate::args::DecodeArgs;
use crate::failure::Failure;
use crate::files::{self, label};
use crate::{output, switches};

/// Prints the messages; whether all of them could be read.
pub(crate) fn run(args: &DecodeArgs) -> Result<bool, Failure> {
    let switch = Switch::load(args)?;
    let bytes = bytes(&args.messages)?;
    let (page, mistakes) = decode(&bytes, &switch);
    output::write(&page)?;
    for mistake in &mistakes {
        eprintln!("error: {mistake}");
    }
    Ok(mistakes.is_empty())
}

/// What is known about the switch that sent the messages.
struct Switch {
    layout: Layout,
    directory: Box<dyn Directory>,
}

impl Switch {
    fn load(args: &DecodeArgs) -> Result<Self, Failure> {
        let (Some(file), Some(name)) = (&args.nodes, &args.node) else {
            return Ok(Self {
                // The ports that Antrea takes.
                layout: Antrea::default()
                    .description()
                    .layout_if_complete(vec![1], Some(2), Vec::new())
                    .map_err(unusable)?,
                directory: Box::new(NoNames),
            });
        };
        let (node, pipeline) = switches::find(switches::read(file)?, name, file)?;
        let cluster = Cluster::from_paths(&args.cluster)?;
        Ok(Self {
            layout: pipeline
                .layout_if_complete(node.tunnels.clone(), node.gateway, node.routed.clone())
                .map_err(unusable)?,
            directory: Box::new(switches::directory(&node, &Arc::new(cluster))),
        })
    }
}

fn unusable(error: PipelineError) -> Failure {
    Failure::Usage(error.to_string())
}

/// A file if there is one of this name, else digits.
fn bytes(messages: &str) -> Result<Vec<u8>, Failure> {
    let file = Path::new(messages);
    if messages == "-" || file.exists() {
        return Ok(from_content(&label(file), files::read(file)?)?);
    }
    if messages.contains(['/', '.']) {
        return Err(Failure::Usage(format!("there is no file {messages}")));
    }
    Ok(from_digits(&Text::new("the argument", messages))?)
}

/// A message begins with its version, which is no character; digits are text.
fn from_content(label: &str, content: Vec<u8>) -> Result<Vec<u8>, BadInput> {
    match content.first() {
        Some(0..=8) => Ok(content),
        _ => from_digits(&Text::from_bytes(label, &content)?),
    }
}

/// Hexadecimal digits; blanks, line breaks and colons between bytes, and lines that begin with `#`, don't count.
fn from_digits(text: &Text) -> Result<Vec<u8>, BadInput> {
    let mut bytes = Vec::with_capacity(text.as_str().len() / 2);
    // The first digit of a byte, and where it stands.
    let mut half: Option<(u32, Place)> = None;
    let odd = |place| {
        let found = "the last digit of a byte is missing".to_owned();
        mistake(text, place, found, "two digits for each byte")
    };
    for (line, number) in text.as_str().lines().zip(1..) {
        if line.trim_start().starts_with('#') {
            continue;
        }
        for (character, column) in line.chars().zip(1..) {
            let place = Place { line: number, column };
            match (character, character.to_digit(16), half.take()) {
                (_, Some(digit), None) => half = Some((digit, place)),
                // Two digits of four bits each.
                (_, Some(digit), Some((first, _))) => bytes.push((first << 4 | digit) as u8),
                (' ' | '\t' | '\r' | ':', None, None) => {}
                (' ' | '\t' | '\r' | ':', None, Some((_, first))) => return Err(odd(first)),
                (other, ..) => {
                    let found = format!("{other:?} is no hexadecimal digit");
                    return Err(mistake(
                        text,
                        place,
                        found,
                        "0 to 9 and a to f, with blanks or colons between bytes",
                    ));
                }
            }
        }
        if let Some((_, place)) = half.take() {
            return Err(odd(place));
        }
    }
    if bytes.is_empty() {
        let expected = "OpenFlow messages, as hexadecimal digits or as they are";
        return Err(BadInput::new("", Problem::Empty { expected }).at(text, Place::START));
    }
    Ok(bytes)
}

fn mistake(text: &Text, place: Place, found: String, expected: &'static str) -> BadInput {
    let expected = expected.into();
    BadInput::new("", Problem::Invalid { found, expected }).at(text, place)
}

/// The messages as text, and what could not be read.
fn decode(bytes: &[u8], switch: &Switch) -> (String, Vec<String>) {
    let (mut page, mut mistakes) = (String::new(), Vec::new());
    let mut start = 0;
    for message in Message::decode_all(bytes) {
        match message {
            Ok((header, message)) => page.push_str(&shown(&header, &message, switch)),
            Err(error) => mistakes.push(cut(&bytes[start..], start).unwrap_or_else(|| error.to_string())),
        }
        start += header(&bytes[start..]).map_or(0, |header| usize::from(header.length).min(bytes.len() - start));
    }
    (page, mistakes)
}

fn header(bytes: &[u8]) -> Option<Header> {
    Header::decode(&mut Reader::new(bytes)).ok()
}

/// What is missing, if anything is.
fn cut(rest: &[u8], start: usize) -> Option<String> {
    let there = rest.len();
    if there < HEADER {
        let words =
            format!("the message at byte {start} is cut: {there} bytes are there, and its header alone has {HEADER}");
        return Some(words);
    }
    let header = header(rest)?;
    let length = usize::from(header.length);
    (length > there).then(|| {
        format!(
            "the message at byte {start} is cut: type {} {header}, {length} bytes long, of which {there} are there and \
             {} are missing",
            header.kind,
            length - there
        )
    })
}

fn shown(header: &Header, message: &Message, switch: &Switch) -> String {
    let mut text = format!("{}\n", message.with_header(header));
    match message {
        Message::PacketIn(packet_in) => text.push_str(&packet(&packet_in.packet)),
        Message::NiciraPacketIn(packet_in) => text.push_str(&packet(&packet_in.0.packet)),
        Message::PacketIn2(packet_in) => {
            text.push_str(&packet(&packet_in.packet));
            let punted = Punted::read(packet_in, &switch.layout, &*switch.directory);
            text.push_str(&punted.as_ref().map(said).unwrap_or_default());
        }
        _ => {}
    }
    text
}

fn packet(frame: &[u8]) -> String {
    match CapturedPacket::from_frame(frame) {
        Ok(packet) => format!(" which is {}\n", render::packet(&packet)),
        Err(error) => format!(" which is no IP packet: {error}\n"),
    }
}

/// What a tracer's flow says about the packet.
fn said(punted: &Punted) -> String {
    let kind = match punted.kind {
        MarkKind::Injected => "injected packet",
        MarkKind::Live => "real packet",
        MarkKind::DroppedOnly => "real packet (only drops are wanted)",
        MarkKind::Carried => "injected packet, known by its DSCP",
    };
    let end = if punted.left { "left by" } else { "ended in" };
    let mut text = format!(
        " tracer {}: {kind}, mark {}, {end} table {}\n",
        punted.tracer, punted.mark, punted.table
    );
    for seen in &punted.observations {
        // Writing to a string doesn't fail.
        let _ = writeln!(text, "  {}", render::observation(seen));
    }
    text
}
