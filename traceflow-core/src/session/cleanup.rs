//! The one way out: whatever was touched is removed before the trace is over.

use std::sync::Arc;
use std::time::Instant;

use super::listening::best;
use super::single::{Conclusion, Phase, Session};
use super::work::{REMOVAL_PATIENCE, Removal, Work, no_answer};
use super::{Progress, Task};
use crate::datapath::{DatapathError, Probe, ProbeKind, Removed};
use crate::names::NodeName;

impl Session {
    /// Something of the trace can be on this node.
    pub(super) fn touch(&mut self, node: &NodeName, now: Instant) {
        let work = self.work.get_or_insert_with(node, Work::bystander);
        work.touched = true;
        if self.phase == Phase::CleaningUp && work.removal.is_none() {
            self.remove(node.clone(), 1, now);
        }
    }

    /// The answer is known; it is given when everything is removed.
    pub(super) fn conclude(&mut self, conclusion: Conclusion, now: Instant) {
        self.conclusion = conclusion;
        self.phase = Phase::CleaningUp;
        self.progress.push_back(Progress::CleaningUp);
        let touched = self.work.iter().filter(|(_, work)| work.touched);
        let touched: Vec<NodeName> = touched.map(|(node, _)| node.clone()).collect();
        for node in touched {
            self.remove(node, 1, now);
        }
        self.finish_if_clean();
    }

    fn remove(&mut self, node: NodeName, n: u8, now: Instant) {
        let work = self.work.get_or_insert_with(&node, Work::bystander);
        work.removal = Some(Removal::begin(n, now));
        let probe = self.probe_on(&node);
        self.command(node, Task::Remove(probe));
    }

    /// What is to be removed from a node. A packet that was translated came to later nodes with other ends, by which
    /// alone they know what it left.
    fn probe_on(&self, node: &NodeName) -> Arc<Probe> {
        let seen = best(&self.attempts).and_then(|best| best.captured(best.path()));
        match (&self.probe.kind, seen.and_then(|seen| seen.packet.as_ref())) {
            (ProbeKind::Injected { pod, packet }, Some(seen)) if self.start.as_ref() != Some(node) => {
                let (pod, packet) = (pod.clone(), packet.clone().with_ends_of(seen));
                Arc::new(Probe {
                    kind: ProbeKind::Injected { pod, packet },
                    ..(*self.probe).clone()
                })
            }
            _ => self.probe.clone(),
        }
    }

    pub(super) fn handle_removed(&mut self, node: &NodeName, result: Result<Removed, DatapathError>, now: Instant) {
        let removal = self.work.get_mut(node).and_then(|work| work.removal.as_mut());
        let Some(removal) = removal else {
            return;
        };
        let Removal::Running(n, _) = *removal else { return };
        match result {
            Ok(removed) => {
                *removal = Removal::Done(removed.changes);
                self.matched = sum(self.matched, removed.matched);
            }
            Err(error) => *removal = Removal::failed(n, error, now),
        }
        self.finish_if_clean();
    }

    pub(super) fn handle_removal_timeouts(&mut self, now: Instant) {
        let is_due = |removal: &Removal| removal.deadline().is_some_and(|until| until <= now);
        let due = self
            .work
            .iter()
            .filter(|(_, work)| work.removal.as_ref().is_some_and(is_due));
        let due: Vec<NodeName> = due.map(|(node, _)| node.clone()).collect();
        for node in due {
            match self.work.get(&node).and_then(|work| work.removal.as_ref()) {
                Some(&Removal::Pausing(n, _)) => self.remove(node, n + 1, now),
                _ => self.handle_removed(&node, Err(no_answer(REMOVAL_PATIENCE)), now),
            }
        }
    }

    fn finish_if_clean(&mut self) {
        if self.phase == Phase::CleaningUp && self.removals().all(Removal::over) {
            self.finish();
        }
    }
}

/// Unknown is nothing to add, not zero.
fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.saturating_add(other)),
        (one, other) => one.or(other),
    }
}
