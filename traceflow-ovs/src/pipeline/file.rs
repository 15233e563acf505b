//! A pipeline that stands in a file.

use traceflow_core::input::{BadInput, Documents, Field as Input, Text, Value};
use traceflow_openflow::field::{Field, Subfield};

use super::{Description, DetourDescription, ExitDescription, StageDescription, TableName};
use crate::layout::{Condition, End, ExitKind, Registers, Role, Zones};
use crate::nodes::read_carrier;

/// The last register of Open vSwitch.
const LAST_REGISTER: u8 = 15;

/// Tables 254 and 255 are the switch's own.
const LAST_TABLE: u8 = 253;

impl Description {
    /// Reads a pipeline file: YAML or JSON with the fields of this type in camel case.
    ///
    /// ```
    /// use traceflow_core::input::Text;
    /// use traceflow_ovs::pipeline::Description;
    ///
    /// let text = "
    /// stages:
    /// - {table: 0, role: classification}
    /// - {table: Policy, role: ingressDefault}
    /// - {table: 15, role: output}
    /// exits:
    /// - {table: 15, when: ['reg0[8]=1'], to: tunnel}
    /// - {table: 15, when: ['reg0[8]=1'], to: port}
    /// registers: {mark: 10, guard: 11, outputPort: reg1}
    /// ";
    /// let pipeline = Description::read(&Text::new("pipeline.yaml", text))?;
    /// assert_eq!(pipeline.stages.len(), 3);
    ///
    /// let mistake = Description::read(&Text::new("p.yaml", "stages: [{table: 0, role: firewall}]")).unwrap_err();
    /// assert!(mistake.to_string().starts_with("p.yaml:1:21: stages[0].role: \"firewall\" is not valid; use one of classification,"));
    /// # Ok::<(), traceflow_core::input::BadInput>(())
    /// ```
    ///
    /// # Errors
    /// The first mistake, with its place.
    pub fn read(text: &Text) -> Result<Self, BadInput> {
        let document = match Documents::new(text).next() {
            Some(document) => document?,
            None => return Err(BadInput::new("pipeline", missing("a pipeline in the file"))),
        };
        let root = document.root();
        root.only(KEYS)?;
        let stages = list(&root, "stages", stage)?;
        let registers = root.required("registers")?;
        registers.only(REGISTER_KEYS)?;
        let (mark_register, guard_register) = own_registers(&registers)?;
        let table = |table: Input<'_>| table.integer(0..=LAST_TABLE);
        let carrier = root
            .optional("carrier")?
            .map(|field| read_carrier(&field))
            .transpose()?;
        let zones = root.optional("zones")?.map(|field| zones(&field)).transpose()?;
        Ok(Self {
            stages,
            exits: list(&root, "exits", exit)?,
            detours: list(&root, "detours", detour)?,
            verdict_table: root.optional("verdictTable")?.map(table).transpose()?,
            mark_register,
            guard_register,
            carrier: carrier.unwrap_or_default(),
            zones: zones.unwrap_or_default(),
            registers: read_registers(&registers)?,
        })
    }
}

const KEYS: &[&str] = &[
    "stages",
    "exits",
    "detours",
    "registers",
    "verdictTable",
    "carrier",
    "zones",
];

const REGISTER_KEYS: &[&str] = &[
    "mark",
    "guard",
    "outputPort",
    "egressRule",
    "ingressRule",
    "denyingRule",
    "refusing",
    "snatMark",
    "remoteSNAT",
    "endpointIPv4",
    "endpointIPv6",
    "endpointChosen",
];

/// What `read` makes of each item of the list `key`.
fn list<T>(field: &Input<'_>, key: &str, read: fn(&Input<'_>) -> Result<T, BadInput>) -> Result<Vec<T>, BadInput> {
    field.items(key)?.map(|item| read(&item)).collect()
}

/// The tracer's own two: that of the mark, and the guard.
fn own_registers(registers: &Input<'_>) -> Result<(u8, u8), BadInput> {
    let own = |key: &str| registers.required(key)?.integer(0..=LAST_REGISTER);
    let (mark, guard) = (own("mark")?, own("guard")?);
    if mark == guard {
        let guard = registers.required("guard")?;
        return Err(guard.invalid("another register than that of the mark"));
    }
    Ok((mark, guard))
}

fn missing(remedy: &'static str) -> traceflow_core::input::Problem {
    traceflow_core::input::Problem::Missing { remedy: remedy.into() }
}

fn stage(field: &Input<'_>) -> Result<StageDescription, BadInput> {
    field.only(&["table", "role", "end", "unless", "optional"])?;
    let role = field.required("role")?;
    let role = ROLES
        .iter()
        .find(|(word, ..)| role.string().is_ok_and(|said| *said == **word));
    let Some(&(_, role, usual)) = role else {
        let words: Vec<&str> = ROLES.iter().map(|(word, ..)| *word).collect();
        return Err(field.required("role")?.invalid(format!("one of {}", words.join(", "))));
    };
    let end = match field.optional("end")? {
        None => usual,
        Some(end) => match &*end.string()? {
            "dropped" => End::Dropped,
            "goesOn" => End::GoesOn,
            _ => return Err(end.invalid("dropped or goesOn")),
        },
    };
    Ok(StageDescription {
        table: table(&field.required("table")?)?,
        role,
        end,
        unless: conditions(field, "unless")?,
        optional: field
            .optional("optional")?
            .map(|field| field.boolean())
            .transpose()?
            .unwrap_or(false),
    })
}

/// The roles, and what it usually means if a table of theirs is the last.
const ROLES: &[(&str, Role, End)] = &[
    ("classification", Role::Classification, End::Dropped),
    ("spoofGuard", Role::SpoofGuard, End::Dropped),
    ("conntrack", Role::Conntrack, End::Dropped),
    ("loadBalancer", Role::LoadBalancer, End::Dropped),
    ("egressRule", Role::EgressRule, End::GoesOn),
    ("egressDefault", Role::EgressDefault, End::Dropped),
    ("egressMetric", Role::EgressMetric, End::Dropped),
    ("routing", Role::Routing, End::Dropped),
    ("ttlDecrement", Role::TtlDecrement, End::Dropped),
    ("switching", Role::Switching, End::Dropped),
    ("ingressRule", Role::IngressRule, End::GoesOn),
    ("ingressDefault", Role::IngressDefault, End::Dropped),
    ("ingressMetric", Role::IngressMetric, End::Dropped),
    ("egress", Role::Egress, End::Dropped),
    ("output", Role::Output, End::Dropped),
    ("other", Role::Other, End::GoesOn),
];

fn exit(field: &Input<'_>) -> Result<ExitDescription, BadInput> {
    field.only(&["table", "when", "to", "by", "load"])?;
    let to = field.required("to")?;
    Ok(ExitDescription {
        table: table(&field.required("table")?)?,
        when: conditions(field, "when")?,
        kind: match &*to.string()? {
            "tunnel" => ExitKind::Tunnel,
            "port" => ExitKind::Port,
            "diversion" => ExitKind::Diversion,
            "refusal" => ExitKind::Refusal,
            "denial" => ExitKind::Denial,
            "copy" => ExitKind::Copy,
            _ => return Err(to.invalid("tunnel, port, diversion, refusal, denial or copy")),
        },
        by: field
            .optional("by")?
            .map(|by| by.string().map(|by| by.to_string()))
            .transpose()?,
        load: conditions(field, "load")?,
    })
}

fn detour(field: &Input<'_>) -> Result<DetourDescription, BadInput> {
    field.only(&["table", "when", "load", "then"])?;
    Ok(DetourDescription {
        table: table(&field.required("table")?)?,
        when: conditions(field, "when")?,
        load: conditions(field, "load")?,
        then: table(&field.required("then")?)?,
    })
}

/// A name, or a number.
fn table(field: &Input<'_>) -> Result<TableName, BadInput> {
    match field.node().value {
        Value::String(_) => Ok(TableName::Name(field.string()?.to_string())),
        _ => Ok(TableName::Number(field.integer(0..=LAST_TABLE)?)),
    }
}

fn zones(field: &Input<'_>) -> Result<Zones, BadInput> {
    field.only(&["ipv4", "ipv6"])?;
    let list = |key| {
        field
            .items(key)?
            .map(|zone| zone.integer(0..=u16::MAX))
            .collect::<Result<_, BadInput>>()
    };
    Ok(Zones {
        v4: list("ipv4")?,
        v6: list("ipv6")?,
    })
}

fn conditions(field: &Input<'_>, key: &str) -> Result<Vec<Condition>, BadInput> {
    list(field, key, condition)
}

fn condition(field: &Input<'_>) -> Result<Condition, BadInput> {
    read_condition(&field.string()?).ok_or_else(|| field.invalid("a condition such as reg0=5 or reg4[16..18]=3"))
}

fn read_registers(registers: &Input<'_>) -> Result<Registers, BadInput> {
    let bits = |key: &str| -> Result<Option<Subfield>, BadInput> {
        let Some(field) = registers.optional(key)? else {
            return Ok(None);
        };
        let bits = read_bits(&field.string()?);
        bits.map(Some)
            .ok_or_else(|| field.invalid("a register or some bits of one, such as reg5 or reg5[0..15]"))
    };
    let optional_condition = |key: &str| {
        let field = registers.optional(key)?;
        field.map(|field| condition(&field)).transpose()
    };
    Ok(Registers {
        output_port: bits("outputPort")?,
        egress_rule: bits("egressRule")?,
        ingress_rule: bits("ingressRule")?,
        denying_rule: bits("denyingRule")?,
        refusing: optional_condition("refusing")?,
        snat_mark: bits("snatMark")?,
        remote_snat: optional_condition("remoteSNAT")?,
        endpoint_v4: bits("endpointIPv4")?,
        endpoint_v6: match registers.optional("endpointIPv6")? {
            Some(field) => Some(wide_register(&field)?),
            None => None,
        },
        endpoint_chosen: optional_condition("endpointChosen")?,
    })
}

fn wide_register(field: &Input<'_>) -> Result<Field, BadInput> {
    let number = field
        .string()?
        .strip_prefix("xxreg")
        .and_then(|number| number.parse().ok());
    match number {
        Some(number @ 0..=3) => Ok(Field::wide_register(number)),
        _ => Err(field.invalid("xxreg0 to xxreg3")),
    }
}

/// `reg4[16..18]`, `reg4[16]` or `reg4`; the marks of the packet and of its connection, `pkt_mark` and `ct_mark`, and the
/// connection's state, `ct_state`, likewise.
fn read_bits(text: &str) -> Option<Subfield> {
    let (name, range) = match text.strip_suffix(']') {
        Some(text) => text.split_once('[').map(|(name, range)| (name, Some(range)))?,
        None => (text, None),
    };
    let field = match name {
        "pkt_mark" => Field::NXM_NX_PKT_MARK,
        "ct_mark" => Field::NXM_NX_CT_MARK,
        "ct_state" => Field::NXM_NX_CT_STATE,
        _ => Field::register(read_register(name)?),
    };
    let (first, last): (u16, u16) = match range {
        None => (0, 31),
        Some(range) => match range.split_once("..") {
            Some((first, last)) => (first.parse().ok()?, last.parse().ok()?),
            None => (range.parse().ok()?, range.parse().ok()?),
        },
    };
    (first <= last && last < 32).then(|| Subfield::new(field, first, last - first + 1))
}

fn read_register(name: &str) -> Option<u8> {
    let number = name.strip_prefix("reg")?.parse().ok();
    number.filter(|number| *number <= LAST_REGISTER)
}

/// `reg4[16..18]=3`
fn read_condition(text: &str) -> Option<Condition> {
    let (target, value) = text.split_once('=')?;
    let bits = read_bits(target.trim())?;
    let value = value.trim();
    let value = match value.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
        None => value.parse().ok()?,
    };
    (bits.bits == 32 || value < 1 << bits.bits).then_some(Condition { bits, value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::description::bits;

    #[test]
    fn conditions_are_read_as_they_are_meant() {
        let read = |text: &str| read_condition(text);
        let state = |value| {
            Some(Condition {
                bits: bits(4, 16, 18),
                value,
            })
        };
        assert_eq!(read("reg4[16..18]=3"), state(3));
        assert_eq!(read(" reg4[16..18] = 0x7 "), state(7));
        assert_eq!(
            read("reg15[31]=1"),
            Some(Condition {
                bits: bits(15, 31, 31),
                value: 1
            })
        );
        assert_eq!(
            read("ct_mark[7]=1"),
            Some(Condition {
                bits: Subfield::new(Field::NXM_NX_CT_MARK, 7, 1),
                value: 1
            })
        );
        assert_eq!(
            read("ct_state[5]=0"),
            Some(Condition {
                bits: Subfield::new(Field::NXM_NX_CT_STATE, 5, 1),
                value: 0
            })
        );
        assert_eq!(
            read_bits("pkt_mark[0..7]"),
            Some(Subfield::new(Field::NXM_NX_PKT_MARK, 0, 8))
        );
        let wrong = [
            "",
            "pkt_mark7=1",
            "tun_id=1",
            "reg4",
            "reg16=1",
            "reg4[18..16]=1",
            "reg4[16..18]=8",
            "reg4[32]=0",
            "reg4[16..18=1",
            "reg=1",
            "reg4=-1",
            "xreg0=1",
            "reg1=4294967296",
        ];
        for text in wrong {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn mark_and_guard_are_two_registers() {
        let text = Text::new(
            "p",
            "{stages: [{table: 0, role: output}], registers: {mark: 3, guard: 3}}",
        );
        let told = Description::read(&text).unwrap_err().to_string();
        assert!(
            told.ends_with("registers.guard: 3 is not valid; use another register than that of the mark"),
            "{told}"
        );
    }
}
