//! How a select group makes its hash: an extension of Netronome's (NTR) that Open vSwitch has taken up.

use std::fmt;

use crate::matching::Match;
use crate::wire::{DecodeError, Reader, Writer};

/// Which bucket a select group takes for a packet. From OpenFlow 1.5 on; without it Open vSwitch takes
/// [`SelectionMethod::DatapathHash`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Selection {
    /// How.
    pub method: SelectionMethod,
    /// What else the method needs; for a hash its seed and kind.
    pub parameter: u64,
    /// Which fields are hashed, and as value which of their bits (most often all).
    pub fields: Match,
}

/// How a bucket is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SelectionMethod {
    /// By a hash of the fields that are named: each value of them always gets the same bucket.
    Hash,
    /// By the datapath's own hash: cheaper, and not known beforehand.
    DatapathHash,
    /// Another one, by its name.
    Other(String),
}

/// The type of an experimenter's property.
pub(super) const EXPERIMENTER: u16 = 0xffff;

/// Netronome's experimenter number.
const NTR: u32 = 0x0000_154d;

/// `NTRT_SELECTION_METHOD`
const SELECTION_METHOD: u32 = 1;

/// How long a method's name is at most, with a zero at its end.
const NAME: usize = 16;

impl Selection {
    /// By a hash of all bits of `fields`, which are named only (their values are set here).
    pub fn hash(fields: impl IntoIterator<Item = crate::field::Field>) -> Self {
        let all = fields.into_iter().fold(Match::new(), |all, field| {
            all.with_value(field, crate::field::Value::all_ones(field))
        });
        Self {
            method: SelectionMethod::Hash,
            parameter: 0,
            fields: all,
        }
    }

    /// By the datapath's own hash.
    pub fn datapath_hash() -> Self {
        Self {
            method: SelectionMethod::DatapathHash,
            parameter: 0,
            fields: Match::new(),
        }
    }

    /// What an experimenter's property holds after its header; none if it is something else.
    pub(super) fn decode(mut property: Reader<'_>) -> Result<Option<Self>, DecodeError> {
        if property.remaining() < 8
            || property.u32("experimenter")? != NTR
            || property.u32("experimenter's type")? != SELECTION_METHOD
        {
            return Ok(None);
        }
        property.skip(4)?;
        let method = property.text(NAME, "selection method")?.into();
        Ok(Some(Self {
            method,
            parameter: property.u64("selection method's parameter")?,
            fields: Match::decode_fields(property)?,
        }))
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        writer.property(EXPERIMENTER, "a selection method", |writer| {
            writer.u32(NTR);
            writer.u32(SELECTION_METHOD);
            writer.zeros(4);
            writer.text(self.method.name(), NAME);
            writer.u64(self.parameter);
            self.fields.encode_fields(writer);
        });
    }
}

impl SelectionMethod {
    fn name(&self) -> &str {
        match self {
            Self::Hash => "hash",
            Self::DatapathHash => "dp_hash",
            Self::Other(name) => name,
        }
    }
}

impl From<String> for SelectionMethod {
    fn from(name: String) -> Self {
        match name.as_str() {
            "hash" => Self::Hash,
            "dp_hash" => Self::DatapathHash,
            _ => Self::Other(name),
        }
    }
}

/// `selection_method=hash,fields(nw_src,tcp_src)`
impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "selection_method={}", self.method.name().escape_debug())?;
        if self.parameter != 0 {
            write!(f, ",selection_param={}", self.parameter)?;
        }
        let name = |condition: &crate::matching::FieldMatch| {
            let all = condition.value == crate::field::Value::all_ones(condition.field);
            if all {
                condition.field.to_string()
            } else {
                condition.to_string()
            }
        };
        let names: Vec<String> = self.fields.fields.iter().map(name).collect();
        match names.len() {
            0 => Ok(()),
            1 => write!(f, ",fields={}", names[0]),
            _ => write!(f, ",fields({})", names.join(",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Version;
    use crate::field::Field;

    /// From `ovs-ofctl -O OpenFlow15 add-group br 'group_id=1,type=select,selection_method=hash,fields(ip_src,tcp_src),…'`.
    const HASH: &str = "ffff0036 0000154d 00000001 00000000 68617368000000000000000000000000 0000000000000000 \
        80001604ffffffff 80001a02ffff 0000";

    #[test]
    fn a_hash_names_its_fields() {
        let bytes = crate::testing::hex(HASH);
        let (kind, property) = Reader::new(&bytes).property("group property").unwrap();
        let selection = Selection::decode(property).unwrap().unwrap();
        assert_eq!(kind, EXPERIMENTER);
        assert_eq!(
            selection,
            Selection::hash([Field::OXM_OF_IPV4_SRC, Field::OXM_OF_TCP_SRC])
        );
        assert_eq!(selection.to_string(), "selection_method=hash,fields(nw_src,tcp_src)");
        let mut buffer = Vec::new();
        selection.encode(&mut Writer::new(&mut buffer, Version::V1_5));
        assert_eq!(buffer, bytes);
    }

    #[test]
    fn a_stranger_s_property_is_none() {
        let bytes = crate::testing::hex("0000154e 00000001 00000000");
        assert_eq!(Selection::decode(Reader::new(&bytes)), Ok(None));
        let bytes = crate::testing::hex("0000154d 00000001 00000000");
        assert!(Selection::decode(Reader::new(&bytes)).is_err(), "it is cut");
    }
}
