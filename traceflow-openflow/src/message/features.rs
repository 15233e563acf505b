//! `OFPT_FEATURES_REPLY`.

use std::fmt;

use super::Body;
use crate::Version;
use crate::text::Bits;
use crate::wire::{DecodeError, Reader, Writer};

/// What the switch is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct FeaturesReply {
    /// The switch's number; in Open vSwitch the lower 48 bits are the bridge's MAC address.
    pub datapath_id: u64,
    /// How many packets it can keep for later.
    pub buffers: u32,
    /// How many tables it has.
    pub tables: u8,
    /// Which of several connections this is; 0 for the main one.
    pub auxiliary_id: u8,
    /// `OFPC_*` bits.
    pub capabilities: u32,
}

/// `ofp_capabilities`, from the lowest bit on
const CAPABILITIES: [&str; 11] = [
    "FLOW_STATS",
    "TABLE_STATS",
    "PORT_STATS",
    "GROUP_STATS",
    "",
    "IP_REASM",
    "QUEUE_STATS",
    "",
    "PORT_BLOCKED",
    "BUNDLES",
    "FLOW_MONITORING",
];

impl Body for FeaturesReply {
    fn decode(reader: &mut Reader<'_>, _version: Version) -> Result<Self, DecodeError> {
        let mut features = Self {
            datapath_id: reader.u64("datapath id")?,
            buffers: reader.u32("number of buffers")?,
            tables: reader.u8("number of tables")?,
            auxiliary_id: reader.u8("auxiliary id")?,
            capabilities: 0,
        };
        reader.skip(2)?;
        features.capabilities = reader.u32("capabilities")?;
        reader.skip(4)?;
        Ok(features)
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        writer.u64(self.datapath_id);
        writer.u32(self.buffers);
        writer.u8(self.tables);
        writer.u8(self.auxiliary_id);
        writer.zeros(2);
        writer.u32(self.capabilities);
        writer.zeros(4);
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            " dpid:{:016x}\nn_tables:{}, n_buffers:{}",
            self.datapath_id, self.tables, self.buffers
        )?;
        if self.auxiliary_id != 0 {
            write!(f, ", auxiliary_id:{}", self.auxiliary_id)?;
        }
        let capabilities = Bits {
            bits: self.capabilities,
            names: &CAPABILITIES,
            separator: " ",
        };
        write!(f, "\ncapabilities: {capabilities}")
    }
}
