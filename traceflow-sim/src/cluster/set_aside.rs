//! Sets policies aside that Antrea may refuse to realise.

use std::collections::HashMap;

use traceflow_core::names::ObjectName;

use super::Cluster;
use crate::objects::{ANTREA_API_VERSION, Objects, Unmodelled};
use crate::policy::antrea::{AntreaPolicy, AppliedTo, Group, GroupMembers, GroupName};

/// A NetworkPolicy can be applied to Pods of its own namespace only. Where a `Group` that it applies to may have others,
/// Antrea's documentation forbids it, and what Antrea does depends on the members: with one from elsewhere the whole policy
/// is not realised (`NetworkPolicyAppliedToUnsupportedGroup`). Such a policy is listed as not modelled.
pub(super) fn set_aside(objects: &mut Objects) -> Vec<SetAside> {
    let groups = objects.groups.iter().map(|group| (&group.object.name, &group.object));
    let groups: HashMap<&GroupName, &Group> = groups.collect();
    let mut aside = Vec::new();
    objects.antrea_policies.retain(|policy| {
        let beyond = beyond_namespace(&policy.object, |name| groups.get(name).copied());
        let keep = beyond.is_none();
        aside.extend(beyond.map(|unmodelled| SetAside {
            unmodelled,
            policy: policy.object.clone(),
        }));
        keep
    });
    aside
}

/// A policy that was set aside, and how it is listed.
#[derive(Debug)]
pub(super) struct SetAside {
    pub(super) unmodelled: Unmodelled,
    pub(super) policy: AntreaPolicy,
}

impl Cluster {
    /// Lists as unmodelled those policies that are set aside now, behind the objects that were read as such.
    pub(super) fn list_set_aside(&mut self) {
        self.set_aside
            .sort_by(|one, other| one.unmodelled.cmp(&other.unmodelled));
        self.unmodelled.truncate(self.read_as_unmodelled);
        let listed = self.set_aside.iter().map(|aside| aside.unmodelled.clone());
        self.unmodelled.extend(listed);
    }
}

/// How a policy is listed that is to be set aside.
pub(super) fn beyond_namespace<'a>(
    policy: &AntreaPolicy,
    group: impl Fn(&GroupName) -> Option<&'a Group>,
) -> Option<Unmodelled> {
    let namespace = policy.name.namespace.as_ref()?;
    let (path, _) = applied_to(policy).find(|(_, subject)| match subject {
        AppliedTo::Group(name) => group(name).is_some_and(|found| reaches_out(found, &group)),
        AppliedTo::Pods { .. } | AppliedTo::ServiceAccount(_) => false,
    })?;
    Some(Unmodelled {
        api_version: ANTREA_API_VERSION.into(),
        kind: "NetworkPolicy".into(),
        name: Some(ObjectName::new(namespace.clone(), policy.name.name.clone())),
        field: Some(format!("{path}.group").into()),
    })
}

/// Whom the policy and its rules apply to, with the places where they say so.
fn applied_to(policy: &AntreaPolicy) -> impl Iterator<Item = (String, &AppliedTo)> {
    let numbered = |path: String, subjects: &'_ [AppliedTo]| {
        let places = (0..subjects.len()).map(move |place| format!("{path}.appliedTo[{place}]"));
        places.collect::<Vec<_>>()
    };
    let rules = [("ingress", &policy.ingress), ("egress", &policy.egress)];
    let of_rules = rules.into_iter().flat_map(move |(word, rules)| {
        rules.iter().enumerate().flat_map(move |(place, rule)| {
            numbered(format!("spec.{word}[{place}]"), &rule.applied_to)
                .into_iter()
                .zip(&rule.applied_to)
        })
    });
    numbered("spec".to_owned(), &policy.applied_to)
        .into_iter()
        .zip(&policy.applied_to)
        .chain(of_rules)
}

/// Whether the group selects by namespaces, or refers to a Service of another one; itself or one of its children.
fn reaches_out<'a>(group: &Group, named: impl Fn(&GroupName) -> Option<&'a Group>) -> bool {
    let directly = |group: &Group| match &group.members {
        GroupMembers::Pods { namespaces, .. } => namespaces.is_some(),
        GroupMembers::Service(service) => group.name.namespace.as_ref() != Some(&service.namespace),
        GroupMembers::Addresses(_) | GroupMembers::Groups(_) => false,
    };
    match &group.members {
        GroupMembers::Groups(children) => children.iter().any(|child| named(child).is_some_and(directly)),
        _ => directly(group),
    }
}
