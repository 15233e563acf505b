//! The traced packet as a value: headers, addresses, nonce.
//!
//! All numbers are host values; byte order is the encoder's business. Lengths are in bytes.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A 48-bit Ethernet address, printed as `02:00:0a:00:00:01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MacAddress(pub [u8; 6]);

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// The 64-bit number that says whose an injected packet is. TCP carries it in the sequence and acknowledgement
/// numbers, every other protocol in the first eight bytes of its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Nonce(pub u64);

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The family of an IP address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IpFamily {
    /// RFC 791.
    V4,
    /// RFC 8200.
    V6,
}

impl IpFamily {
    /// The family of `address`.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

impl fmt::Display for IpFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// An IP protocol number (IANA "Assigned Internet Protocol Numbers").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Protocol(pub u8);

impl Protocol {
    /// Internet Control Message Protocol, RFC 792.
    pub const ICMP: Self = Self(1);
    /// Transmission Control Protocol, RFC 9293.
    pub const TCP: Self = Self(6);
    /// User Datagram Protocol, RFC 768.
    pub const UDP: Self = Self(17);
    /// ICMP for IPv6, RFC 4443.
    pub const ICMPV6: Self = Self(58);
    /// Stream Control Transmission Protocol, RFC 9260.
    pub const SCTP: Self = Self(132);
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ICMP => f.pad("ICMP"),
            Self::TCP => f.pad("TCP"),
            Self::UDP => f.pad("UDP"),
            Self::ICMPV6 => f.pad("ICMPv6"),
            Self::SCTP => f.pad("SCTP"),
            Self(number) => f.pad(&format!("protocol {number}")),
        }
    }
}

/// The eight TCP flags of RFC 9293, section 3.1: CWR ECE URG ACK PSH RST SYN FIN, FIN the lowest bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronise sequence numbers: the first packet of a connection.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgement number counts.
    pub const ACK: Self = Self(0x10);
    /// Urgent.
    pub const URG: Self = Self(0x20);
    /// Explicit congestion notification echo, RFC 3168.
    pub const ECE: Self = Self(0x40);
    /// Congestion window reduced, RFC 3168.
    pub const CWR: Self = Self(0x80);

    /// Whether all of `flags` are set.
    pub const fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }
}

/// The packet to inject: everything that is on the wire, as values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Source MAC address.
    pub src_mac: MacAddress,
    /// Destination MAC address: the Pod's on the same subnet, else the gateway's.
    pub dst_mac: MacAddress,
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

impl IpHeader {
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
