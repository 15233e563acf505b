//! Which nodes a trace watches.

use std::collections::BTreeSet;

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
    /// Armed too before an injected trace tries once more.
    pub reserve: Vec<Watched>,
    /// Never armed: they have no datapath here, or theirs can't do it.
    pub out_of_reach: BTreeSet<NodeName>,
}

/// A node to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// The node.
    pub node: NodeName,
    /// What stands there sees the packet; nothing has to be installed for it.
    pub standing: bool,
}
