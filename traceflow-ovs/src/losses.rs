//! How many of the packets that our flows showed us never came: the switch counts what it shows, we count what we hear.

use std::sync::{Mutex, MutexGuard, PoisonError};

use traceflow_openflow::action::Action;
use traceflow_openflow::instruction::Instruction;
use traceflow_openflow::message::FlowEntry;

/// What came of what the switch has shown us, since our flows stand.
///
/// A packet-in is lost without a word when the switch's queue for us is full, or the connection is cut.
#[derive(Debug, Default)]
pub(crate) struct Losses(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    heard: u64,
    /// Those that were told of.
    lost: u64,
}

impl Counts {
    fn missing(&self, shown: u64) -> u64 {
        shown.saturating_sub(self.heard + self.lost)
    }
}

impl Losses {
    /// Our flows are new, and with them the switch's counters.
    pub(crate) fn begin(&self) {
        *self.lock() = Counts::default();
    }

    /// A packet-in of ours has come.
    pub(crate) fn hear(&self) {
        self.lock().heard += 1;
    }

    /// How many haven't come and weren't told of yet, if the switch has shown so many in all.
    pub(crate) fn missing(&self, shown: u64) -> u64 {
        self.lock().missing(shown)
    }

    /// The same, when nothing is on its way any more: they are lost, and told of now.
    pub(crate) fn find(&self, shown: u64) -> u64 {
        let mut counts = self.lock();
        let lost = counts.missing(shown);
        counts.lost += lost;
        lost
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many packets these flows have shown to their controller. What the flow cache has decided is missing for up to half
/// a second.
pub(crate) fn shown(flows: &[FlowEntry]) -> u64 {
    let showing = flows.iter().filter(|flow| shows(flow));
    showing.filter_map(|flow| flow.statistics.packets).sum()
}

fn shows(flow: &FlowEntry) -> bool {
    let mut actions = flow.instructions.iter().flat_map(|instruction| match instruction {
        Instruction::ApplyActions(actions) => actions.as_slice(),
        _ => &[],
    });
    actions.any(|action| matches!(action, Action::Controller(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loss_is_found_once() {
        let losses = Losses::default();
        for _ in 0..5 {
            losses.hear();
        }
        assert_eq!((losses.missing(8), losses.missing(8)), (3, 3));
        assert_eq!(losses.find(8), 3);
        assert_eq!(losses.missing(8), 0);
        assert_eq!(losses.find(8), 0);
        losses.hear();
        assert_eq!(losses.find(10), 1);
    }

    #[test]
    fn what_the_switch_has_not_counted_yet_is_no_loss() {
        let losses = Losses::default();
        losses.hear();
        assert_eq!(losses.find(0), 0);
        assert_eq!(losses.find(1), 0);
    }

    #[test]
    fn counting_begins_anew_with_the_flows() {
        let losses = Losses::default();
        losses.hear();
        losses.begin();
        assert_eq!(losses.find(1), 1);
    }
}
