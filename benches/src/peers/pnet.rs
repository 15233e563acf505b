//! pnet_packet 0.35.

use std::hint::black_box;

use pnet_packet::Packet;
use pnet_packet::ethernet::{EtherTypes, EthernetPacket, MutableEthernetPacket};
use pnet_packet::ip::IpNextHeaderProtocols;
use pnet_packet::ipv4::{self, Ipv4Flags, Ipv4Packet, MutableIpv4Packet};
use pnet_packet::tcp::{self, MutableTcpPacket, TcpFlags, TcpPacket};

use super::{Fields, encode, read};
use crate::Operation;
use crate::sample::{Ends, Variation, WINDOW};

pub(crate) static BUILD_TCP: Operation = Operation {
    name: "pnet_packet: set fields (TCP over IPv4)",
    prepare: || {
        encode(|ends, variation, buffer| {
            black_box(build_tcp(ends, variation, buffer));
        })
    },
};

pub(crate) static READ_TCP: Operation = Operation {
    name: "pnet_packet: new (TCP over IPv4)",
    prepare: || read(read_tcp),
};

/// `None` if the buffer is too short.
#[inline]
pub(super) fn build_tcp(ends: &Ends, variation: Variation, buffer: &mut [u8]) -> Option<()> {
    let (source, destination) = (ends.source_v4.into(), ends.destination_v4.into());
    let mut tcp = MutableTcpPacket::new(buffer.get_mut(34..54)?)?;
    tcp.set_source(variation.source_port);
    tcp.set_destination(ends.destination_port);
    tcp.set_sequence(variation.sequence);
    tcp.set_acknowledgement(0);
    tcp.set_data_offset(5);
    tcp.set_reserved(0);
    tcp.set_flags(TcpFlags::SYN);
    tcp.set_window(WINDOW);
    tcp.set_urgent_ptr(0);
    let checksum = tcp::ipv4_checksum(&tcp.to_immutable(), &source, &destination);
    tcp.set_checksum(checksum);
    let mut ip = MutableIpv4Packet::new(buffer.get_mut(14..34)?)?;
    ip.set_version(4);
    ip.set_header_length(5);
    ip.set_dscp(0);
    ip.set_ecn(0);
    ip.set_total_length(40);
    ip.set_identification(0);
    ip.set_flags(Ipv4Flags::DontFragment);
    ip.set_fragment_offset(0);
    ip.set_ttl(ends.ttl);
    ip.set_next_level_protocol(IpNextHeaderProtocols::Tcp);
    ip.set_source(source);
    ip.set_destination(destination);
    let checksum = ipv4::checksum(&ip.to_immutable());
    ip.set_checksum(checksum);
    let mut ethernet = MutableEthernetPacket::new(buffer)?;
    ethernet.set_source(ends.source_mac.into());
    ethernet.set_destination(ends.destination_mac.into());
    ethernet.set_ethertype(EtherTypes::Ipv4);
    Some(())
}

#[inline]
pub(super) fn read_tcp(frame: &[u8]) -> Option<Fields> {
    let ethernet = EthernetPacket::new(frame)?;
    let ip = Ipv4Packet::new(ethernet.payload())?;
    let tcp = TcpPacket::new(ip.payload())?;
    Some(Fields {
        source: ip.get_source().octets(),
        destination: ip.get_destination().octets(),
        length: ip.get_total_length(),
        ttl: ip.get_ttl(),
        dscp: ip.get_dscp(),
        dont_fragment: ip.get_flags() & Ipv4Flags::DontFragment != 0,
        identification: ip.get_identification(),
        protocol: ip.get_next_level_protocol().0,
        ports: (tcp.get_source(), tcp.get_destination()),
        syn: tcp.get_flags() & TcpFlags::SYN != 0,
        sequence: tcp.get_sequence(),
        acknowledgement: tcp.get_acknowledgement(),
    })
}
