//! What a trace says of itself while it runs.

use std::fmt;

use crate::names::NodeName;

/// Something that happened to a trace on its way to the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// As many packets are under way as the nodes can report, all marks are in use, or another trace of the very same
    /// connection runs: it waits for its turn. The trace's own time starts after the queue.
    Queued {
        /// Its place, counted from 1.
        position: usize,
    },
    /// Every node that could confirm has confirmed: the next matching packet is seen. For live traces only.
    Armed {
        /// The nodes that watch, sorted.
        nodes: Vec<NodeName>,
    },
    /// A packet was let in.
    Injected {
        /// Where.
        node: NodeName,
        /// Which packet it is, counted from 1.
        attempt: u8,
    },
    /// The packet was seen on this node for the first time.
    Seen {
        /// The node.
        node: NodeName,
    },
    /// Silence, or a path with gaps; the next packet, with another nonce, is on its way.
    Retrying {
        /// Which packet that will be, counted from 1.
        attempt: u8,
    },
    /// The answer is known; what was put in place is being removed.
    CleaningUp,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queued { position } => write!(f, "queued at place {position}"),
            Self::Armed { nodes } => {
                f.write_str("armed on ")?;
                for (number, node) in nodes.iter().enumerate() {
                    write!(f, "{}{node}", if number == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
            Self::Injected { node, attempt } => write!(f, "injected packet {attempt} on {node}"),
            Self::Seen { node } => write!(f, "seen on {node}"),
            Self::Retrying { attempt } => write!(f, "trying again with packet {attempt}"),
            Self::CleaningUp => f.write_str("cleaning up"),
        }
    }
}
