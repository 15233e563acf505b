//! What Antrea's configuration says about the network: the ConfigMap `antrea-config`, as far as it decides a packet's path.

use traceflow_core::input::{BadInput, Documents, Field, Text};

use crate::model::TrafficMode;

/// The agent's file in it.
const AGENT: &str = "antrea-agent.conf";

/// Whether this ConfigMap is Antrea's, by its name and by what it holds. Older releases put a hash behind the name.
pub(super) fn is_it(object: &Field<'_>) -> bool {
    let name = || object.optional("metadata").ok()??.optional("name").ok()??.string().ok();
    let data = || object.optional("data").ok()??.optional(AGENT).ok()?.map(|_| ());
    name().is_some_and(|name| name.starts_with("antrea-config")) && data().is_some()
}

/// How packets go from node to node; `None` where it is left at its default.
pub(super) fn read(object: &Field<'_>) -> Result<Option<TrafficMode>, BadInput> {
    let data = object.required("data")?;
    let text = Text::new(
        format!("{AGENT} of ConfigMap antrea-config"),
        data.required(AGENT)?.string()?,
    );
    // Everything may be commented out.
    let Some(document) = Documents::new(&text).next().transpose()? else {
        return Ok(None);
    };
    let root = document.root();
    let word = |key: &str| {
        root.optional(key)?
            .map(|field| Ok((field, field.string()?)))
            .transpose()
    };
    let encryption = match word("trafficEncryptionMode")? {
        None => false,
        Some((field, mode)) => match &*mode.to_lowercase() {
            "" | "none" | "ipsec" => false,
            "wireguard" => true,
            _ => return Err(field.invalid("none, ipsec or wireGuard")),
        },
    };
    let Some((field, mode)) = word("trafficEncapMode")? else {
        return Ok(encryption.then_some(TrafficMode::WireGuard));
    };
    Ok(Some(match &*mode.to_lowercase() {
        _ if encryption => TrafficMode::WireGuard,
        "encap" | "" => TrafficMode::Encap,
        "noencap" => TrafficMode::NoEncap,
        "hybrid" => TrafficMode::Hybrid,
        _ => return Err(field.invalid("encap, noEncap or hybrid; networkPolicyOnly is not modelled")),
    }))
}
