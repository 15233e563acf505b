//! The flows of a node, stage by stage.

mod arp;
mod classification;
mod commit;
mod conntrack;
mod egress_security;
mod ingress_security;
mod output;
mod policy;
mod post_routing;
mod pre_routing;
mod root;
mod routing;
mod spoof_guard;
mod switching;

use super::RealisationError;
use super::flow::Flow;
use super::site::Site;

/// The stages of the pipeline, in the order in which a packet passes them.
const STAGES: [Stage; 13] = [
    root::flows,
    arp::flows,
    classification::flows,
    spoof_guard::flows,
    conntrack::flows,
    pre_routing::flows,
    egress_security::flows,
    routing::flows,
    post_routing::flows,
    switching::flows,
    ingress_security::flows,
    commit::flows,
    output::flows,
];

/// What one stage asks of a node's switch.
type Stage = fn(&Site<'_>) -> Result<Vec<Flow>, RealisationError>;

/// All flows of a node.
pub(super) fn flows(site: &Site<'_>) -> Result<Vec<Flow>, RealisationError> {
    let stages = STAGES.iter().map(|stage| stage(site));
    Ok(stages.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}
