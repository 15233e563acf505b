//! `OFPT_ECHO_REQUEST` and `OFPT_ECHO_REPLY`.

use std::fmt;

use super::Body;
use crate::Version;
use crate::text::Hex;
use crate::wire::{DecodeError, Reader, Writer};

/// Data that comes back as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Echo {
    /// The data, most often none.
    pub data: Vec<u8>,
}

impl Body for Echo {
    fn decode(reader: &mut Reader<'_>, _version: Version) -> Result<Self, DecodeError> {
        Ok(Self {
            data: reader.rest().to_vec(),
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        writer.bytes(&self.data);
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {} bytes of payload", self.data.len())?;
        match &self.data[..] {
            [] => Ok(()),
            data => write!(f, ": {}", Hex(data)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use crate::message::testing::check;

    #[test]
    fn the_data_is_everything_after_the_header() {
        let echo = Echo { data: vec![0xca, 0xfe] };
        check(
            Version::V1_3,
            "0402000a00000001cafe",
            Message::EchoRequest(echo.clone()),
        );
        check(Version::V1_5, "0603000a00000001cafe", Message::EchoReply(echo));
    }
}
