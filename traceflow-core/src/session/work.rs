//! What one session has done, does and has to do on one node.

use std::time::{Duration, Instant};

use crate::datapath::DatapathError;
use crate::receipt::Change;

/// How long a node may take to answer attach, install or inject.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// How long a node may take to answer one remove.
pub(super) const REMOVAL_PATIENCE: Duration = Duration::from_secs(3);

/// How often a remove is tried.
const REMOVALS: u8 = 3;

/// How long to wait after a failed remove.
const REMOVAL_PAUSE: Duration = Duration::from_millis(200);

/// One node in one session.
#[derive(Debug)]
pub(super) struct Work {
    /// Nothing has to be installed for this trace.
    pub(super) standing: bool,
    pub(super) stage: Stage,
    /// Something of the trace can be there, so it has to be removed.
    pub(super) touched: bool,
    /// The packet was seen there.
    pub(super) seen: bool,
    /// What is there is being removed, or was.
    pub(super) removal: Option<Removal>,
}

/// How far arming has come on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not armed, and not asked to be. Armed before the next packet if it is the trace's to watch.
    Idle,
    /// Attach is under way; install follows, or nothing if what stands suffices.
    Attaching,
    /// Install is under way.
    Installing,
    /// It watches.
    Armed,
    /// It failed; the trace goes on without it.
    LeftOut,
    /// Nobody asked it to watch; a packet strayed to it.
    Bystander,
}

impl Work {
    pub(super) fn new(standing: bool) -> Self {
        Self {
            standing,
            stage: Stage::Idle,
            touched: false,
            seen: false,
            removal: None,
        }
    }

    /// A node that a packet strayed to.
    pub(super) fn bystander() -> Self {
        Self {
            standing: true,
            stage: Stage::Bystander,
            touched: false,
            seen: false,
            removal: None,
        }
    }

    /// It watches, or will before the next packet.
    pub(super) fn watches(&self) -> bool {
        !matches!(self.stage, Stage::LeftOut | Stage::Bystander)
    }

    pub(super) fn arming(&self) -> bool {
        matches!(self.stage, Stage::Attaching | Stage::Installing)
    }
}

/// The removal from one node.
#[derive(Debug)]
pub(super) enum Removal {
    /// Under way for the n-th time; silence until then is a failure.
    Running(u8, Instant),
    /// Failed n times; the next try is due then.
    Pausing(u8, Instant),
    /// Nothing of the trace is there any more, except what is said here to go by itself.
    Done(Vec<Change>),
    /// Failed for good.
    GivenUp(DatapathError),
}

impl Removal {
    /// The n-th try, which begins now.
    pub(super) fn begin(n: u8, now: Instant) -> Self {
        Self::Running(n, now + REMOVAL_PATIENCE)
    }

    /// What follows the failure of the n-th try.
    pub(super) fn failed(n: u8, error: DatapathError, now: Instant) -> Self {
        if n < REMOVALS {
            Self::Pausing(n, now + REMOVAL_PAUSE * u32::from(n))
        } else {
            Self::GivenUp(error)
        }
    }

    pub(super) fn over(&self) -> bool {
        matches!(self, Self::Done(_) | Self::GivenUp(_))
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Running(_, until) | Self::Pausing(_, until) => Some(*until),
            Self::Done(_) | Self::GivenUp(_) => None,
        }
    }
}

/// What a node is held to have said when it will never say anything again.
pub(super) fn gone() -> DatapathError {
    DatapathError::Unavailable("it is gone for good".into())
}

/// What a node is held to have said when it said nothing.
pub(super) fn no_answer(patience: Duration) -> DatapathError {
    DatapathError::Unavailable(format!("no answer within {} s", patience.as_secs()).into())
}
