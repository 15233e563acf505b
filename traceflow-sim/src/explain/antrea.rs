//! Changes of Antrea's policies: a rule before the one that denies, or a policy that is asked before its policy.

use traceflow_core::input::{Documents, Text};
use traceflow_core::names::ObjectName;
use traceflow_core::observation::PolicyRef;
use traceflow_core::packet::Protocol;

use super::opening::openings;
use super::remedy::{Candidate, Change, Changed, Remedy, peer, peers};
use super::{json, traffic_text};
use crate::cluster::Cluster;
use crate::policy::antrea::{AntreaPolicy, AntreaRule, Priority, Reading};
use crate::policy::{Access, Direction, PolicyIndex};

/// What lets the packet through that the rule at this place of the policy denies.
pub(super) fn candidates(
    cluster: &Cluster,
    policies: &PolicyIndex,
    access: &Access,
    denying: &PolicyRef,
    place: usize,
) -> Vec<Candidate> {
    let denying = policies.antrea_policies().find(|policy| policy.name == *denying);
    denying.map_or_else(Vec::new, |denying| {
        let in_policy = before_rule(cluster, policies, access, denying, place);
        in_policy
            .into_iter()
            .chain(before_policy(cluster, policies, access, denying))
            .collect()
    })
}

/// A rule that allows it, before the one that doesn't.
fn before_rule(
    cluster: &Cluster,
    policies: &PolicyIndex,
    access: &Access,
    denying: &AntreaPolicy,
    place: usize,
) -> Option<Candidate> {
    let name = &denying.name;
    let subject = policies.object(access.pod)?;
    let by_rule = denying.applied_to.is_empty();
    let (peer, namespaced) = (peer(cluster, access), name.namespace.is_some());
    let rule = json::antrea_rule(cluster, access, &peer, by_rule.then_some(subject), namespaced)?;
    let text = Text::new("remedy", rule.as_str());
    let document = Documents::new(&text).next()?.ok()?;
    let added = AntreaRule::read(name, access.direction, &document.root()).ok()?;
    let mut changed = denying.clone();
    match access.direction {
        Direction::Ingress => changed.ingress.insert(place, added),
        Direction::Egress => changed.egress.insert(place, added),
    }
    let change = Change::AddRule {
        policy: name.clone(),
        direction: access.direction,
        place,
        is_first: false,
        rule: rule.into(),
    };
    candidate(cluster, policies, access, changed, place, change)
}

/// A policy for the Pods with all of this Pod's labels, which is asked earlier in the same tier. It is of use where the one
/// that denies applies to more Pods than that.
fn before_policy(
    cluster: &Cluster,
    policies: &PolicyIndex,
    access: &Access,
    denying: &AntreaPolicy,
) -> Option<Candidate> {
    let subject = policies.object(access.pod)?;
    let namespaced = denying.name.namespace.is_some();
    let name = free_name(policies, &denying.name, &subject.name);
    let priority = earlier(denying.priority)?;
    let rule = json::antrea_rule(cluster, access, &peer(cluster, access), None, namespaced)?;
    let manifest = json::antrea_policy(&name, &denying.tier, priority, subject, access.direction, &rule)?;
    let text = Text::new("remedy", manifest.as_str());
    let document = Documents::new(&text).next()?.ok()?;
    let Reading::Modelled(policy) = AntreaPolicy::read(name, &document.root()).ok()? else {
        return None;
    };
    let change = Change::AddPolicy {
        manifest: manifest.into(),
    };
    candidate(cluster, policies, access, policy, 0, change)
}

/// The next whole number that is asked earlier.
fn earlier(priority: Priority) -> Option<Priority> {
    Priority::new(priority.value().ceil() - 1.0)
}

/// A name for a policy of the same kind that no other has.
fn free_name(policies: &PolicyIndex, denying: &PolicyRef, subject: &ObjectName) -> PolicyRef {
    let named = |name: String| match &denying.namespace {
        Some(namespace) => PolicyRef::antrea(ObjectName::new(namespace.clone(), name)),
        None => PolicyRef::antrea_cluster(name),
    };
    let stem = format!("allow-for-{}", subject.name);
    let taken = |name: &PolicyRef| policies.antrea_policies().any(|policy| policy.name == *name);
    let numbered = (2..).map(|number: u32| named(format!("{stem}-{number}")));
    let mut names = std::iter::once(named(stem.clone())).chain(numbered);
    names.find(|name| !taken(name)).unwrap_or_else(|| named(stem.clone()))
}

fn candidate(
    cluster: &Cluster,
    before: &PolicyIndex,
    access: &Access,
    policy: AntreaPolicy,
    place: usize,
    change: Change,
) -> Option<Candidate> {
    let mut after = before.clone();
    after.insert_antrea_policy(policy.clone());
    if !after.decide(access).allows() {
        return None;
    }
    let subjects = after.antrea_subjects(&policy, access.direction, place);
    let first = policy.rules(access.direction)[place].peers.first();
    let selected = first.map_or_else(Vec::new, |peer| after.antrea_peers(&policy, peer, access.pod).0);
    let peers = peers(cluster, access, &selected);
    let (opens, opens_is_complete) = openings(before, &after, access, &subjects, &peers);
    let remedy = Remedy {
        change,
        traffic: match access.protocol {
            Protocol::ICMP | Protocol::ICMPV6 => format!("{} of this type", access.protocol).into(),
            protocol => traffic_text(protocol, access.destination_port).into(),
        },
        is_about_everything: false,
        opens,
        still_blocked: Vec::new(),
        opens_is_complete,
    };
    let policy = Changed::Antrea(policy);
    Some(Candidate { remedy, policy })
}
