//! Who may send from which address, and neighbour discovery.

use traceflow_core::packet::IpFamily;

use super::{Flow, RealisationError, Site};
use crate::realisation::GATEWAY_PORT;
use crate::realisation::flow::{Category, NORMAL};
use crate::realisation::table::Table;

pub(super) fn flows(site: &Site<'_>) -> Result<Vec<Flow>, RealisationError> {
    let mut flows = senders(site);
    if site.families.contains(&IpFamily::V6) {
        flows.extend(neighbour_discovery());
    }
    Ok(flows)
}

fn senders(site: &Site<'_>) -> Vec<Flow> {
    let guard = || Flow::new(Table::SpoofGuard, NORMAL, Category::PodConnectivity);
    let gateway = site.families.iter().map(|&family| {
        let guard = guard().family(family).in_port(GATEWAY_PORT);
        guard.goto(next(family))
    });
    let pods = site.pods.iter().flat_map(|pod| {
        pod.addresses.iter().map(move |&address| {
            guard()
                .source(address)
                .in_port(pod.port)
                .field(format_args!("dl_src={}", pod.mac))
                .goto(next(IpFamily::of(address)))
        })
    });
    let mut flows: Vec<Flow> = gateway.chain(pods).collect();
    flows.push(Flow::drop_miss(Table::SpoofGuard));
    flows
}

fn next(family: IpFamily) -> Table {
    match family {
        IpFamily::V4 => Table::UnSNAT,
        IpFamily::V6 => Table::IPv6,
    }
}

/// Neighbour discovery and multicast are switched as a learning switch does.
fn neighbour_discovery() -> [Flow; 5] {
    let flow = |table| Flow::new(table, NORMAL, Category::PodConnectivity);
    let (solicitation, advertisement) = (135, 136);
    let message = |icmp_type| {
        let message = flow(Table::IPv6).field("icmp6");
        let message = message.field(format_args!("icmpv6_type={icmp_type},icmpv6_code=0"));
        message.action("NORMAL")
    };
    [
        flow(Table::SpoofGuard)
            .field("ipv6,ipv6_src=fe80::/10")
            .goto(Table::IPv6),
        message(solicitation),
        message(advertisement),
        flow(Table::IPv6).field("ipv6,ipv6_dst=ff00::/8").action("NORMAL"),
        Flow::miss(Table::IPv6, Table::UnSNAT),
    ]
}
