//! Which packets a live probe takes.

use traceflow_core::packet::{IpFamily, IpHeader, Packet, Transport};
use traceflow_core::plan::FlowMatch;

pub(super) fn matches(wanted: &FlowMatch, packet: &Packet) -> bool {
    let (ip, ports) = (&packet.ip, packet.transport.ports());
    let flags = match packet.transport {
        Transport::Tcp { flags, .. } => Some(flags),
        _ => None,
    };
    let icmp = match &packet.transport {
        Transport::Icmp(header) | Transport::Icmpv6(header) => Some(header),
        _ => None,
    };
    wanted.family == IpFamily::of(ip.source())
        && wanted.source.is_none_or(|source| source == ip.source())
        && wanted
            .destination
            .is_none_or(|destination| destination == ip.destination())
        && wanted.protocol.is_none_or(|protocol| protocol == packet.protocol())
        && wanted
            .source_port
            .is_none_or(|port| ports.is_some_and(|(source, _)| source == port))
        && wanted
            .destination_port
            .is_none_or(|port| ports.is_some_and(|(_, destination)| destination == port))
        && wanted
            .tcp_flags
            .is_none_or(|wanted| flags.is_some_and(|flags| wanted.matches(flags)))
        && wanted
            .icmp_type
            .is_none_or(|wanted| icmp.is_some_and(|header| header.icmp_type == wanted))
        && wanted
            .icmp_code
            .is_none_or(|wanted| icmp.is_some_and(|header| header.code == wanted))
        && wanted.dscp.is_none_or(|wanted| wanted == dscp(packet))
}

pub(super) fn dscp(packet: &Packet) -> u8 {
    match &packet.ip {
        IpHeader::V4(header) => header.dscp,
        IpHeader::V6(header) => header.dscp,
    }
}
