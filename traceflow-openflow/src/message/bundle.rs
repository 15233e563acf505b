//! Bundles: messages that take effect together or not at all.

use crate::text::{Bits, Number};
use std::fmt;

use super::{Body, HEADER, Header, Message, Within};
use crate::Version;
use crate::wire::{DecodeError, EncodeError, Property, Reader, Writer, codes};

/// Bits of a bundle, `OFPBF_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct BundleFlags(pub u16);

impl BundleFlags {
    /// No packet sees a part of it.
    pub const ATOMIC: Self = Self(1);
    /// In the order in which the messages were added.
    pub const ORDERED: Self = Self(2);

    /// Both bits' worth.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for BundleFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = Bits {
            bits: self.0.into(),
            names: &["atomic", "ordered"],
            separator: " ",
        };
        write!(f, "{bits}")
    }
}

codes! {
    /// A step of a bundle's life: requests are even, replies odd.
    pub BundleStep: u16 {
        /// Begin one.
        OpenRequest = 0 "open_request",
        /// It has begun.
        OpenReply = 1 "open_reply",
        /// Nothing more is added.
        CloseRequest = 2 "close_request",
        /// It is closed.
        CloseReply = 3 "close_reply",
        /// Carry it out.
        CommitRequest = 4 "commit_request",
        /// It was carried out.
        CommitReply = 5 "commit_reply",
        /// Forget it.
        DiscardRequest = 6 "discard_request",
        /// It is forgotten.
        DiscardReply = 7 "discard_reply",
    }
}

/// `OFPT_BUNDLE_CONTROL`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BundleControl {
    /// Which bundle; the controller chooses the number.
    pub bundle: u32,
    /// What happens to it.
    pub step: BundleStep,
    /// How it is to be carried out.
    pub flags: BundleFlags,
    /// Properties, as they came.
    pub properties: Vec<Property>,
}

impl Body for BundleControl {
    fn decode(reader: &mut Reader<'_>, _version: Version) -> Result<Self, DecodeError> {
        Ok(Self {
            bundle: reader.u32("bundle")?,
            step: reader.u16("bundle step")?.into(),
            flags: BundleFlags(reader.u16("bundle flags")?),
            properties: decode_properties(reader)?,
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        writer.u32(self.bundle);
        writer.u16(self.step.into());
        writer.u16(self.flags.0);
        Property::encode_all(&self.properties, writer);
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = self.step.to_string().to_uppercase();
        write!(
            f,
            "\n bundle_id={} type={step} flags={}",
            Number(self.bundle.into()),
            self.flags
        )?;
        Property::describe_all(&self.properties, f)
    }
}

/// `OFPT_BUNDLE_ADD_MESSAGE`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BundleAdd {
    /// Which bundle.
    pub bundle: u32,
    /// The flags that it was opened with.
    pub flags: BundleFlags,
    /// The message that is added, its header included. Its xid must be that of the message around it.
    pub message: Vec<u8>,
    /// Properties, as they came.
    pub properties: Vec<Property>,
}

impl BundleAdd {
    /// Adds `message`, to be sent with this `version` and this `xid`.
    ///
    /// # Errors
    /// As for [`Message::encode`].
    pub fn new(
        bundle: u32,
        flags: BundleFlags,
        message: &Message,
        version: Version,
        xid: u32,
    ) -> Result<Self, EncodeError> {
        let mut bytes = Vec::new();
        message.encode(version, xid, &mut bytes)?;
        Ok(Self {
            bundle,
            flags,
            message: bytes,
            properties: Vec::new(),
        })
    }
}

impl Body for BundleAdd {
    fn decode(reader: &mut Reader<'_>, _version: Version) -> Result<Self, DecodeError> {
        let bundle = reader.u32("bundle")?;
        reader.skip(2)?;
        let flags = BundleFlags(reader.u16("bundle flags")?);
        let header = Header::decode(&mut reader.clone())?;
        // The header is at least HEADER bytes long, or it could not have been read.
        let message = reader
            .take(usize::from(header.length).max(HEADER), "message in a bundle")?
            .to_vec();
        reader.skip(crate::wire::padding(message.len()).min(reader.remaining()))?;
        Ok(Self {
            bundle,
            flags,
            message,
            properties: decode_properties(reader)?,
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        writer.u32(self.bundle);
        writer.zeros(2);
        writer.u16(self.flags.0);
        let start = writer.position();
        writer.bytes(&self.message);
        if !self.properties.is_empty() {
            writer.pad(start);
            Property::encode_all(&self.properties, writer);
        }
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\n bundle_id={} flags={}\n{}",
            Number(self.bundle.into()),
            self.flags,
            Within::Bundle(&self.message)
        )?;
        Property::describe_all(&self.properties, f)
    }
}

fn decode_properties(reader: &mut Reader<'_>) -> Result<Vec<Property>, DecodeError> {
    let mut properties = Vec::new();
    while !reader.is_empty() {
        let (kind, body) = reader.property("bundle property")?;
        properties.push(Property::new(kind, body));
    }
    Ok(properties)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::check;

    #[test]
    fn bundles_are_an_extension_before_1_4() {
        let open = Message::BundleControl(BundleControl {
            bundle: 7,
            step: BundleStep::OpenRequest,
            flags: BundleFlags::ATOMIC.and(BundleFlags::ORDERED),
            properties: Vec::new(),
        });
        check(Version::V1_5, "06210010000000010000000700000003", open.clone());
        check(Version::V1_3, "04040018000000014f4e4600000008fc 0000000700000003", open);
    }

    #[test]
    fn a_message_is_added_with_its_header() {
        let added = BundleAdd::new(7, BundleFlags::ATOMIC, &Message::BarrierRequest, Version::V1_5, 1).unwrap();
        check(
            Version::V1_5,
            "06220018000000010000000700000001 0614000800000001",
            Message::BundleAdd(added),
        );
    }
}
