//! What the switch says of its own accord: packets are reported, and what they left is forgotten at once.

use std::sync::Arc;
use std::time::SystemTime;

use traceflow_core::datapath::{Report, Sighting, TraceId};
use traceflow_core::packet::Nonce;
use traceflow_openflow::message::{Message, PacketIn2};

use super::Switch;
use crate::channel::Said;
use crate::conntrack::Footprint;
use crate::evidence::{Arrival, Evidence, Known};
use crate::instance::MarkKind;
use crate::read;
use crate::watch::Punt;

impl Switch {
    pub(super) fn hear(&self, said: &Said) -> Vec<Message> {
        match said {
            Said::Packet(packet_in) => self.hear_packet(packet_in),
            Said::Gone(flow) => {
                let wanted = |trace: &TraceId| self.instance().trace_cookie(*trace) == flow.cookie;
                if flow.cookie == self.instance().cookie() || self.live().keys().any(wanted) {
                    self.disturbed.notify_one();
                }
                Vec::new()
            }
            Said::Port(status) => {
                self.ports.change(status);
                self.ports_changed.notify_one();
                Vec::new()
            }
        }
    }

    fn hear_packet(&self, packet_in: &PacketIn2) -> Vec<Message> {
        if Punt::read(&packet_in.userdata).is_some() {
            self.losses.hear();
        }
        let Ok(layout) = self.layout() else { return Vec::new() };
        let known = Known {
            layout: &layout,
            directory: &*self.settings.directory,
            ports: &self.ports,
        };
        let Some(evidence) = Evidence::gather(packet_in, self.instance(), known) else {
            return Vec::new();
        };
        if self.evidence.receiver_count() > 0 {
            // Nobody listening any more is no failure.
            let _ = self.evidence.send(Arc::new(packet_in.clone()));
        }
        let injected = evidence.mark.kind.is_injected();
        let nonce = evidence.packet.nonce.filter(|_| injected);
        let observations = read::observations(&evidence, &self.remarks(&evidence));
        // Before anybody hears of the packet: who is told that it was seen may ask what it has left.
        let messages = match nonce {
            Some(nonce) => self.settle_packet(nonce, &evidence),
            None => self.count_punt(evidence.mark.mark).into_iter().collect(),
        };
        let established = read::other_connection(&evidence).is_some();
        self.report(&Report::Seen(Sighting {
            established,
            node: self.settings.node.clone(),
            mark: evidence.mark.mark,
            nonce,
            step: 0,
            observations: observations.into(),
            timestamp: SystemTime::now(),
            packet: Some(evidence.packet),
        }));
        messages
    }

    fn remarks(&self, evidence: &Evidence<'_>) -> Vec<String> {
        let mut remarks = Vec::new();
        let dscp = evidence.layout.carrier.dscp(evidence.mark.mark);
        if let Some(dscp) = dscp.filter(|_| evidence.arrival == Arrival::Tunnel) {
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
