//! `NXT_TLV_TABLE_MOD` and `NXT_TLV_TABLE_REPLY`: which tunnel options stand in which `tun_metadata`.

use std::fmt;

use super::Body;
use crate::Version;
use crate::wire::{DecodeError, Reader, Writer, codes};

/// A tunnel option (Geneve) and the field that it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TlvMapping {
    /// The option's class.
    pub class: u16,
    /// The option's type.
    pub kind: u8,
    /// How many bytes it has, a multiple of 4.
    pub length: u8,
    /// Which of [`Field::tunnel_metadata`](crate::field::Field::tunnel_metadata).
    pub index: u16,
}

codes! {
    /// What to do with mappings.
    pub TlvTableCommand: u16 {
        /// Adds them.
        Add = 0 "add",
        /// Deletes them.
        Delete = 1 "delete",
        /// Deletes all there are.
        Clear = 2 "clear",
    }
}

/// Changes the table of mappings. In Open vSwitch each bridge has one, and loses it at a restart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TlvTableMod {
    /// What to do.
    pub command: TlvTableCommand,
    /// With which mappings.
    pub mappings: Vec<TlvMapping>,
}

/// The table of mappings.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TlvTable {
    /// How many bytes all options may have together.
    pub max_option_space: u32,
    /// How many options there may be.
    pub max_fields: u16,
    /// Those there are.
    pub mappings: Vec<TlvMapping>,
}

impl Body for TlvTableMod {
    fn decode(reader: &mut Reader<'_>, _version: Version) -> Result<Self, DecodeError> {
        let command = reader.u16("TLV table command")?.into();
        reader.skip(6)?;
        Ok(Self {
            command,
            mappings: decode_mappings(reader)?,
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        writer.u16(self.command.into());
        writer.zeros(6);
        encode_mappings(&self.mappings, writer);
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.command {
            TlvTableCommand::Add => f.write_str("\n ADD mapping table:")?,
            TlvTableCommand::Delete => f.write_str("\n DEL mapping table:")?,
            TlvTableCommand::Clear => return f.write_str("\n CLEAR"),
            TlvTableCommand::Other(command) => write!(f, "\n command {command} mapping table:")?,
        }
        describe_mappings(&self.mappings, f)
    }
}

impl Body for TlvTable {
    fn decode(reader: &mut Reader<'_>, _version: Version) -> Result<Self, DecodeError> {
        let max_option_space = reader.u32("option space")?;
        let max_fields = reader.u16("number of fields")?;
        reader.skip(10)?;
        Ok(Self {
            max_option_space,
            max_fields,
            mappings: decode_mappings(reader)?,
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        writer.u32(self.max_option_space);
        writer.u16(self.max_fields);
        writer.zeros(10);
        encode_mappings(&self.mappings, writer);
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let allocated: u32 = self.mappings.iter().map(|mapping| u32::from(mapping.length)).sum();
        write!(
            f,
            "\n max option space={} max fields={}",
            self.max_option_space, self.max_fields
        )?;
        write!(f, "\n allocated option space={allocated}\n\n mapping table:")?;
        describe_mappings(&self.mappings, f)
    }
}

fn decode_mappings(reader: &mut Reader<'_>) -> Result<Vec<TlvMapping>, DecodeError> {
    let mut mappings = Vec::new();
    while !reader.is_empty() {
        mappings.push(TlvMapping {
            class: reader.u16("option class")?,
            kind: reader.u8("option type")?,
            length: reader.u8("option length")?,
            index: reader.u16("option's field")?,
        });
        reader.skip(2)?;
    }
    Ok(mappings)
}

fn encode_mappings(mappings: &[TlvMapping], writer: &mut Writer<'_>) {
    for mapping in mappings {
        writer.u16(mapping.class);
        writer.u8(mapping.kind);
        writer.u8(mapping.length);
        writer.u16(mapping.index);
        writer.zeros(2);
    }
}

fn describe_mappings(mappings: &[TlvMapping], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("\n  class  type  length  match field\n ------  ----  ------  --------------")?;
    for mapping in mappings {
        let TlvMapping {
            class,
            kind,
            length,
            index,
        } = mapping;
        write!(f, "\n {class:#6x}  {kind:#4x}  {length:6}  tun_metadata{index}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use crate::message::testing::check;

    #[test]
    fn a_geneve_option_is_mapped() {
        let mapping = TlvMapping {
            class: 0x104,
            kind: 0x80,
            length: 4,
            index: 0,
        };
        let add = TlvTableMod {
            command: TlvTableCommand::Add,
            mappings: vec![mapping],
        };
        let bytes = "0604002000000001 0000232000000018 0000000000000000 0104800400000000";
        check(Version::V1_5, bytes, Message::TlvTableMod(add));
        let table = TlvTable {
            max_option_space: 256,
            max_fields: 64,
            mappings: vec![mapping],
        };
        let bytes = "0604002800000001 000023200000001a 00000100004000000000000000000000 0104800400000000";
        check(Version::V1_5, bytes, Message::TlvTableReply(table));
    }
}
