//! The order in which rules are asked.

use std::cmp::Ordering;
use std::sync::Arc;

use super::{AntreaPolicy, AntreaRule};
use crate::policy::Direction;

/// A rule that applies to the Pod that keeps it, with its place in line.
#[derive(Debug, Clone)]
pub(in crate::policy) struct BoundRule {
    /// The priority of the policy's tier.
    pub(in crate::policy) tier: u8,
    /// Whether it is asked after the Kubernetes policies.
    pub(in crate::policy) baseline: bool,
    pub(in crate::policy) policy: Arc<AntreaPolicy>,
    /// The rule's place in the policy's `ingress` or `egress`, from 0.
    pub(in crate::policy) place: usize,
}

impl BoundRule {
    pub(in crate::policy) fn rule(&self, direction: Direction) -> &AntreaRule {
        &self.policy.rules(direction)[self.place]
    }

    /// Which of two rules is asked first.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        (self.tier, self.policy.priority)
            .cmp(&(other.tier, other.policy.priority))
            .then_with(|| name_key(&self.policy).cmp(&name_key(&other.policy)))
            .then(self.place.cmp(&other.place))
    }
}

/// By kind, namespace and name.
pub(super) fn name_key(policy: &AntreaPolicy) -> (&str, Option<&str>, &str) {
    let name = &policy.name;
    (name.kind.as_str(), name.namespace.as_deref(), &name.name)
}
