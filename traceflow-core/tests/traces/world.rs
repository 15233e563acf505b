//! A network that does whatever a schedule of bytes says, in whatever order, and keeps the books on what is where.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use traceflow_core::Error;
use traceflow_core::datapath::{Capabilities, DatapathError, Mark, Probe, ProbeKind, Removed, Report, TraceId};
use traceflow_core::names::NodeName;
use traceflow_core::packet::Nonce;
use traceflow_core::plan::Plan;
use traceflow_core::session::{Event, Order, OrderId, Request, Sessions, Task, Watch};
use traceflow_core::trace::{Cause, Trace, Verdict};

use crate::support::{Cluster, capable, captured, delivered, dropped, inject_to, live_to, node, sighting, way};

/// One thing that happens; three numbers choose the details.
pub(crate) type Step = [u8; 4];

const NODES: u8 = 4;

/// Runs a schedule, then lets everything come to its end, and checks that nothing is left.
pub(crate) fn run(setting: u8, schedule: &[Step]) {
    let mut world = World::new(setting);
    for &step in schedule {
        world.step(step);
        world.follow();
    }
    world.end();
}

struct World {
    sessions: Sessions,
    now: Instant,
    running: BTreeMap<OrderId, Order>,
    /// What of ours is on each node.
    present: BTreeSet<(NodeName, TraceId)>,
    /// The nodes where something stands.
    attached: BTreeSet<NodeName>,
    /// Nodes that were cleaned of a trace; a packet was there before that, if at all.
    cleaned: BTreeSet<(NodeName, TraceId)>,
    failed_removes: BTreeMap<(NodeName, TraceId), u32>,
    failed_detaches: BTreeMap<NodeName, u32>,
    probes: BTreeMap<TraceId, Arc<Probe>>,
    nonces: Vec<(TraceId, Mark, Nonce)>,
    asked: BTreeMap<TraceId, Plan>,
    answered: BTreeMap<TraceId, Result<Box<Trace>, Error>>,
    answered_at: BTreeMap<TraceId, Instant>,
    closed: bool,
}

impl World {
    fn new(setting: u8) -> Self {
        let capabilities = Capabilities {
            nonce: setting & 1 == 0,
            standing_watch: setting & 2 == 0,
            marks: u32::from(setting >> 2 & 3) + 1,
            window: [None, Some(1), Some(2), Some(5)][usize::from(setting >> 4 & 3)],
            ..capable()
        };
        let nodes = (1..=NODES).map(|number| (node(number), capabilities.clone()));
        let rng = fastrand::Rng::with_seed(setting.into());
        Self {
            sessions: Sessions::new(nodes, Arc::new(Cluster(NODES)), rng),
            now: Instant::now(),
            running: BTreeMap::new(),
            present: BTreeSet::new(),
            attached: BTreeSet::new(),
            cleaned: BTreeSet::new(),
            failed_removes: BTreeMap::new(),
            failed_detaches: BTreeMap::new(),
            probes: BTreeMap::new(),
            nonces: Vec::new(),
            asked: BTreeMap::new(),
            answered: BTreeMap::new(),
            answered_at: BTreeMap::new(),
            closed: false,
        }
    }

    fn step(&mut self, [what, a, b, c]: Step) {
        match what % 24 {
            _ if what == 255 => self.sessions.handle_gone(&node(a % NODES + 1), self.now),
            0 | 1 => self.ask(a, b, c),
            2..=10 => self.end_order(a, c >= 24, c % 2 == 0),
            11..=18 => self.see(a, b, c),
            19 => self.lose(a, b),
            20 => self.restart(a),
            21 => self.sessions.handle_cancel(TraceId((a % 32).into()), self.now),
            22 => self.pass_time(u64::from(a) * u64::from(b)),
            _ if c == 255 && a > 200 => self.close(),
            _ => self.pass_time_to_deadline(),
        }
    }

    fn ask(&mut self, a: u8, b: u8, c: u8) {
        let trace = TraceId(self.asked.len() as u64);
        let destination = a % NODES + 1;
        let mut plan = match b % 4 {
            0 => live_to(destination, false),
            1 => live_to(destination, true),
            _ => inject_to(destination, 1000 + u16::from(c % 3)),
        };
        plan.timeout = Duration::from_secs(1 + u64::from(b >> 4));
        self.asked.insert(trace, plan.clone());
        let watch = if a & 0x80 == 0 { Watch::Path } else { Watch::All };
        let request = Request {
            trace,
            plan: Arc::new(plan),
            prediction: None,
            watch,
        };
        self.sessions.handle_request(request, self.now);
    }

    /// The n-th command under way ends; a failed one may have done its work all the same, where the trait allows that.
    fn end_order(&mut self, n: u8, succeeds: bool, done: bool) {
        let Some(&id) = self.running.keys().nth(usize::from(n) % self.running.len().max(1)) else {
            return;
        };
        let Some(order) = self.running.remove(&id) else { return };
        if succeeds || (done && !matches!(order.command.task, Task::Install(_))) {
            self.take_effect(&order);
        }
        let result = if succeeds {
            Ok(self.removed(&order))
        } else {
            self.count_failure(&order);
            Err(DatapathError::Unavailable("said the schedule".into()))
        };
        self.sessions.handle_result(id, result, self.now);
    }

    fn removed(&self, order: &Order) -> Removed {
        let matched = matches!(&order.command.task, Task::Remove(probe) if probe.trace.0 % 3 == 0).then_some(1);
        Removed {
            matched,
            ..Removed::default()
        }
    }

    fn count_failure(&mut self, order: &Order) {
        let node = order.command.node.clone();
        match &order.command.task {
            Task::Remove(probe) => *self.failed_removes.entry((node, probe.trace)).or_default() += 1,
            Task::Detach => *self.failed_detaches.entry(node).or_default() += 1,
            _ => {}
        }
    }

    fn take_effect(&mut self, order: &Order) {
        let node = order.command.node.clone();
        match &order.command.task {
            Task::Attach => {
                self.attached.insert(node);
            }
            Task::Detach => {
                self.attached.remove(&node);
            }
            Task::Install(probe) | Task::Inject(probe, _) => {
                self.present.insert((node, probe.trace));
            }
            Task::Remove(probe) => {
                self.present.remove(&(node.clone(), probe.trace));
                self.cleaned.insert((node, probe.trace));
            }
            _ => {}
        }
    }

    /// A packet of some probe, or of nobody, is seen somewhere on some way.
    fn see(&mut self, a: u8, b: u8, c: u8) {
        let traces: Vec<Arc<Probe>> = self.probes.values().cloned().collect();
        let Some(probe) = traces.get(usize::from(a) % traces.len().max(1)) else {
            return;
        };
        let ways: [&[u8]; 4] = [&[1, 2], &[1, 2, 3], &[1], &[1, 3, 1, 4]];
        let way = way(ways[usize::from(b % 4)]);
        let (name, observations) = &way[usize::from(b >> 2) % way.len()];
        let nonces: Vec<Nonce> = self
            .nonces
            .iter()
            .filter(|(trace, ..)| *trace == probe.trace)
            .map(|n| n.2)
            .collect();
        let nonce = nonces.get(usize::from(c) % (nonces.len() + 1)).copied();
        let mut seen = sighting(name, probe.mark, nonce, observations);
        if c & 0x10 != 0 {
            seen.observations = [dropped()].into();
        }
        if c & 0x20 != 0 || matches!(probe.kind, ProbeKind::Live { .. }) {
            seen.packet = Some(captured(b % NODES + 1, (c >> 6).into()));
        }
        if c & 0x0f == 0x0f {
            seen.mark = Mark(u32::from(a));
            seen.observations = [delivered()].into();
        } else if !self.cleaned.contains(&(name.clone(), probe.trace)) && self.is_whole(probe, nonce) {
            self.present.insert((name.clone(), probe.trace));
        }
        let name = name.clone();
        self.sessions.handle_report(&name, Report::Seen(seen), self.now);
    }

    /// Whether the sighting's owner can be known; what nobody can know of nobody can remove.
    fn is_whole(&self, probe: &Probe, nonce: Option<Nonce>) -> bool {
        let own_mark = matches!(probe.kind, ProbeKind::Live { .. }) || !self.shares_mark();
        !self.answered.contains_key(&probe.trace) && (own_mark || nonce.is_some())
    }

    fn shares_mark(&self) -> bool {
        let injected = |probe: &&Arc<Probe>| matches!(probe.kind, ProbeKind::Injected { .. });
        let marks: Vec<Mark> = self.probes.values().filter(injected).map(|probe| probe.mark).collect();
        self.sessions.shares_mark() || marks.is_empty()
    }

    fn lose(&mut self, a: u8, b: u8) {
        self.sessions
            .handle_report(&node(a % NODES + 1), Report::Lost { count: b.into() }, self.now);
    }

    fn restart(&mut self, a: u8) {
        let name = node(a % NODES + 1);
        self.present.retain(|(node, _)| *node != name);
        self.attached.remove(&name);
        self.sessions.handle_report(&name, Report::Restarted, self.now);
    }

    fn close(&mut self) {
        self.closed = true;
        self.sessions.handle_close(self.now);
    }

    fn pass_time(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
        self.sessions.handle_timeout(self.now);
    }

    fn pass_time_to_deadline(&mut self) {
        if let Some(due) = self.sessions.poll_timeout() {
            self.now = self.now.max(due);
            self.sessions.handle_timeout(self.now);
        }
    }

    /// Takes out everything that the sessions want done and told.
    fn follow(&mut self) {
        while let Some(abandoned) = self.sessions.poll_abandoned() {
            if let Some(order) = self.running.remove(&abandoned) {
                self.count_failure(&order);
            }
        }
        while let Some(event) = self.sessions.poll_event() {
            if let Event::Finished(trace, outcome) = event {
                assert!(self.asked.contains_key(&trace), "an answer that nobody asked for");
                assert!(self.answered.insert(trace, outcome).is_none(), "{trace} answered twice");
                self.answered_at.insert(trace, self.now);
                let under_way = self
                    .running
                    .values()
                    .any(|order| order.command.task.trace() == Some(trace));
                assert!(!under_way, "{trace} is over while a command of it runs");
            }
        }
        while let Some(order) = self.sessions.poll_order() {
            self.begin(order);
        }
    }

    fn begin(&mut self, order: Order) {
        if let Some(earlier) = order.supersedes.and_then(|earlier| self.running.remove(&earlier)) {
            // A dropped future leaves its work done or not done.
            if earlier.id.0 % 2 == 0 {
                self.take_effect(&earlier);
            }
            if !matches!(earlier.command.task, Task::Attach) {
                self.count_failure(&earlier);
            }
        }
        if let Some(trace) = order.command.task.trace() {
            assert!(
                !self.answered.contains_key(&trace),
                "{trace} is over and still has commands"
            );
            let at_once = self
                .running
                .values()
                .filter(|other| other.command.node == order.command.node && other.command.task.trace() == Some(trace));
            assert_eq!(at_once.count(), 0, "two commands of one trace on one node");
        }
        match &order.command.task {
            Task::Install(probe) => self.note_probe(probe),
            Task::Inject(probe, packet) => {
                self.note_probe(probe);
                self.assert_alone(probe.trace);
                self.nonces.push((probe.trace, probe.mark, packet.nonce));
            }
            _ => {}
        }
        self.running.insert(order.id, order);
    }

    /// No two live traces, and none and an injected one, have one mark while a datapath can take the one for the other.
    fn note_probe(&mut self, probe: &Arc<Probe>) {
        self.probes.insert(probe.trace, probe.clone());
        let injected = |probe: &Probe| matches!(probe.kind, ProbeKind::Injected { .. });
        for (trace, other) in &self.probes {
            let both_injected = injected(probe) && injected(other) && self.sessions.shares_mark();
            let rested = self
                .answered_at
                .get(trace)
                .is_some_and(|&at| self.now >= at + capable().mark_memory);
            assert!(
                *trace == probe.trace || rested || both_injected || other.mark != probe.mark,
                "{} and {trace} have one mark",
                probe.trace
            );
        }
    }

    /// No two injected packets of one connection are under way at a time.
    fn assert_alone(&self, trace: TraceId) {
        for (other, ..) in &self.nonces {
            let same = self.asked[other].question == self.asked[&trace].question;
            assert!(
                *other == trace || !same || self.answered.contains_key(other),
                "{trace} overlaps {other}"
            );
        }
    }

    /// From now on every command succeeds and time passes.
    fn end(mut self) {
        self.settle();
        assert_eq!(self.sessions.traces(), 0, "a trace never ends");
        if !self.closed {
            self.close();
        }
        self.settle();
        assert!(self.sessions.is_closed(), "it never closes");
        assert_eq!(self.sessions.leased_marks(), 0, "a mark is not home");
        assert_eq!(self.sessions.poll_timeout(), None, "a deadline is left");
        assert_eq!(self.answered.len(), self.asked.len(), "a trace got no answer");
        self.present
            .retain(|key| self.failed_removes.get(key).is_none_or(|&failures| failures < 3));
        assert!(self.present.is_empty(), "left behind: {:?}", self.present);
        self.attached
            .retain(|key| self.failed_detaches.get(key).is_none_or(|&failures| failures < 3));
        assert!(self.attached.is_empty(), "still attached: {:?}", self.attached);
        for outcome in self.answered.values() {
            assert_answers(outcome);
        }
    }

    fn settle(&mut self) {
        for _ in 0..(10_000 + 1_000 * self.asked.len()) {
            self.follow();
            if !self.running.is_empty() {
                self.end_order(0, true, true);
            } else if self.sessions.traces() > 0 || self.closed {
                if self.sessions.poll_timeout().is_none() {
                    return;
                }
                self.pass_time_to_deadline();
            } else {
                return;
            }
        }
        panic!("it never comes to rest");
    }
}

/// Never a bare timeout: silence has a cause, and says where.
fn assert_answers(outcome: &Result<Box<Trace>, Error>) {
    let Ok(trace) = outcome else { return };
    let Verdict::Unanswered(silence) = &trace.verdict else {
        return;
    };
    assert!(!silence.causes.is_empty(), "silence without a cause");
    let place = silence.last_seen.is_some() || silence.expected_next.is_some();
    let left = silence.causes.contains(&Cause::NotWatched { node: None });
    assert!(place || left, "silence nowhere");
}
