//! `status.capturedPacket` of a Traceflow.

use std::net::IpAddr;

use serde::Serialize;

use crate::packet::{CapturedPacket, CapturedTransport, IcmpHeader, Protocol};

/// The packet that a live trace caught (`status.capturedPacket`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Captured {
    /// Source address.
    #[serde(rename = "srcIP")]
    pub src_ip: IpAddr,
    /// Destination address.
    #[serde(rename = "dstIP")]
    pub dst_ip: IpAddr,
    /// Length of the IP packet in bytes, its header included.
    pub length: u32,
    /// The IPv4 header; absent for IPv6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_header: Option<CapturedIpv4Header>,
    /// The IPv6 header; absent for IPv4.
    #[serde(rename = "ipv6Header", skip_serializing_if = "Option::is_none")]
    pub ipv6_header: Option<CapturedIpv6Header>,
    /// The transport header; empty if nothing is known of it.
    pub transport_header: CapturedTransportHeader,
}

/// `capturedPacket.ipHeader`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CapturedIpv4Header {
    /// Protocol number.
    pub protocol: u8,
    /// Time to live.
    pub ttl: u8,
    /// The three flag bits as a number: 2 is don't fragment.
    pub flags: u8,
}

/// `capturedPacket.ipv6Header`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CapturedIpv6Header {
    /// Protocol number behind any extension headers.
    pub next_header: u8,
    /// Hop limit.
    pub hop_limit: u8,
}

/// `capturedPacket.transportHeader`: at most one of its fields is there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CapturedTransportHeader {
    /// TCP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<CapturedTcp>,
    /// UDP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub udp: Option<CapturedPorts>,
    /// SCTP (our own field).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sctp: Option<CapturedPorts>,
    /// ICMP or ICMPv6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icmp: Option<CapturedIcmp>,
}

/// `transportHeader.tcp`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CapturedTcp {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// The eight flags of RFC 9293 as a number; absent if the frame was cut before them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<u8>,
}

/// `transportHeader.udp` and `transportHeader.sctp`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CapturedPorts {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
}

/// `transportHeader.icmp`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CapturedIcmp {
    /// Identifier.
    pub id: u16,
    /// Sequence number.
    pub sequence: u16,
    /// Type (our own field); absent for an echo request.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub icmp_type: Option<u8>,
    /// Code (our own field); absent for an echo request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u8>,
}

impl From<&CapturedPacket> for Captured {
    fn from(packet: &CapturedPacket) -> Self {
        let v4 = packet.source.is_ipv4();
        Self {
            src_ip: packet.source,
            dst_ip: packet.destination,
            length: packet.length,
            ip_header: v4.then(|| CapturedIpv4Header {
                protocol: packet.protocol.0,
                ttl: packet.ttl,
                flags: packet.flags.unwrap_or_default(),
            }),
            ipv6_header: (!v4).then_some(CapturedIpv6Header {
                next_header: packet.protocol.0,
                hop_limit: packet.ttl,
            }),
            transport_header: CapturedTransportHeader::new(&packet.transport, packet.protocol),
        }
    }
}

impl CapturedTransportHeader {
    fn new(transport: &CapturedTransport, protocol: Protocol) -> Self {
        let mut header = Self::default();
        match *transport {
            CapturedTransport::Tcp {
                source: src_port,
                destination: dst_port,
                flags,
                ..
            } => {
                header.tcp = Some(CapturedTcp {
                    src_port,
                    dst_port,
                    flags: flags.map(|flags| flags.0),
                });
            }
            CapturedTransport::Udp { source, destination } => {
                header.udp = Some(CapturedPorts::new(source, destination));
            }
            CapturedTransport::Sctp { source, destination } => {
                header.sctp = Some(CapturedPorts::new(source, destination));
            }
            CapturedTransport::Icmp(icmp) => header.icmp = Some(CapturedIcmp::new(icmp, protocol)),
            CapturedTransport::None => {}
        }
        header
    }
}

impl CapturedPorts {
    fn new(src_port: u16, dst_port: u16) -> Self {
        Self { src_port, dst_port }
    }
}

impl CapturedIcmp {
    fn new(header: IcmpHeader, protocol: Protocol) -> Self {
        let echo_request = if protocol == Protocol::ICMPV6 { 128 } else { 8 };
        let plain = header.icmp_type == echo_request && header.code == 0;
        Self {
            id: header.id,
            sequence: header.sequence,
            icmp_type: (!plain).then_some(header.icmp_type),
            code: (!plain).then_some(header.code),
        }
    }
}
