//! A path in short words with its details, to be compared as a whole.

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

/// The details that Antrea's tests compare, and the tunnel's other end. Of what an observation bears beside them, TTL, reason and
/// MAC addresses, their cases know nothing.
const DETAILS: [&str; 10] = [
    "pod",
    "srcPodIP",
    "translatedDstIP",
    "translatedSrcIP",
    "networkPolicy",
    "networkPolicyRule",
    "egress",
    "egressIP",
    "egressNode",
    "tunnelDstIP",
];

/// What each node did, as a row of a table says it: each observation in a short word, and every detail of it that is known.
pub(crate) type Told = &'static [(&'static str, &'static [&'static str])];

// The same in most rows.
pub(crate) const GUARDED: &str = "guard srcPodIP=10.244.0.2";
pub(crate) const GUARDED_V6: &str = "guard srcPodIP=fd00:10:244::2";
pub(crate) const ALLOWED: &str = "egress-rule networkPolicy=K8sNetworkPolicy:default/allow-all-egress";
pub(crate) const TUNNELLED: &str = "forwarded tunnelDstIP=172.18.0.3";

/// A row, a line for each node: `node1: guard srcPodIP=10.244.0.2, forwarded`.
pub(crate) fn as_text(expected: Told) -> String {
    let of_node = |(node, seen): &(&str, &[&str])| format!("{node}: {}\n", seen.join(", "));
    expected.iter().map(of_node).collect()
}

/// The same of what was told.
pub(crate) fn told(hops: &[Hop]) -> String {
    let of_hop = |hop: &Hop| {
        let seen: Vec<String> = hop.observations.iter().map(with_details).collect();
        format!("{}: {}\n", hop.node, seen.join(", "))
    };
    hops.iter().map(of_hop).collect()
}

fn with_details(seen: &Observation) -> String {
    let Value::Object(fields) = serde_json::to_value(ObservationStatus::from(seen)).unwrap() else {
        unreachable!("an observation is an object")
    };
    let detail = |name: &&str| Some(format!(" {name}={}", fields.get(*name)?.as_str()?));
    word(seen).to_owned() + &DETAILS.iter().filter_map(detail).collect::<String>()
}
