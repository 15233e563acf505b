//! `OFPMP_TABLE_FEATURES` and `OFPMP_TABLE_DESC`.

use std::fmt;

use super::statistics::{encode_entry, entry};
use super::table_property::TableProperty;
use crate::Version;
use crate::text::Bits;
use crate::wire::{DecodeError, Property, Reader, Writer};

/// How long a table's name is at most, with a zero at its end.
const NAME: usize = 32;

/// What a table is called and can do.
///
/// In Open vSwitch the features of all tables together are more than a megabyte, in some twenty messages.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableFeatures {
    /// Its number.
    pub table: u8,
    /// What a request would change; from OpenFlow 1.5 on, 0 in 1.3.
    pub command: u8,
    /// `OFPTFF_*` bits; from OpenFlow 1.5 on, 0 in 1.3.
    pub features: u32,
    /// Its name. Antrea publishes its tables' names here.
    pub name: String,
    /// The bits of the metadata field that it can match.
    pub metadata_match: u64,
    /// The bits of the metadata field that it can write.
    pub metadata_write: u64,
    /// `OFPTC_*` bits.
    pub capabilities: u32,
    /// How many flows it can hold.
    pub max_entries: u32,
    /// What it can match and do, as it came.
    pub properties: Vec<Property>,
}

impl TableFeatures {
    pub(super) fn decode(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        let mut body = entry(reader, "table features")?;
        let table = body.u8("table")?;
        let (command, features) = (body.u8("table command")?, body.u32("table features")?);
        let (command, features) = if version < Version::V1_5 {
            (0, 0)
        } else {
            (command, features)
        };
        Ok(Self {
            table,
            command,
            features,
            name: body.text(NAME, "table's name")?,
            metadata_match: body.u64("metadata match")?,
            metadata_write: body.u64("metadata write")?,
            capabilities: body.u32("table capabilities")?,
            max_entries: body.u32("table size")?,
            properties: decode_properties(body)?,
        })
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        let (command, features) = match writer.version() {
            Version::V1_3 => (0, 0),
            Version::V1_5 => (self.command, self.features),
        };
        encode_entry(writer, "table features", |writer| {
            writer.u8(self.table);
            writer.u8(command);
            writer.u32(features);
            writer.text(&self.name, NAME);
            writer.u64(self.metadata_match);
            writer.u64(self.metadata_write);
            writer.u32(self.capabilities);
            writer.u32(self.max_entries);
            Property::encode_all(&self.properties, writer);
        });
    }
}

/// How a table is set; from OpenFlow 1.4 on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableDesc {
    /// Its number.
    pub table: u8,
    /// `OFPTC_*` bits.
    pub config: u32,
    /// Eviction and vacancy, as they came.
    pub properties: Vec<Property>,
}

impl TableDesc {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut body = entry(reader, "table")?;
        let table = body.u8("table")?;
        body.skip(1)?;
        Ok(Self {
            table,
            config: body.u32("table config")?,
            properties: decode_properties(body)?,
        })
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        encode_entry(writer, "a table", |writer| {
            writer.u8(self.table);
            writer.zeros(1);
            writer.u32(self.config);
            Property::encode_all(&self.properties, writer);
        });
    }
}

impl fmt::Display for TableFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table {}", self.table)?;
        if !self.name.is_empty() {
            write!(f, " (\"{}\")", self.name.escape_debug())?;
        }
        let Self {
            metadata_match,
            metadata_write,
            ..
        } = self;
        write!(
            f,
            ":\n    metadata: match={metadata_match:#x} write={metadata_write:#x}"
        )?;
        if self.capabilities != 0 {
            write!(f, "\n    config={}", config(self.capabilities))?;
        }
        write!(f, "\n    max_entries={}", self.max_entries)?;
        self.properties
            .iter()
            .try_for_each(|property| write!(f, "\n    {}", TableProperty(property)))
    }
}

impl fmt::Display for TableDesc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table {}:\n    config={}", self.table, config(self.config))?;
        self.properties
            .iter()
            .try_for_each(|property| write!(f, "\n    {property}"))
    }
}

/// `ofp_table_config`
fn config(bits: u32) -> Bits<'static> {
    Bits {
        bits,
        names: &["", "", "eviction", "vacancy_events"],
        separator: " ",
    }
}

fn decode_properties(mut reader: Reader<'_>) -> Result<Vec<Property>, DecodeError> {
    let mut properties = Vec::new();
    while !reader.is_empty() {
        let (kind, body) = reader.property("table property")?;
        properties.push(Property::new(kind, body));
    }
    Ok(properties)
}
