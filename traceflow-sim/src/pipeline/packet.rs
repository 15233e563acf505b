//! The packet as it changes on its way.

use std::net::IpAddr;

use traceflow_core::packet::{CapturedPacket, CapturedTransport, Protocol};

/// What connection tracking knows a connection by. For an echo both ports are its identifier; protocols without ports
/// have 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Tuple {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) protocol: Protocol,
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
}

impl Tuple {
    pub(crate) fn of(packet: &CapturedPacket) -> Self {
        let (source_port, destination_port) = match &packet.transport {
            CapturedTransport::Icmp(header) => (header.id, header.id),
            transport => transport.ports().unwrap_or_default(),
        };
        Self {
            source: packet.source,
            destination: packet.destination,
            protocol: packet.protocol,
            source_port,
            destination_port,
        }
    }

    /// The tuple of an answer.
    pub(crate) fn reversed(self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            protocol: self.protocol,
            source_port: self.destination_port,
            destination_port: self.source_port,
        }
    }
}

/// Translates the destination; the port only where there is one.
pub(super) fn rewrite_destination(packet: &mut CapturedPacket, address: IpAddr, port: u16) {
    packet.destination = address;
    if let Some((_, destination)) = ports_mut(&mut packet.transport) {
        *destination = port;
    }
}

/// Translates the source; the port only where there is one.
pub(super) fn rewrite_source(packet: &mut CapturedPacket, address: IpAddr, port: u16) {
    packet.source = address;
    if let Some((source, _)) = ports_mut(&mut packet.transport) {
        *source = port;
    }
}

fn ports_mut(transport: &mut CapturedTransport) -> Option<(&mut u16, &mut u16)> {
    match transport {
        CapturedTransport::Tcp {
            source, destination, ..
        }
        | CapturedTransport::Udp { source, destination }
        | CapturedTransport::Sctp { source, destination } => Some((source, destination)),
        _ => None,
    }
}
