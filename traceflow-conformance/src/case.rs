//! A case: its name, its promise, what it needs to run, and how it fails.

use std::fmt;

use futures_util::future::BoxFuture;
use traceflow_core::datapath::{Capabilities, DatapathError};
use traceflow_core::packet::{IpFamily, Protocol};

use crate::network::Network;
use crate::trial::Trial;

/// One promise of the [`Datapath`](traceflow_core::datapath::Datapath) trait, and how it is tried.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// `group::fact`, unique in [`CASES`](crate::CASES).
    pub name: &'static str,
    /// The promise, in one line.
    pub promise: &'static str,
    /// What the network must have and its datapaths must claim; else the case is skipped.
    pub needs: &'static [Need],
    /// Tries it.
    pub run: fn(Trial) -> BoxFuture<'static, Result<(), Stop>>,
}

impl Case {
    /// Why this case can't run on `network`, as a phrase; `None` if it can.
    pub fn skipped_on(&self, network: &Network) -> Option<String> {
        self.needs.iter().find_map(|need| need.missing_in(network))
    }
}

/// Why a case did not go through to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The promise was broken.
    Failed(Failure),
    /// There was nothing to try after all, because of this.
    Skipped(String),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// How a promise was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What should have been.
    pub expected: String,
    /// What was.
    pub seen: String,
}

impl Failure {
    /// A failure from its two halves.
    pub fn new(expected: impl Into<String>, seen: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            seen: seen.into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, saw {}", self.expected, self.seen)
    }
}

/// Fails with what was expected and what was seen, unless `holds`.
pub(crate) fn ensure(holds: bool, expected: impl Into<String>, seen: impl fmt::Display) -> Result<(), Failure> {
    if holds {
        return Ok(());
    }
    Err(Failure::new(expected, seen.to_string()))
}

/// What a call gave, which should have succeeded.
pub(crate) fn succeeds<T>(call: &str, outcome: Result<T, DatapathError>) -> Result<T, Failure> {
    outcome.map_err(|error| Failure::new(format!("{call} to succeed"), error.to_string()))
}

/// What a case can't do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Need {
    /// Every datapath of the network claims it.
    Can(Feature),
    /// A datapath of the network doesn't claim it.
    Cannot(Feature),
    /// The network has it.
    Has(Part),
}

impl Need {
    /// Why `network` doesn't meet the need, as a phrase; `None` if it does.
    pub fn missing_in(self, network: &Network) -> Option<String> {
        let all_claim = |feature: Feature| {
            let mut datapaths = network.datapaths.iter();
            datapaths.all(|datapath| feature.is_claimed_by(datapath.capabilities()))
        };
        match self {
            Self::Can(feature) => (!all_claim(feature)).then(|| format!("it does not claim to {feature}")),
            Self::Cannot(feature) => all_claim(feature).then(|| format!("it claims to {feature}")),
            Self::Has(part) => (!part.is_in(network)).then(|| format!("the network was given without {part}")),
        }
    }
}

/// Something that a datapath may claim in its [`Capabilities`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Feature {
    /// [`Capabilities::inject`] or [`Capabilities::live`].
    Trace,
    /// [`Capabilities::inject`].
    Inject,
    /// [`Capabilities::live`].
    Live,
    /// [`Capabilities::dropped_only`].
    DroppedOnly,
    /// [`Capabilities::ipv4`] or [`Capabilities::ipv6`].
    Family(IpFamily),
    /// One of [`Capabilities::protocols`]; ICMP stands for ICMPv6 too.
    Protocol(Protocol),
    /// [`Capabilities::protocols`] without limit.
    EveryProtocol,
    /// [`Capabilities::nonce`].
    Nonce,
    /// [`Capabilities::standing_watch`].
    StandingWatch,
    /// [`Capabilities::counts_matches`].
    CountsMatches,
    /// At least so many [`Capabilities::marks`].
    Marks(u32),
}

impl Feature {
    fn is_claimed_by(self, can: &Capabilities) -> bool {
        match self {
            Self::Trace => can.inject || can.live,
            Self::Inject => can.inject,
            Self::Live => can.live,
            Self::DroppedOnly => can.dropped_only,
            Self::Family(family) => can.handles_family(family),
            Self::Protocol(protocol) => can.handles_protocol(protocol),
            Self::EveryProtocol => can.protocols.is_none(),
            Self::Nonce => can.nonce,
            Self::StandingWatch => can.standing_watch,
            Self::CountsMatches => can.counts_matches,
            Self::Marks(count) => can.marks >= count,
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trace => f.write_str("inject packets or follow real traffic"),
            Self::Inject => f.write_str("inject packets"),
            Self::Live => f.write_str("follow real traffic"),
            Self::DroppedOnly => f.write_str("follow only what is dropped"),
            Self::Family(family) => write!(f, "handle {family}"),
            Self::Protocol(protocol) => write!(f, "handle {protocol}"),
            Self::EveryProtocol => f.write_str("handle every protocol"),
            Self::Nonce => f.write_str("report nonces"),
            Self::StandingWatch => f.write_str("see injected packets without install"),
            Self::CountsMatches => f.write_str("count matches"),
            Self::Marks(count) => write!(f, "tell {count} marks apart"),
        }
    }
}

/// An optional part of a [`Network`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// [`Network::cross_node`].
    CrossNode,
    /// [`Network::dropped`].
    Dropped,
    /// [`Network::outside`].
    Outside,
    /// [`Network::routed`].
    Routed,
    /// [`Network::service`].
    Service,
    /// [`Network::workloads`].
    Workloads,
    /// [`Network::workloads`] that count what they get.
    CountingWorkloads,
    /// [`Network::predictor`].
    Predictor,
    /// [`Network::successor`].
    Successor,
    /// [`Network::restart`].
    Restart,
    /// [`Network::kill`].
    Kill,
}

impl Part {
    fn is_in(self, network: &Network) -> bool {
        match self {
            Self::CrossNode => network.cross_node.is_some(),
            Self::Dropped => network.dropped.is_some(),
            Self::Outside => network.outside.is_some(),
            Self::Routed => network.routed.is_some(),
            Self::Service => network.service.is_some(),
            Self::Workloads => network.workloads.is_some(),
            Self::CountingWorkloads => network.workloads.as_ref().is_some_and(|workloads| workloads.counts()),
            Self::Predictor => network.predictor.is_some(),
            Self::Successor => network.successor.is_some(),
            Self::Restart => network.restart.is_some(),
            Self::Kill => network.kill.is_some(),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CrossNode => "a way to another node",
            Self::Dropped => "a way on which packets are dropped",
            Self::Outside => "a way to the outside",
            Self::Routed => "a way on which the TTL drops",
            Self::Service => "a Service",
            Self::Workloads => "workloads",
            Self::CountingWorkloads => "workloads that count what they get",
            Self::Predictor => "a predictor",
            Self::Successor => "a successor",
            Self::Restart => "a way to restart a node",
            Self::Kill => "a way to end a node",
        })
    }
}

/// Up to how many marks the suite uses at once.
pub(crate) const FEW_MARKS: u32 = 64;
