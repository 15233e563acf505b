//! `OFPMP_FLOW_MONITOR`: being told how flows change. In OpenFlow 1.3 an extension of the ONF's.

use crate::text::{Bits, Number};
use std::fmt;

use super::flow_entry::describe_match;
use super::statistics::{encode_entry, entry};
use super::{Body, FlowRemovedReason};
use crate::instruction::{Instruction, Instructions};
use crate::matching::Match;
use crate::wire::{DecodeError, Problem, Reader, Writer, codes};
use crate::{Port, Version};

codes! {
    /// What to do with a monitor; from OpenFlow 1.4 on, in 1.3 it can only be added here.
    pub MonitorCommand: u8 {
        /// Begins.
        Add = 0 "add",
        /// Changes what is told.
        Modify = 1 "modify",
        /// Ends.
        Delete = 2 "delete",
    }
}

/// Bits of a monitor, `OFPFMF_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MonitorFlags(pub u16);

impl MonitorFlags {
    /// The flows that there are.
    pub const INITIAL: Self = Self(1);
    /// New flows.
    pub const ADD: Self = Self(2);
    /// Flows that go.
    pub const REMOVED: Self = Self(4);
    /// Flows that change.
    pub const MODIFY: Self = Self(8);
    /// With their instructions.
    pub const INSTRUCTIONS: Self = Self(16);
    /// Changes of one's own in full, too.
    pub const NO_ABBREVIATION: Self = Self(32);
    /// Changes of one's own only; from OpenFlow 1.4 on.
    pub const ONLY_OWN: Self = Self(64);

    /// The bits of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Asks to be told how flows change.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MonitorRequest {
    /// The monitor's number; the controller chooses it.
    pub monitor: u32,
    /// Flows that send to this port; [`Port::ANY`] doesn't restrict.
    pub out_port: Port,
    /// Flows that send to this group; all ones doesn't restrict. From OpenFlow 1.4 on.
    pub out_group: u32,
    /// What is told.
    pub flags: MonitorFlags,
    /// The table; 255 for all of them.
    pub table: u8,
    /// What to do with the monitor.
    pub command: MonitorCommand,
    /// Flows that match at least this.
    pub matching: Match,
}

impl MonitorRequest {
    pub(super) fn decode(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        let monitor = reader.u32("monitor")?;
        if version < Version::V1_5 {
            let flags = MonitorFlags(reader.u16("monitor flags")?);
            reader.skip(2)?;
            let out_port = Port(reader.u32("out port")?);
            let table = reader.u8("table")?;
            reader.skip(3)?;
            let (out_group, command) = (u32::MAX, MonitorCommand::Add);
            return Ok(Self {
                monitor,
                out_port,
                out_group,
                flags,
                table,
                command,
                matching: Match::decode(reader)?,
            });
        }
        Ok(Self {
            monitor,
            out_port: Port(reader.u32("out port")?),
            out_group: reader.u32("out group")?,
            flags: MonitorFlags(reader.u16("monitor flags")?),
            table: reader.u8("table")?,
            command: reader.u8("monitor command")?.into(),
            matching: Match::decode(reader)?,
        })
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        writer.u32(self.monitor);
        if writer.version() < Version::V1_5 {
            return self.encode_extension(writer);
        }
        writer.u32(self.out_port.0);
        writer.u32(self.out_group);
        writer.u16(self.flags.0);
        writer.u8(self.table);
        writer.u8(self.command.into());
        self.matching.encode(writer);
    }

    fn encode_extension(&self, writer: &mut Writer<'_>) {
        if self.command != MonitorCommand::Add || self.out_group != u32::MAX {
            writer.unsupported("a monitor by group, or changing a monitor");
        }
        writer.u16(self.flags.0);
        let length = writer.position();
        writer.zeros(2);
        writer.u32(self.out_port.0);
        writer.u8(self.table);
        writer.zeros(3);
        self.matching.encode_measured(length, writer);
    }
}

/// `ofp_flow_monitor_flags`, from the lowest bit on
const FLAGS: [&str; 7] = ["initial", "add", "delete", "modify", "actions", "no-abbrev", "own"];

impl fmt::Display for MonitorRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = Bits {
            bits: self.flags.0.into(),
            names: &FLAGS,
            separator: ",",
        };
        write!(f, "id={} flags={flags}", self.monitor)?;
        if self.command != MonitorCommand::Add {
            write!(f, " command={}", self.command)?;
        }
        if self.out_port != Port::ANY {
            write!(f, " out_port={}", self.out_port)?;
        }
        if self.out_group != u32::MAX {
            write!(f, " out_group={}", self.out_group)?;
        }
        if self.table != 0xff {
            write!(f, " table={}", self.table)?;
        }
        match &self.matching {
            all if all.fields.is_empty() => Ok(()),
            matching => write!(f, " {matching}"),
        }
    }
}

/// Ends a monitor; only in OpenFlow 1.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MonitorCancel {
    /// The monitor's number.
    pub monitor: u32,
}

impl Body for MonitorCancel {
    fn decode(reader: &mut Reader<'_>, _version: Version) -> Result<Self, DecodeError> {
        Ok(Self {
            monitor: reader.u32("monitor")?,
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        writer.u32(self.monitor);
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " id={}", self.monitor)
    }
}

codes! {
    /// What has happened to a flow, in the numbers of OpenFlow 1.4 and later.
    pub FlowEvent: u16 {
        /// It was there when the monitor began.
        Initial = 0 "INITIAL",
        /// It is new.
        Added = 1 "ADDED",
        /// It is gone.
        Removed = 2 "DELETED",
        /// It is another now.
        Modified = 3 "MODIFIED",
    }
}

/// News of a monitor.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FlowUpdate {
    /// Something has happened to a flow.
    Full(MonitoredFlow),
    /// The change that oneself asked for in the message of this xid was made.
    Abbreviated {
        /// The message's xid.
        xid: u32,
    },
    /// Too much happens; nothing is told for a while.
    Paused,
    /// What was missed has been told.
    Resumed,
}

/// A flow to which something has happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MonitoredFlow {
    /// What. The extension for OpenFlow 1.3 says [`FlowEvent::Added`] of those that were there, too.
    pub event: FlowEvent,
    /// Its table.
    pub table: u8,
    /// Why it is gone, a number of [`FlowRemovedReason`](super::FlowRemovedReason); 0 otherwise.
    pub reason: u8,
    /// Seconds without a packet until it goes; 0: never.
    pub idle_timeout: u16,
    /// Seconds until it goes; 0: never.
    pub hard_timeout: u16,
    /// Its priority.
    pub priority: u16,
    /// Its cookie.
    pub cookie: u64,
    /// Which packets it matches.
    pub matching: Match,
    /// What it does, if that was asked for.
    pub instructions: Vec<Instruction>,
}

const ABBREVIATED: u16 = 4;
const PAUSED: u16 = 5;
const RESUMED: u16 = 6;

impl FlowUpdate {
    pub(super) fn decode(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        let mut body = entry(reader, "flow update")?;
        let start = body.clone();
        let event = body.u16("flow event")?;
        // The extension has no number for "initial"; the others are lower by one.
        let event = if version < Version::V1_5 {
            event.saturating_add(1)
        } else {
            event
        };
        match event {
            ABBREVIATED => Ok(Self::Abbreviated { xid: body.u32("xid")? }),
            PAUSED => Ok(Self::Paused),
            RESUMED => Ok(Self::Resumed),
            _ => match event.into() {
                FlowEvent::Other(other) => Err(start.error("flow event", Problem::Value(other.into()))),
                event => Ok(Self::Full(MonitoredFlow::decode(event, body, version)?)),
            },
        }
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        encode_entry(writer, "a flow update", |writer| {
            let event = match self {
                Self::Full(flow) => flow.event.into(),
                Self::Abbreviated { .. } => ABBREVIATED,
                Self::Paused => PAUSED,
                Self::Resumed => RESUMED,
            };
            if writer.version() < Version::V1_5 {
                if event == 0 || event > ABBREVIATED {
                    writer.unsupported("this flow event");
                }
                writer.u16(event.saturating_sub(1));
            } else {
                writer.u16(event);
            }
            match self {
                Self::Full(flow) => flow.encode(writer),
                Self::Abbreviated { xid } => writer.u32(*xid),
                Self::Paused | Self::Resumed => writer.zeros(4),
            }
        });
    }
}

impl fmt::Display for FlowUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(flow) => write!(f, "{flow}"),
            Self::Abbreviated { xid } => write!(f, "event=ABBREV xid={xid:#x}"),
            Self::Paused => f.write_str("event=PAUSED"),
            Self::Resumed => f.write_str("event=RESUMED"),
        }
    }
}

impl fmt::Display for MonitoredFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event={}", self.event)?;
        if self.event == FlowEvent::Removed {
            write!(f, " reason={}", FlowRemovedReason::from(self.reason))?;
        }
        write!(f, " table={}", self.table)?;
        for (name, timeout) in [("idle_timeout", self.idle_timeout), ("hard_timeout", self.hard_timeout)] {
            if timeout != 0 {
                write!(f, " {name}={timeout}")?;
            }
        }
        write!(f, " cookie={} ", Number(self.cookie))?;
        if describe_match(self.priority, &self.matching, f)? {
            f.write_str(" ")?;
        }
        write!(f, "actions={}", Instructions(&self.instructions))
    }
}

impl MonitoredFlow {
    fn decode(event: FlowEvent, mut body: Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        let mut flow = Self {
            event,
            table: 0,
            reason: 0,
            idle_timeout: 0,
            hard_timeout: 0,
            priority: 0,
            cookie: 0,
            matching: Match::new(),
            instructions: Vec::new(),
        };
        match version {
            Version::V1_3 => {
                flow.reason = (body.u16("reason")? & 0xff) as u8;
                flow.priority = body.u16("priority")?;
                flow.idle_timeout = body.u16("idle timeout")?;
                flow.hard_timeout = body.u16("hard timeout")?;
                body.skip(2)?;
                flow.table = body.u8("table")?;
                body.skip(1)?;
            }
            Version::V1_5 => {
                flow.table = body.u8("table")?;
                flow.reason = body.u8("reason")?;
                flow.idle_timeout = body.u16("idle timeout")?;
                flow.hard_timeout = body.u16("hard timeout")?;
                flow.priority = body.u16("priority")?;
                body.skip(4)?;
            }
        }
        flow.cookie = body.u64("cookie")?;
        flow.matching = Match::decode(&mut body)?;
        flow.instructions = Instruction::decode_list(body)?;
        Ok(flow)
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        match writer.version() {
            Version::V1_3 => {
                writer.u16(self.reason.into());
                writer.u16(self.priority);
                writer.u16(self.idle_timeout);
                writer.u16(self.hard_timeout);
                let length = writer.position();
                writer.zeros(2);
                writer.u8(self.table);
                writer.zeros(1);
                writer.u64(self.cookie);
                self.matching.encode_measured(length, writer);
            }
            Version::V1_5 => {
                writer.u8(self.table);
                writer.u8(self.reason);
                writer.u16(self.idle_timeout);
                writer.u16(self.hard_timeout);
                writer.u16(self.priority);
                writer.zeros(4);
                writer.u64(self.cookie);
                self.matching.encode(writer);
            }
        }
        Instruction::encode_list(&self.instructions, writer);
    }
}
