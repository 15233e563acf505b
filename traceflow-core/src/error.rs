//! What keeps the tracer from answering, by whose turn it is.

use std::sync::Arc;

use crate::datapath::DatapathError;
use crate::names::NodeName;
use crate::trace::Unpredictable;

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
    /// For the whole time there were too many packets under way, all marks were in use, or another trace of the very same
    /// connection was. Ask again later.
    #[error("busy: {} in the queue when the time was over", ordinal(*position))]
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
    /// The trace was cancelled; what it had put in place is removed, as far as its nodes answer.
    #[error("the trace was cancelled")]
    Cancelled,
    /// The model can't tell the path in advance. Say more in the question, or trace instead of predicting.
    #[error("the path can't be predicted: {0}")]
    Unpredictable(#[from] Unpredictable),
    /// The tracer was closed.
    #[error("the tracer was closed")]
    Closed,
}

fn ordinal(position: usize) -> String {
    let suffix = match (position % 10, position % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{position}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_says_the_place_in_the_queue_as_people_do() {
        let places = [1, 2, 3, 4, 11, 12, 13, 21, 102, 111].map(ordinal).join(" ");
        assert_eq!(places, "1st 2nd 3rd 4th 11th 12th 13th 21st 102nd 111th");
        let busy = Error::Busy { position: 2 };
        assert_eq!(busy.to_string(), "busy: 2nd in the queue when the time was over");
    }
}
