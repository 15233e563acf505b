//! Taking what is seen, until it is enough.

use std::time::{Duration, Instant};

use super::Progress;
use super::attempt::{Admitted, Attempt, View};
use super::clock::later;
use super::identity::is_of_injected;
use super::single::{ATTEMPTS, Conclusion, Phase, Session};
use super::work::{Stage, Work};
use crate::datapath::Sighting;
use crate::names::NodeName;
use crate::plan::Question;
use crate::trace::path::Exit;

/// How long no news is no news: then an injected trace tries again. Less where the trace's own time is short.
const QUIET: Duration = Duration::from_secs(1);

impl Session {
    /// The packet is in the network.
    pub(super) fn listen(&mut self, now: Instant) {
        if let Some(node) = self.start.clone() {
            let attempt = self.attempts.len() as u8;
            self.progress.push_back(Progress::Injected { node, attempt });
        }
        // Getting the second packet in may have taken all the time there was; it is listened for all the same.
        let until = *self.until.get_or_insert_with(|| later(now, self.setup.plan.timeout));
        let until = until.max(now + self.quiet());
        // If the datapath restarted under the packet there is nothing to wait for.
        let lost = self.work.values().any(|work| work.stage == Stage::Idle);
        let quiet_at = if lost { now } else { now + self.quiet() };
        self.phase = Phase::Listening {
            quiet_at: Some(quiet_at),
            until,
        };
    }

    pub(super) fn take_sighting(&mut self, sighting: Sighting, now: Instant) {
        self.touch(&sighting.node, now);
        let node = sighting.node.clone();
        let next = self.tunnel_ends(&sighting);
        if !self.admit(sighting, now) {
            return;
        }
        // The packet went there, whether or not anybody reports it.
        for node in &next {
            self.touch(node, now);
        }
        let work = self.work.get_mut(&node);
        if work.is_some_and(|work| !std::mem::replace(&mut work.seen, true)) {
            self.progress.push_back(Progress::Seen { node });
        }
        self.weigh(now);
    }

    /// Whether the sighting is new evidence.
    fn admit(&mut self, sighting: Sighting, now: Instant) -> bool {
        let number = match &self.setup.plan.question {
            Question::Inject { packet, .. } if !is_of_injected(packet, &sighting) => None,
            // A packet that was seen first while some node didn't watch yet would be followed with gaps.
            _ => self.attempts.iter().rposition(|attempt| attempt.may_own(&sighting)),
        };
        let Some(number) = number else {
            if self.is_live() {
                self.early.note(&sighting);
            }
            return false;
        };
        let injecting = matches!(self.phase, Phase::Injecting { .. });
        if injecting && number + 1 == self.attempts.len() {
            // A packet that is seen was let in, whatever the datapath is going to say.
            self.listen(now);
        }
        let mut attempt = std::mem::replace(&mut self.attempts[number], Attempt::new(None));
        let admitted = self.admit_to(&mut attempt, sighting);
        self.attempts[number] = attempt;
        admitted == Admitted::New
    }

    fn admit_to(&self, attempt: &mut Attempt, sighting: Sighting) -> Admitted {
        let view = View {
            beginning: &self.beginning,
            node_at: &|address| self.node_at(address),
        };
        match &self.setup.plan.question {
            Question::Inject { .. } => attempt.admit(sighting, &view),
            Question::Live { matching, dropped_only } => attempt.admit_live(sighting, matching, *dropped_only, &view),
        }
    }

    /// Something new is known: is it enough?
    fn weigh(&mut self, now: Instant) {
        if self.best().is_some_and(|attempt| attempt.path().complete) {
            return self.conclude(Conclusion::Answer, now);
        }
        let waits_for_more = !self.is_live() || self.has_end() || self.is_stalled();
        let quiet = self.quiet();
        if let Phase::Listening { quiet_at, .. } = &mut self.phase {
            *quiet_at = waits_for_more.then_some(now + quiet);
        }
    }

    /// Nothing new came for a while.
    pub(super) fn handle_quiet(&mut self, until: Instant, now: Instant) {
        let stalled = self.is_stalled();
        if !stalled && !self.is_live() && self.attempts.len() < ATTEMPTS {
            self.try_again(now);
        } else if stalled || self.has_end() {
            self.conclude(Conclusion::Answer, now);
        } else {
            self.phase = Phase::Listening { quiet_at: None, until };
        }
    }

    /// What is under way already is waited for, but no longer.
    pub(super) fn hasten_if_stalled(&mut self, now: Instant) {
        let soon = now + self.quiet();
        let stalled = self.is_stalled();
        if let Phase::Listening { quiet_at, .. } = &mut self.phase
            && stalled
        {
            *quiet_at = Some(quiet_at.map_or(soon, |quiet_at| quiet_at.min(soon)));
        }
    }

    /// Whether the node that the trace starts on, or the one whose word is missing, has failed; or all have. There is
    /// nothing to wait for then, nor would another packet show more.
    fn is_stalled(&self) -> bool {
        let failed = |work: &Work| work.stage == Stage::LeftOut;
        let needed = self.start.iter().chain(self.awaited());
        let needed_failed = needed.filter_map(|node| self.work.get(node)).any(failed);
        needed_failed || !self.work.values().any(Work::watches)
    }

    /// The node whose word is missing, where the packet says which.
    fn awaited(&self) -> Option<&NodeName> {
        let path = self.best()?.path();
        match (&path.exit, path.hops.last()) {
            (Some(Exit::To(node)), _) => Some(node),
            (Some(Exit::Unseen), Some(last)) => Some(&last.node),
            _ => None,
        }
    }

    fn quiet(&self) -> Duration {
        QUIET.min(self.setup.plan.timeout / 3)
    }

    /// The packet whose path shows most.
    fn best(&self) -> Option<&Attempt> {
        best(&self.attempts)
    }

    fn has_end(&self) -> bool {
        self.best().is_some_and(|attempt| attempt.path().has_end())
    }

    fn tunnel_ends(&self, sighting: &Sighting) -> Vec<NodeName> {
        let addresses = sighting.observations.iter().filter_map(|seen| seen.tunnel_dst_ip);
        addresses.filter_map(|address| self.node_at(address)).collect()
    }
}

/// The packet whose path shows most; of equals the first, which is the one that was asked for.
pub(super) fn best(attempts: &[Attempt]) -> Option<&Attempt> {
    best_number(attempts).map(|number| &attempts[number])
}

/// Its place.
pub(super) fn best_number(attempts: &[Attempt]) -> Option<usize> {
    (0..attempts.len()).rev().max_by_key(|&number| {
        let path = attempts[number].path();
        (path.complete, path.has_end(), path.hops.len())
    })
}
