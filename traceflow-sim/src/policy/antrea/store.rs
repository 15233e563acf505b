//! Antrea's objects as the index keeps them, and which of their rules apply to a Pod.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use traceflow_core::names::ObjectName;
use traceflow_core::observation::PolicyRef;

use super::order::name_key;
use super::{
    AntreaPeer, AntreaPolicy, AppliedTo, BASELINE_TIER, BoundRule, Group, GroupMembers, GroupName, PeerNamespaces,
    Tier, TierPriorities,
};
use crate::model::Labels;
use crate::policy::indexed_pod::IndexedPod;
use crate::policy::{Direction, IpBlock, LabelSelector};

/// What [`PolicyIndex`](crate::policy::PolicyIndex) knows of Antrea's objects.
#[derive(Debug, Clone, Default)]
pub(in crate::policy) struct AntreaStore {
    tiers: TierPriorities,
    groups: HashMap<GroupName, Group>,
    /// The selectors of Services, for groups that refer to one.
    services: HashMap<ObjectName, Labels>,
    policies: HashMap<PolicyRef, Arc<AntreaPolicy>>,
}

/// The end of a connection that a rule's peers are compared with.
#[derive(Debug, Clone, Copy)]
pub(in crate::policy) struct Candidate<'a> {
    /// `None` if only what selectors select counts.
    pub(in crate::policy) address: Option<IpAddr>,
    /// The Pod that selectors see behind the address.
    pub(in crate::policy) pod: Option<&'a IndexedPod>,
}

impl AntreaStore {
    pub(in crate::policy) fn insert_tier(&mut self, tier: &Tier) {
        self.tiers.insert(tier);
    }

    pub(in crate::policy) fn insert_group(&mut self, group: Group) {
        self.groups.insert(group.name.clone(), group);
    }

    pub(in crate::policy) fn remove_group(&mut self, name: &GroupName) {
        self.groups.remove(name);
    }

    pub(in crate::policy) fn insert_service(&mut self, name: &ObjectName, selector: &Labels) {
        self.services.insert(name.clone(), selector.clone());
    }

    pub(in crate::policy) fn remove_service(&mut self, name: &ObjectName) {
        self.services.remove(name);
    }

    pub(in crate::policy) fn insert_policy(&mut self, policy: Arc<AntreaPolicy>) {
        self.policies.insert(policy.name.clone(), policy);
    }

    pub(in crate::policy) fn remove_policy(&mut self, name: &PolicyRef) -> Option<Arc<AntreaPolicy>> {
        self.policies.remove(name)
    }

    pub(in crate::policy) fn policy(&self, name: &PolicyRef) -> Option<&Arc<AntreaPolicy>> {
        self.policies.get(name)
    }

    pub(in crate::policy) fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    pub(in crate::policy) fn group(&self, name: &GroupName) -> Option<&Group> {
        self.groups.get(name)
    }

    /// Whether the members of any group are the Pods of this Service.
    pub(in crate::policy) fn refers_to(&self, service: &ObjectName) -> bool {
        let mut members = self.groups.values().map(|group| &group.members);
        members.any(|members| matches!(members, GroupMembers::Service(name) if name == service))
    }

    pub(in crate::policy) fn tiers(&self) -> &TierPriorities {
        &self.tiers
    }

    /// The policies, in the order of their kinds, namespaces and names.
    pub(in crate::policy) fn policies(&self) -> Vec<&Arc<AntreaPolicy>> {
        let mut policies: Vec<_> = self.policies.values().collect();
        policies.sort_by(|one, other| name_key(one).cmp(&name_key(other)));
        policies
    }

    /// Whether there is any policy, so that what a group or a label changes can matter.
    pub(in crate::policy) fn has_policies(&self) -> bool {
        !self.policies.is_empty()
    }

    /// The rules that apply to the Pod, in the order in which they are asked.
    pub(in crate::policy) fn rules_for(&self, pod: &IndexedPod, direction: Direction) -> Vec<BoundRule> {
        if !pod.is_selectable() {
            return Vec::new();
        }
        let mut bound: Vec<BoundRule> = self
            .policies
            .values()
            .flat_map(|policy| self.rules_of(policy, pod, direction))
            .collect();
        bound.sort_by(BoundRule::order);
        bound
    }

    /// Puts the rules of one more policy where they belong among those that are there.
    pub(in crate::policy) fn add_rules(
        &self,
        rules: &mut Vec<BoundRule>,
        policy: &Arc<AntreaPolicy>,
        pod: &IndexedPod,
        direction: Direction,
    ) {
        for bound in self.rules_of(policy, pod, direction) {
            let place = rules.partition_point(|other| other.order(&bound).is_lt());
            rules.insert(place, bound);
        }
    }

    /// The rules of a policy that apply to the Pod. A policy whose tier nobody knows is not enforced.
    fn rules_of(&self, policy: &Arc<AntreaPolicy>, pod: &IndexedPod, direction: Direction) -> Vec<BoundRule> {
        let Some(tier) = self.tiers.of(&policy.tier) else {
            return Vec::new();
        };
        let rules = policy.rules(direction).iter().enumerate();
        let applied = rules.filter(|(_, rule)| {
            let subjects = policy.subjects_of(rule);
            subjects.iter().any(|subject| self.applies(subject, policy, pod))
        });
        let bound = applied.map(|(place, _)| BoundRule {
            tier,
            baseline: &*policy.tier == BASELINE_TIER,
            policy: Arc::clone(policy),
            place,
        });
        bound.collect()
    }

    fn applies(&self, subject: &AppliedTo, policy: &AntreaPolicy, pod: &IndexedPod) -> bool {
        match subject {
            AppliedTo::Pods { namespaces, pods } => {
                is_in(namespaces.as_ref(), policy.name.namespace.as_deref(), pod) && pods.selects(&pod.object().labels)
            }
            // Addresses of a group don't make it apply to who has them.
            AppliedTo::Group(name) => self.is_member(name, None, Some(pod)),
            AppliedTo::ServiceAccount(account) => runs_as(account, pod),
        }
    }

    /// Whether a peer of a policy that applies to `subject` is this candidate.
    pub(in crate::policy) fn is_peer(
        &self,
        peer: &AntreaPeer,
        policy: &AntreaPolicy,
        subject: &IndexedPod,
        candidate: Candidate<'_>,
    ) -> bool {
        match peer {
            AntreaPeer::IpBlock(block) => candidate.address.is_some_and(|address| block.contains(address)),
            AntreaPeer::Group(name) => self.is_member(name, candidate.address, candidate.pod),
            AntreaPeer::ServiceAccount(account) => candidate.pod.is_some_and(|pod| runs_as(account, pod)),
            AntreaPeer::Pods { namespaces, pods } => candidate.pod.is_some_and(|pod| {
                pods.selects(&pod.object().labels) && is_in_peer_namespaces(namespaces, policy, subject, pod)
            }),
        }
    }

    /// The addresses that a peer names as such.
    pub(in crate::policy) fn blocks<'a>(&'a self, peer: &'a AntreaPeer) -> Vec<&'a IpBlock> {
        match peer {
            AntreaPeer::IpBlock(block) => vec![block],
            AntreaPeer::Pods { .. } | AntreaPeer::ServiceAccount(_) => Vec::new(),
            AntreaPeer::Group(name) => match self.groups.get(name).map(|group| &group.members) {
                Some(GroupMembers::Groups(children)) => {
                    let children = self.children(children).into_iter();
                    children.flat_map(|child| direct_blocks(&child.members)).collect()
                }
                Some(members) => direct_blocks(members).iter().collect(),
                None => Vec::new(),
            },
        }
    }

    /// Whether the group has this address or this Pod as member.
    fn is_member(&self, name: &GroupName, address: Option<IpAddr>, pod: Option<&IndexedPod>) -> bool {
        let Some(group) = self.groups.get(name) else {
            return false;
        };
        match &group.members {
            GroupMembers::Groups(children) => {
                let mut children = self.children(children).into_iter();
                children.any(|child| self.is_direct_member(child, address, pod))
            }
            _ => self.is_direct_member(group, address, pod),
        }
    }

    /// The children of a group. One that has children itself makes the whole group one without members, for Antrea realises
    /// no group that is nested deeper than that (the condition `ChildGroupsNestingExceeded`).
    fn children(&self, names: &[GroupName]) -> Vec<&Group> {
        let children: Vec<&Group> = names.iter().filter_map(|name| self.groups.get(name)).collect();
        let is_parent = |child: &&Group| matches!(child.members, GroupMembers::Groups(_));
        if children.iter().any(is_parent) {
            return Vec::new();
        }
        children
    }

    fn is_direct_member(&self, group: &Group, address: Option<IpAddr>, pod: Option<&IndexedPod>) -> bool {
        match (&group.members, pod) {
            (GroupMembers::Addresses(blocks), _) => {
                address.is_some_and(|address| blocks.iter().any(|block| block.contains(address)))
            }
            (GroupMembers::Pods { namespaces, pods }, Some(pod)) => {
                is_in(namespaces.as_ref(), group.name.namespace.as_deref(), pod) && pods.selects(&pod.object().labels)
            }
            (GroupMembers::Service(service), Some(pod)) => {
                let selector = self.services.get(service).filter(|selector| !selector.is_empty());
                pod.object().name.namespace == service.namespace
                    && selector.is_some_and(|selector| {
                        let labels = &pod.object().labels;
                        selector.iter().all(|(key, value)| labels.get(key) == Some(value))
                    })
            }
            (GroupMembers::Groups(_) | GroupMembers::Pods { .. } | GroupMembers::Service(_), _) => false,
        }
    }
}

fn direct_blocks(members: &GroupMembers) -> &[IpBlock] {
    match members {
        GroupMembers::Addresses(blocks) => blocks,
        _ => &[],
    }
}

/// Whether the Pod runs as this ServiceAccount.
fn runs_as(account: &ObjectName, pod: &IndexedPod) -> bool {
    let pod = pod.object();
    pod.name.namespace == account.namespace && pod.service_account == account.name
}

/// Whether the Pod is in a namespace that the selector selects; without one, in this namespace.
fn is_in(selector: Option<&LabelSelector>, own: Option<&str>, pod: &IndexedPod) -> bool {
    match selector {
        Some(selector) => selector.selects(pod.namespace_labels()),
        None => own.is_some_and(|own| *pod.object().name.namespace == *own),
    }
}

fn is_in_peer_namespaces(
    namespaces: &PeerNamespaces,
    policy: &AntreaPolicy,
    subject: &IndexedPod,
    pod: &IndexedPod,
) -> bool {
    match namespaces {
        PeerNamespaces::Own => is_in(None, policy.name.namespace.as_deref(), pod),
        PeerNamespaces::Selected(selector) => is_in(Some(selector), None, pod),
        PeerNamespaces::OfSubject => pod.object().name.namespace == subject.object().name.namespace,
        PeerNamespaces::SameLabels(keys) => keys.iter().all(|key| {
            let value = subject.namespace_labels().get(key);
            value.is_some() && pod.namespace_labels().get(key) == value
        }),
    }
}
