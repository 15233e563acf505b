//! Frames of real stacks, frames of our own, and frames that nobody should send.

use proptest::prelude::*;

use super::*;
use crate::packet::arbitrary::packet;
use crate::packet::{IcmpHeader, MacAddress, TcpFlags, Transport};

/// The SYN of a Linux connection to port 8080, taken from the loopback interface.
#[rustfmt::skip]
const LINUX_SYN: &[u8] = &[
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x08, 0x00, // no MAC addresses, IPv4
    0x45, 0x00, 0x00, 0x3c,                         // 20 bytes of header, DSCP 0, 60 bytes in all
    0x62, 0x5e, 0x40, 0x00,                         // identification, don't fragment
    0x40, 0x06, 0xda, 0x5b,                         // TTL 64, TCP, checksum
    127, 0, 0, 1, 127, 0, 0, 1,
    0xce, 0xa0, 0x1f, 0x90,                         // ports 52896 and 8080
    0xdf, 0x36, 0xc1, 0x61, 0x00, 0x00, 0x00, 0x00, // sequence number, no acknowledgement
    0xa0, 0x02, 0xff, 0xd7, 0xfe, 0x30, 0x00, 0x00, // 40 bytes of header, SYN, window, checksum
    0x02, 0x04, 0xff, 0xd7, 0x04, 0x02, 0x08, 0x0a, // options: MSS, SACK, timestamps
    0x57, 0x94, 0xd3, 0xef, 0x00, 0x00, 0x00, 0x00,
    0x01, 0x03, 0x03, 0x0a,                         // window scale
];

/// A UDP header without payload, as Open vSwitch 3.5 hands it out in a packet-in: DSCP 7, TTL 64, ports 1 and 2.
#[rustfmt::skip]
const OPEN_VSWITCH_UDP: &[u8] = &[
    0x02, 0x00, 0x00, 0x0a, 0x01, 0x01, 0x02, 0x00, 0x00, 0x0a, 0x01, 0x0b, 0x08, 0x00,
    0x45, 0x1c, 0x00, 0x1c,
    0x12, 0x34, 0x00, 0x00,
    0x40, 0x11, 0x52, 0x62,
    10, 10, 1, 11, 10, 10, 1, 1,
    0x00, 0x01, 0x00, 0x02, 0x00, 0x08, 0xe9, 0xbb,
];

#[test]
fn a_linux_syn_is_read_in_full() {
    let expected = CapturedPacket {
        source: [127, 0, 0, 1].into(),
        destination: [127, 0, 0, 1].into(),
        length: 60,
        ttl: 64,
        dscp: 0,
        flags: Some(2),
        identification: Some(0x625e),
        protocol: Protocol::TCP,
        transport: CapturedTransport::Tcp {
            source: 52_896,
            destination: 8080,
            flags: Some(TcpFlags::SYN),
            sequence: Some(0xdf36_c161),
        },
        nonce: Some(Nonce(0xdf36_c161_0000_0000)),
    };
    assert_eq!(CapturedPacket::from_frame(LINUX_SYN), Ok(expected.clone()));
    assert_eq!(CapturedPacket::from_ip(&LINUX_SYN[14..]), Ok(expected));
}

#[test]
fn an_open_vswitch_capture_without_payload_has_no_nonce() {
    let captured = CapturedPacket::from_frame(OPEN_VSWITCH_UDP).unwrap();
    assert_eq!((captured.dscp, captured.length, captured.nonce), (7, 28, None));
    assert_eq!(
        captured.transport,
        CapturedTransport::Udp {
            source: 1,
            destination: 2
        }
    );
}

proptest! {
    #[test]
    fn an_encoded_packet_is_read_back(packet in packet()) {
        let frame = packet.to_vec();
        let expected = CapturedPacket::from(&packet);
        prop_assert_eq!(CapturedPacket::from_frame(&frame), Ok(expected.clone()));
        prop_assert_eq!(CapturedPacket::from_ip(&frame[14..]), Ok(expected));
    }

    #[test]
    fn a_cut_frame_says_less_but_nothing_else(packet in packet()) {
        let frame = packet.to_vec();
        let whole = CapturedPacket::from(&packet);
        let header_end = 14 + packet.ip.length();
        for end in 0..frame.len() {
            match CapturedPacket::from_frame(&frame[..end]) {
                Ok(cut) => {
                    prop_assert!(end >= header_end);
                    prop_assert!(says_no_more_than(&cut, &whole), "{end}: {cut:?}");
                }
                Err(CaptureError::TooShort { needed, available, offset, .. }) => {
                    prop_assert!(end < header_end);
                    prop_assert!(available < needed);
                    prop_assert_eq!(offset + available, end);
                }
                Err(other) => prop_assert!(false, "{}: {}", end, other),
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_an_answer_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = CapturedPacket::from_frame(&bytes);
        let _ = CapturedPacket::from_ip(&bytes);
    }

    #[test]
    fn a_damaged_frame_is_an_answer_or_an_error(packet in packet(), damage in prop::collection::vec(any::<(usize, u8)>(), 1..6)) {
        let mut frame = packet.to_vec();
        for (at, byte) in damage {
            let at = at % frame.len();
            frame[at] = byte;
        }
        let _ = CapturedPacket::from_frame(&frame);
    }
}

/// Whether `cut` is `whole` with some of what may be missing missing.
fn says_no_more_than(cut: &CapturedPacket, whole: &CapturedPacket) -> bool {
    let transport = match (&cut.transport, &whole.transport) {
        (CapturedTransport::None, _) => CapturedTransport::None,
        (
            CapturedTransport::Tcp { flags, sequence, .. },
            CapturedTransport::Tcp {
                source,
                destination,
                flags: whole_flags,
                sequence: whole_sequence,
            },
        ) => CapturedTransport::Tcp {
            source: *source,
            destination: *destination,
            flags: flags.and(*whole_flags),
            sequence: sequence.and(*whole_sequence),
        },
        (_, whole) => whole.clone(),
    };
    let expected = CapturedPacket {
        transport,
        nonce: cut.nonce.and(whole.nonce),
        ..whole.clone()
    };
    *cut == expected
}

fn ipv4_udp() -> Packet {
    Packet::ethernet(MacAddress([2; 6]), MacAddress([4; 6]))
        .ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into())
        .nonce(Nonce(0x0102_0304_0506_0708))
        .udp(40_000, 53)
        .unwrap()
}

fn ipv6_udp() -> Packet {
    Packet::ethernet(MacAddress([2; 6]), MacAddress([4; 6]))
        .ipv6([1; 16].into(), [2; 16].into())
        .nonce(Nonce(0x0102_0304_0506_0708))
        .udp(40_000, 53)
        .unwrap()
}

#[test]
fn vlan_tags_are_looked_through() {
    let tag = [0x81, 0x00, 0x00, 0x05];
    let service_tag = [0x88, 0xa8, 0x00, 0x07];
    let expected = CapturedPacket::from(&ipv4_udp());
    let mut frame = ipv4_udp().to_vec();
    for tag in [tag, service_tag] {
        frame.splice(12..12, tag);
        assert_eq!(CapturedPacket::from_frame(&frame), Ok(expected.clone()));
    }
}

#[test]
fn padding_behind_the_packet_is_not_read() {
    let mut packet = ipv4_udp();
    packet.transport = Transport::Other(Protocol(47));
    let mut frame = packet.to_vec();
    frame.truncate(34);
    frame[17] = 20;
    frame.resize(60, 0);
    let captured = CapturedPacket::from_frame(&frame).unwrap();
    assert_eq!((captured.length, captured.nonce), (20, None));
}

#[test]
fn ipv4_options_are_looked_through() {
    let mut frame = ipv4_udp().to_vec();
    frame[14] = 0x46;
    frame[17] += 4;
    frame.splice(34..34, [0x94, 0x04, 0x00, 0x00]);
    let captured = CapturedPacket::from_frame(&frame).unwrap();
    assert_eq!(captured.length, 40);
    assert_eq!(captured.transport, CapturedTransport::from(&ipv4_udp()));
    assert_eq!(captured.nonce, Some(ipv4_udp().nonce));
}

#[test]
fn the_first_ipv4_fragment_has_its_transport() {
    let mut packet = ipv4_udp();
    if let IpHeader::V4(header) = &mut packet.ip {
        header.flags = 1;
    }
    assert_eq!(
        CapturedPacket::from_frame(&packet.to_vec()),
        Ok(CapturedPacket::from(&packet))
    );
}

#[test]
fn a_later_ipv4_fragment_has_its_protocol_only() {
    let mut frame = ipv4_udp().to_vec();
    frame[21] = 1;
    let captured = CapturedPacket::from_frame(&frame).unwrap();
    assert_eq!(captured.protocol, Protocol::UDP);
    assert_eq!((captured.transport, captured.nonce), (CapturedTransport::None, None));
}

/// `packet` with extension headers, the first of which has the number `first`.
fn with_extension_headers(packet: &Packet, first: u8, headers: &[u8]) -> Vec<u8> {
    let mut frame = packet.to_vec();
    frame[19] += headers.len() as u8;
    frame[20] = first;
    frame.splice(54..54, headers.iter().copied());
    frame
}

const HOP_BY_HOP: u8 = 0;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;
const UDP: u8 = 17;

#[test]
fn ipv6_extension_headers_are_looked_through() {
    #[rustfmt::skip]
    let headers = [
        DESTINATION_OPTIONS, 0, 5, 2, 0, 0, 1, 0, // router alert, two bytes of padding
        UDP, 0, 1, 4, 0, 0, 0, 0,
    ];
    let frame = with_extension_headers(&ipv6_udp(), HOP_BY_HOP, &headers);
    let captured = CapturedPacket::from_frame(&frame).unwrap();
    assert_eq!(
        captured,
        CapturedPacket {
            length: 72,
            ..CapturedPacket::from(&ipv6_udp())
        }
    );
}

#[test]
fn extension_headers_that_are_cut_off_are_no_transport() {
    let frame = with_extension_headers(&ipv6_udp(), DESTINATION_OPTIONS, &[UDP, 0, 1, 4, 0, 0, 0, 0]);
    let captured = CapturedPacket::from_frame(&frame[..60]).unwrap();
    assert_eq!(captured.protocol, Protocol(DESTINATION_OPTIONS));
    assert_eq!((captured.transport, captured.nonce), (CapturedTransport::None, None));
}

#[test]
fn the_first_ipv6_fragment_has_its_transport() {
    let frame = with_extension_headers(&ipv6_udp(), FRAGMENT, &[UDP, 0, 0, 1, 0, 0, 0, 9]);
    let captured = CapturedPacket::from_frame(&frame).unwrap();
    assert_eq!(captured.transport, CapturedTransport::from(&ipv6_udp()));
}

#[test]
fn a_later_ipv6_fragment_has_its_protocol_only() {
    // What looks like the next extension header is somewhere within the data.
    let frame = with_extension_headers(&ipv6_udp(), FRAGMENT, &[DESTINATION_OPTIONS, 0, 0, 8, 0, 0, 0, 9]);
    let captured = CapturedPacket::from_frame(&frame).unwrap();
    assert_eq!(captured.protocol, Protocol(DESTINATION_OPTIONS));
    assert_eq!((captured.transport, captured.nonce), (CapturedTransport::None, None));
}

#[test]
fn a_fragment_whose_chain_of_headers_is_cut_is_read() {
    // Found by fuzzing: the fragment header announces options, and the frame ends.
    let frame = with_extension_headers(&ipv6_udp(), FRAGMENT, &[DESTINATION_OPTIONS, 0, 0, 1, 0, 0, 0, 9]);
    let captured = CapturedPacket::from_frame(&frame[..62]).unwrap();
    assert_eq!(captured.protocol, Protocol(DESTINATION_OPTIONS));
    assert_eq!((captured.transport, captured.nonce), (CapturedTransport::None, None));
}

#[test]
fn only_an_sctp_init_has_a_nonce() {
    let mut packet = ipv4_udp();
    packet.transport = Transport::Sctp {
        source: 40_000,
        destination: 3868,
    };
    let mut frame = packet.to_vec();
    assert_eq!(CapturedPacket::from_frame(&frame).unwrap().nonce, Some(packet.nonce));
    frame[46] = 0; // DATA
    assert_eq!(CapturedPacket::from_frame(&frame).unwrap().nonce, None);
}

#[test]
fn an_icmp_error_is_read_like_an_echo() {
    let mut packet = ipv4_udp();
    let unreachable = IcmpHeader {
        icmp_type: 3,
        code: 3,
        id: 0,
        sequence: 0,
    };
    packet.transport = Transport::Icmp(unreachable);
    let captured = CapturedPacket::from_frame(&packet.to_vec()).unwrap();
    assert_eq!(captured.transport, CapturedTransport::Icmp(unreachable));
}

#[test]
fn errors_say_what_was_read_and_where() {
    let frame = ipv4_udp().to_vec();
    let tagged = [&frame[..12], &[0x81, 0x00, 0x00, 0x05], &frame[12..]].concat();
    let with = |at: usize, byte: u8| {
        let mut tagged = tagged.clone();
        tagged[at] = byte;
        tagged
    };
    #[rustfmt::skip]
    let cases = [
        (frame[..9].to_vec(), "the Ethernet header at byte 0 needs 14 bytes, 9 are there"),
        (tagged[..16].to_vec(), "the VLAN tag at byte 14 needs 4 bytes, 2 are there"),
        (tagged[..20].to_vec(), "the IPv4 header at byte 18 needs 20 bytes, 2 are there"),
        (frame[..14].to_vec(), "the IP header at byte 14 needs 1 bytes, 0 are there"),
        (with(18, 0x55), "the IP header at byte 18 has version 5"),
        (with(18, 0x44), "the IPv4 header at byte 18 claims 16 bytes, the least is 20"),
        (with(17, 0x06), "ether type 0x0806 is neither IPv4 nor IPv6"),
        (with(17, 0x06)[..30].to_vec(), "ether type 0x0806 is neither IPv4 nor IPv6"),
        (with(16, 0x12), "ether type 0x1200 is neither IPv4 nor IPv6"),
    ];
    for (frame, message) in cases {
        assert_eq!(CapturedPacket::from_frame(&frame).unwrap_err().to_string(), message);
    }
    assert_eq!(
        CapturedPacket::from_ip(&[0x60, 0, 0]).unwrap_err().to_string(),
        "the IPv6 header at byte 0 needs 40 bytes, 3 are there"
    );
}
