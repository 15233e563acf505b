//! The traced packet as a value: headers, addresses, nonce.
//!
//! All numbers are host values; byte order is the encoder's business. Lengths are in bytes.

#[cfg(test)]
mod arbitrary;
mod builder;
mod capture;
mod checksum;
mod encode;
mod field;
mod template;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use builder::{EthernetBuilder, IpBuilder, PacketError};
pub use capture::{CaptureError, CapturedPacket, CapturedTransport};
pub use encode::BufferTooSmall;
pub use field::{IpFamily, MacAddress, Nonce, Protocol, TcpFlags};
pub use template::{Patch, Template};

/// The packet to inject: everything that is on the wire, as values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Source MAC address.
    pub source_mac: MacAddress,
    /// Destination MAC address: the Pod's on the same subnet, else the gateway's.
    pub destination_mac: MacAddress,
    /// The network header.
    pub ip: IpHeader,
    /// The transport header.
    pub transport: Transport,
    /// Whose packet it is.
    pub nonce: Nonce,
}

impl Packet {
    /// The transport protocol.
    pub fn protocol(&self) -> Protocol {
        self.transport.protocol()
    }
}

/// The network header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IpHeader {
    /// RFC 791, without options.
    V4(Ipv4Header),
    /// RFC 8200, without extension headers.
    V6(Ipv6Header),
}

impl From<Ipv4Header> for IpHeader {
    fn from(header: Ipv4Header) -> Self {
        Self::V4(header)
    }
}

impl From<Ipv6Header> for IpHeader {
    fn from(header: Ipv6Header) -> Self {
        Self::V6(header)
    }
}

impl IpHeader {
    /// IPv4 or IPv6.
    pub fn family(&self) -> IpFamily {
        match self {
            Self::V4(_) => IpFamily::V4,
            Self::V6(_) => IpFamily::V6,
        }
    }

    /// The source address.
    pub fn source(&self) -> IpAddr {
        match self {
            Self::V4(header) => header.source.into(),
            Self::V6(header) => header.source.into(),
        }
    }

    /// The destination address.
    pub fn destination(&self) -> IpAddr {
        match self {
            Self::V4(header) => header.destination.into(),
            Self::V6(header) => header.destination.into(),
        }
    }

    /// TTL or hop limit.
    pub fn ttl(&self) -> u8 {
        match self {
            Self::V4(header) => header.ttl,
            Self::V6(header) => header.hop_limit,
        }
    }
}

/// The fields of an IPv4 header that a trace sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ipv4Header {
    /// Source address.
    pub source: Ipv4Addr,
    /// Destination address.
    pub destination: Ipv4Addr,
    /// Time to live.
    pub ttl: u8,
    /// Differentiated services code point, 0 to 63.
    pub dscp: u8,
    /// The three flag bits of RFC 791 as a number 0 to 7: 2 is don't fragment, 1 more fragments, 4 reserved.
    pub flags: u8,
    /// Identification.
    pub identification: u16,
}

impl Ipv4Header {
    /// The value of [`flags`](Self::flags) in a packet that must not be fragmented.
    pub const DONT_FRAGMENT: u8 = 2;
}

/// The fields of an IPv6 header that a trace sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ipv6Header {
    /// Source address.
    pub source: Ipv6Addr,
    /// Destination address.
    pub destination: Ipv6Addr,
    /// Hop limit.
    pub hop_limit: u8,
    /// Differentiated services code point, 0 to 63.
    pub dscp: u8,
    /// Flow label, 20 bits.
    pub flow_label: u32,
}

/// The transport header. The nonce is not here: the encoder puts it where [`Nonce`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
        /// Flags; a SYN unless asked otherwise.
        flags: TcpFlags,
    },
    /// UDP.
    Udp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
    },
    /// ICMP; an echo request unless asked otherwise.
    Icmp(IcmpHeader),
    /// ICMPv6; an echo request unless asked otherwise.
    Icmpv6(IcmpHeader),
    /// SCTP; an INIT chunk follows the common header.
    Sctp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
    },
    /// Any other protocol: the nonce is all its payload.
    Other(Protocol),
}

/// The first eight bytes of an ICMP or ICMPv6 message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IcmpHeader {
    /// Type: 8 (ICMP) or 128 (ICMPv6) is an echo request.
    pub icmp_type: u8,
    /// Code.
    pub code: u8,
    /// Identifier of an echo request.
    pub id: u16,
    /// Sequence number of an echo request.
    pub sequence: u16,
}

impl IcmpHeader {
    /// An ICMP echo request with identifier and sequence number 0.
    pub const ECHO_REQUEST: Self = Self::echo_request(8);
    /// An ICMPv6 echo request with identifier and sequence number 0.
    pub const ECHO_REQUEST_V6: Self = Self::echo_request(128);

    const fn echo_request(icmp_type: u8) -> Self {
        Self {
            icmp_type,
            code: 0,
            id: 0,
            sequence: 0,
        }
    }
}

impl Packet {
    /// The same packet with the ends that it was seen with, after translation; as it is where they are of another family
    /// or kind.
    pub(crate) fn with_ends_of(mut self, seen: &CapturedPacket) -> Self {
        match (&mut self.ip, seen.source, seen.destination) {
            (IpHeader::V4(header), IpAddr::V4(from), IpAddr::V4(to)) => {
                (header.source, header.destination) = (from, to);
            }
            (IpHeader::V6(header), IpAddr::V6(from), IpAddr::V6(to)) => {
                (header.source, header.destination) = (from, to);
            }
            _ => return self,
        }
        if let (
            Transport::Tcp {
                source, destination, ..
            }
            | Transport::Udp { source, destination }
            | Transport::Sctp { source, destination },
            Some(ports),
        ) = (&mut self.transport, seen.transport.ports())
        {
            (*source, *destination) = ports;
        }
        self
    }
}

impl Transport {
    /// The protocol number.
    pub fn protocol(&self) -> Protocol {
        match self {
            Self::Tcp { .. } => Protocol::TCP,
            Self::Udp { .. } => Protocol::UDP,
            Self::Icmp(_) => Protocol::ICMP,
            Self::Icmpv6(_) => Protocol::ICMPV6,
            Self::Sctp { .. } => Protocol::SCTP,
            Self::Other(protocol) => *protocol,
        }
    }

    /// The source and destination ports, where the protocol has them.
    pub fn ports(&self) -> Option<(u16, u16)> {
        match *self {
            Self::Tcp {
                source, destination, ..
            }
            | Self::Udp { source, destination }
            | Self::Sctp { source, destination } => Some((source, destination)),
            Self::Icmp(_) | Self::Icmpv6(_) | Self::Other(_) => None,
        }
    }
}
