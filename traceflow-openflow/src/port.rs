//! Port numbers and the reserved ones among them.

use std::fmt;

/// A switch port's number (`ofp_port_no`), 32 bits wide.
///
/// ```
/// use traceflow_openflow::Port;
///
/// assert_eq!(Port::CONTROLLER.to_string(), "CONTROLLER");
/// assert_eq!(Port::from_u16(0xfff8), Port::IN_PORT);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Port(pub u32);

impl Port {
    /// The port that the packet came from; the only way to send it back there.
    pub const IN_PORT: Self = Self(0xffff_fff8);
    /// The flow tables, from a packet-out.
    pub const TABLE: Self = Self(0xffff_fff9);
    /// Switching as without OpenFlow.
    pub const NORMAL: Self = Self(0xffff_fffa);
    /// All ports that are not blocked, without the one that the packet came from.
    pub const FLOOD: Self = Self(0xffff_fffb);
    /// All ports without the one that the packet came from.
    pub const ALL: Self = Self(0xffff_fffc);
    /// The controllers, as packet-in.
    pub const CONTROLLER: Self = Self(0xffff_fffd);
    /// The bridge's own port.
    pub const LOCAL: Self = Self(0xffff_fffe);
    /// No port, or any port in a request.
    pub const ANY: Self = Self(0xffff_ffff);

    const NAMES: [(Self, &'static str); 8] = [
        (Self::IN_PORT, "IN_PORT"),
        (Self::TABLE, "TABLE"),
        (Self::NORMAL, "NORMAL"),
        (Self::FLOOD, "FLOOD"),
        (Self::ALL, "ALL"),
        (Self::CONTROLLER, "CONTROLLER"),
        (Self::LOCAL, "LOCAL"),
        (Self::ANY, "ANY"),
    ];

    /// The port of a 16-bit number, as Nicira's actions and OpenFlow 1.0 write it: the reserved ones are at the top of
    /// that range, too.
    pub fn from_u16(number: u16) -> Self {
        match number {
            0xfff8.. => Self(0xffff_0000 | u32::from(number)),
            _ => Self(number.into()),
        }
    }

    /// The 16-bit number; none for a port above 65279 that is not a reserved one.
    pub fn to_u16(self) -> Option<u16> {
        match self.0 {
            0..0xff00 => Some(self.0 as u16),
            0xffff_fff8.. => Some((self.0 & 0xffff) as u16),
            _ => None,
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.iter().find(|(port, _)| port == self) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}
