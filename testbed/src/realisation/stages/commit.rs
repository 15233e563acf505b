//! Remembering the connections that were let through.

use super::conntrack::zone;
use super::post_routing::KEEP_SOURCE;
use super::{Flow, RealisationError, Site};
use crate::realisation::flow::{Category, NORMAL};
use crate::realisation::mark::Mark;
use crate::realisation::table::Table;

pub(super) fn flows(site: &Site<'_>) -> Result<Vec<Flow>, RealisationError> {
    let commits = site.families.iter().map(|&family| {
        // Connections whose source is translated were committed before, in this zone and in theirs.
        Flow::new(Table::ConntrackCommit, NORMAL, Category::PodConnectivity)
            .family(family)
            .field("ct_state=+new+trk")
            .mark(Mark::SNAT_CONNECTION.absent())
            .action(format_args!(
                "ct(commit,table={},zone={},exec({KEEP_SOURCE}))",
                Table::Output,
                zone(family),
            ))
    });
    let mut flows: Vec<Flow> = commits.collect();
    flows.push(Flow::miss(Table::ConntrackCommit, Table::Output));
    Ok(flows)
}
