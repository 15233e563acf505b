//! A packet's way from node to node, with everything that it sets off.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use traceflow_core::datapath::Sighting;
use traceflow_core::observation::Observation;
use traceflow_core::packet::{CapturedPacket, Nonce};
use traceflow_core::trace::{Cause, Hop, Prediction, Silence, Verdict};

use super::node::{Carried, Node, now};
use super::{Fabric, TunnelFault};
use crate::cluster::{NodeId, PodId};
use crate::pipeline::{Arrival, Entering, Outcome, Passed, Planter, Tuple, pass};
use crate::predict::next;

/// One packet in the network.
pub(super) struct Flight<'a> {
    pub(super) fabric: &'a Fabric,
    pub(super) sender: Sender,
}

/// Who sent the packet.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sender {
    /// A workload.
    Workload,
    /// A tracer, for this trace.
    Tracer {
        carried: Carried,
        nonce: Nonce,
        lifetime: Duration,
    },
}

/// Where a packet ended and what became of it.
pub(super) struct Landed {
    pub(super) path: Prediction,
    /// The last node, how the packet left it, and the packet then; `None` if it was lost on the way.
    pub(super) end: Option<(NodeId, Outcome, CapturedPacket)>,
}

impl Flight<'_> {
    /// Sends the packet in and follows it to its end.
    pub(super) fn fly(&self, mut node: NodeId, mut arrival: Arrival, mut packet: CapturedPacket) -> Landed {
        let mut hops = Vec::with_capacity(2);
        let mut marks: Vec<Carried> = match self.sender {
            Sender::Workload => Vec::new(),
            Sender::Tracer { carried, .. } => vec![carried],
        };
        loop {
            let Some(passed) = self.cross(node, arrival, packet, &mut marks) else {
                return self.lost(hops, node);
            };
            let next = next(self.fabric.name(node), passed.outcome, passed.observations.last());
            hops.push(self.hop(node, passed.observations));
            let next = match next {
                ControlFlow::Continue(next) => next,
                ControlFlow::Break(verdict) => {
                    let path = Prediction::new(hops, verdict);
                    let end = Some((node, passed.outcome, passed.packet));
                    return Landed { path, end };
                }
            };
            match self.fabric.node(node).faults.tunnel {
                TunnelFault::None => {}
                TunnelFault::EatsMarks => marks.clear(),
                TunnelFault::EatsPackets => return self.lost(hops, next),
            }
            (node, arrival, packet) = (next, Arrival::Peer, passed.packet);
        }
    }

    /// Passes one node; `None` if it is dead.
    fn cross(&self, id: NodeId, arrival: Arrival, packet: CapturedPacket, marks: &mut Vec<Carried>) -> Option<Passed> {
        let now = now();
        let mut guard = self.fabric.node(id);
        let node: &mut Node = &mut guard;
        if !node.is_alive() {
            return None;
        }
        let entering = Entering {
            node: id,
            arrival,
            packet: packet.clone(),
            memory: Some((&node.memory, now)),
            as_first: matches!(self.sender, Sender::Tracer { .. }),
            endpoint: None,
            lenient: false,
            noting: false,
        };
        let mut passed = pass(&self.fabric.cluster, entering);
        node.faults.at_output(&self.fabric.cluster, &mut passed);
        self.hand_over(passed.outcome);
        let (planter, lifetime) = match self.sender {
            Sender::Workload => {
                let taken = node.matching(&packet, passed.tracked, arrival == Arrival::Peer, now);
                marks.extend(
                    taken
                        .into_iter()
                        .filter(|taken| !marks.contains(taken))
                        .collect::<Vec<_>>(),
                );
                node.memory.adopt(&Tuple::of(&packet), now);
                (Planter::Workload, None)
            }
            Sender::Tracer { carried, lifetime, .. } => (Planter::Trace(carried.owner), Some(lifetime)),
        };
        node.memory.learn(&passed.learned, planter, lifetime, now);
        self.report(node, id, &passed, marks);
        Some(passed)
    }

    /// What a tracer injects is not handed to anybody.
    fn hand_over(&self, outcome: Outcome) {
        if let (Sender::Workload, Outcome::ToPod(PodId(pod))) = (self.sender, outcome) {
            self.fabric.received[pod as usize].fetch_add(1, Ordering::Relaxed);
        }
    }

    fn report(&self, node: &mut Node, id: NodeId, passed: &Passed, marks: &[Carried]) {
        let last = passed.observations.last().map(|observation| &observation.action);
        let wanted: Vec<&Carried> = marks
            .iter()
            .filter(|carried| node.reports_on(**carried, last))
            .collect();
        if wanted.is_empty() {
            return;
        }
        let observations: Arc<[Observation]> = passed.observations.as_slice().into();
        for carried in wanted {
            let sighting = Sighting {
                node: self.fabric.name(id).clone(),
                mark: carried.mark,
                nonce: match self.sender {
                    Sender::Workload => None,
                    Sender::Tracer { nonce, .. } => self.fabric.settings.capabilities.nonce.then_some(nonce),
                },
                step: 0,
                observations: Arc::clone(&observations),
                packet: Some(passed.packet.clone()),
                established: passed.tracked,
                timestamp: (self.fabric.settings.clock)(),
            };
            node.report(carried.owner.tracer, sighting);
        }
    }

    fn hop(&self, node: NodeId, observations: Vec<Observation>) -> Hop {
        Hop {
            node: self.fabric.name(node).clone(),
            timestamp: (self.fabric.settings.clock)(),
            observations,
            after_gap: false,
        }
    }

    /// The packet never came to `node`.
    fn lost(&self, hops: Vec<Hop>, node: NodeId) -> Landed {
        let node = self.fabric.name(node).clone();
        let last = hops.last();
        let cause = match last {
            Some(hop) => Cause::LostBetween {
                from: hop.node.clone(),
                to: node.clone(),
            },
            None => Cause::LostInside { node: node.clone() },
        };
        let last_seen = last.and_then(|hop| Some((hop.node.clone(), hop.observations.last()?.clone())));
        let silence = Silence {
            last_seen,
            expected_next: Some(node),
            causes: vec![cause],
            not_watched: Vec::new(),
        };
        let verdict = Verdict::Unanswered(Box::new(silence));
        Landed {
            path: Prediction::new(hops, verdict),
            end: None,
        }
    }
}
