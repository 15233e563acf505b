//! Address resolution (IPv4): who may speak for an address, and who answers for gateways.

use std::net::{IpAddr, Ipv4Addr};

use traceflow_core::packet::{IpFamily, MacAddress};

use super::{Flow, RealisationError, Site};
use crate::realisation::GATEWAY_PORT;
use crate::realisation::flow::{Category, HIGH, LOW, NORMAL};
use crate::realisation::stages::routing::GLOBAL_VIRTUAL_MAC;
use crate::realisation::table::Table;

pub(super) fn flows(site: &Site<'_>) -> Result<Vec<Flow>, RealisationError> {
    let mut flows = spoof_guard(site);
    flows.extend(responder(site));
    Ok(flows)
}

fn spoof_guard(site: &Site<'_>) -> Vec<Flow> {
    let guard = |port, mac, address| {
        Flow::new(Table::ARPSpoofGuard, NORMAL, Category::PodConnectivity)
            .field("arp")
            .in_port(port)
            .field(format_args!("arp_spa={address},arp_sha={mac}"))
            .goto(Table::ARPResponder)
    };
    let gateway = own_gateway(site).map(|address| guard(GATEWAY_PORT, site.gateway.mac, address));
    let pods = site.pods.iter().flat_map(|pod| {
        let addresses = pod.addresses.iter().filter_map(v4);
        addresses.map(move |address| guard(pod.port, pod.mac, address))
    });
    let mut flows: Vec<Flow> = gateway.into_iter().chain(pods).collect();
    flows.push(Flow::drop_miss(Table::ARPSpoofGuard));
    flows
}

/// Other nodes' gateways are behind the tunnel, so the switch answers for them. It answers for the node's own gateway too,
/// which in Antrea the node itself does: a testbed may have none.
fn responder(site: &Site<'_>) -> Vec<Flow> {
    let mut flows = Vec::new();
    if let Some(gateway) = own_gateway(site) {
        let from_itself = Flow::new(Table::ARPResponder, HIGH, Category::PodConnectivity);
        let from_itself = from_itself.field("arp").in_port(GATEWAY_PORT);
        flows.push(from_itself.field(format_args!("arp_tpa={gateway}")).action("NORMAL"));
        flows.push(answer(gateway, site.gateway.mac));
    }
    let others = site.peers.iter().flat_map(|peer| peer.gateways.iter().filter_map(v4));
    flows.extend(others.map(|gateway| answer(gateway, GLOBAL_VIRTUAL_MAC)));
    let other = Flow::new(Table::ARPResponder, LOW, Category::PodConnectivity);
    flows.push(other.field("arp").action("NORMAL"));
    flows.push(Flow::drop_miss(Table::ARPResponder));
    flows
}

fn answer(address: Ipv4Addr, mac: MacAddress) -> Flow {
    Flow::new(Table::ARPResponder, NORMAL, Category::PodConnectivity)
        .field("arp")
        .field(format_args!("arp_tpa={address},arp_op=1"))
        .action("move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]")
        .action(format_args!("set_field:{mac}->eth_src"))
        .action("set_field:2->arp_op")
        .action("move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[]")
        .action(format_args!("set_field:{mac}->arp_sha"))
        .action("move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[]")
        .action(format_args!("set_field:{address}->arp_spa"))
        .action("IN_PORT")
}

fn own_gateway(site: &Site<'_>) -> Option<Ipv4Addr> {
    v4(&site.gateway_address(IpFamily::V4)?)
}

fn v4(address: &IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    }
}
