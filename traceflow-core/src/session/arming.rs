//! Getting the nodes to watch, and the packet in.

use std::sync::Arc;
use std::time::Instant;

use super::attempt::Attempt;
use super::clock::later;
use super::single::{ATTEMPTS, Conclusion, Phase, Session};
use super::work::{PATIENCE, Stage, Work, gone, no_answer};
use super::{Progress, Task, Watched};
use crate::datapath::{DatapathError, Removed};
use crate::error::Error;
use crate::names::NodeName;
use crate::plan::Question;

impl Session {
    /// Arms these nodes, and those whose datapaths restarted, for the next packet.
    pub(super) fn arm(&mut self, nodes: &[Watched], now: Instant) {
        self.phase = Phase::Arming { until: now + PATIENCE };
        for watched in nodes {
            let new = Work::new(watched.standing);
            let work = self.work.get_or_insert_with(&watched.node, Work::bystander);
            if work.stage == Stage::Bystander {
                (work.standing, work.stage) = (new.standing, new.stage);
            }
        }
        let idle = self.work.iter().filter(|(_, work)| work.stage == Stage::Idle);
        let idle: Vec<NodeName> = idle.map(|(node, _)| node.clone()).collect();
        for node in idle {
            self.arm_node(&node);
        }
        self.go_on_if_armed(now);
    }

    pub(super) fn arm_node(&mut self, node: &NodeName) {
        if let Some(work) = self.work.get_mut(node) {
            work.stage = Stage::Attaching;
            self.command(node.clone(), Task::Attach);
        }
    }

    /// The end of what was under way on a node at this stage.
    pub(super) fn handle_armed(
        &mut self,
        node: &NodeName,
        stage: Stage,
        result: Result<Removed, DatapathError>,
        now: Instant,
    ) {
        if matches!(self.phase, Phase::CleaningUp | Phase::Over) {
            return;
        }
        let Some(work) = self.work.get_mut(node).filter(|work| work.stage == stage) else {
            return;
        };
        match result {
            Ok(_) if stage == Stage::Attaching && !work.standing => {
                work.stage = Stage::Installing;
                work.touched = true;
                self.command(node.clone(), Task::Install(self.probe.clone()));
            }
            Ok(_) => work.stage = Stage::Armed,
            Err(error) => self.leave_out(node, error, now),
        }
        self.go_on_if_armed(now);
    }

    /// Who hasn't confirmed by now has failed.
    pub(super) fn give_up_arming(&mut self, now: Instant) {
        let silent = self.work.iter().filter(|(_, work)| work.arming());
        let silent: Vec<NodeName> = silent.map(|(node, _)| node.clone()).collect();
        for node in silent {
            if matches!(self.phase, Phase::Arming { .. }) {
                self.leave_out(&node, no_answer(PATIENCE), now);
            }
        }
        self.go_on_if_armed(now);
    }

    /// The trace goes on without the node, unless it is the one that it starts on.
    fn leave_out(&mut self, node: &NodeName, error: DatapathError, now: Instant) {
        self.note_failed(node, &error);
        let somebody = self
            .work
            .values()
            .any(|work| work.arming() || work.stage == Stage::Armed);
        if self.start.as_ref() == Some(node) || !somebody {
            self.fail(node, error, now);
        }
    }

    /// Nothing is expected of the node any more.
    fn note_failed(&mut self, node: &NodeName, error: &DatapathError) {
        if let Some(work) = self.work.get_mut(node) {
            work.stage = Stage::LeftOut;
        }
        self.troubles.failed.insert(node.clone(), error.to_string().into());
    }

    /// With a packet on its way, what is known of it is the answer; without one there is none.
    fn fail(&mut self, node: &NodeName, error: DatapathError, now: Instant) {
        let conclusion = if self.attempts.is_empty() {
            let node = node.clone();
            Conclusion::Failure(Error::Unavailable { node, source: error })
        } else {
            Conclusion::Answer
        };
        self.conclude(conclusion, now);
    }

    fn go_on_if_armed(&mut self, now: Instant) {
        let arming = matches!(self.phase, Phase::Arming { .. });
        if !arming || self.work.values().any(Work::arming) {
            return;
        }
        match &self.setup.plan.question {
            Question::Inject { .. } => self.inject(now),
            Question::Live { .. } => self.listen_for_traffic(now),
        }
    }

    fn listen_for_traffic(&mut self, now: Instant) {
        let armed = self.work.iter().filter(|(_, work)| work.stage == Stage::Armed);
        let nodes = armed.map(|(node, _)| node.clone()).collect();
        self.progress.push_back(Progress::Armed { nodes });
        self.attempts.push(Attempt::of_traffic(std::mem::take(&mut self.early)));
        let until = later(now, self.setup.plan.timeout);
        self.phase = Phase::Listening { quiet_at: None, until };
    }

    fn inject(&mut self, now: Instant) {
        let Question::Inject { node, packet, .. } = &self.setup.plan.question else {
            return;
        };
        let (node, mut packet) = (node.clone(), packet.clone());
        packet.nonce = self.setup.nonces[self.attempts.len()];
        self.attempts.push(Attempt::new(Some(packet.nonce)));
        self.phase = Phase::Injecting { until: now + PATIENCE };
        self.touch(&node, now);
        self.command(node, Task::Inject(self.probe.clone(), Arc::new(packet)));
    }

    pub(super) fn handle_injected(&mut self, result: Result<Removed, DatapathError>, now: Instant) {
        if !matches!(self.phase, Phase::Injecting { .. }) {
            return;
        }
        match result {
            Ok(_) => self.listen(now),
            Err(error) => self.handle_failed_injection(error, now),
        }
    }

    fn handle_failed_injection(&mut self, error: DatapathError, now: Instant) {
        let Some(node) = self.start.clone() else { return };
        let restarted = self.troubles.restarted.contains(&node);
        if restarted && self.attempts.len() < ATTEMPTS {
            return self.try_again(now);
        }
        self.lose_injection(&node, error, now);
    }

    /// The packet that was to be let in doesn't count, as nobody saw it.
    fn lose_injection(&mut self, node: &NodeName, error: DatapathError, now: Instant) {
        self.attempts.pop();
        self.troubles.failed.insert(node.clone(), error.to_string().into());
        self.fail(node, error, now);
    }

    /// The node will never report again; the trace ends where it depends on that.
    pub(super) fn lose_node(&mut self, node: &NodeName, now: Instant) {
        match self.phase {
            Phase::Arming { .. } => {
                self.leave_out(node, gone(), now);
                self.go_on_if_armed(now);
            }
            Phase::Injecting { .. } if self.start.as_ref() == Some(node) => self.lose_injection(node, gone(), now),
            Phase::Injecting { .. } | Phase::Listening { .. } => {
                self.note_failed(node, &gone());
                self.hasten_if_stalled(now);
            }
            Phase::CleaningUp | Phase::Over => {}
        }
    }

    /// The next packet, with every node watching that can.
    pub(super) fn try_again(&mut self, now: Instant) {
        let attempt = self.attempts.len() as u8 + 1;
        self.progress.push_back(Progress::Retrying { attempt });
        let reach = Arc::clone(&self.setup.scope.reach);
        self.arm(&reach.within, now);
    }
}
