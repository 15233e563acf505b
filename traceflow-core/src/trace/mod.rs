//! The answer: the packet's path, how it ended, and what is missing.

pub(crate) mod finding;
pub(crate) mod path;
pub(crate) mod silence;
pub(crate) mod unseen;
pub(crate) mod verdict;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use crate::names::NodeName;
use crate::observation::{DropReason, Observation};
use crate::packet::CapturedPacket;
use crate::plan::Plan;
use crate::receipt::Receipt;

pub use finding::Finding;

/// What the network did with the packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// What was asked, with everything that was filled in.
    pub plan: Arc<Plan>,
    /// How the answer was found.
    pub mode: Mode,
    /// The path, node by node.
    pub hops: Vec<Hop>,
    /// How it ended.
    pub verdict: Verdict,
    /// The packet that a live trace caught.
    pub captured: Option<CapturedPacket>,
    /// Whether the packet was of a connection that began before it, so that policies and Services weren't asked about it and a
    /// prediction can't be laid beside it.
    pub established: bool,
    /// What was predicted but not seen, in path order. Empty where the path is whole and ends as predicted. Nothing is
    /// listed from where a Service chose another endpoint: of that one the prediction says nothing.
    pub unseen: Vec<Hop>,
    /// The first point where the network did something else than the model of it says; `None` if there is none, or no
    /// model.
    pub finding: Option<Box<Finding>>,
    /// How many packets were injected; 0 unless [`Mode::Injected`].
    pub attempts: u8,
    /// What the trace changed on the nodes, and that it is undone.
    pub receipt: Receipt,
    /// What else the reader must know: nodes that were not watched, evidence that was lost.
    pub notes: Vec<String>,
}

impl Trace {
    /// The answer of a model alone: nothing was sent and nothing was touched.
    pub fn predicted(plan: Arc<Plan>, prediction: Prediction) -> Self {
        let note = |object: &Arc<str>| format!("the model leaves out {object}, which may decide otherwise");
        Self {
            plan,
            mode: Mode::Predicted,
            hops: prediction.hops,
            verdict: prediction.verdict,
            captured: None,
            established: false,
            unseen: Vec::new(),
            finding: None,
            attempts: 0,
            receipt: Receipt::default(),
            notes: prediction.left_out.iter().map(note).collect(),
        }
    }

    /// The endpoint that a Service was seen to choose for the packet; `None` if none was.
    pub fn chosen_endpoint(&self) -> Option<IpAddr> {
        finding::chosen(&self.hops).and_then(finding::endpoint)
    }
}

/// How an answer was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The model of the network was walked; nothing was sent.
    Predicted,
    /// A crafted packet was followed.
    Injected,
    /// A packet of real traffic was followed.
    Live,
}

/// One visit of the packet to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// The node.
    pub node: NodeName,
    /// When it was seen there.
    pub timestamp: SystemTime,
    /// What was done, in order.
    pub observations: Vec<Observation>,
    /// Whether the packet was lost sight of between the hop before and this one.
    pub after_gap: bool,
}

/// A path with its end, from a model of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prediction {
    /// The path, node by node.
    pub hops: Vec<Hop>,
    /// How it ends.
    pub verdict: Verdict,
    /// What the model leaves out and may decide about this packet, as phrases such as `ClusterNetworkPolicy strict`; empty
    /// if the model is whole as far as it knows.
    pub left_out: Arc<[Arc<str>]>,
}

impl Prediction {
    /// This path and its end, from a model that leaves nothing out.
    pub fn new(hops: Vec<Hop>, verdict: Verdict) -> Self {
        Self {
            hops,
            verdict,
            left_out: Arc::default(),
        }
    }

    /// The same, by a model that leaves out these objects.
    #[must_use]
    pub fn leaving_out(mut self, objects: impl IntoIterator<Item = Arc<str>>) -> Self {
        self.left_out = objects.into_iter().collect();
        self
    }
}

/// Walks a model of the network instead of the network.
pub trait Predictor: Send + Sync {
    /// The path that the packet of `plan` will take.
    ///
    /// # Errors
    /// [`Unpredictable`] where the plan leaves open what decides the path, or the model doesn't know something that
    /// does.
    fn predict(&self, plan: &Plan) -> Result<Prediction, Unpredictable>;

    /// The same, where the Service chooses this endpoint; `None` if it has no such endpoint. A network chooses by what no
    /// model knows, so that the way from there can be compared only when the choice was seen.
    ///
    /// # Errors
    /// [`Unpredictable`] also where the model can't be told what to choose, as by default.
    fn predict_choosing(&self, plan: &Plan, endpoint: IpAddr) -> Result<Option<Prediction>, Unpredictable> {
        let _ = (plan, endpoint);
        Err(Unpredictable("the model can't be told which endpoint to choose".into()))
    }

    /// A number that changes whenever the model does, so that what was seen meanwhile isn't held against it. By default
    /// nobody knows, and the model is taken to be as it was.
    fn version(&self) -> Option<u64> {
        None
    }
}

/// Why there is no prediction, as a phrase.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unpredictable(pub Arc<str>);

/// How the packet's path ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It reached its destination.
    Delivered {
        /// The last node.
        node: NodeName,
    },
    /// It was discarded silently.
    Dropped {
        /// Where.
        node: NodeName,
        /// Why, if the datapath knew.
        reason: Option<DropReason>,
    },
    /// It was discarded and the sender was told.
    Rejected {
        /// Where.
        node: NodeName,
        /// Why, if the datapath knew.
        reason: Option<DropReason>,
    },
    /// It left the network that is observed, towards the outside.
    LeftNetwork {
        /// The last node.
        node: NodeName,
    },
    /// Only dropped packets were asked for, and no point that was watched dropped one of those that came in. What a tunnel loses,
    /// or a node that isn't watched, isn't seen.
    NoneDropped {
        /// How many came in.
        passed: u64,
    },
    /// The packet was not seen to its end. This is never a bare timeout.
    Unanswered(Box<Silence>),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivered { node } => write!(f, "delivered on {node}"),
            Self::Dropped { node, reason } => write_end(f, "dropped", node, reason.as_ref()),
            Self::Rejected { node, reason } => write_end(f, "rejected", node, reason.as_ref()),
            Self::LeftNetwork { node } => write!(f, "sent out of the network by {node}"),
            Self::NoneDropped { passed } => write!(f, "{passed} matching packets came in, none was seen to be dropped"),
            Self::Unanswered(silence) => match silence.causes.first() {
                Some(cause) => write!(f, "not seen to its end: {cause}"),
                None => f.write_str("not seen to its end"),
            },
        }
    }
}

fn write_end(f: &mut fmt::Formatter<'_>, word: &str, node: &NodeName, reason: Option<&DropReason>) -> fmt::Result {
    write!(f, "{word} on {node}")?;
    match reason {
        Some(reason) => write!(f, ": {reason}"),
        None => Ok(()),
    }
}

/// What is known when the packet was not seen to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// The last thing that was seen, and where.
    pub last_seen: Option<(NodeName, Observation)>,
    /// The node that should have reported next.
    pub expected_next: Option<NodeName>,
    /// The likely causes, the likeliest first; at least one.
    pub causes: Vec<Cause>,
    /// Nodes of the cluster that were not watched.
    pub not_watched: Vec<NodeName>,
}

/// A likely cause of silence, as the operator should read it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// No real packet matched while the live trace was armed.
    NoMatchingTraffic,
    /// The node could not be reached or refused; its words.
    NodeFailed {
        /// The node.
        node: NodeName,
        /// What the datapath said.
        error: Arc<str>,
    },
    /// The node's datapath restarted while the trace ran.
    DatapathRestarted {
        /// The node.
        node: NodeName,
    },
    /// The node lost reports while the trace ran.
    ReportsLost {
        /// The node.
        node: NodeName,
        /// How many, about.
        count: u64,
    },
    /// The packet left one node and never showed on the other: the tunnel, the wire between them, or a firewall on it
    /// lost it, or took the mark off.
    LostBetween {
        /// The node it left.
        from: NodeName,
        /// The node that did not see it.
        to: NodeName,
    },
    /// The packet entered this node's pipeline and no watched point saw it.
    LostInside {
        /// The node.
        node: NodeName,
    },
    /// The packet went on to a node that was not watched.
    NotWatched {
        /// The node, if its name is known.
        node: Option<NodeName>,
    },
    /// A model of the network has the packet discarded on the node that stayed silent: the datapath may drop it where
    /// nothing watches.
    PredictedEnd {
        /// [`Verdict::Dropped`] or [`Verdict::Rejected`].
        verdict: Box<Verdict>,
    },
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMatchingTraffic => f.write_str("no real packet matched while the trace was armed"),
            Self::NodeFailed { node, error } => write!(f, "node {node} failed: {error}"),
            Self::DatapathRestarted { node } => write!(f, "the datapath of node {node} restarted during the trace"),
            Self::ReportsLost { node, count } => write!(f, "node {node} lost {count} reports during the trace"),
            Self::LostBetween { from, to } => {
                write!(
                    f,
                    "the packet or its mark was lost between {from} and {to} (tunnel, wire or a firewall on it)"
                )
            }
            Self::LostInside { node } => write!(f, "node {node} lost the packet before any watched point saw it"),
            Self::NotWatched { node: Some(node) } => write!(f, "the packet went on to {node}, which was not watched"),
            Self::NotWatched { node: None } => f.write_str("the packet went on to a node that was not watched"),
            Self::PredictedEnd { verdict } => write!(f, "the model of the network has it {verdict}"),
        }
    }
}
