//! Puts the packet out.

use std::ops::ControlFlow;

use traceflow_core::observation::{Action, Component, ComponentInfo, Observation};

use super::routing::Exit;
use super::{Outcome, Passage};

/// Hands the packet over by the exit that routing found.
pub(super) fn put_out(passage: &mut Passage<'_>) -> ControlFlow<Outcome> {
    let seen = |action| Observation::new(Component::Forwarding, action).at(ComponentInfo::Output);
    let (seen, outcome) = match passage.exit {
        Some(Exit::Pod(pod)) => (seen(Action::Delivered), Outcome::ToPod(pod)),
        Some(Exit::Node) => (seen(Action::Delivered), Outcome::ToNode),
        Some(Exit::Peer(node)) => {
            let mut seen = seen(Action::Forwarded);
            seen.tunnel_dst_ip = passage.cluster.tunnel_end(passage.entering.node, node);
            (seen, Outcome::ToPeer(node))
        }
        Some(Exit::EgressNode { node, address }) => {
            let mut seen = seen(Action::Forwarded);
            seen.tunnel_dst_ip = Some(address);
            (seen, Outcome::ToPeer(node))
        }
        Some(Exit::Outside) | None => (seen(Action::ForwardedOutOfNetwork), Outcome::Outside),
    };
    passage.observe(seen);
    ControlFlow::Break(outcome)
}
