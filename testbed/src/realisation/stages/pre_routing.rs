//! Services: choosing an endpoint, remembering the choice, and translating the destination.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use traceflow_core::packet::{IpFamily, Protocol};

use super::conntrack::zone;
use super::{Flow, RealisationError, Site};
use crate::realisation::flow::{Category, LOW, MISS, NORMAL, translation, transport};
use crate::realisation::mark::{Load, Mark};
use crate::realisation::site::{Place, ServiceAddress};
use crate::realisation::table::Table;

/// Below the flows of a Service's ports.
const NO_SUCH_PORT: u16 = 180;

pub(super) fn flows(site: &Site<'_>) -> Result<Vec<Flow>, RealisationError> {
    let mut flows = way_in(site);
    flows.extend(site.services.iter().flat_map(choosing));
    flows.extend(without_the_port(site));
    flows.push(Flow::miss(Table::ServiceLB, Table::EndpointDNAT));
    flows.extend(translating(site));
    Ok(flows)
}

/// The first packet of a connection asks each of the three tables; none of them is passed twice.
fn way_in(site: &Site<'_>) -> Vec<Flow> {
    let first_packets = site.families.iter().map(|&family| {
        Flow::new(Table::PreRoutingClassifier, NORMAL, Category::Service)
            .family(family)
            .resubmit(Table::NodePortMark)
            .resubmit(Table::SessionAffinity)
            .resubmit(Table::ServiceLB)
    });
    let mut flows: Vec<Flow> = first_packets.collect();
    flows.push(Flow::miss(Table::PreRoutingClassifier, Table::NodePortMark));
    if site
        .services
        .iter()
        .any(|service| matches!(service.place, Place::Node(_)))
    {
        flows.extend(site.addresses.iter().map(|&address| {
            Flow::new(Table::NodePortMark, NORMAL, Category::Service)
                .destination(address)
                .load(Mark::TO_NODE_PORT)
        }));
    }
    flows.push(Flow::miss(Table::NodePortMark, Table::SessionAffinity));
    flows.push(Flow::new(Table::SessionAffinity, MISS, Category::Service).load(Mark::ENDPOINT_TO_SELECT));
    flows
}

fn choosing(service: &ServiceAddress) -> Vec<Flow> {
    if service.is_elsewhere {
        return service_flow(service, NORMAL)
            .map(|flow| flow.mark(Mark::ENDPOINT_TO_SELECT).drop())
            .into_iter()
            .collect();
    }
    let state = match service.affinity {
        Some(_) => Mark::ENDPOINT_TO_LEARN,
        None => Mark::ENDPOINT_SELECTED,
    };
    let choose = service_flow(service, NORMAL).map(|flow| {
        flow.mark(Mark::ENDPOINT_TO_SELECT)
            .load(Mark::REWRITE_MAC)
            .load(state)
            .load(Mark::service_group(service.group))
            .action(format_args!("group:{}", service.group))
    });
    let remember = service.affinity.and_then(|timeout| remembering(service, timeout));
    choose.into_iter().chain(remember).collect()
}

/// A flow for what goes to the Service's port.
fn service_flow(service: &ServiceAddress, priority: u16) -> Option<Flow> {
    let (protocol, fields) = transport(service.protocol, service.place.family())?;
    let flow = Flow::new(Table::ServiceLB, priority, Category::Service).field(protocol);
    let flow = match service.place {
        Place::Address(address) => flow.field(at(address)),
        Place::Node(_) => flow.mark(Mark::TO_NODE_PORT),
    };
    Some(flow.field(format_args!("{fields}_dst={}", service.port)))
}

/// Learns the choice that the group made, so that the client stays with it.
fn remembering(service: &ServiceAddress, timeout: Duration) -> Option<Flow> {
    let family = service.place.family();
    let (_, fields) = transport(service.protocol, family)?;
    let (ethernet_type, address, endpoint) = match family {
        IpFamily::V4 => ("0x800", "NXM_OF_IP", "NXM_NX_REG3"),
        IpFamily::V6 => ("0x86dd", "NXM_NX_IPV6", "NXM_NX_XXREG3"),
    };
    let port = match service.protocol {
        Protocol::SCTP => "OXM_OF_SCTP_DST".to_owned(),
        _ => format!("NXM_OF_{}_DST", fields.to_uppercase()),
    };
    // A flow's timeout has 16 bits, where the API allows a day; and 0 would mean for ever.
    let timeout = u16::try_from(timeout.as_secs()).unwrap_or(u16::MAX).max(1);
    let learn = format!(
        "learn(table={},hard_timeout={timeout},priority={NORMAL},delete_learned,cookie={:#x},eth_type={ethernet_type},\
         nw_proto={},{port}[],{address}_DST[],{address}_SRC[],load:NXM_NX_REG4[0..15]->NXM_NX_REG4[0..15],\
         load:NXM_NX_REG4[26]->NXM_NX_REG4[26],load:{endpoint}[]->{endpoint}[],load:0x2->NXM_NX_REG4[16..18],\
         load:0x1->NXM_NX_REG0[9])",
        Table::SessionAffinity,
        Category::Service.cookie(service.group),
        service.protocol.0,
    );
    let flow = service_flow(service, LOW)?
        .object(Category::Service, service.group)
        .mark(Mark::ENDPOINT_TO_LEARN)
        .action(learn)
        .load(Mark::ENDPOINT_SELECTED)
        .goto(Table::EndpointDNAT);
    Some(flow)
}

/// A Service drops what is for none of its ports. Antrea sends it out by the gateway, where nobody answers.
fn without_the_port(site: &Site<'_>) -> Vec<Flow> {
    let services = site.cluster.service_objects();
    let addresses = services.flat_map(|service| service.cluster_ips.iter().chain(&service.external_ips));
    let flows = addresses.map(|&address| {
        Flow::new(Table::ServiceLB, NO_SUCH_PORT, Category::Service)
            .destination(address)
            .mark(Mark::ENDPOINT_TO_SELECT)
            .drop()
    });
    flows.collect()
}

fn translating(site: &Site<'_>) -> Vec<Flow> {
    let flow = |priority| Flow::new(Table::EndpointDNAT, priority, Category::Service);
    // Antrea's agent rejects what it is given so; here nobody listens, which tells a rejected packet from a dropped one.
    let nobody = flow(NORMAL).mark(Mark::NO_ENDPOINT);
    let mut flows = vec![nobody.action("controller(reason=no_match,id=62373,userdata=04)")];
    let endpoints = site.services.iter().flat_map(|service| {
        let endpoints = service.endpoints.iter();
        endpoints.map(|endpoint| (service.protocol.0, endpoint.address, endpoint.port))
    });
    // Services may share endpoints.
    let endpoints: BTreeSet<(u8, IpAddr, u16)> = endpoints.collect();
    flows.extend(
        endpoints
            .into_iter()
            .filter_map(|(protocol, address, port)| translated(Protocol(protocol), address, port)),
    );
    let vanished = flow(LOW).mark(Mark::ENDPOINT_SELECTED).load(Mark::ENDPOINT_TO_SELECT);
    flows.push(vanished.resubmit(Table::ServiceLB));
    flows.push(Flow::miss(Table::EndpointDNAT, Table::AntreaPolicyEgressRule));
    flows
}

fn translated(protocol: Protocol, address: IpAddr, port: u16) -> Option<Flow> {
    let family = IpFamily::of(address);
    let (name, _) = transport(protocol, family)?;
    let flow = Flow::new(Table::EndpointDNAT, NORMAL, Category::Service).field(name);
    let flow = match address {
        IpAddr::V4(address) => flow.mark(Mark::endpoint_address(address.to_bits())),
        IpAddr::V6(address) => flow.field(format_args!("xxreg3={:#x}", address.to_bits())),
    };
    let flow = flow.mark(Mark::endpoint_port(port)).mark(Mark::ENDPOINT_SELECTED);
    Some(flow.action(format_args!(
        "ct(commit,table={},zone={},nat(dst={}),exec({}))",
        Table::AntreaPolicyEgressRule,
        zone(family),
        translation(address, port),
        Load(Mark::SERVICE_CONNECTION),
    )))
}

fn at(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("nw_dst={address}"),
        IpAddr::V6(address) => format!("ipv6_dst={address}"),
    }
}
