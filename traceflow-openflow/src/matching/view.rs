//! A match where it was received.

use super::{FieldMatch, Match, register_lanes};
use crate::field::{Field, Header, number};
use crate::wire::{DecodeError, Problem, Reader};

/// Fields with values as they stand in received bytes: nothing is copied, and a field is looked for each time that it is
/// asked for. Whoever asks often is better off with [`Match`].
///
/// It comes from a [`PacketInView`](crate::message::PacketInView).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MatchView<'a> {
    /// Known to be whole.
    bytes: &'a [u8],
}

impl<'a> MatchView<'a> {
    pub(crate) fn decode(mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        let mut all = reader.clone();
        while !reader.is_empty() {
            let header = Header::decode(&mut reader)?;
            reader.part(header.length, "field value")?;
            if header.masked && header.length % 2 != 0 {
                let problem = Problem::Value(header.length as u64);
                return Err(reader.error("length of a masked field", problem));
            }
        }
        Ok(Self { bytes: all.rest() })
    }

    /// The value of `field`, under whichever of its numbers; none if it is longer than 16 bytes.
    pub fn number(self, field: Field) -> Option<u128> {
        let found = self.conditions().find(|(other, _)| field.is_same(*other))?;
        number(found.1)
    }

    /// The value of register `n` (0 to 15), in whichever width it stands here. None if nothing is said about it; a
    /// packet-in leaves out what is zero.
    pub fn register(self, n: u8) -> Option<u32> {
        self.conditions().find_map(|(field, value)| {
            let (first, lanes) = register_lanes(field)?;
            let lane = n.checked_sub(first).filter(|lane| *lane < lanes)?;
            Some((number(value)? >> (32 * u32::from(lanes - 1 - lane))) as u32)
        })
    }

    /// The fields with their values, without masks.
    fn conditions(self) -> impl Iterator<Item = (Field, &'a [u8])> {
        let mut reader = Reader::new(self.bytes);
        std::iter::from_fn(move || {
            let header = Header::decode(&mut reader).ok()?;
            let value = reader.take(header.length, "field value").ok()?;
            let length = if header.masked { value.len() / 2 } else { value.len() };
            Some((header.field, &value[..length]))
        })
    }
}

impl From<MatchView<'_>> for Match {
    fn from(view: MatchView<'_>) -> Self {
        let mut reader = Reader::new(view.bytes);
        let fields = std::iter::from_fn(|| FieldMatch::decode(&mut reader).ok());
        Self {
            fields: fields.collect(),
        }
    }
}
