//! The same packet in two worlds, node by node: predicted by the simulator, and traced through the flows of switches.

use std::net::IpAddr;

use testbed::realisation::{GATEWAY_PORT, NodeRealisation, TABLES, TUNNEL_PORT};
use traceflow_core::observation::{Action, Component, ComponentInfo, DropReason, Observation};
use traceflow_core::packet::{IpHeader, MacAddress, Packet, Protocol, Transport};
use traceflow_core::plan::{Plan, Question};
use traceflow_core::spec::CommandLine;
use traceflow_core::trace::{Hop, Predictor};
use traceflow_sim::Cluster;

use crate::switch::Switch;
use crate::traced::{Exit, Traced};

/// What one node did, in words that both worlds have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    node: String,
    endpoint: Option<IpAddr>,
    egress: Option<String>,
    ingress: Option<String>,
    /// The Egress address under which it is to leave.
    leaves_under: Option<IpAddr>,
    exit: String,
}

/// The packet that this question asks about.
pub(crate) fn plan(cluster: &Cluster, source: &str, destination: &str, flow: &str) -> Plan {
    let asked = CommandLine {
        source: Some(source),
        destination: Some(destination),
        flow: Some(flow),
        ..CommandLine::default()
    };
    let spec = asked.spec(cluster).unwrap();
    Plan::resolve(&spec, cluster, &mut fastrand::Rng::with_seed(1)).unwrap()
}

pub(crate) fn packet(plan: &Plan) -> &Packet {
    match &plan.question {
        Question::Inject { packet, .. } => packet,
        Question::Live { .. } => panic!("nothing is injected"),
    }
}

/// The path that the simulator predicts.
pub(crate) fn predicted(cluster: &Cluster, nodes: &[NodeRealisation], plan: &Plan) -> Vec<Step> {
    let prediction = cluster.predict(plan).unwrap();
    let mut destination = packet(plan).ip.destination();
    let steps = prediction
        .hops
        .iter()
        .map(|hop| predicted_step(nodes, hop, &mut destination));
    steps.collect()
}

/// Of a packet on its way, which a Service may give another destination.
fn predicted_step(nodes: &[NodeRealisation], hop: &Hop, destination: &mut IpAddr) -> Step {
    let node = nodes.iter().find(|node| node.name == hop.node).unwrap();
    let rule = |info: ComponentInfo| {
        let is_allowed =
            |seen: &&Observation| seen.component_info.as_ref() == Some(&info) && seen.action == Action::Forwarded;
        let allowed = hop.observations.iter().find(is_allowed);
        allowed.map(|seen| seen.network_policy.as_ref().unwrap().to_string())
    };
    let endpoint = hop.observations.iter().find_map(|seen| seen.translated_dst_ip);
    *destination = endpoint.unwrap_or(*destination);
    Step {
        node: hop.node.to_string(),
        endpoint,
        egress: rule(ComponentInfo::EgressRule),
        ingress: rule(ComponentInfo::IngressRule),
        leaves_under: {
            let marked = hop
                .observations
                .iter()
                .find(|seen| seen.action == Action::MarkedForSnat);
            marked.and_then(|seen| seen.egress_ip)
        },
        exit: predicted_exit(node, hop.observations.last().unwrap(), *destination),
    }
}

fn predicted_exit(node: &NodeRealisation, last: &Observation, destination: IpAddr) -> String {
    match (&last.action, last.tunnel_dst_ip) {
        (Action::Forwarded, Some(end)) => return format!("tunnel to {end}"),
        (Action::Delivered, _) => {
            let pod = node.pods.iter().find(|pod| pod.addresses.contains(&destination));
            return format!("port {}", pod.map_or(GATEWAY_PORT, |pod| pod.port));
        }
        (Action::ForwardedOutOfNetwork, _) => return format!("port {GATEWAY_PORT}"),
        (Action::Rejected, _) if last.component == Component::Lb => return "rejected".to_owned(),
        _ => {}
    }
    if let Some(DropReason::PolicyRule { policy, rule }) = &last.reason {
        let verb = if last.action == Action::Rejected {
            "rejected"
        } else {
            "dropped"
        };
        let table = last.component_info.as_ref().unwrap();
        return format!("{verb} in {table} by {policy}{}", rule_name(rule.as_deref()));
    }
    let table = match (&last.component, last.component_info.as_ref(), last.reason.as_ref()) {
        (Component::SpoofGuard, ..) => "SpoofGuard",
        (Component::Lb, ..) => "ServiceLB",
        (Component::Egress, ..) => "EgressMark",
        (_, Some(ComponentInfo::EgressDefaultRule), _) => "EgressDefaultRule",
        (_, Some(ComponentInfo::IngressDefaultRule), _) => "IngressDefaultRule",
        (Component::Routing, _, Some(DropReason::TtlExpired)) => "L3DecTTL",
        (Component::Routing, _, Some(DropReason::UnknownDestination)) => "Output",
        _ => panic!("{last:?}"),
    };
    format!("dropped in {table}")
}

fn rule_name(name: Option<&str>) -> String {
    name.map_or(String::new(), |name| format!(" rule {name}"))
}

/// The path through the switches' flows, each of whose bridges is the node's of that place.
pub(crate) fn traced(switch: &Switch, nodes: &[NodeRealisation], plan: &Plan) -> Vec<Step> {
    let Question::Inject { pod, node, packet } = &plan.question else {
        panic!("nothing is injected");
    };
    let mut place = nodes.iter().position(|candidate| candidate.name == *node).unwrap();
    let port = nodes[place].pods.iter().find(|port| port.pod == *pod).unwrap().port;
    let mut frame = Frame::of(packet, port);
    let mut steps = Vec::new();
    loop {
        let text = switch.trace(place, &frame.flow(), "trk,new");
        let traced = Traced::read(&text, frame.in_port);
        let (step, tunnel_end) = traced_step(&nodes[place], &traced);
        steps.push(step);
        let Some(end) = tunnel_end else { return steps };
        assert!(steps.len() < nodes.len() + 1, "it goes round in circles: {steps:?}");
        let mut ends = nodes[place].addresses.iter();
        let own_end = ends.find(|own| own.is_ipv4() == end.is_ipv4()).unwrap();
        frame.pass(&traced, *own_end, end);
        place = nodes.iter().position(|node| node.addresses.contains(&end)).unwrap();
    }
}

/// The number of the rule that let the packet in on its first node.
pub(crate) fn ingress_rule(switch: &Switch, nodes: &[NodeRealisation], plan: &Plan) -> u32 {
    let Question::Inject { pod, packet, .. } = &plan.question else {
        panic!("nothing is injected");
    };
    let port = nodes[0].pods.iter().find(|port| port.pod == *pod).unwrap().port;
    let text = switch.trace(0, &Frame::of(packet, port).flow(), "trk,new");
    Traced::read(&text, port).number("reg6").unwrap()
}

fn traced_step(node: &NodeRealisation, traced: &Traced) -> (Step, Option<IpAddr>) {
    let rule = |register| {
        let number = traced.number(register)?;
        node.rules.iter().find(|rule| rule.id == number)
    };
    let ended_in = |names: [&str; 2]| match traced.exit {
        Exit::Table(table) => names.iter().any(|name| TABLES.contains(&(*name, table))),
        _ => false,
    };
    // A rule that passes a packet on leaves its number, which says nothing where the packet is dropped after all.
    let policy = |register, drops| {
        rule(register)
            .filter(|_| !ended_in(drops))
            .map(|rule| rule.policy.to_string())
    };
    let tunnel_end = match traced.exit {
        Exit::Port(TUNNEL_PORT) => {
            let end = traced.text("tun_dst").or_else(|| traced.text("tun_ipv6_dst")).unwrap();
            Some(end.parse::<IpAddr>().unwrap())
        }
        _ => None,
    };
    let exit = match (&traced.exit, tunnel_end) {
        (_, Some(end)) => format!("tunnel to {end}"),
        (Exit::Port(port), None) => format!("port {port}"),
        (Exit::Table(table), None) => {
            let (name, _) = TABLES.iter().find(|(_, number)| number == table).unwrap();
            let by = match name.ends_with("Metric") {
                true => rule("reg3").map(|rule| format!(" by {}{}", rule.policy, rule_name(rule.rule.as_deref()))),
                false => None,
            };
            let verb = if traced.refused { "rejected" } else { "dropped" };
            format!("{verb} in {name}{}", by.unwrap_or_default())
        }
        (Exit::Rejected, None) => "rejected".to_owned(),
    };
    let step = Step {
        node: node.name.to_string(),
        endpoint: traced.endpoint.as_deref().map(|endpoint| translated(endpoint).0),
        egress: policy("reg5", ["EgressDefaultRule", "EgressMetric"]),
        ingress: policy("reg6", ["IngressDefaultRule", "IngressMetric"]),
        leaves_under: traced.text("pkt_mark").map(|mark| {
            let number = mark.strip_prefix("0x").unwrap().strip_suffix("/0xff").unwrap();
            node.egress_addresses[usize::from_str_radix(number, 16).unwrap() - 1]
        }),
        exit,
    };
    (step, tunnel_end)
}

/// `10.0.0.2:80`, `[fd00::2]:80`.
fn translated(endpoint: &str) -> (IpAddr, u16) {
    let endpoint: std::net::SocketAddr = endpoint.parse().unwrap();
    (endpoint.ip(), endpoint.port())
}

/// A packet in front of a switch.
#[derive(Debug, Clone)]
struct Frame {
    in_port: u32,
    tunnel: Option<(IpAddr, IpAddr)>,
    macs: (MacAddress, MacAddress),
    addresses: (IpAddr, IpAddr),
    ttl: u8,
    transport: Transport,
}

/// The first packet of an answer, in front of the switch of the Pod that answers.
pub(crate) fn answer(
    switch: &Switch,
    bridge: usize,
    packet: &Packet,
    in_port: u32,
    macs: (MacAddress, MacAddress),
) -> Exit {
    let mut frame = Frame::of(packet, in_port);
    frame.macs = macs;
    frame.addresses = (frame.addresses.1, frame.addresses.0);
    frame.transport = match frame.transport {
        Transport::Tcp {
            source,
            destination,
            flags,
        } => Transport::Tcp {
            source: destination,
            destination: source,
            flags,
        },
        Transport::Udp { source, destination } => Transport::Udp {
            source: destination,
            destination: source,
        },
        other => other,
    };
    let text = switch.trace(bridge, &frame.flow(), "trk,est,rpl");
    Traced::read(&text, in_port).exit
}

impl Frame {
    fn of(packet: &Packet, in_port: u32) -> Self {
        Self {
            in_port,
            tunnel: None,
            macs: (packet.source_mac, packet.destination_mac),
            addresses: (packet.ip.source(), packet.ip.destination()),
            ttl: match &packet.ip {
                IpHeader::V4(header) => header.ttl,
                IpHeader::V6(header) => header.hop_limit,
            },
            transport: packet.transport.clone(),
        }
    }

    /// Comes out of the tunnel, as the first node made it.
    fn pass(&mut self, traced: &Traced, from: IpAddr, to: IpAddr) {
        self.in_port = TUNNEL_PORT;
        self.tunnel = Some((from, to));
        self.macs = (
            MacAddress([2, 0, 0, 0, 0, 1]),
            MacAddress([0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]),
        );
        self.ttl -= 1;
        let Some((address, port)) = traced.endpoint.as_deref().map(translated) else {
            return;
        };
        self.addresses.1 = address;
        match &mut self.transport {
            Transport::Tcp { destination, .. } | Transport::Udp { destination, .. } => *destination = port,
            other => panic!("{other:?} is not translated"),
        }
    }

    /// In the words of `ofproto/trace`.
    fn flow(&self) -> String {
        let Self {
            in_port,
            macs,
            addresses,
            ttl,
            ..
        } = self;
        let (six, network) = if addresses.0.is_ipv6() {
            ("6", "ipv6")
        } else {
            ("", "nw")
        };
        let transport = match &self.transport {
            Transport::Tcp {
                source, destination, ..
            } => format!("tcp{six},tcp_src={source},tcp_dst={destination}"),
            Transport::Udp { source, destination } => format!("udp{six},udp_src={source},udp_dst={destination}"),
            Transport::Sctp { source, destination } => format!("sctp{six},sctp_src={source},sctp_dst={destination}"),
            Transport::Icmp(header) => format!("icmp,icmp_type={},icmp_code={}", header.icmp_type, header.code),
            Transport::Icmpv6(header) => format!("icmp6,icmpv6_type={},icmpv6_code={}", header.icmp_type, header.code),
            Transport::Other(Protocol(number)) => format!("ip{six},nw_proto={number}"),
        };
        let tunnel = match self.tunnel {
            Some((from @ IpAddr::V4(_), to)) => format!(",tun_src={from},tun_dst={to},tun_id=0"),
            Some((from, to)) => format!(",tun_ipv6_src={from},tun_ipv6_dst={to},tun_id=0"),
            None => String::new(),
        };
        format!(
            "in_port={in_port},{transport},dl_src={},dl_dst={},{network}_src={},{network}_dst={},nw_ttl={ttl}{tunnel}",
            macs.0, macs.1, addresses.0, addresses.1
        )
    }
}
