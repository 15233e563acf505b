//! Reads an `EndpointSlice`.

use std::sync::Arc;

use traceflow_core::input::{BadInput, Field};
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::packet::IpFamily;

use super::metadata::Metadata;
use super::value::{address, port, protocol};
use crate::model::{Endpoint, EndpointPort, EndpointSlice};

const SERVICE_LABEL: &str = "kubernetes.io/service-name";

pub(super) fn read(object: &Field<'_>, metadata: Metadata) -> Result<EndpointSlice, BadInput> {
    let namespace = &metadata.name.namespace;
    let endpoints = match address_type(object)? {
        Some(family) => {
            let entries = object.items("endpoints")?;
            entries
                .map(|entry| endpoint(&entry, family, namespace))
                .collect::<Result<_, _>>()?
        }
        None => Vec::new(),
    };
    let ports = object.items("ports")?.map(|entry| read_port(&entry));
    Ok(EndpointSlice {
        ports: ports.collect::<Result<_, _>>()?,
        service: metadata.labels.get(SERVICE_LABEL).cloned(),
        name: metadata.name,
        endpoints,
    })
}

/// The family of all its addresses; `None` for domain names, which no packet can be sent to.
fn address_type(object: &Field<'_>) -> Result<Option<IpFamily>, BadInput> {
    let field = object.required("addressType")?;
    match &*field.string()? {
        "IPv4" => Ok(Some(IpFamily::V4)),
        "IPv6" => Ok(Some(IpFamily::V6)),
        "FQDN" => Ok(None),
        _ => Err(field.invalid("IPv4, IPv6 or FQDN")),
    }
}

fn endpoint(entry: &Field<'_>, family: IpFamily, namespace: &Arc<str>) -> Result<Endpoint, BadInput> {
    let Some(field) = entry.items("addresses")?.next() else {
        return Err(entry.missing("addresses", "list the endpoint's address"));
    };
    let found = address(&field)?;
    if IpFamily::of(found) != family {
        return Err(field.invalid(format!("an {family} address, as addressType says")));
    }
    let conditions = entry.optional("conditions")?;
    let condition = |key: &str| match &conditions {
        Some(conditions) => conditions.optional(key)?.map(|field| field.boolean()).transpose(),
        None => Ok(None),
    };
    let ready = condition("ready")?.unwrap_or(true);
    let node = entry.optional("nodeName")?.map(|node| node.string()).transpose()?;
    Ok(Endpoint {
        address: found,
        ready,
        serving: condition("serving")?.unwrap_or(ready),
        terminating: condition("terminating")?.unwrap_or(false),
        pod: target_pod(entry, namespace)?,
        node: node.map(NodeName::new),
    })
}

/// `targetRef`, where it is a Pod; its namespace is the slice's own where it is not given.
fn target_pod(entry: &Field<'_>, namespace: &Arc<str>) -> Result<Option<ObjectName>, BadInput> {
    let Some(target) = entry.optional("targetRef")? else {
        return Ok(None);
    };
    let kind = target.optional("kind")?.map(|kind| kind.string()).transpose()?;
    if kind.as_deref() != Some("Pod") {
        return Ok(None);
    }
    let given = target.optional("namespace")?.map(|field| field.string()).transpose()?;
    let namespace = given.unwrap_or_else(|| namespace.clone());
    Ok(Some(ObjectName::new(namespace, target.required("name")?.string()?)))
}

fn read_port(entry: &Field<'_>) -> Result<EndpointPort, BadInput> {
    Ok(EndpointPort {
        name: entry.optional("name")?.map(|name| name.string()).transpose()?,
        protocol: protocol(entry)?,
        port: entry.optional("port")?.map(|field| port(&field)).transpose()?,
    })
}
