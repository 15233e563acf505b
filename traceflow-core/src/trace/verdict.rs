//! How the path ended.

use crate::names::NodeName;
use crate::observation::{Action, Observation};
use crate::trace::{Hop, Verdict};

/// The end of the path; `None` if it wasn't seen.
pub(crate) fn ending(hops: &[Hop]) -> Option<Verdict> {
    let hop = hops.last()?;
    let end = hop.observations.iter().rev().find(|seen| seen.action.ends_path())?;
    Some(verdict(hop.node.clone(), end))
}

fn verdict(node: NodeName, end: &Observation) -> Verdict {
    let reason = end.reason.clone();
    match end.action {
        Action::Dropped => Verdict::Dropped { node, reason },
        Action::Rejected => Verdict::Rejected { node, reason },
        Action::ForwardedOutOfNetwork => Verdict::LeftNetwork { node },
        _ => Verdict::Delivered { node },
    }
}
