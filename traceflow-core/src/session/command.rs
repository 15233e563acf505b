//! What the state machines want done on the nodes.

use std::fmt;
use std::sync::Arc;

use crate::datapath::{Probe, TraceId};
use crate::names::NodeName;
use crate::packet::Packet;

/// One call of a node's [`Datapath`](crate::datapath::Datapath).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// On which node.
    pub node: NodeName,
    /// What to do there.
    pub task: Task,
}

/// Which method to call, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Task {
    /// [`Datapath::attach`](crate::datapath::Datapath::attach).
    Attach,
    /// [`Datapath::install`](crate::datapath::Datapath::install).
    Install(Arc<Probe>),
    /// [`Datapath::inject`](crate::datapath::Datapath::inject).
    Inject(Arc<Probe>, Arc<Packet>),
    /// [`Datapath::remove`](crate::datapath::Datapath::remove).
    Remove(Arc<Probe>),
    /// [`Datapath::detach`](crate::datapath::Datapath::detach).
    Detach,
}

impl Task {
    /// The trace that it is done for; `None` where it is done for all of them.
    pub fn trace(&self) -> Option<TraceId> {
        match self {
            Self::Install(probe) | Self::Inject(probe, _) | Self::Remove(probe) => Some(probe.trace),
            Self::Attach | Self::Detach => None,
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Attach => "attach",
            Self::Install(_) => "install",
            Self::Inject(..) => "inject",
            Self::Remove(_) => "remove",
            Self::Detach => "detach",
        })
    }
}

/// A command to carry out, by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The number under which its result is handed in.
    pub id: OrderId,
    /// An earlier order that this one takes the place of: if it still runs, its future is dropped before this one
    /// starts. Its result isn't wanted any more.
    pub supersedes: Option<OrderId>,
    /// What to do.
    pub command: Command,
}

/// The number of an [`Order`], unique for the life of its [`Sessions`](super::Sessions).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderId(pub u64);
