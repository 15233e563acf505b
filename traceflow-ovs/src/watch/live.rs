//! What a live probe adds: the flow that marks the real packets it looks for.

use std::net::IpAddr;

use traceflow_core::datapath::TraceId;
use traceflow_core::packet::{IpFamily, Protocol};
use traceflow_core::plan::FlowMatch;
use traceflow_openflow::field::Field;
use traceflow_openflow::matching::Match;
use traceflow_openflow::message::FlowMod;

use super::{Flows, IPV4, IPV6, priority, set_register, tell_of_the_first};
use crate::instance::Instance;
use crate::layout::{Layout, Role};

/// A live probe, as far as its flows depend on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LiveProbe<'a> {
    pub(crate) trace: TraceId,
    /// What the mark's register is to hold.
    pub(crate) register: u32,
    pub(crate) matching: &'a FlowMatch,
    /// Seconds until the flows go by themselves.
    pub(crate) expires: u16,
}

/// The flows of [`install`](traceflow_core::datapath::Datapath::install); the first is the one that marks.
pub(crate) fn live(layout: &Layout, instance: Instance, probe: LiveProbe<'_>) -> Vec<FlowMod> {
    let cookie = instance.trace_cookie(probe.trace);
    let mut flows = Flows::new(layout, instance, cookie, probe.expires);
    mark(&mut flows, probe);
    if probe.matching.source.is_some() {
        leave_foreigners(&mut flows, probe);
    }
    if probe.matching.new_only {
        unmark_known_connections(&mut flows, probe);
    }
    tell_of_the_first(&mut flows.flows);
    flows.flows
}

/// The packets begin as if they had been marked all along.
fn mark(flows: &mut Flows<'_>, probe: LiveProbe<'_>) {
    let root = flows.layout.stages[0].table;
    let set = set_register(flows.layout.mark_register, probe.register);
    let [decide, verdict] = flows.let_decide(root);
    let matching = unmarked(packets(probe.matching), flows.layout);
    flows.push(root, priority::ENTRY, matching, vec![set, decide, verdict]);
}

/// What a known source sends is marked where it sends it, not where it arrives.
fn leave_foreigners(flows: &mut Flows<'_>, probe: LiveProbe<'_>) {
    let layout = flows.layout;
    let root = layout.stages[0].table;
    let by_route = probe.matching.source.filter(|&source| layout.is_routed(source));
    let gateway = layout.gateway.filter(|_| by_route.is_some());
    for port in layout.tunnels.iter().copied().chain(gateway) {
        let from_there = Match::new().with(Field::OXM_OF_IN_PORT, port.into());
        let matching = super::both(from_there, &packets(probe.matching));
        let matching = unmarked(matching, layout);
        let [decide, _] = flows.let_decide(root);
        flows.push(root, priority::FOREIGN, matching, vec![flows.note(0), decide]);
    }
}

/// Whether a packet begins a connection is known only behind connection tracking.
fn unmark_known_connections(flows: &mut Flows<'_>, probe: LiveProbe<'_>) {
    let layout = flows.layout;
    let Some(index) = layout.stage(Role::Conntrack) else {
        return;
    };
    let table = layout.stages[index].table;
    let matching = Match::new()
        .with_masked(Field::NXM_NX_CT_STATE, TRACKED.into(), (NEW | TRACKED).into())
        .with(Field::register(layout.mark_register), probe.register.into());
    let forget = set_register(layout.mark_register, 0);
    let [decide, _] = flows.let_decide(table);
    flows.push(table, priority::UNMARK, matching, vec![forget, decide]);
}

/// Bits of `ct_state`.
const NEW: u32 = 0x01;
const TRACKED: u32 = 0x20;

/// Packets that come in, before any table has noted them.
pub(super) fn unmarked(matching: Match, layout: &Layout) -> Match {
    let guard = Field::register(layout.guard_register);
    matching
        .with(Field::register(layout.mark_register), 0)
        .with_masked(guard, 0, 1)
}

/// The packets that a live probe takes, prerequisites first.
pub(super) fn packets(wanted: &FlowMatch) -> Match {
    let v4 = wanted.family == IpFamily::V4;
    let mut fields = Match::new().with(Field::OXM_OF_ETH_TYPE, if v4 { IPV4 } else { IPV6 });
    if let Some(dscp) = wanted.dscp {
        fields = fields.with(Field::OXM_OF_IP_DSCP, dscp.into());
    }
    if let Some(protocol) = wanted.protocol {
        fields = fields.with(Field::OXM_OF_IP_PROTO, protocol.0.into());
    }
    for (address, v4, v6) in [
        (wanted.source, Field::OXM_OF_IPV4_SRC, Field::OXM_OF_IPV6_SRC),
        (wanted.destination, Field::OXM_OF_IPV4_DST, Field::OXM_OF_IPV6_DST),
    ] {
        fields = match address {
            Some(IpAddr::V4(address)) => fields.with_value(v4, address),
            Some(IpAddr::V6(address)) => fields.with_value(v6, address),
            None => fields,
        };
    }
    with_transport(fields, wanted)
}

fn with_transport(mut fields: Match, wanted: &FlowMatch) -> Match {
    let ports = match wanted.protocol {
        Some(Protocol::TCP) => Some((Field::OXM_OF_TCP_SRC, Field::OXM_OF_TCP_DST)),
        Some(Protocol::UDP) => Some((Field::OXM_OF_UDP_SRC, Field::OXM_OF_UDP_DST)),
        Some(Protocol::SCTP) => Some((Field::OXM_OF_SCTP_SRC, Field::OXM_OF_SCTP_DST)),
        _ => None,
    };
    if let Some((source, destination)) = ports {
        for (field, port) in [(source, wanted.source_port), (destination, wanted.destination_port)] {
            if let Some(port) = port {
                fields = fields.with(field, port.into());
            }
        }
    }
    if let Some(flags) = wanted.tcp_flags {
        fields = fields.with_masked(Field::OXM_OF_TCP_FLAGS, flags.set().0.into(), flags.mask().0.into());
    }
    let icmp = match wanted.family {
        IpFamily::V4 => (Field::OXM_OF_ICMPV4_TYPE, Field::OXM_OF_ICMPV4_CODE),
        IpFamily::V6 => (Field::OXM_OF_ICMPV6_TYPE, Field::OXM_OF_ICMPV6_CODE),
    };
    for (field, number) in [(icmp.0, wanted.icmp_type), (icmp.1, wanted.icmp_code)] {
        if let Some(number) = number {
            fields = fields.with(field, number.into());
        }
    }
    fields
}
