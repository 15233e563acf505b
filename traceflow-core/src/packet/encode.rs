//! Writes a packet as an Ethernet frame.
//!
//! Every value can be written. What no header has room for is cut to its field: DSCP to 6 bits, IPv4 flags to 3, the
//! flow label to 20; the [builder](super::EthernetBuilder) refuses such values beforehand.

use super::checksum::{Sum, crc32c};
use super::{IcmpHeader, IpHeader, Ipv4Header, Ipv6Header, Nonce, Packet, TcpFlags, Transport};

impl Packet {
    /// Appends the packet to `out` as an Ethernet frame, without the frame check sequence. It isn't padded to
    /// Ethernet's 60 bytes; a virtual port doesn't need that.
    ///
    /// ```
    /// use traceflow_core::packet::{MacAddress, Packet, TcpFlags};
    ///
    /// let packet = Packet::ethernet(MacAddress([2, 0, 0, 0, 0, 1]), MacAddress([2, 0, 0, 0, 0, 2]))
    ///     .ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into())
    ///     .tcp(40_000, 80, TcpFlags::SYN)?;
    /// let mut frame = Vec::new();
    /// packet.encode(&mut frame);
    /// assert_eq!(frame.len(), 14 + 20 + 20);
    /// # Ok::<(), traceflow_core::packet::PacketError>(())
    /// ```
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(Frame::render(self).as_slice());
    }

    /// The packet as an Ethernet frame of its own; see [`encode`](Self::encode).
    pub fn to_vec(&self) -> Vec<u8> {
        Frame::render(self).as_slice().to_vec()
    }

    /// Writes the frame to the start of `out` and returns its length in bytes; see [`encode`](Self::encode).
    ///
    /// # Errors
    /// [`BufferTooSmall`] if `out` is shorter than [`frame_length`](Self::frame_length); `out` is unchanged then.
    pub fn encode_to_slice(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        let (needed, available) = (self.frame_length(), out.len());
        if let Some(out) = out.first_chunk_mut() {
            write_frame(self, out);
        } else {
            let out = out.get_mut(..needed).ok_or(BufferTooSmall { needed, available })?;
            out.copy_from_slice(Frame::render(self).as_slice());
        }
        Ok(needed)
    }

    /// How many bytes the Ethernet frame has, 86 at most.
    pub fn frame_length(&self) -> usize {
        ETHERNET_LENGTH + self.ip_length()
    }

    /// How many bytes the IP packet has, its header included.
    pub fn ip_length(&self) -> usize {
        self.ip.length() + self.transport.length()
    }
}

/// The buffer is shorter than the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the frame needs {needed} bytes, the buffer has {available}")]
pub struct BufferTooSmall {
    /// How many bytes the frame has.
    pub needed: usize,
    /// How many bytes the buffer has.
    pub available: usize,
}

/// An encoded frame. It fits on the stack, whatever the packet.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) bytes: FrameBytes,
    length: usize,
}

pub(super) type FrameBytes = [u8; MAX_FRAME_LENGTH];

impl Frame {
    pub(super) fn render(packet: &Packet) -> Self {
        let mut bytes = [0; MAX_FRAME_LENGTH];
        write_frame(packet, &mut bytes);
        Self {
            bytes,
            length: packet.frame_length(),
        }
    }

    #[inline]
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl IpHeader {
    /// How many bytes the header has.
    pub(super) fn length(&self) -> usize {
        match self {
            Self::V4(_) => IPV4_LENGTH,
            Self::V6(_) => IPV6_LENGTH,
        }
    }
}

impl Transport {
    /// How many bytes the header and what follows it have.
    fn length(&self) -> usize {
        match self {
            Self::Tcp { .. } => TCP_LENGTH,
            Self::Udp { .. } => UDP_LENGTH,
            Self::Icmp(_) | Self::Icmpv6(_) => ICMP_LENGTH,
            Self::Sctp { .. } => SCTP_LENGTH,
            Self::Other(_) => NONCE_LENGTH,
        }
    }
}

pub(super) const ETHERNET_LENGTH: usize = 14;
pub(super) const IPV4_LENGTH: usize = 20;
pub(super) const IPV6_LENGTH: usize = 40;
const NONCE_LENGTH: usize = 8;
const TCP_LENGTH: usize = 20;
const UDP_LENGTH: usize = 8 + NONCE_LENGTH;
const ICMP_LENGTH: usize = 8 + NONCE_LENGTH;
/// The common header (12 bytes) and an INIT chunk without parameters (20).
pub(super) const SCTP_LENGTH: usize = 32;
pub(super) const MAX_FRAME_LENGTH: usize = ETHERNET_LENGTH + IPV6_LENGTH + SCTP_LENGTH;

/// What Linux offers in the SYN of a connection with Ethernet's segment size.
const TCP_WINDOW: u16 = 64_240;

/// Writes the bytes of the frame, and none behind it.
#[inline]
fn write_frame(packet: &Packet, out: &mut FrameBytes) {
    match &packet.ip {
        IpHeader::V4(ip) => {
            let addresses = [ip.source.to_bits(), ip.destination.to_bits()];
            write_ethernet(packet, 0x0800, out);
            write_words(ipv4_header(ip, addresses, packet), &mut out[ETHERNET_LENGTH..]);
            let pseudo_header = pseudo_header(addresses, packet);
            write_transport(packet, pseudo_header, &mut out[ETHERNET_LENGTH + IPV4_LENGTH..]);
        }
        IpHeader::V6(ip) => {
            let addresses = ipv6_addresses(ip);
            write_ethernet(packet, 0x86dd, out);
            write_words(ipv6_header(ip, addresses, packet), &mut out[ETHERNET_LENGTH..]);
            let pseudo_header = pseudo_header(addresses, packet);
            write_transport(packet, pseudo_header, &mut out[ETHERNET_LENGTH + IPV6_LENGTH..]);
        }
    }
}

#[inline]
fn write_ethernet(packet: &Packet, ether_type: u16, out: &mut FrameBytes) {
    out[0..6].copy_from_slice(&packet.destination_mac.0);
    out[6..12].copy_from_slice(&packet.source_mac.0);
    out[12..14].copy_from_slice(&ether_type.to_be_bytes());
}

#[inline]
fn write_transport(packet: &Packet, pseudo_header: Sum, out: &mut [u8]) {
    let nonce = packet.nonce;
    match packet.transport {
        Transport::Tcp {
            source,
            destination,
            flags,
        } => write_words(tcp_segment(source, destination, flags, nonce, pseudo_header), out),
        Transport::Udp { source, destination } => {
            write_words(udp_datagram(source, destination, nonce, pseudo_header), out);
        }
        // RFC 792: the checksum starts with the ICMP type. RFC 4443, section 2.3: it has a pseudo-header.
        Transport::Icmp(header) => write_words(icmp_message(header, nonce, Sum::default()), out),
        Transport::Icmpv6(header) => write_words(icmp_message(header, nonce, pseudo_header), out),
        Transport::Sctp { source, destination } => write_sctp(source, destination, nonce, out),
        Transport::Other(_) => write_words([nonce.high(), nonce.low()], out),
    }
}

/// Headers are put together as the standards draw them: in rows of 32 bits.
#[inline]
fn write_words<const N: usize>(words: [u32; N], out: &mut [u8]) {
    for (bytes, word) in out.as_chunks_mut().0.iter_mut().zip(words) {
        *bytes = word.to_be_bytes();
    }
}

/// Two halves of a row.
#[inline]
fn row(left: u16, right: u16) -> u32 {
    u32::from(left) << 16 | u32::from(right)
}

/// Two quarters and a half of a row.
#[inline]
fn row_of_3(left: u8, middle: u8, right: u16) -> u32 {
    row(u16::from_be_bytes([left, middle]), right)
}

/// RFC 791, section 3.1.
#[inline]
fn ipv4_header(ip: &Ipv4Header, [source, destination]: [u32; 2], packet: &Packet) -> [u32; IPV4_LENGTH / 4] {
    let length = (IPV4_LENGTH + packet.transport.length()) as u16;
    let mut header = [
        row_of_3(0x45, ip.dscp << 2, length),
        row(ip.identification, u16::from(ip.flags & 7) << 13),
        row_of_3(ip.ttl, packet.protocol().0, 0),
        source,
        destination,
    ];
    header[2] |= Sum::default().with_words(&header).checksum_value();
    header
}

/// RFC 8200, section 3.
#[inline]
fn ipv6_header(ip: &Ipv6Header, addresses: [u32; 8], packet: &Packet) -> [u32; IPV6_LENGTH / 4] {
    let mut header = [0; IPV6_LENGTH / 4];
    header[0] = 6 << 28 | u32::from(ip.dscp & 0x3f) << 22 | ip.flow_label & 0xf_ffff;
    header[1] = row(
        packet.transport.length() as u16,
        u16::from_be_bytes([packet.protocol().0, ip.hop_limit]),
    );
    header[2..].copy_from_slice(&addresses);
    header
}

/// Source and destination.
#[inline]
fn ipv6_addresses(ip: &Ipv6Header) -> [u32; 8] {
    let mut addresses = [0; 8];
    for (i, word) in addresses.iter_mut().enumerate() {
        let address = if i < 4 { ip.source } else { ip.destination }.to_bits();
        *word = (address >> (96 - i % 4 * 32)) as u32;
    }
    addresses
}

/// RFC 9293, section 3.1, and RFC 8200, section 8.1. The widths of their fields differ, their sums don't.
#[inline]
fn pseudo_header<const N: usize>(addresses: [u32; N], packet: &Packet) -> Sum {
    let length = packet.transport.length() as u16;
    Sum::default()
        .with_words(&addresses)
        .with_words(&[row(packet.protocol().0.into(), length)])
}

/// RFC 9293, section 3.1, without options.
#[inline]
fn tcp_segment(
    source: u16,
    destination: u16,
    flags: TcpFlags,
    nonce: Nonce,
    pseudo_header: Sum,
) -> [u32; TCP_LENGTH / 4] {
    let mut segment = [
        row(source, destination),
        nonce.high(),
        nonce.low(),
        row_of_3(5 << 4, flags.0, TCP_WINDOW),
        0,
    ];
    segment[4] = pseudo_header.with_words(&segment).checksum_value() << 16;
    segment
}

/// RFC 768.
#[inline]
fn udp_datagram(source: u16, destination: u16, nonce: Nonce, pseudo_header: Sum) -> [u32; UDP_LENGTH / 4] {
    let mut datagram = [
        row(source, destination),
        row(UDP_LENGTH as u16, 0),
        nonce.high(),
        nonce.low(),
    ];
    let checksum = udp_checksum(pseudo_header.with_words(&datagram));
    datagram[1] |= u32::from(u16::from_be_bytes(checksum));
    datagram
}

/// RFC 768: "If the computed checksum is zero, it is transmitted as all ones", for zero means that there is none.
#[inline]
pub(super) fn udp_checksum(sum: Sum) -> [u8; 2] {
    match sum.checksum() {
        [0, 0] => [0xff, 0xff],
        checksum => checksum,
    }
}

/// RFC 792 and RFC 4443, section 4.1.
#[inline]
fn icmp_message(icmp: IcmpHeader, nonce: Nonce, pseudo_header: Sum) -> [u32; ICMP_LENGTH / 4] {
    let mut message = [
        row_of_3(icmp.icmp_type, icmp.code, 0),
        row(icmp.id, icmp.sequence),
        nonce.high(),
        nonce.low(),
    ];
    message[0] |= pseudo_header.with_words(&message).checksum_value();
    message
}

/// RFC 9260, sections 3.1 and 3.3.2. "The Verification Tag field of this packet MUST be 0" for an INIT.
fn write_sctp(source: u16, destination: u16, nonce: Nonce, out: &mut [u8]) {
    const INIT: u8 = 1;
    const INIT_LENGTH: u16 = 20;
    // What Linux offers: its default receive buffer, and as many streams.
    const ADVERTISED_WINDOW: u32 = 106_496;
    const OUTBOUND_STREAMS: u16 = 10;
    const INBOUND_STREAMS: u16 = 65_535;

    let packet = [
        row(source, destination),
        0,
        0,
        row_of_3(INIT, 0, INIT_LENGTH),
        nonce.high(),
        ADVERTISED_WINDOW,
        row(OUTBOUND_STREAMS, INBOUND_STREAMS),
        nonce.low(),
    ];
    write_words(packet, out);
    let checksum = crc32c(&out[..SCTP_LENGTH]);
    out[8..12].copy_from_slice(&checksum.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::arbitrary::packet;
    use crate::packet::{IpBuilder, MacAddress, Protocol};
    use etherparse::{IpFragOffset, IpHeaders, Ipv4Extensions, Ipv6Extensions, PacketBuilder, TcpHeader};
    use proptest::prelude::*;

    /// The frame as etherparse builds it. It has neither SCTP nor IPv4's reserved flag.
    fn built_by_etherparse(packet: &Packet) -> Vec<u8> {
        let builder =
            PacketBuilder::ethernet2(packet.source_mac.0, packet.destination_mac.0).ip(etherparse_ip(&packet.ip));
        let nonce = packet.nonce.0.to_be_bytes();
        let mut frame = vec![0; 100];
        let length = match packet.transport {
            Transport::Tcp {
                source,
                destination,
                flags,
            } => builder
                .tcp_header(etherparse_tcp(source, destination, flags, packet.nonce))
                .write_to_slice(&mut frame, &[]),
            Transport::Udp { source, destination } => {
                builder.udp(source, destination).write_to_slice(&mut frame, &nonce)
            }
            Transport::Icmp(icmp) => builder
                .icmpv4_raw(icmp.icmp_type, icmp.code, id_and_sequence(icmp))
                .write_to_slice(&mut frame, &nonce),
            Transport::Icmpv6(icmp) => builder
                .icmpv6_raw(icmp.icmp_type, icmp.code, id_and_sequence(icmp))
                .write_to_slice(&mut frame, &nonce),
            Transport::Sctp { .. } => builder.write_to_slice(
                &mut frame,
                Protocol::SCTP.0.into(),
                &packet.to_vec()[packet.frame_length() - SCTP_LENGTH..],
            ),
            Transport::Other(protocol) => builder.write_to_slice(&mut frame, protocol.0.into(), &nonce),
        }
        .unwrap();
        frame.truncate(length);
        frame
    }

    fn etherparse_ip(ip: &IpHeader) -> IpHeaders {
        match ip {
            IpHeader::V4(ip) => {
                let header = etherparse::Ipv4Header {
                    dscp: ip.dscp.try_into().unwrap(),
                    identification: ip.identification,
                    dont_fragment: ip.flags & 2 != 0,
                    more_fragments: ip.flags & 1 != 0,
                    fragment_offset: IpFragOffset::ZERO,
                    time_to_live: ip.ttl,
                    source: ip.source.octets(),
                    destination: ip.destination.octets(),
                    ..Default::default()
                };
                IpHeaders::Ipv4(header, Ipv4Extensions::default())
            }
            IpHeader::V6(ip) => {
                let header = etherparse::Ipv6Header {
                    traffic_class: ip.dscp << 2,
                    flow_label: ip.flow_label.try_into().unwrap(),
                    hop_limit: ip.hop_limit,
                    source: ip.source.octets(),
                    destination: ip.destination.octets(),
                    ..Default::default()
                };
                IpHeaders::Ipv6(header, Ipv6Extensions::default())
            }
        }
    }

    fn etherparse_tcp(source: u16, destination: u16, flags: TcpFlags, nonce: Nonce) -> TcpHeader {
        TcpHeader {
            acknowledgment_number: nonce.low(),
            fin: flags.contains(TcpFlags::FIN),
            syn: flags.contains(TcpFlags::SYN),
            rst: flags.contains(TcpFlags::RST),
            psh: flags.contains(TcpFlags::PSH),
            ack: flags.contains(TcpFlags::ACK),
            urg: flags.contains(TcpFlags::URG),
            ece: flags.contains(TcpFlags::ECE),
            cwr: flags.contains(TcpFlags::CWR),
            ..TcpHeader::new(source, destination, nonce.high(), TCP_WINDOW)
        }
    }

    fn id_and_sequence(icmp: IcmpHeader) -> [u8; 4] {
        (u32::from(icmp.id) << 16 | u32::from(icmp.sequence)).to_be_bytes()
    }

    proptest! {
        #[test]
        fn a_frame_is_the_one_that_etherparse_builds(mut packet in packet()) {
            if let IpHeader::V4(header) = &mut packet.ip {
                header.flags &= 3;
            }
            prop_assert_eq!(packet.to_vec(), built_by_etherparse(&packet));
        }

        #[test]
        fn a_frame_has_the_length_that_was_announced(packet in packet()) {
            let mut buffer = [0xaa; MAX_FRAME_LENGTH + 1];
            let length = packet.encode_to_slice(&mut buffer).unwrap();
            prop_assert_eq!(length, packet.frame_length());
            prop_assert_eq!(&buffer[..length], packet.to_vec());
            prop_assert!(buffer[length..].iter().all(|&byte| byte == 0xaa));
        }

        #[test]
        fn a_buffer_that_is_too_small_stays_as_it_was(packet in packet(), missing in 1usize..30) {
            let available = packet.frame_length() - missing;
            let mut buffer = vec![0xaa; available];
            let needed = packet.frame_length();
            prop_assert_eq!(packet.encode_to_slice(&mut buffer), Err(BufferTooSmall { needed, available }));
            prop_assert!(buffer.iter().all(|&byte| byte == 0xaa));
        }
    }

    /// From scapy 2: `Ether()/IP(tos=28, flags="DF")/SCTP(tag=0)/SCTPChunkInit(init_tag=0x01020304, init_tsn=0x05060708)`.
    #[rustfmt::skip]
    const SCTP_INIT: &[u8] = &[
        0x02, 0x00, 0x0a, 0x00, 0x00, 0x02, 0x02, 0x00, 0x0a, 0x00, 0x00, 0x01, 0x08, 0x00,
        0x45, 0x1c, 0x00, 0x34, 0x00, 0x00, 0x40, 0x00, // DSCP 7, 52 bytes, don't fragment
        0x40, 0x84, 0x26, 0x28,                         // TTL 64, SCTP, checksum
        10, 0, 0, 1, 10, 0, 0, 2,
        0x9c, 0x40, 0x0f, 0x1c,                         // ports 40000 and 3868
        0x00, 0x00, 0x00, 0x00, 0xbd, 0x5f, 0x96, 0x1a, // no verification tag yet, CRC32c
        0x01, 0x00, 0x00, 0x14,                         // INIT, 20 bytes
        0x01, 0x02, 0x03, 0x04, 0x00, 0x01, 0xa0, 0x00, // initiate tag, advertised window
        0x00, 0x0a, 0xff, 0xff, 0x05, 0x06, 0x07, 0x08, // streams out and in, initial TSN
    ];

    /// From scapy 2: `Ether()/IP(id=0x1234, tos=28, flags="evil")/TCP(window=64240, …)`.
    #[rustfmt::skip]
    const TCP_WITH_RESERVED_FLAG: &[u8] = &[
        0x02, 0x00, 0x0a, 0x00, 0x00, 0x02, 0x02, 0x00, 0x0a, 0x00, 0x00, 0x01, 0x08, 0x00,
        0x45, 0x1c, 0x00, 0x28, 0x12, 0x34, 0x80, 0x00, // DSCP 7, 40 bytes, identification, reserved flag
        0x40, 0x06, 0xd4, 0x7d,                         // TTL 64, TCP, checksum
        10, 0, 0, 1, 10, 0, 0, 2,
        0x9c, 0x40, 0x00, 0x50,                         // ports 40000 and 80
        0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, // sequence and acknowledgement numbers
        0x50, 0x02, 0xfa, 0xf0, 0xf4, 0x4a, 0x00, 0x00, // SYN, window 64240, checksum
    ];

    fn from_scapys_addresses() -> IpBuilder<Ipv4Header> {
        Packet::ethernet(MacAddress([2, 0, 10, 0, 0, 1]), MacAddress([2, 0, 10, 0, 0, 2]))
            .ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into())
            .dscp(7)
            .nonce(Nonce(0x0102_0304_0506_0708))
    }

    #[test]
    fn an_sctp_init_is_the_one_that_scapy_builds() {
        assert_eq!(from_scapys_addresses().sctp(40_000, 3868).unwrap().to_vec(), SCTP_INIT);
    }

    #[test]
    fn the_reserved_ipv4_flag_is_sent_as_scapy_sends_it() {
        let packet = from_scapys_addresses()
            .flags(4)
            .identification(0x1234)
            .tcp(40_000, 80, TcpFlags::SYN);
        assert_eq!(packet.unwrap().to_vec(), TCP_WITH_RESERVED_FLAG);
    }

    #[test]
    fn values_out_of_range_are_cut_to_their_fields() {
        let mut packet = Packet::ethernet(MacAddress([2; 6]), MacAddress([2; 6]))
            .ipv6([0; 16].into(), [1; 16].into())
            .udp(1, 53)
            .unwrap();
        packet.ip = IpHeader::V6(Ipv6Header {
            source: [0; 16].into(),
            destination: [1; 16].into(),
            hop_limit: 64,
            dscp: 0xff,
            flow_label: 0xfff0_0001,
        });
        assert_eq!(packet.to_vec()[14..18], [0x6f, 0xc0, 0x00, 0x01]);
    }

    #[test]
    fn an_encoded_frame_is_appended() {
        let packet = Packet::ethernet(MacAddress([2; 6]), MacAddress([2; 6]))
            .ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into())
            .tcp(40_000, 80, TcpFlags::SYN)
            .unwrap();
        let mut out = vec![1, 2, 3];
        packet.encode(&mut out);
        assert_eq!(out[..3], [1, 2, 3]);
        assert_eq!(out[3..], packet.to_vec());
    }
}
