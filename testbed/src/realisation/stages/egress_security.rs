//! What Pods may send.

use traceflow_sim::policy::Direction;

use super::policy::Tables;
use super::{Flow, RealisationError, Site};
use crate::realisation::table::Table;

pub(super) fn flows(site: &Site<'_>) -> Result<Vec<Flow>, RealisationError> {
    let egress = Tables {
        direction: Direction::Egress,
        antrea_rule: Table::AntreaPolicyEgressRule,
        rule: Table::EgressRule,
        default_rule: Table::EgressDefaultRule,
        metric: Table::EgressMetric,
        next: Table::L3Forwarding,
    };
    egress.flows(site)
}
