//! Which packets of real traffic a live trace takes.

use std::fmt;
use std::net::IpAddr;

use crate::packet::{IpFamily, Protocol, TcpFlags};

/// Which packets of real traffic a live trace takes. `None` matches everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowMatch {
    /// IPv4 or IPv6.
    pub family: IpFamily,
    /// Source address.
    pub source: Option<IpAddr>,
    /// Destination address, as the sender wrote it: a Service's own, not its endpoint's.
    pub destination: Option<IpAddr>,
    /// Transport protocol.
    pub protocol: Option<Protocol>,
    /// Source port.
    pub source_port: Option<u16>,
    /// Destination port, as the sender wrote it.
    pub destination_port: Option<u16>,
    /// TCP flags.
    pub tcp_flags: Option<TcpFlagsMatch>,
    /// ICMP or ICMPv6 type.
    pub icmp_type: Option<u8>,
    /// ICMP or ICMPv6 code.
    pub icmp_code: Option<u8>,
    /// Differentiated services code point, 0 to 63.
    pub dscp: Option<u8>,
    /// Only the first packet of a connection.
    pub new_only: bool,
}

impl FlowMatch {
    /// Every packet of this family.
    ///
    /// ```
    /// use traceflow_core::packet::{IpFamily, Protocol};
    /// use traceflow_core::plan::FlowMatch;
    ///
    /// let dns = FlowMatch {
    ///     protocol: Some(Protocol::UDP),
    ///     destination_port: Some(53),
    ///     ..FlowMatch::any(IpFamily::V4)
    /// };
    /// assert_eq!(dns.source, None);
    /// ```
    pub fn any(family: IpFamily) -> Self {
        Self {
            family,
            source: None,
            destination: None,
            protocol: None,
            source_port: None,
            destination_port: None,
            tcp_flags: None,
            icmp_type: None,
            icmp_code: None,
            dscp: None,
            new_only: false,
        }
    }
}

/// Which TCP flags must be set and which must not; the others may be as they like. Printed as ovs-ofctl writes it:
/// `+syn-ack`, or `none` where nothing may be set.
///
/// ```
/// use traceflow_core::packet::TcpFlags;
/// use traceflow_core::plan::TcpFlagsMatch;
///
/// let opening = TcpFlagsMatch::new(TcpFlags::SYN, TcpFlags::ACK);
/// assert!(opening.matches(TcpFlags(0xc2)));
/// assert!(!opening.matches(TcpFlags(0x12)));
/// assert_eq!(opening.to_string(), "+syn-ack");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TcpFlagsMatch {
    set: TcpFlags,
    unset: TcpFlags,
}

impl TcpFlagsMatch {
    /// The flags of `set` must be set, those of `unset` must not; a flag in both must be set.
    pub fn new(set: TcpFlags, unset: TcpFlags) -> Self {
        let unset = TcpFlags(unset.0 & !set.0);
        Self { set, unset }
    }

    /// Exactly these flags, and none of the others.
    pub fn exactly(flags: TcpFlags) -> Self {
        Self::new(flags, TcpFlags(!flags.0))
    }

    /// The flags that must be set.
    pub fn set(self) -> TcpFlags {
        self.set
    }

    /// The flags that matter, as a mask: OpenFlow and its like match `value/mask`.
    pub fn mask(self) -> TcpFlags {
        TcpFlags(self.set.0 | self.unset.0)
    }

    /// Whether a packet with these flags matches.
    pub fn matches(self, flags: TcpFlags) -> bool {
        flags.0 & self.mask().0 == self.set.0
    }
}

impl fmt::Display for TcpFlagsMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = self.mask() == TcpFlags(u8::MAX);
        if exact && self.set == TcpFlags(0) {
            return f.write_str("none");
        }
        for (flag, name) in FLAG_NAMES {
            if self.set.contains(flag) {
                write!(f, "+{name}")?;
            } else if self.unset.contains(flag) && !exact {
                write!(f, "-{name}")?;
            }
        }
        Ok(())
    }
}

/// The flags by ovs-ofctl's names, the lowest bit first.
pub(crate) const FLAG_NAMES: [(TcpFlags, &str); 8] = [
    (TcpFlags::FIN, "fin"),
    (TcpFlags::SYN, "syn"),
    (TcpFlags::RST, "rst"),
    (TcpFlags::PSH, "psh"),
    (TcpFlags::ACK, "ack"),
    (TcpFlags::URG, "urg"),
    (TcpFlags::ECE, "ece"),
    (TcpFlags::CWR, "cwr"),
];
