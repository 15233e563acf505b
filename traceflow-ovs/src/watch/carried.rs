//! Where DSCP is the carrier: the flows that know a probe's packets by it when they come from another node.

use traceflow_core::datapath::{Mark, TraceId};
use traceflow_core::packet::{CapturedPacket, CapturedTransport, IpFamily, Packet};
use traceflow_core::plan::FlowMatch;
use traceflow_openflow::field::Field;
use traceflow_openflow::matching::Match;
use traceflow_openflow::message::FlowMod;

use super::live::{packets, unmarked};
use super::{Flows, both, priority, set_dscp, set_register};
use crate::instance::{Instance, MarkKind, WireMark};
use crate::layout::Layout;

/// What comes from another node for one probe.
#[derive(Debug, Clone)]
pub(crate) struct Arrivals {
    pub(crate) trace: TraceId,
    pub(crate) mark: Mark,
    pub(crate) kind: MarkKind,
    /// The packets, as they look behind any translation of their destination.
    matching: FlowMatch,
    /// What is written into their DSCP; `None` leaves it.
    restored: Option<u8>,
}

impl Arrivals {
    /// Of an injected probe. Its packets keep their DSCP: who has the same may be a stranger.
    pub(crate) fn of_injected(trace: TraceId, mark: Mark, packet: &Packet) -> Self {
        let captured = CapturedPacket::from(packet);
        let icmp = match captured.transport {
            CapturedTransport::Icmp(header) => Some(header),
            _ => None,
        };
        Self {
            trace,
            mark,
            kind: MarkKind::Carried,
            matching: FlowMatch {
                source: Some(captured.source),
                protocol: Some(captured.protocol),
                source_port: captured.transport.ports().map(|(source, _)| source),
                icmp_type: icmp.map(|header| header.icmp_type),
                icmp_code: icmp.map(|header| header.code),
                ..FlowMatch::any(IpFamily::of(captured.source))
            },
            restored: None,
        }
    }

    /// Of a live probe: the DSCP is what it was if that is known, else 0.
    pub(crate) fn of_live(trace: TraceId, mark: Mark, kind: MarkKind, matching: &FlowMatch) -> Self {
        Self {
            trace,
            mark,
            kind,
            matching: FlowMatch {
                destination: None,
                destination_port: None,
                ..matching.clone()
            },
            restored: Some(matching.dscp.unwrap_or(0)),
        }
    }
}

/// The flows for these packets; none where they don't come by DSCP.
pub(crate) fn arrivals(layout: &Layout, instance: Instance, arriving: &Arrivals, expires: u16) -> Vec<FlowMod> {
    let mut flows = Flows::new(layout, instance, instance.trace_cookie(arriving.trace), expires);
    let Some(dscp) = layout.carrier.dscp(arriving.mark) else {
        return Vec::new();
    };
    let root = layout.stages[0].table;
    let wanted = FlowMatch {
        dscp: Some(dscp),
        ..arriving.matching.clone()
    };
    let register = instance.register(WireMark {
        kind: arriving.kind,
        mark: arriving.mark,
    });
    for port in layout.ways_in() {
        let from_there = Match::new().with(Field::OXM_OF_IN_PORT, port.into());
        let matching = unmarked(both(from_there, &packets(&wanted)), layout);
        let mut actions = vec![set_register(layout.mark_register, register)];
        actions.extend(arriving.restored.map(set_dscp));
        actions.extend(flows.let_decide(root));
        flows.push(root, priority::ARRIVAL, matching, actions);
    }
    flows.flows
}
