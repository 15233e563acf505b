//! The packet as it was asked for: what is left open is `None`.

use std::num::{NonZeroU8, NonZeroU16};

use crate::input::{BadInput, Problem};
use crate::packet::{IpFamily, Protocol};
use crate::plan::TcpFlagsMatch;

/// The headers that were asked for. For an injected packet, what is open is filled in when the trace is planned; for
/// live traffic, what is open matches anything.
///
/// ```
/// use traceflow_core::packet::Protocol;
/// use traceflow_core::spec::PacketSpec;
///
/// let web = PacketSpec::of(Protocol::TCP).with_ports(None, Some(80))?;
/// assert_eq!(web, "tcp,tcp_dst=80".parse()?);
/// # Ok::<(), traceflow_core::input::BadInput>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PacketSpec {
    pub(super) family: Option<IpFamily>,
    pub(super) ttl: Option<NonZeroU8>,
    pub(super) ip_flags: Option<u8>,
    pub(super) dscp: Option<u8>,
    pub(super) transport: Option<TransportSpec>,
    pub(super) new_only: bool,
}

/// The transport header that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransportSpec {
    /// TCP.
    Tcp {
        /// Source port.
        source: Option<NonZeroU16>,
        /// Destination port.
        destination: Option<NonZeroU16>,
        /// Flags. An injected packet has those set that must be set.
        flags: Option<TcpFlagsMatch>,
    },
    /// UDP.
    Udp {
        /// Source port.
        source: Option<NonZeroU16>,
        /// Destination port.
        destination: Option<NonZeroU16>,
    },
    /// SCTP.
    Sctp {
        /// Source port.
        source: Option<NonZeroU16>,
        /// Destination port.
        destination: Option<NonZeroU16>,
    },
    /// ICMP over IPv4, ICMPv6 over IPv6.
    Icmp(IcmpSpec),
    /// Any other protocol, none of the above.
    #[non_exhaustive]
    Other {
        /// Its number.
        protocol: Protocol,
    },
}

/// The ICMP or ICMPv6 header that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IcmpSpec {
    /// Type.
    pub icmp_type: Option<u8>,
    /// Code.
    pub code: Option<u8>,
    /// Identifier of an echo request.
    pub id: Option<u16>,
    /// Sequence number of an echo request.
    pub sequence: Option<u16>,
}

impl PacketSpec {
    /// Any packet of this protocol. ICMPv6 means IPv6; ICMP is of the family that the addresses will have.
    pub fn of(protocol: Protocol) -> Self {
        Self {
            family: (protocol == Protocol::ICMPV6).then_some(IpFamily::V6),
            transport: Some(TransportSpec::of(protocol)),
            ..Self::default()
        }
    }

    /// The same packet, of this family.
    ///
    /// # Errors
    /// If something in the packet belongs to the other family.
    pub fn with_family(mut self, family: IpFamily) -> Result<Self, BadInput> {
        if self.family.is_some_and(|known| known != family) {
            return Err(conflict(
                "spec.packet",
                format!("something in the packet says that it is not {family}"),
                "use headers of one family",
            ));
        }
        self.family = Some(family);
        Ok(self)
    }

    /// The same packet, with this TTL or hop limit.
    #[must_use]
    pub fn with_ttl(mut self, ttl: NonZeroU8) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// The same packet, of IPv4, with these flag bits: 2 is don't fragment, 1 more fragments, 4 reserved.
    ///
    /// # Errors
    /// If the packet is of IPv6, or `flags` is above 7.
    pub fn with_ip_flags(self, flags: u8) -> Result<Self, BadInput> {
        in_range("spec.packet.ipHeader.flags", flags, 7)?;
        let mut packet = self.with_family(IpFamily::V4)?;
        packet.ip_flags = Some(flags);
        Ok(packet)
    }

    /// The same packet, with this differentiated services code point.
    ///
    /// # Errors
    /// If `dscp` is above 63.
    pub fn with_dscp(mut self, dscp: u8) -> Result<Self, BadInput> {
        in_range("spec.packet.dscp", dscp, 63)?;
        self.dscp = Some(dscp);
        Ok(self)
    }

    /// The same packet, with these ports. `None` leaves a port as it was.
    ///
    /// # Errors
    /// If the protocol has no ports, or a port is 0.
    pub fn with_ports(mut self, from: Option<u16>, to: Option<u16>) -> Result<Self, BadInput> {
        let Some((source, destination)) = self.transport.as_mut().and_then(TransportSpec::ports_mut) else {
            return Err(conflict(
                "spec.packet.transportHeader",
                "only TCP, UDP and SCTP have ports".to_owned(),
                "choose one of them",
            ));
        };
        *source = port("srcPort", from)?.or(*source);
        *destination = port("dstPort", to)?.or(*destination);
        Ok(self)
    }

    /// The same packet, with these TCP flags.
    ///
    /// # Errors
    /// If the protocol is not TCP.
    pub fn with_tcp_flags(mut self, wanted: TcpFlagsMatch) -> Result<Self, BadInput> {
        let Some(TransportSpec::Tcp { flags, .. }) = &mut self.transport else {
            return Err(conflict(
                "spec.packet.transportHeader",
                "only TCP has these flags".to_owned(),
                "choose TCP",
            ));
        };
        *flags = Some(wanted);
        Ok(self)
    }

    /// The same packet, with this ICMP or ICMPv6 header.
    ///
    /// # Errors
    /// If the protocol is neither ICMP nor ICMPv6.
    pub fn with_icmp(mut self, wanted: IcmpSpec) -> Result<Self, BadInput> {
        let Some(TransportSpec::Icmp(header)) = &mut self.transport else {
            return Err(conflict(
                "spec.packet.transportHeader",
                "only ICMP and ICMPv6 have this header".to_owned(),
                "choose one of them",
            ));
        };
        *header = wanted;
        Ok(self)
    }

    /// The same, but of live traffic only the first packet of a connection.
    #[must_use]
    pub fn only_new(mut self) -> Self {
        self.new_only = true;
        self
    }

    /// The address family, if it was asked for.
    pub fn family(&self) -> Option<IpFamily> {
        self.family
    }

    /// TTL or hop limit.
    pub fn ttl(&self) -> Option<NonZeroU8> {
        self.ttl
    }

    /// IPv4's three flag bits, 0 to 7.
    pub fn ip_flags(&self) -> Option<u8> {
        self.ip_flags
    }

    /// Differentiated services code point, 0 to 63.
    pub fn dscp(&self) -> Option<u8> {
        self.dscp
    }

    /// The transport header; `None` if not even the protocol was asked for.
    pub fn transport(&self) -> Option<&TransportSpec> {
        self.transport.as_ref()
    }

    /// Whether only the first packet of a connection counts.
    pub fn new_only(&self) -> bool {
        self.new_only
    }
}

impl PacketSpec {
    /// Checks that a packet of this family can have the protocol.
    pub(crate) fn check_protocol(&self, family: IpFamily) -> Result<(), BadInput> {
        let Some(TransportSpec::Other { protocol }) = self.transport else {
            return Ok(());
        };
        if family == IpFamily::V4 || !protocol.is_extension_header() {
            return Ok(());
        }
        let number = protocol.0;
        let problem = Problem::Unsupported {
            what: format!("{number} is an IPv6 extension header, not a transport protocol").into(),
            remedy: "use the number of the protocol behind it".into(),
        };
        Err(BadInput::new("spec.packet.ipv6Header.nextHeader", problem))
    }
}

impl TransportSpec {
    /// The header of this protocol with everything open.
    pub fn of(protocol: Protocol) -> Self {
        match protocol {
            Protocol::TCP => Self::Tcp {
                source: None,
                destination: None,
                flags: None,
            },
            Protocol::UDP => Self::Udp {
                source: None,
                destination: None,
            },
            Protocol::SCTP => Self::Sctp {
                source: None,
                destination: None,
            },
            Protocol::ICMP | Protocol::ICMPV6 => Self::Icmp(IcmpSpec::default()),
            protocol => Self::Other { protocol },
        }
    }

    /// The protocol number in a packet of this family.
    pub fn protocol(&self, family: IpFamily) -> Protocol {
        match (self, family) {
            (Self::Tcp { .. }, _) => Protocol::TCP,
            (Self::Udp { .. }, _) => Protocol::UDP,
            (Self::Sctp { .. }, _) => Protocol::SCTP,
            (Self::Icmp(_), IpFamily::V4) => Protocol::ICMP,
            (Self::Icmp(_), IpFamily::V6) => Protocol::ICMPV6,
            (Self::Other { protocol }, _) => *protocol,
        }
    }

    /// The source and destination port, where the protocol has ports.
    pub fn ports(&self) -> Option<(Option<NonZeroU16>, Option<NonZeroU16>)> {
        match *self {
            Self::Tcp {
                source, destination, ..
            }
            | Self::Udp { source, destination }
            | Self::Sctp { source, destination } => Some((source, destination)),
            Self::Icmp(_) | Self::Other { .. } => None,
        }
    }

    pub(super) fn ports_mut(&mut self) -> Option<(&mut Option<NonZeroU16>, &mut Option<NonZeroU16>)> {
        match self {
            Self::Tcp {
                source, destination, ..
            }
            | Self::Udp { source, destination }
            | Self::Sctp { source, destination } => Some((source, destination)),
            Self::Icmp(_) | Self::Other { .. } => None,
        }
    }

    /// Whether the protocol has ports, and the destination's is open.
    pub(super) fn lacks_destination_port(&self) -> bool {
        matches!(self.ports(), Some((_, None)))
    }

    /// The error for it.
    pub(crate) fn missing_destination_port(&self) -> BadInput {
        let key = self.key().unwrap_or_default();
        let remedy = "add the port that the packet goes to; only of a Service the first is taken".into();
        let field = format!("spec.packet.transportHeader.{key}.dstPort");
        BadInput::new(field, Problem::Missing { remedy })
    }

    /// The name of its field in `transportHeader`.
    pub(super) fn key(&self) -> Option<&'static str> {
        match self {
            Self::Tcp { .. } => Some("tcp"),
            Self::Udp { .. } => Some("udp"),
            Self::Sctp { .. } => Some("sctp"),
            Self::Icmp(_) => Some("icmp"),
            Self::Other { .. } => None,
        }
    }
}

fn port(field: &str, number: Option<u16>) -> Result<Option<NonZeroU16>, BadInput> {
    let zero = || {
        let problem = Problem::OutOfRange {
            found: "0".to_owned(),
            least: 1,
            most: 65535,
        };
        BadInput::new(format!("spec.packet.transportHeader.{field}"), problem)
    };
    number
        .map(|number| NonZeroU16::new(number).ok_or_else(zero))
        .transpose()
}

fn in_range(field: &str, number: u8, most: u8) -> Result<(), BadInput> {
    if number <= most {
        return Ok(());
    }
    let problem = Problem::OutOfRange {
        found: number.to_string(),
        least: 0,
        most: most.into(),
    };
    Err(BadInput::new(field, problem))
}

fn conflict(field: &str, what: String, remedy: &'static str) -> BadInput {
    let problem = Problem::Conflict {
        what: what.into(),
        remedy: remedy.into(),
    };
    BadInput::new(field, problem)
}
