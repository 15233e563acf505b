//! Writing a constant into a field: `set_field` and `load`, which are one thing in three encodings.

use super::{Nicira, Standard, nicira, standard};
use crate::Version;
use crate::field::{Field, Subfield, Value};
use crate::matching::FieldMatch;
use crate::wire::{DecodeError, Problem, Reader, Writer};

/// A field, and what is written into which of its bits.
///
/// OpenFlow 1.5 writes it as one action with an optional mask. Before that a masked one is Nicira's `load`:
/// `NXAST_REG_LOAD` where the mask is one run of bits, `NXAST_REG_LOAD2` otherwise. All of them are read in both
/// versions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SetField {
    /// The field.
    pub field: Field,
    /// The value, as wide as the field.
    pub value: Value,
    /// The bits that are written, all if there is none. As long as the value.
    pub mask: Option<Value>,
}

impl SetField {
    /// Writes all of `field`.
    pub fn new(field: Field, value: u128) -> Self {
        Self {
            field,
            value: Value::new(field, value),
            mask: None,
        }
    }

    /// Writes the bits of `field` that are set in `mask`.
    pub fn masked(field: Field, value: u128, mask: u128) -> Self {
        Self {
            field,
            value: Value::new(field, value),
            mask: Some(Value::new(field, mask)),
        }
    }

    /// Writes the lowest bits of `value` into the bits that `destination` names.
    pub fn bits(destination: Subfield, value: u64) -> Self {
        let Subfield { field, offset, bits } = destination;
        if offset == 0 && field.bits() == Some(bits) {
            return Self::new(field, value.into());
        }
        let ones = u128::MAX.checked_shr(128 - u32::from(bits.min(128))).unwrap_or(0);
        let shift = |number: u128| number.checked_shl(offset.into()).unwrap_or(0);
        Self::masked(field, shift(u128::from(value) & ones), shift(ones))
    }

    pub(super) fn decode(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let FieldMatch { field, value, mask } = FieldMatch::decode(body)?;
        Ok(Self { field, value, mask })
    }

    pub(super) fn decode_load(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = body.clone();
        let range = body.u16("bit range")?;
        let destination = Subfield::from_range(Field::decode(body)?, range);
        let value = body.u64("value to load")?;
        let end = destination.offset + destination.bits;
        if end > destination.field.bits().unwrap_or(128) {
            return Err(start.error("bit range", Problem::Value(range.into())));
        }
        Ok(Self::bits(destination, value))
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        if writer.version() >= Version::V1_5 || self.mask.is_none() {
            return standard(writer, Standard::SetField, |writer| self.encode_entry(writer));
        }
        let Some((destination, value)) = self.as_load() else {
            return nicira(writer, Nicira::LoadMasked, |writer| {
                writer.zeros(6);
                self.encode_entry(writer);
            });
        };
        nicira(writer, Nicira::Load, |writer| {
            destination.encode_range(writer);
            destination.field.encode(writer);
            writer.u64(value);
        });
    }

    fn encode_entry(&self, writer: &mut Writer<'_>) {
        let Self { field, value, mask } = self.clone();
        FieldMatch { field, value, mask }.encode(writer);
    }

    /// As `NXAST_REG_LOAD` has it; none where that can't say it: a mask with holes, of all bits or beyond the field,
    /// more than 64 bits, a value outside of the mask, a field whose header is longer than four bytes.
    fn as_load(&self) -> Option<(Subfield, u64)> {
        let (mask, value) = (self.mask.as_ref()?.number()?, self.value.number()?);
        let bits = u16::try_from(mask.count_ones()).ok()?;
        let offset = u16::try_from(mask.trailing_zeros()).ok()?;
        let one_run = bits > 0 && (mask >> offset).trailing_ones() == u32::from(bits);
        let simple = self.field.experimenter().is_none()
            && self.field.bits().is_some_and(|all| all != bits && offset + bits <= all);
        if !one_run || !simple || bits > 64 || value & !mask != 0 {
            return None;
        }
        Some((
            Subfield::new(self.field, offset, bits),
            u64::try_from(value >> offset).ok()?,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Action;
    use crate::action::testing::check;

    #[test]
    fn one_meaning_has_three_encodings() {
        let all = Action::SetField(SetField::new(Field::register(0), 7));
        for version in Version::ALL {
            check(
                version,
                "00190010000100040000000700000000",
                all.clone(),
                "set_field:0x7->reg0",
            );
        }
        let bit = Action::load(Subfield::new(Field::register(0), 8, 1), 1);
        check(
            Version::V1_5,
            "001900100001010800000100 00000100",
            bit.clone(),
            "set_field:0x100/0x100->reg0",
        );
        let load = "ffff001800002320000702000001000400000000 00000001";
        check(Version::V1_3, load, bit, "set_field:0x100/0x100->reg0");
        let holes = Action::SetField(SetField::masked(Field::register(0), 0x101, 0x101));
        let load2 = "ffff0020000023200021000000000000 0001010800000101 00000101 00000000";
        check(Version::V1_3, load2, holes, "set_field:0x101/0x101->reg0");
    }

    #[test]
    fn a_mask_beyond_its_field_is_no_load() {
        let flags = Action::SetField(SetField::masked(Field::NXM_NX_TCP_FLAGS, 0xffff, 0xffff));
        let load2 = "ffff001800002320 0021 000000000000 00014504 ffff ffff";
        check(Version::V1_3, load2, flags, "set_field:0xffff->tcp_flags");
    }

    #[test]
    fn a_load_beyond_its_field_is_refused() {
        let bytes = crate::testing::hex("ffff0018000023200007 07df 00010004 0000000000000001");
        let error = Action::decode_list(Reader::new(&bytes)).unwrap_err();
        assert_eq!(error.to_string(), "bit range at byte 10: unexpected value 0x7df");
    }
}
