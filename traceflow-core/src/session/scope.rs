//! Which nodes a trace watches.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::names::NodeName;

/// How many nodes a trace watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Watch {
    /// Those on the predicted path, the destination's, and those of a Service's endpoints, any of which may be chosen.
    /// Where there is no prediction, all of them, but for traffic from anywhere only the one where it arrives.
    #[default]
    Path,
    /// Every node that can.
    All,
}

/// The nodes of a trace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// Armed first.
    pub watched: Vec<Watched>,
    /// What the nodes can do for such a trace, one value for all traces of a kind: a trace costs the same however many nodes
    /// there are.
    pub reach: Arc<Reach>,
}

/// Which nodes can watch for traces of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach {
    /// They can, in the order of their names. Those that a trace doesn't watch at first are its reserve: armed too before it
    /// tries once more.
    pub within: Vec<Watched>,
    /// Their datapaths can't do it.
    pub beyond: BTreeSet<NodeName>,
}

/// A node to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// The node.
    pub node: NodeName,
    /// What stands there sees the packet; nothing has to be installed for it.
    pub standing: bool,
}
