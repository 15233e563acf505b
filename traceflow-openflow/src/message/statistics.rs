//! Counters of a flow or of several: fixed fields in OpenFlow 1.3, a list of fields (OXS) in 1.5.

use std::time::Duration;

use crate::wire::{DecodeError, Reader, Writer, padding};

/// Counters. What the switch doesn't tell is not there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Statistics {
    /// How long the flow has existed.
    pub duration: Option<Duration>,
    /// How long no packet has matched it; not in OpenFlow 1.3.
    pub idle: Option<Duration>,
    /// How many flows are counted together; in OpenFlow 1.3 only in an aggregate.
    pub flows: Option<u32>,
    /// How many packets matched.
    pub packets: Option<u64>,
    /// How many bytes those had.
    pub bytes: Option<u64>,
    /// Fields that this crate doesn't know, as they came.
    pub unknown: Vec<UnknownStatistic>,
}

/// A field of OXS, as it came.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UnknownStatistic {
    /// Its class.
    pub class: u16,
    /// Its number and the lowest bit, which is reserved.
    pub number: u8,
    /// Its value.
    pub value: Vec<u8>,
}

/// `OFPXSC_OPENFLOW_BASIC`
const BASIC: u16 = 0x8002;

/// `oxs_ofb_stat_fields`
const DURATION: u8 = 0;
const IDLE: u8 = 1;
const FLOWS: u8 = 3;
const PACKETS: u8 = 4;
const BYTES: u8 = 5;

impl Statistics {
    /// The list of fields with its header and padding (OpenFlow 1.5.1, 7.2.4).
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.skip(2)?;
        let length = reader.u16("length of statistics")?;
        let mut fields = reader.padded_body(length, 4, "statistics")?;
        let mut statistics = Self::default();
        while !fields.is_empty() {
            statistics.decode_field(&mut fields)?;
        }
        Ok(statistics)
    }

    fn decode_field(&mut self, fields: &mut Reader<'_>) -> Result<(), DecodeError> {
        let class = fields.u16("class of a statistic")?;
        let number = fields.u8("number of a statistic")?;
        let length = fields.u8("length of a statistic")?;
        let mut value = fields.part(length.into(), "statistic")?;
        match (class, number >> 1) {
            (BASIC, DURATION) => self.duration = Some(decode_duration(&mut value)?),
            (BASIC, IDLE) => self.idle = Some(decode_duration(&mut value)?),
            (BASIC, FLOWS) => self.flows = Some(value.u32("flow count")?),
            (BASIC, PACKETS) => self.packets = Some(value.u64("packet count")?),
            (BASIC, BYTES) => self.bytes = Some(value.u64("byte count")?),
            _ => self.unknown.push(UnknownStatistic {
                class,
                number,
                value: value.rest().to_vec(),
            }),
        }
        Ok(())
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        writer.property(0, "statistics", |writer| {
            for (number, duration) in [(DURATION, self.duration), (IDLE, self.idle)] {
                if let Some(duration) = duration {
                    encode_header(BASIC, number << 1, 8, writer);
                    encode_duration(duration, writer);
                }
            }
            for (number, count) in [(PACKETS, self.packets), (BYTES, self.bytes)] {
                if let Some(count) = count {
                    encode_header(BASIC, number << 1, 8, writer);
                    writer.u64(count);
                }
            }
            if let Some(flows) = self.flows {
                encode_header(BASIC, FLOWS << 1, 4, writer);
                writer.u32(flows);
            }
            for unknown in &self.unknown {
                encode_header(unknown.class, unknown.number, unknown.value.len(), writer);
                writer.bytes(&unknown.value);
            }
        });
    }
}

fn encode_header(class: u16, number: u8, length: usize, writer: &mut Writer<'_>) {
    writer.u16(class);
    writer.u8(number);
    match u8::try_from(length) {
        Ok(length) => writer.u8(length),
        Err(_) => writer.unsupported("a statistic longer than 255 bytes"),
    }
}

/// Seconds and nanoseconds, four bytes each.
pub(super) fn decode_duration(reader: &mut Reader<'_>) -> Result<Duration, DecodeError> {
    let seconds = reader.u32("duration")?;
    Ok(Duration::new(seconds.into(), 0) + Duration::from_nanos(reader.u32("nanoseconds")?.into()))
}

pub(super) fn encode_duration(duration: Duration, writer: &mut Writer<'_>) {
    writer.u32(u32::try_from(duration.as_secs()).unwrap_or(u32::MAX));
    writer.u32(duration.subsec_nanos());
}

/// A count as OpenFlow 1.3 has it: all ones where it isn't known.
pub(super) fn decode_count(reader: &mut Reader<'_>, what: &'static str) -> Result<Option<u64>, DecodeError> {
    Ok(Some(reader.u64(what)?).filter(|count| *count != u64::MAX))
}

pub(super) fn encode_count(count: Option<u64>, writer: &mut Writer<'_>) {
    writer.u64(count.unwrap_or(u64::MAX));
}

/// The next entry of a multipart reply: it begins with its own length, which counts itself.
pub(super) fn entry<'a>(reader: &mut Reader<'a>, what: &'static str) -> Result<Reader<'a>, DecodeError> {
    let length = reader.u16(what)?;
    reader.padded_body(length, 2, what)
}

/// Writes an entry that begins with its own length.
pub(super) fn encode_entry(writer: &mut Writer<'_>, what: &'static str, body: impl FnOnce(&mut Writer<'_>)) {
    let start = writer.position();
    writer.u16(0);
    body(writer);
    writer.set_length(start, start, what);
    writer.zeros(padding(writer.position() - start));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Version;

    #[test]
    fn a_field_that_is_not_known_is_kept() {
        let bytes = crate::testing::hex("0000 0018 80020804 00000007 8002 0808 0000000000000005 00000000");
        let statistics = Statistics::decode(&mut Reader::new(&bytes[..])).unwrap_err();
        assert_eq!(statistics.to_string(), "packet count at byte 8: needs 8 bytes, 4 left");
        let bytes = crate::testing::hex("0000 0016 80020808 0000000000000005 8002 1202 abcd 0000");
        let statistics = Statistics::decode(&mut Reader::new(&bytes)).unwrap();
        assert_eq!((statistics.packets, statistics.unknown.len()), (Some(5), 1));
        let mut buffer = Vec::new();
        statistics.encode(&mut Writer::new(&mut buffer, Version::V1_5));
        assert_eq!(buffer, bytes);
    }
}
