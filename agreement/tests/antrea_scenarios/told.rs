//! A path in short words, and its details.

use serde_json::Value;
use traceflow_core::observation::{Action, Component, ComponentInfo, Observation};
use traceflow_core::render::ObservationStatus;
use traceflow_core::trace::Hop;

fn word(seen: &Observation) -> &'static str {
    match (&seen.component, seen.component_info.as_ref(), &seen.action) {
        (Component::SpoofGuard, _, Action::Forwarded) => "guard",
        (Component::Lb, _, Action::Forwarded) => "service",
        (Component::NetworkPolicy, Some(ComponentInfo::EgressRule), Action::Forwarded) => "egress-rule",
        (Component::NetworkPolicy, Some(ComponentInfo::EgressMetric), Action::Dropped) => "egress-drop",
        (Component::NetworkPolicy, Some(ComponentInfo::EgressDefaultRule), Action::Dropped) => "egress-default-drop",
        (Component::NetworkPolicy, Some(ComponentInfo::IngressRule), Action::Forwarded) => "ingress-rule",
        (Component::NetworkPolicy, Some(ComponentInfo::IngressMetric), Action::Dropped) => "ingress-drop",
        (Component::NetworkPolicy, Some(ComponentInfo::IngressMetric), Action::Rejected) => "ingress-reject",
        (Component::NetworkPolicy, Some(ComponentInfo::IngressDefaultRule), Action::Dropped) => "ingress-default-drop",
        (Component::Egress, _, Action::MarkedForSnat) => "marked",
        (Component::Egress, _, Action::ForwardedToEgressNode) => "to-egress",
        (Component::Forwarding, Some(ComponentInfo::Classification), Action::Received) => "received",
        (Component::Forwarding, Some(ComponentInfo::Output), Action::Forwarded) => "forwarded",
        (Component::Forwarding, Some(ComponentInfo::Output), Action::Delivered) => "delivered",
        (Component::Forwarding, Some(ComponentInfo::Output), Action::ForwardedOutOfNetwork) => "out",
        _ => "something else",
    }
}

/// What each node did.
pub(crate) fn words(hops: &[Hop]) -> String {
    let of_hop = |hop: &Hop| {
        let words: Vec<&str> = hop.observations.iter().map(word).collect();
        format!("{} {}", hop.node, words.join(" "))
    };
    hops.iter().map(of_hop).collect::<Vec<_>>().join(", ")
}

/// What each observation knows, as `field=value` in the order of the fields' names, a line each.
pub(crate) fn details_of(hops: &[Hop]) -> String {
    let observations = hops.iter().flat_map(|hop| &hop.observations);
    observations.map(|seen| line(seen) + "\n").collect()
}

fn line(seen: &Observation) -> String {
    let Value::Object(fields) = serde_json::to_value(ObservationStatus::from(seen)).unwrap() else {
        unreachable!("an observation is an object")
    };
    let field = |(name, value): (&String, &Value)| match value {
        Value::String(text) => format!("{name}={text}"),
        other => format!("{name}={other}"),
    };
    fields.iter().map(field).collect::<Vec<_>>().join(" ")
}
