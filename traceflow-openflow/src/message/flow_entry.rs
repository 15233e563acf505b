//! `OFPMP_FLOW` (in 1.5 `OFPMP_FLOW_DESC`) and `OFPMP_AGGREGATE`: flows and their counters.

use crate::text::{Count, Seconds};
use std::fmt;

use super::statistics::{decode_count, decode_duration, encode_count, encode_duration, encode_entry, entry};
use super::{FlowFlags, Statistics};
use crate::instruction::{Instruction, Instructions};
use crate::matching::Match;
use crate::wire::{DecodeError, Reader, Writer};
use crate::{Port, Version};

/// Which flows are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FlowFilter {
    /// Those of this table; 255 for all of them.
    pub table: u8,
    /// Those that send to this port; [`Port::ANY`] doesn't restrict.
    pub out_port: Port,
    /// Those that send to this group; all ones doesn't restrict.
    pub out_group: u32,
    /// Those with this cookie,
    pub cookie: u64,
    /// in these bits.
    pub cookie_mask: u64,
    /// Those that match at least this.
    pub matching: Match,
}

impl FlowFilter {
    /// All flows of all tables.
    pub fn all() -> Self {
        Self {
            table: 0xff,
            out_port: Port::ANY,
            out_group: u32::MAX,
            cookie: 0,
            cookie_mask: 0,
            matching: Match::new(),
        }
    }

    /// The flows of all tables whose cookies are `cookie` in the bits of `mask`.
    pub fn by_cookie(cookie: u64, mask: u64) -> Self {
        Self {
            cookie,
            cookie_mask: mask,
            ..Self::all()
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let table = reader.u8("table")?;
        reader.skip(3)?;
        let out_port = Port(reader.u32("out port")?);
        let out_group = reader.u32("out group")?;
        reader.skip(4)?;
        let (cookie, cookie_mask) = (reader.u64("cookie")?, reader.u64("cookie mask")?);
        Ok(Self {
            table,
            out_port,
            out_group,
            cookie,
            cookie_mask,
            matching: Match::decode(reader)?,
        })
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        writer.u8(self.table);
        writer.zeros(3);
        writer.u32(self.out_port.0);
        writer.u32(self.out_group);
        writer.zeros(4);
        writer.u64(self.cookie);
        writer.u64(self.cookie_mask);
        self.matching.encode(writer);
    }
}

/// A flow that the switch has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FlowEntry {
    /// Its table.
    pub table: u8,
    /// Its priority.
    pub priority: u16,
    /// Seconds without a packet until it goes; 0: never.
    pub idle_timeout: u16,
    /// Seconds until it goes; 0: never.
    pub hard_timeout: u16,
    /// What else.
    pub flags: FlowFlags,
    /// Which flows go first when the table is full; 0 in OpenFlow 1.3.
    pub importance: u16,
    /// Its cookie.
    pub cookie: u64,
    /// Its counters.
    pub statistics: Statistics,
    /// Which packets.
    pub matching: Match,
    /// What is done with them.
    pub instructions: Vec<Instruction>,
}

impl FlowEntry {
    pub(super) fn decode(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        let entry = entry(reader, "flow")?;
        match version {
            Version::V1_3 => Self::decode_fixed(entry),
            Version::V1_5 => Self::decode_listed(entry),
        }
    }

    fn decode_fixed(mut reader: Reader<'_>) -> Result<Self, DecodeError> {
        let table = reader.u8("table")?;
        reader.skip(1)?;
        let duration = decode_duration(&mut reader)?;
        let mut flow = Self::decode_terms(table, &mut reader)?;
        flow.importance = 0;
        reader.skip(2)?;
        flow.cookie = reader.u64("cookie")?;
        flow.statistics = Statistics {
            duration: Some(duration),
            packets: decode_count(&mut reader, "packet count")?,
            bytes: decode_count(&mut reader, "byte count")?,
            ..Statistics::default()
        };
        flow.matching = Match::decode(&mut reader)?;
        flow.instructions = Instruction::decode_list(reader)?;
        Ok(flow)
    }

    fn decode_listed(mut reader: Reader<'_>) -> Result<Self, DecodeError> {
        reader.skip(2)?;
        let table = reader.u8("table")?;
        reader.skip(1)?;
        let mut flow = Self::decode_terms(table, &mut reader)?;
        flow.cookie = reader.u64("cookie")?;
        flow.matching = Match::decode(&mut reader)?;
        flow.statistics = Statistics::decode(&mut reader)?;
        flow.instructions = Instruction::decode_list(reader)?;
        Ok(flow)
    }

    /// What follows one another in both versions, from the priority on.
    fn decode_terms(table: u8, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            table,
            priority: reader.u16("priority")?,
            idle_timeout: reader.u16("idle timeout")?,
            hard_timeout: reader.u16("hard timeout")?,
            flags: FlowFlags(reader.u16("flow flags")?),
            importance: reader.u16("importance")?,
            cookie: 0,
            statistics: Statistics::default(),
            matching: Match::new(),
            instructions: Vec::new(),
        })
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        encode_entry(writer, "a flow", |writer| match writer.version() {
            Version::V1_3 => self.encode_fixed(writer),
            Version::V1_5 => self.encode_listed(writer),
        });
    }

    fn encode_fixed(&self, writer: &mut Writer<'_>) {
        writer.u8(self.table);
        writer.zeros(1);
        encode_duration(self.statistics.duration.unwrap_or_default(), writer);
        self.encode_terms(0, writer);
        writer.zeros(2);
        writer.u64(self.cookie);
        encode_count(self.statistics.packets, writer);
        encode_count(self.statistics.bytes, writer);
        self.matching.encode(writer);
        Instruction::encode_list(&self.instructions, writer);
    }

    fn encode_listed(&self, writer: &mut Writer<'_>) {
        writer.zeros(2);
        writer.u8(self.table);
        writer.zeros(1);
        self.encode_terms(self.importance, writer);
        writer.u64(self.cookie);
        self.matching.encode(writer);
        self.statistics.encode(writer);
        Instruction::encode_list(&self.instructions, writer);
    }

    fn encode_terms(&self, importance: u16, writer: &mut Writer<'_>) {
        for term in [
            self.priority,
            self.idle_timeout,
            self.hard_timeout,
            self.flags.0,
            importance,
        ] {
            writer.u16(term);
        }
    }
}

/// The flow without its counters, as ovs-ofctl writes it.
impl fmt::Display for FlowEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.cookie != 0 {
            write!(f, "cookie={:#x},", self.cookie)?;
        }
        write!(f, "table={},priority={}", self.table, self.priority)?;
        if !self.matching.fields.is_empty() {
            write!(f, ",{}", self.matching)?;
        }
        write!(f, " actions={}", Instructions(&self.instructions))
    }
}

impl FlowEntry {
    /// With its counters, as ovs-ofctl lists flows.
    pub(super) fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Statistics {
            duration,
            idle,
            packets,
            bytes,
            ..
        } = self.statistics;
        write!(f, "cookie={:#x}", self.cookie)?;
        if let Some(duration) = duration {
            write!(f, ", duration={}", Seconds(duration))?;
        }
        write!(
            f,
            ", table={}, n_packets={}, n_bytes={}",
            self.table,
            Count(packets),
            Count(bytes)
        )?;
        for (name, timeout) in [("idle_timeout", self.idle_timeout), ("hard_timeout", self.hard_timeout)] {
            if timeout != 0 {
                write!(f, ", {name}={timeout}")?;
            }
        }
        f.write_str(", ")?;
        self.flags.names().try_for_each(|name| write!(f, "{name} "))?;
        if self.importance != 0 {
            write!(f, "importance={}, ", self.importance)?;
        }
        if let Some(idle) = idle {
            write!(f, "idle_age={}, ", idle.as_secs())?;
        }
        if describe_match(self.priority, &self.matching, f)? {
            f.write_str(" ")?;
        }
        write!(f, "actions={}", Instructions(&self.instructions))
    }
}

/// The priority that a flow has if none is given.
pub(super) const DEFAULT_PRIORITY: u16 = 0x8000;

/// `priority=7,tcp`, without what is the default, and whether there was anything to write.
pub(super) fn describe_match(priority: u16, matching: &Match, f: &mut fmt::Formatter<'_>) -> Result<bool, fmt::Error> {
    match (priority, matching.fields.is_empty()) {
        (DEFAULT_PRIORITY, true) => return Ok(false),
        (DEFAULT_PRIORITY, false) => write!(f, "{matching}")?,
        (priority, true) => write!(f, "priority={priority}")?,
        (priority, false) => write!(f, "priority={priority},{matching}")?,
    }
    Ok(true)
}

impl FlowFilter {
    pub(super) fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.table != 0xff {
            write!(f, " table={}", self.table)?;
        }
        if self.out_port != Port::ANY {
            write!(f, " out_port={}", self.out_port)?;
        }
        if self.out_group != u32::MAX {
            write!(f, " out_group={}", self.out_group)?;
        }
        if (self.cookie, self.cookie_mask) != (0, 0) {
            write!(f, " cookie={:#x}/{:#x}", self.cookie, self.cookie_mask)?;
        }
        match &self.matching {
            all if all.fields.is_empty() => Ok(()),
            matching => write!(f, " {matching}"),
        }
    }
}

/// ` packet_count=5 byte_count=500 flow_count=2`
pub(super) fn describe_aggregate(statistics: &Statistics, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Statistics {
        packets, bytes, flows, ..
    } = statistics;
    let flows = flows.map(u64::from);
    write!(
        f,
        " packet_count={} byte_count={} flow_count={}",
        Count(*packets),
        Count(*bytes),
        Count(flows)
    )
}

/// The counters of several flows together.
pub(super) fn decode_aggregate(reader: &mut Reader<'_>, version: Version) -> Result<Statistics, DecodeError> {
    if version >= Version::V1_5 {
        return Statistics::decode(reader);
    }
    let packets = decode_count(reader, "packet count")?;
    let bytes = decode_count(reader, "byte count")?;
    let flows = Some(reader.u32("flow count")?);
    reader.skip(4)?;
    Ok(Statistics {
        packets,
        bytes,
        flows,
        ..Statistics::default()
    })
}

pub(super) fn encode_aggregate(statistics: &Statistics, writer: &mut Writer<'_>) {
    if writer.version() >= Version::V1_5 {
        return statistics.encode(writer);
    }
    encode_count(statistics.packets, writer);
    encode_count(statistics.bytes, writer);
    writer.u32(statistics.flows.unwrap_or_default());
    writer.zeros(4);
}
