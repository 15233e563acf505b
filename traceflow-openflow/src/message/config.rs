//! `OFPT_SET_CONFIG` and `OFPT_GET_CONFIG_REPLY`.

use std::fmt;

use super::Body;
use crate::Version;
use crate::wire::{DecodeError, Reader, Writer};

/// The switch's configuration.
///
/// On Open vSwitch's management socket no packet-in comes before this was set with a `miss_send_len` that is not 0 (or
/// [`Message::SetAsync`](super::Message::SetAsync) was sent).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SwitchConfig {
    /// What happens to IP fragments, `OFPC_FRAG_*`; 0: they are handled like other packets.
    pub flags: u16,
    /// How many bytes of a packet that no flow matches are sent to the controller.
    pub miss_send_len: u16,
}

impl Body for SwitchConfig {
    fn decode(reader: &mut Reader<'_>, _version: Version) -> Result<Self, DecodeError> {
        Ok(Self {
            flags: reader.u16("config flags")?,
            miss_send_len: reader.u16("miss_send_len")?,
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        writer.u16(self.flags);
        writer.u16(self.miss_send_len);
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fragments = ["normal", "drop", "reassemble", "nx-match"][usize::from(self.flags & 3)];
        write!(f, " frags={fragments} miss_send_len={}", self.miss_send_len)?;
        match self.flags & !3 {
            0 => Ok(()),
            flags => write!(f, " flags={flags:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use crate::message::testing::check;

    #[test]
    fn the_configuration_is_two_numbers() {
        let config = SwitchConfig {
            flags: 0,
            miss_send_len: 128,
        };
        check(Version::V1_3, "0409000c0000000100000080", Message::SetConfig(config));
        check(
            Version::V1_5,
            "0608000c0000000100000080",
            Message::GetConfigReply(config),
        );
    }
}
