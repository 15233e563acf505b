//! Flows that the switch makes from a packet.

use super::{Nicira, nicira};
use crate::field::{Field, Subfield, Value};
use crate::wire::{DecodeError, Problem, Reader, Writer};

/// Adds or refreshes a flow made from the packet (`NXAST_LEARN`, or `NXAST_LEARN2` where a limit or a result is asked
/// for).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Learn {
    /// Seconds without a packet until the flow goes; 0: never.
    pub idle_timeout: u16,
    /// Seconds until the flow goes; 0: never.
    pub hard_timeout: u16,
    /// The flow's priority.
    pub priority: u16,
    /// The flow's cookie.
    pub cookie: u64,
    /// What else.
    pub flags: LearnFlags,
    /// The flow's table.
    pub table: u8,
    /// Seconds of idleness after a FIN or RST; 0: as before.
    pub fin_idle_timeout: u16,
    /// Seconds to live after a FIN or RST; 0: as before.
    pub fin_hard_timeout: u16,
    /// How many such flows there may be; 0: any number.
    pub limit: u32,
    /// Where to write whether the flow could be added: its lowest bit.
    pub result: Option<WrittenResult>,
    /// What the flow matches and does.
    pub specs: Vec<Spec>,
}

impl Default for Learn {
    fn default() -> Self {
        Self {
            idle_timeout: 0,
            hard_timeout: 0,
            priority: 0x8000,
            cookie: 0,
            flags: LearnFlags::default(),
            table: 1,
            fin_idle_timeout: 0,
            fin_hard_timeout: 0,
            limit: 0,
            result: None,
            specs: Vec::new(),
        }
    }
}

/// Bits of [`Learn`], `NX_LEARN_F_*`. The third, that a result is written, is told by [`Learn::result`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct LearnFlags {
    /// Whether a flow-removed is sent when the flow goes.
    pub send_flow_removed: bool,
    /// Whether the flows learned go together with the flow that has this action.
    pub delete_learned: bool,
}

/// One bit of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WrittenResult {
    /// The field.
    pub field: Field,
    /// Which bit.
    pub offset: u16,
}

/// One part of the learned flow.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Spec {
    /// How many bits, at most 1023.
    pub bits: u16,
    /// Where they come from.
    pub source: Source,
    /// Where they go.
    pub destination: Destination,
}

/// Where the bits of a [`Spec`] come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// The packet's field, from this bit on.
    Field(Field, u16),
    /// These: as many bytes as hold the bits, rounded up to two.
    Value(Value),
}

/// What the learned flow does with the bits of a [`Spec`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Destination {
    /// Matches them in this field, from this bit on.
    Match(Field, u16),
    /// Loads them into this field, from this bit on.
    Load(Field, u16),
    /// Sends the packet out of the port of that number.
    Output,
}

const SEND_FLOW_REMOVED: u16 = 1;
const DELETE_LEARNED: u16 = 2;
const WRITE_RESULT: u16 = 4;

const BITS: u16 = 0x07ff;
const IMMEDIATE: u16 = 1 << 13;
const DESTINATION: u16 = 3 << 11;
const LOAD: u16 = 1 << 11;
const OUTPUT: u16 = 2 << 11;

impl Learn {
    pub(super) fn decode(body: &mut Reader<'_>, limited: bool) -> Result<Self, DecodeError> {
        let mut learn = Self {
            idle_timeout: body.u16("idle timeout")?,
            hard_timeout: body.u16("hard timeout")?,
            priority: body.u16("priority")?,
            cookie: body.u64("cookie")?,
            ..Self::default()
        };
        let flags = body.u16("learn flags")?;
        learn.flags.send_flow_removed = flags & SEND_FLOW_REMOVED != 0;
        learn.flags.delete_learned = flags & DELETE_LEARNED != 0;
        learn.table = body.u8("table")?;
        body.skip(1)?;
        learn.fin_idle_timeout = body.u16("idle timeout after FIN")?;
        learn.fin_hard_timeout = body.u16("hard timeout after FIN")?;
        if limited {
            learn.limit = body.u32("limit")?;
            let offset = body.u16("result's offset")?;
            body.skip(2)?;
            if flags & WRITE_RESULT != 0 {
                learn.result = Some(WrittenResult {
                    field: Field::decode(body)?,
                    offset,
                });
            }
        }
        // Padding ends the list: a spec of no bits.
        while body.remaining() >= 2 {
            let Some(spec) = Spec::decode(body)? else { break };
            learn.specs.push(spec);
        }
        Ok(learn)
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        let limited = self.limit != 0 || self.result.is_some();
        let subtype = if limited { Nicira::LearnLimited } else { Nicira::Learn };
        nicira(writer, subtype, |writer| {
            self.encode_head(writer);
            if limited {
                writer.u32(self.limit);
                writer.u16(self.result.map_or(0, |result| result.offset));
                writer.zeros(2);
            }
            if let Some(result) = self.result {
                result.field.encode(writer);
            }
            for spec in &self.specs {
                spec.encode(writer);
            }
        });
    }

    fn encode_head(&self, writer: &mut Writer<'_>) {
        writer.u16(self.idle_timeout);
        writer.u16(self.hard_timeout);
        writer.u16(self.priority);
        writer.u64(self.cookie);
        writer.u16(
            if self.flags.send_flow_removed {
                SEND_FLOW_REMOVED
            } else {
                0
            } | if self.flags.delete_learned { DELETE_LEARNED } else { 0 }
                | if self.result.is_some() { WRITE_RESULT } else { 0 },
        );
        writer.u8(self.table);
        writer.zeros(1);
        writer.u16(self.fin_idle_timeout);
        writer.u16(self.fin_hard_timeout);
    }
}

impl Spec {
    /// None at the padding.
    fn decode(body: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        let start = body.clone();
        let header = body.u16("learn spec")?;
        let bits = header & BITS;
        if header == 0 {
            return Ok(None);
        }
        let source = match header & IMMEDIATE {
            0 => Source::Field(Field::decode(body)?, body.u16("source offset")?),
            _ => Source::Value(Value::from_bytes(body.take(value_length(bits), "learned value")?)),
        };
        let destination = match header & DESTINATION {
            0 => Destination::Match(Field::decode(body)?, body.u16("destination offset")?),
            LOAD => Destination::Load(Field::decode(body)?, body.u16("destination offset")?),
            OUTPUT => Destination::Output,
            _ => return Err(start.error("learn spec", Problem::Value(header.into()))),
        };
        Ok(Some(Self {
            bits,
            source,
            destination,
        }))
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        let immediate = matches!(self.source, Source::Value(_));
        let kind = match self.destination {
            Destination::Match(..) => 0,
            Destination::Load(..) => LOAD,
            Destination::Output => OUTPUT,
        };
        if self.bits == 0 || self.bits > BITS {
            writer.unsupported("a learn spec of no bits or more than 2047");
        }
        writer.u16(self.bits & BITS | if immediate { IMMEDIATE } else { 0 } | kind);
        match &self.source {
            Source::Field(field, offset) => encode_bits(*field, *offset, writer),
            Source::Value(value) if value.bytes().len() != value_length(self.bits) => {
                writer.unsupported("a learned value of another length than its bits");
            }
            Source::Value(value) => writer.bytes(value.bytes()),
        }
        match self.destination {
            Destination::Match(field, offset) | Destination::Load(field, offset) => encode_bits(field, offset, writer),
            Destination::Output => {}
        }
    }

    /// The source as text that ovs-ofctl reads: bits of a field.
    pub(super) fn source_bits(&self, field: Field, offset: u16) -> Subfield {
        Subfield::new(field, offset, self.bits)
    }
}

fn encode_bits(field: Field, offset: u16, writer: &mut Writer<'_>) {
    field.encode(writer);
    writer.u16(offset);
}

fn value_length(bits: u16) -> usize {
    usize::from(bits).div_ceil(16) * 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Version;
    use crate::action::Action;
    use crate::action::testing::check;

    #[test]
    fn a_learned_flow_is_written_as_open_vswitch_does() {
        let learn = Learn {
            table: 20,
            hard_timeout: 60,
            priority: 10,
            specs: vec![
                Spec {
                    bits: 16,
                    source: Source::Value(Value::from_bytes(&[8, 0])),
                    destination: Destination::Match(Field::NXM_OF_ETH_TYPE, 0),
                },
                Spec {
                    bits: 16,
                    source: Source::Field(Field::NXM_OF_IN_PORT, 0),
                    destination: Destination::Match(Field::NXM_OF_IN_PORT, 0),
                },
                Spec {
                    bits: 1,
                    source: Source::Value(Value::from_bytes(&[0, 1])),
                    destination: Destination::Load(Field::register(15), 0),
                },
            ],
            ..Learn::default()
        };
        check(
            Version::V1_5,
            "ffff004800002320 0010 0000 003c 000a 0000000000000000 0000 14 00 0000 0000 \
             2010 0800 00000602 0000 0010 00000002 0000 00000002 0000 2801 0001 00011e04 0000 000000000000",
            Action::Learn(Box::new(learn)),
            "learn(table=20,hard_timeout=60,priority=10,dl_type=0x800,NXM_OF_IN_PORT[],load:0x1->NXM_NX_REG15[0])",
        );
    }
}
