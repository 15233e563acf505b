//! Match fields: which ones there are, how wide they are, what they are called.

mod table;
mod text;
mod value;

use std::fmt;

pub use table::Format;
pub use value::Value;
pub(crate) use value::number;

use crate::wire::{DecodeError, Problem, Reader, Writer};

/// The class of experimenter fields, whose header carries the experimenter's number as well.
const EXPERIMENTER_CLASS: u16 = 0xffff;

/// A field of a packet or of its metadata, by its number on the wire (OXM or NXM).
///
/// Fields that have a name here are constants ([`Field::OXM_OF_ETH_TYPE`]) or, where there are many of a kind,
/// functions ([`Field::register`]); any other number is a `Field`, too.
///
/// ```
/// use traceflow_openflow::field::Field;
///
/// let register = Field::register(4);
/// assert_eq!(register.to_string(), "reg4");
/// assert_eq!(register.wire_name(), "NXM_NX_REG4");
/// assert_eq!(register.bits(), Some(32));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Field {
    class: u16,
    /// 0 unless the class is the experimenters'.
    experimenter: u32,
    number: u8,
}

/// The header of a field on the wire: which field, whether a mask follows, how many bytes follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) field: Field,
    pub(crate) masked: bool,
    /// Of value and mask together, without the experimenter's number.
    pub(crate) length: usize,
}

impl Field {
    /// A field of a class that has no experimenter.
    pub const fn new(class: u16, number: u8) -> Self {
        Self {
            class,
            experimenter: 0,
            number,
        }
    }

    /// A field that an experimenter has defined.
    pub const fn of_experimenter(experimenter: u32, number: u8) -> Self {
        Self {
            class: EXPERIMENTER_CLASS,
            experimenter,
            number,
        }
    }

    /// `NXM_NX_REGn`: 32 bits, `n` from 0 to 15.
    pub const fn register(n: u8) -> Self {
        Self::new(1, n)
    }

    /// `OXM_OF_PKT_REGn`: 64 bits, `n` from 0 to 7; the registers `2n` (upper half) and `2n + 1` in one.
    pub const fn packet_register(n: u8) -> Self {
        Self::new(0x8001, n)
    }

    /// `NXM_NX_XXREGn`: 128 bits, `n` from 0 to 3; the registers from `4n` (uppermost) to `4n + 3` in one.
    pub const fn wide_register(n: u8) -> Self {
        Self::new(1, 111 + n)
    }

    /// `NXM_NX_TUN_METADATAn`, `n` from 0 to 63: the tunnel option that the switch's TLV table maps there.
    pub const fn tunnel_metadata(n: u8) -> Self {
        Self::new(1, 40 + n)
    }

    /// The OXM or NXM class.
    pub fn class(self) -> u16 {
        self.class
    }

    /// The number within its class.
    pub fn number(self) -> u8 {
        self.number
    }

    /// Who defined a field of the experimenter class.
    pub fn experimenter(self) -> Option<u32> {
        (self.class == EXPERIMENTER_CLASS).then_some(self.experimenter)
    }

    /// The name on the wire as the headers spell it, `NXM_NX_REG4`; `OXM_CLASS_8000_63` for one that is not known.
    pub fn wire_name(self) -> String {
        match self.row() {
            Some(row) => row.wire_name(self),
            None => format!("OXM_CLASS_{:04X}_{}", self.class, self.number),
        }
    }

    /// How many bits it has; none for an unknown field and for tunnel metadata, whose width the TLV table sets.
    pub fn bits(self) -> Option<u16> {
        self.row().map(|row| row.bits).filter(|bits| *bits != 0)
    }

    /// How many bytes its value takes on the wire.
    pub fn bytes(self) -> Option<usize> {
        self.bits().map(|bits| match bits {
            // No field takes three bytes: the 20 bits of a label stand in four.
            17..=32 => 4,
            bits => usize::from(bits.div_ceil(8)),
        })
    }

    /// Whether a switch accepts a mask in a match. None for an unknown field.
    pub fn maskable(self) -> Option<bool> {
        self.row().map(|row| row.maskable)
    }

    /// How its values are written as text; hexadecimal for an unknown field.
    pub fn format(self) -> Format {
        self.row().map_or(Format::Hexadecimal, |row| row.format)
    }

    /// Whether both are numbers for the same thing, such as `NXM_OF_ETH_TYPE` and `OXM_OF_ETH_TYPE`.
    pub fn is_same(self, other: Self) -> bool {
        if self.class == other.class {
            // No class has two numbers for one thing.
            return self == other;
        }
        match (self.row(), other.row()) {
            (Some(a), Some(b)) => a.name == b.name && a.index(self) == b.index(other),
            _ => false,
        }
    }

    pub(crate) fn encode_header(self, masked: bool, length: usize, writer: &mut Writer<'_>) {
        let length = length + if self.class == EXPERIMENTER_CLASS { 4 } else { 0 };
        let Ok(length) = u8::try_from(length) else {
            return writer.unsupported("a field longer than 255 bytes");
        };
        writer.fixed::<4>(|header| {
            header.u16(self.class);
            header.u8(self.number << 1 | u8::from(masked));
            header.u8(length);
        });
        if self.class == EXPERIMENTER_CLASS {
            writer.u32(self.experimenter);
        }
    }

    /// The header alone, as actions name a field: its length is that of the bare value.
    pub(crate) fn encode(self, writer: &mut Writer<'_>) {
        // The longest tunnel metadata, which is what the switch itself writes.
        self.encode_header(false, self.bytes().unwrap_or(124), writer);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Header::decode(reader).map(|header| header.field)
    }

    fn row(self) -> Option<&'static table::Row> {
        table::row(self)
    }
}

impl Header {
    #[inline]
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.clone();
        let class = reader.u16("field class")?;
        let number = reader.u8("field number")?;
        let mut length = usize::from(reader.u8("field length")?);
        let mut experimenter = 0;
        if class == EXPERIMENTER_CLASS {
            let too_short = Problem::Length { length, minimum: 4 };
            length = length
                .checked_sub(4)
                .ok_or_else(|| start.error("experimenter field", too_short))?;
            experimenter = reader.u32("field experimenter")?;
        }
        let field = Field {
            class,
            experimenter,
            number: number >> 1,
        };
        Ok(Self {
            field,
            masked: number & 1 != 0,
            length,
        })
    }
}

/// The name that ovs-ofctl uses, `reg4`; the wire name for a field that is not known.
impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row() {
            Some(row) if row.count > 1 => write!(f, "{}{}", row.name, row.index(*self)),
            Some(row) => f.write_str(row.name),
            None => f.write_str(&self.wire_name()),
        }
    }
}

/// Some bits of a field, as actions name them: `NXM_NX_REG0[16..31]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subfield {
    /// The field.
    pub field: Field,
    /// The lowest bit; 0 is the least significant one.
    pub offset: u16,
    /// How many bits there are, at least 1.
    pub bits: u16,
}

impl Subfield {
    /// All of `field`. Of tunnel metadata, whose width is not known here, the lowest 32 bits.
    pub fn all(field: Field) -> Self {
        Self {
            field,
            offset: 0,
            bits: field.bits().unwrap_or(32),
        }
    }

    /// The `bits` bits of `field` from `offset` on.
    pub fn new(field: Field, offset: u16, bits: u16) -> Self {
        Self { field, offset, bits }
    }

    /// Offset and width in the sixteen bits that Nicira's actions have for them: at most 1023 and 64.
    pub(crate) fn encode_range(self, writer: &mut Writer<'_>) {
        if self.offset > 1023 || self.bits == 0 || self.bits > 64 {
            writer.unsupported("a bit range beyond offset 1023 or wider than 64 bits here");
        }
        writer.u16(self.offset << 6 | (self.bits.wrapping_sub(1) & 0x3f));
    }

    pub(crate) fn from_range(field: Field, range: u16) -> Self {
        Self {
            field,
            offset: range >> 6,
            bits: (range & 0x3f) + 1,
        }
    }
}

impl fmt::Display for Subfield {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.field.wire_name())?;
        let last = u32::from(self.offset) + u32::from(self.bits).saturating_sub(1);
        match self.bits {
            bits if self.offset == 0 && self.field.bits() == Some(bits) => f.write_str("[]"),
            1 => write!(f, "[{}]", self.offset),
            _ => write!(f, "[{}..{last}]", self.offset),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_stands_in_the_table_twice() {
        let mut seen = std::collections::BTreeSet::new();
        for field in table::fields() {
            assert!(seen.insert(field), "{}", field.wire_name());
            assert!(field.row().is_some(), "{field:?} is not found");
        }
        assert!(seen.len() > 190);
    }

    #[test]
    fn no_class_has_two_numbers_for_one_thing() {
        let mut seen = std::collections::BTreeSet::new();
        for field in table::fields() {
            assert!(seen.insert((field.class, field.to_string())), "{}", field.wire_name());
        }
    }

    #[test]
    fn a_field_of_two_numbers_is_the_same_field() {
        assert!(Field::NXM_OF_ETH_TYPE.is_same(Field::OXM_OF_ETH_TYPE));
        assert!(!Field::register(1).is_same(Field::register(2)));
        assert!(!Field::new(0x8000, 99).is_same(Field::new(0x8000, 98)));
    }

    #[test]
    fn a_label_of_20_bits_takes_four_bytes() {
        assert_eq!(Field::OXM_OF_IPV6_FLABEL.bytes(), Some(4));
        assert_eq!(Value::new(Field::OXM_OF_MPLS_LABEL, 100).bytes(), [0, 0, 0, 100]);
        assert_eq!(Field::OXM_OF_TUNNEL_ID.bytes(), Some(8));
    }

    #[test]
    fn an_unknown_field_has_a_name_all_the_same() {
        assert_eq!(Field::new(0x8000, 63).to_string(), "OXM_CLASS_8000_63");
        assert_eq!(Field::new(0x8000, 63).bits(), None);
    }

    #[test]
    fn an_experimenter_field_too_short_for_its_experimenter_is_refused() {
        let error = Header::decode(&mut Reader::new(&[0xff, 0xff, 0, 3, 0, 0, 0])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "experimenter field at byte 0: says it is 3 bytes long, at least 4 are needed"
        );
    }

    #[test]
    fn bit_ranges_are_written_as_ovs_ofctl_writes_them() {
        assert_eq!(Subfield::all(Field::register(1)).to_string(), "NXM_NX_REG1[]");
        assert_eq!(
            Subfield::new(Field::NXM_OF_IP_TOS, 2, 6).to_string(),
            "NXM_OF_IP_TOS[2..7]"
        );
        assert_eq!(Subfield::new(Field::register(0), 8, 1).to_string(), "NXM_NX_REG0[8]");
    }
}
