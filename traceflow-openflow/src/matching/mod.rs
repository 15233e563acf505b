//! Matches: which fields must have which values. Also how a packet-in tells the packet's metadata.

mod view;

use std::fmt;

pub use self::view::MatchView;
use crate::field::{Field, Format, Value};
use crate::wire::{DecodeError, Problem, Reader, Writer};

/// `OFPMT_OXM`, the only kind of match that OpenFlow 1.3 and later have.
const OXM: u16 = 1;

/// Fields with values, in the order of the wire. Empty, it matches every packet.
///
/// The order is kept and nothing is checked for sense: the switch does that, and says so in an error.
///
/// ```
/// use traceflow_openflow::field::Field;
/// use traceflow_openflow::matching::Match;
///
/// let web = Match::new()
///     .with(Field::OXM_OF_ETH_TYPE, 0x0800)
///     .with(Field::OXM_OF_IP_PROTO, 6)
///     .with(Field::OXM_OF_TCP_DST, 80)
///     .with_masked(Field::register(0), 0x100, 0x100);
/// assert_eq!(web.to_string(), "tcp,tcp_dst=80,reg0=0x100/0x100");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Match {
    /// The fields.
    pub fields: Vec<FieldMatch>,
}

/// One field's condition.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldMatch {
    /// The field.
    pub field: Field,
    /// What it must be.
    pub value: Value,
    /// The bits that count, all if there is none. As long as the value.
    pub mask: Option<Value>,
}

impl Match {
    /// Matches everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// This, and `field` is `value`.
    #[must_use]
    pub fn with(mut self, field: Field, value: u128) -> Self {
        self.fields.push(FieldMatch {
            field,
            value: Value::new(field, value),
            mask: None,
        });
        self
    }

    /// This, and `field` is `value` in the bits of `mask`.
    #[must_use]
    pub fn with_masked(mut self, field: Field, value: u128, mask: u128) -> Self {
        let mask = Some(Value::new(field, mask));
        self.fields.push(FieldMatch {
            field,
            value: Value::new(field, value),
            mask,
        });
        self
    }

    /// This, and `field` is `value`, as bytes.
    #[must_use]
    pub fn with_value(mut self, field: Field, value: impl Into<Value>) -> Self {
        self.fields.push(FieldMatch {
            field,
            value: value.into(),
            mask: None,
        });
        self
    }

    /// What is said about `field`, under whichever of its numbers.
    pub fn find(&self, field: Field) -> Option<&FieldMatch> {
        self.fields.iter().find(|condition| condition.field.is_same(field))
    }

    /// The value of `field`, under whichever of its numbers.
    pub fn number(&self, field: Field) -> Option<u128> {
        self.find(field)?.value.number()
    }

    /// The value of register `n` (0 to 15), in whichever width it stands here: OpenFlow 1.5 reports registers in pairs,
    /// 1.3 singly. None if nothing is said about it; a packet-in leaves out what is zero.
    pub fn register(&self, n: u8) -> Option<u32> {
        self.fields.iter().find_map(|condition| {
            let (first, lanes) = register_lanes(condition.field)?;
            let lane = n.checked_sub(first).filter(|lane| *lane < lanes)?;
            let number = condition.value.number()?;
            Some((number >> (32 * u32::from(lanes - 1 - lane))) as u32)
        })
    }

    /// With type, length and padding, as in most messages.
    pub(crate) fn encode(&self, writer: &mut Writer<'_>) {
        writer.property(OXM, "match", |writer| self.encode_fields(writer));
    }

    /// The same, and writes at `length` how long it is without padding.
    pub(crate) fn encode_measured(&self, length: usize, writer: &mut Writer<'_>) {
        let start = writer.position();
        writer.u16(OXM);
        writer.u16(0);
        self.encode_fields(writer);
        writer.set_length(start + 2, start, "match");
        writer.set_length(length, start, "match");
        writer.pad(start);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.clone();
        let kind = reader.u16("match type")?;
        if kind != OXM {
            return Err(start.error("match type", Problem::Value(kind.into())));
        }
        let length = reader.u16("match length")?;
        Self::decode_fields(reader.padded_body(length, 4, "match")?)
    }

    pub(crate) fn encode_fields(&self, writer: &mut Writer<'_>) {
        for condition in &self.fields {
            condition.encode(writer);
        }
    }

    pub(crate) fn decode_fields(mut reader: Reader<'_>) -> Result<Self, DecodeError> {
        // Nearly all fields take eight bytes or more.
        let mut fields = Vec::with_capacity(reader.remaining() / 8);
        while !reader.is_empty() {
            fields.push(FieldMatch::decode(&mut reader)?);
        }
        Ok(Self { fields })
    }
}

/// Which 32-bit registers `field` holds: the first, and how many.
fn register_lanes(field: Field) -> Option<(u8, u8)> {
    let number = field.number();
    match field.class() {
        1 if number < 16 => Some((number, 1)),
        1 if (111..115).contains(&number) => Some(((number - 111) * 4, 4)),
        0x8001 if number < 8 => Some((number * 2, 2)),
        _ => None,
    }
}

impl FieldMatch {
    pub(crate) fn encode(&self, writer: &mut Writer<'_>) {
        let length = self.value.bytes().len();
        let Some(mask) = &self.mask else {
            self.field.encode_header(false, length, writer);
            return self.value.encode(writer);
        };
        if mask.bytes().len() != length {
            writer.unsupported("a mask that is not as long as its value");
        }
        self.field.encode_header(true, length + mask.bytes().len(), writer);
        self.value.encode(writer);
        mask.encode(writer);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let header = crate::field::Header::decode(reader)?;
        let payload = reader.part(header.length, "field value")?.rest();
        if !header.masked {
            return Ok(Self {
                field: header.field,
                value: Value::from_bytes(payload),
                mask: None,
            });
        }
        if payload.len() % 2 != 0 {
            let problem = Problem::Value(payload.len() as u64);
            return Err(reader.error("length of a masked field", problem));
        }
        let (value, mask) = payload.split_at(payload.len() / 2);
        Ok(Self {
            field: header.field,
            value: Value::from_bytes(value),
            mask: Some(Value::from_bytes(mask)),
        })
    }
}

/// In ovs-ofctl's syntax: `tcp,tcp_dst=80,reg0=0x100/0x100`.
impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = Protocol::of(self);
        let mut separator = "";
        for condition in &self.fields {
            let Some(text) = protocol.text(condition) else { continue };
            write!(f, "{separator}{text}")?;
            separator = ",";
        }
        Ok(())
    }
}

impl fmt::Display for FieldMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.format() == Format::VlanId {
            return self.fmt_vlan(f);
        }
        write!(f, "{}={}", self.field, self.value.text(self.field, self.mask.as_ref()))
    }
}

/// A packet's metadata as ovs-ofctl shows it: registers one by one, in whichever width they stand.
pub(crate) struct Metadata<'a>(pub(crate) &'a Match);

impl fmt::Display for Metadata<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let single = |condition: &FieldMatch| match register_lanes(condition.field) {
            Some((first, lanes)) if lanes > 1 => condition.registers(first, lanes),
            _ => vec![condition.clone()],
        };
        let fields = self.0.fields.iter().flat_map(single).collect();
        write!(f, "{}", Match { fields })
    }
}

impl FieldMatch {
    /// What it says about each of `lanes` registers from `first` on.
    fn registers(&self, first: u8, lanes: u8) -> Vec<Self> {
        let mask = self.mask.as_ref().map_or(Some(u128::MAX), Value::number);
        let (Some(value), Some(mask)) = (self.value.number(), mask) else {
            return vec![self.clone()];
        };
        let register = |lane: u8| {
            let lower = 32 * u32::from(lanes - 1 - lane);
            let (value, mask) = ((value >> lower) as u32, (mask >> lower) as u32);
            let field = Field::register(first + lane);
            (mask != 0).then(|| Self {
                field,
                value: Value::new(field, value.into()),
                mask: (mask != u32::MAX).then(|| Value::new(field, mask.into())),
            })
        };
        (0..lanes).filter_map(register).collect()
    }

    /// Bit 12 says that there is a VLAN header, the lower ones which VLAN (OpenFlow 1.5.1, 7.2.3.8).
    fn fmt_vlan(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.number().unwrap_or(0);
        match self.mask.as_ref().and_then(Value::number) {
            None if value & 0x1000 != 0 => write!(f, "dl_vlan={}", value & 0xfff),
            mask => write!(f, "vlan_tci={value:#06x}/{:#06x}", mask.unwrap_or(0x1fff)),
        }
    }
}

/// The shorthand for an Ethernet type and an IP protocol that ovs-ofctl uses.
struct Protocol {
    shorthand: Option<&'static str>,
    /// Whether the shorthand says the IP protocol, too.
    with_transport: bool,
}

impl Protocol {
    const NETWORK: [(u128, &'static str); 4] = [(0x0800, "ip"), (0x86dd, "ipv6"), (0x0806, "arp"), (0x8035, "rarp")];
    const TRANSPORT: [(u128, u128, &'static str); 8] = [
        (0x0800, 6, "tcp"),
        (0x0800, 17, "udp"),
        (0x0800, 132, "sctp"),
        (0x0800, 1, "icmp"),
        (0x86dd, 6, "tcp6"),
        (0x86dd, 17, "udp6"),
        (0x86dd, 132, "sctp6"),
        (0x86dd, 58, "icmp6"),
    ];

    fn of(all: &Match) -> Self {
        let network = all.number(Field::OXM_OF_ETH_TYPE);
        let transport = all.number(Field::OXM_OF_IP_PROTO);
        let both = Self::TRANSPORT
            .iter()
            .find(|row| Some(row.0) == network && Some(row.1) == transport);
        let one = Self::NETWORK.iter().find(|row| Some(row.0) == network);
        Self {
            shorthand: both.map(|row| row.2).or_else(|| one.map(|row| row.1)),
            with_transport: both.is_some(),
        }
    }

    /// The text of one condition; none if the shorthand says it.
    fn text(&self, condition: &FieldMatch) -> Option<String> {
        match self.shorthand {
            Some(shorthand) if condition.field.is_same(Field::OXM_OF_ETH_TYPE) => Some(shorthand.to_owned()),
            Some(_) if self.with_transport && condition.field.is_same(Field::OXM_OF_IP_PROTO) => None,
            _ => Some(condition.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Version;

    /// The metadata of a packet-in from Open vSwitch, OpenFlow 1.5, in a table after conntrack.
    const PACKET_REGISTERS: [u8; 24] = [
        0x80, 0x01, 0x00, 0x08, 0, 0, 1, 3, 0, 0, 0, 1, // OXM_OF_PKT_REG0: reg0 and reg1
        0x00, 0x01, 0xd3, 0x08, 0, 0, 0, 0x21, 0, 0, 0, 0xff, // NXM_NX_CT_STATE with mask
    ];

    #[test]
    fn registers_are_found_in_every_width() {
        let metadata = Match::decode_fields(Reader::new(&PACKET_REGISTERS)).unwrap();
        assert_eq!(metadata.register(0), Some(0x103));
        assert_eq!(metadata.register(1), Some(1));
        assert_eq!(metadata.register(2), None);
        assert_eq!(Match::new().with(Field::wide_register(1), 7).register(7), Some(7));
        assert_eq!(metadata.to_string(), "xreg0=0x10300000001,ct_state=new|trk");
        assert_eq!(Metadata(&metadata).to_string(), "reg0=0x103,reg1=0x1,ct_state=new|trk");
        let wide = Match::new().with_masked(Field::wide_register(0), 7 << 32, 0xffff_ffff_u128 << 32 | 0xff);
        assert_eq!(Metadata(&wide).to_string(), "reg2=0x7,reg3=0x0/0xff");
    }

    #[test]
    fn bytes_come_back_as_they_were() {
        let metadata = Match::decode_fields(Reader::new(&PACKET_REGISTERS)).unwrap();
        let mut buffer = Vec::new();
        metadata.encode_fields(&mut Writer::new(&mut buffer, Version::V1_5));
        assert_eq!(buffer, PACKET_REGISTERS);
    }

    #[test]
    fn an_unknown_field_is_kept_and_printable() {
        let bytes = [0x80, 0x00, 63 << 1, 2, 0xab, 0xcd];
        let unknown = Match::decode_fields(Reader::new(&bytes)).unwrap();
        assert_eq!(unknown.to_string(), "OXM_CLASS_8000_63=0xabcd");
    }

    #[test]
    fn a_vlan_is_written_by_its_number() {
        assert_eq!(
            Match::new().with(Field::OXM_OF_VLAN_VID, 0x1005).to_string(),
            "dl_vlan=5"
        );
        let any = Match::new().with_masked(Field::OXM_OF_VLAN_VID, 0x1000, 0x1000);
        assert_eq!(any.to_string(), "vlan_tci=0x1000/0x1000");
    }
}
