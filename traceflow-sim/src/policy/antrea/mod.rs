//! Antrea's own policies (`crd.antrea.io/v1beta1`): ClusterNetworkPolicy, NetworkPolicy, Tier, ClusterGroup and Group.
//!
//! Unlike Kubernetes' NetworkPolicies, whose rules only add up, these are asked in an order, and the first rule that
//! matches decides:
//!
//! 1. policies of lower tier priority first, within a tier those of lower `priority`, within a policy its rules as they
//!    stand. Antrea leaves open what goes first where tier and priority are the same; here it is the policy that comes
//!    first by kind, namespace and name.
//! 2. `Allow`, `Drop` and `Reject` end the search. `Pass` skips the other rules up to the Kubernetes policies; where nothing
//!    decides after it, it is the rule that is named as having let the packet on.
//! 3. Where no rule decided, the Kubernetes policies do, if any isolates the Pod.
//! 4. Only what they leave open, a Pod that none of them isolates, is asked of the policies in the tier `baseline`.
//!
//! Of the fields that Antrea knows those are modelled that are about Pods and addresses. A policy that uses another one,
//! such as `fqdn`, is not applied at all and is listed with that field among what is
//! [not modelled](crate::Unmodelled): half a policy would be a guess.

mod group;
mod object;
mod order;
mod read;
mod store;
mod tier;

pub use group::{Group, GroupMembers, GroupName};
pub use object::{AntreaPeer, AntreaPolicy, AntreaRule, AppliedTo, PeerNamespaces, Priority, RuleAction, RuleTraffic};
pub(super) use order::BoundRule;
pub(crate) use read::{Beyond, read_selector};
pub(super) use store::{AntreaStore, Candidate};
pub use tier::{BASELINE_TIER, DEFAULT_TIER, Tier, TierPriorities};

/// An object that was read: as what is modelled of it, or the path of its first field that isn't.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reading<T> {
    /// All of it is modelled.
    Modelled(T),
    /// It says something that isn't, in this field.
    Beyond(std::sync::Arc<str>),
}
