//! `OFPMP_METER_CONFIG` (in 1.5 `OFPMP_METER_DESC`), `OFPMP_METER` and `OFPMP_METER_FEATURES`: which meters there are.

use crate::text::{Bits, Count, Seconds};
use std::fmt;
use std::time::Duration;

use super::meter_mod::{FLAGS, MeterNumber, decode_bands, describe_meter, encode_bands};
use super::statistics::{decode_duration, encode_duration};
use super::{BucketCounters, MeterBand, MeterFlags};
use crate::wire::{DecodeError, Reader, Writer};

/// All meters, in requests.
pub const ALL_METERS: u32 = u32::MAX;

/// A meter that the switch has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MeterConfig {
    /// Its number.
    pub meter: u32,
    /// How it measures.
    pub flags: MeterFlags,
    /// From which rate on it does what.
    pub bands: Vec<MeterBand>,
}

impl MeterConfig {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut meter = super::statistics::entry(reader, "meter")?;
        let flags = MeterFlags(meter.u16("meter flags")?);
        Ok(Self {
            meter: meter.u32("meter")?,
            flags,
            bands: decode_bands(&mut meter)?,
        })
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        super::statistics::encode_entry(writer, "a meter", |writer| {
            writer.u16(self.flags.0);
            writer.u32(self.meter);
            encode_bands(&self.bands, writer);
        });
    }
}

impl fmt::Display for MeterConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe_meter(self.meter, self.flags, &self.bands, f)
    }
}

/// A meter's counters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MeterStats {
    /// Its number.
    pub meter: u32,
    /// How many flows use it.
    pub flows: u32,
    /// How many packets it has seen.
    pub packets: u64,
    /// How many bytes those had.
    pub bytes: u64,
    /// How long it has existed.
    pub duration: Duration,
    /// What each band has caught.
    pub bands: Vec<BucketCounters>,
}

impl MeterStats {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let meter = reader.u32("meter")?;
        let length = reader.u16("length of a meter's counters")?;
        // The number and the length itself stand before.
        let mut body = reader.padded_body(length, 6, "meter's counters")?;
        body.skip(6)?;
        let flows = body.u32("flow count")?;
        let (packets, bytes) = (body.u64("packet count")?, body.u64("byte count")?);
        let duration = decode_duration(&mut body)?;
        let mut bands = Vec::new();
        while !body.is_empty() {
            bands.push(BucketCounters::decode(&mut body)?);
        }
        Ok(Self {
            meter,
            flows,
            packets,
            bytes,
            duration,
            bands,
        })
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        let start = writer.position();
        writer.u32(self.meter);
        writer.zeros(8);
        writer.u32(self.flows);
        writer.u64(self.packets);
        writer.u64(self.bytes);
        encode_duration(self.duration, writer);
        self.bands.iter().for_each(|band| band.encode(writer));
        writer.set_length(start + 4, start, "a meter's counters");
        writer.pad(start);
    }
}

impl fmt::Display for MeterStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "meter:{} flow_count:{}", MeterNumber(self.meter), self.flows)?;
        write!(f, " packet_in_count:{} byte_in_count:{}", self.packets, self.bytes)?;
        write!(f, " duration:{} bands:", Seconds(self.duration))?;
        for (index, band) in self.bands.iter().enumerate() {
            let (packets, bytes) = (Count(band.packets), Count(band.bytes));
            write!(f, "\n{index}: packet_count:{packets} byte_count:{bytes}")?;
        }
        Ok(())
    }
}

/// What meters the switch can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MeterFeatures {
    /// How many there can be; in Open vSwitch 0 if the datapath has none. They are numbered from 1.
    pub max_meters: u32,
    /// Which bands, one bit for each type.
    pub bands: u32,
    /// How they can measure.
    pub capabilities: u32,
    /// How many bands each can have.
    pub max_bands: u8,
    /// The highest color.
    pub max_color: u8,
}

impl MeterFeatures {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let features = Self {
            max_meters: reader.u32("number of meters")?,
            bands: reader.u32("band types")?,
            capabilities: reader.u32("meter capabilities")?,
            max_bands: reader.u8("number of bands")?,
            max_color: reader.u8("highest color")?,
        };
        reader.skip(2)?;
        Ok(features)
    }

    /// Open vSwitch leaves out the eight bytes that OpenFlow 1.5 adds.
    pub(super) fn encode(self, writer: &mut Writer<'_>) {
        writer.u32(self.max_meters);
        writer.u32(self.bands);
        writer.u32(self.capabilities);
        writer.u8(self.max_bands);
        writer.u8(self.max_color);
        writer.zeros(2);
    }
}

/// `ofp_meter_band_type`, from number 1 on
const BANDS: [&str; 2] = ["drop", "dscp_remark"];

impl fmt::Display for MeterFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = |bits, names| Bits {
            bits,
            names,
            separator: " ",
        };
        let Self {
            max_meters,
            max_bands,
            max_color,
            ..
        } = self;
        write!(f, "max_meter:{max_meters} max_bands:{max_bands} max_color:{max_color}")?;
        write!(f, "\nband_types: {}", bits(self.bands >> 1, &BANDS))?;
        write!(f, "\ncapabilities: {}", bits(self.capabilities, &FLAGS))
    }
}
