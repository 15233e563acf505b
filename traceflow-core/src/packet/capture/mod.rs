//! A captured frame, read back into fields.
//!
//! Switches cut what they capture, and strangers send what they like: whatever is there is read, and only a frame
//! without a whole IP header is refused.

mod error;
#[cfg(test)]
mod tests;
mod transport;

use std::net::IpAddr;

use etherparse::err::Layer;
use etherparse::err::ip::LaxHeaderSliceError;
use etherparse::err::packet::SliceError;
use etherparse::{LaxIpSlice, LaxIpv4Slice, LaxIpv6Slice, LaxNetSlice, LaxSlicedPacket, ether_type};

use super::encode::{ETHERNET_LENGTH, IPV6_LENGTH};
use super::{IpHeader, Nonce, Packet, Protocol};
use transport::{field, read_nonce, read_transport};

pub use error::CaptureError;
pub use transport::CapturedTransport;

/// What a captured frame said about itself; whatever was cut off or unreadable is `None`.
///
/// This is `status.capturedPacket` of the Traceflow resource, with the identity fields that tell two packets apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapturedPacket {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Length of the IP packet, its header included, as the header claims it.
    pub length: u32,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Differentiated services code point.
    pub dscp: u8,
    /// IPv4's three flag bits; `None` for IPv6.
    pub flags: Option<u8>,
    /// IPv4's identification; `None` for IPv6.
    pub identification: Option<u16>,
    /// The transport protocol, behind any IPv6 extension headers.
    pub protocol: Protocol,
    /// The transport header, as far as it was there.
    pub transport: CapturedTransport,
    /// The nonce, where the packet has room for one. A stranger's packet has a number there too: compare, never trust.
    pub nonce: Option<Nonce>,
}

impl CapturedPacket {
    /// Reads an Ethernet frame, with or without VLAN tags. Checksums are not verified: a capture may come from before
    /// they were computed.
    ///
    /// ```
    /// use traceflow_core::packet::{CapturedPacket, CapturedTransport, MacAddress, Packet};
    ///
    /// let packet = Packet::ethernet(MacAddress([2, 0, 0, 0, 0, 1]), MacAddress([2, 0, 0, 0, 0, 2]))
    ///     .ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into())
    ///     .udp(40_000, 53)?;
    /// let frame = packet.to_vec();
    /// assert_eq!(CapturedPacket::from_frame(&frame), Ok(CapturedPacket::from(&packet)));
    ///
    /// // Cut within the ports: what comes before is still there.
    /// let cut = CapturedPacket::from_frame(&frame[..36]).unwrap();
    /// assert_eq!((cut.length, cut.transport), (36, CapturedTransport::None));
    /// # Ok::<(), traceflow_core::packet::PacketError>(())
    /// ```
    ///
    /// # Errors
    /// [`CaptureError`] if there is no IP header, or not all of it.
    pub fn from_frame(frame: &[u8]) -> Result<Self, CaptureError> {
        let sliced = LaxSlicedPacket::from_ethernet(frame)?;
        match &sliced.net {
            Some(LaxNetSlice::Ipv4(ip)) => Ok(read_ipv4(ip)),
            Some(LaxNetSlice::Ipv6(ip)) => Ok(read_ipv6(ip)),
            Some(LaxNetSlice::Arp(_)) => Err(CaptureError::not_ip(ether_type::ARP)),
            None => Err(why_no_ip(&sliced)),
        }
    }

    /// Reads an IPv4 or IPv6 packet that has no Ethernet header.
    ///
    /// # Errors
    /// [`CaptureError`] if there is no IP header, or not all of it.
    pub fn from_ip(packet: &[u8]) -> Result<Self, CaptureError> {
        let (ip, _) = LaxIpSlice::from_slice(packet).map_err(|error| match error {
            LaxHeaderSliceError::Len(error) => error.into(),
            LaxHeaderSliceError::Content(error) => CaptureError::malformed(&error, 0),
        })?;
        Ok(match &ip {
            LaxIpSlice::Ipv4(ip) => read_ipv4(ip),
            LaxIpSlice::Ipv6(ip) => read_ipv6(ip),
        })
    }
}

/// What a capture of the whole packet says.
impl From<&Packet> for CapturedPacket {
    fn from(packet: &Packet) -> Self {
        let (dscp, flags, identification) = match &packet.ip {
            IpHeader::V4(header) => (header.dscp, Some(header.flags), Some(header.identification)),
            IpHeader::V6(header) => (header.dscp, None, None),
        };
        Self {
            source: packet.ip.source(),
            destination: packet.ip.destination(),
            length: packet.ip_length() as u32,
            ttl: packet.ip.ttl(),
            dscp,
            flags,
            identification,
            protocol: packet.protocol(),
            transport: CapturedTransport::from(packet),
            nonce: Some(packet.nonce),
        }
    }
}

/// Why etherparse found no IP header in the frame.
fn why_no_ip(sliced: &LaxSlicedPacket<'_>) -> CaptureError {
    match &sliced.stop_err {
        Some((_, Layer::Arp)) => CaptureError::not_ip(ether_type::ARP),
        Some((SliceError::Len(error), _)) => error.clone().into(),
        Some((SliceError::Ip(error), _)) => {
            let tags: usize = sliced.link_exts.iter().map(|tag| tag.header_len()).sum();
            CaptureError::malformed(error, ETHERNET_LENGTH + tags)
        }
        _ => CaptureError::not_ip(
            sliced
                .ether_payload()
                .map_or(ether_type::MACSEC, |payload| payload.ether_type),
        ),
    }
}

fn read_ipv4(ip: &LaxIpv4Slice<'_>) -> CapturedPacket {
    let header = ip.header();
    let (protocol, payload) = if header.fragments_offset().value() == 0 {
        (Protocol(ip.payload().ip_number.0), ip.payload().payload)
    } else {
        (Protocol(header.protocol().0), LATER_FRAGMENT)
    };
    CapturedPacket {
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
        length: header.total_len().into(),
        ttl: header.ttl(),
        dscp: header.dcp().value(),
        // etherparse shows two of the three bits.
        flags: header.slice().get(6).map(|byte| byte >> 5),
        identification: Some(header.identification()),
        protocol,
        transport: read_transport(protocol, payload),
        nonce: read_nonce(protocol, payload),
    }
}

fn read_ipv6(ip: &LaxIpv6Slice<'_>) -> CapturedPacket {
    let header = ip.header();
    let (protocol, payload) = match later_fragment_of(ip) {
        None => (Protocol(ip.payload().ip_number.0), ip.payload().payload),
        Some(protocol) => (protocol, LATER_FRAGMENT),
    };
    // Extension headers that were cut off, or that etherparse doesn't know, are no transport.
    let payload = if protocol.is_extension_header() { &[] } else { payload };
    CapturedPacket {
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
        length: IPV6_LENGTH as u32 + u32::from(header.payload_length()),
        ttl: header.hop_limit(),
        dscp: header.dscp().value(),
        flags: None,
        identification: None,
        protocol,
        transport: read_transport(protocol, payload),
        nonce: read_nonce(protocol, payload),
    }
}

/// The payload of a fragment other than the first starts somewhere within the transport's: nothing to read there.
const LATER_FRAGMENT: &[u8] = &[];

/// The protocol of an IPv6 fragment, if it is not its packet's first.
///
/// etherparse's own iterator over extension headers must not be used here: behind the last header of a chain that was
/// cut off it reads on, out of bounds (0.21.0).
fn later_fragment_of(ip: &LaxIpv6Slice<'_>) -> Option<Protocol> {
    if !ip.is_payload_fragmented() {
        return None;
    }
    let mut next = Protocol(ip.header().next_header().0);
    let mut rest = ip.extensions().slice();
    while next.is_extension_header() {
        let [following, units, offset @ ..]: [u8; 4] = field(rest, 0)?;
        let length = match next {
            Protocol::FRAGMENT if u16::from_be_bytes(offset) >> 3 != 0 => return Some(Protocol(following)),
            Protocol::FRAGMENT => 8,
            // RFC 4302, section 2.2, counts in other units than all others (RFC 6564, section 4).
            Protocol::AUTHENTICATION => (usize::from(units) + 2) * 4,
            _ => (usize::from(units) + 1) * 8,
        };
        next = Protocol(following);
        rest = rest.get(length..)?;
    }
    None
}
