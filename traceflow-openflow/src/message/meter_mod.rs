//! `OFPT_METER_MOD`.

use std::fmt;

use super::Body;
use crate::Version;
use crate::text::{Bits, Hex};
use crate::wire::{DecodeError, Property, Reader, Writer, codes};

codes! {
    /// What to do with a meter.
    pub MeterCommand: u16 {
        /// Adds it.
        Add = 0 "add",
        /// Replaces it.
        Modify = 1 "modify",
        /// Deletes it, and the flows that use it.
        Delete = 2 "delete",
    }
}

/// Bits of a meter, `OFPMF_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MeterFlags(pub u16);

impl MeterFlags {
    /// Rates are in kilobits a second.
    pub const KBPS: Self = Self(1);
    /// Rates are in packets a second.
    pub const PKTPS: Self = Self(2);
    /// Bands have a burst size.
    pub const BURST: Self = Self(4);
    /// It counts.
    pub const STATS: Self = Self(8);
}

/// Adds, changes or deletes a meter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MeterMod {
    /// What to do.
    pub command: MeterCommand,
    /// How it measures.
    pub flags: MeterFlags,
    /// Its number; [`ALL_METERS`](super::ALL_METERS) for all of them when deleting.
    pub meter: u32,
    /// From which rate on it does what.
    pub bands: Vec<MeterBand>,
}

/// What a meter does with packets above a rate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MeterBand {
    /// Drops them. The only one that Open vSwitch has.
    Drop {
        /// The rate, in the unit that the meter's flags say.
        rate: u32,
        /// How far it may be exceeded for a moment.
        burst: u32,
    },
    /// Another band, as it came.
    Unknown(Property),
}

/// `OFPMBT_DROP`
const DROP: u16 = 1;

impl Body for MeterMod {
    fn decode(reader: &mut Reader<'_>, _version: Version) -> Result<Self, DecodeError> {
        let command = reader.u16("meter command")?.into();
        let flags = MeterFlags(reader.u16("meter flags")?);
        let meter = reader.u32("meter")?;
        Ok(Self {
            command,
            flags,
            meter,
            bands: decode_bands(reader)?,
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        writer.u16(self.command.into());
        writer.u16(self.flags.0);
        writer.u32(self.meter);
        encode_bands(&self.bands, writer);
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.command {
            MeterCommand::Add => f.write_str(" ADD ")?,
            MeterCommand::Modify => f.write_str(" MOD ")?,
            MeterCommand::Delete => f.write_str(" DEL ")?,
            MeterCommand::Other(command) => write!(f, " command {command} ")?,
        }
        describe_meter(self.meter, self.flags, &self.bands, f)
    }
}

/// `ofp_meter_flags`, from the lowest bit on
pub(super) const FLAGS: [&str; 4] = ["kbps", "pktps", "burst", "stats"];

/// `meter=2 pktps burst bands=`, and each band in a line of its own.
pub(super) fn describe_meter(
    meter: u32,
    flags: MeterFlags,
    bands: &[MeterBand],
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    write!(f, "meter={}", MeterNumber(meter))?;
    if flags.0 != 0 {
        let flags = Bits {
            bits: flags.0.into(),
            names: &FLAGS,
            separator: " ",
        };
        write!(f, " {flags}")?;
    }
    f.write_str(" bands=")?;
    for band in bands {
        match band {
            MeterBand::Drop { rate, burst: 0 } => write!(f, "\ntype=drop rate={rate}")?,
            MeterBand::Drop { rate, burst } => write!(f, "\ntype=drop rate={rate} burst_size={burst}")?,
            MeterBand::Unknown(band) => write!(f, "\ntype={} {}", band.kind, Hex(&band.body))?,
        }
    }
    Ok(())
}

/// A meter's number, or the name of a reserved one.
pub(super) struct MeterNumber(pub(super) u32);

impl fmt::Display for MeterNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0xffff_fffd => f.write_str("slowpath"),
            0xffff_fffe => f.write_str("controller"),
            0xffff_ffff => f.write_str("all"),
            meter => write!(f, "{meter}"),
        }
    }
}

pub(super) fn decode_bands(reader: &mut Reader<'_>) -> Result<Vec<MeterBand>, DecodeError> {
    let mut bands = Vec::new();
    while !reader.is_empty() {
        let (kind, mut band) = reader.property("meter band")?;
        bands.push(match kind {
            DROP => MeterBand::Drop {
                rate: band.u32("rate")?,
                burst: band.u32("burst")?,
            },
            _ => MeterBand::Unknown(Property::new(kind, band)),
        });
    }
    Ok(bands)
}

pub(super) fn encode_bands(bands: &[MeterBand], writer: &mut Writer<'_>) {
    for band in bands {
        match band {
            // Its four bytes of padding count into its length.
            MeterBand::Drop { rate, burst } => writer.property(DROP, "a band", |writer| {
                writer.u32(*rate);
                writer.u32(*burst);
                writer.zeros(4);
            }),
            MeterBand::Unknown(band) => Property::encode_all(std::slice::from_ref(band), writer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use crate::message::testing::check;

    /// From `ovs-ofctl add-meter br 'meter=2,pktps,burst,stats,bands=type=drop,rate=10,burst_size=20'`.
    #[test]
    fn a_meter_that_drops_is_the_same_in_both_versions() {
        let meter = MeterMod {
            command: MeterCommand::Add,
            flags: MeterFlags(MeterFlags::PKTPS.0 | MeterFlags::BURST.0 | MeterFlags::STATS.0),
            meter: 2,
            bands: vec![MeterBand::Drop { rate: 10, burst: 20 }],
        };
        let body = "0020000000020000000e00000002000100100000000a0000001400000000";
        check(Version::V1_5, &format!("061d{body}"), Message::MeterMod(meter.clone()));
        check(Version::V1_3, &format!("041d{body}"), Message::MeterMod(meter));
    }
}
