//! Says where a packet came from.

use std::ops::ControlFlow;

use traceflow_core::observation::{Action, Component, ComponentInfo, Observation};

use super::{Arrival, Outcome, Passage};

/// A packet from another node was received; one from a port of this node goes on to the spoof guard.
pub(super) fn classify(passage: &mut Passage<'_>) -> ControlFlow<Outcome> {
    if passage.entering.arrival == Arrival::Peer {
        passage.observe(Observation::new(Component::Forwarding, Action::Received).at(ComponentInfo::Classification));
    }
    ControlFlow::Continue(())
}
