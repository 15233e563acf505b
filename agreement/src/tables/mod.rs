//! The path of a packet through the switches' flow tables, as `ofproto/trace` tells it, node by node.
//!
//! What comes out of a tunnel is put in front of the next switch as the flows of the first made it. Artefacts of
//! `ofproto/trace` are kept out: groups choose by a hash that it knows (`selection_method=hash`), what connection tracking
//! would say is told to it, and of a tunnel it is read what the flows ask for, not what it makes of that (it calls the tunnel
//! its own address once the packet has been recirculated).

mod frame;
mod traced;

use std::net::IpAddr;

use testbed::realisation::{NodeRealisation, TUNNEL_PORT};
use traceflow_core::plan::{Plan, Question};
use traceflow_ovs::unixctl::{Unixctl, UnixctlError};

use crate::places::{Places, table_name};
use crate::story::{BY_GATEWAY, NO_ENDPOINTS, Step, Story, rule_text};
use frame::Frame;
use traced::{Exit, Traced};

/// A node's switch that can be asked.
#[derive(Debug)]
pub struct Tables {
    /// Its control socket.
    pub unixctl: Unixctl,
    /// The bridge.
    pub bridge: String,
}

/// What the tables do with a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// In words that all tellers have.
    pub story: Story,
    /// The tables that did something of which traces tell.
    pub places: Places,
}

/// Why a path could not be followed.
#[derive(Debug)]
pub enum Untold {
    /// The switch doesn't answer.
    Silent(UnixctlError),
    /// What it says makes no sense here.
    Unclear(String),
}

/// The way through the tables of these switches, each of which is the node's of its place.
///
/// # Errors
/// [`Untold`] if a switch doesn't answer, or says what isn't understood.
pub async fn walk(tables: &[Tables], nodes: &[NodeRealisation], plan: &Plan) -> Result<Walk, Untold> {
    let Question::Inject { pod, node, packet } = &plan.question else {
        return Err(Untold::Unclear("nothing is injected".to_owned()));
    };
    let mut place = nodes.iter().position(|known| known.name == *node).unwrap_or_default();
    let port = nodes[place].pods.iter().find(|port| port.pod == *pod);
    let port = port.ok_or_else(|| Untold::Unclear(format!("{pod} has no port on {node}")))?;
    let mut frame = Frame::of(packet, port.port);
    let (mut steps, mut places) = (Vec::new(), Places::default());
    loop {
        let text = ask(&tables[place], &frame).await?;
        let traced = Traced::read(&text, frame.in_port).map_err(|what| Untold::Unclear(format!("{what}: {text}")))?;
        let step = step(&nodes[place], &traced);
        let decided: Vec<_> = decided(&step, &traced, frame.in_port)
            .map(|table| [table_name(table)])
            .collect();
        places.push(&step.node, decided.iter().map(<[_; 1]>::as_slice).collect());
        steps.push(step);
        let Some(end) = tunnel_end(&traced) else {
            let end = end(&nodes[place], &traced);
            let story = Story { steps, end };
            return Ok(Walk { story, places });
        };
        let next = nodes.iter().position(|node| node.addresses.contains(&end));
        let Some(next) = next.filter(|_| steps.len() <= nodes.len()) else {
            let end = format!("into a tunnel to {end}");
            let story = Story { steps, end };
            return Ok(Walk { story, places });
        };
        let mut own_ends = nodes[place].addresses.iter();
        let own_end = own_ends.find(|own| own.is_ipv4() == end.is_ipv4());
        frame.pass(&traced, *own_end.unwrap_or(&end), end);
        place = next;
    }
}

async fn ask(tables: &Tables, frame: &Frame) -> Result<String, Untold> {
    let flow = frame.flow();
    let mut arguments = vec![tables.bridge.as_str(), &flow];
    // Connection tracking is asked at most four times on one node.
    for _ in 0..4 {
        arguments.extend(["--ct-next", frame.state()]);
    }
    tables
        .unixctl
        .call("ofproto/trace", &arguments)
        .await
        .map_err(Untold::Silent)
}

fn tunnel_end(traced: &Traced) -> Option<IpAddr> {
    if traced.exit != Exit::Port(TUNNEL_PORT) {
        return None;
    }
    let end = traced.text("tun_dst").or_else(|| traced.text("tun_ipv6_dst"))?;
    end.parse().ok()
}

fn step(node: &NodeRealisation, traced: &Traced) -> Step {
    let rule = |register| {
        let number = traced.number(register)?;
        let rule = node.rules.iter().find(|rule| rule.id == number);
        Some(rule.map_or_else(
            || format!("rule number {number}"),
            |rule| rule_text(&rule.policy, rule.rule.as_deref()),
        ))
    };
    let ended_in = |names: [&str; 2]| matches!(traced.exit, Exit::Table(table) if names.contains(&table_name(table)));
    // A rule that passes a packet on leaves its number, which says nothing where the packet is dropped after all.
    Step {
        node: node.name.to_string(),
        endpoint: traced.endpoint.map(|endpoint| endpoint.ip()),
        egress: rule("reg5").filter(|_| !ended_in(["EgressDefaultRule", "EgressMetric"])),
        ingress: rule("reg6").filter(|_| !ended_in(["IngressDefaultRule", "IngressMetric"])),
    }
}

/// The tables that did something of which traces tell: the last, those whose rules let it pass, and those that the packet
/// can't have passed without a word.
fn decided(step: &Step, traced: &Traced, in_port: u32) -> impl Iterator<Item = u8> {
    let walked = |name| {
        let mut tables = traced.tables.iter().copied();
        tables.find(|&table| table_name(table) == name)
    };
    let left = matches!(traced.exit, Exit::Port(_));
    let for_egress = traced
        .set_in("pkt_mark")
        .or_else(|| traced.set_to_in("reg0", REMOTE_SNAT));
    [
        walked("Classifier").filter(|_| in_port == TUNNEL_PORT),
        walked("SpoofGuard"),
        traced.translated_in,
        traced.set_in("reg5").filter(|_| step.egress.is_some()),
        traced.set_in("reg6").filter(|_| step.ingress.is_some()),
        for_egress.filter(|_| left),
        traced.tables.last().copied(),
    ]
    .into_iter()
    .flatten()
}

/// `RemoteSNATRegMark`, set.
const REMOTE_SNAT: &str = "0x80000/0x80000";

fn end(node: &NodeRealisation, traced: &Traced) -> String {
    match traced.exit {
        Exit::Port(testbed::realisation::GATEWAY_PORT) => BY_GATEWAY.to_owned(),
        Exit::Port(port) => match node.pods.iter().find(|pod| pod.port == port) {
            Some(pod) => format!("to Pod {}", pod.pod),
            None => format!("by port {port}"),
        },
        Exit::Rejected => NO_ENDPOINTS.to_owned(),
        Exit::Table(table) => {
            let verb = if traced.refused { "rejected" } else { "dropped" };
            let place = table_name(table);
            let number = traced.number("reg3").filter(|_| place.ends_with("Metric"));
            match number.map(|number| (number, node.rules.iter().find(|rule| rule.id == number))) {
                Some((_, Some(rule))) => format!("{verb} by {}", rule_text(&rule.policy, rule.rule.as_deref())),
                Some((number, None)) => format!("{verb} by rule number {number}"),
                None => format!("{verb} in {place}"),
            }
        }
    }
}
