//! `NXT_PACKET_IN2`, and `NXT_RESUME` which sends one back.

use std::fmt;

use super::packet_in::{describe_length, describe_packet};
use super::{Body, Message, PacketInReason};
use crate::Version;
use crate::matching::{Match, Metadata};
use crate::text::{Dotted, Hex};
use crate::wire::{DecodeError, Property, Reader, Writer, codes};

/// A packet for the controller with everything that the switch knows about it.
///
/// On OpenFlow 1.5 registers stand in `metadata` in pairs; [`Match::register`] finds them either way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PacketIn2 {
    /// The Ethernet frame.
    pub packet: Vec<u8>,
    /// How long the packet is, if `packet` is cut.
    pub full_len: Option<u32>,
    /// Where the switch has kept the packet.
    pub buffer: Option<u32>,
    /// The table of the flow that sent it.
    pub table: Option<u8>,
    /// The cookie of the flow that sent it.
    pub cookie: Option<u64>,
    /// Why it was sent.
    pub reason: Option<PacketInReason>,
    /// Input port, registers, conntrack, tunnel and the like; what is zero is left out.
    pub metadata: Match,
    /// What the action [`Controller`](crate::action::Controller) gave along.
    pub userdata: Vec<u8>,
    /// How to go on if the packet was paused: the switch's own words, to be sent back in a resume.
    pub continuation: Option<Vec<u8>>,
    /// Properties that this crate doesn't know, as they came.
    pub unknown: Vec<Property>,
}

codes! {
    /// `nx_packet_in2_prop_type`
    pub(super) Kind: u16 {
        /// bytes
        Packet = 0 "packet",
        /// be32
        FullLen = 1 "full_len",
        /// be32
        Buffer = 2 "buffer",
        /// u8
        Table = 3 "table",
        /// be64 after four zero bytes
        Cookie = 4 "cookie",
        /// u8
        Reason = 5 "reason",
        /// OXM
        Metadata = 6 "metadata",
        /// bytes
        Userdata = 7 "userdata",
        /// bytes
        Continuation = 8 "continuation",
    }
}

impl PacketIn2 {
    /// A packet without anything else.
    pub fn new(packet: Vec<u8>) -> Self {
        Self {
            packet,
            full_len: None,
            buffer: None,
            table: None,
            cookie: None,
            reason: None,
            metadata: Match::new(),
            userdata: Vec::new(),
            continuation: None,
            unknown: Vec::new(),
        }
    }

    /// The whole message in OpenFlow 1.5, of which a [`PacketInView`](super::PacketInView) can be had.
    ///
    /// Longer than the 65,535 bytes that a message can have it is empty.
    pub fn to_message(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // What is too long leaves the buffer as it was.
        let _ = Message::PacketIn2(self.clone()).encode(Version::V1_5, 0, &mut bytes);
        bytes
    }

    fn decode_property(&mut self, kind: u16, mut body: Reader<'_>) -> Result<(), DecodeError> {
        match Kind::from(kind) {
            Kind::Packet => self.packet = body.rest().to_vec(),
            Kind::FullLen => self.full_len = Some(body.u32("full length")?),
            Kind::Buffer => self.buffer = Some(body.u32("buffer")?),
            Kind::Table => self.table = Some(body.u8("table")?),
            Kind::Cookie => {
                body.skip(4)?;
                self.cookie = Some(body.u64("cookie")?);
            }
            Kind::Reason => self.reason = Some(body.u8("reason")?.into()),
            Kind::Metadata => self.metadata = Match::decode_fields(body)?,
            Kind::Userdata => self.userdata = body.rest().to_vec(),
            Kind::Continuation => self.continuation = Some(body.rest().to_vec()),
            Kind::Other(_) => self.unknown.push(Property::new(kind, body)),
        }
        Ok(())
    }
}

impl Body for PacketIn2 {
    fn decode(reader: &mut Reader<'_>, _version: Version) -> Result<Self, DecodeError> {
        let mut packet_in = Self::new(Vec::new());
        while !reader.is_empty() {
            let (kind, body) = reader.property("packet-in property")?;
            packet_in.decode_property(kind, body)?;
        }
        Ok(packet_in)
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        let mut property = |kind: Kind, body: &dyn Fn(&mut Writer<'_>)| {
            writer.property(kind.into(), "a property of a packet-in", body);
        };
        property(Kind::Packet, &|writer| writer.bytes(&self.packet));
        if let Some(full_len) = self.full_len {
            property(Kind::FullLen, &|writer| writer.u32(full_len));
        }
        if let Some(buffer) = self.buffer {
            property(Kind::Buffer, &|writer| writer.u32(buffer));
        }
        if let Some(table) = self.table {
            property(Kind::Table, &|writer| writer.u8(table));
        }
        if let Some(cookie) = self.cookie {
            property(Kind::Cookie, &|writer| {
                writer.zeros(4);
                writer.u64(cookie);
            });
        }
        if let Some(reason) = self.reason {
            property(Kind::Reason, &|writer| writer.u8(reason.into()));
        }
        if !self.metadata.fields.is_empty() {
            property(Kind::Metadata, &|writer| self.metadata.encode_fields(writer));
        }
        if let Some(continuation) = &self.continuation {
            property(Kind::Continuation, &|writer| writer.bytes(continuation));
        }
        if !self.userdata.is_empty() {
            property(Kind::Userdata, &|writer| writer.bytes(&self.userdata));
        }
        Property::encode_all(&self.unknown, writer);
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(table) = self.table {
            write!(f, " table_id={table}")?;
        }
        if let Some(cookie) = self.cookie {
            write!(f, " cookie={cookie:#x}")?;
        }
        let total_len = self.full_len.map_or(self.packet.len(), |length| length as usize);
        write!(f, " total_len={total_len} {}", Metadata(&self.metadata))?;
        if let Some(reason) = self.reason {
            write!(f, " (via {reason})")?;
        }
        describe_length(&self.packet, self.buffer, f)?;
        if !self.userdata.is_empty() {
            write!(f, "\n userdata={}", Dotted(&self.userdata))?;
        }
        if let Some(continuation) = &self.continuation {
            write!(f, "\n continuation={}", Hex(continuation))?;
        }
        Property::describe_all(&self.unknown, f)?;
        describe_packet(&self.packet, f)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::field::Field;
    use crate::message::testing::check;

    /// From Open vSwitch 3.1.0, the same from 3.5.0.
    pub(in crate::message) const TABLE_100: &str = "0604007800000000000023200000001e \
        0000002e 0200000a01010200000a010b0800451c001c12340000401152620a0a010b0a0a0101000100020008e9bb 0000 \
        0003000564000000 00040010000000000000000000000fea 0005000501000000 \
        0006000c8000000400000003 00000000 0007000701020300";

    #[test]
    fn a_punted_packet_tells_where_it_was_and_what_the_action_gave_along() {
        let packet = "0200000a01010200000a010b0800451c001c12340000401152620a0a010b0a0a0101000100020008e9bb";
        let expected = PacketIn2 {
            table: Some(100),
            cookie: Some(0xfea),
            reason: Some(PacketInReason::Action),
            metadata: Match::new().with(Field::OXM_OF_IN_PORT, 3),
            userdata: vec![1, 2, 3],
            ..PacketIn2::new(crate::testing::hex(packet))
        };
        check(Version::V1_5, TABLE_100, Message::PacketIn2(expected));
    }

    /// From node A of a trace over two nodes: conntrack, tunnel and registers.
    pub(in crate::message) const TABLE_15: &str = "060400d000000000000023200000001e \
        0000002eaabbccddeeff0200000a01010800451c001c123400003f0152680a0a010b0a0a020b0800f7f7000700010000 \
        0003 00050f0000000004001000000000000000007f00000700050005 01000000 \
        000600618000000400 00000380000a02080000014004c0a84d02800100080000010300000001 0001d30800000021000000ff \
        0001d402fff00001d604000000030001f0040a0a010b0001f2040a0a020b0001ee01010001f80200080001fa0200000000000000 \
        000000000007000601070000";

    #[test]
    fn registers_conntrack_and_tunnel_are_read() {
        let (_, message) = Message::decode(&crate::testing::hex(TABLE_15)).unwrap();
        let Message::PacketIn2(packet_in) = message else {
            panic!("{message:?}")
        };
        assert_eq!(packet_in.metadata.register(0), Some(0x103));
        assert_eq!(packet_in.metadata.register(1), Some(1));
        assert_eq!(
            packet_in.metadata.to_string(),
            "in_port=3,ip,tun_dst=192.168.77.2,xreg0=0x10300000001,ct_state=new|trk,ct_zone=0xfff0,ct_mark=0x3,\
             ct_nw_src=10.10.1.11,ct_nw_dst=10.10.2.11,ct_nw_proto=1,ct_tp_src=8,ct_tp_dst=0"
        );
    }
}
