//! From evidence to observations: an ordered list of small readers, each of which says one thing or nothing.

use std::net::IpAddr;
use std::sync::Arc;

use traceflow_core::inventory::{Direction, EgressEntry, Owner};
use traceflow_core::names::ObjectName;
use traceflow_core::observation::{Action, Component, ComponentInfo, DropReason, Observation};
use traceflow_core::packet::IpFamily;

use crate::conntrack::Belongs;
use crate::directory::Rule;
use crate::evidence::{Arrival, Ending, Evidence, ct_state};
use crate::layout::{ExitKind, Role};
use crate::ports::PortState;
use crate::switch::Fate;

/// The readers, in the order of the pipeline, which is that of what they say.
const READERS: [Reader; 12] = [
    received,
    unclassified,
    spoof_guard,
    conntrack,
    load_balancer,
    egress_policy,
    routing,
    ingress_policy,
    dropped_elsewhere,
    egress,
    diversion,
    output,
];

type Reader = fn(&Evidence<'_>) -> Option<Observation>;

/// What a packet-in says was done with the packet on this node, in the order in which it was done; the first one bears
/// the `remarks` on how it was observed.
pub(crate) fn observations(evidence: &Evidence<'_>, remarks: &[String]) -> Vec<Observation> {
    let mut seen: Vec<Observation> = READERS.iter().filter_map(|read| read(evidence)).collect();
    if let Some(first) = seen.first_mut()
        && !remarks.is_empty()
    {
        let own = first.remark.as_deref();
        let all: Vec<&str> = own.into_iter().chain(remarks.iter().map(String::as_str)).collect();
        first.remark = Some(all.join("; ").into());
    }
    seen
}

/// By what a packet was known that came from another node, and what became of that.
pub(crate) fn carried(dscp: u8, fate: Option<Fate>) -> String {
    let fate = match fate {
        Some(Fate::Restored) => "which was then put back to what it was",
        Some(Fate::Cleared) => "which was then cleared, as nobody knows what it was",
        Some(Fate::Kept) | None => "as a stranger's may be, so it was handed over",
    };
    format!("known by its DSCP {dscp}, {fate}")
}

/// What is to be said of a real connection that the injected packet met; nothing of that is removed.
pub(crate) fn other_connection(evidence: &Evidence<'_>) -> Option<&'static str> {
    match Belongs::of(evidence) {
        Belongs::ToTraffic => Some("its 5-tuple is that of a connection of real traffic, which was left alone"),
        Belongs::Nowhere if evidence.could_begin_a_connection() => {
            Some("its 5-tuple is that of an open connection, whose sequence numbers it does not have")
        }
        Belongs::Nowhere | Belongs::ToNobody => None,
    }
}

fn received(evidence: &Evidence<'_>) -> Option<Observation> {
    let received = || Observation::new(Component::Forwarding, Action::Received).at(ComponentInfo::Classification);
    (evidence.arrival == Arrival::Peer).then(received)
}

/// No flow knows the port that the packet came in by.
fn unclassified(evidence: &Evidence<'_>) -> Option<Observation> {
    if !evidence.dropped_at(Role::Classification) {
        return None;
    }
    let reason = DropReason::Other("the pipeline doesn't know the port that the packet came in by".into());
    let dropped = Observation::new(Component::Forwarding, Action::Dropped).at(ComponentInfo::Classification);
    Some(dropped.because(reason))
}

fn spoof_guard(evidence: &Evidence<'_>) -> Option<Observation> {
    if evidence.dropped_at(Role::SpoofGuard) {
        let dropped = Observation::new(Component::SpoofGuard, Action::Dropped);
        return Some(dropped.because(DropReason::SpoofedSource));
    }
    let passes = evidence.arrival != Arrival::Peer && evidence.passed(Role::SpoofGuard);
    let forwarded = || {
        let mut seen = Observation::new(Component::SpoofGuard, Action::Forwarded);
        let by_pod = matches!(evidence.arrival, Arrival::Pod(_));
        // Behind a Service the source may have become another.
        let original = || evidence.original_addresses().0.unwrap_or(evidence.packet.source);
        seen.src_pod_ip = by_pod.then(original);
        seen
    };
    passes.then(forwarded)
}

fn conntrack(evidence: &Evidence<'_>) -> Option<Observation> {
    if !evidence.dropped_at(Role::Conntrack) {
        return None;
    }
    let reason = match evidence.connection() & ct_state::INVALID {
        0 => DropReason::Other("dropped where connections are looked up".into()),
        _ => DropReason::InvalidConnectionState,
    };
    Some(Observation::new(Component::Conntrack, Action::Dropped).because(reason))
}

fn load_balancer(evidence: &Evidence<'_>) -> Option<Observation> {
    if evidence.arrival == Arrival::Peer {
        return None;
    }
    if evidence.dropped_at(Role::LoadBalancer) {
        return Some(refused_by_service(evidence, Action::Dropped));
    }
    if is_refused_at(evidence, Role::LoadBalancer) {
        return Some(match tells_nobody(evidence) {
            true => Observation::new(Component::Lb, Action::Dropped).because(untold(evidence)),
            false => refused_by_service(evidence, Action::Rejected),
        });
    }
    let endpoint = evidence.endpoint()?;
    let mut seen = Observation::new(Component::Lb, Action::Forwarded);
    seen.pod = pod_of(evidence, endpoint).or_else(|| pod_of_node(evidence, endpoint));
    seen.translated_dst_ip = Some(endpoint);
    seen.translated_src_ip = match evidence.original_addresses() {
        (Some(original), _) if original != evidence.packet.source => Some(evidence.packet.source),
        _ => None,
    };
    Some(seen)
}

/// The Pod of a node's own network that the Service's endpoint is.
fn pod_of_node(evidence: &Evidence<'_>, endpoint: IpAddr) -> Option<ObjectName> {
    let (_, original) = evidence.original_addresses();
    let service = service_at(evidence, original?, evidence.original_destination_port())?;
    let (_, port) = evidence.packet.transport.ports()?;
    evidence.directory.endpoint(&service, endpoint, port)
}

/// The Service that is reached there: by an address of its own, or by its port of the node's.
fn service_at(evidence: &Evidence<'_>, address: IpAddr, port: Option<u16>) -> Option<ObjectName> {
    match evidence.directory.owner(address)? {
        Owner::Service(service) => Some(service),
        Owner::Node(_) => evidence.directory.node_port(evidence.packet.protocol, port?),
        _ => None,
    }
}

fn refused_by_service(evidence: &Evidence<'_>, action: Action) -> Observation {
    let seen = Observation::new(Component::Lb, action);
    let packet = &evidence.packet;
    let port = packet.transport.ports().map(|(_, destination)| destination);
    let Some(service) = service_at(evidence, packet.destination, port) else {
        return seen.because(DropReason::Other("the load balancer refused it".into()));
    };
    let at_node_port = matches!(evidence.directory.owner(packet.destination), Some(Owner::Node(_)));
    let offered = at_node_port || port.is_some_and(|port| evidence.directory.offers(&service, packet.protocol, port));
    // Who has no endpoint at all rejects.
    let lacks_local = seen.action == Action::Dropped;
    seen.because(match (offered, lacks_local) {
        (true, true) => DropReason::NoLocalEndpoints { service },
        (true, false) => DropReason::NoEndpoints { service },
        (false, _) => DropReason::NoServicePort { service },
    })
}

/// Which roles judge one direction, and what they are called.
struct Judges {
    direction: Direction,
    rule: ComponentInfo,
    default: (Role, ComponentInfo),
    metric: (Role, ComponentInfo),
}

fn egress_policy(evidence: &Evidence<'_>) -> Option<Observation> {
    let judges = Judges {
        direction: Direction::Egress,
        rule: ComponentInfo::EgressRule,
        default: (Role::EgressDefault, ComponentInfo::EgressDefaultRule),
        metric: (Role::EgressMetric, ComponentInfo::EgressMetric),
    };
    policy(evidence, &judges, sender(evidence))
}

fn sender(evidence: &Evidence<'_>) -> Option<ObjectName> {
    match evidence.arrival {
        Arrival::Pod(port) => evidence.directory.pod_at(port),
        _ => pod_of(evidence, evidence.packet.source),
    }
}

fn ingress_policy(evidence: &Evidence<'_>) -> Option<Observation> {
    let judges = Judges {
        direction: Direction::Ingress,
        rule: ComponentInfo::IngressRule,
        default: (Role::IngressDefault, ComponentInfo::IngressDefaultRule),
        metric: (Role::IngressMetric, ComponentInfo::IngressMetric),
    };
    let by_port = output_port(evidence).and_then(|port| evidence.directory.pod_at(port));
    let subject = by_port.or_else(|| pod_of(evidence, evidence.packet.destination));
    policy(evidence, &judges, subject)
}

fn policy(evidence: &Evidence<'_>, judges: &Judges, subject: Option<ObjectName>) -> Option<Observation> {
    let registers = &evidence.layout.registers;
    let ended = |action, info: &ComponentInfo| Observation::new(Component::NetworkPolicy, action).at(info.clone());
    if evidence.dropped_at(judges.metric.0) {
        let number = registers.denying_rule.map_or(0, |bits| evidence.bits(bits));
        let refuses = registers.refusing.is_some_and(|refusing| evidence.holds(refusing));
        let action = if refuses && !tells_nobody(evidence) {
            Action::Rejected
        } else {
            Action::Dropped
        };
        let mut seen = by_rule(evidence, ended(action, &judges.metric.1), number);
        let rule = seen.network_policy_rule.clone();
        if refuses && tells_nobody(evidence) {
            seen.remark = Some("the rule is to reject it, and its flow tells nobody".into());
        }
        return Some(match seen.network_policy.clone() {
            Some(policy) => seen.because(DropReason::PolicyRule { policy, rule }),
            None => seen,
        });
    }
    // Before what allowed it: a rule that passes a packet on to later ones leaves its number too.
    if evidence.dropped_at(judges.default.0) {
        let policies: Arc<[_]> = subject
            .map(|pod| evidence.directory.isolating(&pod, judges.direction))
            .unwrap_or_default()
            .into();
        let reason = DropReason::DefaultIsolation { policies };
        return Some(ended(Action::Dropped, &judges.default.1).because(reason));
    }
    let allowing = match judges.direction {
        Direction::Egress => registers.egress_rule,
        Direction::Ingress => registers.ingress_rule,
    };
    let number = allowing.map(|bits| evidence.bits(bits)).filter(|&number| number != 0)?;
    let seen = Observation::new(Component::NetworkPolicy, Action::Forwarded).at(judges.rule.clone());
    Some(by_rule(evidence, seen, number))
}

/// A number that nobody knows is shown as it is: the rule may have been deleted since.
fn by_rule(evidence: &Evidence<'_>, mut seen: Observation, number: u32) -> Observation {
    match evidence.directory.rule(number) {
        Some(Rule { policy, name }) => {
            seen.network_policy = Some(policy);
            seen.network_policy_rule = name.map(Into::into);
        }
        None => seen.network_policy_rule = Some(format!("{number} (unknown)").into()),
    }
    seen
}

fn routing(evidence: &Evidence<'_>) -> Option<Observation> {
    let reason = if evidence.dropped_at(Role::TtlDecrement) && evidence.packet.ttl <= 1 {
        DropReason::TtlExpired
    } else if [Role::TtlDecrement, Role::Routing, Role::Switching]
        .into_iter()
        .any(|role| evidence.dropped_at(role))
        || evidence.dropped_at(Role::Output)
    {
        unreachable_because(evidence)
    } else {
        return None;
    };
    Some(Observation::new(Component::Routing, Action::Dropped).because(reason))
}

fn unreachable_because(evidence: &Evidence<'_>) -> DropReason {
    let destination = evidence.packet.destination;
    let nobody = evidence.directory.owner(destination).is_none();
    if nobody && evidence.directory.is_pod_range(destination) {
        DropReason::UnknownDestination
    } else {
        DropReason::NoRoute
    }
}

fn dropped_elsewhere(evidence: &Evidence<'_>) -> Option<Observation> {
    let Ending::Dropped(stage) = evidence.ending else {
        return None;
    };
    if stage.role != Role::Other {
        return None;
    }
    let reason = DropReason::Other(format!("dropped in table {}", stage.name).into());
    let info = ComponentInfo::Other(stage.name.as_str().into());
    Some(
        Observation::new(Component::Forwarding, Action::Dropped)
            .at(info)
            .because(reason),
    )
}

/// Under which address the packet goes out, or where that is decided.
fn egress(evidence: &Evidence<'_>) -> Option<Observation> {
    let known = || {
        let family = IpFamily::of(evidence.packet.source);
        evidence.directory.egress(&sender(evidence)?, family)
    };
    if evidence.dropped_at(Role::Egress) {
        let reason = match known() {
            Some(EgressEntry { name, node: None, .. }) => DropReason::NoEgressNode { egress: name },
            _ => DropReason::Other("this node has no Egress address for it".into()),
        };
        return Some(Observation::new(Component::Egress, Action::Dropped).because(reason));
    }
    let Ending::Left(exit) = evidence.ending else {
        return None;
    };
    let registers = &evidence.layout.registers;
    let action = match exit.kind {
        ExitKind::Tunnel if registers.remote_snat.is_some_and(|remote| evidence.holds(remote)) => {
            Action::ForwardedToEgressNode
        }
        ExitKind::Port if registers.snat_mark.is_some_and(|mark| evidence.bits(mark) != 0) => Action::MarkedForSnat,
        _ => return None,
    };
    let mut seen = Observation::new(Component::Egress, action);
    if exit.kind == ExitKind::Tunnel {
        seen.egress_ip = evidence.tunnel_destination();
    }
    // Where the switch sends it elsewhere than the Egress says, the Egress has changed since, or the flow is wrong.
    let applied = known().filter(|known| seen.egress_ip.is_none_or(|address| address == known.address));
    if let Some(EgressEntry { name, address, node }) = applied {
        (seen.egress, seen.egress_ip, seen.egress_node) = (Some(name), Some(address), node);
    }
    Some(seen)
}

/// A word of our own: of those that there are, none says that somebody else has the packet and may give it back.
fn diversion(evidence: &Evidence<'_>) -> Option<Observation> {
    let Ending::Left(exit) = evidence.ending else {
        return None;
    };
    let by = exit.by.as_deref().filter(|_| exit.kind == ExitKind::Diversion)?;
    let seen = Observation::new(Component::from(by), Action::from("Redirected"));
    Some(seen.at(ComponentInfo::Output))
}

fn output(evidence: &Evidence<'_>) -> Option<Observation> {
    let Ending::Left(exit) = evidence.ending else {
        return None;
    };
    if let Some(reason) = lost_at_port(evidence, exit.kind) {
        let dropped = Observation::new(Component::Forwarding, Action::Dropped).at(ComponentInfo::Output);
        return Some(dropped.because(reason));
    }
    let mut seen = Observation::new(Component::Forwarding, Action::Forwarded).at(ComponentInfo::Output);
    match exit.kind {
        ExitKind::Tunnel => seen.tunnel_dst_ip = evidence.tunnel_destination(),
        // Without tunnels, this is the way to the Pods of other nodes.
        ExitKind::Route => {}
        ExitKind::Port => seen.action = handed_to(evidence),
        ExitKind::Diversion => seen.action = Action::ForwardedOutOfNetwork,
        ExitKind::Denial | ExitKind::Copy => return None,
        ExitKind::Refusal if is_refused_at(evidence, Role::LoadBalancer) => return None,
        ExitKind::Refusal if tells_nobody(evidence) => {
            seen.action = Action::Dropped;
            seen.reason = Some(untold(evidence));
        }
        ExitKind::Refusal => seen.action = Action::Rejected,
    }
    Some(seen)
}

/// Why what leaves by a port reaches nobody whom it is for.
fn lost_at_port(evidence: &Evidence<'_>, kind: ExitKind) -> Option<DropReason> {
    let found =
        output_port(evidence).filter(|_| matches!(kind, ExitKind::Port | ExitKind::Tunnel | ExitKind::Route))?;
    let other = |words: String| Some(DropReason::Other(words.into()));
    let Some(port) = left_by(evidence) else {
        return other(format!("no flow of table {} puts it out", table_of_exit(evidence)));
    };
    match evidence.ports.state(port) {
        PortState::Down => return Some(DropReason::PortDown),
        PortState::Gone => return other(format!("the switch has no port {port}, by which it leaves")),
        PortState::Up | PortState::Suspect => {}
    }
    match wrong_receiver(evidence, port) {
        Some(pod) if kind == ExitKind::Port => Some(DropReason::WrongReceiver { pod }),
        _ if port != found => other(format!(
            "it is put out of port {port}, and port {found} was found for it"
        )),
        _ => None,
    }
}

/// The Pod behind a port, if the destination address is known to be somebody else's.
fn wrong_receiver(evidence: &Evidence<'_>, port: u32) -> Option<ObjectName> {
    let receiver = evidence.directory.pod_at(port)?;
    let owner = evidence.directory.owner(evidence.packet.destination)?;
    (owner != Owner::Pod(receiver.clone())).then_some(receiver)
}

/// The port by which the CNI's own flow puts the packet out, where that is known; else the one that the pipeline has found.
fn left_by(evidence: &Evidence<'_>) -> Option<u32> {
    let found = output_port(evidence);
    let known = evidence.deeds.as_ref().and_then(|deeds| deeds.ports.as_deref());
    match known {
        Some(ports) if !found.is_some_and(|port| ports.contains(&port)) => ports.first().copied(),
        _ => found,
    }
}

/// Whether a refusal's own flow is known to tell nobody.
fn tells_nobody(evidence: &Evidence<'_>) -> bool {
    evidence.deeds.as_ref().is_some_and(|deeds| !deeds.tells)
}

fn untold(evidence: &Evidence<'_>) -> DropReason {
    let table = table_of_exit(evidence);
    DropReason::Other(format!("it is to be refused, and no flow of table {table} tells its sender").into())
}

fn table_of_exit<'a>(evidence: &Evidence<'a>) -> &'a str {
    match evidence.ending {
        Ending::Left(exit) => &evidence.layout.stages[exit.stage].name,
        Ending::Dropped(stage) => &stage.name,
    }
}

/// By the gateway port packets go to the node itself, or out.
fn handed_to(evidence: &Evidence<'_>) -> Action {
    let by_gateway = output_port(evidence).is_some() && output_port(evidence) == evidence.layout.gateway;
    if !by_gateway {
        return Action::Delivered;
    }
    let destination = evidence.packet.destination;
    if evidence.directory.is_own_address(destination) {
        Action::Delivered
    } else if pod_of(evidence, destination).is_some() {
        // Without tunnels, this is the way to the Pods of other nodes.
        Action::Forwarded
    } else {
        Action::ForwardedOutOfNetwork
    }
}

fn is_refused_at(evidence: &Evidence<'_>, role: Role) -> bool {
    let Ending::Left(exit) = evidence.ending else {
        return false;
    };
    exit.kind == ExitKind::Refusal && evidence.layout.stages[exit.stage].role == role
}

fn output_port(evidence: &Evidence<'_>) -> Option<u32> {
    let bits = evidence.layout.registers.output_port?;
    Some(evidence.bits(bits)).filter(|&port| port != 0)
}

fn pod_of(evidence: &Evidence<'_>, address: IpAddr) -> Option<ObjectName> {
    match evidence.directory.owner(address)? {
        Owner::Pod(pod) => Some(pod),
        _ => None,
    }
}
