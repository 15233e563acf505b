//! Where a packet comes from.

use super::{Flow, RealisationError, Site};
use crate::realisation::flow::{Category, HIGH, LOW, NORMAL};
use crate::realisation::mark::Mark;
use crate::realisation::table::Table;
use crate::realisation::{GATEWAY_PORT, TUNNEL_PORT};

pub(super) fn flows(site: &Site<'_>) -> Result<Vec<Flow>, RealisationError> {
    let classified = |priority| Flow::new(Table::Classifier, priority, Category::PodConnectivity);
    let gateways = site.gateway.addresses.iter().map(|(address, _)| {
        classified(HIGH)
            .source(*address)
            .in_port(GATEWAY_PORT)
            .load(Mark::FROM_GATEWAY)
            .load(Mark::FROM_LOCAL)
            .goto(Table::SpoofGuard)
    });
    let mut flows: Vec<Flow> = gateways.collect();
    flows.push(
        classified(NORMAL)
            .in_port(GATEWAY_PORT)
            .load(Mark::FROM_GATEWAY)
            .load(Mark::FROM_EXTERNAL)
            .goto(Table::SpoofGuard),
    );
    flows.push(
        classified(NORMAL)
            .in_port(TUNNEL_PORT)
            .load(Mark::FROM_TUNNEL)
            .load(Mark::REWRITE_MAC)
            .goto(Table::UnSNAT),
    );
    let pods = site.pods.iter().map(|pod| {
        classified(LOW)
            .in_port(pod.port)
            .load(Mark::FROM_POD)
            .load(Mark::FROM_LOCAL)
            .goto(Table::SpoofGuard)
    });
    flows.extend(pods);
    flows.push(Flow::drop_miss(Table::Classifier));
    Ok(flows)
}
