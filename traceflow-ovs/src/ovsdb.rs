//! The switch's database: which port of a bridge is which, and which Pod is behind it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde_json::{Value, json};
use traceflow_core::names::ObjectName;

use crate::address::Address;
use crate::jsonrpc::{Client, RpcError};

/// The database server of one node, RFC 7047. Only reads.
#[derive(Debug)]
pub struct Ovsdb {
    client: Client,
}

impl Ovsdb {
    /// A client of the server at an address, such as `unix:/run/openvswitch/db.sock`, with `patience` for each question.
    /// Nothing is opened yet.
    pub fn new(address: Address, patience: Duration) -> Self {
        Self {
            client: Client::new(address, patience),
        }
    }

    /// Where the server listens.
    pub fn address(&self) -> &Address {
        self.client.address()
    }

    /// The ports of a bridge as they are now, by name. A bond is as many ports as it has interfaces.
    ///
    /// # Errors
    ///
    /// [`OvsdbError`].
    pub async fn ports(&self, bridge: &str) -> Result<Vec<PortRecord>, OvsdbError> {
        // One transaction sees one state of the database.
        let select = |table: &str, condition: Value, columns: Value| json!({"op": "select", "table": table, "where": condition, "columns": columns});
        let transaction = json!([
            "Open_vSwitch",
            select("Bridge", json!([["name", "==", bridge]]), json!(["ports"])),
            select("Port", json!([]), json!(["_uuid", "interfaces"])),
            select(
                "Interface",
                json!([]),
                json!(["_uuid", "name", "type", "ofport", "external_ids"])
            ),
        ]);
        let result = self.client.call("transact", &transaction).await?;
        ports(&result, bridge)
    }
}

/// One port of a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortRecord {
    /// Its name, which is also the network device's.
    pub name: String,
    /// Its OpenFlow number; none if the switch hasn't given it one, for example because there is no such device.
    pub number: Option<u32>,
    /// What it is.
    pub kind: PortKind,
    /// What others wrote about it.
    pub external_ids: BTreeMap<String, String>,
}

impl PortRecord {
    /// The Pod behind the port, as Antrea writes it.
    pub fn pod(&self) -> Option<ObjectName> {
        let (namespace, name) = (
            self.external_ids.get("pod-namespace")?,
            self.external_ids.get("pod-name")?,
        );
        Some(ObjectName::new(namespace.as_str(), name.as_str()))
    }
}

/// The type of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortKind {
    /// A network device of the system.
    System,
    /// A device that the switch made; the one that has the bridge's own name is among them.
    Internal,
    /// A way to another bridge.
    Patch,
    /// A tunnel to other nodes, by its protocol: `geneve`.
    Tunnel(String),
    /// Another type, as the database has it.
    Other(String),
}

impl PortKind {
    fn of(name: &str) -> Self {
        match name {
            "" | "system" => Self::System,
            "internal" => Self::Internal,
            "patch" => Self::Patch,
            tunnel if TUNNELS.contains(&tunnel) => Self::Tunnel(tunnel.to_owned()),
            other => Self::Other(other.to_owned()),
        }
    }
}

/// What kept a question from its answer.
#[derive(Debug, thiserror::Error)]
pub enum OvsdbError {
    /// The server can't be asked, or refused.
    #[error(transparent)]
    Call(#[from] RpcError),
    /// There is no such bridge on the node.
    #[error("the switch has no bridge {0:?}")]
    NoBridge(String),
    /// The server refused a part of the question.
    #[error("the database refused to read {table}: {error}")]
    Refused {
        /// The table that was asked for.
        table: &'static str,
        /// What the server said.
        error: String,
    },
    /// The answer isn't of the form of RFC 7047 or of the switch's schema.
    #[error("the database's answer about {table} has no {missing}")]
    Unexpected {
        /// The table that was asked for.
        table: &'static str,
        /// What should be there.
        missing: &'static str,
    },
}

fn ports(result: &Value, bridge: &str) -> Result<Vec<PortRecord>, OvsdbError> {
    let tables = Table::ALL.map(|table| rows(result, table));
    let [bridges, ports, interfaces] = tables;
    let Some(row) = bridges?.first() else {
        return Err(OvsdbError::NoBridge(bridge.to_owned()));
    };
    let ports_by_id = by_id(ports?, Table::Port)?;
    let interfaces_by_id = by_id(interfaces?, Table::Interface)?;
    let mut records = Vec::new();
    for port in references(row, "ports", Table::Bridge)? {
        // One transaction sees one state, so what is referred to is there unless the server is a liar.
        let port = ports_by_id
            .get(port)
            .ok_or_else(|| Table::Port.lacks("row that the bridge refers to"))?;
        for interface in references(port, "interfaces", Table::Port)? {
            let interface = interfaces_by_id.get(interface);
            let interface = interface.ok_or_else(|| Table::Interface.lacks("row that a port refers to"))?;
            records.push(record(interface)?);
            if records.len() > interfaces_by_id.len() {
                // An interface is in one port, a port in one bridge.
                return Err(Table::Interface.lacks("rows for so many ports"));
            }
        }
    }
    records.sort_by(|one: &PortRecord, other| one.name.cmp(&other.name));
    Ok(records)
}

fn record(interface: &Value) -> Result<PortRecord, OvsdbError> {
    let table = Table::Interface;
    let name = interface["name"].as_str().ok_or_else(|| table.lacks("name"))?;
    let kind = interface["type"].as_str().ok_or_else(|| table.lacks("type"))?;
    Ok(PortRecord {
        name: name.to_owned(),
        // -1 is a device that can't be added, an empty set one that wasn't yet.
        number: interface["ofport"]
            .as_u64()
            .and_then(|number| u32::try_from(number).ok()),
        kind: PortKind::of(kind),
        external_ids: map(&interface["external_ids"]).ok_or_else(|| table.lacks("external_ids"))?,
    })
}

/// The operations of the transaction, in their order.
#[derive(Debug, Clone, Copy)]
enum Table {
    Bridge,
    Port,
    Interface,
}

impl Table {
    const ALL: [Self; 3] = [Self::Bridge, Self::Port, Self::Interface];

    fn name(self) -> &'static str {
        match self {
            Self::Bridge => "Bridge",
            Self::Port => "Port",
            Self::Interface => "Interface",
        }
    }

    fn lacks(self, missing: &'static str) -> OvsdbError {
        OvsdbError::Unexpected {
            table: self.name(),
            missing,
        }
    }
}

/// RFC 7047, section 4.1.3: one result per operation, an error in place of the one that failed, null behind it.
fn rows(result: &Value, table: Table) -> Result<&Vec<Value>, OvsdbError> {
    let result = &result[table as usize];
    if let Some(error) = result.get("error") {
        let details = result.get("details").and_then(Value::as_str).unwrap_or_default();
        let error = error.as_str().unwrap_or("unknown error");
        return Err(OvsdbError::Refused {
            table: table.name(),
            error: format!("{error} {details}").trim_end().to_owned(),
        });
    }
    result["rows"].as_array().ok_or_else(|| table.lacks("rows"))
}

fn by_id<'a>(rows: &'a [Value], table: Table) -> Result<HashMap<&'a str, &'a Value>, OvsdbError> {
    let row = |row: &'a Value| Some((reference(&row["_uuid"])?, row));
    rows.iter()
        .map(row)
        .collect::<Option<_>>()
        .ok_or_else(|| table.lacks("_uuid"))
}

/// RFC 7047, section 5.1: a set of one may be written without the set around it.
fn references<'a>(row: &'a Value, column: &'static str, table: Table) -> Result<Vec<&'a str>, OvsdbError> {
    let value = &row[column];
    let references = match reference(value) {
        Some(reference) => Some(vec![reference]),
        None => collection(value, "set").and_then(|members| members.iter().map(reference).collect()),
    };
    references.ok_or_else(|| table.lacks(column))
}

/// `["uuid", "08aa4101-8740-4283-8294-3c2160861fb3"]`.
fn reference(value: &Value) -> Option<&str> {
    match value.as_array()?.as_slice() {
        [kind, id] if kind == "uuid" => id.as_str(),
        _ => None,
    }
}

/// `["map", [["pod-name", "web-0"]]]`.
fn map(value: &Value) -> Option<BTreeMap<String, String>> {
    let pair = |pair: &Value| match pair.as_array()?.as_slice() {
        [key, value] => Some((key.as_str()?.to_owned(), value.as_str()?.to_owned())),
        _ => None,
    };
    collection(value, "map")?.iter().map(pair).collect()
}

fn collection<'a>(value: &'a Value, kind: &str) -> Option<&'a Vec<Value>> {
    match value.as_array()?.as_slice() {
        [name, members] if name == kind => members.as_array(),
        _ => None,
    }
}

/// Open vSwitch's types of tunnel ports.
const TUNNELS: &[&str] = &[
    "geneve",
    "vxlan",
    "gre",
    "ip6gre",
    "stt",
    "lisp",
    "erspan",
    "ip6erspan",
    "gtpu",
    "bareudp",
    "srv6",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer() -> Value {
        json!([
            {"rows": [{"ports": ["set", [["uuid", "p1"], ["uuid", "p2"]]]}]},
            {"rows": [
                {"_uuid": ["uuid", "p1"], "interfaces": ["uuid", "i1"]},
                {"_uuid": ["uuid", "p2"], "interfaces": ["set", [["uuid", "i2"], ["uuid", "i3"]]]},
                {"_uuid": ["uuid", "p3"], "interfaces": ["uuid", "i4"]},
            ]},
            {"rows": [
                {"_uuid": ["uuid", "i1"], "name": "web-0-ab12", "type": "", "ofport": 5,
                 "external_ids": ["map", [["pod-name", "web-0"], ["pod-namespace", "shop"]]]},
                {"_uuid": ["uuid", "i2"], "name": "tun0", "type": "geneve", "ofport": 1, "external_ids": ["map", []]},
                {"_uuid": ["uuid", "i3"], "name": "new", "type": "system", "ofport": ["set", []], "external_ids": ["map", []]},
                {"_uuid": ["uuid", "i4"], "name": "other", "type": "dummy", "ofport": -1, "external_ids": ["map", []]},
            ]},
        ])
    }

    fn refusal(pointer: &str, value: Value) -> String {
        let mut answer = answer();
        *answer.pointer_mut(pointer).unwrap() = value;
        ports(&answer, "br-int").unwrap_err().to_string()
    }

    #[test]
    fn the_ports_of_the_bridge_are_told_from_those_of_others() {
        let ports = ports(&answer(), "br-int").unwrap();
        let summary: Vec<_> = ports
            .iter()
            .map(|port| (port.name.as_str(), port.number, port.kind.clone()))
            .collect();
        assert_eq!(
            summary,
            [
                ("new", None, PortKind::System),
                ("tun0", Some(1), PortKind::Tunnel("geneve".into())),
                ("web-0-ab12", Some(5), PortKind::System),
            ]
        );
        assert_eq!(ports[2].pod(), Some(ObjectName::new("shop", "web-0")));
        assert_eq!(ports[1].pod(), None);
    }

    #[test]
    fn an_answer_that_is_none_says_what_is_missing() {
        let rows = refusal("/0/rows", json!([]));
        assert_eq!(rows, r#"the switch has no bridge "br-int""#);
        assert_eq!(
            refusal("/0", json!(null)),
            "the database's answer about Bridge has no rows"
        );
        assert_eq!(
            refusal("/0/rows/0", json!({})),
            "the database's answer about Bridge has no ports"
        );
        assert_eq!(
            refusal("/1/rows/0", json!(7)),
            "the database's answer about Port has no _uuid"
        );
        assert_eq!(
            refusal("/1/rows/0/_uuid/1", json!("p9")),
            "the database's answer about Port has no row that the bridge refers to"
        );
        assert_eq!(
            refusal("/2/rows/0/name", json!(1)),
            "the database's answer about Interface has no name"
        );
        let pairs = json!(["map", [["pod-name"]]]);
        assert_eq!(
            refusal("/2/rows/0/external_ids", pairs),
            "the database's answer about Interface has no external_ids"
        );
    }

    #[test]
    fn a_port_that_is_named_again_and_again_is_not_followed() {
        let again = json!(["set", vec![json!(["uuid", "p1"]); 1000]]);
        assert_eq!(
            refusal("/0/rows/0/ports", again),
            "the database's answer about Interface has no rows for so many ports"
        );
    }

    #[test]
    fn a_refused_operation_is_told_with_its_table() {
        let error = json!({"error": "syntax error", "details": "No table named Port.", "syntax": "{}"});
        let answer = json!([{"rows": [{"ports": ["set", []]}]}, error, null]);
        assert_eq!(
            ports(&answer, "br-int").unwrap_err().to_string(),
            "the database refused to read Port: syntax error No table named Port."
        );
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_refused(place in 0..40_usize, value in any_json()) {
            let mut answer = answer();
            replace(&mut answer, &mut place.clone(), &value);
            let _ = ports(&answer, "br-int");
            let _ = ports(&value, "br-int");
        }
    }

    fn replace(within: &mut Value, place: &mut usize, value: &Value) {
        if *place == 0 {
            value.clone_into(within);
        }
        *place = place.wrapping_sub(1);
        match within {
            Value::Array(members) => members.iter_mut().for_each(|member| replace(member, place, value)),
            Value::Object(members) => members.values_mut().for_each(|member| replace(member, place, value)),
            _ => {}
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            prop_oneof![Just("uuid"), Just("set"), Just("map"), Just("p1"), Just("")].prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("rows|error|ports", inner, 0..3)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }
}
