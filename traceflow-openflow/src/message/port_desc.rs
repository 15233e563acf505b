//! `OFPT_PORT_STATUS` and `OFPMP_PORT_DESC`.

use crate::text::{Bits, Mac};
use std::fmt;

use super::Body;
use crate::wire::{DecodeError, Property, Reader, Writer, codes};
use crate::{Port, Version};

/// How long a port's name is at most, with a zero at its end.
const NAME: usize = 16;

codes! {
    /// What has happened to a port.
    pub PortReason: u8 {
        /// It is new.
        Add = 0 "add",
        /// It is gone.
        Delete = 1 "delete",
        /// It is another now.
        Modify = 2 "modify",
    }
}

/// Something has happened to a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PortStatus {
    /// What.
    pub reason: PortReason,
    /// The port as it is now, or was.
    pub port: PortDesc,
}

/// A port of the switch.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PortDesc {
    /// Its number.
    pub port: Port,
    /// Its MAC address.
    pub address: [u8; 6],
    /// Its name, cut to 15 bytes; Open vSwitch's interfaces may have longer ones.
    pub name: String,
    /// What it is set to do, `OFPPC_*` bits.
    pub config: u32,
    /// What it is doing, `OFPPS_*` bits.
    pub state: u32,
    /// How fast it is. Always there in OpenFlow 1.3.
    pub ethernet: Option<EthernetFeatures>,
    /// Properties that this crate doesn't know, as they came; from OpenFlow 1.4 on.
    pub properties: Vec<Property>,
}

/// `OFPPF_*` bits and speeds of an Ethernet port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct EthernetFeatures {
    /// What it does now.
    pub current: u32,
    /// What it offers.
    pub advertised: u32,
    /// What it can do.
    pub supported: u32,
    /// What the other side offers.
    pub peer: u32,
    /// Its speed in kilobits a second.
    pub speed: u32,
    /// Its highest speed in kilobits a second.
    pub max_speed: u32,
}

/// `OFPPDPT_ETHERNET`
const ETHERNET: u16 = 0;

impl Body for PortStatus {
    fn decode(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        let reason = reader.u8("port reason")?.into();
        reader.skip(7)?;
        Ok(Self {
            reason,
            port: PortDesc::decode(reader, version)?,
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        writer.u8(self.reason.into());
        writer.zeros(7);
        self.port.encode(writer);
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.reason {
            PortReason::Add => "ADD".to_owned(),
            PortReason::Delete => "DEL".to_owned(),
            PortReason::Modify => "MOD".to_owned(),
            PortReason::Other(reason) => format!("reason {reason}"),
        };
        write!(f, " {what}: {}", self.port)
    }
}

impl PortDesc {
    pub(super) fn decode(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        let number = Port(reader.u32("port")?);
        if version < Version::V1_5 {
            reader.skip(4)?;
            let mut port = Self::decode_head(number, reader)?;
            port.ethernet = Some(EthernetFeatures::decode(reader)?);
            return Ok(port);
        }
        let length = reader.u16("length of port")?;
        // The number and the length itself stand before.
        let mut body = reader.padded_body(length, 6, "port")?;
        body.skip(2)?;
        let mut port = Self::decode_head(number, &mut body)?;
        while !body.is_empty() {
            let (kind, mut property) = body.property("port property")?;
            match kind {
                ETHERNET => {
                    property.skip(4)?;
                    port.ethernet = Some(EthernetFeatures::decode(&mut property)?);
                }
                _ => port.properties.push(Property::new(kind, property)),
            }
        }
        Ok(port)
    }

    /// From the address to the state.
    fn decode_head(port: Port, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let address = reader.array("port's address")?;
        reader.skip(2)?;
        Ok(Self {
            port,
            address,
            name: reader.text(NAME, "port's name")?,
            config: reader.u32("port's config")?,
            state: reader.u32("port's state")?,
            ethernet: None,
            properties: Vec::new(),
        })
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        let start = writer.position();
        writer.u32(self.port.0);
        writer.zeros(4);
        writer.bytes(&self.address);
        writer.zeros(2);
        writer.text(&self.name, NAME);
        writer.u32(self.config);
        writer.u32(self.state);
        if writer.version() < Version::V1_5 {
            return self.ethernet.unwrap_or_default().encode(writer);
        }
        if let Some(ethernet) = self.ethernet {
            writer.property(ETHERNET, "a port's features", |writer| {
                writer.zeros(4);
                ethernet.encode(writer);
            });
        }
        Property::encode_all(&self.properties, writer);
        writer.set_length(start + 4, start, "a port");
    }
}

/// `ofp_port_config`, from the lowest bit on
const CONFIG: [&str; 7] = [
    "PORT_DOWN",
    "NO_STP",
    "NO_RECV",
    "NO_RECV_STP",
    "NO_FLOOD",
    "NO_FWD",
    "NO_PACKET_IN",
];

/// `ofp_port_state`, from the lowest bit on
const STATE: [&str; 3] = ["LINK_DOWN", "BLOCKED", "LIVE"];

/// `ofp_port_features`, from the lowest bit on
const FEATURES: [&str; 16] = [
    "10MB-HD",
    "10MB-FD",
    "100MB-HD",
    "100MB-FD",
    "1GB-HD",
    "1GB-FD",
    "10GB-FD",
    "40GB-FD",
    "100GB-FD",
    "1TB-FD",
    "OTHER",
    "COPPER",
    "FIBER",
    "AUTO_NEG",
    "AUTO_PAUSE",
    "AUTO_PAUSE_ASYM",
];

/// Several lines, as ovs-ofctl shows a port.
impl fmt::Display for PortDesc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = |bits, names| Bits {
            bits,
            names,
            separator: " ",
        };
        write!(
            f,
            "{}({}): addr:{}",
            self.port,
            self.name.escape_debug(),
            Mac(self.address)
        )?;
        write!(f, "\n     config:     {}", bits(self.config, &CONFIG))?;
        write!(f, "\n     state:      {}", bits(self.state, &STATE))?;
        if let Some(ethernet) = &self.ethernet {
            let features = [
                ("current:    ", ethernet.current),
                ("advertised: ", ethernet.advertised),
                ("supported:  ", ethernet.supported),
                ("peer:       ", ethernet.peer),
            ];
            for (what, features) in features.into_iter().filter(|(_, features)| *features != 0) {
                write!(f, "\n     {what}{}", bits(features, &FEATURES))?;
            }
            let (now, most) = (ethernet.speed / 1000, ethernet.max_speed / 1000);
            write!(f, "\n     speed: {now} Mbps now, {most} Mbps max")?;
        }
        Property::describe_all(&self.properties, f)
    }
}

impl EthernetFeatures {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            current: reader.u32("current features")?,
            advertised: reader.u32("advertised features")?,
            supported: reader.u32("supported features")?,
            peer: reader.u32("peer's features")?,
            speed: reader.u32("speed")?,
            max_speed: reader.u32("highest speed")?,
        })
    }

    fn encode(self, writer: &mut Writer<'_>) {
        for number in [
            self.current,
            self.advertised,
            self.supported,
            self.peer,
            self.speed,
            self.max_speed,
        ] {
            writer.u32(number);
        }
    }
}
