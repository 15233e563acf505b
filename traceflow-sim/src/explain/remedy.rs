//! The smallest change of policies that lets a packet through at one point.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use traceflow_core::input::{Documents, Text};
use traceflow_core::names::ObjectName;
use traceflow_core::observation::{PolicyKind, PolicyRef};
use traceflow_core::packet::{IpFamily, Protocol};

use super::json;
use super::opening::{End, Opening, at_addresses, openings};
use super::{end_at, traffic_text};
use crate::cluster::Cluster;
use crate::model::Pod;
use crate::policy::antrea::{AntreaPolicy, AntreaRule};
use crate::policy::{Access, Decision, Direction, NetworkPolicy, Peer, PolicyIndex, Rule};

/// A change that lets exactly the packet through that was asked about, as far as a rule can say that, tried in the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// What to do.
    pub change: Change,
    /// The traffic that was asked about: `TCP port 80`.
    pub traffic: Arc<str>,
    /// Whether the rule is about every port and protocol: a Kubernetes rule can't be about one that has no ports.
    pub is_about_everything: bool,
    /// Who else could then open such a connection.
    pub opens: Vec<Opening>,
    /// Whether those are all; a rule may select more than can be looked at.
    pub opens_is_complete: bool,
}

/// A change of one policy, or a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A rule to be put into a policy.
    AddRule {
        /// The policy.
        policy: PolicyRef,
        /// Into which of its lists.
        direction: Direction,
        /// Before which of the rules there, from 0; their number for the end of the list.
        place: usize,
        /// Whether the list is empty, so that it may not be there at all.
        is_first: bool,
        /// The rule, as JSON, which is YAML too.
        rule: Arc<str>,
    },
    /// A policy to be added.
    AddPolicy {
        /// The object, as JSON, which is YAML too.
        manifest: Arc<str>,
    },
}

impl Change {
    /// The command that makes it.
    pub fn command(&self) -> String {
        match self {
            Self::AddPolicy { manifest } => format!("kubectl create -f - <<< '{manifest}'"),
            Self::AddRule {
                policy,
                direction,
                place,
                is_first,
                rule,
            } => {
                let (_, word) = json::words(*direction);
                let (path, value) = match is_first {
                    true => (format!("/spec/{word}"), format!("[{rule}]")),
                    false => (format!("/spec/{word}/{place}"), rule.to_string()),
                };
                let kind = match policy.kind {
                    PolicyKind::AntreaClusterNetworkPolicy => "clusternetworkpolicies.crd.antrea.io",
                    PolicyKind::AntreaNetworkPolicy => "networkpolicies.crd.antrea.io",
                    _ => "networkpolicies",
                };
                let namespace = policy.namespace.as_ref();
                let namespace = namespace.map_or(String::new(), |namespace| format!(" -n {namespace}"));
                format!(
                    "kubectl patch {kind} {}{namespace} --type json -p '[{{\"op\": \"add\", \"path\": \"{path}\", \"value\": {value}}}]'",
                    policy.name
                )
            }
        }
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "     to let this packet through, and as little else as a rule can say:"
        )?;
        writeln!(f, "       {}", self.change.command())?;
        if self.is_about_everything {
            writeln!(
                f,
                "     such a rule can't be about one protocol without ports: it opens all ports and protocols"
            )?;
        }
        const SHOWN: usize = 5;
        let shown: Vec<String> = self.opens.iter().take(SHOWN).map(Opening::to_string).collect();
        let more = self.opens.len().saturating_sub(SHOWN);
        match (shown.is_empty(), more, self.opens_is_complete) {
            (true, _, true) => writeln!(f, "     that opens nothing else to {}", self.traffic),
            (true, _, false) => writeln!(f, "     the rule selects too many Pods to say what else it opens"),
            (false, more, complete) => {
                write!(f, "     that also opens, to {}: {}", self.traffic, shown.join(", "))?;
                if more > 0 {
                    write!(f, ", and {more} more")?;
                }
                writeln!(f, "{}", if complete { "" } else { ", and perhaps others" })
            }
        }
    }
}

/// Of the changes that let the packet through the one that opens least.
pub(super) fn smallest(cluster: &Cluster, access: &Access) -> Option<Remedy> {
    let index = &cluster.policies;
    let denial = index.decide(access);
    let mut changes = match &denial {
        Decision::Isolated { policies } => {
            let names = policies.iter().filter_map(object_name);
            let mut changes: Vec<Remedy> = names
                .filter_map(|name| in_kubernetes_policy(cluster, access, &name))
                .collect();
            changes.extend(new_kubernetes_policy(cluster, access));
            changes
        }
        Decision::Denied { policy, rule, .. } => {
            before_antrea_rule(cluster, access, policy, *rule).into_iter().collect()
        }
        _ => Vec::new(),
    };
    // The first of equals: a rule in a policy that is there before a policy more.
    changes.sort_by_key(|remedy| (!remedy.opens_is_complete, remedy.opens.len()));
    changes.into_iter().next()
}

fn object_name(policy: &PolicyRef) -> Option<ObjectName> {
    Some(ObjectName::new(policy.namespace.clone()?, policy.name.clone()))
}

fn in_kubernetes_policy(cluster: &Cluster, access: &Access, name: &ObjectName) -> Option<Remedy> {
    let policy = cluster.policies.policies().find(|policy| policy.name == *name)?;
    let rule = json::kubernetes_rule(cluster, access, &peer(cluster, access))?;
    let (mut changed, added) = (NetworkPolicy::clone(policy), read_rule(&rule, access.direction)?);
    let rules = match access.direction {
        Direction::Ingress => changed.ingress.as_mut()?,
        Direction::Egress => changed.egress.as_mut()?,
    };
    let (place, is_first) = (rules.len(), rules.is_empty());
    rules.push(added);
    let mut after = cluster.policies.clone();
    after.insert_policy(changed.clone());
    let change = Change::AddRule {
        policy: PolicyRef::kubernetes(name.clone()),
        direction: access.direction,
        place,
        is_first,
        rule: rule.into(),
    };
    kubernetes_remedy(cluster, access, &after, &changed, place, change)
}

/// A policy for the Pods with all of this Pod's labels; not if that isolated Pods that nothing isolates now.
fn new_kubernetes_policy(cluster: &Cluster, access: &Access) -> Option<Remedy> {
    let subject = cluster.policies.object(access.pod)?;
    if subject.labels.is_empty() {
        return None;
    }
    let peer = peer(cluster, access);
    let rule = json::kubernetes_rule(cluster, access, &peer)?;
    let name = free_name(&cluster.policies, &subject.name);
    let manifest = json::kubernetes_policy(&name.name, subject, access.direction, &rule);
    let text = Text::new("remedy", manifest.as_str());
    let document = Documents::new(&text).next()?.ok()?;
    let policy = NetworkPolicy::read(name, &document.root()).ok()?;
    let mut after = cluster.policies.clone();
    after.insert_policy(policy.clone());
    let isolated_before = |pod: &&Pod| {
        let id = cluster.policies.pod_id(&pod.name);
        id.is_some_and(|id| !cluster.policies.isolating(id, access.direction).is_empty())
    };
    if !after.subjects(&policy, access.direction).iter().all(isolated_before) {
        return None;
    }
    let change = Change::AddPolicy {
        manifest: manifest.into(),
    };
    kubernetes_remedy(cluster, access, &after, &policy, 0, change)
}

/// A name for a policy that no other policy of the namespace has.
fn free_name(index: &PolicyIndex, subject: &ObjectName) -> ObjectName {
    let taken = |name: &ObjectName| index.policies().any(|policy| policy.name == *name);
    let candidate = |number: u32| {
        let suffix = if number == 0 {
            String::new()
        } else {
            format!("-{number}")
        };
        ObjectName::new(subject.namespace.clone(), format!("allow-for-{}{suffix}", subject.name))
    };
    (0..)
        .map(candidate)
        .find(|name| !taken(name))
        .unwrap_or_else(|| candidate(0))
}

fn kubernetes_remedy(
    cluster: &Cluster,
    access: &Access,
    after: &PolicyIndex,
    policy: &NetworkPolicy,
    place: usize,
    change: Change,
) -> Option<Remedy> {
    if !after.decide(access).allows() {
        return None;
    }
    let subjects = after.subjects(policy, access.direction);
    let rule = &policy.rules(access.direction)?[place];
    let selected = rule
        .peers
        .first()
        .map_or_else(Vec::new, |peer| after.selected(policy, peer));
    let peers = peers(cluster, access, &selected);
    let (opens, opens_is_complete) = openings(&cluster.policies, after, access, &subjects, &peers);
    Some(Remedy {
        change,
        traffic: traffic_text(access.protocol, access.destination_port).into(),
        is_about_everything: rule.ports.is_empty(),
        opens,
        opens_is_complete,
    })
}

/// A rule that allows it, before the one that doesn't.
fn before_antrea_rule(cluster: &Cluster, access: &Access, name: &PolicyRef, place: usize) -> Option<Remedy> {
    let policy = cluster.policies.antrea_policies().find(|policy| policy.name == *name)?;
    let subject = cluster.policies.object(access.pod)?;
    let by_rule = policy.applied_to.is_empty();
    let (peer, namespaced) = (peer(cluster, access), name.namespace.is_some());
    let rule = json::antrea_rule(cluster, access, &peer, by_rule.then_some(subject), namespaced)?;
    let text = Text::new("remedy", rule.as_str());
    let document = Documents::new(&text).next()?.ok()?;
    let added = AntreaRule::read(name, access.direction, &document.root()).ok()?;
    let mut changed = AntreaPolicy::clone(policy);
    match access.direction {
        Direction::Ingress => changed.ingress.insert(place, added),
        Direction::Egress => changed.egress.insert(place, added),
    }
    let mut after = cluster.policies.clone();
    after.insert_antrea_policy(changed.clone());
    if !after.decide(access).allows() {
        return None;
    }
    let subjects = after.antrea_subjects(&changed, access.direction, place);
    let added = &changed.rules(access.direction)[place];
    let selected = added
        .peers
        .first()
        .map_or_else(Vec::new, |peer| after.antrea_peers(&changed, peer, access.pod).0);
    let peers = peers(cluster, access, &selected);
    let (opens, opens_is_complete) = openings(&cluster.policies, &after, access, &subjects, &peers);
    Some(Remedy {
        change: Change::AddRule {
            policy: name.clone(),
            direction: access.direction,
            place,
            is_first: false,
            rule: rule.into(),
        },
        traffic: match access.protocol {
            Protocol::ICMP | Protocol::ICMPV6 => format!("{} of this type", access.protocol).into(),
            protocol => traffic_text(protocol, access.destination_port).into(),
        },
        is_about_everything: false,
        opens,
        opens_is_complete,
    })
}

fn peer(cluster: &Cluster, access: &Access) -> End {
    match access.peer {
        Peer::Address(address) => end_at(cluster, address),
        Peer::OwnNode(address) => End::Address(address),
    }
}

/// Those whom the rule selects, or else the address that it names.
fn peers(cluster: &Cluster, access: &Access, selected: &[&Pod]) -> Vec<(End, IpAddr)> {
    let (Peer::Address(address) | Peer::OwnNode(address)) = access.peer;
    match selected.is_empty() {
        true => vec![(end_at(cluster, address), address)],
        false => at_addresses(selected, IpFamily::of(address)),
    }
}

fn read_rule(rule: &str, direction: Direction) -> Option<Rule> {
    let text = Text::new("remedy", rule);
    let document = Documents::new(&text).next()?.ok()?;
    Rule::read_for(direction, &document.root()).ok()
}
