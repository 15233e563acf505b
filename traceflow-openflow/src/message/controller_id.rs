//! `NXT_SET_CONTROLLER_ID` and `NXT_SET_PACKET_IN_FORMAT`: which packet-ins this connection gets, and how.

use std::fmt;

use super::Body;
use crate::Version;
use crate::wire::{DecodeError, Reader, Writer, codes};

/// From now on the connection gets the punts to this id, and no others.
///
/// Every connection that sets the id gets its own copy. Those that have set none share the id 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SetControllerId {
    /// The id.
    pub id: u16,
}

impl Body for SetControllerId {
    fn decode(reader: &mut Reader<'_>, _version: Version) -> Result<Self, DecodeError> {
        reader.skip(6)?;
        Ok(Self {
            id: reader.u16("controller id")?,
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        writer.zeros(6);
        writer.u16(self.id);
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " id={}", self.id)
    }
}

/// From now on packet-ins come in this format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SetPacketInFormat {
    /// The format.
    pub format: PacketInFormat,
}

codes! {
    /// A format of packet-ins (`ofputil_packet_in_format`).
    pub PacketInFormat: u32 {
        /// As the OpenFlow version has it.
        Standard = 0 "standard",
        /// `NXT_PACKET_IN`
        Nicira = 1 "nxt_packet_in",
        /// `NXT_PACKET_IN2`
        Nicira2 = 2 "nxt_packet_in2",
    }
}

impl Body for SetPacketInFormat {
    fn decode(reader: &mut Reader<'_>, _version: Version) -> Result<Self, DecodeError> {
        Ok(Self {
            format: reader.u32("packet-in format")?.into(),
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        writer.u32(self.format.into());
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " format={}", self.format)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use crate::message::testing::check;

    #[test]
    fn both_are_nicira_s() {
        let id = Message::SetControllerId(SetControllerId { id: 0x7466 });
        check(Version::V1_5, "060400180000000100002320000000140000000000007466", id);
        let format = SetPacketInFormat {
            format: PacketInFormat::Nicira2,
        };
        check(
            Version::V1_3,
            "0404001400000001000023200000001000000002",
            Message::SetPacketInFormat(format),
        );
    }
}
