//! Sends what leaves the cluster by the node that has the Egress address of the sending Pod.

use std::net::IpAddr;
use std::ops::ControlFlow;

use traceflow_core::observation::{Action, Component, DropReason, Observation};
use traceflow_core::packet::IpFamily;

use super::routing::Exit;
use super::{Outcome, Passage};
use crate::cluster::{EgressRecord, Holder};

/// On the sender's node the packet is marked for the address, or sent to the node that has it, which marks it. What goes to
/// nodes is none of an Egress's business.
pub(super) fn take_egress(passage: &mut Passage<'_>) -> ControlFlow<Outcome> {
    let leaves = passage.exit == Some(Exit::Outside) && passage.cluster.holder(passage.packet.destination).is_none();
    let Some((record, address)) = of_sender(passage).filter(|_| leaves) else {
        return ControlFlow::Continue(());
    };
    let Some(node) = record.node else {
        let egress = record.egress.name.clone();
        return passage.drop_at(Component::Egress, DropReason::NoEgressNode { egress });
    };
    let action = if node == passage.entering.node {
        Action::MarkedForSnat
    } else {
        passage.exit = Some(Exit::EgressNode { node, address });
        Action::ForwardedToEgressNode
    };
    let mut seen = Observation::new(Component::Egress, action);
    seen.egress = Some(record.egress.name.clone());
    seen.egress_ip = Some(address);
    seen.egress_node = Some(passage.cluster.node_record(node).node.name.clone());
    passage.observe(seen);
    ControlFlow::Continue(())
}

/// The Egress of the Pod that sent the packet, on whichever node.
fn of_sender<'a>(passage: &Passage<'a>) -> Option<(&'a EgressRecord, IpAddr)> {
    let source = passage.packet.source;
    match passage.cluster.holder(source) {
        Some(Holder::Pod(pod)) => passage.cluster.egress_of(pod, IpFamily::of(source)),
        _ => None,
    }
}
