//! The receipt of a trace: what it changed on the nodes, and what became of each change.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::names::NodeName;

/// What a trace changed, node by node: those that were told anything of it, by name.
///
/// ```
/// use traceflow_core::receipt::{Change, Changed, Fate, NodeReceipt, Receipt};
///
/// let flows = Change { what: Changed::Flows { count: 2 }, fate: Fate::Undone };
/// let one = NodeReceipt { changes: vec![flows], ..NodeReceipt::new("n1") };
/// let receipt = Receipt { nodes: vec![one, NodeReceipt::new("n2")] };
/// assert!(receipt.is_clean());
/// assert_eq!(receipt.to_string(), "all undone: n1: 2 flows");
/// assert_eq!(Receipt::default().to_string(), "nothing was touched");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Receipt {
    /// One for each node.
    pub nodes: Vec<NodeReceipt>,
}

/// What a trace changed on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeReceipt {
    /// The node.
    pub node: NodeName,
    /// The changes, as far as the datapath told of them.
    pub changes: Vec<Change>,
    /// Why nobody knows whether the node is as it was before; `None` if it is known.
    pub unconfirmed: Option<Unconfirmed>,
}

/// Why it isn't known whether a node is as it was before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unconfirmed {
    /// What the node said, or that it said nothing, when it was told to remove the trace.
    pub error: Arc<str>,
    /// What is left goes by itself, at the latest so long after the trace.
    pub within: Duration,
}

/// One thing that a trace changed on a node, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What.
    pub what: Changed,
    /// What became of it.
    pub fate: Fate,
}

/// What a trace can change on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Changed {
    /// Flows that were put in for this trace alone; what stands as long as tracing is on is none of them.
    Flows {
        /// How many.
        count: u64,
    },
    /// Meters that were put in for this trace alone.
    Meters {
        /// How many.
        count: u64,
    },
    /// A connection tracking entry that an injected packet began, or can have begun where the datapath can't look.
    Connection {
        /// The packet as the entry has it, as `TCP 10.0.0.1:40000 -> 10.0.0.2:80`.
        tuple: Arc<str>,
        /// The zone, where there are several.
        zone: Option<u16>,
    },
    /// The session affinity of a client to a Service's endpoint, begun by an injected packet. One that was there before is no
    /// change and stays.
    Affinity {
        /// The client.
        client: IpAddr,
        /// The endpoint.
        endpoint: IpAddr,
    },
    /// Anything else, as a phrase.
    Other(Arc<str>),
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It is undone.
    Undone,
    /// It could not be undone, and goes by itself.
    Expires {
        /// At the latest so long after the trace.
        within: Duration,
        /// Why it could not be undone, as a phrase.
        why: Arc<str>,
    },
}

impl Receipt {
    /// Whether every node is known to be as it was before.
    pub fn is_clean(&self) -> bool {
        self.nodes.iter().all(NodeReceipt::is_clean)
    }
}

impl NodeReceipt {
    /// Nothing was changed on this node.
    pub fn new(node: impl Into<NodeName>) -> Self {
        Self {
            node: node.into(),
            changes: Vec::new(),
            unconfirmed: None,
        }
    }

    /// Whether the node is known to be as it was before.
    pub fn is_clean(&self) -> bool {
        self.unconfirmed.is_none() && self.changes.iter().all(|change| change.fate == Fate::Undone)
    }

    fn said(&self) -> bool {
        self.unconfirmed.is_some() || !self.changes.is_empty()
    }
}

/// In one line: what is wrong first, if anything is.
impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nodes.is_empty() {
            return f.write_str("nothing was touched");
        }
        let mut said = self.nodes.iter().filter(|node| node.said()).peekable();
        if said.peek().is_none() {
            return f.write_str("nothing was changed");
        }
        let clean = self.is_clean();
        let nodes = said.map(|node| format!("{}: {}", node.node, node.summary(clean)));
        let nodes: Vec<String> = nodes.collect();
        let heading = if clean { "all undone" } else { "NOT ALL UNDONE" };
        write!(f, "{heading}: {}", nodes.join("; "))
    }
}

impl NodeReceipt {
    /// What was undone is counted, what was not is named; where that `is_all` that there is to say, the heading says it.
    fn summary(&self, is_all: bool) -> String {
        let (mut flows, mut meters, mut connections, mut affinities) = (0, 0, 0, 0);
        let (mut others, mut left) = (Vec::new(), Vec::new());
        for Change { what, fate } in &self.changes {
            match (fate, what) {
                (Fate::Undone, Changed::Flows { count }) => flows += count,
                (Fate::Undone, Changed::Meters { count }) => meters += count,
                (Fate::Undone, Changed::Connection { .. }) => connections += 1,
                (Fate::Undone, Changed::Affinity { .. }) => affinities += 1,
                (Fate::Undone, Changed::Other(words)) => others.push(words.to_string()),
                (Fate::Expires { .. }, _) => left.push(format!("{what} {fate}")),
            }
        }
        let counted = [
            (flows, "flow", "flows"),
            (meters, "meter", "meters"),
            (connections, "connection tracking entry", "connection tracking entries"),
            (affinities, "session affinity", "session affinities"),
        ];
        let counted = counted.into_iter().filter(|&(count, ..)| count > 0);
        let mut undone: Vec<String> = counted.map(|(count, one, many)| number(count, one, many)).collect();
        undone.extend(others);
        if is_all {
            return undone.join(", ");
        }
        let undone = (!undone.is_empty()).then(|| format!("{} undone", undone.join(", ")));
        let unconfirmed = self.unconfirmed.iter().map(ToString::to_string);
        let parts: Vec<String> = undone.into_iter().chain(left).chain(unconfirmed).collect();
        parts.join(", ")
    }
}

fn number(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flows { count } => f.write_str(&number(*count, "flow", "flows")),
            Self::Meters { count } => f.write_str(&number(*count, "meter", "meters")),
            Self::Connection { tuple, zone: None } => write!(f, "connection tracking entry {tuple}"),
            Self::Connection {
                tuple,
                zone: Some(zone),
            } => {
                write!(f, "connection tracking entry {tuple} in zone {zone}")
            }
            Self::Affinity { client, endpoint } => write!(f, "session affinity of {client} to {endpoint}"),
            Self::Other(words) => f.write_str(words),
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undone => f.write_str("undone"),
            Self::Expires { within, why } => {
                write!(f, "goes by itself within {} s, as {why}", seconds(*within))
            }
        }
    }
}

impl fmt::Display for Unconfirmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { error, within } = self;
        write!(
            f,
            "could not be cleaned up: {error}; what is left goes by itself within {} s",
            seconds(*within)
        )
    }
}

/// Rounded up, so that the time is no promise too much.
pub(crate) fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(what: Changed) -> Change {
        let fate = Fate::Undone;
        Change { what, fate }
    }

    fn connection(zone: u16) -> Changed {
        Changed::Connection {
            tuple: "UDP 10.0.0.1:1 -> 10.0.0.2:53".into(),
            zone: Some(zone),
        }
    }

    #[test]
    fn what_was_undone_is_counted_and_what_was_not_is_named() {
        let expiring = Change {
            what: connection(3),
            fate: Fate::Expires {
                within: Duration::from_millis(59_001),
                why: "the switch would abort".into(),
            },
        };
        let lost = Unconfirmed {
            error: "the datapath is unavailable: no answer within 3 s".into(),
            within: Duration::from_secs(80),
        };
        let mut receipt = Receipt {
            nodes: vec![
                NodeReceipt {
                    changes: vec![
                        change(connection(1)),
                        change(connection(2)),
                        change(Changed::Meters { count: 1 }),
                    ],
                    ..NodeReceipt::new("n1")
                },
                NodeReceipt::new("n2"),
            ],
        };
        assert_eq!(
            receipt.to_string(),
            "all undone: n1: 1 meter, 2 connection tracking entries"
        );
        receipt.nodes[0].changes.push(expiring);
        receipt.nodes[1].unconfirmed = Some(lost);
        assert!(!receipt.is_clean());
        assert_eq!(
            receipt.to_string(),
            "NOT ALL UNDONE: n1: 1 meter, 2 connection tracking entries undone, connection tracking entry UDP 10.0.0.1:1 -> \
             10.0.0.2:53 in zone 3 goes by itself within 60 s, as the switch would abort; n2: could not be cleaned up: the \
             datapath is unavailable: no answer within 3 s; what is left goes by itself within 80 s"
        );
    }

    #[test]
    fn a_node_that_was_told_and_changed_nothing_says_so() {
        let receipt = Receipt {
            nodes: vec![NodeReceipt::new("n1")],
        };
        assert_eq!(receipt.to_string(), "nothing was changed");
    }
}
