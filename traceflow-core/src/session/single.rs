//! One trace.

use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::answer::{Findings, answer};
use super::attempt::{Attempt, Early};
use super::by_node::ByNode;
use super::work::{PATIENCE, Removal, Stage, Work, no_answer};
use super::{Command, Progress, Scope, Task};
use crate::datapath::{DatapathError, Mark, Probe, ProbeKind, Removed, Sighting, TraceId};
use crate::error::Error;
use crate::inventory::{Inventory, Owner};
use crate::names::NodeName;
use crate::packet::Nonce;
use crate::plan::{Plan, Question};
use crate::trace::path::Beginning;
use crate::trace::silence::Troubles;
use crate::trace::{Prediction, Trace, Unpredictable};

/// How many packets an injected trace sends at most: silence counts only after the second.
pub const ATTEMPTS: usize = 2;

/// One trace, from its first command until everything it touched is removed.
///
/// The driver carries out what [`poll_command`](Self::poll_command) gives and hands in every result; a later command of
/// this trace for the same node takes the place of one that still runs there. It calls
/// [`handle_timeout`](Self::handle_timeout) when [`poll_timeout`](Self::poll_timeout) has come. After any call of a
/// `handle_*` method it polls everything.
pub struct Session {
    pub(super) setup: Setup,
    pub(super) probe: Arc<Probe>,
    /// The node without which there is no trace.
    pub(super) start: Option<NodeName>,
    pub(super) beginning: Beginning,
    pub(super) phase: Phase,
    pub(super) work: ByNode<Work>,
    pub(super) attempts: Vec<Attempt>,
    /// Real packets that were seen before every node watched.
    pub(super) early: Early,
    /// The end of the trace's own time; it starts with the first packet, and the last one is listened for at least a
    /// little.
    pub(super) until: Option<Instant>,
    pub(super) troubles: Troubles,
    /// Real packets that matched, where a datapath counts them.
    pub(super) matched: Option<u64>,
    pub(super) conclusion: Conclusion,
    pub(super) commands: VecDeque<Command>,
    pub(super) progress: VecDeque<Progress>,
    pub(super) outcome: Option<Result<Box<Trace>, Error>>,
}

/// What a [`Session`] starts from.
#[derive(Clone)]
pub struct Setup {
    /// Which trace it is.
    pub trace: TraceId,
    /// What to trace.
    pub plan: Arc<Plan>,
    /// What a model of the network says, or why it can't; `None` if there is no model. Silence is explained with it.
    pub prediction: Option<Result<Prediction, Unpredictable>>,
    /// The mark that the trace has leased.
    pub mark: Mark,
    /// The nonces of the packets, one per try. Unused by live traces.
    pub nonces: [Nonce; ATTEMPTS],
    /// The nodes to watch.
    pub scope: Scope,
    /// Whose address a tunnel leads to.
    pub inventory: Arc<dyn Inventory>,
}

impl Setup {
    pub(super) fn predicted(&self) -> Option<&Prediction> {
        self.prediction.as_ref()?.as_ref().ok()
    }

    pub(super) fn unpredictable(&self) -> Option<&Unpredictable> {
        self.prediction.as_ref()?.as_ref().err()
    }
}

/// Where a trace stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Waits until each node watches or has failed; whoever is silent until then has failed. Next: `Injecting`, or
    /// `Listening` for a live trace; without its first node `CleaningUp`.
    Arming { until: Instant },
    /// The packet is on its way in. Next: `Listening`; on failure `CleaningUp`, or `Arming` if the datapath restarted.
    Injecting { until: Instant },
    /// Waits for sightings. Next: `CleaningUp` when the path is whole or time is over; when nothing new came until
    /// `quiet_at`, `Arming` again for the next packet.
    Listening { quiet_at: Option<Instant>, until: Instant },
    /// Removes whatever was put in place. Next: `Over`, also if a node can't be cleaned up; the answer says so.
    CleaningUp,
    /// Nothing happens any more.
    Over,
}

/// What the caller will be told once everything is removed.
#[derive(Debug)]
pub(super) enum Conclusion {
    /// What was found out.
    Answer,
    /// Why nothing could be found out.
    Failure(Error),
}

impl Session {
    /// A trace that begins now.
    pub fn new(setup: Setup, now: Instant) -> Self {
        let mut session = Self {
            probe: Arc::new(probe(&setup)),
            start: start(&setup.plan).cloned(),
            beginning: beginning(&setup),
            phase: Phase::Over,
            work: ByNode::default(),
            attempts: Vec::with_capacity(1),
            early: Early::default(),
            until: None,
            troubles: Troubles::default(),
            matched: None,
            conclusion: Conclusion::Answer,
            commands: VecDeque::new(),
            progress: VecDeque::new(),
            outcome: None,
            setup,
        };
        let watched = std::mem::take(&mut session.setup.scope.watched);
        session.arm(&watched, now);
        session
    }

    /// Which trace it is.
    pub fn trace(&self) -> TraceId {
        self.setup.trace
    }

    /// The result of a command; for all but remove, [`Removed::default`] stands for success.
    ///
    /// A result that nobody waits for any more changes nothing.
    pub fn handle_result(&mut self, command: &Command, result: Result<Removed, DatapathError>, now: Instant) {
        match command.task {
            Task::Attach => self.handle_armed(&command.node, Stage::Attaching, result, now),
            Task::Install(_) => self.handle_armed(&command.node, Stage::Installing, result, now),
            Task::Inject(..) => self.handle_injected(result, now),
            Task::Remove(_) => self.handle_removed(&command.node, result, now),
            Task::Detach => {}
        }
    }

    /// A traced packet was seen, and its mark, or its nonce if it has one, is this trace's.
    pub fn handle_sighting(&mut self, sighting: Sighting, now: Instant) {
        match self.phase {
            Phase::Over => {}
            Phase::CleaningUp => self.touch(&sighting.node, now),
            _ => self.take_sighting(sighting, now),
        }
    }

    /// The node lost about `count` reports.
    pub fn handle_lost(&mut self, node: &NodeName, count: u64) {
        let lost = self.troubles.lost.entry(node.clone()).or_default();
        *lost = lost.saturating_add(count);
    }

    /// The node's datapath restarted: what was installed there is gone, and so may be the packet.
    pub fn handle_restarted(&mut self, node: &NodeName, now: Instant) {
        let live = self.is_live();
        let Some(work) = self.work.get_mut(node) else { return };
        self.troubles.restarted.insert(node.clone());
        if matches!(work.stage, Stage::LeftOut | Stage::Bystander) {
            return;
        }
        work.stage = Stage::Idle;
        match &mut self.phase {
            Phase::Arming { .. } => self.arm_node(node),
            Phase::Listening { .. } if live => self.arm_node(node),
            // The next packet doesn't have to wait for silence.
            Phase::Listening { quiet_at, .. } if self.attempts.len() < ATTEMPTS => *quiet_at = Some(now),
            _ => {}
        }
    }

    /// The node's datapath is gone for good: nothing will be seen there any more.
    pub fn handle_gone(&mut self, node: &NodeName, now: Instant) {
        if self.work.get(node).is_some() {
            self.lose_node(node, now);
        }
    }

    /// Ends the trace with `error` as its answer, once everything is removed. A trace that is about to end keeps its
    /// own answer.
    pub fn handle_cancel(&mut self, error: Error, now: Instant) {
        if !matches!(self.phase, Phase::CleaningUp | Phase::Over) {
            self.conclude(Conclusion::Failure(error), now);
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.phase {
            Phase::Arming { until } if until <= now => self.give_up_arming(now),
            Phase::Injecting { until } if until <= now => self.handle_injected(Err(no_answer(PATIENCE)), now),
            // This first, as a late call may find both due: silence counts only after the second packet.
            Phase::Listening {
                quiet_at: Some(quiet_at),
                until,
            } if quiet_at <= now.min(until) => self.handle_quiet(until, now),
            Phase::Listening { until, .. } if until <= now => self.conclude(Conclusion::Answer, now),
            Phase::CleaningUp => self.handle_removal_timeouts(now),
            _ => {}
        }
    }

    /// The next command to carry out.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// The next thing to tell the caller.
    pub fn poll_progress(&mut self) -> Option<Progress> {
        self.progress.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Arming { until } | Phase::Injecting { until } => Some(until),
            Phase::Listening { quiet_at, until } => Some(quiet_at.map_or(until, |quiet_at| quiet_at.min(until))),
            Phase::CleaningUp => self.removals().filter_map(Removal::deadline).min(),
            Phase::Over => None,
        }
    }

    /// The answer, once, when everything that was touched is removed; an [`Error`] is the answer of a trace that could
    /// not be carried out.
    pub fn poll_outcome(&mut self) -> Option<Result<Box<Trace>, Error>> {
        self.outcome.take()
    }

    /// The nodes that this trace has to do with, so that it is told of their restarts and losses.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeName> {
        self.work.nodes()
    }

    /// When whatever of this trace is left on a node goes by itself, counted from the last command.
    pub(super) fn lifetime(&self) -> Duration {
        self.probe.lifetime
    }

    /// Whether some node could not be cleaned up.
    pub(super) fn left_something(&self) -> bool {
        self.removals().any(|removal| matches!(removal, Removal::GivenUp(_)))
    }

    pub(super) fn removals(&self) -> impl Iterator<Item = &Removal> {
        self.work.values().filter_map(|work| work.removal.as_ref())
    }

    pub(super) fn is_live(&self) -> bool {
        matches!(self.setup.plan.question, Question::Live { .. })
    }

    pub(super) fn command(&mut self, node: NodeName, task: Task) {
        self.commands.push_back(Command { node, task });
    }

    pub(super) fn node_at(&self, address: IpAddr) -> Option<NodeName> {
        match self.setup.inventory.owner(address)? {
            Owner::Node(node) | Owner::Gateway(node) => Some(node),
            _ => None,
        }
    }

    /// Nothing is in the network any more: the caller gets what was concluded.
    pub(super) fn finish(&mut self) {
        self.phase = Phase::Over;
        self.outcome = Some(match std::mem::replace(&mut self.conclusion, Conclusion::Answer) {
            Conclusion::Failure(error) => Err(error),
            Conclusion::Answer => {
                let attempts = std::mem::take(&mut self.attempts);
                Ok(Box::new(answer(self.findings(attempts))))
            }
        });
    }

    fn findings(&self, attempts: Vec<Attempt>) -> Findings<'_> {
        Findings {
            setup: &self.setup,
            start: self.start.as_ref(),
            lifetime: self.probe.lifetime,
            work: &self.work,
            attempts,
            troubles: &self.troubles,
            matched: self.matched,
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("trace", &self.setup.trace)
            .field("phase", &self.phase)
            .field("work", &self.work)
            .finish_non_exhaustive()
    }
}

/// The node where the packet starts, or for traffic from anywhere the one where it ends.
pub(super) fn start(plan: &Plan) -> Option<&NodeName> {
    match &plan.question {
        Question::Inject { node, .. } => Some(node),
        Question::Live { .. } => {
            let ends = [plan.source.as_ref(), plan.destination.as_ref()];
            ends.into_iter().flatten().find_map(|end| end.node.as_ref())
        }
    }
}

fn beginning(setup: &Setup) -> Beginning {
    if let Question::Live { dropped_only: true, .. } = setup.plan.question {
        return Beginning::Anywhere;
    }
    let known_source = setup.plan.source.as_ref().is_some_and(|source| source.node.is_some());
    let only_node = setup.scope.watched.len() == 1;
    match start(&setup.plan) {
        Some(start) if known_source || only_node => Beginning::At(start.clone()),
        _ => Beginning::Entry,
    }
}

/// Cleaning up takes less, even if every node has to be asked three times.
const MARGIN: Duration = Duration::from_secs(60);

fn probe(setup: &Setup) -> Probe {
    let kind = match &setup.plan.question {
        Question::Inject { pod, packet, .. } => {
            let mut packet = packet.clone();
            packet.nonce = setup.nonces[0];
            ProbeKind::Injected {
                pod: pod.clone(),
                packet,
            }
        }
        Question::Live { matching, dropped_only } => ProbeKind::Live {
            matching: matching.clone(),
            dropped_only: *dropped_only,
        },
    };
    Probe {
        trace: setup.trace,
        mark: setup.mark,
        kind,
        lifetime: setup.plan.timeout.saturating_add(MARGIN),
    }
}
