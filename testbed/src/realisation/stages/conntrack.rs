//! Connection tracking: translating back what belongs to a known connection, and dropping what can't begin one.

use traceflow_core::packet::IpFamily;

use super::post_routing::{snat_zone, virtual_address};
use super::{Flow, RealisationError, Site};
use crate::realisation::flow::{Category, LOW, NORMAL};
use crate::realisation::mark::Mark;
use crate::realisation::table::Table;

/// The zone of connections before their source is translated.
pub(super) fn zone(family: IpFamily) -> u16 {
    match family {
        IpFamily::V4 => 65520,
        IpFamily::V6 => 65510,
    }
}

pub(super) fn flows(site: &Site<'_>) -> Result<Vec<Flow>, RealisationError> {
    let mut flows: Vec<Flow> = site
        .families
        .iter()
        .flat_map(|&family| translated_back(site, family))
        .collect();
    flows.push(Flow::miss(Table::UnSNAT, Table::ConntrackZone));
    flows.extend(site.families.iter().map(|&family| tracked(family)));
    flows.push(Flow::miss(Table::ConntrackZone, Table::ConntrackState));
    flows.extend(site.families.iter().flat_map(|&family| by_state(family)));
    flows.push(Flow::miss(Table::ConntrackState, Table::PreRoutingClassifier));
    Ok(flows)
}

fn translated_back(site: &Site<'_>, family: IpFamily) -> Vec<Flow> {
    let addresses = site.gateway_address(family).into_iter();
    let addresses = std::iter::once(virtual_address(family)).chain(addresses);
    let flows = addresses.map(|address| {
        let zone = snat_zone(family);
        Flow::new(Table::UnSNAT, NORMAL, Category::Service)
            .destination(address)
            .action(format_args!("ct(table={},zone={zone},nat)", Table::ConntrackZone))
    });
    flows.collect()
}

fn tracked(family: IpFamily) -> Flow {
    let zone = zone(family);
    Flow::new(Table::ConntrackZone, NORMAL, Category::PodConnectivity)
        .family(family)
        .action(format_args!("ct(table={},zone={zone},nat)", Table::ConntrackState))
}

fn by_state(family: IpFamily) -> [Flow; 3] {
    let state = |priority, state, category| {
        let flow = Flow::new(Table::ConntrackState, priority, category).family(family);
        flow.field(format_args!("ct_state={state}"))
    };
    let known = |category| state(LOW, "-new+trk", category);
    [
        state(NORMAL, "+inv+trk", Category::PodConnectivity).drop(),
        known(Category::PodConnectivity)
            .mark(Mark::SERVICE_CONNECTION.absent())
            .goto(Table::AntreaPolicyEgressRule),
        known(Category::Service)
            .mark(Mark::SERVICE_CONNECTION)
            .load(Mark::REWRITE_MAC)
            .goto(Table::AntreaPolicyEgressRule),
    ]
}
