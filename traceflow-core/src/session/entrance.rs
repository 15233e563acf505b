//! From the request to the session: turns, marks, and the queue for them.

use std::collections::{HashMap, hash_map};
use std::time::Instant;

use super::clock::later;
use super::sessions::{Entry, HeldMark, Running, Sessions, State, Waiting};
use super::single::{ATTEMPTS, Session, Setup};
use super::turns::Connection;
use super::{Progress, Request};
use crate::datapath::{Mark, TraceId};
use crate::error::Error;
use crate::mark::{Claimant, Lease};
use crate::packet::Nonce;
use crate::plan::Question;

impl Sessions {
    pub(super) fn enter(&mut self, waiting: Waiting, now: Instant) {
        let request = &waiting.request;
        let trace = request.trace;
        let connection = match &request.plan.question {
            Question::Inject { packet, .. } => Some(Connection::of(packet)),
            Question::Live { .. } => None,
        };
        let deadline = later(now, request.plan.timeout);
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
            0 => self.claim_places(trace, now),
            position => self.progress(trace, Progress::Queued { position }),
        }
        self.settle(now);
    }

    /// It is the trace's turn; its packet needs a place on each node that it should pass, and then a mark.
    fn claim_places(&mut self, trace: TraceId, now: Instant) {
        let Some(State::Waiting(waiting)) = self.traces.get(&trace).map(|entry| &entry.state) else {
            return;
        };
        let Request { plan, prediction, .. } = &waiting.request;
        let has_places = match &plan.question {
            Question::Inject { node, .. } => {
                let hops = prediction.iter().flatten().flat_map(|prediction| &prediction.hops);
                let nodes = std::iter::once(node).chain(hops.map(|hop| &hop.node));
                self.windows.enter(trace, nodes)
            }
            Question::Live { .. } => true,
        };
        if has_places {
            self.claim_mark(trace, now);
        } else if let Some(position) = self.windows.position(trace) {
            self.progress(trace, Progress::Queued { position });
        }
    }

    /// All that the trace needs now is a mark.
    pub(super) fn claim_mark(&mut self, trace: TraceId, now: Instant) {
        let claimant = self.claimant(trace);
        if claimant == Claimant::Injected && self.shared.lease.is_some() && !self.must_give_up_shared() {
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

    /// The only mark there is isn't shared with newcomers while others wait for it: they would wait for ever.
    fn must_give_up_shared(&self) -> bool {
        self.common.marks == 1 && self.marks.waiting() > 0
    }

    pub(super) fn claimant(&self, trace: TraceId) -> Claimant {
        let injected = self.traces.get(&trace).is_some_and(|entry| entry.connection.is_some());
        if injected && self.common.nonce {
            Claimant::Injected
        } else {
            Claimant::Trace(trace)
        }
    }

    pub(super) fn grant(&mut self, trace: TraceId, lease: Lease, now: Instant) {
        match self.claimant(trace) {
            Claimant::Injected => {
                self.shared.lease = Some(lease);
                self.begin(trace, HeldMark::Shared, now);
            }
            Claimant::Trace(_) => self.begin(trace, HeldMark::Own(lease), now),
        }
    }

    pub(super) fn begin(&mut self, trace: TraceId, mark: HeldMark, now: Instant) {
        let nonces = self.choose_nonces(trace);
        let Some(Entry {
            connection,
            deadline,
            state: State::Waiting(waiting),
        }) = self.traces.remove(&trace)
        else {
            return;
        };
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
            plan: waiting.request.plan,
            prediction: waiting.request.prediction,
            mark: number,
            nonces,
            scope: waiting.scope,
            inventory: self.inventory.clone(),
        };
        let session = Session::new(setup, now);
        let running = Running {
            lifetime: session.lifetime(),
            session,
            mark,
            nonces,
            orders: HashMap::new(),
        };
        let entry = Entry {
            connection,
            deadline,
            state: State::Running(Box::new(running)),
        };
        self.traces.insert(trace, entry);
        self.with_session(trace, now, |_| {});
    }

    pub(super) fn choose_nonces(&mut self, trace: TraceId) -> [Nonce; ATTEMPTS] {
        [(); ATTEMPTS].map(|()| {
            loop {
                let nonce = Nonce::random(&mut self.rng);
                if let hash_map::Entry::Vacant(free) = self.by_nonce.entry(nonce) {
                    free.insert(trace);
                    return nonce;
                }
            }
        })
    }

    pub(super) fn give_up_waiting(&mut self, trace: TraceId, now: Instant) {
        let position = self.position(trace).unwrap_or(1);
        self.stop_waiting(trace, Error::Busy { position }, now);
    }

    pub(super) fn position(&self, trace: TraceId) -> Option<usize> {
        let ahead = match self.traces.get(&trace)?.connection {
            Some(connection) => self.turns.position(connection, trace)?,
            None => 0,
        };
        if ahead > 0 {
            return Some(ahead);
        }
        let position = self.windows.position(trace);
        position.or_else(|| self.marks.position(self.claimant(trace)))
    }

    pub(super) fn stop_waiting(&mut self, trace: TraceId, error: Error, now: Instant) {
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

    /// The trace is over; whoever waited for its places or for the same connection is next.
    pub(super) fn forget(&mut self, trace: TraceId, now: Instant) {
        self.set_deadline(trace, None);
        let connection = self.traces.remove(&trace).and_then(|entry| entry.connection);
        for ready in self.windows.leave(trace) {
            self.claim_mark(ready, now);
        }
        let next = connection.and_then(|connection| self.turns.leave(connection, trace));
        if let Some(next) = next {
            self.claim_places(next, now);
        }
    }
}
