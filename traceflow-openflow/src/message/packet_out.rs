//! `OFPT_PACKET_OUT`.

use std::fmt;

use super::packet_in::describe_packet;
use super::{Body, NO_BUFFER};
use crate::action::Action;
use crate::action::List;
use crate::field::Field;
use crate::matching::{Match, Metadata};
use crate::wire::{DecodeError, Reader, Writer};
use crate::{Port, Version};

/// A packet from the controller, and what is done with it.
///
/// Open vSwitch reports no error for an input port that doesn't exist or a packet too short to be one; nothing happens
/// then.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PacketOut {
    /// A packet that the switch has kept; then `packet` is empty.
    pub buffer: Option<u32>,
    /// The input port, and from OpenFlow 1.5 on other metadata with which the packet begins.
    pub metadata: Match,
    /// What is done with it.
    pub actions: Vec<Action>,
    /// The Ethernet frame.
    pub packet: Vec<u8>,
}

impl PacketOut {
    /// `packet` as if it came from `port`.
    pub fn new(port: Port, packet: Vec<u8>, actions: Vec<Action>) -> Self {
        let metadata = Match::new().with(Field::OXM_OF_IN_PORT, port.0.into());
        Self {
            buffer: None,
            metadata,
            actions,
            packet,
        }
    }

    /// The input port; the controller if none is said.
    pub fn port(&self) -> Port {
        let number = self.metadata.number(Field::OXM_OF_IN_PORT);
        number.map_or(Port::CONTROLLER, |number| Port(number as u32))
    }
}

impl Body for PacketOut {
    fn decode(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        let buffer = reader.u32("buffer")?;
        let port = match version {
            Version::V1_3 => Some(reader.u32("input port")?),
            Version::V1_5 => None,
        };
        let length = reader.u16("length of actions")?;
        let metadata = match port {
            Some(port) => {
                reader.skip(6)?;
                Match::new().with(Field::OXM_OF_IN_PORT, port.into())
            }
            None => {
                reader.skip(2)?;
                Match::decode(reader)?
            }
        };
        let actions = Action::decode_list(reader.part(length.into(), "actions")?)?;
        let buffer = (buffer != NO_BUFFER).then_some(buffer);
        Ok(Self {
            buffer,
            metadata,
            actions,
            packet: reader.rest().to_vec(),
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        writer.u32(self.buffer.unwrap_or(NO_BUFFER));
        let length = match writer.version() {
            Version::V1_3 => self.encode_port(writer),
            Version::V1_5 => {
                let length = writer.position();
                writer.zeros(4);
                self.metadata.encode(writer);
                length
            }
        };
        let start = writer.position();
        Action::encode_list(&self.actions, writer);
        writer.set_length(length, start, "the actions of a packet-out");
        writer.bytes(&self.packet);
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.metadata.fields.is_empty() {
            write!(f, " {}", Metadata(&self.metadata))?;
        }
        f.write_str(" actions=")?;
        match &self.actions[..] {
            [] => f.write_str("drop")?,
            actions => write!(f, "{}", List(actions))?,
        }
        match self.buffer {
            Some(buffer) => write!(f, " buffer={buffer:#010x}"),
            None => {
                write!(f, " data_len={}", self.packet.len())?;
                describe_packet(&self.packet, f)
            }
        }
    }
}

impl PacketOut {
    /// Returns where the length of the actions goes.
    fn encode_port(&self, writer: &mut Writer<'_>) -> usize {
        let only_port = |field: Field| field.is_same(Field::OXM_OF_IN_PORT);
        if !self.metadata.fields.iter().all(|condition| only_port(condition.field)) {
            writer.unsupported("a packet-out with other metadata than the input port");
        }
        writer.u32(self.port().0);
        let length = writer.position();
        writer.zeros(8);
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use crate::message::testing::check;

    #[test]
    fn the_input_port_is_a_number_before_1_5_and_a_match_from_then_on() {
        let resubmit = Action::Resubmit {
            port: None,
            table: Some(0),
            conntrack: false,
        };
        let out = Message::PacketOut(PacketOut::new(Port(3), vec![0xaa; 4], vec![resubmit]));
        check(
            Version::V1_3,
            "040d002c00000001 ffffffff 00000003 0010 000000000000 ffff001000002320000efff800000000 aaaaaaaa",
            out.clone(),
        );
        check(
            Version::V1_5,
            "060d003400000001 ffffffff 0010 0000 0001000c 80000004 00000003 00000000 \
             ffff001000002320000efff800000000 aaaaaaaa",
            out,
        );
    }

    #[test]
    fn other_metadata_needs_1_5() {
        let mut out = PacketOut::new(Port(3), Vec::new(), Vec::new());
        out.metadata = out.metadata.with(Field::register(10), 7);
        let out = Message::PacketOut(out);
        assert!(out.encode(Version::V1_3, 1, &mut Vec::new()).is_err());
        assert!(out.encode(Version::V1_5, 1, &mut Vec::new()).is_ok());
    }
}
