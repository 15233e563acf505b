//! Where a packet goes: to a Pod here, to another node by the tunnel, or out by the gateway.

use std::net::IpAddr;

use ipnet::IpNet;
use traceflow_core::packet::{IpFamily, MacAddress};

use super::{Flow, RealisationError, Site};
use crate::realisation::flow::{Category, HIGH, LOW, MISS, NORMAL};
use crate::realisation::mark::Mark;
use crate::realisation::site::{EgressNode, Peer};
use crate::realisation::table::Table;

/// Antrea's "global virtual MAC": the destination of every frame in a tunnel.
pub(super) const GLOBAL_VIRTUAL_MAC: MacAddress = MacAddress([0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]);

/// Above the flows of ranges: an address that lies outside of its node's range may lie in another's.
const STRAY: u16 = 205;

/// Above the flow of the node's own range.
const UNHELD: u16 = 202;

/// Below the flows of the node's own Pods.
const UNHELD_REWRITTEN: u16 = 195;

pub(super) fn flows(site: &Site<'_>) -> Result<Vec<Flow>, RealisationError> {
    let mut flows = to_gateway(site);
    flows.extend(to_neighbours(site));
    flows.extend(to_nobody(site));
    flows.extend(site.peers.iter().flat_map(|peer| to_peer(site, peer)));
    flows.extend(to_pods(site));
    flows.extend(outside(site));
    flows.extend(egress_mark(site));
    flows.extend(decrement(site));
    Ok(flows)
}

fn route(priority: u16) -> Flow {
    Flow::new(Table::L3Forwarding, priority, Category::PodConnectivity)
}

fn to_mac(flow: Flow, mac: MacAddress) -> Flow {
    flow.action(format_args!("set_field:{mac}->eth_dst"))
}

fn from_mac(flow: Flow, mac: MacAddress) -> Flow {
    flow.action(format_args!("set_field:{mac}->eth_src"))
}

/// To the gateway's own address, and answers to whom came in by it.
fn to_gateway(site: &Site<'_>) -> Vec<Flow> {
    let addressed = site
        .gateway
        .addresses
        .iter()
        .map(|(address, _)| route(HIGH).destination(*address));
    let answers = site.families.iter().map(|&family| {
        let flow = route(HIGH).family(family).field("ct_state=+rpl+trk");
        flow.mark(Mark::CONNECTION_FROM_GATEWAY)
    });
    let flows = addressed.chain(answers).map(|flow| {
        let flow = to_mac(flow, site.gateway.mac).load(Mark::TO_GATEWAY);
        flow.goto(Table::L3DecTTL)
    });
    flows.collect()
}

/// Pods of one node are neighbours: their frames are switched as they are.
fn to_neighbours(site: &Site<'_>) -> Vec<Flow> {
    let switched = |network: IpNet, priority| {
        let flow = route(priority).destination(network).mark(Mark::KEEP_MAC);
        flow.goto(Table::L2ForwardingCalc)
    };
    let ranges = site.routes.ranges.iter().map(|&range| switched(range, NORMAL));
    let strays = site.routes.strays.iter().map(|&stray| switched(stray.into(), STRAY));
    ranges.chain(strays).collect()
}

/// What is for an address of the node's range that nobody has. Nobody would answer for it; but a packet that is put in may be
/// sent to the gateway's MAC address, and Antrea would hand it to the gateway. It does so with a Service's first packet
/// that is sent again, too, which stays as it is.
fn to_nobody(site: &Site<'_>) -> Vec<Flow> {
    let flows = site.routes.ranges.iter().flat_map(|&range| {
        let unheld = |priority, mark| {
            route(priority)
                .destination(range)
                .mark(mark)
                .goto(Table::TrafficControl)
        };
        let asked_gateway = format!("dl_dst={}", site.gateway.mac);
        [
            unheld(UNHELD, Mark::KEEP_MAC)
                .field(asked_gateway)
                .mark(Mark::SERVICE_CONNECTION.absent()),
            unheld(UNHELD_REWRITTEN, Mark::REWRITE_MAC),
        ]
    });
    flows.collect()
}

fn to_peer(site: &Site<'_>, peer: &Peer) -> Vec<Flow> {
    let led = |network: IpNet, priority| {
        let flow = route(priority).destination(network);
        let flow = match peer.is_routed {
            true => to_mac(flow, site.gateway.mac).load(Mark::TO_GATEWAY),
            false => into_tunnel(site, flow, peer.tunnel_end),
        };
        flow.goto(Table::L3DecTTL)
    };
    let ranges = peer.routes.ranges.iter().map(|&range| led(range, NORMAL));
    let strays = peer.routes.strays.iter().map(|&stray| led(stray.into(), STRAY));
    ranges.chain(strays).collect()
}

fn into_tunnel(site: &Site<'_>, flow: Flow, end: IpAddr) -> Flow {
    let field = tunnel_destination(end);
    to_mac(from_mac(flow, site.gateway.mac), GLOBAL_VIRTUAL_MAC)
        .action(format_args!("set_field:{end}->{field}"))
        .load(Mark::TO_TUNNEL)
}

fn tunnel_destination(end: IpAddr) -> &'static str {
    match end {
        IpAddr::V4(_) => "tun_dst",
        IpAddr::V6(_) => "tun_ipv6_dst",
    }
}

/// To Pods here, from another node or translated by a Service.
fn to_pods(site: &Site<'_>) -> Vec<Flow> {
    let addressed = site
        .pods
        .iter()
        .flat_map(|pod| pod.addresses.iter().map(move |&address| (pod, address)));
    let flows = addressed.map(|(pod, address)| {
        let priority = if site.routes.strays.contains(&address) {
            STRAY
        } else {
            NORMAL
        };
        let flow = route(priority).destination(address).mark(Mark::REWRITE_MAC);
        to_mac(from_mac(flow, site.gateway.mac), pod.mac).goto(Table::L3DecTTL)
    });
    flows.collect()
}

fn outside(site: &Site<'_>) -> Vec<Flow> {
    let request = |family, source| {
        let flow = Flow::new(Table::L3Forwarding, LOW, Category::Egress).family(family);
        flow.field("ct_state=-rpl+trk").mark(source)
    };
    let mut flows = Vec::new();
    for &family in &site.families {
        flows.push(
            request(family, Mark::FROM_POD)
                .mark(Mark::NODE_IPAM)
                .goto(Table::EgressMark),
        );
        let from_tunnel = request(family, Mark::FROM_TUNNEL);
        flows.push(to_mac(from_tunnel, site.gateway.mac).goto(Table::EgressMark));
    }
    let service = Flow::new(Table::L3Forwarding, LOW, Category::Service)
        .mark(Mark::REWRITE_MAC)
        .mark(Mark::FROM_GATEWAY)
        .mark(Mark::SERVICE_CONNECTION);
    flows.push(
        to_mac(service, site.gateway.mac)
            .load(Mark::TO_GATEWAY)
            .goto(Table::L3DecTTL),
    );
    flows.push(route(MISS).load(Mark::TO_GATEWAY).goto(Table::L2ForwardingCalc));
    flows
}

/// What leaves goes by the gateway, marked for an Egress's address if that is here, or to the node that has it. What another
/// node sent here to leave does so under the address that it was sent to.
fn egress_mark(site: &Site<'_>) -> Vec<Flow> {
    let flow = |priority| Flow::new(Table::EgressMark, priority, Category::Egress);
    let out = |flow: Flow| flow.load(Mark::TO_GATEWAY).goto(Table::L2ForwardingCalc);
    let peers = site.peers.iter().flat_map(|peer| &peer.addresses);
    let nodes = site.addresses.iter().chain(peers);
    let mut flows: Vec<Flow> = nodes.map(|&address| out(flow(HIGH).destination(address))).collect();
    let tracked = |flow: Flow| flow.field("ct_state=+trk");
    let marked = |flow: Flow, number| out(tracked(flow).load(Mark::egress_address(number)));
    flows.extend(site.egresses.iter().map(|egress| {
        let family = IpFamily::of(egress.address);
        let from_pod = flow(NORMAL).family(family).in_port(egress.port);
        match egress.at {
            EgressNode::Here(number) => marked(from_pod, number),
            EgressNode::Elsewhere => into_tunnel(site, from_pod, egress.address)
                .load(Mark::REMOTE_SNAT)
                .goto(Table::L2ForwardingCalc),
            EgressNode::Nowhere => from_pod.drop(),
        }
    }));
    flows.extend((1..).zip(&site.egress_addresses).map(|(number, &address)| {
        let sent_here = flow(NORMAL).family(IpFamily::of(address));
        let field = tunnel_destination(address);
        marked(sent_here.field(format_args!("{field}={address}")), number)
    }));
    let unexpected = site.families.iter().map(|&family| {
        let flow = flow(LOW).family(family).field("ct_state=+new+trk");
        flow.mark(Mark::FROM_TUNNEL).drop()
    });
    flows.extend(unexpected);
    flows.push(out(flow(MISS)));
    flows
}

/// What the gateway sent was routed, and decremented, by the node.
fn decrement(site: &Site<'_>) -> Vec<Flow> {
    let flow = |priority, family| Flow::new(Table::L3DecTTL, priority, Category::PodConnectivity).family(family);
    let flows = site.families.iter().flat_map(|&family: &IpFamily| {
        [
            flow(HIGH, family).mark(Mark::FROM_GATEWAY).goto(Table::SNATMark),
            flow(NORMAL, family).action("dec_ttl").goto(Table::SNATMark),
        ]
    });
    let mut flows: Vec<Flow> = flows.collect();
    flows.push(Flow::miss(Table::L3DecTTL, Table::SNATMark));
    flows
}
