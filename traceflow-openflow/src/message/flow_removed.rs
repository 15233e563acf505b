//! `OFPT_FLOW_REMOVED`.

use std::fmt;

use super::flow_entry::describe_match;
use super::statistics::{decode_count, decode_duration, encode_count, encode_duration};
use super::{Body, Statistics};
use crate::Version;
use crate::matching::Match;
use crate::text::{Count, Seconds};
use crate::wire::{DecodeError, Reader, Writer, codes};

codes! {
    /// Why a flow is gone.
    pub FlowRemovedReason: u8 {
        /// No packet for too long.
        IdleTimeout = 0 "idle",
        /// Its time was up.
        HardTimeout = 1 "hard",
        /// Somebody deleted it.
        Delete = 2 "delete",
        /// Its group was deleted.
        GroupDelete = 3 "group_delete",
        /// Its meter was deleted.
        MeterDelete = 4 "meter_delete",
        /// The table was full.
        Eviction = 5 "eviction",
    }
}

/// A flow that asked for it (`send_flow_rem`) is gone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FlowRemoved {
    /// Its cookie.
    pub cookie: u64,
    /// Its table.
    pub table: u8,
    /// Its priority.
    pub priority: u16,
    /// Why it is gone.
    pub reason: FlowRemovedReason,
    /// Seconds without a packet until it went; 0: never.
    pub idle_timeout: u16,
    /// Seconds until it went; 0: never.
    pub hard_timeout: u16,
    /// Its counters.
    pub statistics: Statistics,
    /// Which packets it matched.
    pub matching: Match,
}

impl Body for FlowRemoved {
    fn decode(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        match version {
            Version::V1_3 => Self::decode_fixed(reader),
            Version::V1_5 => Self::decode_listed(reader),
        }
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        match writer.version() {
            Version::V1_3 => self.encode_fixed(writer),
            Version::V1_5 => self.encode_listed(writer),
        }
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(" ")?;
        describe_match(self.priority, &self.matching, f)?;
        write!(f, " reason={} table_id={}", self.reason, self.table)?;
        if self.cookie != 0 {
            write!(f, " cookie:{:#x}", self.cookie)?;
        }
        let Statistics {
            duration,
            packets,
            bytes,
            ..
        } = self.statistics;
        write!(
            f,
            " duration{} idle{}",
            Seconds(duration.unwrap_or_default()),
            self.idle_timeout
        )?;
        if self.hard_timeout != 0 {
            write!(f, " hard{}", self.hard_timeout)?;
        }
        write!(f, " pkts{} bytes{}", Count(packets), Count(bytes))
    }
}

impl FlowRemoved {
    fn decode_fixed(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let cookie = reader.u64("cookie")?;
        let priority = reader.u16("priority")?;
        let reason = reader.u8("reason")?.into();
        let table = reader.u8("table")?;
        let duration = Some(decode_duration(reader)?);
        let (idle_timeout, hard_timeout) = (reader.u16("idle timeout")?, reader.u16("hard timeout")?);
        let packets = decode_count(reader, "packet count")?;
        let bytes = decode_count(reader, "byte count")?;
        let statistics = Statistics {
            duration,
            packets,
            bytes,
            ..Statistics::default()
        };
        let matching = Match::decode(reader)?;
        Ok(Self {
            cookie,
            table,
            priority,
            reason,
            idle_timeout,
            hard_timeout,
            statistics,
            matching,
        })
    }

    fn decode_listed(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            table: reader.u8("table")?,
            reason: reader.u8("reason")?.into(),
            priority: reader.u16("priority")?,
            idle_timeout: reader.u16("idle timeout")?,
            hard_timeout: reader.u16("hard timeout")?,
            cookie: reader.u64("cookie")?,
            matching: Match::decode(reader)?,
            statistics: Statistics::decode(reader)?,
        })
    }

    fn encode_fixed(&self, writer: &mut Writer<'_>) {
        writer.u64(self.cookie);
        writer.u16(self.priority);
        writer.u8(self.reason.into());
        writer.u8(self.table);
        encode_duration(self.statistics.duration.unwrap_or_default(), writer);
        writer.u16(self.idle_timeout);
        writer.u16(self.hard_timeout);
        encode_count(self.statistics.packets, writer);
        encode_count(self.statistics.bytes, writer);
        self.matching.encode(writer);
    }

    fn encode_listed(&self, writer: &mut Writer<'_>) {
        writer.u8(self.table);
        writer.u8(self.reason.into());
        writer.u16(self.priority);
        writer.u16(self.idle_timeout);
        writer.u16(self.hard_timeout);
        writer.u64(self.cookie);
        self.matching.encode(writer);
        self.statistics.encode(writer);
    }
}
