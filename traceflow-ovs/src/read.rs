//! From evidence to observations: an ordered list of small readers, each of which says one thing or nothing.

use std::net::IpAddr;
use std::sync::Arc;

use traceflow_core::inventory::Owner;
use traceflow_core::names::ObjectName;
use traceflow_core::observation::{Action, Component, ComponentInfo, DropReason, Observation};

use crate::directory::{Direction, Rule};
use crate::evidence::{Arrival, Ending, Evidence, ct_state};
use crate::layout::{ExitKind, Role};

/// The readers, in the order of the pipeline, which is that of what they say.
const READERS: [Reader; 10] = [
    received,
    unclassified,
    spoof_guard,
    conntrack,
    load_balancer,
    egress_policy,
    routing,
    ingress_policy,
    dropped_elsewhere,
    output,
];

type Reader = fn(&Evidence<'_>) -> Option<Observation>;

/// What a packet-in says was done with the packet on this node, in the order in which it was done.
pub(crate) fn observations(evidence: &Evidence<'_>) -> Vec<Observation> {
    READERS.iter().filter_map(|read| read(evidence)).collect()
}

fn received(evidence: &Evidence<'_>) -> Option<Observation> {
    let received = || Observation::new(Component::Forwarding, Action::Received).at(ComponentInfo::Classification);
    (evidence.arrival == Arrival::Tunnel).then(received)
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
    let passes = evidence.arrival != Arrival::Tunnel && evidence.passed(Role::SpoofGuard);
    let forwarded = || Observation::new(Component::SpoofGuard, Action::Forwarded);
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
    if evidence.arrival == Arrival::Tunnel {
        return None;
    }
    if evidence.dropped_at(Role::LoadBalancer) {
        return Some(refused_by_service(evidence, Action::Dropped));
    }
    if is_refused_at(evidence, Role::LoadBalancer) {
        return Some(refused_by_service(evidence, Action::Rejected));
    }
    let endpoint = evidence.endpoint()?;
    let mut seen = Observation::new(Component::Lb, Action::Forwarded);
    seen.pod = pod_of(evidence, endpoint);
    seen.translated_dst_ip = Some(endpoint);
    seen.translated_src_ip = match evidence.original_addresses() {
        (Some(original), _) if original != evidence.packet.source => Some(evidence.packet.source),
        _ => None,
    };
    Some(seen)
}

fn refused_by_service(evidence: &Evidence<'_>, action: Action) -> Observation {
    let seen = Observation::new(Component::Lb, action);
    let packet = &evidence.packet;
    let Some(Owner::Service(service)) = evidence.directory.owner(packet.destination) else {
        return seen.because(DropReason::Other("the load balancer refused it".into()));
    };
    let port = packet.transport.ports().map(|(_, destination)| destination);
    let offered = port.is_some_and(|port| evidence.directory.offers(&service, packet.protocol, port));
    seen.because(if offered {
        DropReason::NoEndpoints { service }
    } else {
        DropReason::NoServicePort { service }
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
    let subject = match evidence.arrival {
        Arrival::Pod(port) => evidence.directory.pod_at(port),
        _ => pod_of(evidence, evidence.packet.source),
    };
    policy(evidence, &judges, subject)
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
    let allowing = match judges.direction {
        Direction::Egress => registers.egress_rule,
        Direction::Ingress => registers.ingress_rule,
    };
    let allowing = allowing.map(|bits| evidence.bits(bits)).filter(|&number| number != 0);
    if let Some(number) = allowing {
        let seen = Observation::new(Component::NetworkPolicy, Action::Forwarded).at(judges.rule.clone());
        return Some(by_rule(evidence, seen, number));
    }
    let dropped = |info: &ComponentInfo| Observation::new(Component::NetworkPolicy, Action::Dropped).at(info.clone());
    if evidence.dropped_at(judges.metric.0) {
        let number = registers.denying_rule.map_or(0, |bits| evidence.bits(bits));
        let seen = by_rule(evidence, dropped(&judges.metric.1), number);
        let policy = seen.network_policy.clone();
        return Some(match policy {
            Some(policy) => seen.because(DropReason::PolicyRule { policy }),
            None => seen,
        });
    }
    if !evidence.dropped_at(judges.default.0) {
        return None;
    }
    let policies: Arc<[_]> = subject
        .map(|pod| evidence.directory.isolating(&pod, judges.direction))
        .unwrap_or_default()
        .into();
    Some(dropped(&judges.default.1).because(DropReason::DefaultIsolation { policies }))
}

/// A number that nobody knows is shown as it is: the rule may have been deleted since.
fn by_rule(evidence: &Evidence<'_>, mut seen: Observation, number: u32) -> Observation {
    match evidence.directory.rule(number) {
        Some(Rule { policy, name }) => {
            seen.network_policy = Some(policy);
            seen.network_policy_rule = name.map(Into::into);
        }
        None => seen.network_policy_rule = Some(format!("unknown rule {number}").into()),
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

fn output(evidence: &Evidence<'_>) -> Option<Observation> {
    let Ending::Left(exit) = evidence.ending else {
        return None;
    };
    let mut seen = Observation::new(Component::Forwarding, Action::Forwarded).at(ComponentInfo::Output);
    match exit.kind {
        ExitKind::Tunnel => seen.tunnel_dst_ip = evidence.tunnel_destination(),
        ExitKind::Port => seen.action = handed_to(evidence),
        ExitKind::Refusal if is_refused_at(evidence, Role::LoadBalancer) => return None,
        ExitKind::Refusal => seen.action = Action::Rejected,
    }
    Some(seen)
}

/// By the gateway port packets go to the node itself, or out.
fn handed_to(evidence: &Evidence<'_>) -> Action {
    let by_gateway = output_port(evidence).is_some() && output_port(evidence) == evidence.layout.gateway;
    if !by_gateway {
        return Action::Delivered;
    }
    let node = evidence.directory.is_own_address(evidence.packet.destination);
    if node {
        Action::Delivered
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
