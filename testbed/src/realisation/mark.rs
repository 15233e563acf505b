//! The marks that packets and connections carry through the pipeline, in Antrea's registers and bits.

use std::fmt;

/// A 32-bit word that holds marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Word {
    /// A register of the packet.
    Register(u8),
    /// The mark of the connection.
    Connection,
    /// The mark of the packet, which outlives the switch.
    Packet,
}

/// A value in some bits of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) word: Word,
    /// In place, as is `mask`.
    pub(super) value: u32,
    pub(super) mask: u32,
}

const fn register(number: u8, low: u32, high: u32, value: u32) -> Mark {
    mark(Word::Register(number), low, high, value)
}

const fn connection(bit: u32) -> Mark {
    mark(Word::Connection, bit, bit, 1)
}

const fn mark(word: Word, low: u32, high: u32, value: u32) -> Mark {
    Mark {
        word,
        value: value << low,
        mask: (u32::MAX >> (31 - (high - low))) << low,
    }
}

impl Mark {
    pub(super) const FROM_TUNNEL: Self = register(0, 0, 3, 1);
    pub(super) const FROM_GATEWAY: Self = register(0, 0, 3, 2);
    pub(super) const FROM_POD: Self = register(0, 0, 3, 3);
    pub(super) const TO_TUNNEL: Self = register(0, 4, 7, 1);
    pub(super) const TO_GATEWAY: Self = register(0, 4, 7, 2);
    pub(super) const REWRITE_MAC: Self = register(0, 9, 9, 1);
    pub(super) const KEEP_MAC: Self = register(0, 9, 9, 0);
    pub(super) const NO_ENDPOINT: Self = register(0, 14, 14, 1);
    /// A rule of one of Antrea's policies denies the packet.
    pub(super) const DENIED: Self = register(0, 10, 10, 1);
    /// The agent is to tell the sender.
    pub(super) const REJECTED: Self = register(0, 26, 26, 1);
    /// Another node gives the packet its address for the outside.
    pub(super) const REMOTE_SNAT: Self = register(0, 19, 19, 1);
    pub(super) const OUTPUT_TO_PORT: Self = register(0, 21, 22, 1);
    pub(super) const ENDPOINT_TO_SELECT: Self = register(4, 16, 18, 1);
    pub(super) const ENDPOINT_SELECTED: Self = register(4, 16, 18, 2);
    pub(super) const ENDPOINT_TO_LEARN: Self = register(4, 16, 18, 3);
    /// The destination is one of the node's own addresses (`ToNodePortAddressRegMark`).
    pub(super) const TO_NODE_PORT: Self = register(4, 19, 19, 1);
    pub(super) const NODE_IPAM: Self = register(4, 20, 20, 0);
    pub(super) const TO_EXTERNAL_ADDRESS: Self = register(4, 21, 21, 1);
    pub(super) const NOT_DSR: Self = register(4, 25, 25, 0);
    pub(super) const REMOTE_ENDPOINT: Self = register(4, 26, 26, 1);
    pub(super) const FROM_EXTERNAL: Self = register(4, 27, 27, 1);
    pub(super) const FROM_LOCAL: Self = register(4, 28, 28, 1);

    pub(super) const CONNECTION_FROM_GATEWAY: Self = mark(Word::Connection, 0, 3, 2);
    pub(super) const SERVICE_CONNECTION: Self = connection(4);
    pub(super) const SNAT_CONNECTION: Self = connection(5);
    pub(super) const HAIRPIN_CONNECTION: Self = connection(6);

    /// The port that the packet leaves by.
    pub(super) const fn target_port(port: u32) -> Self {
        register(1, 0, 31, port)
    }

    /// The address of the chosen endpoint, where it is IPv4.
    pub(super) const fn endpoint_address(address: u32) -> Self {
        register(3, 0, 31, address)
    }

    /// The port of the chosen endpoint.
    pub(super) const fn endpoint_port(port: u16) -> Self {
        register(4, 0, 15, port as u32)
    }

    /// The egress rule that allowed the packet.
    pub(super) const fn egress_rule(number: u32) -> Self {
        register(5, 0, 31, number)
    }

    /// The rule of either direction that denied the packet.
    pub(super) const fn denying_rule(number: u32) -> Self {
        register(3, 0, 31, number)
    }

    /// The ingress rule that allowed the packet.
    pub(super) const fn ingress_rule(number: u32) -> Self {
        register(6, 0, 31, number)
    }

    /// The Egress address that the node is to give the packet, by its number there.
    pub(super) const fn egress_address(number: u8) -> Self {
        mark(Word::Packet, 0, 7, number as u32)
    }

    /// The group that the Service's endpoint was chosen in.
    pub(super) const fn service_group(group: u32) -> Self {
        register(7, 0, 31, group)
    }

    /// The same bits, all zero.
    pub(super) const fn absent(self) -> Self {
        Self { value: 0, ..self }
    }
}

/// As a match.
impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { word, value, mask } = self;
        match *mask {
            u32::MAX => write!(f, "{word}={value:#x}"),
            mask => write!(f, "{word}={value:#x}/{mask:#x}"),
        }
    }
}

/// As the action that sets it.
pub(super) struct Load(pub(super) Mark);

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mark { word, value, mask } = self.0;
        match mask {
            u32::MAX => write!(f, "set_field:{value:#x}->{word}"),
            mask => write!(f, "set_field:{value:#x}/{mask:#x}->{word}"),
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Register(number) => write!(f, "reg{number}"),
            Self::Connection => f.write_str("ct_mark"),
            Self::Packet => f.write_str("pkt_mark"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_in_the_bits_that_antrea_puts_them_in() {
        assert_eq!(Mark::FROM_POD.to_string(), "reg0=0x3/0xf");
        assert_eq!(Mark::TO_GATEWAY.to_string(), "reg0=0x20/0xf0");
        assert_eq!(Mark::OUTPUT_TO_PORT.to_string(), "reg0=0x200000/0x600000");
        assert_eq!(Mark::ENDPOINT_TO_LEARN.to_string(), "reg4=0x30000/0x70000");
        assert_eq!(Mark::HAIRPIN_CONNECTION.to_string(), "ct_mark=0x40/0x40");
        assert_eq!(
            Load(Mark::egress_address(2)).to_string(),
            "set_field:0x2/0xff->pkt_mark"
        );
        assert_eq!(Load(Mark::target_port(37)).to_string(), "set_field:0x25->reg1");
        assert_eq!(Load(Mark::endpoint_port(80)).to_string(), "set_field:0x50/0xffff->reg4");
    }
}
