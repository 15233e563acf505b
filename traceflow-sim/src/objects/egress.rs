//! `Egress`.

use traceflow_core::input::{BadInput, Field, Problem};
use traceflow_core::names::NodeName;
use traceflow_core::packet::IpFamily;

use super::Origin;
use super::metadata::Metadata;
use super::value::{address, push_one_per_family};
use crate::model::Egress;
use crate::policy::antrea::{Beyond, Reading, read_selector};

/// Reads the object, which must obey Antrea's rules; unknown fields of `spec` are mistakes.
pub(super) fn read(object: &Field<'_>, metadata: &Metadata, origin: &mut Origin) -> Result<Reading<Egress>, BadInput> {
    let spec = object.required("spec")?;
    spec.only(&[
        "appliedTo",
        "egressIP",
        "egressIPs",
        "externalIPPool",
        "externalIPPools",
        "bandwidth",
    ])?;
    let applied_to = spec.required("appliedTo")?;
    let mut beyond = Beyond::default();
    const OTHERS: &[&str] = &[
        "externalEntitySelector",
        "group",
        "serviceAccount",
        "service",
        "nodeSelector",
    ];
    applied_to.only(&[
        "podSelector",
        "namespaceSelector",
        "externalEntitySelector",
        "group",
        "serviceAccount",
        "service",
        "nodeSelector",
    ])?;
    beyond.note_any(&applied_to, OTHERS)?;
    let pods = read_selector(&applied_to, "podSelector")?;
    let namespaces = read_selector(&applied_to, "namespaceSelector")?;
    let mut addresses = Vec::new();
    let (one, many) = (spec.optional("egressIP")?, spec.items("egressIPs")?);
    if let (Some(one), 1..) = (&one, many.len()) {
        return Err(one.error(Problem::Conflict {
            what: "egressIP can't stand beside egressIPs".into(),
            remedy: "keep one of them".into(),
        }));
    }
    let status = object.optional("status")?;
    let assigned = match &status {
        Some(status) => status.optional("egressIP")?,
        None => None,
    };
    let given: Vec<Field<'_>> = one.into_iter().chain(many).collect();
    // What was assigned from a pool stands in the status alone.
    let given = if given.is_empty() {
        assigned.into_iter().collect()
    } else {
        given
    };
    for field in &given {
        if !field.string()?.is_empty() {
            push_one_per_family(
                &mut addresses,
                address(field)?,
                |address| IpFamily::of(*address),
                field,
                origin,
            )?;
        }
    }
    let node = match &status {
        Some(status) => status.optional("egressNode")?,
        None => None,
    };
    if let Some(node) = &node {
        origin.note(node);
    }
    let node = node.map(|node| node.string()).transpose()?;
    Ok(beyond.reading(Egress {
        name: metadata.name.name.clone(),
        namespaces: namespaces.unwrap_or_default(),
        pods: pods.unwrap_or_default(),
        addresses,
        node: node.filter(|name| !name.is_empty()).map(|name| NodeName::from(&*name)),
    }))
}
