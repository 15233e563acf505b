//! Translating the source of what would otherwise be answered around the switch.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use traceflow_core::packet::IpFamily;

use super::conntrack::zone;
use super::{Flow, RealisationError, Site};
use crate::realisation::flow::{Category, LOW, NORMAL};
use crate::realisation::mark::{Load, Mark};
use crate::realisation::table::Table;

/// The zone of connections whose source is translated.
pub(super) fn snat_zone(family: IpFamily) -> u16 {
    match family {
        IpFamily::V4 => 65521,
        IpFamily::V6 => 65511,
    }
}

/// Antrea's "virtual Service IP": the source of hairpin connections through the gateway.
pub(super) fn virtual_address(family: IpFamily) -> IpAddr {
    match family {
        IpFamily::V4 => Ipv4Addr::new(169, 254, 0, 253).into(),
        IpFamily::V6 => Ipv6Addr::new(0xfc01, 0, 0, 0, 0, 0xaabb, 0xccdd, 0xeeff).into(),
    }
}

pub(super) fn flows(site: &Site<'_>) -> Result<Vec<Flow>, RealisationError> {
    let mut flows = marking(site);
    flows.push(Flow::miss(Table::SNATMark, Table::SNAT));
    flows.extend(site.families.iter().flat_map(|&family| translating(site, family)));
    flows.push(Flow::miss(Table::SNAT, Table::L2ForwardingCalc));
    Ok(flows)
}

fn marking(site: &Site<'_>) -> Vec<Flow> {
    let hairpin = [Mark::SNAT_CONNECTION, Mark::HAIRPIN_CONNECTION];
    let mut flows = Vec::new();
    for &family in &site.families {
        let from_gateway = || {
            let flow = new(Table::SNATMark, NORMAL).family(family);
            flow.mark(Mark::FROM_GATEWAY)
        };
        let back = from_gateway().mark(Mark::TO_GATEWAY);
        flows.push(back.action(mark_connection(family, &hairpin)));
        let on = from_gateway()
            .mark(Mark::TO_TUNNEL)
            .mark(Mark::TO_EXTERNAL_ADDRESS)
            .mark(Mark::NOT_DSR);
        flows.push(on.action(mark_connection(family, &[Mark::SNAT_CONNECTION])));
    }
    flows.extend(own_endpoints(site).into_iter().map(|address| {
        let flow = new(Table::SNATMark, LOW).source(address).destination(address);
        flow.action(mark_connection(IpFamily::of(address), &hairpin))
    }));
    flows
}

/// The addresses of Pods here that are a Service's endpoints, and may so be led back to themselves.
fn own_endpoints(site: &Site<'_>) -> BTreeSet<IpAddr> {
    let endpoints = site.services.iter().flat_map(|service| &service.endpoints);
    let endpoints: BTreeSet<IpAddr> = endpoints.map(|endpoint| endpoint.address).collect();
    let own = site.pods.iter().flat_map(|pod| &pod.addresses);
    own.filter(|address| endpoints.contains(address)).copied().collect()
}

fn mark_connection(family: IpFamily, marks: &[Mark]) -> String {
    let loads: String = marks.iter().map(|&mark| format!("{},", Load(mark))).collect();
    format!(
        "ct(commit,table={},zone={},exec({loads}{KEEP_SOURCE}))",
        Table::SNAT,
        zone(family),
    )
}

/// The connection remembers where its first packet came from.
pub(super) const KEEP_SOURCE: &str = "move:NXM_NX_REG0[0..3]->NXM_NX_CT_MARK[0..3]";

fn translating(site: &Site<'_>, family: IpFamily) -> Vec<Flow> {
    let marked = |priority, mark, source| new(Table::SNAT, priority).family(family).mark(mark).mark(source);
    let hairpin = [
        Mark::SERVICE_CONNECTION,
        Mark::SNAT_CONNECTION,
        Mark::HAIRPIN_CONNECTION,
    ];
    let through_gateway = marked(NORMAL, Mark::HAIRPIN_CONNECTION, Mark::FROM_GATEWAY);
    let mut flows = vec![through_gateway.action(translate(family, virtual_address(family), &hairpin))];
    let again = Flow::new(Table::SNAT, NORMAL, Category::Service).family(family);
    let again = again.field("ct_state=-new-rpl+trk").mark(Mark::SNAT_CONNECTION);
    flows.push(again.action(format_args!(
        "ct(table={},zone={},nat)",
        Table::L2ForwardingCalc,
        snat_zone(family)
    )));
    let Some(gateway) = site.gateway_address(family) else {
        return flows;
    };
    let from_pod = marked(NORMAL, Mark::HAIRPIN_CONNECTION, Mark::FROM_POD);
    flows.push(from_pod.action(translate(family, gateway, &hairpin)));
    let to_remote = marked(LOW, Mark::SNAT_CONNECTION, Mark::FROM_GATEWAY);
    flows.push(to_remote.action(translate(
        family,
        gateway,
        &[Mark::SERVICE_CONNECTION, Mark::SNAT_CONNECTION],
    )));
    flows
}

fn translate(family: IpFamily, source: IpAddr, marks: &[Mark]) -> String {
    let loads: Vec<String> = marks.iter().map(|&mark| Load(mark).to_string()).collect();
    format!(
        "ct(commit,table={},zone={},nat(src={source}),exec({}))",
        Table::L2ForwardingCalc,
        snat_zone(family),
        loads.join(","),
    )
}

/// A flow for the first packet of a connection.
fn new(table: Table, priority: u16) -> Flow {
    Flow::new(table, priority, Category::Service).field("ct_state=+new+trk")
}
