//! Actions as ovs-ofctl writes them.

use std::fmt;
use std::net::IpAddr;

use super::{Action, Conntrack, Controller, Destination, Learn, Nat, NatFlags, SetField, Source, Spec, Zone};
use crate::Port;
use crate::field::{Field, Subfield, Value};
use crate::message::PacketInReason;
use crate::text::{Dotted, Hex};

/// A list of actions, separated by commas; `drop` if there are none.
pub(crate) struct List<'a>(pub(crate) &'a [Action]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, action) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator}{action}")?;
        }
        Ok(())
    }
}

/// In ovs-ofctl's syntax.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output {
                port: Port::CONTROLLER,
                max_len,
            } => write!(f, "CONTROLLER:{max_len}"),
            Self::Output { port, .. } if port.to_string() != port.0.to_string() => write!(f, "{port}"),
            Self::Output { port, .. } => write!(f, "output:{port}"),
            Self::OutputField { source, .. } => write!(f, "output:{source}"),
            Self::Group(group) => write!(f, "group:{group}"),
            Self::Resubmit { port, table, conntrack } => resubmit(f, *port, *table, *conntrack),
            Self::SetField(set_field) => write!(f, "{set_field}"),
            Self::Move { source, destination } => {
                let source = Subfield {
                    bits: destination.bits,
                    ..*source
                };
                write!(f, "move:{source}->{destination}")
            }
            Self::Conntrack(conntrack) => write!(f, "{conntrack}"),
            Self::Nat(nat) => write!(f, "{nat}"),
            Self::ConntrackClear => f.write_str("ct_clear"),
            Self::Controller(controller) => write!(f, "{controller}"),
            Self::Conjunction { id, clause, clauses } => write!(f, "conjunction({id},{clause}/{clauses})"),
            Self::Learn(learn) => write!(f, "{learn}"),
            Self::Note(note) => write!(f, "note:{}", Dotted(note)),
            Self::Clone(actions) => write!(f, "clone({})", List(actions)),
            Self::DecTtl => f.write_str("dec_ttl"),
            Self::Meter(meter) => write!(f, "meter:{meter}"),
            Self::PushVlan(kind) => write!(f, "push_vlan:{kind:#06x}"),
            Self::PopVlan => f.write_str("pop_vlan"),
            Self::Exit => f.write_str("exit"),
            Self::Unknown { kind, body } => {
                write!(f, "unknown({kind},{})", Hex(body))
            }
        }
    }
}

fn resubmit(f: &mut fmt::Formatter<'_>, port: Option<Port>, table: Option<u8>, conntrack: bool) -> fmt::Result {
    let port = port.map(|port| port.to_string()).unwrap_or_default();
    if table.is_none() && !conntrack && !port.is_empty() {
        return write!(f, "resubmit:{port}");
    }
    let table = table.map(|table| table.to_string()).unwrap_or_default();
    write!(f, "resubmit({port},{table}{})", if conntrack { ",ct" } else { "" })
}

/// `name(first,second)` of the parts that are there.
fn call(f: &mut fmt::Formatter<'_>, name: &str, parts: impl IntoIterator<Item = Option<String>>) -> fmt::Result {
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    write!(f, "{name}({})", parts.join(","))
}

fn flag(set: bool, name: &str) -> Option<String> {
    set.then(|| name.to_owned())
}

impl fmt::Display for SetField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = match (self.field.bits(), &self.mask) {
            // Without the bit that says that there is a VLAN header, as ovs-ofctl has it.
            (Some(13), None) => (self.value.number().unwrap_or(0) & 0xfff).to_string(),
            _ => self.value.text(self.field, self.mask.as_ref()),
        };
        write!(f, "set_field:{value}->{}", self.field)
    }
}

impl fmt::Display for Conntrack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_nat = |action: &&Action| matches!(action, Action::Nat(_));
        let nat = self.actions.iter().find(is_nat).map(ToString::to_string);
        let exec: Vec<Action> = self.actions.iter().filter(|action| !is_nat(action)).cloned().collect();
        let zone = match self.zone {
            Zone::Number(0) => None,
            Zone::Number(zone) => Some(format!("zone={zone}")),
            Zone::Field(source) => Some(format!("zone={source}")),
        };
        let alg = match self.alg {
            0 => None,
            21 => Some("alg=ftp".to_owned()),
            69 => Some("alg=tftp".to_owned()),
            other => Some(format!("alg={other}")),
        };
        let parts = [
            flag(self.commit, "commit"),
            flag(self.force, "force"),
            self.table.map(|table| format!("table={table}")),
            zone,
            nat,
            (!exec.is_empty()).then(|| format!("exec({})", List(&exec))),
            alg,
        ];
        call(f, "ct", parts)
    }
}

impl fmt::Display for Nat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = match self.flags {
            flags if flags.contains(NatFlags::SOURCE) => "src",
            flags if flags.contains(NatFlags::DESTINATION) => "dst",
            _ => return f.write_str("nat"),
        };
        let range = self.range();
        let parts = [
            Some(if range.is_empty() {
                direction.to_owned()
            } else {
                format!("{direction}={range}")
            }),
            flag(self.flags.contains(NatFlags::PERSISTENT), "persistent"),
            flag(self.flags.contains(NatFlags::HASH), "hash"),
            flag(self.flags.contains(NatFlags::RANDOM), "random"),
        ];
        call(f, "nat", parts)
    }
}

impl Nat {
    /// `10.0.0.1-10.0.0.9:1024-2048`
    fn range(&self) -> String {
        let address = |address: IpAddr| match address {
            IpAddr::V6(address) if self.port.is_some() => format!("[{address}]"),
            address => address.to_string(),
        };
        let mut range = String::new();
        range.extend(self.address.map(address));
        range.extend(self.last_address.map(|last| format!("-{}", address(last))));
        range.extend(self.port.map(|port| format!(":{port}")));
        range.extend(self.last_port.map(|port| format!("-{port}")));
        range
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.reason != PacketInReason::Action).then(|| format!("reason={}", self.reason)),
            (self.max_len != u16::MAX).then(|| format!("max_len={}", self.max_len)),
            (self.id != 0).then(|| format!("id={}", self.id)),
            (!self.userdata.is_empty()).then(|| format!("userdata={}", Dotted(&self.userdata))),
            flag(self.pause, "pause"),
            self.meter.map(|meter| format!("meter_id={meter}")),
        ];
        call(f, "controller", parts)
    }
}

impl fmt::Display for Learn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |name: &str, value: u64, default: u64| (value != default).then(|| format!("{name}={value}"));
        let result = self.result.map(|result| Subfield::new(result.field, result.offset, 1));
        let parts = [
            Some(format!("table={}", self.table)),
            number("idle_timeout", self.idle_timeout.into(), 0),
            number("hard_timeout", self.hard_timeout.into(), 0),
            number("fin_idle_timeout", self.fin_idle_timeout.into(), 0),
            number("fin_hard_timeout", self.fin_hard_timeout.into(), 0),
            number("priority", self.priority.into(), 0x8000),
            flag(self.flags.send_flow_removed, "send_flow_rem"),
            flag(self.flags.delete_learned, "delete_learned"),
            (self.cookie != 0).then(|| format!("cookie={:#x}", self.cookie)),
            number("limit", self.limit.into(), 0),
            result.map(|result| format!("result_dst={result}")),
        ];
        call(
            f,
            "learn",
            parts
                .into_iter()
                .chain(self.specs.iter().map(|spec| Some(spec.to_string()))),
        )
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = |field: Field, offset: u16| self.source_bits(field, offset);
        match (&self.source, self.destination) {
            (Source::Field(from, start), Destination::Match(to, offset)) if *from == to && *start == offset => {
                write!(f, "{}", bits(to, offset))
            }
            (Source::Field(from, start), Destination::Match(to, offset)) => {
                write!(f, "{}={}", bits(to, offset), bits(*from, *start))
            }
            (Source::Value(value), Destination::Match(to, 0)) if to.bits() == Some(self.bits) => {
                write!(f, "{to}={}", self.narrowed(value, to).text(to, None))
            }
            (Source::Value(value), Destination::Match(to, offset)) => {
                write!(f, "{}={}", bits(to, offset), value.text(Field::new(0, 0xff), None))
            }
            (Source::Field(from, start), Destination::Load(to, offset)) => {
                write!(f, "load:{}->{}", bits(*from, *start), bits(to, offset))
            }
            (Source::Value(value), Destination::Load(to, offset)) => {
                write!(
                    f,
                    "load:{}->{}",
                    value.text(Field::new(0, 0xff), None),
                    bits(to, offset)
                )
            }
            (Source::Field(from, start), Destination::Output) => write!(f, "output:{}", bits(*from, *start)),
            (Source::Value(value), Destination::Output) => {
                write!(f, "output:{}", value.text(Field::OXM_OF_IN_PORT, None))
            }
        }
    }
}

impl Spec {
    /// `value`, which is a whole number of 16-bit words, in the width of `field`.
    fn narrowed(&self, value: &Value, field: Field) -> Value {
        value
            .number()
            .map_or_else(|| value.clone(), |number| Value::new(field, number))
    }
}
