//! Reads a `Node`.

use std::net::IpAddr;

use ipnet::IpNet;
use traceflow_core::input::{BadInput, Field};
use traceflow_core::names::NodeName;
use traceflow_core::packet::IpFamily;

use super::Origin;
use super::metadata::Metadata;
use super::value::{address, check_first, push_one_per_family};
use crate::model::Node;

pub(super) fn read(object: &Field<'_>, metadata: Metadata, origin: &mut Origin) -> Result<Node, BadInput> {
    Ok(Node {
        name: NodeName::new(metadata.name.name),
        labels: metadata.labels,
        addresses: internal_addresses(object, origin)?,
        pod_cidrs: pod_cidrs(object, origin)?,
    })
}

/// The first `InternalIP` of each family: Kubernetes gives no meaning to further ones.
fn internal_addresses(object: &Field<'_>, origin: &mut Origin) -> Result<Vec<IpAddr>, BadInput> {
    let Some(status) = object.optional("status")? else {
        return Ok(Vec::new());
    };
    let mut addresses: Vec<IpAddr> = Vec::new();
    for entry in status.items("addresses")? {
        if &*entry.required("type")?.string()? != "InternalIP" {
            continue;
        }
        let field = entry.required("address")?;
        let found = address(&field)?;
        if !addresses.iter().any(|known| known.is_ipv4() == found.is_ipv4()) {
            origin.note(&field);
            addresses.push(found);
        }
    }
    Ok(addresses)
}

/// `podCIDRs`, or `podCIDR` where only that is given.
fn pod_cidrs(object: &Field<'_>, origin: &mut Origin) -> Result<Vec<IpNet>, BadInput> {
    let Some(spec) = object.optional("spec")? else {
        return Ok(Vec::new());
    };
    let mut cidrs = Vec::new();
    for entry in spec.items("podCIDRs")? {
        push_one_per_family(&mut cidrs, range(&entry)?, family, &entry, origin)?;
    }
    if let Some(field) = spec.optional("podCIDR")?
        && !field.string()?.is_empty()
    {
        let single = range(&field)?;
        check_first(&field, &single, "podCIDRs", cidrs.first())?;
        if cidrs.is_empty() {
            push_one_per_family(&mut cidrs, single, family, &field, origin)?;
        }
    }
    Ok(cidrs)
}

fn range(field: &Field<'_>) -> Result<IpNet, BadInput> {
    let range: IpNet = field.parsed("an address range such as 10.244.1.0/24")?;
    // The network's own address, a gateway and one Pod must fit in.
    if range.max_prefix_len() - range.prefix_len() < 2 {
        return Err(field.invalid("a range of four addresses or more, such as 10.244.1.0/24"));
    }
    let range = range.trunc();
    let start = range.addr();
    if start.is_unspecified() || start.is_loopback() || start.is_multicast() {
        return Err(field.invalid("a range of addresses that hosts can have, such as 10.244.1.0/24"));
    }
    Ok(range)
}

fn family(range: &IpNet) -> IpFamily {
    IpFamily::of(range.addr())
}
