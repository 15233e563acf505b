//! A packet-in where it was received.

use super::packet_in2::Kind;
use super::{Code, EXPERIMENTER, HEADER, Header, Message, PACKET_IN2, PacketIn2, PacketInReason};
use crate::Version;
use crate::matching::MatchView;
use crate::wire::{DecodeError, Reader};

/// A [`PacketIn2`] as it stands in received bytes. Nothing is copied and nothing is allocated: for whoever gets them by the
/// thousand and wants a few fields of each.
///
/// ```
/// use traceflow_openflow::message::{Message, PacketIn2, PacketInView};
/// use traceflow_openflow::Version;
///
/// let packet_in = PacketIn2 { userdata: vec![7], ..PacketIn2::new(vec![0; 60]) };
/// let mut bytes = Vec::new();
/// Message::PacketIn2(packet_in.clone()).encode(Version::V1_5, 0, &mut bytes)?;
///
/// let view = PacketInView::decode(&bytes)?.expect("it is one");
/// assert_eq!((view.packet.len(), view.userdata), (60, &[7][..]));
/// assert_eq!(view.to_packet_in(), packet_in);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketInView<'a> {
    /// The Ethernet frame.
    pub packet: &'a [u8],
    /// The table of the flow that sent it.
    pub table: Option<u8>,
    /// The cookie of the flow that sent it.
    pub cookie: Option<u64>,
    /// Why it was sent.
    pub reason: Option<PacketInReason>,
    /// Input port, registers, conntrack, tunnel and the like; what is zero is left out.
    pub metadata: MatchView<'a>,
    /// What the action [`Controller`](crate::action::Controller) gave along.
    pub userdata: &'a [u8],
    /// All of it, header included.
    pub message: &'a [u8],
}

impl<'a> PacketInView<'a> {
    /// Reads a whole message, header included; none if it is another one.
    ///
    /// # Errors
    /// What is cut or contradicts itself, as for [`Message::decode`].
    pub fn decode(message: &'a [u8]) -> Result<Option<Self>, DecodeError> {
        let mut reader = Reader::new(message);
        let header = Header::decode(&mut reader)?;
        let mut body = reader.body(header.length, HEADER, "message")?;
        if header.kind != EXPERIMENTER || Version::from_wire(header.version).is_none() {
            return Ok(None);
        }
        match Code::decode(header.kind, &mut body)? {
            Some(PACKET_IN2) => Self::read(message, body).map(Some),
            _ => Ok(None),
        }
    }

    fn read(message: &'a [u8], mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        let mut view = Self {
            packet: &[],
            table: None,
            cookie: None,
            reason: None,
            metadata: MatchView::default(),
            userdata: &[],
            message,
        };
        while !reader.is_empty() {
            let (kind, mut body) = reader.property("packet-in property")?;
            match Kind::from(kind) {
                Kind::Packet => view.packet = body.rest(),
                Kind::Table => view.table = Some(body.u8("table")?),
                Kind::Cookie => {
                    body.skip(4)?;
                    view.cookie = Some(body.u64("cookie")?);
                }
                Kind::Reason => view.reason = Some(body.u8("reason")?.into()),
                Kind::Metadata => view.metadata = MatchView::decode(body)?,
                Kind::Userdata => view.userdata = body.rest(),
                _ => {}
            }
        }
        Ok(view)
    }

    /// All of it, copied.
    pub fn to_packet_in(self) -> PacketIn2 {
        match Message::decode(self.message) {
            Ok((_, Message::PacketIn2(packet_in))) => packet_in,
            // Something is wrong with what this view doesn't read.
            _ => PacketIn2 {
                table: self.table,
                cookie: self.cookie,
                reason: self.reason,
                metadata: self.metadata.into(),
                userdata: self.userdata.to_vec(),
                ..PacketIn2::new(self.packet.to_vec())
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::Field;
    use crate::message::packet_in2::tests::{TABLE_15, TABLE_100};
    use crate::testing::hex;

    #[test]
    fn a_view_says_what_the_packet_in_says() {
        for text in [TABLE_15, TABLE_100] {
            let bytes = hex(text);
            let (_, message) = Message::decode(&bytes).unwrap();
            let Message::PacketIn2(packet_in) = message else {
                panic!("{message:?}")
            };
            let view = PacketInView::decode(&bytes).unwrap().unwrap();
            assert_eq!(view.to_packet_in(), packet_in);
            assert_eq!(
                (view.packet, view.userdata, view.table, view.cookie, view.reason),
                (
                    &*packet_in.packet,
                    &*packet_in.userdata,
                    packet_in.table,
                    packet_in.cookie,
                    packet_in.reason
                )
            );
            for number in 0..16 {
                assert_eq!(view.metadata.register(number), packet_in.metadata.register(number));
            }
            for field in [Field::OXM_OF_IN_PORT, Field::NXM_NX_CT_STATE, Field::NXM_NX_CT_NW_SRC] {
                assert_eq!(view.metadata.number(field), packet_in.metadata.number(field), "{field}");
            }
        }
    }

    #[test]
    fn what_is_cut_is_an_error_wherever_that_is_and_never_another_view() {
        let whole = hex(TABLE_15);
        for length in 16..whole.len() {
            let mut cut = whole[..length].to_vec();
            cut[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            let view = PacketInView::decode(&cut).map(|view| view.map(PacketInView::to_packet_in));
            match (Message::decode(&cut), view) {
                (Ok((_, Message::PacketIn2(packet_in))), Ok(Some(view))) => assert_eq!(view, packet_in),
                (Err(one), Err(other)) => assert_eq!(one, other),
                (one, other) => panic!("{length}: {one:?}, {other:?}"),
            }
        }
    }

    #[test]
    fn other_messages_are_none() {
        for other in [
            "0614000800000007",
            "0604001000000007deadbeef0000001e",
            "06040010000000070000232000000019",
        ] {
            assert_eq!(PacketInView::decode(&hex(other)), Ok(None), "{other}");
        }
    }
}
