//! `OFPT_SET_ASYNC` and `OFPT_GET_ASYNC_REPLY`.

use std::fmt;

use super::{Body, FlowRemovedReason, PacketInReason, PortReason};
use crate::Version;
use crate::wire::{DecodeError, Reader, Writer, codes};

/// Which messages come without being asked for: for each kind the reasons that count, one bit each.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct AsyncConfig {
    /// OpenFlow 1.3 always says the six of packet-in, port-status and flow-removed, and no others.
    pub masks: Vec<(AsyncKind, u32)>,
}

codes! {
    /// A kind of message, and for which role it counts (`ofp_async_config_prop_type`).
    pub AsyncKind: u16 {
        /// Packet-ins while secondary.
        SecondaryPacketIn = 0 "packet-in (secondary)",
        /// Packet-ins while primary or equal.
        PacketIn = 1 "packet-in",
        /// Port-status while secondary.
        SecondaryPortStatus = 2 "port-status (secondary)",
        /// Port-status while primary or equal.
        PortStatus = 3 "port-status",
        /// Flow-removed while secondary.
        SecondaryFlowRemoved = 4 "flow-removed (secondary)",
        /// Flow-removed while primary or equal.
        FlowRemoved = 5 "flow-removed",
        /// Role-status while secondary.
        SecondaryRoleStatus = 6 "role-status (secondary)",
        /// Role-status while primary or equal.
        RoleStatus = 7 "role-status",
        /// Table-status while secondary.
        SecondaryTableStatus = 8 "table-status (secondary)",
        /// Table-status while primary or equal.
        TableStatus = 9 "table-status",
        /// Others' requests while secondary.
        SecondaryRequestForward = 10 "requestforward (secondary)",
        /// Others' requests while primary or equal.
        RequestForward = 11 "requestforward",
    }
}

/// The order of OpenFlow 1.3.
const FIXED: [AsyncKind; 6] = [
    AsyncKind::PacketIn,
    AsyncKind::SecondaryPacketIn,
    AsyncKind::PortStatus,
    AsyncKind::SecondaryPortStatus,
    AsyncKind::FlowRemoved,
    AsyncKind::SecondaryFlowRemoved,
];

impl AsyncConfig {
    /// Packet-ins for these reasons (bits by the number of the
    /// [`PacketInReason`](super::PacketInReason)) while primary or equal. In OpenFlow 1.3 nothing else then comes.
    pub fn packet_ins(reasons: u32) -> Self {
        Self {
            masks: vec![(AsyncKind::PacketIn, reasons)],
        }
    }

    fn mask(&self, kind: AsyncKind) -> u32 {
        self.masks
            .iter()
            .find(|(of, _)| *of == kind)
            .map_or(0, |(_, mask)| *mask)
    }
}

impl Body for AsyncConfig {
    fn decode(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        let mut masks = Vec::new();
        if version < Version::V1_5 {
            for kind in FIXED {
                masks.push((kind, reader.u32("reasons")?));
            }
            return Ok(Self { masks });
        }
        while !reader.is_empty() {
            let (kind, mut property) = reader.property("async property")?;
            // An experimenter's property has no mask.
            if !property.is_empty() && kind < 0xfffe {
                masks.push((kind.into(), property.u32("reasons")?));
            }
        }
        Ok(Self { masks })
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        if writer.version() < Version::V1_5 {
            if self.masks.iter().any(|(kind, _)| !FIXED.contains(kind)) {
                writer.unsupported("an async config for this kind of message");
            }
            return FIXED.into_iter().for_each(|kind| writer.u32(self.mask(kind)));
        }
        for (kind, mask) in &self.masks {
            writer.property((*kind).into(), "async property", |writer| writer.u32(*mask));
        }
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, mask) in &self.masks {
            write!(f, "\n {kind}: ")?;
            match mask {
                0 => f.write_str("(off)")?,
                mask => {
                    let reasons = (0..32_u8).filter(|reason| mask >> reason & 1 != 0);
                    let names: Vec<String> = reasons.map(|reason| kind.reason(reason)).collect();
                    f.write_str(&names.join(" "))?;
                }
            }
        }
        Ok(())
    }
}

impl AsyncKind {
    /// What the bit of this number stands for.
    fn reason(self, number: u8) -> String {
        match self {
            Self::PacketIn | Self::SecondaryPacketIn => PacketInReason::from(number).to_string(),
            Self::PortStatus | Self::SecondaryPortStatus => PortReason::from(number).to_string(),
            Self::FlowRemoved | Self::SecondaryFlowRemoved => FlowRemovedReason::from(number).to_string(),
            _ => number.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use crate::message::testing::check;

    #[test]
    fn reasons_are_six_numbers_before_1_4_and_properties_from_then_on() {
        let config = AsyncConfig::packet_ins(0x3f);
        check(
            Version::V1_5,
            "061c00100000000100010008 0000003f",
            Message::SetAsync(config),
        );
        let all = AsyncConfig {
            masks: FIXED.into_iter().zip(1..).collect(),
        };
        check(
            Version::V1_3,
            "041c002000000001000000010000000200000003000000040000000500000006",
            Message::SetAsync(all),
        );
    }
}
