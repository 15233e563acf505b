//! A packet rendered once and then changed in place, for many traces of one kind.

use std::ops::Deref;

use super::checksum::{Sum, crc32c_change};
use super::encode::{ETHERNET_LENGTH, Frame, FrameBytes, IPV4_LENGTH, IPV6_LENGTH, SCTP_LENGTH, udp_checksum};
use super::{IcmpHeader, IpHeader, Nonce, Packet, Transport};

/// A rendered packet whose per-trace fields can be changed without rendering it again.
///
/// A patch takes a few nanoseconds and no allocation: checksums are not computed anew but carried on from the part of
/// the packet that stays (RFC 1624). The template reads as the frame of its latest patch.
///
/// ```
/// use traceflow_core::packet::{MacAddress, Nonce, Packet, Patch, TcpFlags, Template};
///
/// let mut packet = Packet::ethernet(MacAddress([2, 0, 0, 0, 0, 1]), MacAddress([2, 0, 0, 0, 0, 2]))
///     .ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into())
///     .tcp(40_000, 80, TcpFlags::SYN)?;
/// let mut template = Template::new(&packet);
/// assert_eq!(template[..], packet.to_vec());
///
/// let frame = template.patch(&Patch { nonce: Nonce(7), ..Patch::of(&packet) });
/// packet.nonce = Nonce(7);
/// assert_eq!(frame, packet.to_vec());
/// # Ok::<(), traceflow_core::packet::PacketError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Template {
    frame: Frame,
    network: Network,
    transport: TransportPatch,
}

/// The fields that differ from trace to trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patch {
    /// Whose packet it is.
    pub nonce: Nonce,
    /// The source port, or the identifier of an ICMP or ICMPv6 echo: what gives each trace a connection of its own.
    /// Other protocols have neither and ignore it.
    pub source: u16,
    /// Differentiated services code point, 0 to 63.
    pub dscp: u8,
    /// IPv4's identification; IPv6 has none and ignores it.
    pub identification: u16,
}

impl Template {
    /// Renders `packet`.
    pub fn new(packet: &Packet) -> Self {
        let blank = Patch {
            nonce: Nonce(0),
            source: 0,
            dscp: 0,
            identification: 0,
        };
        let frame = Frame::render(&blank.applied_to(packet));
        let mut template = Self {
            network: Network::of(&packet.ip, &frame.bytes),
            transport: TransportPatch::of(packet, &frame.bytes),
            frame,
        };
        template.patch(&Patch::of(packet));
        template
    }

    /// Changes the frame to carry the fields of `patch` and returns it; what an earlier patch set is overwritten.
    // A call, and the choice of the layers in it, would cost as much as the patch. Where it is inlined into a loop over
    // one template, both go.
    #[inline(always)]
    pub fn patch(&mut self, patch: &Patch) -> &[u8] {
        let bytes = &mut self.frame.bytes;
        match self.network {
            Network::V4 { blank } => {
                patch_ipv4(bytes, Sum::from_checksum(blank), patch);
                self.transport.apply::<{ ETHERNET_LENGTH + IPV4_LENGTH }>(bytes, patch);
            }
            Network::V6 { first_word } => {
                let word = first_word | u16::from(patch.dscp & 0x3f) << 6;
                set::<ETHERNET_LENGTH, 2>(bytes, word.to_be_bytes());
                self.transport.apply::<{ ETHERNET_LENGTH + IPV6_LENGTH }>(bytes, patch);
            }
        }
        self.frame.as_slice()
    }
}

/// The frame of the latest patch.
impl Deref for Template {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.frame.as_slice()
    }
}

impl Patch {
    /// What `packet` has in these fields; 0 where it has no such field.
    pub fn of(packet: &Packet) -> Self {
        let (dscp, identification) = match &packet.ip {
            IpHeader::V4(header) => (header.dscp, header.identification),
            IpHeader::V6(header) => (header.dscp, 0),
        };
        let source = match packet.transport {
            Transport::Tcp { source, .. } | Transport::Udp { source, .. } | Transport::Sctp { source, .. } => source,
            Transport::Icmp(IcmpHeader { id, .. }) | Transport::Icmpv6(IcmpHeader { id, .. }) => id,
            Transport::Other(_) => 0,
        };
        Self {
            nonce: packet.nonce,
            source,
            dscp,
            identification,
        }
    }

    /// `packet` with these fields: what the patched template holds.
    #[must_use]
    pub fn applied_to(&self, packet: &Packet) -> Packet {
        let mut patched = packet.clone();
        patched.nonce = self.nonce;
        match &mut patched.ip {
            IpHeader::V4(header) => {
                header.dscp = self.dscp;
                header.identification = self.identification;
            }
            IpHeader::V6(header) => header.dscp = self.dscp,
        }
        match &mut patched.transport {
            Transport::Tcp { source, .. } | Transport::Udp { source, .. } | Transport::Sctp { source, .. } => {
                *source = self.source;
            }
            Transport::Icmp(header) | Transport::Icmpv6(header) => header.id = self.source,
            Transport::Other(_) => {}
        }
        patched
    }
}

/// What stays of the network header's patched fields.
#[derive(Debug, Clone, Copy)]
enum Network {
    /// The header's checksum without DSCP and identification. In 16 bits, for the compiler then knows that their sum
    /// needs no more than 32.
    V4 { blank: [u8; 2] },
    /// The first two bytes without DSCP: the version and the flow label's highest bits.
    V6 { first_word: u16 },
}

impl Network {
    fn of(ip: &IpHeader, blank: &FrameBytes) -> Self {
        match ip {
            IpHeader::V4(_) => Self::V4 {
                blank: field::<{ ETHERNET_LENGTH + 10 }>(blank),
            },
            IpHeader::V6(_) => Self::V6 {
                first_word: u16::from_be_bytes(field::<ETHERNET_LENGTH>(blank)),
            },
        }
    }
}

#[inline]
fn patch_ipv4(bytes: &mut FrameBytes, sum: Sum, patch: &Patch) {
    let service = patch.dscp << 2;
    let identification = patch.identification.to_be_bytes();
    let checksum = sum.with(&[0, service]).with(&identification).checksum();
    bytes[ETHERNET_LENGTH + 1] = service;
    set::<{ ETHERNET_LENGTH + 4 }, 2>(bytes, identification);
    set::<{ ETHERNET_LENGTH + 10 }, 2>(bytes, checksum);
}

/// Where the transport's patched fields are, with the checksum of everything else.
#[derive(Debug, Clone, Copy)]
enum TransportPatch {
    Tcp { sum: Sum },
    Udp { sum: Sum },
    Icmp { sum: Sum },
    Sctp { crc: u32 },
    Other,
}

impl TransportPatch {
    fn of(packet: &Packet, blank: &FrameBytes) -> Self {
        let start = ETHERNET_LENGTH + packet.ip.length();
        let checksum = |at: usize| Sum::from_checksum([blank[start + at], blank[start + at + 1]]);
        match packet.transport {
            Transport::Tcp { .. } => Self::Tcp { sum: checksum(16) },
            Transport::Udp { .. } => Self::Udp { sum: checksum(6) },
            Transport::Icmp(_) | Transport::Icmpv6(_) => Self::Icmp { sum: checksum(2) },
            Transport::Sctp { .. } => {
                let [a, b, c, d] = [8, 9, 10, 11].map(|at| blank[start + at]);
                Self::Sctp {
                    crc: u32::from_le_bytes([a, b, c, d]),
                }
            }
            Transport::Other(_) => Self::Other,
        }
    }

    /// Patches the transport that starts at byte `START` of the frame.
    #[inline(always)]
    fn apply<const START: usize>(self, bytes: &mut FrameBytes, patch: &Patch) {
        let transport = &mut bytes[START..];
        let source = patch.source.to_be_bytes();
        let nonce = patch.nonce.0.to_be_bytes();
        let with_patch = |sum: Sum| sum.with(&source).with(&nonce);
        match self {
            Self::Tcp { sum } => {
                transport[0..2].copy_from_slice(&source);
                transport[4..12].copy_from_slice(&nonce);
                transport[16..18].copy_from_slice(&with_patch(sum).checksum());
            }
            Self::Udp { sum } => {
                transport[0..2].copy_from_slice(&source);
                transport[6..8].copy_from_slice(&udp_checksum(with_patch(sum)));
                transport[8..16].copy_from_slice(&nonce);
            }
            Self::Icmp { sum } => {
                transport[2..4].copy_from_slice(&with_patch(sum).checksum());
                transport[4..6].copy_from_slice(&source);
                transport[8..16].copy_from_slice(&nonce);
            }
            Self::Sctp { crc } => {
                if let Some(packet) = transport.first_chunk_mut() {
                    patch_sctp(packet, crc, patch);
                }
            }
            Self::Other => transport[0..8].copy_from_slice(&nonce),
        }
    }
}

#[inline]
fn patch_sctp(packet: &mut [u8; SCTP_LENGTH], crc: u32, patch: &Patch) {
    let source = patch.source.to_be_bytes();
    let [high, low] = [patch.nonce.high(), patch.nonce.low()].map(u32::to_be_bytes);
    // Behind the source port are 30 bytes of the 32, behind the initiate tag 12, behind the TSN none.
    let change = crc32c_change(source, 30) ^ crc32c_change(high, 12) ^ crc32c_change(low, 0);
    packet[0..2].copy_from_slice(&source);
    packet[8..12].copy_from_slice(&(crc ^ change).to_le_bytes());
    packet[16..20].copy_from_slice(&high);
    packet[28..32].copy_from_slice(&low);
}

fn field<const AT: usize>(bytes: &FrameBytes) -> [u8; 2] {
    [bytes[AT], bytes[AT + 1]]
}

#[inline]
fn set<const AT: usize, const N: usize>(bytes: &mut FrameBytes, field: [u8; N]) {
    bytes[AT..AT + N].copy_from_slice(&field);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::arbitrary::{packet, patch};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_patched_template_is_the_encoded_patched_packet(packet in packet(), patches in prop::collection::vec(patch(), 1..4)) {
            let mut template = Template::new(&packet);
            prop_assert_eq!(&template[..], packet.to_vec());
            for patch in patches {
                prop_assert_eq!(template.patch(&patch), patch.applied_to(&packet).to_vec());
            }
        }

        #[test]
        fn a_patch_with_a_packets_own_fields_changes_nothing(packet in packet()) {
            prop_assert_eq!(Patch::of(&packet).applied_to(&packet), packet);
        }
    }

    #[test]
    fn a_udp_checksum_that_becomes_zero_is_sent_as_all_ones() {
        let packet = Packet::ethernet(crate::packet::MacAddress([2; 6]), crate::packet::MacAddress([2; 6]))
            .ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into())
            .udp(1, 53)
            .unwrap();
        let mut template = Template::new(&packet);
        let checksum = |frame: &[u8]| u16::from_be_bytes([frame[40], frame[41]]);
        let patch = Patch::of(&packet);
        let nonce = Nonce(checksum(&template).into());
        assert_eq!(checksum(template.patch(&Patch { nonce, ..patch })), 0xffff);
    }
}
