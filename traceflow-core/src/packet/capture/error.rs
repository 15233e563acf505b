//! Why a frame can't be read.

use etherparse::EtherType;
use etherparse::err::ip::HeaderError;
use etherparse::err::{Layer, LenError};

/// Why a frame can't be read as an IP packet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The frame ends within a header.
    #[error("{what} at byte {offset} needs {needed} bytes, {available} are there")]
    TooShort {
        /// The header that was read.
        what: &'static str,
        /// How many bytes it has at least.
        needed: usize,
        /// How many bytes of it are there.
        available: usize,
        /// Where it starts, in bytes from the start of the frame (or of the IP packet).
        offset: usize,
    },
    /// The frame carries something else.
    #[error("ether type {ether_type:#06x} is neither IPv4 nor IPv6")]
    NotIp {
        /// The ether type behind all VLAN tags; a length if it is less than 0x0600 (IEEE 802.3).
        ether_type: u16,
    },
    /// The IP header's version is not that of an IP that anybody knows.
    #[error("the IP header at byte {offset} has version {version}")]
    UnknownVersion {
        /// The version field.
        version: u8,
        /// Where the header starts, in bytes from the start of the frame (or of the IP packet).
        offset: usize,
    },
    /// An IPv4 header claims to be shorter than IPv4 headers are.
    #[error("the IPv4 header at byte {offset} claims {claimed} bytes, the least is 20")]
    ShortHeader {
        /// How many bytes the header claims to have.
        claimed: usize,
        /// Where the header starts, in bytes from the start of the frame (or of the IP packet).
        offset: usize,
    },
}

impl CaptureError {
    pub(super) fn not_ip(ether_type: EtherType) -> Self {
        Self::NotIp {
            ether_type: ether_type.0,
        }
    }

    pub(super) fn malformed(error: &HeaderError, offset: usize) -> Self {
        match *error {
            HeaderError::UnsupportedIpVersion { version_number } => Self::UnknownVersion {
                version: version_number,
                offset,
            },
            HeaderError::Ipv4HeaderLengthSmallerThanHeader { ihl } => Self::ShortHeader {
                claimed: usize::from(ihl) * 4,
                offset,
            },
        }
    }
}

impl From<LenError> for CaptureError {
    fn from(error: LenError) -> Self {
        Self::TooShort {
            what: match error.layer {
                Layer::Ethernet2Header => "the Ethernet header",
                Layer::VlanHeader => "the VLAN tag",
                Layer::MacsecHeader | Layer::MacsecPacket => "the MACsec tag",
                Layer::Ipv4Header => "the IPv4 header",
                Layer::Ipv6Header => "the IPv6 header",
                _ => "the IP header",
            },
            needed: error.required_len,
            available: error.len,
            offset: error.layer_start_offset,
        }
    }
}
