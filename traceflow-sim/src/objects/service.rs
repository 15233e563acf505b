//! Reads a `Service`.

use std::net::IpAddr;
use std::time::Duration;

use traceflow_core::input::{BadInput, Field, Problem, Value};
use traceflow_core::packet::IpFamily;

use super::Origin;
use super::metadata::{Metadata, string_map};
use super::value::{address, check_first, port, protocol, push_one_per_family};
use crate::model::{Service, ServicePort, TargetPort};

/// `sessionAffinityConfig.clientIP.timeoutSeconds` where it is not given.
const DEFAULT_AFFINITY: Duration = Duration::from_secs(10800);

pub(super) fn read(object: &Field<'_>, metadata: Metadata, origin: &mut Origin) -> Result<Service, BadInput> {
    let spec = object.required("spec")?;
    let (headless, cluster_ips) = addresses(&spec, origin)?;
    let selector = spec.optional("selector")?;
    Ok(Service {
        name: metadata.name,
        cluster_ips,
        external_ips: external_addresses(object, &spec, origin)?,
        headless,
        ports: ports(&spec)?,
        selector: selector.as_ref().map(string_map).transpose()?.unwrap_or_default(),
        affinity: affinity(&spec)?,
        local_only: is_local_only(&spec, "internalTrafficPolicy")?,
        external_local_only: is_local_only(&spec, "externalTrafficPolicy")?,
        publish_not_ready: match spec.optional("publishNotReadyAddresses")? {
            Some(field) => field.boolean()?,
            None => false,
        },
    })
}

/// Whether the Service goes without an address, and the addresses that are given.
fn addresses(spec: &Field<'_>, origin: &mut Origin) -> Result<(bool, Vec<IpAddr>), BadInput> {
    if is_external_name(spec)? {
        return Ok((true, Vec::new()));
    }
    let family = |address: &IpAddr| IpFamily::of(*address);
    let first = spec.optional("clusterIP")?;
    let listed: Vec<Field<'_>> = spec.items("clusterIPs")?.collect();
    let given = if listed.is_empty() { first.as_slice() } else { &listed };
    if let (Some(first), Some(listed)) = (&first, listed.first())
        && !first.string()?.is_empty()
    {
        check_first(first, &first.string()?, "clusterIPs", Some(&listed.string()?))?;
    }
    let mut addresses = Vec::new();
    for field in given {
        match &*field.string()? {
            "None" => return Ok((true, Vec::new())),
            "" => {}
            _ => push_one_per_family(&mut addresses, address(field)?, family, field, origin)?,
        }
    }
    Ok((false, addresses))
}

/// `externalIPs`, and what the load balancer was given; one with a host name only is no address of ours.
fn external_addresses(object: &Field<'_>, spec: &Field<'_>, origin: &mut Origin) -> Result<Vec<IpAddr>, BadInput> {
    let mut addresses = Vec::new();
    let mut add = |field: &Field<'_>| {
        let address = address(field)?;
        origin.note(field);
        if !addresses.contains(&address) {
            addresses.push(address);
        }
        Ok::<(), BadInput>(())
    };
    spec.items("externalIPs")?.try_for_each(|field| add(&field))?;
    if let Some(status) = object.optional("status")?
        && let Some(balancer) = status.optional("loadBalancer")?
    {
        for ingress in balancer.items("ingress")? {
            ingress.optional("ip")?.map_or(Ok(()), |field| add(&field))?;
        }
    }
    Ok(addresses)
}

fn is_external_name(spec: &Field<'_>) -> Result<bool, BadInput> {
    let Some(field) = spec.optional("type")? else {
        return Ok(false);
    };
    match &*field.string()? {
        "ExternalName" => Ok(true),
        "ClusterIP" | "NodePort" | "LoadBalancer" => Ok(false),
        _ => Err(field.invalid("ClusterIP, NodePort, LoadBalancer or ExternalName")),
    }
}

fn is_local_only(spec: &Field<'_>, policy: &str) -> Result<bool, BadInput> {
    let Some(field) = spec.optional(policy)? else {
        return Ok(false);
    };
    match &*field.string()? {
        "Local" => Ok(true),
        "Cluster" => Ok(false),
        _ => Err(field.invalid("Cluster or Local")),
    }
}

fn ports(spec: &Field<'_>) -> Result<Vec<ServicePort>, BadInput> {
    let mut ports: Vec<ServicePort> = Vec::new();
    let entries = spec.items("ports")?;
    let several = entries.len() > 1;
    for entry in entries {
        let read = read_port(&entry)?;
        if several && read.name.is_none() {
            return Err(entry.missing("name", "name each port where a Service has several"));
        }
        let same = |known: &ServicePort| (known.protocol, known.port) == (read.protocol, read.port);
        if ports.iter().any(same) {
            return Err(entry.error(Problem::Conflict {
                what: format!("{} port {} is there twice", read.protocol, read.port).into(),
                remedy: "keep one of them".into(),
            }));
        }
        ports.push(read);
    }
    Ok(ports)
}

fn read_port(entry: &Field<'_>) -> Result<ServicePort, BadInput> {
    let number = port(&entry.required("port")?)?;
    Ok(ServicePort {
        name: entry.optional("name")?.map(|name| name.string()).transpose()?,
        protocol: protocol(entry)?,
        port: number,
        target: match entry.optional("targetPort")? {
            None => TargetPort::Number(number),
            Some(field) => target(&field, number)?,
        },
        node_port: match entry.optional("nodePort")? {
            // The API server takes 0 for "not given".
            Some(field) if field.node().value != Value::Integer(0) => Some(port(&field)?),
            _ => None,
        },
    })
}

fn target(field: &Field<'_>, same: u16) -> Result<TargetPort, BadInput> {
    match &field.node().value {
        // The API server takes 0 and the empty name for "not given".
        Value::Integer(0) => Ok(TargetPort::Number(same)),
        Value::String(name) if name.is_empty() => Ok(TargetPort::Number(same)),
        Value::Integer(_) => Ok(TargetPort::Number(port(field)?)),
        Value::String(name) if name.parse::<u16>().is_ok() => Err(field.invalid("the number without quotes")),
        Value::String(name) => Ok(TargetPort::Name(name.clone())),
        _ => Err(field.wrong_type("a port number or the name of a container port")),
    }
}

fn affinity(spec: &Field<'_>) -> Result<Option<Duration>, BadInput> {
    let Some(field) = spec.optional("sessionAffinity")? else {
        return Ok(None);
    };
    match &*field.string()? {
        "None" => Ok(None),
        "ClientIP" => affinity_timeout(spec).map(Some),
        _ => Err(field.invalid("None or ClientIP")),
    }
}

fn affinity_timeout(spec: &Field<'_>) -> Result<Duration, BadInput> {
    let Some(config) = spec.optional("sessionAffinityConfig")? else {
        return Ok(DEFAULT_AFFINITY);
    };
    let Some(client_ip) = config.optional("clientIP")? else {
        return Ok(DEFAULT_AFFINITY);
    };
    match client_ip.optional("timeoutSeconds")? {
        Some(field) => Ok(Duration::from_secs(u64::from(field.integer(1..=86400u32)?))),
        None => Ok(DEFAULT_AFFINITY),
    }
}
