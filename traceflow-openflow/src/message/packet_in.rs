//! `OFPT_PACKET_IN` and `NXT_PACKET_IN`.

use std::fmt;

use super::{Body, NO_BUFFER};
use crate::Version;
use crate::matching::{Match, Metadata};
use crate::text::Hex;
use crate::wire::{DecodeError, Reader, Writer, codes};

codes! {
    /// Why a packet was sent to the controller.
    pub PacketInReason: u8 {
        /// No flow matched.
        NoMatch = 0 "no_match",
        /// An action said so.
        Action = 1 "action",
        /// Its TTL ran out.
        InvalidTtl = 2 "invalid_ttl",
        /// An action of the action set said so.
        ActionSet = 3 "action_set",
        /// An action of a group's bucket said so.
        Group = 4 "group",
        /// An action of a packet-out said so.
        PacketOut = 5 "packet_out",
    }
}

/// A packet for the controller, in the format of the OpenFlow version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PacketIn {
    /// Where the switch has kept the packet.
    pub buffer: Option<u32>,
    /// How long the packet is; `packet` may be cut.
    pub total_len: u16,
    /// Why it was sent.
    pub reason: PacketInReason,
    /// The table of the flow that sent it.
    pub table: u8,
    /// The cookie of the flow that sent it.
    pub cookie: u64,
    /// Input port, registers, tunnel and the like.
    pub metadata: Match,
    /// The Ethernet frame.
    pub packet: Vec<u8>,
}

impl Body for PacketIn {
    fn decode(reader: &mut Reader<'_>, _version: Version) -> Result<Self, DecodeError> {
        let mut packet_in = Self::decode_head(reader)?;
        packet_in.metadata = Match::decode(reader)?;
        packet_in.decode_packet(reader)?;
        Ok(packet_in)
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        self.encode_head(writer);
        self.metadata.encode(writer);
        writer.zeros(2);
        writer.bytes(&self.packet);
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " table_id={}", self.table)?;
        if self.cookie != u64::MAX {
            write!(f, " cookie={:#x}", self.cookie)?;
        }
        write!(
            f,
            " total_len={} {} (via {})",
            self.total_len,
            Metadata(&self.metadata),
            self.reason
        )?;
        describe_length(&self.packet, self.buffer, f)?;
        describe_packet(&self.packet, f)
    }
}

impl PacketIn {
    fn decode_head(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let buffer = reader.u32("buffer")?;
        Ok(Self {
            buffer: (buffer != NO_BUFFER).then_some(buffer),
            total_len: reader.u16("total length")?,
            reason: reader.u8("reason")?.into(),
            table: reader.u8("table")?,
            cookie: reader.u64("cookie")?,
            metadata: Match::new(),
            packet: Vec::new(),
        })
    }

    fn decode_packet(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        // So that the IP header is aligned.
        reader.skip(2)?;
        self.packet = reader.rest().to_vec();
        Ok(())
    }

    fn encode_head(&self, writer: &mut Writer<'_>) {
        writer.u32(self.buffer.unwrap_or(NO_BUFFER));
        writer.u16(self.total_len);
        writer.u8(self.reason.into());
        writer.u8(self.table);
        writer.u64(self.cookie);
    }
}

/// How long a packet is, and where the switch has kept it.
pub(super) fn describe_length(packet: &[u8], buffer: Option<u32>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, " data_len={}", packet.len())?;
    match buffer {
        Some(buffer) => write!(f, " (buffer={buffer:#010x})"),
        None => f.write_str(" (unbuffered)"),
    }
}

/// A packet's first bytes; what is in them is told by those who know packets.
pub(super) fn describe_packet(packet: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match packet {
        [] => Ok(()),
        packet => write!(f, "\n packet={}", Hex(packet)),
    }
}

/// The same in Nicira's first format, whose match has no header.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NiciraPacketIn(pub PacketIn);

impl Body for NiciraPacketIn {
    fn decode(reader: &mut Reader<'_>, _version: Version) -> Result<Self, DecodeError> {
        let mut packet_in = PacketIn::decode_head(reader)?;
        let length = reader.u16("length of match")?;
        reader.skip(6)?;
        packet_in.metadata = Match::decode_fields(reader.padded_body(length, 0, "match")?)?;
        packet_in.decode_packet(reader)?;
        Ok(Self(packet_in))
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        self.0.encode_head(writer);
        let length = writer.position();
        writer.zeros(8);
        let start = writer.position();
        self.0.metadata.encode_fields(writer);
        writer.set_length(length, start, "the match of a packet-in");
        writer.pad(start);
        writer.zeros(2);
        writer.bytes(&self.0.packet);
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.describe(f)
    }
}
