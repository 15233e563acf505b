//! The groups that choose a Service's endpoint.

use std::net::IpAddr;

use super::mark::{Load, Mark};
use super::site::{Endpoint, ServiceAddress};
use super::table::Table;

/// The group of a Service's port; none where no choice is ever made.
pub(super) fn of(service: &ServiceAddress) -> Option<String> {
    if service.is_elsewhere {
        return None;
    }
    let buckets = (0..).zip(choices(service)).map(|(id, actions): (u32, _)| {
        // Antrea gives every endpoint the same weight.
        format!(",bucket=bucket_id:{id},weight:100,actions={actions}")
    });
    let buckets: String = buckets.collect();
    Some(format!("group_id={},type=select{buckets}", service.group))
}

fn choices(service: &ServiceAddress) -> Vec<String> {
    if service.endpoints.is_empty() {
        let nobody = Load(Mark::NO_ENDPOINT);
        return vec![format!("{nobody},resubmit(,{})", Table::EndpointDNAT)];
    }
    // A choice that is to be remembered goes back to where it is learned.
    let next = match service.affinity {
        Some(_) => Table::ServiceLB,
        None => Table::EndpointDNAT,
    };
    service
        .endpoints
        .iter()
        .map(|endpoint| choice(endpoint, next))
        .collect()
}

fn choice(endpoint: &Endpoint, next: Table) -> String {
    let address = match endpoint.address {
        IpAddr::V4(address) => Load(Mark::endpoint_address(address.to_bits())).to_string(),
        IpAddr::V6(address) => format!("set_field:{:#x}->xxreg3", address.to_bits()),
    };
    let port = Load(Mark::endpoint_port(endpoint.port));
    let choice = format!("{address},{port},resubmit(,{next})");
    if endpoint.is_remote_pod {
        format!("{},{choice}", Load(Mark::REMOTE_ENDPOINT))
    } else {
        choice
    }
}
