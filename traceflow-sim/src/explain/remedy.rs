//! The smallest change of policies that lets a packet through at one point.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use traceflow_core::observation::{PolicyKind, PolicyRef};
use traceflow_core::packet::IpFamily;

use super::opening::{End, Grouped, Opening, at_addresses, passes_other_end};
use super::{antrea, end_at, json, kubernetes};
use crate::cluster::Cluster;
use crate::model::Pod;
use crate::policy::antrea::AntreaPolicy;
use crate::policy::{Access, Decision, Direction, NetworkPolicy, Peer, PolicyIndex};

/// A change that lets exactly the packet through that was asked about, as far as a rule can say that, tried in the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// What to do.
    pub change: Change,
    /// The traffic that was asked about: `TCP port 80`.
    pub traffic: Arc<str>,
    /// Whether the rule is about every port and protocol: a Kubernetes rule can't be about one that has no ports.
    pub is_about_everything: bool,
    /// Who else could then open such a connection, once all changes of the explanation are made.
    pub opens: Vec<Opening>,
    /// Whom this change lets pass too, and whom policies of the other end keep apart even so.
    pub still_blocked: Vec<Opening>,
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
        let traffic = &self.traffic;
        match (self.opens.len(), self.opens_is_complete) {
            (0, true) => write!(f, "     that opens nothing else to {traffic}")?,
            (0, false) => write!(f, "     the rule selects too many Pods to say what else it opens")?,
            (_, complete) => {
                let (count, grouped) = (pairs(self.opens.len()), Grouped(&self.opens));
                let more = if complete { "" } else { ", and perhaps others" };
                write!(f, "     that also opens {count} to {traffic}: {grouped}{more}")?;
            }
        }
        match self.still_blocked.len() {
            0 => writeln!(f),
            more => writeln!(f, "; {} more could pass here, but not at the other end", pairs(more)),
        }
    }
}

/// `1 pair`, `2 pairs`.
fn pairs(count: usize) -> String {
    format!("{count} pair{}", if count == 1 { "" } else { "s" })
}

/// A remedy, and the policy that is new or different then.
pub(super) struct Candidate {
    pub(super) remedy: Remedy,
    pub(super) policy: Changed,
}

/// A policy as it is after a change.
pub(super) enum Changed {
    Kubernetes(NetworkPolicy),
    Antrea(AntreaPolicy),
}

impl Changed {
    pub(super) fn put_into(self, policies: &mut PolicyIndex) {
        match self {
            Self::Kubernetes(policy) => policies.insert_policy(policy),
            Self::Antrea(policy) => policies.insert_antrea_policy(policy),
        }
    }
}

impl Remedy {
    /// Keeps apart what the other end's policies still block, when all changes are made.
    pub(super) fn look_at_other_ends(&mut self, access: &Access, with_all_changes: &PolicyIndex) {
        let opens = std::mem::take(&mut self.opens).into_iter();
        (self.opens, self.still_blocked) =
            opens.partition(|opening| passes_other_end(with_all_changes, access, opening));
    }
}

/// Of the changes that let the packet through the one that opens least at this point.
pub(super) fn smallest(cluster: &Cluster, policies: &PolicyIndex, access: &Access) -> Option<Candidate> {
    let mut candidates = match &policies.decide(access) {
        Decision::Isolated { policies: isolating } => kubernetes::candidates(cluster, policies, access, isolating),
        Decision::Denied { policy, rule, .. } => antrea::candidates(cluster, policies, access, policy, *rule),
        _ => Vec::new(),
    };
    // The first of equals: a rule in a policy that is there before a policy more.
    candidates.sort_by_key(|Candidate { remedy, .. }| (!remedy.opens_is_complete, remedy.opens.len()));
    candidates.into_iter().next()
}

pub(super) fn peer(cluster: &Cluster, access: &Access) -> End {
    match access.peer {
        Peer::Address(address) | Peer::ItselfByService(address) => end_at(cluster, address),
        Peer::OwnNode(address) => End::Address(address),
    }
}

/// Those whom the rule selects, or else the address that it names.
pub(super) fn peers(cluster: &Cluster, access: &Access, selected: &[&Pod]) -> Vec<(End, IpAddr)> {
    let address = access.peer.address();
    match selected.is_empty() {
        true => vec![(end_at(cluster, address), address)],
        false => at_addresses(selected, IpFamily::of(address)),
    }
}
