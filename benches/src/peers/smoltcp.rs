//! smoltcp 0.14.

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, IpAddress, IpProtocol, Ipv4Address, Ipv4Packet,
    Ipv4Repr, Ipv6Address, Ipv6Packet, Ipv6Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber, UdpPacket, UdpRepr,
};

use super::{Fields, encode, read};
use crate::Operation;
use crate::sample::{Ends, Variation, WINDOW};

pub(crate) static EMIT_TCP: Operation = Operation {
    name: "smoltcp: emit (TCP over IPv4)",
    prepare: || encode(emit_tcp),
};

pub(crate) static EMIT_UDP6: Operation = Operation {
    name: "smoltcp: emit (UDP over IPv6)",
    prepare: || encode(emit_udp6),
};

pub(crate) static READ_TCP: Operation = Operation {
    name: "smoltcp: new_checked (TCP over IPv4)",
    prepare: || read(read_tcp),
};

#[inline]
pub(super) fn emit_tcp(ends: &Ends, variation: Variation, buffer: &mut [u8]) {
    let checksums = ChecksumCapabilities::default();
    let tcp = TcpRepr {
        src_port: variation.source_port,
        dst_port: ends.destination_port,
        control: TcpControl::Syn,
        seq_number: TcpSeqNumber(variation.sequence as i32),
        ack_number: None,
        window_len: WINDOW,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    let ip = Ipv4Repr {
        src_addr: Ipv4Address::from_octets(ends.source_v4),
        dst_addr: Ipv4Address::from_octets(ends.destination_v4),
        next_header: IpProtocol::Tcp,
        payload_len: tcp.buffer_len(),
        hop_limit: ends.ttl,
    };
    let mut frame = emit_ethernet(ends, EthernetProtocol::Ipv4, buffer);
    let mut packet = Ipv4Packet::new_unchecked(frame.payload_mut());
    ip.emit(&mut packet, &checksums);
    let mut segment = TcpPacket::new_unchecked(packet.payload_mut());
    tcp.emit(
        &mut segment,
        &IpAddress::Ipv4(ip.src_addr),
        &IpAddress::Ipv4(ip.dst_addr),
        &checksums,
    );
}

#[inline]
pub(super) fn emit_udp6(ends: &Ends, variation: Variation, buffer: &mut [u8]) {
    let nonce = variation.nonce().0.to_be_bytes();
    let udp = UdpRepr {
        src_port: variation.source_port,
        dst_port: ends.destination_port,
    };
    let ip = Ipv6Repr {
        src_addr: Ipv6Address::from_octets(ends.source_v6),
        dst_addr: Ipv6Address::from_octets(ends.destination_v6),
        next_header: IpProtocol::Udp,
        payload_len: udp.header_len() + nonce.len(),
        hop_limit: ends.ttl,
    };
    let mut frame = emit_ethernet(ends, EthernetProtocol::Ipv6, buffer);
    let mut packet = Ipv6Packet::new_unchecked(frame.payload_mut());
    ip.emit(&mut packet);
    let mut datagram = UdpPacket::new_unchecked(packet.payload_mut());
    udp.emit(
        &mut datagram,
        &IpAddress::Ipv6(ip.src_addr),
        &IpAddress::Ipv6(ip.dst_addr),
        nonce.len(),
        |payload| payload.copy_from_slice(&nonce),
        &ChecksumCapabilities::default(),
    );
}

#[inline]
fn emit_ethernet<'a>(ends: &Ends, ethertype: EthernetProtocol, buffer: &'a mut [u8]) -> EthernetFrame<&'a mut [u8]> {
    let ethernet = EthernetRepr {
        src_addr: EthernetAddress(ends.source_mac),
        dst_addr: EthernetAddress(ends.destination_mac),
        ethertype,
    };
    let mut frame = EthernetFrame::new_unchecked(buffer);
    ethernet.emit(&mut frame);
    frame
}

#[inline]
pub(super) fn read_tcp(frame: &[u8]) -> Option<Fields> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    let ip = Ipv4Packet::new_checked(frame.payload()).ok()?;
    let tcp = TcpPacket::new_checked(ip.payload()).ok()?;
    Some(Fields {
        source: ip.src_addr().octets(),
        destination: ip.dst_addr().octets(),
        length: ip.total_len(),
        ttl: ip.hop_limit(),
        dscp: ip.dscp(),
        dont_fragment: ip.dont_frag(),
        identification: ip.ident(),
        protocol: ip.next_header().into(),
        ports: (tcp.src_port(), tcp.dst_port()),
        syn: tcp.syn(),
        sequence: tcp.seq_number().0 as u32,
        acknowledgement: tcp.ack_number().0 as u32,
    })
}
