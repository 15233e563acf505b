//! Random clusters: few names and labels, so that much matches, and every shape that a policy can have.

use std::collections::BTreeMap;
use std::net::IpAddr;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};
use traceflow_core::names::ObjectName;

/// A cluster as its objects are written.
#[derive(Debug, Clone)]
pub(crate) struct World {
    /// The labels of the namespaces that have an object.
    pub(crate) namespaces: BTreeMap<String, BTreeMap<String, String>>,
    pub(crate) pods: Vec<PodObject>,
    pub(crate) policies: Vec<PolicyObject>,
}

#[derive(Debug, Clone)]
pub(crate) struct PodObject {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) host_network: bool,
    pub(crate) phase: &'static str,
    pub(crate) ports: Vec<DeclaredPort>,
}

impl PodObject {
    pub(crate) fn object_name(&self) -> ObjectName {
        ObjectName::new(&*self.namespace, &*self.name)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct DeclaredPort {
    pub(crate) name: Option<String>,
    pub(crate) protocol: &'static str,
    pub(crate) number: u16,
}

#[derive(Debug, Clone)]
pub(crate) struct PolicyObject {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) spec: Value,
}

impl PolicyObject {
    pub(crate) fn object_name(&self) -> ObjectName {
        ObjectName::new(&*self.namespace, &*self.name)
    }
}

/// One question about a world.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) ingress: bool,
    /// The place of the Pod in [`World::pods`].
    pub(crate) pod: usize,
    pub(crate) peer: IpAddr,
    /// Whether `peer` is the Pod's own node.
    pub(crate) own_node: bool,
    pub(crate) protocol: &'static str,
    pub(crate) port: Option<u16>,
}

const NAMESPACES: [&str; 3] = ["red", "green", "blue"];
const KEYS: [&str; 3] = ["app", "tier", "env"];
const VALUES: [&str; 3] = ["a", "b", ""];
const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];
const PORT_NAMES: [&str; 2] = ["http", "dns"];
const PORTS: [u16; 4] = [53, 80, 81, 65535];
const PACKETS: [(&str, Option<u16>); 8] = [
    ("TCP", Some(80)),
    ("TCP", Some(81)),
    ("TCP", Some(65535)),
    ("UDP", Some(53)),
    ("UDP", None),
    ("SCTP", Some(80)),
    ("SCTP", Some(60)),
    ("ICMP", None),
];
/// Nodes, and addresses outside the cluster.
const STRANGERS: [&str; 6] = [
    "192.168.1.1",
    "192.168.1.2",
    "198.51.100.7",
    "10.0.9.9",
    "fd00::9:9",
    "2001:db8::7",
];
const MOST_PODS: usize = 10;

impl World {
    /// Every Pod, direction, peer and packet.
    pub(crate) fn questions(&self) -> Vec<Question> {
        let strangers = STRANGERS.iter().map(|text| (address(text), false));
        let own_node = [("192.168.1.1", true), ("10.0.0.1", true)].map(|(text, own)| (address(text), own));
        let pods = self
            .pods
            .iter()
            .flat_map(|pod| pod.addresses.iter().map(|&address| (address, false)));
        let peers: Vec<(IpAddr, bool)> = pods.chain(strangers).chain(own_node).collect();
        let mut questions = Vec::new();
        for pod in 0..self.pods.len() {
            for ingress in [true, false] {
                for &(peer, own_node) in &peers {
                    for (protocol, port) in PACKETS {
                        questions.push(Question {
                            ingress,
                            pod,
                            peer,
                            own_node,
                            protocol,
                            port,
                        });
                    }
                }
            }
        }
        questions
    }
}

pub(crate) fn worlds() -> impl Strategy<Value = World> {
    let namespaces = btree_map(namespace(), labels(), 0..=NAMESPACES.len());
    let policy_name = (namespace(), select(vec!["p", "q", "r", "s"]).prop_map(str::to_owned));
    let policies = btree_map(policy_name, spec(), 2..=12).prop_map(|policies| {
        policies
            .into_iter()
            .map(|((namespace, name), spec)| PolicyObject { namespace, name, spec })
            .collect()
    });
    (namespaces, pods(), policies).prop_map(|(namespaces, pods, policies)| World {
        namespaces,
        pods,
        policies,
    })
}

fn pods() -> impl Strategy<Value = Vec<PodObject>> {
    let pod_name = (
        namespace(),
        select(vec!["u", "v", "w", "x", "y"]).prop_map(str::to_owned),
    );
    let numbers = Just((1..=MOST_PODS).collect::<Vec<_>>()).prop_shuffle();
    (btree_map(pod_name, pod_body(), 3..=MOST_PODS), numbers).prop_map(|(pods, numbers)| {
        let mut pods: Vec<PodObject> = pods
            .into_iter()
            .map(|((namespace, name), pod)| PodObject { namespace, name, ..pod })
            .collect();
        for (pod, number) in pods.iter_mut().zip(&numbers) {
            pod.addresses = pod_addresses(pod, *number);
        }
        pods
    })
}

/// A Pod without name; its addresses are placeholders that say which families it has.
fn pod_body() -> impl Strategy<Value = PodObject> {
    let families = select(vec![
        vec![address("0.0.0.0")],
        vec![address("::")],
        vec![address("0.0.0.0"), address("::")],
    ]);
    let phase = prop_oneof![8 => Just("Running"), 1 => select(vec!["Pending", "Unknown", "Succeeded", "Failed"])];
    let host_network = prop::bool::weighted(0.1);
    (labels(), families, host_network, phase, vec(declared_port(), 0..=4)).prop_map(
        |(labels, addresses, host_network, phase, ports)| PodObject {
            namespace: String::new(),
            name: String::new(),
            labels,
            addresses,
            host_network,
            phase,
            ports,
        },
    )
}

/// A running Pod's addresses are its own, those of a finished Pod another's, and a node's Pods share the node's.
fn pod_addresses(pod: &PodObject, number: usize) -> Vec<IpAddr> {
    let finished = matches!(pod.phase, "Succeeded" | "Failed");
    let number = if finished { number % MOST_PODS + 1 } else { number };
    let own = |family: &IpAddr| match family {
        IpAddr::V4(_) => address(&format!("10.0.0.{number}")),
        IpAddr::V6(_) => address(&format!("fd00::{number}")),
    };
    if pod.host_network {
        return vec![address("192.168.1.1")];
    }
    pod.addresses.iter().map(own).collect()
}

fn declared_port() -> impl Strategy<Value = DeclaredPort> {
    let name = option::of(select(PORT_NAMES.to_vec()).prop_map(str::to_owned));
    (name, select(PROTOCOLS.to_vec()), select(PORTS.to_vec())).prop_map(|(name, protocol, number)| DeclaredPort {
        name,
        protocol,
        number,
    })
}

fn namespace() -> impl Strategy<Value = String> {
    select(NAMESPACES.to_vec()).prop_map(str::to_owned)
}

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    let text = |words: [&'static str; 3]| select(words.to_vec()).prop_map(str::to_owned);
    btree_map(text(KEYS), text(VALUES), 0..=KEYS.len())
}

/// A mapping with those of the fields that are there.
fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let present = fields
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(present.collect::<Map<_, _>>())
}

fn spec() -> impl Strategy<Value = Value> {
    let types = select(vec![
        None,
        Some(json!([])),
        Some(json!(["Ingress"])),
        Some(json!(["Egress"])),
        Some(json!(["Egress", "Ingress"])),
    ]);
    (option::weighted(0.5, selector()), types, section("from"), section("to")).prop_map(
        |(pods, types, ingress, egress)| {
            object([
                ("podSelector", pods),
                ("policyTypes", types),
                ("ingress", ingress),
                ("egress", egress),
            ])
        },
    )
}

fn section(peers: &'static str) -> impl Strategy<Value = Option<Value>> {
    let rule =
        (list_of(peer()), list_of(port())).prop_map(move |(listed, ports)| object([(peers, listed), ("ports", ports)]));
    list_of(rule)
}

/// A list of up to three, or no list.
fn list_of(item: impl Strategy<Value = Value>) -> impl Strategy<Value = Option<Value>> {
    option::weighted(0.8, vec(item, 0..=3).prop_map(Value::Array))
}

fn peer() -> impl Strategy<Value = Value> {
    let pods = |pods, namespaces| object([("podSelector", pods), ("namespaceSelector", namespaces)]);
    prop_oneof![
        selector().prop_map(move |selector| pods(Some(selector), None)),
        selector().prop_map(move |selector| pods(None, Some(selector))),
        (selector(), selector()).prop_map(move |(first, second)| pods(Some(first), Some(second))),
        ip_block().prop_map(|block| object([("ipBlock", Some(block))])),
    ]
}

fn selector() -> impl Strategy<Value = Value> {
    let match_labels = option::weighted(0.4, btree_map(select(KEYS.to_vec()), select(VALUES.to_vec()), 0..=1));
    let match_expressions = option::weighted(0.4, vec(expression(), 0..=2));
    (match_labels, match_expressions).prop_map(|(labels, expressions)| {
        object([
            ("matchLabels", labels.map(|labels| json!(labels))),
            ("matchExpressions", expressions.map(Value::Array)),
        ])
    })
}

fn expression() -> impl Strategy<Value = Value> {
    let key = select(vec!["app", "tier", "env", "kubernetes.io/metadata.name"]);
    let values = vec(select(vec!["a", "b", "", "red", "green"]), 1..=2);
    (key, select(vec!["In", "NotIn", "Exists", "DoesNotExist"]), values).prop_map(|(key, operator, values)| {
        match operator {
            "In" | "NotIn" => json!({"key": key, "operator": operator, "values": values}),
            _ => json!({"key": key, "operator": operator}),
        }
    })
}

/// A block around an address of the world, with bits behind its prefix, and exceptions inside it.
fn ip_block() -> impl Strategy<Value = Value> {
    let pods = (1..=MOST_PODS).flat_map(|number| [format!("10.0.0.{number}"), format!("fd00::{number}")]);
    let bases: Vec<String> = pods.chain(STRANGERS.map(str::to_owned)).collect();
    let shorter = select(vec![0u8, 1, 2, 3, 8, 16]);
    (select(bases.clone()), shorter, vec((select(bases), 1u8..=4), 0..=2)).prop_map(|(base, shorter, holes)| {
        let length = address_length(&base) - shorter * 2;
        let except: Vec<String> = holes
            .into_iter()
            .filter(|(hole, _)| shares_prefix(&base, hole, length))
            .filter(|(_, longer)| length + longer <= address_length(&base))
            .map(|(hole, longer)| format!("{hole}/{}", length + longer))
            .collect();
        json!({"cidr": format!("{base}/{length}"), "except": except})
    })
}

fn address_length(text: &str) -> u8 {
    if address(text).is_ipv4() { 32 } else { 128 }
}

fn shares_prefix(one: &str, other: &str, length: u8) -> bool {
    let (one, other) = (address(one), address(other));
    let number = |address| match address {
        IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
        IpAddr::V6(address) => u128::from(address),
    };
    one.is_ipv4() == other.is_ipv4() && (length == 0 || (number(one) ^ number(other)) >> (128 - length) == 0)
}

fn port() -> impl Strategy<Value = Value> {
    let numbers = select(vec![
        (None, None),
        (Some(json!(80)), None),
        (Some(json!(53)), None),
        (Some(json!("http")), None),
        (Some(json!("dns")), None),
        (Some(json!(60)), Some(json!(80))),
        (Some(json!(80)), Some(json!(80))),
        (Some(json!(81)), Some(json!(65535))),
    ]);
    let protocol = option::of(select(PROTOCOLS.to_vec()).prop_map(|word| json!(word)));
    (protocol, numbers)
        .prop_map(|(protocol, (port, end))| object([("protocol", protocol), ("port", port), ("endPort", end)]))
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}
