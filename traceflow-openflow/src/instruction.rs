//! Instructions: what a flow tells the pipeline to do.

use std::fmt;

use crate::Version;
use crate::action::{Action, List};
use crate::text::Hex;
use crate::wire::{DecodeError, Reader, Writer, codes};

/// One instruction of a flow.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Instruction {
    /// Goes on in a later table.
    GotoTable(u8),
    /// Writes the bits of `mask` into the metadata field.
    WriteMetadata {
        /// What is written.
        metadata: u64,
        /// Which bits.
        mask: u64,
    },
    /// Adds actions to the set that is executed at the end of the pipeline.
    WriteActions(Vec<Action>),
    /// Executes actions at once, in their order.
    ApplyActions(Vec<Action>),
    /// Empties the action set.
    ClearActions,
    /// Passes the packet through a meter. In OpenFlow 1.5 that is an action.
    Meter(u32),
    /// An instruction that this crate doesn't know, as it came.
    Unknown {
        /// Its type.
        kind: u16,
        /// What follows the length.
        body: Vec<u8>,
    },
}

codes! {
    /// `ofp_instruction_type`
    pub(crate) Kind: u16 {
        /// OFPIT_GOTO_TABLE
        GotoTable = 1 "goto_table",
        /// OFPIT_WRITE_METADATA
        WriteMetadata = 2 "write_metadata",
        /// OFPIT_WRITE_ACTIONS
        WriteActions = 3 "write_actions",
        /// OFPIT_APPLY_ACTIONS
        ApplyActions = 4 "apply_actions",
        /// OFPIT_CLEAR_ACTIONS
        ClearActions = 5 "clear_actions",
        /// OFPIT_METER, before OpenFlow 1.5
        Meter = 6 "meter",
    }
}

impl Instruction {
    /// Reads instructions until `reader` is empty.
    pub(crate) fn decode_list(mut reader: Reader<'_>) -> Result<Vec<Self>, DecodeError> {
        let mut instructions = Vec::new();
        while !reader.is_empty() {
            let kind = reader.u16("instruction type")?;
            let length = reader.u16("instruction length")?;
            instructions.push(Self::decode(kind, reader.body(length, 4, "instruction")?)?);
        }
        Ok(instructions)
    }

    pub(crate) fn encode_list(instructions: &[Self], writer: &mut Writer<'_>) {
        for instruction in instructions {
            instruction.encode(writer);
        }
    }

    fn decode(kind: u16, mut body: Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match Kind::from(kind) {
            Kind::GotoTable => Self::GotoTable(body.u8("table")?),
            Kind::WriteMetadata => {
                body.skip(4)?;
                Self::WriteMetadata {
                    metadata: body.u64("metadata")?,
                    mask: body.u64("metadata mask")?,
                }
            }
            Kind::WriteActions => {
                body.skip(4)?;
                Self::WriteActions(Action::decode_list(body)?)
            }
            Kind::ApplyActions => {
                body.skip(4)?;
                Self::ApplyActions(Action::decode_list(body)?)
            }
            Kind::ClearActions => Self::ClearActions,
            Kind::Meter => Self::Meter(body.u32("meter")?),
            Kind::Other(kind) => Self::Unknown {
                kind,
                body: body.rest().to_vec(),
            },
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        let start = writer.position();
        let kind = self.kind();
        writer.fixed::<4>(|head| head.u16(kind.into()));
        match self {
            Self::GotoTable(table) => writer.u8(*table),
            Self::WriteMetadata { metadata, mask } => {
                writer.zeros(4);
                writer.u64(*metadata);
                writer.u64(*mask);
            }
            Self::WriteActions(actions) | Self::ApplyActions(actions) => {
                writer.zeros(4);
                Action::encode_list(actions, writer);
            }
            Self::ClearActions => {}
            Self::Meter(meter) => {
                if writer.version() >= Version::V1_5 {
                    writer.unsupported("the instruction meter");
                }
                writer.u32(*meter);
            }
            Self::Unknown { body, .. } => writer.bytes(body),
        }
        writer.pad(start);
        writer.set_length(start + 2, start, "an instruction");
    }

    fn kind(&self) -> Kind {
        match self {
            Self::GotoTable(_) => Kind::GotoTable,
            Self::WriteMetadata { .. } => Kind::WriteMetadata,
            Self::WriteActions(_) => Kind::WriteActions,
            Self::ApplyActions(_) => Kind::ApplyActions,
            Self::ClearActions => Kind::ClearActions,
            Self::Meter(_) => Kind::Meter,
            Self::Unknown { kind, .. } => Kind::Other(*kind),
        }
    }
}

/// In ovs-ofctl's syntax.
impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GotoTable(table) => write!(f, "goto_table:{table}"),
            Self::WriteMetadata {
                metadata,
                mask: u64::MAX,
            } => write!(f, "write_metadata:{metadata:#x}"),
            Self::WriteMetadata { metadata, mask } => write!(f, "write_metadata:{metadata:#x}/{mask:#x}"),
            Self::WriteActions(actions) => write!(f, "write_actions({})", List(actions)),
            Self::ApplyActions(actions) => write!(f, "{}", List(actions)),
            Self::ClearActions => f.write_str("clear_actions"),
            Self::Meter(meter) => write!(f, "meter:{meter}"),
            Self::Unknown { kind, body } => {
                write!(f, "unknown_instruction({kind},{})", Hex(body))
            }
        }
    }
}

/// A flow's instructions as ovs-ofctl writes them after `actions=`.
pub(crate) struct Instructions<'a>(pub(crate) &'a [Instruction]);

impl fmt::Display for Instructions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self
            .0
            .iter()
            .map(ToString::to_string)
            .filter(|part| !part.is_empty())
            .collect();
        if parts.is_empty() {
            return f.write_str("drop");
        }
        f.write_str(&parts.join(","))
    }
}
