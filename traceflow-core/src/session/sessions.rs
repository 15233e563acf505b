//! All traces over one set of nodes.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::admission::{Reaches, admit};
use super::clock::later;
use super::nodes::{Common, Nodes};
use super::orders::Orders;
use super::single::{ATTEMPTS, Session};
use super::turns::{Connection, Turns};
use super::windows::Windows;
use super::{Order, OrderId, Progress, Scope, Task, Watch};
use crate::datapath::{Capabilities, DatapathError, Mark, Removed, Report, TraceId};
use crate::error::Error;
use crate::inventory::Inventory;
use crate::mark::{Claimant, Lease, Marks, SHORTEST_REST};
use crate::names::NodeName;
use crate::packet::Nonce;
use crate::plan::Plan;
use crate::trace::{Prediction, Trace, Unpredictable};

/// How long what stands on the nodes stays there when nothing is traced.
const IDLE: Duration = Duration::from_secs(30);

/// Many [`Session`]s at once over one set of nodes.
///
/// It refuses what the datapaths can't do before anything is touched, gives each trace its mark or queues it, keeps two
/// injected packets of one connection apart, attaches nodes when they are first needed and detaches them when nothing
/// is traced any more, and takes each sighting to its trace. What an event costs depends on the traces that it
/// concerns, not on how many there are.
///
/// The driver carries out the orders and hands in their results by number; it calls
/// [`handle_timeout`](Self::handle_timeout) when [`poll_timeout`](Self::poll_timeout) has come. After any call of a
/// `handle_*` method it polls everything.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Instant;
///
/// use traceflow_core::datapath::{Capabilities, Removed, TraceId};
/// use traceflow_core::session::{Event, Request, Sessions, Watch};
/// # use traceflow_core::plan::Plan;
/// # use traceflow_core::spec::CommandLine;
///
/// # let cluster = traceflow_sim::Cluster::builder().node("a").pod("client", "a").pod("web", "a").build()?;
/// # let asked = CommandLine { source: Some("client"), destination: Some("web"), ..Default::default() };
/// # let plan = Arc::new(Plan::resolve(&asked.spec(&cluster)?, &cluster, &mut fastrand::Rng::with_seed(1))?);
/// let able = Capabilities { inject: true, ipv4: true, marks: 1, nonce: true, ..Capabilities::default() };
/// let mut sessions = Sessions::new([("a".into(), able)], Arc::new(cluster), fastrand::Rng::with_seed(1));
/// let now = Instant::now();
/// sessions.handle_request(Request { trace: TraceId(1), plan, prediction: None, watch: Watch::Path }, now);
///
/// // A driver would call the node's datapath for each order, and hand in sightings; here nobody ever sees the packet.
/// let mut done = Vec::new();
/// let mut now = now;
/// let answer = loop {
///     while let Some(order) = sessions.poll_order() {
///         done.push(order.command.task.to_string());
///         sessions.handle_result(order.id, Ok(Removed::default()), now);
///     }
///     match sessions.poll_event() {
///         Some(Event::Finished(_, answer)) => break answer?,
///         Some(Event::Progress(_, news)) => println!("{news}"),
///         None => {
///             now = sessions.poll_timeout().expect("a trace that runs has an end");
///             sessions.handle_timeout(now);
///         }
///     }
/// };
/// assert_eq!(done, ["attach", "install", "inject", "inject", "remove"]);
/// assert_eq!(answer.verdict.to_string(), "not seen to its end: node a lost the packet before any watched point saw it");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Sessions {
    pub(super) nodes: Nodes,
    pub(super) inventory: Arc<dyn Inventory>,
    pub(super) rng: fastrand::Rng,
    pub(super) common: Common,
    reaches: Reaches,
    pub(super) marks: Marks,
    pub(super) shared: SharedMark,
    pub(super) turns: Turns,
    pub(super) windows: Windows,
    pub(super) traces: HashMap<TraceId, Entry>,
    pub(super) by_nonce: HashMap<Nonce, TraceId>,
    pub(super) by_mark: HashMap<Mark, TraceId>,
    pub(super) deadlines: BTreeSet<(Instant, TraceId)>,
    pub(super) idle_at: Option<Instant>,
    pub(super) closing: bool,
    pub(super) orders: Orders,
    pub(super) events: VecDeque<Event>,
}

/// A trace that is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its number; no other trace of these sessions ever has the same.
    pub trace: TraceId,
    /// What to trace.
    pub plan: Arc<Plan>,
    /// What a model of the network says, or why it can't; `None` if there is no model.
    pub prediction: Option<Result<Prediction, Unpredictable>>,
    /// Which nodes to watch.
    pub watch: Watch,
}

/// What the caller of a trace is told.
#[derive(Debug, Clone)]
pub enum Event {
    /// Something happened on the way.
    Progress(TraceId, Progress),
    /// The answer; the last event of a trace, and every trace gets one.
    Finished(TraceId, Result<Box<Trace>, Error>),
}

/// The mark that all injected traces share where nonces tell them apart.
#[derive(Debug, Default)]
pub(super) struct SharedMark {
    pub(super) lease: Option<Lease>,
    pub(super) users: usize,
    /// When the datapaths will have forgotten what could not be removed.
    pub(super) left_until: Option<Instant>,
    /// Those who wait for the lease.
    pub(super) waiting: BTreeSet<TraceId>,
}

/// A trace that isn't over.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) connection: Option<Connection>,
    /// When something is due without anything happening; mirrored in `deadlines`.
    pub(super) deadline: Option<Instant>,
    pub(super) state: State,
}

#[derive(Debug)]
pub(super) enum State {
    /// Waits for its turn or a mark. Next: `Running`; when time is over it ends as busy.
    Waiting(Box<Waiting>),
    /// Next: over, when the session says so.
    Running(Box<Running>),
}

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) request: Request,
    pub(super) scope: Scope,
}

#[derive(Debug)]
pub(super) struct Running {
    pub(super) session: Session,
    pub(super) mark: HeldMark,
    pub(super) nonces: [Nonce; ATTEMPTS],
    /// What runs on each node for this trace.
    pub(super) orders: HashMap<NodeName, OrderId>,
    /// When the datapaths will have forgotten what could not be removed.
    pub(super) lifetime: Duration,
}

#[derive(Debug)]
pub(super) enum HeldMark {
    Shared,
    Own(Lease),
}

impl Entry {
    fn runs(&self) -> bool {
        matches!(self.state, State::Running(_))
    }
}

impl Sessions {
    /// No traces yet, over these nodes. `rng` chooses the nonces.
    pub fn new(
        nodes: impl IntoIterator<Item = (NodeName, Capabilities)>,
        inventory: Arc<dyn Inventory>,
        rng: fastrand::Rng,
    ) -> Self {
        let nodes = Nodes::new(nodes);
        let common = nodes.common();
        let windows = Windows::new(nodes.all());
        Self {
            nodes,
            inventory,
            rng,
            common,
            reaches: Reaches::new(),
            marks: Marks::new(common.marks),
            shared: SharedMark::default(),
            turns: Turns::default(),
            windows,
            traces: HashMap::new(),
            by_nonce: HashMap::new(),
            by_mark: HashMap::new(),
            deadlines: BTreeSet::new(),
            idle_at: None,
            closing: false,
            orders: Orders::default(),
            events: VecDeque::new(),
        }
    }

    /// A trace is asked for. Whether it is refused, queued or begun is told by the events.
    pub fn handle_request(&mut self, request: Request, now: Instant) {
        let trace = request.trace;
        if self.closing {
            return self.answer(trace, Err(Error::Closed));
        }
        match admit(&request, &self.nodes, &*self.inventory, &mut self.reaches) {
            Ok(scope) => self.enter(Waiting { request, scope }, now),
            Err(refusal) => self.answer(trace, Err(refusal)),
        }
    }

    /// The result of an order; for all but remove, [`Removed::default`] stands for success.
    pub fn handle_result(&mut self, order: OrderId, result: Result<Removed, DatapathError>, now: Instant) {
        let Some(command) = self.orders.take(order) else { return };
        if let Task::Inject(probe, _) = &command.task {
            self.windows.sent(probe.trace, now);
        }
        match command.task.trace() {
            Some(trace) => self.with_session(trace, now, |session| session.handle_result(&command, result, now)),
            None if command.task == Task::Attach => self.handle_attached(&command, &result, now),
            None => {
                let result = result.map(|_| ());
                self.nodes.handle_detached(&command.node, result, now, &mut self.orders);
            }
        }
        self.settle(now);
    }

    /// A node's datapath said something of its own accord.
    pub fn handle_report(&mut self, node: &NodeName, report: Report, now: Instant) {
        match report {
            Report::Seen(sighting) => self.handle_sighting(node, sighting, now),
            Report::Lost { count } => {
                self.windows.shrink(node, now);
                for trace in self.nodes.traces(node) {
                    self.with_session(trace, now, |session| session.handle_lost(node, count));
                }
            }
            Report::Restarted => {
                self.nodes.handle_restarted(node, now, &mut self.orders);
                for trace in self.nodes.traces(node) {
                    self.with_session(trace, now, |session| session.handle_restarted(node, now));
                }
            }
        }
        self.settle(now);
    }

    /// The node's datapath is gone for good: its reports have ended. What was put in place there is still removed, as
    /// far as it answers.
    pub fn handle_gone(&mut self, node: &NodeName, now: Instant) {
        if self.nodes.lose(node) {
            for trace in self.nodes.traces(node) {
                self.with_session(trace, now, |session| session.handle_gone(node, now));
            }
        }
        self.settle(now);
    }

    /// The caller doesn't want the answer any more. The trace ends with [`Error::Cancelled`] when it is removed.
    pub fn handle_cancel(&mut self, trace: TraceId, now: Instant) {
        self.cancel(trace, Error::Cancelled, now);
        self.settle(now);
    }

    /// No more traces: those that run are cancelled, then the nodes are detached.
    pub fn handle_close(&mut self, now: Instant) {
        self.closing = true;
        let mut traces: Vec<(bool, TraceId)> = self
            .traces
            .iter()
            .map(|(&trace, entry)| (entry.runs(), trace))
            .collect();
        // Those who wait go first, so that none of them begins when another ends.
        traces.sort_unstable();
        for (_, trace) in traces {
            self.cancel(trace, Error::Closed, now);
        }
        self.settle(now);
        if self.traces.is_empty() {
            self.stand_down(now);
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(deadline, trace)) = self.deadlines.first()
            && deadline <= now
        {
            self.set_deadline(trace, None);
            match self.traces.get(&trace).map(|entry| &entry.state) {
                Some(State::Waiting(_)) => self.give_up_waiting(trace, now),
                _ => self.with_session(trace, now, |session| session.handle_timeout(now)),
            }
        }
        for ready in self.windows.handle_timeout(now) {
            self.claim_mark(ready, now);
        }
        self.nodes.handle_timeout(now, &mut self.orders);
        if self.idle_at.is_some_and(|idle_at| idle_at <= now) {
            self.stand_down(now);
        }
        self.settle(now);
    }

    /// The next order to carry out.
    pub fn poll_order(&mut self) -> Option<Order> {
        self.orders.poll()
    }

    /// The next order that was given up: it has hung for too long. If it still runs, its future is to be dropped.
    pub fn poll_abandoned(&mut self) -> Option<OrderId> {
        self.orders.poll_abandoned()
    }

    /// The next thing to tell a caller.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let first = self.deadlines.first().map(|&(deadline, _)| deadline);
        let all = [
            first,
            self.windows.poll_timeout(),
            self.marks.poll_timeout(),
            self.nodes.poll_timeout(),
            self.idle_at,
        ];
        all.into_iter().flatten().min()
    }

    /// Whether [`handle_close`](Self::handle_close) was called and all is removed and detached, as far as it can be.
    pub fn is_closed(&self) -> bool {
        self.closing && self.traces.is_empty() && self.nodes.all_detached()
    }

    /// The nodes whose detach failed for good, with what they said.
    pub fn failures(&self) -> impl Iterator<Item = (&NodeName, &DatapathError)> {
        self.nodes.failures()
    }

    /// How many traces run or wait.
    pub fn traces(&self) -> usize {
        self.traces.len()
    }

    /// Whether all injected traces share one mark, because every node reports their nonces.
    pub fn shares_mark(&self) -> bool {
        self.common.nonce
    }

    /// How many marks are out.
    pub fn leased_marks(&self) -> usize {
        self.marks.leased()
    }
}

/// How much is kept of what. All of it is of traces that are not over, or are still to be told of.
impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("traces", &self.traces.len())
            .field("deadlines", &self.deadlines.len())
            .field("nonces", &self.by_nonce.len())
            .field("connections", &self.turns.len())
            .field("in_windows", &self.windows.len())
            .field("own_marks", &self.by_mark.len())
            .field("sharing_a_mark", &self.shared.users)
            .field("waiting_to_share", &self.shared.waiting.len())
            .field("waiting_for_a_mark", &self.marks.waiting())
            .field("on_nodes", &self.nodes.enlisted())
            .field("orders", &self.orders.len())
            .field("events", &self.events.len())
            .finish_non_exhaustive()
    }
}

/// What concerns all traces.
impl Sessions {
    /// Hands out what has become free.
    pub(super) fn settle(&mut self, now: Instant) {
        if self.shared.lease.is_some() && self.marks.first() == Some(Claimant::Injected) {
            self.marks.leave(Claimant::Injected);
            self.begin_shared(now);
        }
        if self.marks.waiting() > 0 && self.shared.users == 0 {
            self.release_shared(now);
        }
        while let Some((claimant, lease)) = self.marks.poll_granted(now) {
            match claimant {
                Claimant::Trace(trace) => self.grant(trace, lease, now),
                Claimant::Injected => {
                    self.shared.lease = Some(lease);
                    self.begin_shared(now);
                }
            }
        }
        if !self.traces.is_empty() {
            self.idle_at = None;
        } else if self.closing {
            self.stand_down(now);
        } else if self.idle_at.is_none() && !self.nodes.all_detached() {
            self.idle_at = Some(now + IDLE);
        }
    }

    /// All who wait for the shared mark have it now.
    fn begin_shared(&mut self, now: Instant) {
        for trace in std::mem::take(&mut self.shared.waiting) {
            self.begin(trace, HeldMark::Shared, now);
        }
    }

    /// Nothing is traced: what stands on the nodes is taken away.
    pub(super) fn stand_down(&mut self, now: Instant) {
        self.idle_at = None;
        self.release_shared(now);
        self.nodes.detach_all(now, &mut self.orders);
    }

    pub(super) fn release_shared(&mut self, now: Instant) {
        if let Some(lease) = self.shared.lease.take() {
            let left_until = self.shared.left_until.take();
            self.marks.release(lease, self.rested_at(left_until, now));
        }
    }

    /// When a mark is free again, of which something is left on a node until `left_until`.
    pub(super) fn rested_at(&self, left_until: Option<Instant>, now: Instant) -> Instant {
        let forgotten_at = later(now, self.common.mark_memory.max(SHORTEST_REST));
        left_until.map_or(forgotten_at, |left_until| left_until.max(forgotten_at))
    }

    pub(super) fn set_deadline(&mut self, trace: TraceId, deadline: Option<Instant>) {
        let Some(entry) = self.traces.get_mut(&trace) else {
            return;
        };
        if let Some(old) = std::mem::replace(&mut entry.deadline, deadline) {
            self.deadlines.remove(&(old, trace));
        }
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, trace));
        }
    }

    pub(super) fn progress(&mut self, trace: TraceId, progress: Progress) {
        self.events.push_back(Event::Progress(trace, progress));
    }

    pub(super) fn answer(&mut self, trace: TraceId, outcome: Result<Box<Trace>, Error>) {
        self.events.push_back(Event::Finished(trace, outcome));
    }
}
