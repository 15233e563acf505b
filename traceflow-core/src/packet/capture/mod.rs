//! A captured frame, read back into fields.

use std::net::IpAddr;

use super::{IcmpHeader, Nonce, Protocol, TcpFlags};

/// What a captured frame said about itself; whatever was cut off or unreadable is `None`.
///
/// This is `status.capturedPacket` of the Traceflow resource, with the identity fields that tell two packets apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapturedPacket {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Length of the IP packet, its header included, as the header claims it.
    pub length: u32,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Differentiated services code point.
    pub dscp: u8,
    /// IPv4's three flag bits; `None` for IPv6.
    pub flags: Option<u8>,
    /// IPv4's identification; `None` for IPv6.
    pub identification: Option<u16>,
    /// The transport protocol, behind any IPv6 extension headers.
    pub protocol: Protocol,
    /// The transport header, as far as it was there.
    pub transport: CapturedTransport,
    /// The nonce, where the packet has room for one. A stranger's packet has a number there too: compare, never trust.
    pub nonce: Option<Nonce>,
}

/// The transport header of a [`CapturedPacket`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CapturedTransport {
    /// TCP.
    Tcp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
        /// Flags; `None` if the frame was cut before them.
        flags: Option<TcpFlags>,
        /// Sequence number; `None` if the frame was cut before it.
        sequence: Option<u32>,
    },
    /// UDP.
    Udp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
    },
    /// SCTP.
    Sctp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
    },
    /// ICMP or ICMPv6.
    Icmp(IcmpHeader),
    /// Another protocol, a later fragment, or a header that was cut off.
    None,
}
