//! etherparse 0.21.

use etherparse::{
    EtherType, Ethernet2Header, IpNumber, Ipv4Header, LaxNetSlice, LaxSlicedPacket, NetSlice, PacketBuilder,
    SlicedPacket, TcpHeader, TcpSlice, TransportSlice,
};

use super::{Fields, encode, read};
use crate::Operation;
use crate::sample::{Ends, Variation, WINDOW};

pub(crate) static BUILD_TCP: Operation = Operation {
    name: "etherparse: PacketBuilder (TCP over IPv4)",
    prepare: || encode(build_tcp),
};

pub(crate) static BUILD_UDP6: Operation = Operation {
    name: "etherparse: PacketBuilder (UDP over IPv6)",
    prepare: || encode(build_udp6),
};

pub(crate) static HEADERS_TCP: Operation = Operation {
    name: "etherparse: header structs (TCP over IPv4)",
    prepare: || encode(headers_tcp),
};

pub(crate) static LAX_TCP: Operation = Operation {
    name: "etherparse: LaxSlicedPacket (TCP over IPv4)",
    prepare: || read(lax_tcp),
};

pub(crate) static STRICT_TCP: Operation = Operation {
    name: "etherparse: SlicedPacket (TCP over IPv4)",
    prepare: || read(strict_tcp),
};

#[inline]
pub(super) fn build_tcp(ends: &Ends, variation: Variation, buffer: &mut [u8]) {
    PacketBuilder::ethernet2(ends.source_mac, ends.destination_mac)
        .ipv4(ends.source_v4, ends.destination_v4, ends.ttl)
        .tcp(variation.source_port, ends.destination_port, variation.sequence, WINDOW)
        .syn()
        .write_to_slice(buffer, &[])
        .expect("the buffer is long enough");
}

#[inline]
pub(super) fn build_udp6(ends: &Ends, variation: Variation, buffer: &mut [u8]) {
    PacketBuilder::ethernet2(ends.source_mac, ends.destination_mac)
        .ipv6(ends.source_v6, ends.destination_v6, ends.ttl)
        .udp(variation.source_port, ends.destination_port)
        .write_to_slice(buffer, &variation.nonce().0.to_be_bytes())
        .expect("the buffer is long enough");
}

#[inline]
pub(super) fn headers_tcp(ends: &Ends, variation: Variation, buffer: &mut [u8]) {
    let ethernet = Ethernet2Header {
        source: ends.source_mac,
        destination: ends.destination_mac,
        ether_type: EtherType::IPV4,
    };
    let mut ip =
        Ipv4Header::new(20, ends.ttl, IpNumber::TCP, ends.source_v4, ends.destination_v4).expect("20 bytes fit");
    ip.header_checksum = ip.calc_header_checksum();
    let mut tcp = TcpHeader::new(variation.source_port, ends.destination_port, variation.sequence, WINDOW);
    tcp.syn = true;
    tcp.checksum = tcp.calc_checksum_ipv4(&ip, &[]).expect("20 bytes fit");
    buffer[..14].copy_from_slice(&ethernet.to_bytes());
    buffer[14..34].copy_from_slice(&ip.to_bytes());
    buffer[34..54].copy_from_slice(&tcp.to_bytes());
}

#[inline]
pub(super) fn lax_tcp(frame: &[u8]) -> Option<Fields> {
    let sliced = LaxSlicedPacket::from_ethernet(frame).ok()?;
    match (&sliced.net, &sliced.transport) {
        (Some(LaxNetSlice::Ipv4(ip)), Some(TransportSlice::Tcp(tcp))) => Some(fields(&ip.header(), tcp)),
        _ => None,
    }
}

#[inline]
pub(super) fn strict_tcp(frame: &[u8]) -> Option<Fields> {
    let sliced = SlicedPacket::from_ethernet(frame).ok()?;
    match (&sliced.net, &sliced.transport) {
        (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Tcp(tcp))) => Some(fields(&ip.header(), tcp)),
        _ => None,
    }
}

#[inline]
fn fields(ip: &etherparse::Ipv4HeaderSlice<'_>, tcp: &TcpSlice<'_>) -> Fields {
    Fields {
        source: ip.source(),
        destination: ip.destination(),
        length: ip.total_len(),
        ttl: ip.ttl(),
        dscp: ip.dcp().value(),
        dont_fragment: ip.dont_fragment(),
        identification: ip.identification(),
        protocol: ip.protocol().0,
        ports: (tcp.source_port(), tcp.destination_port()),
        syn: tcp.syn(),
        sequence: tcp.sequence_number(),
        acknowledgement: tcp.acknowledgment_number(),
    }
}
