//! What keeps the tracer from answering, by whose turn it is.

use std::sync::Arc;

use crate::datapath::DatapathError;
use crate::names::NodeName;

/// Why a trace has no answer. A packet that was dropped is an answer, not an error.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The backend can't do what the trace needs; nothing was touched. Ask for something else.
    #[error("node {node} can't {what}")]
    Unsupported {
        /// The node whose datapath can't.
        node: NodeName,
        /// What it can't do, as a verb phrase: `follow real traffic`.
        what: Arc<str>,
    },
    /// All marks were in use for the whole time. Ask again later.
    #[error("busy: {position} in the queue when the time was over")]
    Busy {
        /// 1-based place in the queue when the time ran out.
        position: usize,
    },
    /// The source's node has no datapath here, or it can't be reached. Look at the node.
    #[error("node {node} is unavailable")]
    Unavailable {
        /// The node.
        node: NodeName,
        /// What its datapath said.
        #[source]
        source: DatapathError,
    },
    /// The tracer was closed.
    #[error("the tracer was closed")]
    Closed,
}
