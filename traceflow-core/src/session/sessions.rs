//! All traces over one set of nodes.

use std::collections::{BTreeSet, HashMap, VecDeque, hash_map};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::admission::admit;
use super::identity::nonce_of;
use super::nodes::{Common, Nodes, Standing};
use super::orders::Orders;
use super::single::{ATTEMPTS, Session, Setup};
use super::turns::{Connection, Turns};
use super::{Command, Order, OrderId, Progress, Scope, Task, Watch};
use crate::datapath::{Capabilities, DatapathError, Mark, Removed, Report, Sighting, TraceId};
use crate::error::Error;
use crate::inventory::Inventory;
use crate::mark::{Claimant, Lease, Marks, SHORTEST_REST};
use crate::names::NodeName;
use crate::packet::Nonce;
use crate::plan::{Plan, Question};
use crate::trace::{Prediction, Trace};

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
pub struct Sessions {
    nodes: Nodes,
    inventory: Arc<dyn Inventory>,
    rng: fastrand::Rng,
    common: Common,
    marks: Marks,
    shared: SharedMark,
    turns: Turns,
    traces: HashMap<TraceId, Entry>,
    by_nonce: HashMap<Nonce, TraceId>,
    by_mark: HashMap<Mark, TraceId>,
    deadlines: BTreeSet<(Instant, TraceId)>,
    idle_at: Option<Instant>,
    closing: bool,
    orders: Orders,
    events: VecDeque<Event>,
}

/// A trace that is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its number; no other trace of these sessions ever has the same.
    pub trace: TraceId,
    /// What to trace.
    pub plan: Arc<Plan>,
    /// What a model of the network says, if there is one.
    pub prediction: Option<Prediction>,
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
struct SharedMark {
    lease: Option<Lease>,
    users: usize,
    /// Those who wait for the lease.
    waiting: BTreeSet<TraceId>,
}

/// A trace that isn't over.
#[derive(Debug)]
struct Entry {
    connection: Option<Connection>,
    /// When something is due without anything happening; mirrored in `deadlines`.
    deadline: Option<Instant>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Waits for its turn or a mark. Next: `Running`; when time is over it ends as busy.
    Waiting(Box<Waiting>),
    /// Next: over, when the session says so.
    Running(Box<Running>),
}

#[derive(Debug)]
struct Waiting {
    request: Request,
    scope: Scope,
}

#[derive(Debug)]
struct Running {
    session: Session,
    mark: HeldMark,
    nonces: [Nonce; ATTEMPTS],
    /// What runs on each node for this trace.
    orders: HashMap<NodeName, OrderId>,
    /// When the datapaths will have forgotten what could not be removed.
    lifetime: Duration,
}

#[derive(Debug)]
enum HeldMark {
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
        Self {
            nodes,
            inventory,
            rng,
            common,
            marks: Marks::new(common.marks),
            shared: SharedMark::default(),
            turns: Turns::default(),
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
        match admit(&request, &self.nodes, &*self.inventory) {
            Ok(scope) => self.enter(Waiting { request, scope }, now),
            Err(refusal) => self.answer(trace, Err(refusal)),
        }
    }

    /// The result of an order; for all but remove, [`Removed::default`] stands for success.
    pub fn handle_result(&mut self, order: OrderId, result: Result<Removed, DatapathError>, now: Instant) {
        let Some(command) = self.orders.take(order) else { return };
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

/// From the request to the session.
impl Sessions {
    fn enter(&mut self, waiting: Waiting, now: Instant) {
        let request = &waiting.request;
        let trace = request.trace;
        let connection = match &request.plan.question {
            Question::Inject { packet, .. } => Some(Connection::of(packet)),
            Question::Live { .. } => None,
        };
        let deadline = now + request.plan.timeout;
        self.idle_at = None;
        self.traces.insert(
            trace,
            Entry {
                connection,
                deadline: None,
                state: State::Waiting(Box::new(waiting)),
            },
        );
        self.set_deadline(trace, Some(deadline));
        match connection.map_or(0, |connection| self.turns.enter(connection, trace)) {
            0 => self.claim_mark(trace, now),
            position => self.progress(trace, Progress::Queued { position }),
        }
        self.settle(now);
    }

    /// It is the trace's turn; what it needs now is a mark.
    fn claim_mark(&mut self, trace: TraceId, now: Instant) {
        let claimant = self.claimant(trace);
        if claimant == Claimant::Injected && self.shared.lease.is_some() {
            return self.begin(trace, HeldMark::Shared, now);
        }
        match self.marks.lease(claimant, now) {
            Ok(lease) => self.grant(trace, lease, now),
            Err(position) => {
                if claimant == Claimant::Injected {
                    self.shared.waiting.insert(trace);
                }
                self.progress(trace, Progress::Queued { position });
            }
        }
    }

    fn claimant(&self, trace: TraceId) -> Claimant {
        let injected = self.traces.get(&trace).is_some_and(|entry| entry.connection.is_some());
        if injected && self.common.nonce {
            Claimant::Injected
        } else {
            Claimant::Trace(trace)
        }
    }

    fn grant(&mut self, trace: TraceId, lease: Lease, now: Instant) {
        match self.claimant(trace) {
            Claimant::Injected => {
                self.shared.lease = Some(lease);
                self.begin(trace, HeldMark::Shared, now);
            }
            Claimant::Trace(_) => self.begin(trace, HeldMark::Own(lease), now),
        }
    }

    fn begin(&mut self, trace: TraceId, mark: HeldMark, now: Instant) {
        let nonces = self.choose_nonces(trace);
        let Some(entry) = self.traces.get_mut(&trace) else {
            return;
        };
        let State::Waiting(waiting) = &entry.state else { return };
        let number = match &mark {
            HeldMark::Shared => {
                self.shared.users += 1;
                self.shared.lease.as_ref().map_or(Mark(0), Lease::mark)
            }
            HeldMark::Own(lease) => {
                self.by_mark.insert(lease.mark(), trace);
                lease.mark()
            }
        };
        let setup = Setup {
            trace,
            plan: waiting.request.plan.clone(),
            prediction: waiting.request.prediction.clone(),
            mark: number,
            nonces,
            scope: waiting.scope.clone(),
            inventory: self.inventory.clone(),
        };
        let session = Session::new(setup, now);
        entry.state = State::Running(Box::new(Running {
            lifetime: session.lifetime(),
            session,
            mark,
            nonces,
            orders: HashMap::new(),
        }));
        self.with_session(trace, now, |_| {});
    }

    fn choose_nonces(&mut self, trace: TraceId) -> [Nonce; ATTEMPTS] {
        [(); ATTEMPTS].map(|()| {
            loop {
                let nonce = Nonce(self.rng.u64(1..));
                if let hash_map::Entry::Vacant(free) = self.by_nonce.entry(nonce) {
                    free.insert(trace);
                    return nonce;
                }
            }
        })
    }

    fn give_up_waiting(&mut self, trace: TraceId, now: Instant) {
        let position = self.position(trace).unwrap_or(1);
        self.stop_waiting(trace, Error::Busy { position }, now);
    }

    fn position(&self, trace: TraceId) -> Option<usize> {
        let ahead = match self.traces.get(&trace)?.connection {
            Some(connection) => self.turns.position(connection, trace)?,
            None => 0,
        };
        if ahead > 0 {
            Some(ahead)
        } else {
            self.marks.position(self.claimant(trace))
        }
    }

    fn stop_waiting(&mut self, trace: TraceId, error: Error, now: Instant) {
        if self.shared.waiting.remove(&trace) {
            if self.shared.waiting.is_empty() {
                self.marks.leave(Claimant::Injected);
            }
        } else {
            self.marks.leave(Claimant::Trace(trace));
        }
        self.forget(trace, now);
        self.answer(trace, Err(error));
    }

    /// The trace is over; whoever waited for the same connection is next.
    fn forget(&mut self, trace: TraceId, now: Instant) {
        self.set_deadline(trace, None);
        let connection = self.traces.remove(&trace).and_then(|entry| entry.connection);
        let next = connection.and_then(|connection| self.turns.leave(connection, trace));
        if let Some(next) = next {
            self.claim_mark(next, now);
        }
    }
}

/// While a session runs.
impl Sessions {
    /// Does something with a session, then everything that the session wants done.
    fn with_session(&mut self, trace: TraceId, now: Instant, event: impl FnOnce(&mut Session)) {
        let Some(running) = self.running(trace) else { return };
        event(&mut running.session);
        while let Some(command) = self.running(trace).and_then(|running| running.session.poll_command()) {
            self.carry_out(trace, command, now);
        }
        let Some(running) = self.running(trace) else { return };
        let deadline = running.session.poll_timeout();
        let outcome = running.session.poll_outcome();
        while let Some(progress) = self.running(trace).and_then(|running| running.session.poll_progress()) {
            self.progress(trace, progress);
        }
        self.set_deadline(trace, deadline);
        if let Some(outcome) = outcome {
            self.end(trace, outcome, now);
        }
    }

    fn running(&mut self, trace: TraceId) -> Option<&mut Running> {
        match &mut self.traces.get_mut(&trace)?.state {
            State::Running(running) => Some(running),
            State::Waiting(_) => None,
        }
    }

    fn carry_out(&mut self, trace: TraceId, command: Command, now: Instant) {
        let known = self.nodes.enlist(&command.node, trace);
        let Some(running) = self.running(trace) else { return };
        if !known {
            // A sighting or a tunnel led to a node that has no datapath here: nothing can be there, nor be removed.
            return running.session.handle_result(&command, Ok(Removed::default()), now);
        }
        if command.task == Task::Attach {
            return self.attach(trace, command, now);
        }
        let node = command.node.clone();
        let earlier = running.orders.get(&node).copied();
        let order = self.orders.give(command, earlier);
        if let Some(running) = self.running(trace) {
            running.orders.insert(node, order);
        }
    }

    fn attach(&mut self, trace: TraceId, command: Command, now: Instant) {
        if self.nodes.attach(&command.node, trace, now, &mut self.orders) == Standing::Ready
            && let Some(running) = self.running(trace)
        {
            running.session.handle_result(&command, Ok(Removed::default()), now);
        }
    }

    fn handle_attached(&mut self, command: &Command, result: &Result<Removed, DatapathError>, now: Instant) {
        let result_for_node = result.as_ref().map(|_| ()).map_err(Clone::clone);
        for trace in self.nodes.handle_attached(&command.node, &result_for_node) {
            let result = result.clone();
            self.with_session(trace, now, |session| session.handle_result(command, result, now));
        }
    }

    fn handle_sighting(&mut self, node: &NodeName, mut sighting: Sighting, now: Instant) {
        // A datapath speaks for its own node.
        sighting.node.clone_from(node);
        if self.nodes.capabilities(node).is_none() {
            return;
        }
        if let Some(trace) = self.owner(&sighting) {
            self.with_session(trace, now, |session| session.handle_sighting(sighting, now));
        }
    }

    /// Whose sighting it is: by the mark, and under the shared mark by the nonce.
    fn owner(&self, sighting: &Sighting) -> Option<TraceId> {
        let shared = self.shared.lease.as_ref().map(Lease::mark);
        if shared == Some(sighting.mark) {
            let trace = self.by_nonce.get(&nonce_of(sighting)?)?;
            let entry = self.traces.get(trace)?;
            let State::Running(running) = &entry.state else {
                return None;
            };
            return matches!(running.mark, HeldMark::Shared).then_some(*trace);
        }
        self.by_mark.get(&sighting.mark).copied()
    }

    fn cancel(&mut self, trace: TraceId, error: Error, now: Instant) {
        match self.traces.get(&trace).map(|entry| &entry.state) {
            Some(State::Waiting(_)) => self.stop_waiting(trace, error, now),
            Some(State::Running(_)) => self.with_session(trace, now, |session| session.handle_cancel(error, now)),
            None => {}
        }
    }

    /// The session is over: mark, nonces and nodes are free for others.
    fn end(&mut self, trace: TraceId, outcome: Result<Trace, Error>, now: Instant) {
        let Some(Entry {
            state: State::Running(running),
            ..
        }) = self.traces.get_mut(&trace)
        else {
            return;
        };
        let nodes: Vec<NodeName> = running.session.nodes().cloned().collect();
        let forgotten_at = now + self.common.mark_memory.max(SHORTEST_REST);
        let rested_at = if running.session.left_something() {
            forgotten_at.max(now + running.lifetime)
        } else {
            forgotten_at
        };
        for &order in running.orders.values() {
            self.orders.abandon(order);
        }
        for nonce in running.nonces {
            self.by_nonce.remove(&nonce);
        }
        match std::mem::replace(&mut running.mark, HeldMark::Shared) {
            HeldMark::Shared => self.shared.users -= 1,
            HeldMark::Own(lease) => {
                self.by_mark.remove(&lease.mark());
                self.marks.release(lease, rested_at);
            }
        }
        for node in nodes {
            self.nodes.dismiss(&node, trace);
        }
        self.forget(trace, now);
        self.answer(trace, outcome);
    }
}

/// What concerns all traces.
impl Sessions {
    /// Hands out what has become free.
    fn settle(&mut self, now: Instant) {
        if self.marks.waiting() > 0 && self.shared.users == 0 {
            self.release_shared(now);
        }
        while let Some((claimant, lease)) = self.marks.poll_granted(now) {
            match claimant {
                Claimant::Trace(trace) => self.grant(trace, lease, now),
                Claimant::Injected => {
                    self.shared.lease = Some(lease);
                    for trace in std::mem::take(&mut self.shared.waiting) {
                        self.begin(trace, HeldMark::Shared, now);
                    }
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

    /// Nothing is traced: what stands on the nodes is taken away.
    fn stand_down(&mut self, now: Instant) {
        self.idle_at = None;
        self.release_shared(now);
        self.nodes.detach_all(now, &mut self.orders);
    }

    fn release_shared(&mut self, now: Instant) {
        if let Some(lease) = self.shared.lease.take() {
            self.marks
                .release(lease, now + self.common.mark_memory.max(SHORTEST_REST));
        }
    }

    fn set_deadline(&mut self, trace: TraceId, deadline: Option<Instant>) {
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

    fn progress(&mut self, trace: TraceId, progress: Progress) {
        self.events.push_back(Event::Progress(trace, progress));
    }

    fn answer(&mut self, trace: TraceId, outcome: Result<Trace, Error>) {
        self.events.push_back(Event::Finished(trace, outcome.map(Box::new)));
    }
}
