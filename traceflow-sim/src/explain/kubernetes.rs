//! Changes of Kubernetes' policies: a rule more in one that isolates the Pod, or a policy more.

use traceflow_core::input::{Documents, Text};
use traceflow_core::names::ObjectName;
use traceflow_core::observation::PolicyRef;

use super::opening::openings;
use super::remedy::{Candidate, Change, Changed, Remedy, peer, peers};
use super::{json, traffic_text};
use crate::cluster::Cluster;
use crate::model::Pod;
use crate::policy::{Access, Direction, NetworkPolicy, PolicyIndex, Rule};

/// What lets the packet through to or from a Pod that these policies isolate.
pub(super) fn candidates(
    cluster: &Cluster,
    policies: &PolicyIndex,
    access: &Access,
    isolating: &[PolicyRef],
) -> Vec<Candidate> {
    let names = isolating.iter().filter_map(object_name);
    let in_policies = names.filter_map(|name| in_policy(cluster, policies, access, &name));
    in_policies.chain(new_policy(cluster, policies, access)).collect()
}

fn object_name(policy: &PolicyRef) -> Option<ObjectName> {
    Some(ObjectName::new(policy.namespace.clone()?, policy.name.clone()))
}

fn in_policy(cluster: &Cluster, policies: &PolicyIndex, access: &Access, name: &ObjectName) -> Option<Candidate> {
    let policy = policies.policies().find(|policy| policy.name == *name)?;
    let rule = json::kubernetes_rule(cluster, access, &peer(cluster, access))?;
    let (mut changed, added) = (NetworkPolicy::clone(policy), read_rule(&rule, access.direction)?);
    let rules = match access.direction {
        Direction::Ingress => changed.ingress.as_mut()?,
        Direction::Egress => changed.egress.as_mut()?,
    };
    let (place, is_first) = (rules.len(), rules.is_empty());
    rules.push(added);
    let change = Change::AddRule {
        policy: PolicyRef::kubernetes(name.clone()),
        direction: access.direction,
        place,
        is_first,
        rule: rule.into(),
    };
    candidate(cluster, policies, access, changed, place, change)
}

/// A policy for the Pods with all of this Pod's labels; not if that isolated Pods that nothing isolates now.
fn new_policy(cluster: &Cluster, policies: &PolicyIndex, access: &Access) -> Option<Candidate> {
    let subject = policies.object(access.pod)?;
    if subject.labels.is_empty() {
        return None;
    }
    let peer = peer(cluster, access);
    let rule = json::kubernetes_rule(cluster, access, &peer)?;
    let name = free_name(policies, &subject.name);
    let manifest = json::kubernetes_policy(&name.name, subject, access.direction, &rule);
    let text = Text::new("remedy", manifest.as_str());
    let document = Documents::new(&text).next()?.ok()?;
    let policy = NetworkPolicy::read(name, &document.root()).ok()?;
    let mut after = policies.clone();
    after.insert_policy(policy.clone());
    let isolated_before = |pod: &&Pod| {
        let id = policies.pod_id(&pod.name);
        id.is_some_and(|id| !policies.isolating(id, access.direction).is_empty())
    };
    if !after.subjects(&policy, access.direction).iter().all(isolated_before) {
        return None;
    }
    let change = Change::AddPolicy {
        manifest: manifest.into(),
    };
    candidate(cluster, policies, access, policy, 0, change)
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

fn candidate(
    cluster: &Cluster,
    before: &PolicyIndex,
    access: &Access,
    policy: NetworkPolicy,
    place: usize,
    change: Change,
) -> Option<Candidate> {
    let mut after = before.clone();
    after.insert_policy(policy.clone());
    if !after.decide(access).allows() {
        return None;
    }
    let subjects = after.subjects(&policy, access.direction);
    let rule = &policy.rules(access.direction)?[place];
    let first = rule.peers.first();
    let selected = first.map_or_else(Vec::new, |peer| after.selected(&policy, peer));
    let peers = peers(cluster, access, &selected);
    let (opens, opens_is_complete) = openings(before, &after, access, &subjects, &peers);
    let remedy = Remedy {
        change,
        traffic: traffic_text(access.protocol, access.destination_port).into(),
        is_about_everything: rule.ports.is_empty(),
        opens,
        still_blocked: Vec::new(),
        opens_is_complete,
    };
    let policy = Changed::Kubernetes(policy);
    Some(Candidate { remedy, policy })
}

fn read_rule(rule: &str, direction: Direction) -> Option<Rule> {
    let text = Text::new("remedy", rule);
    let document = Documents::new(&text).next()?.ok()?;
    Rule::read_for(direction, &document.root()).ok()
}
