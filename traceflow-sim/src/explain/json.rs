//! Rules as JSON, which is YAML too: what is printed is what the model was changed by.

use std::fmt::Write as _;

use ipnet::IpNet;
use traceflow_core::observation::PolicyRef;
use traceflow_core::packet::Protocol;

use super::End;
use crate::cluster::Cluster;
use crate::model::{Labels, Pod};
use crate::objects::ANTREA_API_VERSION;
use crate::policy::antrea::Priority;
use crate::policy::{Access, Direction};

/// A rule for exactly this traffic with this peer, for a Kubernetes policy; `None` if no such rule can be said. What has no
/// ports can't be told apart there, and a rule for it is one for everything.
pub(super) fn kubernetes_rule(cluster: &Cluster, access: &Access, peer: &End) -> Option<String> {
    let peers = peers(cluster, access, peer, "", "")?;
    Some(match ports(access) {
        Some(ports) => format!("{{{peers}, {ports}}}"),
        None if has_ports(access.protocol) => return None,
        None => format!("{{{peers}}}"),
    })
}

/// The same for one of Antrea's, which allows it. It says itself whom it applies to if it is given a Pod; a `namespaced`
/// policy is about Pods of its own namespace.
pub(super) fn antrea_rule(
    cluster: &Cluster,
    access: &Access,
    peer: &End,
    applied_to: Option<&Pod>,
    namespaced: bool,
) -> Option<String> {
    let applied = match applied_to {
        Some(pod) => format!(", \"appliedTo\": [{}]", subject(pod, namespaced)?),
        None => String::new(),
    };
    let peers = peers(cluster, access, peer, "\"action\": \"Allow\", ", &applied)?;
    let traffic = match (access.protocol, access.icmp) {
        (Protocol::ICMP | Protocol::ICMPV6, Some((kind, code))) => {
            format!("\"protocols\": [{{\"icmp\": {{\"icmpType\": {kind}, \"icmpCode\": {code}}}}}]")
        }
        _ => ports(access)?,
    };
    Some(format!("{{{peers}, {traffic}}}"))
}

/// A policy of its own, which applies to Pods with all the labels of this one.
pub(super) fn kubernetes_policy(name: &str, subject: &Pod, direction: Direction, rule: &str) -> String {
    let (kind, word) = words(direction);
    format!(
        "{{\"apiVersion\": \"networking.k8s.io/v1\", \"kind\": \"NetworkPolicy\", \
         \"metadata\": {{\"name\": \"{name}\", \"namespace\": \"{}\"}}, \"spec\": {{\"podSelector\": {{\"matchLabels\": {}}}, \
         \"policyTypes\": [\"{kind}\"], \"{word}\": [{rule}]}}}}",
        subject.name.namespace,
        labels(&subject.labels),
    )
}

/// One of Antrea's for the same Pods; `None` if the Pod has no labels to be told by.
pub(super) fn antrea_policy(
    name: &PolicyRef,
    tier: &str,
    priority: Priority,
    pod: &Pod,
    direction: Direction,
    rule: &str,
) -> Option<String> {
    let (_, word) = words(direction);
    let (kind, namespace) = match &name.namespace {
        Some(namespace) => ("NetworkPolicy", format!(", \"namespace\": \"{namespace}\"")),
        None => ("ClusterNetworkPolicy", String::new()),
    };
    Some(format!(
        "{{\"apiVersion\": \"{}\", \"kind\": \"{kind}\", \
         \"metadata\": {{\"name\": \"{}\"{namespace}}}, \"spec\": {{\"tier\": \"{tier}\", \"priority\": {}, \
         \"appliedTo\": [{}], \"{word}\": [{rule}]}}}}",
        ANTREA_API_VERSION,
        name.name,
        priority.value(),
        subject(pod, name.namespace.is_some())?,
    ))
}

/// `Ingress` and `ingress`.
pub(super) fn words(direction: Direction) -> (&'static str, &'static str) {
    match direction {
        Direction::Ingress => ("Ingress", "ingress"),
        Direction::Egress => ("Egress", "egress"),
    }
}

fn peers(cluster: &Cluster, access: &Access, peer: &End, before: &str, after: &str) -> Option<String> {
    let word = match access.direction {
        Direction::Ingress => "from",
        Direction::Egress => "to",
    };
    let peer = match peer {
        End::Pod(name) => {
            let pod = &cluster.pod_record(cluster.pod_id(name)?).pod;
            selectors(pod).unwrap_or_else(|| block(access.peer.address()))
        }
        End::Address(address) => block(*address),
    };
    Some(format!("{before}\"{word}\": [{peer}]{after}"))
}

/// A Pod by all its labels, and its namespace by its name; `None` if it has no labels to be told by.
fn selectors(pod: &Pod) -> Option<String> {
    let namespace = &pod.name.namespace;
    (!pod.labels.is_empty()).then(|| {
        format!(
            "{{\"namespaceSelector\": {{\"matchLabels\": {{\"kubernetes.io/metadata.name\": \"{namespace}\"}}}}, \
             \"podSelector\": {{\"matchLabels\": {}}}}}",
            labels(&pod.labels)
        )
    })
}

/// The Pod that a rule is applied to.
fn subject(pod: &Pod, namespaced: bool) -> Option<String> {
    if !namespaced {
        return selectors(pod);
    }
    (!pod.labels.is_empty()).then(|| format!("{{\"podSelector\": {{\"matchLabels\": {}}}}}", labels(&pod.labels)))
}

fn block(address: std::net::IpAddr) -> String {
    format!("{{\"ipBlock\": {{\"cidr\": \"{}\"}}}}", IpNet::from(address))
}

fn ports(access: &Access) -> Option<String> {
    let port = access.destination_port.filter(|_| has_ports(access.protocol))?;
    Some(format!(
        "\"ports\": [{{\"protocol\": \"{}\", \"port\": {port}}}]",
        access.protocol
    ))
}

fn has_ports(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::TCP | Protocol::UDP | Protocol::SCTP)
}

/// Keys and values of labels need no escapes: the API allows letters, digits and a few marks.
fn labels(labels: &Labels) -> String {
    let mut text = String::from("{");
    for (place, (key, value)) in labels.iter().enumerate() {
        let comma = if place == 0 { "" } else { ", " };
        let _ = write!(text, "{comma}\"{key}\": \"{value}\"");
    }
    text + "}"
}
