//! `status.receipt` of a Traceflow: ours, for programs that have to be sure that a trace left nothing behind.

use std::net::IpAddr;

use serde::Serialize;

use crate::receipt::{Change, Changed, Fate, NodeReceipt, Receipt, seconds};

/// What the trace changed on the nodes, and what became of it (`status.receipt`, ours).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceiptStatus {
    /// Whether every node is known to be as it was before.
    pub clean: bool,
    /// The nodes that were told anything of the trace, by name.
    pub nodes: Vec<NodeReceiptStatus>,
}

/// What the trace changed on one node (`status.receipt.nodes[]`, ours).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeReceiptStatus {
    /// The node's name.
    pub node: String,
    /// The changes, as far as the node told of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<ChangeStatus>,
    /// Why nobody knows whether the node is as it was before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unconfirmed: Option<String>,
}

/// One change (`status.receipt.nodes[].changes[]`, ours).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeStatus {
    /// `Flows`, `Meters`, `Connection`, `Affinity`, or a phrase of the backend's own.
    pub what: String,
    /// How many flows or meters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// The packet as the connection tracking entry has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tuple: Option<String>,
    /// The connection tracking zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<u16>,
    /// The client that had no session affinity before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<IpAddr>,
    /// The endpoint of the session affinity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<IpAddr>,
    /// `Undone` or `Expires`.
    pub fate: &'static str,
    /// At the latest so many seconds after the trace it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within_seconds: Option<u64>,
    /// Why it could not be undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl ReceiptStatus {
    pub(super) fn of(receipt: &Receipt) -> Option<Self> {
        let touched = !receipt.nodes.is_empty();
        touched.then(|| Self {
            clean: receipt.is_clean(),
            nodes: receipt.nodes.iter().map(NodeReceiptStatus::from).collect(),
        })
    }
}

impl From<&NodeReceipt> for NodeReceiptStatus {
    fn from(receipt: &NodeReceipt) -> Self {
        Self {
            node: receipt.node.to_string(),
            changes: receipt.changes.iter().map(ChangeStatus::from).collect(),
            unconfirmed: receipt.unconfirmed.as_ref().map(ToString::to_string),
        }
    }
}

impl From<&Change> for ChangeStatus {
    fn from(Change { what, fate }: &Change) -> Self {
        let mut status = changed(what);
        match fate {
            Fate::Undone => status.fate = "Undone",
            Fate::Expires { within, why } => {
                status.fate = "Expires";
                status.within_seconds = Some(seconds(*within));
                status.why = Some(why.to_string());
            }
        }
        status
    }
}

fn changed(what: &Changed) -> ChangeStatus {
    let named = |what: &str| ChangeStatus {
        what: what.to_owned(),
        ..ChangeStatus::default()
    };
    match what {
        Changed::Flows { count } => ChangeStatus {
            count: Some(*count),
            ..named("Flows")
        },
        Changed::Meters { count } => ChangeStatus {
            count: Some(*count),
            ..named("Meters")
        },
        Changed::Connection { tuple, zone } => ChangeStatus {
            tuple: Some(tuple.to_string()),
            zone: *zone,
            ..named("Connection")
        },
        Changed::Affinity { client, endpoint } => ChangeStatus {
            client: Some(*client),
            endpoint: Some(*endpoint),
            ..named("Affinity")
        },
        Changed::Other(words) => named(words),
    }
}
