//! What removals have undertaken to undo and haven't told of yet: one that fails or is dropped half way leaves it to the next.

use std::collections::BTreeMap;
use std::sync::Mutex;

use tokio::time::Instant;
use traceflow_core::datapath::{Probe, TraceId};
use traceflow_core::receipt::Change;

use super::lock;

/// The changes of the traces whose removal isn't over.
#[derive(Debug, Default)]
pub(crate) struct Untold(Mutex<BTreeMap<TraceId, Undertaken>>);

#[derive(Debug)]
struct Undertaken {
    changes: Vec<Change>,
    /// Then everything of the probe is gone by itself, and nobody asks any more.
    until: Instant,
}

impl Untold {
    /// A removal of the probe is to undo these too.
    pub(crate) fn keep(&self, probe: &Probe, changes: Vec<Change>) {
        let now = Instant::now();
        let mut untold = lock(&self.0);
        untold.retain(|_, undertaken| undertaken.until > now);
        if changes.is_empty() {
            return;
        }
        let undertaken = untold.entry(probe.trace).or_insert_with(|| Undertaken {
            changes: Vec::new(),
            until: now + probe.lifetime,
        });
        for change in changes {
            if !undertaken.changes.contains(&change) {
                undertaken.changes.push(change);
            }
        }
    }

    /// Whether a removal of this trace has anything to tell.
    pub(crate) fn holds(&self, trace: TraceId) -> bool {
        lock(&self.0).contains_key(&trace)
    }

    /// The removal is over: what it has to tell, once.
    pub(crate) fn tell(&self, trace: TraceId) -> Vec<Change> {
        let undertaken = lock(&self.0).remove(&trace);
        undertaken.map_or_else(Vec::new, |undertaken| undertaken.changes)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use traceflow_core::datapath::{Mark, ProbeKind};
    use traceflow_core::names::ObjectName;
    use traceflow_core::packet::{MacAddress, Packet, TcpFlags};
    use traceflow_core::receipt::{Changed, Fate};

    use super::*;

    fn probe(trace: u64) -> Probe {
        let ethernet = Packet::ethernet(MacAddress([2; 6]), MacAddress([4; 6]));
        let packet = ethernet.ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let packet = packet.tcp(1, 2, TcpFlags::SYN).unwrap();
        Probe {
            trace: TraceId(trace),
            mark: Mark(1),
            kind: ProbeKind::Injected {
                pod: ObjectName::new("default", "client"),
                packet,
            },
            lifetime: Duration::from_secs(60),
        }
    }

    fn flows(count: u64) -> Change {
        Change {
            what: Changed::Flows { count },
            fate: Fate::Undone,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_one_removal_did_not_tell_the_next_tells_once() {
        let untold = Untold::default();
        untold.keep(&probe(1), vec![flows(2)]);
        untold.keep(&probe(1), vec![flows(2)]);
        untold.keep(&probe(2), vec![flows(3)]);
        assert!(untold.holds(TraceId(1)));
        assert_eq!(untold.tell(TraceId(1)), [flows(2)]);
        assert_eq!(untold.tell(TraceId(1)), []);
        assert!(!untold.holds(TraceId(1)));
        assert_eq!(untold.tell(TraceId(2)), [flows(3)], "another trace's are its own");
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_asks_for_is_let_go_when_the_probe_is_gone_by_itself() {
        let untold = Untold::default();
        untold.keep(&probe(1), vec![flows(2)]);
        tokio::time::advance(Duration::from_secs(61)).await;
        untold.keep(&probe(2), Vec::new());
        assert!(!untold.holds(TraceId(1)));
    }
}
