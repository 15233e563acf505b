//! While sessions run: what they want done is ordered, what happens is taken to them.

use std::time::Instant;

use super::clock::later;
use super::identity::nonce_of;
use super::nodes::Standing;
use super::sessions::{Entry, HeldMark, Running, Sessions, State};
use super::single::Session;
use super::work::gone;
use super::{Command, Task};
use crate::datapath::{DatapathError, Removed, Sighting, TraceId};
use crate::error::Error;
use crate::mark::Lease;
use crate::names::NodeName;
use crate::trace::Trace;

impl Sessions {
    /// Does something with a session, then everything that the session wants done.
    pub(super) fn with_session(&mut self, trace: TraceId, now: Instant, event: impl FnOnce(&mut Session)) {
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

    pub(super) fn running(&mut self, trace: TraceId) -> Option<&mut Running> {
        match &mut self.traces.get_mut(&trace)?.state {
            State::Running(running) => Some(running),
            State::Waiting(_) => None,
        }
    }

    pub(super) fn carry_out(&mut self, trace: TraceId, command: Command, now: Instant) {
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

    pub(super) fn attach(&mut self, trace: TraceId, command: Command, now: Instant) {
        let result = match self.nodes.attach(&command.node, trace, now, &mut self.orders) {
            Standing::Ready => Ok(Removed::default()),
            Standing::Gone => Err(gone()),
            Standing::Wait | Standing::Nowhere => return,
        };
        if let Some(running) = self.running(trace) {
            running.session.handle_result(&command, result, now);
        }
    }

    pub(super) fn handle_attached(&mut self, command: &Command, result: &Result<Removed, DatapathError>, now: Instant) {
        let result_for_node = result.as_ref().map(|_| ()).map_err(Clone::clone);
        for trace in self.nodes.handle_attached(&command.node, &result_for_node) {
            let result = result.clone();
            self.with_session(trace, now, |session| session.handle_result(command, result, now));
        }
    }

    pub(super) fn handle_sighting(&mut self, node: &NodeName, mut sighting: Sighting, now: Instant) {
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
    pub(super) fn owner(&self, sighting: &Sighting) -> Option<TraceId> {
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

    pub(super) fn cancel(&mut self, trace: TraceId, error: Error, now: Instant) {
        match self.traces.get(&trace).map(|entry| &entry.state) {
            Some(State::Waiting(_)) => self.stop_waiting(trace, error, now),
            Some(State::Running(_)) => self.with_session(trace, now, |session| session.handle_cancel(error, now)),
            None => {}
        }
    }

    /// The session is over: mark, nonces and nodes are free for others.
    pub(super) fn end(&mut self, trace: TraceId, outcome: Result<Box<Trace>, Error>, now: Instant) {
        let Some(Entry {
            state: State::Running(running),
            ..
        }) = self.traces.get_mut(&trace)
        else {
            return;
        };
        let nodes: Vec<NodeName> = running.session.nodes().cloned().collect();
        let left_until = running.session.left_something().then(|| later(now, running.lifetime));
        for &order in running.orders.values() {
            self.orders.abandon(order);
        }
        for nonce in running.nonces {
            self.by_nonce.remove(&nonce);
        }
        let mark = std::mem::replace(&mut running.mark, HeldMark::Shared);
        self.give_back(mark, left_until, now);
        for node in nodes {
            self.nodes.dismiss(&node, trace);
        }
        self.forget(trace, now);
        self.answer(trace, outcome);
    }

    /// What a node kept of the trace can be reported until `left_until`; nobody else has its mark before.
    fn give_back(&mut self, mark: HeldMark, left_until: Option<Instant>, now: Instant) {
        match mark {
            HeldMark::Shared => {
                self.shared.users -= 1;
                self.shared.left_until = self.shared.left_until.max(left_until);
            }
            HeldMark::Own(lease) => {
                self.by_mark.remove(&lease.mark());
                self.marks.release(lease, self.rested_at(left_until, now));
            }
        }
    }
}
