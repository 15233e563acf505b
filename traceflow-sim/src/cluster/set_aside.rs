//! Sets policies aside that Antrea may refuse to realise.

use std::collections::HashMap;

use traceflow_core::names::ObjectName;

use crate::objects::{ANTREA_API_VERSION, Objects, Unmodelled};
use crate::policy::antrea::{AntreaPolicy, AppliedTo, Group, GroupMembers, GroupName};

/// A NetworkPolicy can be applied to Pods of its own namespace only. Where a `Group` that it applies to may have others,
/// Antrea's documentation forbids it, and what Antrea does depends on the members: with one from elsewhere the whole policy
/// is not realised (`NetworkPolicyAppliedToUnsupportedGroup`). Such a policy is listed as not modelled.
pub(super) fn set_aside(objects: &mut Objects) {
    let groups = objects.groups.iter().map(|group| (&group.object.name, &group.object));
    let groups: HashMap<&GroupName, &Group> = groups.collect();
    let mut listed = Vec::new();
    objects.antrea_policies.retain(|policy| {
        let beyond = beyond_namespace(&policy.object, &groups);
        let keep = beyond.is_none();
        listed.extend(beyond);
        keep
    });
    objects.unmodelled.extend(listed);
}

fn beyond_namespace(policy: &AntreaPolicy, groups: &HashMap<&GroupName, &Group>) -> Option<Unmodelled> {
    let namespace = policy.name.namespace.as_ref()?;
    let (path, _) = applied_to(policy).find(|(_, subject)| match subject {
        AppliedTo::Group(name) => groups.get(name).is_some_and(|group| reaches_out(group, groups)),
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
fn reaches_out(group: &Group, groups: &HashMap<&GroupName, &Group>) -> bool {
    let directly = |group: &Group| match &group.members {
        GroupMembers::Pods { namespaces, .. } => namespaces.is_some(),
        GroupMembers::Service(service) => group.name.namespace.as_ref() != Some(&service.namespace),
        GroupMembers::Addresses(_) | GroupMembers::Groups(_) => false,
    };
    match &group.members {
        GroupMembers::Groups(children) => children
            .iter()
            .any(|child| groups.get(child).is_some_and(|child| directly(child))),
        _ => directly(group),
    }
}
