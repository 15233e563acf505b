//! The probes that have flows of their own on the switch.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;
use traceflow_core::datapath::{DatapathError, Mark, Probe, ProbeKind, TraceId};
use traceflow_core::receipt::{self, Change, Changed};
use traceflow_openflow::message::{FlowMod, Message};

use super::{Switch, delete};
use crate::layout::Carrier;
use crate::watch;

/// A probe that has flows of its own on the switch.
#[derive(Debug, Clone)]
pub(crate) struct Installed {
    mark: Mark,
    /// Its mark is nobody else's.
    live: bool,
    /// What becomes of the DSCP of its packets when they come from another node.
    fate: Option<Fate>,
    flows: Vec<FlowMod>,
    /// How many flows it was given.
    given: usize,
    /// Whether the switch has taken them.
    stands: bool,
    /// How many of its packets were punted here, once every node had time to be armed.
    punts: u32,
    since: Instant,
    /// When they are to be gone.
    until: Instant,
}

impl Installed {
    /// Its flows as the change of a trace, when the switch has been told to delete them.
    pub(crate) fn deleted(&self) -> Option<Change> {
        let count = self.given as u64;
        let change = Change {
            what: Changed::Flows { count },
            fate: receipt::Fate::Undone,
        };
        (count > 0).then_some(change)
    }
}

/// What becomes of the DSCP by which a packet was known, once it was known by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It stays: the packet is our own.
    Kept,
    /// It is again what it was.
    Restored,
    /// Nobody knows what it was; it is 0.
    Cleared,
}

impl Switch {
    pub(crate) fn enlist(&self, probe: &Probe, flows: &[FlowMod]) -> Result<(), DatapathError> {
        let fate = match &probe.kind {
            ProbeKind::Injected { .. } => Fate::Kept,
            ProbeKind::Live { matching, .. } if matching.dscp.is_some() => Fate::Restored,
            ProbeKind::Live { .. } => Fate::Cleared,
        };
        let installed = Installed {
            mark: probe.mark,
            live: matches!(probe.kind, ProbeKind::Live { .. }),
            fate: (self.settings.pipeline.carrier() == Carrier::Dscp).then_some(fate),
            flows: flows.to_vec(),
            given: flows.len(),
            stands: false,
            punts: 0,
            since: Instant::now(),
            until: Instant::now() + probe.lifetime.min(LONGEST),
        };
        let marks = self.capabilities.marks;
        if !(1..=marks).contains(&probe.mark.0) {
            let words = format!("mark {} is none of the {marks} that there are", probe.mark);
            return Err(DatapathError::Refused(words.into()));
        }
        let mut live = self.live();
        let same = live
            .iter()
            .find(|(trace, other)| installed.live && other.live && other.mark == probe.mark && **trace != probe.trace);
        if let Some((trace, _)) = same {
            let words = format!("mark {} is in use by trace {trace}", probe.mark);
            return Err(DatapathError::Refused(words.into()));
        }
        live.insert(probe.trace, installed);
        Ok(())
    }

    /// The switch has taken the probe's flows.
    pub(crate) fn stands(&self, trace: TraceId) {
        if let Some(installed) = self.live().get_mut(&trace) {
            installed.stands = true;
        }
    }

    /// The probes whose flows the switch has taken.
    pub(super) fn standing_probes(&self) -> BTreeSet<TraceId> {
        let live = self.live();
        let standing = live.iter().filter(|(_, installed)| installed.stands);
        standing.map(|(trace, _)| *trace).collect()
    }

    pub(super) fn fate_of(&self, mark: Mark) -> Option<Fate> {
        let live = self.live();
        let mut installed = live.values().filter(|installed| installed.mark == mark);
        installed.find_map(|installed| installed.fate)
    }

    pub(super) fn count_punt(&self, mark: Mark) -> Option<Message> {
        let mut live = self.live();
        let mut probes = live.iter_mut();
        let (&trace, installed) = probes.find(|(_, installed)| installed.live && installed.mark == mark)?;
        if installed.since.elapsed() < ARMING {
            // The packet that will be followed may be still to come.
            return None;
        }
        installed.punts += 1;
        if installed.punts != MOST_PUNTS {
            return None;
        }
        tracing::debug!(node = %self.settings.node, %trace, "enough packets were seen; no more are marked");
        installed.flows.clear();
        let cookie = self.instance().trace_cookie(trace);
        Some(Message::FlowMod(delete(cookie, u64::MAX)))
    }

    pub(crate) fn shared_with_others(&self, removed: &Installed) -> impl Iterator<Item = FlowMod> + use<> {
        let key = |flow: &FlowMod| (flow.table, flow.priority, flow.matching.clone());
        let gone: Vec<_> = removed.flows.iter().map(key).collect();
        let others = self.live_flows(Instant::now());
        others.into_iter().filter(move |flow| gone.contains(&key(flow)))
    }

    /// How many flows these probes must have on the switch, as far as they are still there. Probes may share one.
    pub(super) fn expected_live_flows(&self, probes: &BTreeSet<TraceId>) -> usize {
        let mut live = self.live();
        let now = Instant::now();
        live.retain(|_, installed| installed.until > now);
        let standing = live.iter().filter(|(trace, _)| probes.contains(trace));
        let mut flows: Vec<&FlowMod> = standing.flat_map(|(_, installed)| &installed.flows).collect();
        flows.sort_by_key(|flow| (flow.table, flow.priority));
        let mut distinct: Vec<&FlowMod> = Vec::with_capacity(flows.len());
        for flow in flows {
            let same = |other: &&FlowMod| {
                (other.table, other.priority) == (flow.table, flow.priority) && other.matching == flow.matching
            };
            if !distinct.iter().rev().any(same) {
                distinct.push(flow);
            }
        }
        distinct.len()
    }

    pub(super) fn live_flows(&self, now: Instant) -> Vec<FlowMod> {
        let mut live = self.live();
        live.retain(|_, installed| installed.until > now);
        let renewed = live.values().flat_map(|installed| {
            let expires = expiry(installed.until - now);
            installed.flows.iter().map(move |flow| FlowMod {
                hard_timeout: expires,
                ..flow.clone()
            })
        });
        renewed.collect()
    }
}

/// Seconds after which a flow with so much time left goes by itself.
pub(crate) fn expiry(left: Duration) -> u16 {
    let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
    seconds.clamp(1, watch::EXPIRES.into()) as u16
}

/// Longer than it takes to arm all nodes of a trace, or to give one up.
const ARMING: Duration = Duration::from_secs(6);

/// More of its packets than any live trace needs to see on one node.
const MOST_PUNTS: u32 = 256;

/// A day is for ever, and leaves room in the arithmetic of time.
const LONGEST: Duration = Duration::from_secs(86_400);
