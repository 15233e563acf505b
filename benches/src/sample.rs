//! The packets that everybody encodes and decodes. The nonce's low half is 0: smoltcp and etherparse's builder send
//! no acknowledgement number without the flag.

use traceflow_core::packet::{MacAddress, Nonce, Packet, PacketError, TcpFlags};

/// What stays the same from packet to packet. The operations take it by a reference that the compiler can't see
/// through, else it would compute part of the packet beforehand, and more of it for one peer than for another.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) source_mac: [u8; 6],
    pub(crate) destination_mac: [u8; 6],
    pub(crate) source_v4: [u8; 4],
    pub(crate) destination_v4: [u8; 4],
    pub(crate) source_v6: [u8; 16],
    pub(crate) destination_v6: [u8; 16],
    pub(crate) destination_port: u16,
    pub(crate) ttl: u8,
}

pub(crate) static ENDS: Ends = Ends {
    source_mac: [2, 0, 10, 0, 0, 1],
    destination_mac: [2, 0, 10, 0, 0, 2],
    source_v4: [10, 0, 0, 1],
    destination_v4: [10, 0, 1, 2],
    source_v6: [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    destination_v6: [0xfd, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2],
    destination_port: 8080,
    ttl: 64,
};

/// What traceflow's encoder sends too.
pub(crate) const WINDOW: u16 = 64_240;

/// Lengths of the frames in bytes.
pub(crate) const TCP_LENGTH: usize = 14 + 20 + 20;
pub(crate) const UDP6_LENGTH: usize = 14 + 40 + 16;
pub(crate) const SCTP_LENGTH: usize = 14 + 20 + 32;

/// What differs from packet to packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Variation {
    pub(crate) source_port: u16,
    pub(crate) sequence: u32,
}

impl Variation {
    #[inline]
    pub(crate) fn of(round: u64) -> Self {
        Self {
            source_port: round as u16 | 1,
            sequence: round as u32,
        }
    }

    #[inline]
    pub(crate) fn nonce(self) -> Nonce {
        Nonce(u64::from(self.sequence) << 32)
    }
}

#[inline]
pub(crate) fn tcp(ends: &Ends, variation: Variation) -> Result<Packet, PacketError> {
    Packet::ethernet(MacAddress(ends.source_mac), MacAddress(ends.destination_mac))
        .ipv4(ends.source_v4.into(), ends.destination_v4.into())
        .ttl(ends.ttl)
        .nonce(variation.nonce())
        .tcp(variation.source_port, ends.destination_port, TcpFlags::SYN)
}

#[inline]
pub(crate) fn udp6(ends: &Ends, variation: Variation) -> Result<Packet, PacketError> {
    Packet::ethernet(MacAddress(ends.source_mac), MacAddress(ends.destination_mac))
        .ipv6(ends.source_v6.into(), ends.destination_v6.into())
        .ttl(ends.ttl)
        .nonce(variation.nonce())
        .udp(variation.source_port, ends.destination_port)
}

pub(crate) fn sctp(ends: &Ends, variation: Variation) -> Result<Packet, PacketError> {
    Packet::ethernet(MacAddress(ends.source_mac), MacAddress(ends.destination_mac))
        .ipv4(ends.source_v4.into(), ends.destination_v4.into())
        .ttl(ends.ttl)
        .nonce(variation.nonce())
        .sctp(variation.source_port, ends.destination_port)
}

/// A frame to read, as a real stack would send it.
pub(crate) fn tcp_frame() -> Vec<u8> {
    tcp(&ENDS, Variation::of(40_000))
        .expect("the sample is a packet")
        .to_vec()
}
