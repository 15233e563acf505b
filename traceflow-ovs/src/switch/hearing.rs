//! What the switch says of its own accord: packets are reported, and what they left is forgotten at once.

use std::sync::Arc;
use std::time::SystemTime;

use traceflow_core::datapath::{Report, Sighting, TraceId};
use traceflow_core::packet::Nonce;
use traceflow_openflow::message::{Message, PacketInView};

use super::Switch;
use super::asking::Held;
use crate::beneath::Wanted;
use crate::channel::Said;
use crate::conntrack::Footprint;
use crate::evidence::{Arrival, Evidence, Known};
use crate::instance::MarkKind;
use crate::layout::Layout;
use crate::read;
use crate::watch::Punt;

impl Switch {
    pub(super) fn hear(&self, said: Said<'_>) -> Vec<Message> {
        match said {
            Said::Packet(packet_in) => self.hear_packet(packet_in),
            Said::Gone(flow) => {
                let wanted = |trace: &TraceId| self.instance().trace_cookie(*trace) == flow.cookie;
                if flow.cookie == self.instance().cookie() {
                    // Whoever takes away what stands takes away everything.
                    self.mirror.forget();
                }
                if flow.cookie == self.instance().cookie() || self.live().keys().any(wanted) {
                    self.disturbed.notify_one();
                }
                Vec::new()
            }
            Said::Hello => {
                self.mirror.forget();
                Vec::new()
            }
            Said::Flows(updates) => {
                self.mirror.change(&updates);
                Vec::new()
            }
            Said::Port(status) => {
                self.ports.change(&status);
                self.ports_changed.notify_one();
                Vec::new()
            }
        }
    }

    fn hear_packet(&self, packet_in: PacketInView<'_>) -> Vec<Message> {
        if Punt::read(packet_in.userdata).is_some() {
            self.losses.hear();
        }
        let Ok(layout) = self.layout() else { return Vec::new() };
        let Some(mut evidence) = self.evidence_of(packet_in, &layout) else {
            return Vec::new();
        };
        if self.evidence.receiver_count() > 0 {
            // Nobody listening any more is no failure.
            let _ = self.evidence.send(Arc::new(packet_in.to_packet_in()));
        }
        let remarks = self.remarks(&evidence);
        // Before anybody hears of the packet: who is told that it was seen may ask what it has left.
        let messages = match nonce(&evidence) {
            Some(nonce) => self.settle_packet(nonce, &evidence),
            None => self.count_punt(evidence.mark.mark).into_iter().collect(),
        };
        let now = SystemTime::now();
        match self.still_wanted(&mut evidence) {
            None => self.tell(evidence, &remarks, now),
            Some(wanted) => self.hold(Held {
                wanted,
                message: packet_in.message.to_vec(),
                remarks,
                at: now,
            }),
        }
        messages
    }

    pub(super) fn evidence_of<'a>(&'a self, packet_in: PacketInView<'a>, layout: &'a Layout) -> Option<Evidence<'a>> {
        let known = Known {
            layout,
            directory: &*self.settings.directory,
            ports: &self.ports,
        };
        Evidence::gather(packet_in, self.instance(), known)
    }

    /// What has to be asked before the packet is told of, where it isn't known already.
    fn still_wanted(&self, evidence: &mut Evidence<'_>) -> Option<Wanted> {
        let wanted = Wanted::of(evidence)?;
        let Wanted::Table(table) = wanted else {
            return Some(wanted);
        };
        match self.mirror.deeds(table, evidence) {
            None => Some(wanted),
            Some(deeds) => {
                evidence.deeds = deeds;
                None
            }
        }
    }

    /// Reports the packet, of which nothing more is to be known.
    pub(super) fn tell(&self, evidence: Evidence<'_>, remarks: &[String], timestamp: SystemTime) {
        self.report(&Report::Seen(Sighting {
            established: read::other_connection(&evidence).is_some(),
            node: self.settings.node.clone(),
            mark: evidence.mark.mark,
            nonce: nonce(&evidence),
            step: 0,
            observations: read::observations(&evidence, remarks).into(),
            timestamp,
            packet: Some(evidence.packet),
        }));
    }

    fn remarks(&self, evidence: &Evidence<'_>) -> Vec<String> {
        let mut remarks = Vec::new();
        let dscp = evidence.layout.carrier.dscp(evidence.mark.mark);
        if let Some(dscp) = dscp.filter(|_| evidence.arrival == Arrival::Peer) {
            remarks.push(read::carried(dscp, self.fate_of(evidence.mark.mark)));
        }
        if evidence.mark.kind == MarkKind::Injected {
            remarks.extend(read::other_connection(evidence).map(str::to_owned));
        }
        remarks
    }

    fn settle_packet(&self, nonce: Nonce, evidence: &Evidence<'_>) -> Vec<Message> {
        let begun = self.flights.begun_by(nonce);
        let Footprint { messages, changes } = Footprint::seen(evidence, begun);
        let (now, later) = match evidence.mark.kind {
            MarkKind::Carried => (Vec::new(), messages),
            _ => (messages, Vec::new()),
        };
        match begun {
            Some(_) => self.flights.land(nonce, changes),
            None => self.flights.visit(
                nonce,
                Footprint {
                    messages: later,
                    changes,
                },
            ),
        }
        self.flights.tell(&now);
        now
    }
}

/// Of an injected packet; what stands at its place in somebody else's means nothing.
fn nonce(evidence: &Evidence<'_>) -> Option<Nonce> {
    evidence.packet.nonce.filter(|_| evidence.mark.kind.is_injected())
}
