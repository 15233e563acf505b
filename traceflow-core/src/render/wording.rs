//! The words that all pictures of a trace share.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};

use crate::inventory::Owner;
use crate::observation::{DropReason, Observation};
use crate::packet::{CapturedPacket, CapturedTransport, IcmpHeader, IpFamily, Protocol, Transport};
use crate::plan::{End, FlowMatch, Plan, Question, TcpFlagsMatch};
use crate::trace::{Mode, Silence, Trace, Verdict};

/// Text from outside as it may be shown: control characters, and those that turn the direction of writing, are spelled
/// out as `\u{1b}`.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_unsafe(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

fn is_unsafe(character: char) -> bool {
    let turns_direction =
        matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let not_a_character = matches!(
        character,
        '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
    );
    character.is_control() || turns_direction || not_a_character
}

/// What was asked, in one line: `default/pod1 (172.16.5.11) -> default/pod2 (172.16.5.12), TCP, port 10002 -> 80`.
pub(super) fn question(plan: &Plan) -> String {
    let source = plan.source.as_ref().map_or_else(|| "any source".to_owned(), end);
    let destination = plan
        .destination
        .as_ref()
        .map_or_else(|| "any destination".to_owned(), end);
    let traffic = match &plan.question {
        Question::Inject { packet, .. } => transport(&packet.transport),
        Question::Live { matching, .. } => flow(matching),
    };
    format!("{source} -> {destination}, {traffic}")
}

/// How the answer was found, and what follows for the reader.
pub(super) fn mode(trace: &Trace) -> String {
    match trace.mode {
        Mode::Predicted => "predicted, nothing was sent".to_owned(),
        Mode::Injected if trace.attempts > 1 => format!("injected packet, {} attempts", trace.attempts),
        Mode::Injected => "injected packet".to_owned(),
        Mode::Live => match trace.plan.question {
            Question::Live { dropped_only: true, .. } => "live traffic, dropped packets only".to_owned(),
            _ => "live traffic".to_owned(),
        },
    }
}

/// What the trace changed and that it is undone; nothing where nothing was touched.
pub(super) fn receipt(trace: &Trace) -> Option<String> {
    let touched = !trace.receipt.nodes.is_empty();
    touched.then(|| trace.receipt.to_string())
}

/// How it ended, in capitals, and why.
pub(super) fn verdict(trace: &Trace) -> String {
    let ended = end_of_path(trace);
    if trace.mode == Mode::Predicted {
        format!("PREDICTED: {ended}")
    } else {
        ended
    }
}

fn end_of_path(trace: &Trace) -> String {
    match &trace.verdict {
        Verdict::Delivered { node } => match &trace.plan.destination {
            Some(destination) => format!("DELIVERED on {node}, to {}", delivered_to(trace, destination)),
            None => format!("DELIVERED on {node}"),
        },
        Verdict::Dropped { node, reason } => with_reason("DROPPED", node, reason.as_ref()),
        Verdict::Rejected { node, reason } => with_reason("REJECTED", node, reason.as_ref()),
        Verdict::LeftNetwork { node } => format!("LEFT THE NETWORK from {node}; what happens beyond is not observed"),
        Verdict::NoneDropped { passed } => format!("NO DROP SEEN: {}", none_dropped(*passed)),
        Verdict::Unanswered(silence) => format!("NO ANSWER: {}", last_seen(silence)),
    }
}

fn with_reason(word: &str, node: &impl Display, reason: Option<&DropReason>) -> String {
    match reason {
        Some(reason) => format!("{word} on {node}: {reason}"),
        None => format!("{word} on {node}; the datapath gave no reason"),
    }
}

/// A Service's packet is delivered to the endpoint that was chosen.
fn delivered_to(trace: &Trace, destination: &End) -> String {
    let observations = trace.hops.iter().flat_map(|hop| &hop.observations);
    let endpoint = observations
        .filter_map(|seen| seen.pod.as_ref().zip(seen.translated_dst_ip))
        .next_back();
    match endpoint {
        Some((pod, address)) => format!("{pod} ({address}), an endpoint of {}", end(destination)),
        None => end(destination),
    }
}

/// `status.reason` of a live trace of dropped packets that saw none.
pub(super) fn none_dropped(passed: u64) -> String {
    match passed {
        1 => "1 matching packet came in, none was seen to be dropped".to_owned(),
        passed => format!("{passed} matching packets came in, none was seen to be dropped"),
    }
}

/// Where the packet was seen last.
pub(super) fn last_seen(silence: &Silence) -> String {
    match &silence.last_seen {
        Some((node, seen)) => format!("the packet was last seen on {node} ({})", observation(seen)),
        None => "no packet was seen".to_owned(),
    }
}

/// An observation in one phrase: `Forwarding Output: Forwarded, tunnel to 192.0.2.7`.
pub fn observation(seen: &Observation) -> String {
    let mut phrase = place(seen);
    let _ = write!(phrase, ": {}", seen.action);
    for detail in details(seen) {
        let _ = write!(phrase, ", {detail}");
    }
    visible(&phrase).into_owned()
}

/// Component and place within it.
pub(super) fn place(seen: &Observation) -> String {
    match &seen.component_info {
        Some(info) => format!("{} {info}", seen.component),
        None => seen.component.to_string(),
    }
}

/// What an observation knows beyond its action, the most important first.
pub(super) fn details(seen: &Observation) -> Vec<String> {
    let mut details = Vec::new();
    let mut add = |detail: Option<String>| details.extend(detail);
    let reason = seen.reason.as_ref();
    add(reason.map(ToString::to_string));
    // What the reason has named already is not said twice.
    if !matches!(reason, Some(DropReason::PolicyRule { .. })) {
        add(seen.network_policy.as_ref().map(ToString::to_string));
    }
    if !matches!(reason, Some(DropReason::PolicyRule { rule: Some(_), .. })) {
        add(seen.network_policy_rule.as_ref().map(|rule| format!("rule {rule}")));
    }
    add(seen.pod.as_ref().map(|pod| format!("to {pod}")));
    add(seen
        .translated_dst_ip
        .map(|address| format!("destination becomes {address}")));
    add(seen
        .translated_src_ip
        .map(|address| format!("source becomes {address}")));
    add(seen.tunnel_dst_ip.map(|address| format!("tunnel to {address}")));
    add(seen.egress.as_ref().map(|egress| format!("Egress {egress}")));
    add(seen.egress_ip.map(|address| format!("Egress address {address}")));
    add(seen.egress_node.as_ref().map(|node| format!("Egress node {node}")));
    add(seen.src_pod_ip.map(|address| format!("from Pod {address}")));
    add(seen.dst_mac.map(|mac| format!("MAC {mac}")));
    add(seen.ttl.map(|ttl| format!("TTL {ttl}")));
    add(seen.remark.as_ref().map(ToString::to_string));
    details
}

/// Names with commas between.
pub(super) fn listed(names: &[impl Display]) -> String {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// A captured packet in one line: `TCP 10.0.0.1:40000 -> 10.0.0.2:80, flags SYN, TTL 63, 60 bytes, don't fragment`.
pub fn packet(packet: &CapturedPacket) -> String {
    let mut line = format!("{} ", packet.protocol);
    match packet.transport.ports() {
        Some((source, destination)) => {
            let source = std::net::SocketAddr::new(packet.source, source);
            let destination = std::net::SocketAddr::new(packet.destination, destination);
            let _ = write!(line, "{source} -> {destination}");
        }
        None => {
            let _ = write!(line, "{} -> {}", packet.source, packet.destination);
        }
    }
    match packet.transport {
        CapturedTransport::Tcp { flags: Some(flags), .. } => {
            let _ = write!(line, ", flags {}", TcpFlagsMatch::exactly(flags));
        }
        CapturedTransport::Icmp(header) => {
            let _ = write!(line, ", {}", icmp(header));
        }
        _ => {}
    }
    let _ = write!(line, ", TTL {}, {} bytes", packet.ttl, packet.length);
    if packet.flags.is_some_and(|flags| flags & 2 != 0) {
        line.push_str(", don't fragment");
    }
    line
}

fn end(end: &End) -> String {
    match &end.owner {
        Some(Owner::Pod(pod)) => format!("{pod} ({})", end.address),
        Some(Owner::Service(service)) => format!("Service {service} ({})", end.address),
        Some(Owner::Node(node)) => format!("node {node} ({})", end.address),
        Some(Owner::Gateway(node)) => format!("gateway of {node} ({})", end.address),
        None => end.address.to_string(),
    }
}

fn transport(transport: &Transport) -> String {
    match transport {
        Transport::Icmp(header) | Transport::Icmpv6(header) => format!("{}, {}", transport.protocol(), icmp(*header)),
        _ => match transport.ports() {
            Some((source, destination)) => format!("{}, port {source} -> {destination}", transport.protocol()),
            None => transport.protocol().to_string(),
        },
    }
}

fn flow(matching: &FlowMatch) -> String {
    let mut parts = vec![match matching.protocol {
        Some(protocol) if matching.family == IpFamily::V6 && protocol != Protocol::ICMPV6 => {
            format!("{protocol} over IPv6")
        }
        Some(protocol) => protocol.to_string(),
        None => format!("any {} packet", matching.family),
    }];
    match (matching.source_port, matching.destination_port) {
        (Some(source), Some(destination)) => parts.push(format!("port {source} -> {destination}")),
        (Some(source), None) => parts.push(format!("source port {source}")),
        (None, Some(destination)) => parts.push(format!("port {destination}")),
        (None, None) => {}
    }
    parts.extend(matching.tcp_flags.map(|flags| format!("flags {flags}")));
    parts.extend(matching.icmp_type.map(|icmp_type| format!("type {icmp_type}")));
    parts.extend(matching.icmp_code.map(|code| format!("code {code}")));
    parts.extend(matching.dscp.map(|dscp| format!("DSCP {dscp}")));
    if matching.new_only {
        parts.push("new connections only".to_owned());
    }
    parts.join(", ")
}

fn icmp(header: IcmpHeader) -> String {
    match (header.icmp_type, header.code) {
        (8 | 128, 0) => format!("echo request id {} sequence {}", header.id, header.sequence),
        (0 | 129, 0) => format!("echo reply id {} sequence {}", header.id, header.sequence),
        (icmp_type, code) => format!("type {icmp_type} code {code}"),
    }
}
