//! Messages: one file each, and the table of them.

mod async_config;
mod bundle;
mod config;
mod controller_id;
mod ct_flush;
mod echo;
mod error;
mod features;
mod flow_entry;
mod flow_mod;
mod flow_monitor;
mod flow_removed;
mod group;
mod hello;
mod meter;
mod meter_mod;
mod multipart;
mod packet_in;
mod packet_in2;
mod packet_in_view;
mod packet_out;
mod port_desc;
mod role;
mod selection;
mod statistics;
mod stream;
mod switch_desc;
mod table;
mod table_property;
mod text;
mod tlv_table;
mod unknown;

pub use async_config::{AsyncConfig, AsyncKind};
pub use bundle::{BundleAdd, BundleControl, BundleFlags, BundleStep};
pub use config::SwitchConfig;
pub use controller_id::{PacketInFormat, SetControllerId, SetPacketInFormat};
pub use ct_flush::{CtFlush, CtFlushZone, Tuple};
pub use echo::Echo;
pub use error::ErrorMessage;
pub use features::FeaturesReply;
pub use flow_entry::{FlowEntry, FlowFilter};
pub use flow_mod::{FlowCommand, FlowFlags, FlowMod};
pub use flow_monitor::{
    FlowEvent, FlowUpdate, MonitorCancel, MonitorCommand, MonitorFlags, MonitorRequest, MonitoredFlow,
};
pub use flow_removed::{FlowRemoved, FlowRemovedReason};
pub use group::{ALL_GROUPS, Bucket, BucketCounters, GroupCommand, GroupDesc, GroupKind, GroupMod, GroupStats};
pub use hello::Hello;
pub use meter::{ALL_METERS, MeterConfig, MeterFeatures, MeterStats};
pub use meter_mod::{MeterBand, MeterCommand, MeterFlags, MeterMod};
pub use multipart::{MultipartBody, MultipartReply, MultipartRequest};
pub use packet_in::{NiciraPacketIn, PacketIn, PacketInReason};
pub use packet_in_view::PacketInView;
pub use packet_in2::PacketIn2;
pub use packet_out::PacketOut;
pub use port_desc::{EthernetFeatures, PortDesc, PortReason, PortStatus};
pub use role::{Role, RoleMessage};
pub use selection::{Selection, SelectionMethod};
pub use statistics::{Statistics, UnknownStatistic};
pub use switch_desc::SwitchDesc;
pub use table::{TableDesc, TableFeatures};
pub use text::Printed;
use text::Within;
pub use tlv_table::{TlvMapping, TlvTable, TlvTableCommand, TlvTableMod};
pub use unknown::Unknown;

use std::fmt;

use crate::wire::{DecodeError, EncodeError, Problem, Reader, Writer};
use crate::{NICIRA, ONF, Version};

/// How long a message's header is.
pub const HEADER: usize = 8;

/// Most messages are shorter than this.
const USUAL: usize = 256;

/// A buffer's number that means "none".
const NO_BUFFER: u32 = u32::MAX;

/// The type of an experimenter's message.
const EXPERIMENTER: u8 = 4;

/// What every message begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header {
    /// The version's number; a hello may bear one that [`Version`] doesn't have.
    pub version: u8,
    /// The message's type.
    pub kind: u8,
    /// The length of the whole message in bytes.
    pub length: u16,
    /// Which request this is, or belongs to.
    pub xid: u32,
}

impl Header {
    /// Reads a header.
    ///
    /// # Errors
    /// Fewer than [`HEADER`] bytes, or a length that doesn't even hold the header.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.clone();
        let (version, kind) = (reader.u8("version")?, reader.u8("message type")?);
        let length = reader.u16("message length")?;
        let xid = reader.u32("xid")?;
        if usize::from(length) < HEADER {
            let problem = Problem::Length {
                length: length.into(),
                minimum: HEADER,
            };
            return Err(start.error("message", problem));
        }
        Ok(Self {
            version,
            kind,
            length,
            xid,
        })
    }
}

/// Where a message stands among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    /// `ofp_type`
    Of(u8),
    /// `NXT_*`
    Nicira(u32),
    /// Extensions for OpenFlow 1.3
    Onf(u32),
    /// The version has no such message.
    None,
}

/// What follows a message's header.
trait Body: Sized {
    fn decode(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError>;
    fn encode(&self, writer: &mut Writer<'_>);

    /// What ovs-ofctl's ofp-print writes after the message's name: begins with a blank or a line break.
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

/// The table of messages: with a body, without one; the name that ovs-ofctl prints, the code in 1.3, the code in 1.5.
macro_rules! messages {
    (
        bodies { $($(#[$doc:meta])* $name:ident($body:ty): $text:literal, $v13:expr, $v15:expr;)+ }
        empty { $($(#[$empty_doc:meta])* $empty:ident: $empty_text:literal, $empty13:expr, $empty15:expr;)+ }
    ) => {
        /// Any message.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Message {
            $($(#[$doc])* $name($body),)+
            $($(#[$empty_doc])* $empty,)+
            /// A message that this crate doesn't know, as it came.
            Unknown(Unknown),
        }

        impl Message {
            /// The names of all messages that are known, as [`Self::name`] gives them.
            pub const NAMES: &'static [&'static str] = &[$($text,)+ $($empty_text,)+];

            /// The name that ovs-ofctl prints.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => $text,)+
                    $(Self::$empty => $empty_text,)+
                    Self::Unknown(_) => "unknown message",
                }
            }

            fn code(&self, version: Version) -> Code {
                match (self, version) {
                    $((Self::$name(_), Version::V1_3) => $v13, (Self::$name(_), Version::V1_5) => $v15,)+
                    $((Self::$empty, Version::V1_3) => $empty13, (Self::$empty, Version::V1_5) => $empty15,)+
                    (Self::Unknown(unknown), _) => Code::Of(unknown.kind),
                }
            }

            fn encode_body(&self, writer: &mut Writer<'_>) {
                match self {
                    $(Self::$name(body) => body.encode(writer),)+
                    $(Self::$empty => {})+
                    Self::Unknown(unknown) => writer.bytes(&unknown.body),
                }
            }

            fn describe_body(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$name(body) => body.describe(f),)+
                    $(Self::$empty => Ok(()),)+
                    Self::Unknown(unknown) => write!(f, " {unknown}"),
                }
            }

            /// None for a code that is not in the table.
            fn decode_body(code: Code, reader: &mut Reader<'_>, version: Version) -> Result<Option<Self>, DecodeError> {
                let column = |v13: Code, v15: Code| match version {
                    Version::V1_3 => v13,
                    Version::V1_5 => v15,
                };
                $(if code == column($v13, $v15) {
                    return Ok(Some(Self::$name(Body::decode(reader, version)?)));
                })+
                $(if code == column($empty13, $empty15) {
                    return Ok(Some(Self::$empty));
                })+
                Ok(None)
            }
        }
    };
}

use Code::{Nicira, Of, Onf};

/// `NXT_PACKET_IN2`, in every version.
const PACKET_IN2: Code = Nicira(30);

messages! {
    bodies {
    /// Who speaks which versions; the first message in both directions.
    Hello(Hello): "OFPT_HELLO", Of(0), Of(0);
    /// A request could not be met.
    Error(ErrorMessage): "OFPT_ERROR", Of(1), Of(1);
    /// Are you there?
    EchoRequest(Echo): "OFPT_ECHO_REQUEST", Of(2), Of(2);
    /// I am.
    EchoReply(Echo): "OFPT_ECHO_REPLY", Of(3), Of(3);
    /// What the switch is.
    FeaturesReply(FeaturesReply): "OFPT_FEATURES_REPLY", Of(6), Of(6);
    /// The switch's configuration.
    GetConfigReply(SwitchConfig): "OFPT_GET_CONFIG_REPLY", Of(8), Of(8);
    /// Sets the switch's configuration.
    SetConfig(SwitchConfig): "OFPT_SET_CONFIG", Of(9), Of(9);
    /// A packet for the controller.
    PacketIn(PacketIn): "OFPT_PACKET_IN", Of(10), Of(10);
    /// The same, in Nicira's first format.
    NiciraPacketIn(NiciraPacketIn): "NXT_PACKET_IN", Nicira(17), Nicira(17);
    /// The same, in Nicira's second format: with all registers, userdata and, if it was paused, how to go on.
    PacketIn2(PacketIn2): "NXT_PACKET_IN2", PACKET_IN2, PACKET_IN2;
    /// A flow is gone.
    FlowRemoved(FlowRemoved): "OFPT_FLOW_REMOVED", Of(11), Of(11);
    /// Something has happened to a port.
    PortStatus(PortStatus): "OFPT_PORT_STATUS", Of(12), Of(12);
    /// A packet from the controller.
    PacketOut(PacketOut): "OFPT_PACKET_OUT", Of(13), Of(13);
    /// Adds, changes or deletes flows.
    FlowMod(FlowMod): "OFPT_FLOW_MOD", Of(14), Of(14);
    /// Adds, changes or deletes groups.
    GroupMod(GroupMod): "OFPT_GROUP_MOD", Of(15), Of(15);
    /// A question whose answer may take several messages.
    MultipartRequest(MultipartRequest): "OFPT_MULTIPART_REQUEST", Of(18), Of(18);
    /// An answer, or a part of one.
    MultipartReply(MultipartReply): "OFPT_MULTIPART_REPLY", Of(19), Of(19);
    /// Asks for a role.
    RoleRequest(RoleMessage): "OFPT_ROLE_REQUEST", Of(24), Of(24);
    /// The role that the connection has.
    RoleReply(RoleMessage): "OFPT_ROLE_REPLY", Of(25), Of(25);
    /// Which messages come without being asked for.
    GetAsyncReply(AsyncConfig): "OFPT_GET_ASYNC_REPLY", Of(27), Of(27);
    /// Sets which messages come without being asked for.
    SetAsync(AsyncConfig): "OFPT_SET_ASYNC", Of(28), Of(28);
    /// Adds, changes or deletes meters.
    MeterMod(MeterMod): "OFPT_METER_MOD", Of(29), Of(29);
    /// Ends a flow monitor. From OpenFlow 1.4 on a [`MonitorRequest`] does that.
    MonitorCancel(MonitorCancel): "ONFT_FLOW_MONITOR_CANCEL", Onf(1870), Code::None;
    /// Begins, ends, commits or discards a bundle.
    BundleControl(BundleControl): "OFPT_BUNDLE_CONTROL", Onf(2300), Of(33);
    /// Puts a message into a bundle.
    BundleAdd(BundleAdd): "OFPT_BUNDLE_ADD_MESSAGE", Onf(2301), Of(34);
    /// Sets the format of packet-ins.
    SetPacketInFormat(SetPacketInFormat): "NXT_SET_PACKET_IN_FORMAT", Nicira(16), Nicira(16);
    /// Sets which punts the connection gets.
    SetControllerId(SetControllerId): "NXT_SET_CONTROLLER_ID", Nicira(20), Nicira(20);
    /// Changes which tunnel options stand in which `tun_metadata`.
    TlvTableMod(TlvTableMod): "NXT_TLV_TABLE_MOD", Nicira(24), Nicira(24);
    /// Which tunnel options stand in which `tun_metadata`.
    TlvTableReply(TlvTable): "NXT_TLV_TABLE_REPLY", Nicira(26), Nicira(26);
    /// Lets a paused packet go on: the packet-in, sent back.
    Resume(PacketIn2): "NXT_RESUME", Nicira(28), Nicira(28);
    /// Forgets all connections of a zone.
    CtFlushZone(CtFlushZone): "NXT_CT_FLUSH_ZONE", Nicira(29), Nicira(29);
    /// Forgets the connections that match a tuple.
    CtFlush(CtFlush): "NXT_CT_FLUSH", Nicira(32), Nicira(32);
    }
    empty {
        /// Asks what the switch is.
        FeaturesRequest: "OFPT_FEATURES_REQUEST", Of(5), Of(5);
        /// Asks for the switch's configuration.
        GetConfigRequest: "OFPT_GET_CONFIG_REQUEST", Of(7), Of(7);
        /// Asks for an answer once everything before it is done.
        BarrierRequest: "OFPT_BARRIER_REQUEST", Of(20), Of(20);
        /// Everything before the request is done. In Open vSwitch this doesn't cover the datapath's flow cache.
        BarrierReply: "OFPT_BARRIER_REPLY", Of(21), Of(21);
        /// Asks which messages come without being asked for.
        GetAsyncRequest: "OFPT_GET_ASYNC_REQUEST", Of(26), Of(26);
        /// Too much happens; flow monitors tell nothing for a while. From OpenFlow 1.4 on a [`FlowUpdate`] says that.
        MonitorPaused: "ONFT_FLOW_MONITOR_PAUSED", Onf(1871), Code::None;
        /// What flow monitors have missed has been told.
        MonitorResumed: "ONFT_FLOW_MONITOR_RESUMED", Onf(1872), Code::None;
        /// Asks which tunnel options stand in which `tun_metadata`.
        TlvTableRequest: "NXT_TLV_TABLE_REQUEST", Nicira(25), Nicira(25);
    }
}

impl Message {
    /// Reads one whole message, header included.
    ///
    /// # Errors
    /// What is cut, contradicts itself, or bears a version that isn't spoken here (a hello may). Unknown messages,
    /// actions, fields and properties are no errors.
    pub fn decode(bytes: &[u8]) -> Result<(Header, Self), DecodeError> {
        Self::decode_from(Reader::new(bytes))
    }

    fn decode_from(mut reader: Reader<'_>) -> Result<(Header, Self), DecodeError> {
        let start = reader.clone();
        let header = Header::decode(&mut reader)?;
        let mut body = reader.body(header.length, HEADER, "message")?;
        let version = match Version::from_wire(header.version) {
            Some(version) => version,
            None if header.kind == 0 => Version::V1_5,
            None => return Err(start.error("version", Problem::Value(header.version.into()))),
        };
        let whole = body.clone();
        let message = match Code::decode(header.kind, &mut body)? {
            Some(code) => Self::decode_body(code, &mut body, version)?,
            None => None,
        };
        Ok((
            header,
            message.unwrap_or_else(|| Self::Unknown(Unknown::new(header.kind, whole))),
        ))
    }

    /// Appends the message, header included.
    ///
    /// # Errors
    /// What `version` can't say, or what doesn't fit into a message. `buffer` then is as it was before.
    pub fn encode(&self, version: Version, xid: u32, buffer: &mut Vec<u8>) -> Result<(), EncodeError> {
        // So that a fresh buffer is allocated once and doesn't grow by doubling.
        buffer.reserve(USUAL);
        let start = buffer.len();
        let mut writer = Writer::new(buffer, version);
        let code = self.code(version);
        writer.fixed::<HEADER>(|header| {
            header.u8(version.wire());
            header.u8(code.kind());
            header.u16(0);
            header.u32(xid);
        });
        code.encode(self.name(), &mut writer);
        self.encode_body(&mut writer);
        writer.set_length(start + 2, start, self.name());
        writer.finish().inspect_err(|_| buffer.truncate(start))
    }
}

impl Code {
    fn kind(self) -> u8 {
        match self {
            Self::Of(kind) => kind,
            Self::Nicira(_) | Self::Onf(_) | Self::None => EXPERIMENTER,
        }
    }

    fn encode(self, name: &'static str, writer: &mut Writer<'_>) {
        let (experimenter, number) = match self {
            Self::Of(_) => return,
            Self::Nicira(number) => (NICIRA, number),
            Self::Onf(number) => (ONF, number),
            Self::None => return writer.unsupported(name),
        };
        writer.u32(experimenter);
        writer.u32(number);
    }

    /// None for a stranger's extension.
    fn decode(kind: u8, body: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        if kind != EXPERIMENTER {
            return Ok(Some(Self::Of(kind)));
        }
        let experimenter = body.u32("experimenter")?;
        let number = body.u32("experimenter's message type")?;
        Ok(match experimenter {
            NICIRA => Some(Self::Nicira(number)),
            ONF => Some(Self::Onf(number)),
            _ => None,
        })
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Checks that `bytes` (hexadecimal) are `message`, both ways.
    pub(crate) fn check(version: Version, bytes: &str, message: Message) {
        let bytes = crate::testing::hex(bytes);
        let (header, decoded) = Message::decode(&bytes).unwrap();
        assert_eq!((header.version, decoded), (version.wire(), message.clone()));
        let mut encoded = Vec::new();
        message.encode(version, header.xid, &mut encoded).unwrap();
        assert_eq!(encoded, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::testing::check;
    use super::*;

    #[test]
    fn messages_without_body_are_their_header() {
        check(Version::V1_3, "0414000800000007", Message::BarrierRequest);
        check(Version::V1_5, "0605000800000007", Message::FeaturesRequest);
        check(
            Version::V1_5,
            "06040010000000070000232000000019",
            Message::TlvTableRequest,
        );
    }

    #[test]
    fn an_unknown_message_is_kept_as_it_came() {
        check(
            Version::V1_5,
            "0663000a000000070102",
            Message::Unknown(Unknown {
                kind: 99,
                body: vec![1, 2],
            }),
        );
        let stranger = crate::testing::hex("0604001000000007deadbeef00000001");
        let (_, message) = Message::decode(&stranger).unwrap();
        assert_eq!(
            message,
            Message::Unknown(Unknown {
                kind: 4,
                body: stranger[8..].to_vec()
            })
        );
    }

    #[test]
    fn a_message_of_a_version_that_is_not_spoken_is_refused() {
        let error = Message::decode(&crate::testing::hex("0114000800000007")).unwrap_err();
        assert_eq!(error.to_string(), "version at byte 0: unexpected value 0x1");
    }

    #[test]
    fn a_message_that_is_too_long_leaves_the_buffer_as_it_was() {
        let mut buffer = vec![1, 2, 3];
        let long = Message::EchoRequest(Echo { data: vec![0; 70_000] });
        assert!(long.encode(Version::V1_5, 1, &mut buffer).is_err());
        assert_eq!(buffer, [1, 2, 3]);
    }
}
