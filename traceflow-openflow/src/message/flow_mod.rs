//! `OFPT_FLOW_MOD`.

use super::flow_entry::{DEFAULT_PRIORITY, describe_match};
use std::fmt;

use super::{Body, NO_BUFFER};
use crate::instruction::{Instruction, Instructions};
use crate::matching::Match;
use crate::wire::{DecodeError, Reader, Writer, codes};
use crate::{Port, Version};

/// A group's number that means "any" or "none".
const ANY_GROUP: u32 = u32::MAX;

codes! {
    /// What to do with flows.
    pub FlowCommand: u8 {
        /// Adds one; an equal one is replaced.
        Add = 0 "add",
        /// Changes those that match.
        Modify = 1 "modify",
        /// Changes the one that matches exactly, with this priority.
        ModifyStrict = 2 "modify_strict",
        /// Deletes those that match.
        Delete = 3 "delete",
        /// Deletes the one that matches exactly, with this priority.
        DeleteStrict = 4 "delete_strict",
    }
}

/// Bits of a flow, `OFPFF_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FlowFlags(pub u16);

impl FlowFlags {
    /// A flow-removed is sent when it goes.
    pub const SEND_FLOW_REMOVED: Self = Self(1);
    /// It is refused if another one overlaps it at the same priority.
    pub const CHECK_OVERLAP: Self = Self(2);
    /// Its counters begin anew.
    pub const RESET_COUNTS: Self = Self(4);
    /// Packets are not counted.
    pub const NO_PACKET_COUNTS: Self = Self(8);
    /// Bytes are not counted.
    pub const NO_BYTE_COUNTS: Self = Self(16);

    const NAMES: [(Self, &'static str); 5] = [
        (Self::SEND_FLOW_REMOVED, "send_flow_rem"),
        (Self::CHECK_OVERLAP, "check_overlap"),
        (Self::RESET_COUNTS, "reset_counts"),
        (Self::NO_PACKET_COUNTS, "no_packet_counts"),
        (Self::NO_BYTE_COUNTS, "no_byte_counts"),
    ];

    /// Whether all bits of `other` are set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(super) fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES
            .into_iter()
            .filter(move |(flag, _)| self.contains(*flag))
            .map(|(_, name)| name)
    }
}

/// Adds, changes or deletes flows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FlowMod {
    /// What to do.
    pub command: FlowCommand,
    /// The table; 255 for all of them when deleting.
    pub table: u8,
    /// The flow's cookie; or, with a mask, which flows are meant.
    pub cookie: u64,
    /// Which bits of the cookie a flow must have to be changed or deleted; 0 when adding.
    pub cookie_mask: u64,
    /// Seconds without a packet until the flow goes; 0: never.
    pub idle_timeout: u16,
    /// Seconds until the flow goes; 0: never.
    pub hard_timeout: u16,
    /// The higher one wins.
    pub priority: u16,
    /// A packet that the switch has kept, to be given to the flow.
    pub buffer: Option<u32>,
    /// Deletes only flows that send to this port; [`Port::ANY`] doesn't restrict.
    pub out_port: Port,
    /// Deletes only flows that send to this group; all ones doesn't restrict.
    pub out_group: u32,
    /// What else.
    pub flags: FlowFlags,
    /// Which flows go first when the table is full; from OpenFlow 1.4 on, 0 in 1.3.
    pub importance: u16,
    /// Which packets.
    pub matching: Match,
    /// What is done with them.
    pub instructions: Vec<Instruction>,
}

impl FlowMod {
    /// Adds a flow that matches every packet and drops it; to be filled in.
    pub fn add() -> Self {
        Self {
            command: FlowCommand::Add,
            table: 0,
            cookie: 0,
            cookie_mask: 0,
            idle_timeout: 0,
            hard_timeout: 0,
            priority: 0x8000,
            buffer: None,
            out_port: Port::ANY,
            out_group: ANY_GROUP,
            flags: FlowFlags::default(),
            importance: 0,
            matching: Match::new(),
            instructions: Vec::new(),
        }
    }

    /// Deletes the flows of all tables whose cookies are `cookie` in the bits of `mask`.
    pub fn delete_by_cookie(cookie: u64, mask: u64) -> Self {
        Self {
            command: FlowCommand::Delete,
            table: 0xff,
            cookie,
            cookie_mask: mask,
            ..Self::add()
        }
    }
}

impl Body for FlowMod {
    fn decode(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        let mut flow = Self {
            cookie: reader.u64("cookie")?,
            cookie_mask: reader.u64("cookie mask")?,
            table: reader.u8("table")?,
            command: reader.u8("flow command")?.into(),
            idle_timeout: reader.u16("idle timeout")?,
            hard_timeout: reader.u16("hard timeout")?,
            priority: reader.u16("priority")?,
            ..Self::add()
        };
        let buffer = reader.u32("buffer")?;
        flow.buffer = (buffer != NO_BUFFER).then_some(buffer);
        flow.out_port = Port(reader.u32("out port")?);
        flow.out_group = reader.u32("out group")?;
        flow.flags = FlowFlags(reader.u16("flow flags")?);
        let importance = reader.u16("importance")?;
        flow.importance = if version >= Version::V1_5 { importance } else { 0 };
        flow.matching = Match::decode(reader)?;
        flow.instructions = Instruction::decode_list(reader.clone())?;
        Ok(flow)
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        let importance = if writer.version() >= Version::V1_5 {
            self.importance
        } else {
            0
        };
        writer.fixed::<40>(|part| {
            part.u64(self.cookie);
            part.u64(self.cookie_mask);
            part.u8(self.table);
            part.u8(self.command.into());
            part.u16(self.idle_timeout);
            part.u16(self.hard_timeout);
            part.u16(self.priority);
            part.u32(self.buffer.unwrap_or(NO_BUFFER));
            part.u32(self.out_port.0);
            part.u32(self.out_group);
            part.u16(self.flags.0);
            part.u16(importance);
        });
        self.matching.encode(writer);
        Instruction::encode_list(&self.instructions, writer);
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.command {
            FlowCommand::Add => f.write_str(" ADD")?,
            FlowCommand::Modify => f.write_str(" MOD")?,
            FlowCommand::ModifyStrict => f.write_str(" MOD_STRICT")?,
            FlowCommand::Delete => f.write_str(" DEL")?,
            FlowCommand::DeleteStrict => f.write_str(" DEL_STRICT")?,
            FlowCommand::Other(command) => write!(f, " command {command}")?,
        }
        if self.table != 0 {
            write!(f, " table:{}", self.table)?;
        }
        if self.priority != DEFAULT_PRIORITY || !self.matching.fields.is_empty() {
            f.write_str(" ")?;
            describe_match(self.priority, &self.matching, f)?;
        }
        self.describe_terms(f)?;
        write!(f, " actions={}", Instructions(&self.instructions))
    }
}

impl FlowMod {
    fn describe_terms(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.cookie, self.cookie_mask) {
            (0, 0) => {}
            (cookie, 0) => write!(f, " cookie:{cookie:#x}")?,
            (cookie, mask) => write!(f, " cookie:{cookie:#x}/{mask:#x}")?,
        }
        let terms = [
            ("idle", self.idle_timeout),
            ("hard", self.hard_timeout),
            ("importance", self.importance),
        ];
        for (name, term) in terms.into_iter().filter(|(_, term)| *term != 0) {
            write!(f, " {name}:{term}")?;
        }
        if self.out_port != Port::ANY {
            write!(f, " out_port:{}", self.out_port)?;
        }
        if self.out_group != ANY_GROUP {
            write!(f, " out_group:{}", self.out_group)?;
        }
        if let Some(buffer) = self.buffer {
            write!(f, " buf:{buffer:#x}")?;
        }
        self.flags.names().try_for_each(|name| write!(f, " {name}"))
    }
}

/// As ovs-ofctl's add-flow reads it; which command it is isn't said.
impl fmt::Display for FlowMod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timeout = |name: &str, seconds: u16| (seconds != 0).then(|| format!("{name}={seconds}"));
        let cookie = match (self.cookie, self.cookie_mask) {
            (0, 0) => None,
            (cookie, 0) => Some(format!("cookie={cookie:#x}")),
            (cookie, mask) => Some(format!("cookie={cookie:#x}/{mask:#x}")),
        };
        let head = [
            cookie,
            (self.table != 0xff).then(|| format!("table={}", self.table)),
            timeout("idle_timeout", self.idle_timeout),
            timeout("hard_timeout", self.hard_timeout),
            timeout("importance", self.importance),
            (self.priority != 0x8000).then(|| format!("priority={}", self.priority)),
            Some(self.matching.to_string()).filter(|matching| !matching.is_empty()),
        ];
        let flags = self.flags.names().map(|name| Some(name.to_owned()));
        let parts: Vec<String> = flags.chain(head).flatten().collect();
        write!(f, "{} actions={}", parts.join(","), Instructions(&self.instructions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Action;
    use crate::field::Field;
    use crate::message::Message;
    use crate::message::testing::check;

    #[test]
    fn a_flow_is_the_bytes_that_open_vswitch_writes() {
        let flow = FlowMod {
            table: 5,
            priority: 10,
            cookie: 1,
            hard_timeout: 60,
            matching: Match::new().with(Field::OXM_OF_IN_PORT, 3),
            instructions: vec![
                Instruction::ApplyActions(vec![Action::DecTtl]),
                Instruction::GotoTable(6),
            ],
            ..FlowMod::add()
        };
        assert_eq!(
            flow.to_string(),
            "cookie=0x1,table=5,hard_timeout=60,priority=10,in_port=3 actions=dec_ttl,goto_table:6"
        );
        check(
            Version::V1_5,
            "060e005800000002 0000000000000001 0000000000000000 05 00 0000 003c 000a \
             ffffffff ffffffff ffffffff 0000 0000 \
             0001000c 80000004 00000003 00000000 0004001000000000 0018000800000000 0001000806000000",
            Message::FlowMod(flow),
        );
    }
}
