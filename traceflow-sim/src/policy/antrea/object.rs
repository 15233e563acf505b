//! The policies themselves, with their defaults filled in.

use std::cmp::Ordering;
use std::ops::RangeInclusive;
use std::sync::Arc;

use traceflow_core::names::ObjectName;
use traceflow_core::observation::PolicyRef;
use traceflow_core::packet::Protocol;

use super::GroupName;
use crate::model::ContainerPort;
use crate::policy::{Access, Direction, IpBlock, LabelSelector, PolicyPort};

/// A `ClusterNetworkPolicy` or `NetworkPolicy` of `crd.antrea.io/v1beta1`; the kind is in its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AntreaPolicy {
    /// Its kind, and its namespace and name.
    pub name: PolicyRef,
    /// `spec.tier`.
    pub tier: Arc<str>,
    /// `spec.priority`.
    pub priority: Priority,
    /// `spec.appliedTo`; empty if its rules say themselves whom they apply to.
    pub applied_to: Vec<AppliedTo>,
    /// `spec.ingress`, in the order in which they are asked.
    pub ingress: Vec<AntreaRule>,
    /// `spec.egress`, in the order in which they are asked.
    pub egress: Vec<AntreaRule>,
}

impl AntreaPolicy {
    /// The rules of one direction.
    pub fn rules(&self, direction: Direction) -> &[AntreaRule] {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }

    /// Whom a rule of this policy applies to.
    pub fn subjects_of<'a>(&'a self, rule: &'a AntreaRule) -> &'a [AppliedTo] {
        if rule.applied_to.is_empty() {
            &self.applied_to
        } else {
            &rule.applied_to
        }
    }
}

/// The place of a policy in its tier: a number from 1 to 10000, not always a whole one. Lower is asked first.
///
/// ```
/// use traceflow_sim::policy::antrea::Priority;
///
/// assert!(Priority::new(1.5) < Priority::new(2.0));
/// assert_eq!(Priority::new(0.5), None);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Priority(f64);

impl Priority {
    /// This priority; `None` if it is out of range.
    pub fn new(value: f64) -> Option<Self> {
        (1.0..=10_000.0).contains(&value).then_some(Self(value))
    }

    /// The number.
    pub fn value(self) -> f64 {
        self.0
    }
}

impl PartialEq for Priority {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Priority {}

impl PartialOrd for Priority {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Priority {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// One entry of `ingress` or `egress`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AntreaRule {
    /// `name`. Antrea gives one to every rule without; a manifest that never was in a cluster may have none.
    pub name: Option<Arc<str>>,
    /// `action`.
    pub action: RuleAction,
    /// `from` or `to`; empty is everybody.
    pub peers: Vec<AntreaPeer>,
    /// `ports` and `protocols`; empty is every port and protocol.
    pub traffic: Vec<RuleTraffic>,
    /// `appliedTo`; empty if the policy says it.
    pub applied_to: Vec<AppliedTo>,
}

/// What a rule does with what it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RuleAction {
    /// Lets it through, whatever comes after.
    Allow,
    /// Drops it without a word.
    Drop,
    /// Drops it and tells the sender: with a reset for TCP, else an ICMP error.
    Reject,
    /// Leaves it to the Kubernetes policies.
    Pass,
}

/// Whom a policy or rule applies to; several entries add up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AppliedTo {
    /// Pods by their labels and their namespace's.
    Pods {
        /// `None` is the policy's own namespace; a `ClusterNetworkPolicy` without selector has all.
        namespaces: Option<LabelSelector>,
        /// All Pods where it is not given.
        pods: LabelSelector,
    },
    /// The Pods of a group. For a `NetworkPolicy` they must be of its own namespace; a cluster lists one whose group may have
    /// others as [not modelled](crate::Unmodelled).
    Group(GroupName),
    /// `serviceAccount`: the Pods that run as this ServiceAccount; for a `ClusterNetworkPolicy` only.
    ServiceAccount(ObjectName),
}

/// The other end of a connection; several entries of `from` or `to` add up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AntreaPeer {
    /// Pods by their labels and their namespace's.
    Pods {
        /// In which namespaces.
        namespaces: PeerNamespaces,
        /// All Pods where it is not given.
        pods: LabelSelector,
    },
    /// The members of a group.
    Group(GroupName),
    /// `serviceAccount`: the Pods that run as this ServiceAccount; for a `ClusterNetworkPolicy` only.
    ServiceAccount(ObjectName),
    /// Addresses.
    IpBlock(IpBlock),
}

/// The namespaces of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerNamespaces {
    /// The policy's own: neither `namespaceSelector` nor `namespaces` in a namespaced policy.
    Own,
    /// `namespaceSelector`; all for a `ClusterNetworkPolicy` that gives neither.
    Selected(LabelSelector),
    /// `namespaces: {match: Self}`: that of the Pod that the rule is applied to.
    OfSubject,
    /// `namespaces: {sameLabels: [...]}`: those that have these labels with the values that the namespace of the Pod
    /// has that the rule is applied to; none if that lacks one.
    SameLabels(Vec<Arc<str>>),
}

/// One entry of `ports` or `protocols`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleTraffic {
    /// Ports of TCP, UDP or SCTP.
    Ports {
        /// `protocol`, `port`, `endPort`: to which port.
        to: PolicyPort,
        /// `sourcePort` to `sourceEndPort`: from which port; `None` is any.
        from: Option<RangeInclusive<u16>>,
    },
    /// ICMP, to IPv6 Pods ICMPv6.
    Icmp {
        /// `icmpType`; `None` is any.
        icmp_type: Option<u8>,
        /// `icmpCode`; `None` is any.
        code: Option<u8>,
    },
}

impl RuleTraffic {
    /// Whether a packet is such traffic, where the destination Pod declares the ports `declared`.
    pub fn covers(&self, access: &Access, declared: &[ContainerPort]) -> bool {
        match self {
            Self::Ports { to, from } => {
                to.opens(access.protocol, access.destination_port, declared)
                    && from
                        .as_ref()
                        .is_none_or(|from| access.source_port.is_some_and(|port| from.contains(&port)))
            }
            Self::Icmp { icmp_type, code } => {
                let fits = |wanted: &Option<u8>, found: Option<u8>| wanted.is_none() || *wanted == found;
                matches!(access.protocol, Protocol::ICMP | Protocol::ICMPV6)
                    && fits(icmp_type, access.icmp.map(|(found, _)| found))
                    && fits(code, access.icmp.map(|(_, found)| found))
            }
        }
    }
}
