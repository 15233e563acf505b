//! Applies network policies: the rules first, then the default of Pods that are isolated.

use std::ops::ControlFlow;

use traceflow_core::observation::{Action, Component, ComponentInfo, DropReason, Observation};

use super::routing::Exit;
use super::{Arrival, Outcome, Passage};
use crate::cluster::PodId;
use crate::policy::{Access, Decision, Direction, Peer};

/// The sender's policies see the destination after translation.
pub(super) fn apply_egress_rules(passage: &mut Passage<'_>) -> ControlFlow<Outcome> {
    if let Arrival::Pod { pod, .. } = passage.entering.arrival {
        apply_rules(passage, pod, Direction::Egress);
    }
    ControlFlow::Continue(())
}

/// Drops what no rule allowed, if policies isolate the sender.
pub(super) fn apply_egress_default(passage: &mut Passage<'_>) -> ControlFlow<Outcome> {
    apply_default(passage, ComponentInfo::EgressDefaultRule)
}

/// The policies of the Pod that the packet is about to be handed to.
pub(super) fn apply_ingress_rules(passage: &mut Passage<'_>) -> ControlFlow<Outcome> {
    if let Some(Exit::Pod(pod)) = passage.exit {
        apply_rules(passage, pod, Direction::Ingress);
    }
    ControlFlow::Continue(())
}

/// Drops what no rule allowed, if policies isolate the destination.
pub(super) fn apply_ingress_default(passage: &mut Passage<'_>) -> ControlFlow<Outcome> {
    apply_default(passage, ComponentInfo::IngressDefaultRule)
}

fn apply_rules(passage: &mut Passage<'_>, pod: PodId, direction: Direction) {
    // Policies judge connections: what belongs to one that was let through passes. A Pod can't be kept from itself.
    if passage.tracked || passage.hairpin {
        return;
    }
    let other_end = match direction {
        Direction::Egress => passage.packet.destination,
        Direction::Ingress => passage.packet.source,
    };
    passage.decision = passage.cluster.policies.decide(&Access {
        direction,
        pod: passage.cluster.pod_record(pod).policy_id,
        peer: if passage.is_own_node(other_end) {
            Peer::OwnNode(other_end)
        } else {
            Peer::Address(other_end)
        },
        protocol: passage.packet.protocol,
        destination_port: passage.packet.transport.ports().map(|(_, destination)| destination),
    });
    if let Decision::Allowed { policy, .. } = &passage.decision {
        let info = match direction {
            Direction::Egress => ComponentInfo::EgressRule,
            Direction::Ingress => ComponentInfo::IngressRule,
        };
        let seen = Observation::new(Component::NetworkPolicy, Action::Forwarded).at(info);
        let seen = seen.by(policy.clone());
        passage.observe(seen);
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
