//! The transport of a captured packet: ports, identifiers, nonce.

use crate::packet::{IcmpHeader, Nonce, Packet, Protocol, TcpFlags, Transport};

/// The transport header of a [`CapturedPacket`](super::CapturedPacket).
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

impl CapturedTransport {
    /// The source and destination ports, where the protocol has them and they were there.
    pub fn ports(&self) -> Option<(u16, u16)> {
        match *self {
            Self::Tcp {
                source, destination, ..
            }
            | Self::Udp { source, destination }
            | Self::Sctp { source, destination } => Some((source, destination)),
            Self::Icmp(_) | Self::None => None,
        }
    }
}

impl From<&Packet> for CapturedTransport {
    fn from(packet: &Packet) -> Self {
        match packet.transport {
            Transport::Tcp {
                source,
                destination,
                flags,
            } => Self::Tcp {
                source,
                destination,
                flags: Some(flags),
                sequence: Some(packet.nonce.high()),
            },
            Transport::Udp { source, destination } => Self::Udp { source, destination },
            Transport::Sctp { source, destination } => Self::Sctp { source, destination },
            Transport::Icmp(header) | Transport::Icmpv6(header) => Self::Icmp(header),
            Transport::Other(_) => Self::None,
        }
    }
}

pub(super) fn read_transport(protocol: Protocol, bytes: &[u8]) -> CapturedTransport {
    match protocol {
        Protocol::TCP => read_tcp(bytes),
        Protocol::UDP => read_ports(bytes).map(|(source, destination)| CapturedTransport::Udp { source, destination }),
        Protocol::SCTP => {
            read_ports(bytes).map(|(source, destination)| CapturedTransport::Sctp { source, destination })
        }
        Protocol::ICMP | Protocol::ICMPV6 => read_icmp(bytes),
        _ => None,
    }
    .unwrap_or(CapturedTransport::None)
}

fn read_tcp(bytes: &[u8]) -> Option<CapturedTransport> {
    let (source, destination) = read_ports(bytes)?;
    Some(CapturedTransport::Tcp {
        source,
        destination,
        flags: bytes.get(13).copied().map(TcpFlags),
        sequence: field(bytes, 4).map(u32::from_be_bytes),
    })
}

fn read_icmp(bytes: &[u8]) -> Option<CapturedTransport> {
    let [icmp_type, code] = field(bytes, 0)?;
    Some(CapturedTransport::Icmp(IcmpHeader {
        icmp_type,
        code,
        id: u16::from_be_bytes(field(bytes, 4)?),
        sequence: u16::from_be_bytes(field(bytes, 6)?),
    }))
}

fn read_ports(bytes: &[u8]) -> Option<(u16, u16)> {
    Some((
        u16::from_be_bytes(field(bytes, 0)?),
        u16::from_be_bytes(field(bytes, 2)?),
    ))
}

/// The nonce, from where [`Nonce`] says that it is.
pub(super) fn read_nonce(protocol: Protocol, bytes: &[u8]) -> Option<Nonce> {
    const INIT: [u8; 1] = [1];

    let at = |start| field(bytes, start).map(u64::from_be_bytes).map(Nonce);
    match protocol {
        Protocol::TCP => at(4),
        Protocol::UDP | Protocol::ICMP | Protocol::ICMPV6 => at(8),
        Protocol::SCTP if field(bytes, 12)? == INIT => Some(Nonce::from_halves(
            u32::from_be_bytes(field(bytes, 16)?),
            u32::from_be_bytes(field(bytes, 28)?),
        )),
        Protocol::SCTP => None,
        _ => at(0),
    }
}

/// The `N` bytes from byte `start` on, if they are all there.
pub(super) fn field<const N: usize>(bytes: &[u8], start: usize) -> Option<[u8; N]> {
    bytes.get(start..)?.first_chunk().copied()
}
