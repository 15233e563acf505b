//! Reads a `Pod`.

use std::net::IpAddr;
use std::sync::Arc;

use traceflow_core::input::{BadInput, Field};
use traceflow_core::names::NodeName;
use traceflow_core::packet::IpFamily;

use super::Origin;
use super::metadata::Metadata;
use super::value::{address, check_first, port, protocol, push_one_per_family};
use crate::model::{ContainerPort, Pod};

/// A Pod without a status, as a manifest has it, is taken as running and ready.
pub(super) fn read(object: &Field<'_>, metadata: Metadata, origin: &mut Origin) -> Result<Pod, BadInput> {
    let mut pod = Pod {
        name: metadata.name,
        labels: metadata.labels,
        node: None,
        addresses: Vec::new(),
        host_addresses: Vec::new(),
        host_network: false,
        phase: "Running".into(),
        ready: true,
        terminating: metadata.terminating,
        service_account: Pod::DEFAULT_SERVICE_ACCOUNT.into(),
        ports: Vec::new(),
    };
    if let Some(spec) = object.optional("spec")? {
        pod.node = node(&spec, origin)?;
        pod.host_network = host_network(&spec)?;
        pod.service_account = service_account(&spec)?.unwrap_or(pod.service_account);
        pod.ports = ports(&spec)?;
    }
    if let Some(status) = object.optional("status")? {
        pod.addresses = addresses(&status, ["podIPs", "podIP"], origin)?;
        pod.host_addresses = addresses(&status, ["hostIPs", "hostIP"], origin)?;
        pod.phase = phase(&status)?.unwrap_or(pod.phase);
        pod.ready = ready_condition(&status)?.unwrap_or(&*pod.phase == "Running");
    }
    Ok(pod)
}

fn node(spec: &Field<'_>, origin: &mut Origin) -> Result<Option<NodeName>, BadInput> {
    let Some(field) = spec.optional("nodeName")? else {
        return Ok(None);
    };
    origin.note(&field);
    let name = field.string()?;
    Ok((!name.is_empty()).then(|| NodeName::new(name)))
}

fn host_network(spec: &Field<'_>) -> Result<bool, BadInput> {
    spec.optional("hostNetwork")?.map_or(Ok(false), |field| field.boolean())
}

/// An empty name is none, as for the API.
fn service_account(spec: &Field<'_>) -> Result<Option<Arc<str>>, BadInput> {
    let name = spec
        .optional("serviceAccountName")?
        .map(|field| field.string())
        .transpose()?;
    Ok(name.filter(|name| !name.is_empty()))
}

fn phase(status: &Field<'_>) -> Result<Option<Arc<str>>, BadInput> {
    let Some(field) = status.optional("phase")? else {
        return Ok(None);
    };
    let phase = field.string()?;
    match &*phase {
        "Pending" | "Running" | "Succeeded" | "Failed" | "Unknown" => Ok(Some(phase)),
        _ => Err(field.invalid("Pending, Running, Succeeded, Failed or Unknown")),
    }
}

fn ready_condition(status: &Field<'_>) -> Result<Option<bool>, BadInput> {
    for condition in status.items("conditions")? {
        if &*condition.required("type")?.string()? == "Ready" {
            return Ok(Some(&*condition.required("status")?.string()? == "True"));
        }
    }
    Ok(None)
}

/// The addresses of the list, such as `podIPs`, or the single one, such as `podIP`, where only that is given.
fn addresses(
    status: &Field<'_>,
    [list, single]: [&'static str; 2],
    origin: &mut Origin,
) -> Result<Vec<IpAddr>, BadInput> {
    let family = |address: &IpAddr| IpFamily::of(*address);
    let mut addresses = Vec::new();
    for entry in status.items(list)? {
        let field = entry.required("ip")?;
        push_one_per_family(&mut addresses, address(&field)?, family, &field, origin)?;
    }
    if let Some(field) = status.optional(single)?
        && !field.string()?.is_empty()
    {
        let only = address(&field)?;
        check_first(&field, &only, list, addresses.first())?;
        if addresses.is_empty() {
            push_one_per_family(&mut addresses, only, family, &field, origin)?;
        }
    }
    Ok(addresses)
}

/// The ports of all containers, and of init containers that keep running beside them (`restartPolicy: Always`).
fn ports(spec: &Field<'_>) -> Result<Vec<ContainerPort>, BadInput> {
    let mut ports = Vec::new();
    for container in spec.items("initContainers")? {
        let policy = container.optional("restartPolicy")?;
        if policy.map(|policy| policy.string()).transpose()?.as_deref() == Some("Always") {
            read_ports(&container, &mut ports)?;
        }
    }
    for container in spec.items("containers")? {
        read_ports(&container, &mut ports)?;
    }
    Ok(ports)
}

fn read_ports(container: &Field<'_>, ports: &mut Vec<ContainerPort>) -> Result<(), BadInput> {
    for entry in container.items("ports")? {
        ports.push(ContainerPort {
            name: entry.optional("name")?.map(|name| name.string()).transpose()?,
            protocol: protocol(&entry)?,
            port: port(&entry.required("containerPort")?)?,
        });
    }
    Ok(())
}
