//! What Pods may receive.

use traceflow_sim::policy::Direction;

use super::policy::Tables;
use super::{Flow, RealisationError, Site};
use crate::realisation::flow::{Category, HIGH, NORMAL};
use crate::realisation::mark::Mark;
use crate::realisation::table::Table;

pub(super) fn flows(site: &Site<'_>) -> Result<Vec<Flow>, RealisationError> {
    let ingress = Tables {
        direction: Direction::Ingress,
        antrea_rule: Table::AntreaPolicyIngressRule,
        rule: Table::IngressRule,
        default_rule: Table::IngressDefaultRule,
        metric: Table::IngressMetric,
        next: Table::ConntrackCommit,
    };
    let mut flows = classified(site);
    flows.extend(ingress.flows(site)?);
    Ok(flows)
}

/// What is not for a Pod here, and what no policy can forbid, goes around the policies.
fn classified(site: &Site<'_>) -> Vec<Flow> {
    let flow = |priority| Flow::new(Table::IngressSecurityClassifier, priority, Category::NetworkPolicy);
    let own = site.gateway.addresses.iter().map(|(address, _)| address);
    // "If the traffic source is the pod's local node" (the API's text): by address, where Antrea has the node's own
    // packet filter mark what its processes send.
    let from_own_node = own.chain(&site.addresses).map(|&address| {
        flow(HIGH)
            .source(address)
            .field("ct_state=-rpl+trk")
            .goto(Table::ConntrackCommit)
    });
    let mut flows: Vec<Flow> = from_own_node.collect();
    let elsewhere = [Mark::TO_GATEWAY, Mark::TO_TUNNEL].into_iter();
    flows.extend(elsewhere.map(|mark| flow(NORMAL).mark(mark).goto(Table::IngressMetric)));
    let hairpin = flow(NORMAL).mark(Mark::HAIRPIN_CONNECTION);
    flows.push(hairpin.goto(Table::ConntrackCommit));
    flows.push(Flow::miss(
        Table::IngressSecurityClassifier,
        Table::AntreaPolicyIngressRule,
    ));
    flows
}
