//! Applies network policies: the rules first, which allow or deny, then the default of Pods that are isolated.

use std::ops::ControlFlow;

use traceflow_core::observation::{Action, Component, ComponentInfo, DropReason, Observation};
use traceflow_core::packet::CapturedTransport;

use super::routing::Exit;
use super::{Arrival, Blocked, Outcome, Passage};
use crate::cluster::PodId;
use crate::policy::{Access, Decision, Denial, Direction, Peer};

/// The sender's policies see the destination after translation.
pub(super) fn apply_egress_rules(passage: &mut Passage<'_>) -> ControlFlow<Outcome> {
    match passage.entering.arrival {
        Arrival::Pod { pod, .. } => apply_rules(passage, pod, &EGRESS),
        Arrival::Gateway | Arrival::Peer => ControlFlow::Continue(()),
    }
}

/// Drops what no rule allowed, if policies isolate the sender.
pub(super) fn apply_egress_default(passage: &mut Passage<'_>) -> ControlFlow<Outcome> {
    apply_default(passage, ComponentInfo::EgressDefaultRule)
}

/// The policies of the Pod that the packet is about to be handed to.
pub(super) fn apply_ingress_rules(passage: &mut Passage<'_>) -> ControlFlow<Outcome> {
    match passage.exit {
        Some(Exit::Pod(pod)) => apply_rules(passage, pod, &INGRESS),
        _ => ControlFlow::Continue(()),
    }
}

/// Drops what no rule allowed, if policies isolate the destination.
pub(super) fn apply_ingress_default(passage: &mut Passage<'_>) -> ControlFlow<Outcome> {
    apply_default(passage, ComponentInfo::IngressDefaultRule)
}

/// The words of one direction.
struct Judges {
    direction: Direction,
    allowing: ComponentInfo,
    denying: ComponentInfo,
}

const EGRESS: Judges = Judges {
    direction: Direction::Egress,
    allowing: ComponentInfo::EgressRule,
    denying: ComponentInfo::EgressMetric,
};

const INGRESS: Judges = Judges {
    direction: Direction::Ingress,
    allowing: ComponentInfo::IngressRule,
    denying: ComponentInfo::IngressMetric,
};

fn apply_rules(passage: &mut Passage<'_>, pod: PodId, judges: &Judges) -> ControlFlow<Outcome> {
    // Policies judge connections: what belongs to one that was let through passes. A Pod may take whatever is its own.
    let is_its_own = passage.hairpin && judges.direction == Direction::Ingress;
    if passage.tracked || is_its_own {
        return ControlFlow::Continue(());
    }
    let access = access(passage, pod, judges.direction);
    if passage.entering.noting {
        passage.asked.push(access);
    }
    passage.decision = passage.cluster.policies.decide(&access);
    if passage.entering.lenient && !passage.decision.allows() {
        passage.blocked.push(Blocked { pod, access });
        passage.decision = Decision::NotIsolated;
    }
    match &passage.decision {
        Decision::Allowed { policy, rule_name, .. } | Decision::Passed { policy, rule_name, .. } => {
            let seen = Observation::new(Component::NetworkPolicy, Action::Forwarded).at(judges.allowing.clone());
            let seen = seen.by(policy.clone()).by_rule(rule_name.clone());
            passage.observe(seen);
            ControlFlow::Continue(())
        }
        Decision::Denied {
            policy,
            rule_name,
            denial,
            ..
        } => {
            let (action, outcome) = match denial {
                Denial::Drop => (Action::Dropped, Outcome::Dropped),
                Denial::Reject => (Action::Rejected, Outcome::Rejected),
            };
            let reason = DropReason::PolicyRule {
                policy: policy.clone(),
                rule: rule_name.clone(),
            };
            let seen = Observation::new(Component::NetworkPolicy, action).at(judges.denying.clone());
            let seen = seen.by(policy.clone()).by_rule(rule_name.clone()).because(reason);
            passage.observe(seen);
            ControlFlow::Break(outcome)
        }
        _ => ControlFlow::Continue(()),
    }
}

/// The packet as the policies of one of its ends see it.
fn access(passage: &Passage<'_>, pod: PodId, direction: Direction) -> Access {
    let packet = &passage.packet;
    let other_end = match direction {
        Direction::Egress => packet.destination,
        Direction::Ingress => packet.source,
    };
    let ports = packet.transport.ports();
    Access {
        direction,
        pod: passage.cluster.pod_record(pod).policy_id,
        peer: if passage.hairpin {
            Peer::ItselfByService(other_end)
        } else if passage.is_own_node(other_end) {
            Peer::OwnNode(other_end)
        } else {
            Peer::Address(other_end)
        },
        protocol: packet.protocol,
        source_port: ports.map(|(source, _)| source),
        destination_port: ports.map(|(_, destination)| destination),
        icmp: match &packet.transport {
            CapturedTransport::Icmp(header) => Some((header.icmp_type, header.code)),
            _ => None,
        },
    }
}

fn apply_default(passage: &mut Passage<'_>, info: ComponentInfo) -> ControlFlow<Outcome> {
    let Decision::Isolated { policies } = std::mem::replace(&mut passage.decision, Decision::NotIsolated) else {
        return ControlFlow::Continue(());
    };
    let seen = Observation::new(Component::NetworkPolicy, Action::Dropped).at(info);
    passage.observe(seen.because(DropReason::DefaultIsolation { policies }));
    ControlFlow::Break(Outcome::Dropped)
}
