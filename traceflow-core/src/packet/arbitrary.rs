//! Random packets for property tests: every protocol over every family that the builder allows.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::{
    IcmpHeader, IpHeader, Ipv4Header, Ipv6Header, MacAddress, Nonce, Packet, Patch, Protocol, TcpFlags, Transport,
};

/// Any packet that the builder builds.
pub(super) fn packet() -> impl Strategy<Value = Packet> {
    let layers = prop_oneof![
        (
            ipv4_header(),
            prop_oneof![transport(), icmp().prop_map(Transport::Icmp)]
        ),
        (
            ipv6_header(),
            prop_oneof![transport(), icmp().prop_map(Transport::Icmpv6)]
        ),
    ];
    (any::<[u8; 6]>(), any::<[u8; 6]>(), layers, edged_u64()).prop_map(
        |(source_mac, destination_mac, (ip, transport), nonce)| Packet {
            source_mac: MacAddress(source_mac),
            destination_mac: MacAddress(destination_mac),
            ip,
            transport,
            nonce: Nonce(nonce),
        },
    )
}

/// Any patch of a packet.
pub(super) fn patch() -> impl Strategy<Value = Patch> {
    (edged_u64(), any::<u16>(), 0u8..64, any::<u16>()).prop_map(|(nonce, source, dscp, identification)| Patch {
        nonce: Nonce(nonce),
        source,
        dscp,
        identification,
    })
}

/// Any number, and often one of those at which ones' complement sums go wrong.
fn edged_u64() -> impl Strategy<Value = u64> {
    prop_oneof![
        2 => any::<u64>(),
        1 => any::<u16>().prop_map(u64::from),
        1 => prop::sample::select(vec![0, u64::MAX, u64::MAX - 0xffff, 0xffff_0000_0000_0001]),
    ]
}

fn ipv4_header() -> impl Strategy<Value = IpHeader> {
    (
        any::<Ipv4Addr>(),
        any::<Ipv4Addr>(),
        any::<u8>(),
        0u8..64,
        0u8..8,
        any::<u16>(),
    )
        .prop_map(|(source, destination, ttl, dscp, flags, identification)| {
            IpHeader::V4(Ipv4Header {
                source,
                destination,
                ttl,
                dscp,
                flags,
                identification,
            })
        })
}

fn ipv6_header() -> impl Strategy<Value = IpHeader> {
    (
        any::<Ipv6Addr>(),
        any::<Ipv6Addr>(),
        any::<u8>(),
        0u8..64,
        0u32..=0xf_ffff,
    )
        .prop_map(|(source, destination, hop_limit, dscp, flow_label)| {
            IpHeader::V6(Ipv6Header {
                source,
                destination,
                hop_limit,
                dscp,
                flow_label,
            })
        })
}

/// A transport that runs over both families.
fn transport() -> impl Strategy<Value = Transport> {
    let ports = || (1u16.., any::<u16>());
    prop_oneof![
        (ports(), any::<u8>()).prop_map(|((source, destination), flags)| Transport::Tcp {
            source,
            destination,
            flags: TcpFlags(flags),
        }),
        ports().prop_map(|(source, destination)| Transport::Udp { source, destination }),
        ports().prop_map(|(source, destination)| Transport::Sctp { source, destination }),
        any::<u8>()
            .prop_map(Protocol)
            .prop_filter("a protocol with a variant or header of its own", |protocol| {
                !protocol.has_transport() && !protocol.is_extension_header()
            })
            .prop_map(Transport::Other),
    ]
}

fn icmp() -> impl Strategy<Value = IcmpHeader> {
    (any::<u8>(), any::<u8>(), any::<u16>(), any::<u16>()).prop_map(|(icmp_type, code, id, sequence)| IcmpHeader {
        icmp_type,
        code,
        id,
        sequence,
    })
}
