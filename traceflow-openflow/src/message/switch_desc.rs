//! `OFPMP_DESC`: who made the switch.

use std::fmt;

use crate::wire::{DecodeError, Reader, Writer};

/// Who made the switch; of Open vSwitch the version is in [`SwitchDesc::software`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct SwitchDesc {
    /// By whom.
    pub manufacturer: String,
    /// What it is.
    pub hardware: String,
    /// Which version.
    pub software: String,
    /// Which one of them.
    pub serial_number: String,
    /// What it is called.
    pub datapath: String,
}

/// How long a text is at most, with a zero at its end.
const TEXT: usize = 256;
const SERIAL_NUMBER: usize = 32;

impl SwitchDesc {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            manufacturer: reader.text(TEXT, "manufacturer")?,
            hardware: reader.text(TEXT, "hardware")?,
            software: reader.text(TEXT, "software")?,
            serial_number: reader.text(SERIAL_NUMBER, "serial number")?,
            datapath: reader.text(TEXT, "datapath's description")?,
        })
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        writer.text(&self.manufacturer, TEXT);
        writer.text(&self.hardware, TEXT);
        writer.text(&self.software, TEXT);
        writer.text(&self.serial_number, SERIAL_NUMBER);
        writer.text(&self.datapath, TEXT);
    }
}

impl fmt::Display for SwitchDesc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Manufacturer: {}", self.manufacturer.escape_debug())?;
        write!(f, "\nHardware: {}", self.hardware.escape_debug())?;
        write!(f, "\nSoftware: {}", self.software.escape_debug())?;
        write!(f, "\nSerial Num: {}", self.serial_number.escape_debug())?;
        write!(f, "\nDP Description: {}", self.datapath.escape_debug())
    }
}
