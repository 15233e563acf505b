//! Actions: what a flow, a group's bucket or a packet-out does with a packet.

mod conntrack;
mod controller;
mod learn;
mod set_field;
mod text;

pub use conntrack::{Conntrack, Nat, NatFlags, Zone};
pub use controller::Controller;
pub use learn::{Destination, Learn, LearnFlags, Source, Spec, WrittenResult};
pub use set_field::SetField;
pub(crate) use text::List;

use crate::field::{Field, Subfield};
use crate::wire::{DecodeError, Problem, Reader, Writer, codes};
use crate::{NICIRA, Port, Version};

/// How deep actions within actions are read: `clone` in `clone` in `ct`, and so on.
pub const MAX_NESTING: u8 = 16;

/// The table that means "none" in a conntrack action and "the current one" in a resubmit.
const NO_TABLE: u8 = 0xff;

/// One action.
///
/// ```
/// use traceflow_openflow::Port;
/// use traceflow_openflow::action::Action;
/// use traceflow_openflow::field::{Field, Subfield};
///
/// let actions = [
///     Action::Resubmit { port: None, table: Some(15), conntrack: false },
///     Action::OutputField { source: Subfield::all(Field::register(1)), max_len: u16::MAX },
///     Action::Output { port: Port::CONTROLLER, max_len: 128 },
/// ];
/// let text = actions.map(|action| action.to_string()).join(",");
/// assert_eq!(text, "resubmit(,15),output:NXM_NX_REG1[],CONTROLLER:128");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// Sends the packet out of a port.
    Output {
        /// The port.
        port: Port,
        /// For the controller port: how many bytes of the packet to send. Open vSwitch sends them all, whatever it
        /// says.
        max_len: u16,
    },
    /// Sends the packet out of the port whose number stands in a field.
    OutputField {
        /// Where the number stands.
        source: Subfield,
        /// As in [`Action::Output`].
        max_len: u16,
    },
    /// Gives the packet to a group.
    Group(u32),
    /// Looks the packet up in a table again, then goes on with the actions after this one.
    Resubmit {
        /// As if it came from this port; from its own if there is none.
        port: Option<Port>,
        /// The table; the current one if there is none.
        table: Option<u8>,
        /// With the addresses of conntrack's original direction in the place of the packet's.
        conntrack: bool,
    },
    /// Writes a value into a field, or into some bits of one.
    SetField(SetField),
    /// Copies bits from one field to another, as many as `destination` says.
    Move {
        /// From where; its width is not used.
        source: Subfield,
        /// To where.
        destination: Subfield,
    },
    /// Sends the packet through connection tracking.
    Conntrack(Box<Conntrack>),
    /// Translates addresses; only among the actions of [`Conntrack`].
    Nat(Nat),
    /// Forgets what connection tracking said about the packet.
    ConntrackClear,
    /// Sends the packet to a controller, with data that comes back in the packet-in.
    Controller(Controller),
    /// This flow is one of several that together match; the fields are 1-based as in the text form.
    Conjunction {
        /// The `conj_id` to match when all clauses are met.
        id: u32,
        /// Which clause this flow meets, from 1.
        clause: u8,
        /// How many clauses there are, 2 to 64.
        clauses: u8,
    },
    /// Adds a flow made from the packet.
    Learn(Box<Learn>),
    /// Bytes without effect, for whoever reads the flow. Zeros fill it up to 6, 14, 22… bytes.
    Note(Vec<u8>),
    /// Runs actions on a copy of the packet.
    Clone(Vec<Self>),
    /// Takes one from the TTL or hop limit; stops if nothing is left.
    DecTtl,
    /// Passes the packet through a meter. In OpenFlow 1.3 that is an instruction.
    Meter(u32),
    /// Adds a VLAN header of this Ethernet type.
    PushVlan(u16),
    /// Removes the outermost VLAN header.
    PopVlan,
    /// Ends the lookup at once, resubmits included.
    Exit,
    /// An action that this crate doesn't know, as it came.
    Unknown {
        /// Its type; 0xffff for an experimenter's.
        kind: u16,
        /// What follows the length.
        body: Vec<u8>,
    },
}

codes! {
    /// `ofp_action_type`, those that are read here.
    Standard: u16 {
        /// OFPAT_OUTPUT
        Output = 0 "output",
        /// OFPAT_PUSH_VLAN
        PushVlan = 17 "push_vlan",
        /// OFPAT_POP_VLAN
        PopVlan = 18 "pop_vlan",
        /// OFPAT_GROUP
        Group = 22 "group",
        /// OFPAT_DEC_NW_TTL
        DecTtl = 24 "dec_ttl",
        /// OFPAT_SET_FIELD
        SetField = 25 "set_field",
        /// OFPAT_COPY_FIELD, from OpenFlow 1.5 on
        CopyField = 28 "move",
        /// OFPAT_METER, from OpenFlow 1.5 on
        Meter = 29 "meter",
        /// OFPAT_EXPERIMENTER
        Experimenter = 0xffff "experimenter",
    }
}

codes! {
    /// Nicira's action subtypes (`NXAST_*`), those that are read here.
    Nicira: u16 {
        /// NXAST_RESUBMIT
        Resubmit = 1 "resubmit",
        /// NXAST_REG_MOVE
        Move = 6 "move",
        /// NXAST_REG_LOAD
        Load = 7 "load",
        /// NXAST_NOTE
        Note = 8 "note",
        /// NXAST_RESUBMIT_TABLE
        ResubmitTable = 14 "resubmit",
        /// NXAST_OUTPUT_REG
        OutputField = 15 "output",
        /// NXAST_LEARN
        Learn = 16 "learn",
        /// NXAST_EXIT
        Exit = 17 "exit",
        /// NXAST_CONTROLLER
        Controller = 20 "controller",
        /// NXAST_OUTPUT_REG2
        OutputLongField = 32 "output",
        /// NXAST_REG_LOAD2
        LoadMasked = 33 "load",
        /// NXAST_CONJUNCTION
        Conjunction = 34 "conjunction",
        /// NXAST_CT
        Conntrack = 35 "ct",
        /// NXAST_NAT
        Nat = 36 "nat",
        /// NXAST_CONTROLLER2
        ControllerProperties = 37 "controller",
        /// NXAST_CLONE
        Clone = 42 "clone",
        /// NXAST_CT_CLEAR
        ConntrackClear = 43 "ct_clear",
        /// NXAST_RESUBMIT_TABLE_CT
        ResubmitTableConntrack = 44 "resubmit",
        /// NXAST_LEARN2
        LearnLimited = 45 "learn",
    }
}

impl Action {
    /// Writes the lowest bits of `value` into some bits of a field (`load` in ovs-ofctl).
    pub fn load(destination: Subfield, value: u64) -> Self {
        Self::SetField(SetField::bits(destination, value))
    }

    /// Reads actions until `reader` is empty.
    ///
    /// # Errors
    /// The first action that is cut or contradicts itself. An unknown one is not an error.
    pub fn decode_list(reader: Reader<'_>) -> Result<Vec<Self>, DecodeError> {
        Self::decode_nested(reader, 0)
    }

    /// Appends `actions`.
    pub(crate) fn encode_list(actions: &[Self], writer: &mut Writer<'_>) {
        for action in actions {
            action.encode(writer);
        }
    }

    fn decode_nested(mut reader: Reader<'_>, depth: u8) -> Result<Vec<Self>, DecodeError> {
        if depth > MAX_NESTING {
            return Err(reader.error("actions", Problem::Nested));
        }
        let mut actions = Vec::new();
        while !reader.is_empty() {
            let kind = reader.u16("action type")?;
            let length = reader.u16("action length")?;
            actions.push(Self::decode(kind, reader.body(length, 4, "action")?, depth)?);
        }
        Ok(actions)
    }

    fn decode(kind: u16, mut body: Reader<'_>, depth: u8) -> Result<Self, DecodeError> {
        let whole = body.clone();
        Ok(match Standard::from(kind) {
            Standard::Output => Self::Output {
                port: Port(body.u32("output port")?),
                max_len: body.u16("max_len")?,
            },
            Standard::PushVlan => Self::PushVlan(body.u16("VLAN's Ethernet type")?),
            Standard::PopVlan => Self::PopVlan,
            Standard::Group => Self::Group(body.u32("group")?),
            Standard::DecTtl => Self::DecTtl,
            Standard::SetField => Self::SetField(SetField::decode(&mut body)?),
            Standard::CopyField => Self::decode_copy_field(&mut body)?,
            Standard::Meter => Self::Meter(body.u32("meter")?),
            Standard::Experimenter if body.remaining() >= 6 && body.u32("experimenter")? == NICIRA => {
                let subtype = body.u16("action subtype")?;
                match Self::decode_nicira(subtype.into(), body, depth)? {
                    Some(action) => action,
                    None => Self::unknown(kind, whole),
                }
            }
            Standard::Experimenter | Standard::Other(_) => Self::unknown(kind, whole),
        })
    }

    fn unknown(kind: u16, mut body: Reader<'_>) -> Self {
        Self::Unknown {
            kind,
            body: body.rest().to_vec(),
        }
    }

    /// None for a subtype that is not known.
    fn decode_nicira(subtype: Nicira, mut body: Reader<'_>, depth: u8) -> Result<Option<Self>, DecodeError> {
        let body = &mut body;
        Ok(Some(match subtype {
            Nicira::Resubmit => Self::Resubmit {
                port: Some(Port::from_u16(body.u16("resubmit port")?)),
                table: None,
                conntrack: false,
            },
            Nicira::ResubmitTable => Self::decode_resubmit(body, false)?,
            Nicira::ResubmitTableConntrack => Self::decode_resubmit(body, true)?,
            Nicira::Move => Self::decode_move(body)?,
            Nicira::Load => Self::SetField(SetField::decode_load(body)?),
            Nicira::LoadMasked => {
                body.skip(6)?;
                Self::SetField(SetField::decode(body)?)
            }
            Nicira::Note => Self::Note(body.rest().to_vec()),
            Nicira::OutputField => {
                let range = body.u16("bit range")?;
                let source = Subfield::from_range(Field::decode(body)?, range);
                Self::OutputField {
                    source,
                    max_len: body.u16("max_len")?,
                }
            }
            Nicira::OutputLongField => {
                let range = body.u16("bit range")?;
                let max_len = body.u16("max_len")?;
                Self::OutputField {
                    source: Subfield::from_range(Field::decode(body)?, range),
                    max_len,
                }
            }
            Nicira::Learn => Self::Learn(Box::new(Learn::decode(body, false)?)),
            Nicira::LearnLimited => Self::Learn(Box::new(Learn::decode(body, true)?)),
            Nicira::Exit => Self::Exit,
            Nicira::Controller => Self::Controller(Controller::decode_plain(body)?),
            Nicira::ControllerProperties => Self::Controller(Controller::decode_properties(body)?),
            Nicira::Conjunction => {
                let clause = body.u8("clause")?.saturating_add(1);
                Self::Conjunction {
                    clause,
                    clauses: body.u8("clauses")?,
                    id: body.u32("conjunction")?,
                }
            }
            Nicira::Conntrack => Self::Conntrack(Box::new(Conntrack::decode(body, depth)?)),
            Nicira::Nat => Self::Nat(Nat::decode(body)?),
            Nicira::Clone => {
                body.skip(6)?;
                Self::Clone(Self::decode_nested(body.clone(), depth + 1)?)
            }
            Nicira::ConntrackClear => Self::ConntrackClear,
            Nicira::Other(_) => return Ok(None),
        }))
    }

    fn decode_resubmit(body: &mut Reader<'_>, conntrack: bool) -> Result<Self, DecodeError> {
        let port = Port::from_u16(body.u16("resubmit port")?);
        let table = body.u8("resubmit table")?;
        Ok(Self::Resubmit {
            port: (port != Port::IN_PORT).then_some(port),
            table: (table != NO_TABLE).then_some(table),
            conntrack,
        })
    }

    fn decode_move(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bits = body.u16("bits to move")?;
        let (from, to) = (body.u16("source offset")?, body.u16("destination offset")?);
        let source = Subfield::new(Field::decode(body)?, from, bits);
        Ok(Self::Move {
            source,
            destination: Subfield::new(Field::decode(body)?, to, bits),
        })
    }

    fn decode_copy_field(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bits = body.u16("bits to copy")?;
        let (from, to) = (body.u16("source offset")?, body.u16("destination offset")?);
        body.skip(2)?;
        let source = Subfield::new(Field::decode(body)?, from, bits);
        Ok(Self::Move {
            source,
            destination: Subfield::new(Field::decode(body)?, to, bits),
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        match self {
            Self::Output { port, max_len } => standard(writer, Standard::Output, |writer| {
                writer.fixed::<12>(|body| {
                    body.u32(port.0);
                    body.u16(*max_len);
                });
            }),
            Self::OutputField { source, max_len } => encode_output_field(*source, *max_len, writer),
            Self::Group(group) => standard(writer, Standard::Group, |writer| writer.u32(*group)),
            Self::Resubmit { port, table, conntrack } => encode_resubmit(*port, *table, *conntrack, writer),
            Self::SetField(set_field) => set_field.encode(writer),
            Self::Move { source, destination } => encode_move(*source, *destination, writer),
            Self::Conntrack(conntrack) => conntrack.encode(writer),
            Self::Nat(nat) => nat.encode(writer),
            Self::ConntrackClear => nicira(writer, Nicira::ConntrackClear, |_| ()),
            Self::Controller(controller) => controller.encode(writer),
            Self::Conjunction { id, clause, clauses } => nicira(writer, Nicira::Conjunction, |writer| {
                writer.u8(clause.saturating_sub(1));
                writer.u8(*clauses);
                writer.u32(*id);
            }),
            Self::Learn(learn) => learn.encode(writer),
            Self::Note(note) => nicira(writer, Nicira::Note, |writer| writer.bytes(note)),
            Self::Clone(actions) => nicira(writer, Nicira::Clone, |writer| {
                writer.zeros(6);
                Self::encode_list(actions, writer);
            }),
            Self::DecTtl => standard(writer, Standard::DecTtl, |_| ()),
            Self::Meter(meter) => {
                if writer.version() < Version::V1_5 {
                    writer.unsupported("the action meter");
                }
                standard(writer, Standard::Meter, |writer| writer.u32(*meter));
            }
            Self::PushVlan(kind) => standard(writer, Standard::PushVlan, |writer| writer.u16(*kind)),
            Self::PopVlan => standard(writer, Standard::PopVlan, |_| ()),
            Self::Exit => nicira(writer, Nicira::Exit, |_| ()),
            Self::Unknown { kind, body } => aligned(writer, *kind, |writer| writer.bytes(body)),
        }
    }
}

fn encode_output_field(source: Subfield, max_len: u16, writer: &mut Writer<'_>) {
    if source.field.experimenter().is_none() {
        return nicira(writer, Nicira::OutputField, |writer| {
            source.encode_range(writer);
            source.field.encode(writer);
            writer.u16(max_len);
            writer.zeros(6);
        });
    }
    // NXAST_OUTPUT_REG has no room for the eight bytes of such a field's header.
    nicira(writer, Nicira::OutputLongField, |writer| {
        source.encode_range(writer);
        writer.u16(max_len);
        source.field.encode(writer);
    });
}

fn encode_resubmit(port: Option<Port>, table: Option<u8>, conntrack: bool, writer: &mut Writer<'_>) {
    let Some(number) = port.unwrap_or(Port::IN_PORT).to_u16() else {
        return writer.unsupported("resubmit with a port above 65279");
    };
    let subtype = if conntrack {
        Nicira::ResubmitTableConntrack
    } else {
        Nicira::ResubmitTable
    };
    nicira(writer, subtype, |writer| {
        writer.fixed::<6>(|body| {
            body.u16(number);
            body.u8(table.unwrap_or(NO_TABLE));
        });
    });
}

fn encode_move(source: Subfield, destination: Subfield, writer: &mut Writer<'_>) {
    let ranges = |writer: &mut Writer<'_>| {
        writer.u16(destination.bits);
        writer.u16(source.offset);
        writer.u16(destination.offset);
    };
    let fields = |writer: &mut Writer<'_>| {
        source.field.encode(writer);
        destination.field.encode(writer);
    };
    match writer.version() {
        Version::V1_3 => nicira(writer, Nicira::Move, |writer| {
            ranges(writer);
            fields(writer);
        }),
        Version::V1_5 => standard(writer, Standard::CopyField, |writer| {
            ranges(writer);
            writer.zeros(2);
            fields(writer);
        }),
    }
}

fn standard(writer: &mut Writer<'_>, kind: Standard, body: impl FnOnce(&mut Writer<'_>)) {
    aligned(writer, kind.into(), body);
}

/// An action of Nicira's: experimenter header, subtype, body.
fn nicira(writer: &mut Writer<'_>, subtype: Nicira, body: impl FnOnce(&mut Writer<'_>)) {
    standard(writer, Standard::Experimenter, |writer| {
        writer.fixed::<6>(|head| {
            head.u32(NICIRA);
            head.u16(subtype.into());
        });
        body(writer);
    });
}

/// Type, length and body; the length of an action counts its padding (unlike that of a property).
fn aligned(writer: &mut Writer<'_>, kind: u16, body: impl FnOnce(&mut Writer<'_>)) {
    let start = writer.position();
    writer.fixed::<4>(|head| head.u16(kind));
    body(writer);
    writer.pad(start);
    writer.set_length(start + 2, start, "an action");
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Checks that `bytes` (hexadecimal, as Open vSwitch writes them) are `action`, both ways, and print as `text`.
    pub(crate) fn check(version: Version, bytes: &str, action: Action, text: &str) {
        let bytes = crate::testing::hex(bytes);
        assert_eq!(Action::decode_list(Reader::new(&bytes)), Ok(vec![action.clone()]));
        let mut buffer = Vec::new();
        let mut writer = Writer::new(&mut buffer, version);
        action.encode(&mut writer);
        writer.finish().unwrap();
        assert_eq!(buffer, bytes, "{action}");
        assert_eq!(action.to_string(), text);
    }
}

#[cfg(test)]
mod tests {
    use super::testing::check;
    use super::*;

    #[test]
    fn actions_are_the_bytes_that_open_vswitch_writes() {
        let both = [
            (
                "0000001000000003000000000000 0000",
                Action::Output {
                    port: Port(3),
                    max_len: 0,
                },
                "output:3",
            ),
            (
                "00000010fffffffdffff000000000000",
                Action::Output {
                    port: Port::CONTROLLER,
                    max_len: u16::MAX,
                },
                "CONTROLLER:65535",
            ),
            ("0016000800000005", Action::Group(5), "group:5"),
            ("0018000800000000", Action::DecTtl, "dec_ttl"),
            (
                "ffff001000002320000efff805000000",
                Action::Resubmit {
                    port: None,
                    table: Some(5),
                    conntrack: false,
                },
                "resubmit(,5)",
            ),
            (
                "ffff001000002320002200020000000a",
                Action::Conjunction {
                    id: 10,
                    clause: 1,
                    clauses: 2,
                },
                "conjunction(10,1/2)",
            ),
            (
                "ffff001000002320000801020300 0000",
                Action::Note(vec![1, 2, 3, 0, 0, 0]),
                "note:01.02.03.00.00.00",
            ),
            ("0011000881000000", Action::PushVlan(0x8100), "push_vlan:0x8100"),
            ("0012000800000000", Action::PopVlan, "pop_vlan"),
            (
                "ffff002000002320002a0000000000000000001000000003ffff000000000000",
                Action::Clone(vec![Action::Output {
                    port: Port(3),
                    max_len: u16::MAX,
                }]),
                "clone(output:3)",
            ),
        ];
        for (bytes, action, text) in both {
            for version in Version::ALL {
                check(version, bytes, action.clone(), text);
            }
        }
    }

    #[test]
    fn a_move_is_nicira_s_before_1_5_and_a_copy_field_from_then_on() {
        let action = Action::Move {
            source: Subfield::new(Field::NXM_OF_IP_TOS, 2, 6),
            destination: Subfield::new(Field::register(9), 0, 6),
        };
        let text = "move:NXM_OF_IP_TOS[2..7]->NXM_NX_REG9[0..5]";
        check(
            Version::V1_3,
            "ffff0018000023200006000600020000 00000a01 00011204",
            action.clone(),
            text,
        );
        check(
            Version::V1_5,
            "001c0018000600020000000000000a01000112040000 0000",
            action,
            text,
        );
    }

    #[test]
    fn an_unknown_action_is_kept_as_it_came() {
        let unknown = Action::Unknown {
            kind: 99,
            body: vec![1, 2, 3, 4],
        };
        check(Version::V1_5, "0063000801020304", unknown, "unknown(99,01020304)");
        let stranger = Action::Unknown {
            kind: 0xffff,
            body: vec![0, 0, 0xaa, 1, 0, 9, 0, 0, 0, 0, 0, 0],
        };
        check(
            Version::V1_5,
            "ffff00100000aa010009000000000000",
            stranger,
            "unknown(65535,0000aa010009000000000000)",
        );
    }

    #[test]
    fn endless_nesting_is_refused() {
        let bytes = (0..40).fold(Vec::new(), |inner: Vec<u8>, _| {
            let mut outer = crate::testing::hex("ffff000000002320002a000000000000");
            outer[3] = (inner.len() + 16) as u8;
            outer[2] = ((inner.len() + 16) >> 8) as u8;
            outer.extend(inner);
            outer
        });
        let error = Action::decode_list(Reader::new(&bytes)).unwrap_err();
        assert_eq!(error.problem, Problem::Nested);
    }

    #[test]
    fn the_action_meter_does_not_exist_in_1_3() {
        let mut buffer = Vec::new();
        let mut writer = Writer::new(&mut buffer, Version::V1_3);
        Action::Meter(1).encode(&mut writer);
        assert_eq!(
            writer.finish().unwrap_err().to_string(),
            "the action meter doesn't exist in OpenFlow 1.3"
        );
    }
}
