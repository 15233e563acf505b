//! `status.verdict` of a Traceflow: ours, for programs that need not guess from the observations how a path ended.

use serde::Serialize;

use super::status::{ObservationStatus, text};
use crate::names::NodeName;
use crate::observation::DropReason;
use crate::trace::{Silence, Verdict};

/// How the path ended (`status.verdict`, ours).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerdictStatus {
    /// `Delivered`, `Dropped`, `Rejected`, `LeftNetwork`, `NoneDropped` or `Unanswered`.
    pub outcome: &'static str,
    /// The node where it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Why it was dropped or rejected, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The policies that dropped or rejected it, or that isolate the Pod.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    /// How many matching packets came in, if none was seen to be dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed: Option<u64>,
    /// The last thing that was seen of a packet that was not seen to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<LastSeen>,
    /// The node that should have reported next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_next: Option<String>,
    /// The likely causes of the silence, the likeliest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// Nodes of the cluster that were not watched.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_watched: Vec<String>,
}

/// The last thing that was seen (`status.verdict.lastSeen`, ours).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastSeen {
    /// Where.
    pub node: String,
    /// What.
    #[serde(flatten)]
    pub observation: ObservationStatus,
}

impl VerdictStatus {
    pub(super) fn new(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Delivered { node } => Self::at("Delivered", node),
            Verdict::Dropped { node, reason } => Self::at("Dropped", node).because(reason.as_ref()),
            Verdict::Rejected { node, reason } => Self::at("Rejected", node).because(reason.as_ref()),
            Verdict::LeftNetwork { node } => Self::at("LeftNetwork", node),
            Verdict::NoneDropped { passed } => Self {
                outcome: "NoneDropped",
                passed: Some(*passed),
                ..Self::default()
            },
            Verdict::Unanswered(silence) => Self::unanswered(silence),
        }
    }

    fn at(outcome: &'static str, node: &NodeName) -> Self {
        Self {
            outcome,
            node: Some(node.to_string()),
            ..Self::default()
        }
    }

    fn because(mut self, reason: Option<&DropReason>) -> Self {
        self.reason = reason.map(ToString::to_string);
        self.policies = match reason {
            Some(DropReason::PolicyRule { policy, .. }) => vec![policy.to_string()],
            Some(DropReason::DefaultIsolation { policies }) => policies.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        };
        self
    }

    fn unanswered(silence: &Silence) -> Self {
        Self {
            outcome: "Unanswered",
            last_seen: silence.last_seen.as_ref().map(|(node, seen)| LastSeen {
                node: node.to_string(),
                observation: seen.into(),
            }),
            expected_next: text(&silence.expected_next),
            causes: silence.causes.iter().map(ToString::to_string).collect(),
            not_watched: silence.not_watched.iter().map(ToString::to_string).collect(),
            ..Self::default()
        }
    }
}
