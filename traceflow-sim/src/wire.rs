//! How packets of real stacks look to whoever captures them where they are sent.

use std::net::IpAddr;

use traceflow_core::packet::{CapturedPacket, CapturedTransport, IpFamily, Nonce, TcpFlags, Transport};

/// A packet of real traffic, before it is sent.
#[derive(Debug, Clone)]
pub(crate) struct WirePacket {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) ttl: u8,
    pub(crate) dscp: u8,
    /// IPv4's three flag bits; `None` for what Linux sets.
    pub(crate) ip_flags: Option<u8>,
    pub(crate) identification: u16,
    pub(crate) transport: Transport,
    /// Of TCP.
    pub(crate) sequence: u32,
}

impl WirePacket {
    /// `net.ipv4.ip_default_ttl`.
    pub(crate) const TTL: u8 = 64;

    /// How it looks to whoever captures it where it is sent.
    pub(crate) fn captured(&self) -> CapturedPacket {
        let v4 = IpFamily::of(self.destination) == IpFamily::V4;
        let header_length = if v4 { 20 } else { 40 };
        let dont_fragment = 2;
        CapturedPacket {
            source: self.source,
            destination: self.destination,
            length: header_length + transport_length(&self.transport),
            ttl: self.ttl,
            dscp: self.dscp,
            flags: v4.then(|| self.ip_flags.unwrap_or(dont_fragment)),
            identification: v4.then_some(self.identification),
            protocol: self.transport.protocol(),
            transport: captured(&self.transport, self.sequence),
            nonce: self.numbers_where_a_nonce_would_be(),
        }
    }

    /// A first segment's acknowledgement number is 0.
    fn numbers_where_a_nonce_would_be(&self) -> Option<Nonce> {
        matches!(self.transport, Transport::Tcp { .. }).then(|| Nonce(u64::from(self.sequence) << 32))
    }
}

fn captured(transport: &Transport, sequence: u32) -> CapturedTransport {
    match *transport {
        Transport::Tcp {
            source,
            destination,
            flags,
        } => CapturedTransport::Tcp {
            source,
            destination,
            flags: Some(flags),
            sequence: Some(sequence),
        },
        Transport::Udp { source, destination } => CapturedTransport::Udp { source, destination },
        Transport::Sctp { source, destination } => CapturedTransport::Sctp { source, destination },
        Transport::Icmp(header) | Transport::Icmpv6(header) => CapturedTransport::Icmp(header),
        Transport::Other(_) => CapturedTransport::None,
    }
}

/// What Linux sends: a SYN with 20 bytes of options and later segments with 12 (timestamps), ping's 56 bytes of data,
/// an INIT with the usual parameters.
fn transport_length(transport: &Transport) -> u32 {
    match transport {
        Transport::Tcp { flags, .. } if flags.contains(TcpFlags::SYN) => 40,
        Transport::Tcp { .. } => 32,
        Transport::Icmp(_) | Transport::Icmpv6(_) => 8 + 56,
        Transport::Udp { .. } => 8 + 32,
        Transport::Sctp { .. } => 12 + 36,
        Transport::Other(_) => 8,
    }
}
