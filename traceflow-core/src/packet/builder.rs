//! Builds a packet layer by layer, in the order of the wire.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    IcmpHeader, IpFamily, IpHeader, Ipv4Header, Ipv6Header, MacAddress, Nonce, Packet, Protocol, TcpFlags, Transport,
};

impl Packet {
    /// Starts a packet at its Ethernet header. What isn't set is as a real stack would send it.
    ///
    /// ```
    /// use traceflow_core::packet::{MacAddress, Packet};
    ///
    /// let (pod, gateway) = (MacAddress([2, 0, 0, 0, 0, 1]), MacAddress([2, 0, 0, 0, 0, 2]));
    /// let ping = Packet::ethernet(pod, gateway)
    ///     .ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into())
    ///     .ttl(63)
    ///     .echo_request(1, 0)?;
    /// assert_eq!(ping.ip.ttl(), 63);
    /// # Ok::<(), traceflow_core::packet::PacketError>(())
    /// ```
    ///
    /// Layers that don't fit each other don't compile: two families,
    ///
    /// ```compile_fail,E0308
    /// # use std::net::{Ipv4Addr, Ipv6Addr};
    /// # use traceflow_core::packet::{MacAddress, Packet};
    /// # let mac = MacAddress([2, 0, 0, 0, 0, 1]);
    /// Packet::ethernet(mac, mac).ipv4(Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST);
    /// ```
    ///
    /// ICMP over IPv6,
    ///
    /// ```compile_fail,E0599
    /// # use std::net::Ipv6Addr;
    /// # use traceflow_core::packet::{IcmpHeader, MacAddress, Packet};
    /// # let mac = MacAddress([2, 0, 0, 0, 0, 1]);
    /// Packet::ethernet(mac, mac).ipv6(Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST).icmp(IcmpHeader::ECHO_REQUEST);
    /// ```
    ///
    /// or a fragment flag in IPv6.
    ///
    /// ```compile_fail,E0599
    /// # use std::net::Ipv6Addr;
    /// # use traceflow_core::packet::{MacAddress, Packet};
    /// # let mac = MacAddress([2, 0, 0, 0, 0, 1]);
    /// Packet::ethernet(mac, mac).ipv6(Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST).flags(2);
    /// ```
    pub fn ethernet(source: MacAddress, destination: MacAddress) -> EthernetBuilder {
        EthernetBuilder { source, destination }
    }
}

/// A packet that has its Ethernet header; the network header is next.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct EthernetBuilder {
    source: MacAddress,
    destination: MacAddress,
}

impl EthernetBuilder {
    /// An IPv4 header: TTL 64, don't fragment, identification 0.
    #[inline]
    pub fn ipv4(self, source: Ipv4Addr, destination: Ipv4Addr) -> IpBuilder<Ipv4Header> {
        self.network(Ipv4Header {
            source,
            destination,
            ttl: DEFAULT_TTL,
            dscp: 0,
            flags: Ipv4Header::DONT_FRAGMENT,
            identification: 0,
        })
    }

    /// An IPv6 header: hop limit 64, flow label 0.
    #[inline]
    pub fn ipv6(self, source: Ipv6Addr, destination: Ipv6Addr) -> IpBuilder<Ipv6Header> {
        self.network(Ipv6Header {
            source,
            destination,
            hop_limit: DEFAULT_TTL,
            dscp: 0,
            flow_label: 0,
        })
    }

    /// A header of the family that both addresses have, for callers that learn the family at run time.
    ///
    /// # Errors
    /// [`PacketError::TwoFamilies`] if one address is IPv4 and the other IPv6.
    pub fn ip(self, source: IpAddr, destination: IpAddr) -> Result<IpBuilder<IpHeader>, PacketError> {
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Ok(self.ipv4(source, destination).of_any_family()),
            (IpAddr::V6(source), IpAddr::V6(destination)) => Ok(self.ipv6(source, destination).of_any_family()),
            (from, to) => Err(PacketError::TwoFamilies { from, to }),
        }
    }

    #[inline]
    fn network<H>(self, header: H) -> IpBuilder<H> {
        IpBuilder {
            ethernet: self,
            header,
            ttl: DEFAULT_TTL,
            dscp: 0,
            nonce: Nonce(0),
        }
    }
}

const DEFAULT_TTL: u8 = 64;

/// A packet that has its network header; a transport finishes it.
#[derive(Debug, Clone)]
#[must_use]
pub struct IpBuilder<H> {
    ethernet: EthernetBuilder,
    header: H,
    ttl: u8,
    dscp: u8,
    nonce: Nonce,
}

impl IpBuilder<Ipv4Header> {
    /// The three flag bits, 0 to 7; see [`Ipv4Header::flags`].
    pub fn flags(mut self, flags: u8) -> Self {
        self.header.flags = flags;
        self
    }

    /// The identification.
    pub fn identification(mut self, identification: u16) -> Self {
        self.header.identification = identification;
        self
    }

    /// Finishes with an ICMP message.
    ///
    /// # Errors
    /// [`PacketError`] if a header field is out of its range.
    pub fn icmp(self, header: IcmpHeader) -> Result<Packet, PacketError> {
        self.transport(Transport::Icmp(header))
    }

    /// Finishes with an ICMP echo request, as `ping` sends it.
    ///
    /// # Errors
    /// [`PacketError`] if a header field is out of its range.
    pub fn echo_request(self, id: u16, sequence: u16) -> Result<Packet, PacketError> {
        self.icmp(IcmpHeader {
            id,
            sequence,
            ..IcmpHeader::ECHO_REQUEST
        })
    }
}

impl IpBuilder<Ipv6Header> {
    /// The flow label, 20 bits.
    pub fn flow_label(mut self, flow_label: u32) -> Self {
        self.header.flow_label = flow_label;
        self
    }

    /// Finishes with an ICMPv6 message.
    ///
    /// # Errors
    /// [`PacketError`] if a header field is out of its range.
    pub fn icmpv6(self, header: IcmpHeader) -> Result<Packet, PacketError> {
        self.transport(Transport::Icmpv6(header))
    }

    /// Finishes with an ICMPv6 echo request, as `ping` sends it.
    ///
    /// # Errors
    /// [`PacketError`] if a header field is out of its range.
    pub fn echo_request(self, id: u16, sequence: u16) -> Result<Packet, PacketError> {
        self.icmpv6(IcmpHeader {
            id,
            sequence,
            ..IcmpHeader::ECHO_REQUEST_V6
        })
    }
}

impl<H: Into<IpHeader>> IpBuilder<H> {
    /// The TTL or hop limit; 64 unless set.
    pub fn ttl(mut self, ttl: u8) -> Self {
        self.ttl = ttl;
        self
    }

    /// The differentiated services code point, 0 to 63; 0 unless set.
    pub fn dscp(mut self, dscp: u8) -> Self {
        self.dscp = dscp;
        self
    }

    /// Whose packet it is; 0 unless set.
    pub fn nonce(mut self, nonce: Nonce) -> Self {
        self.nonce = nonce;
        self
    }

    /// Finishes with a TCP segment without payload; [`TcpFlags::SYN`] opens a connection.
    ///
    /// # Errors
    /// [`PacketError`] if the source port is 0 or a header field is out of its range.
    #[inline]
    pub fn tcp(self, source: u16, destination: u16, flags: TcpFlags) -> Result<Packet, PacketError> {
        self.transport(Transport::Tcp {
            source,
            destination,
            flags,
        })
    }

    /// Finishes with a UDP datagram.
    ///
    /// # Errors
    /// [`PacketError`] if the source port is 0 or a header field is out of its range.
    #[inline]
    pub fn udp(self, source: u16, destination: u16) -> Result<Packet, PacketError> {
        self.transport(Transport::Udp { source, destination })
    }

    /// Finishes with an SCTP INIT.
    ///
    /// # Errors
    /// [`PacketError`] if the source port is 0 or a header field is out of its range.
    pub fn sctp(self, source: u16, destination: u16) -> Result<Packet, PacketError> {
        self.transport(Transport::Sctp { source, destination })
    }

    /// Finishes with any transport, for callers that learn it at run time.
    ///
    /// # Errors
    /// [`PacketError`] if the transport doesn't fit the family, the source port is 0 or a header field is out of its
    /// range.
    #[inline]
    pub fn transport(self, transport: Transport) -> Result<Packet, PacketError> {
        let EthernetBuilder { source, destination } = self.ethernet;
        let packet = Packet {
            source_mac: source,
            destination_mac: destination,
            ip: self.header.into().with_ttl(self.ttl).with_dscp(self.dscp),
            transport,
            nonce: self.nonce,
        };
        packet.ip.check()?;
        packet.transport.check(packet.ip.family())?;
        Ok(packet)
    }

    fn of_any_family(self) -> IpBuilder<IpHeader> {
        IpBuilder {
            ethernet: self.ethernet,
            header: self.header.into(),
            ttl: self.ttl,
            dscp: self.dscp,
            nonce: self.nonce,
        }
    }
}

impl IpHeader {
    #[inline]
    fn with_ttl(mut self, ttl: u8) -> Self {
        match &mut self {
            Self::V4(header) => header.ttl = ttl,
            Self::V6(header) => header.hop_limit = ttl,
        }
        self
    }

    #[inline]
    fn with_dscp(mut self, dscp: u8) -> Self {
        match &mut self {
            Self::V4(header) => header.dscp = dscp,
            Self::V6(header) => header.dscp = dscp,
        }
        self
    }

    #[inline]
    fn check(&self) -> Result<(), PacketError> {
        match self {
            Self::V4(header) => {
                within("the DSCP", header.dscp.into(), 63)?;
                within("the IPv4 flags", header.flags.into(), 7)
            }
            Self::V6(header) => {
                within("the DSCP", header.dscp.into(), 63)?;
                within("the flow label", header.flow_label, 0xf_ffff)
            }
        }
    }
}

impl Transport {
    #[inline]
    fn check(&self, family: IpFamily) -> Result<(), PacketError> {
        match (self, family) {
            (Self::Icmp(_), IpFamily::V6) | (Self::Icmpv6(_), IpFamily::V4) => Err(PacketError::WrongFamily {
                protocol: self.protocol(),
                family,
            }),
            (Self::Other(protocol), _) if protocol.has_transport() => Err(PacketError::HasTransport(*protocol)),
            (Self::Other(protocol), IpFamily::V6) if protocol.is_extension_header() => {
                Err(PacketError::ExtensionHeader(*protocol))
            }
            _ if self.ports().is_some_and(|(source, _)| source == 0) => Err(PacketError::SourcePortZero),
            _ => Ok(()),
        }
    }
}

impl Protocol {
    /// Whether [`Transport`] has a variant for it.
    pub(super) fn has_transport(self) -> bool {
        matches!(self, Self::TCP | Self::UDP | Self::ICMP | Self::ICMPV6 | Self::SCTP)
    }

    /// IANA's "IPv6 Extension Header Types", without ESP, behind which nobody sees, and those for experiments.
    pub(crate) fn is_extension_header(self) -> bool {
        matches!(self.0, 0 | 43 | 44 | 51 | 60 | 135 | 139 | 140)
    }
}

fn within(field: &'static str, value: u32, maximum: u32) -> Result<(), PacketError> {
    if value <= maximum {
        Ok(())
    } else {
        Err(PacketError::OutOfRange { field, value, maximum })
    }
}

/// Why there is no such packet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketError {
    /// The ends have addresses of different families.
    #[error("{from} and {to} are of different IP families")]
    TwoFamilies {
        /// The source address.
        from: IpAddr,
        /// The destination address.
        to: IpAddr,
    },
    /// ICMP belongs to IPv4 and ICMPv6 to IPv6.
    #[error("{protocol} can't be sent over {family}")]
    WrongFamily {
        /// ICMP or ICMPv6.
        protocol: Protocol,
        /// The other's family.
        family: IpFamily,
    },
    /// A field can't hold the value.
    #[error("{value} is out of range for {field}, the maximum is {maximum}")]
    OutOfRange {
        /// The header field, with its article.
        field: &'static str,
        /// What it was to be.
        value: u32,
        /// The greatest value that it can hold.
        maximum: u32,
    },
    /// No real stack sends from port 0, and switches treat it as no port at all.
    #[error("the source port is 0")]
    SourcePortZero,
    /// [`Transport`] has a variant for this protocol; a packet without its header would be malformed.
    #[error("{0} needs a header of its own")]
    HasTransport(Protocol),
    /// The number says that an extension header follows, which isn't a transport.
    #[error("{0} is an IPv6 extension header, not a transport")]
    ExtensionHeader(Protocol),
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);

    fn over(family: IpFamily) -> IpBuilder<IpHeader> {
        let address = match family {
            IpFamily::V4 => IpAddr::from([10, 0, 0, 1]),
            IpFamily::V6 => IpAddr::from([1; 16]),
        };
        Packet::ethernet(MAC, MAC).ip(address, address).unwrap()
    }

    #[test]
    fn a_packet_is_what_a_real_stack_would_send_unless_told_otherwise() {
        let packet = Packet::ethernet(MAC, MAC)
            .ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into())
            .tcp(40_000, 80, TcpFlags::SYN)
            .unwrap();
        let header = Ipv4Header {
            source: [10, 0, 0, 1].into(),
            destination: [10, 0, 0, 2].into(),
            ttl: 64,
            dscp: 0,
            flags: 2,
            identification: 0,
        };
        assert_eq!(packet.ip, IpHeader::V4(header));
    }

    #[test]
    fn what_was_set_is_in_the_packet() {
        let packet = Packet::ethernet(MAC, MAC)
            .ipv6([1; 16].into(), [2; 16].into())
            .dscp(7)
            .flow_label(9)
            .ttl(3)
            .nonce(Nonce(5))
            .echo_request(1, 2)
            .unwrap();
        let header = Ipv6Header {
            source: [1; 16].into(),
            destination: [2; 16].into(),
            hop_limit: 3,
            dscp: 7,
            flow_label: 9,
        };
        let echo = IcmpHeader {
            icmp_type: 128,
            code: 0,
            id: 1,
            sequence: 2,
        };
        assert_eq!(packet.ip, IpHeader::V6(header));
        assert_eq!(packet.transport, Transport::Icmpv6(echo));
        assert_eq!(packet.nonce, Nonce(5));
    }

    #[test]
    fn each_wrong_packet_has_an_error_of_its_own() {
        use IpFamily::{V4, V6};
        let udp = Transport::Udp {
            source: 1,
            destination: 53,
        };
        let from_port_zero = Transport::Udp {
            source: 0,
            destination: 53,
        };
        #[rustfmt::skip]
        let cases = [
            (over(V6).transport(Transport::Icmp(IcmpHeader::ECHO_REQUEST)), "ICMP can't be sent over IPv6"),
            (over(V4).transport(Transport::Icmpv6(IcmpHeader::ECHO_REQUEST_V6)), "ICMPv6 can't be sent over IPv4"),
            (over(V4).transport(Transport::Other(Protocol::TCP)), "TCP needs a header of its own"),
            (over(V6).transport(Transport::Other(Protocol(43))), "protocol 43 is an IPv6 extension header, not a transport"),
            (over(V4).transport(from_port_zero), "the source port is 0"),
            (over(V4).dscp(64).transport(udp), "64 is out of range for the DSCP, the maximum is 63"),
        ];
        for (packet, message) in cases {
            assert_eq!(packet.unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn the_ranges_of_each_familys_own_fields_are_checked() {
        let flags = Packet::ethernet(MAC, MAC)
            .ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into())
            .flags(8)
            .udp(1, 53);
        assert_eq!(
            flags.unwrap_err().to_string(),
            "8 is out of range for the IPv4 flags, the maximum is 7"
        );
        let label = Packet::ethernet(MAC, MAC)
            .ipv6([1; 16].into(), [2; 16].into())
            .flow_label(1 << 20)
            .udp(1, 53);
        assert_eq!(
            label.unwrap_err().to_string(),
            "1048576 is out of range for the flow label, the maximum is 1048575"
        );
    }

    #[test]
    fn addresses_of_two_families_make_no_packet() {
        let error = Packet::ethernet(MAC, MAC)
            .ip([10, 0, 0, 1].into(), [1; 16].into())
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "10.0.0.1 and 101:101:101:101:101:101:101:101 are of different IP families"
        );
    }
}
