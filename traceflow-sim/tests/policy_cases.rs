//! The NetworkPolicy API, point by point: `policy_cases/*.yaml` holds the cases, `cluster.yaml` the cluster they ask
//! about.
//!
//! A question reads `ingress web from client TCP/80: isolated by a`: the direction, the Pod that is asked about, its
//! peer (a Pod, an address or `own-node`), the protocol with the destination port if there is one, and the answer.
//! `a[0]` is the first rule of policy `a`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use traceflow_core::input::{BadInput, Documents, Field, Place, Text};
use traceflow_core::names::ObjectName;
use traceflow_core::observation::PolicyRef;
use traceflow_core::packet::Protocol;
use traceflow_sim::model::{ContainerPort, Labels, Namespace, Pod};
use traceflow_sim::policy::{Access, Decision, Direction, Exempt, NetworkPolicy, Peer, PolicyIndex};

const FILES: [(&str, &str); 6] = [
    ("isolation.yaml", include_str!("policy_cases/isolation.yaml")),
    ("selectors.yaml", include_str!("policy_cases/selectors.yaml")),
    ("peers.yaml", include_str!("policy_cases/peers.yaml")),
    ("ip_blocks.yaml", include_str!("policy_cases/ip_blocks.yaml")),
    ("ports.yaml", include_str!("policy_cases/ports.yaml")),
    ("union.yaml", include_str!("policy_cases/union.yaml")),
];

#[test]
fn isolation_follows_pod_selector_and_policy_types() {
    assert_cases_hold("isolation.yaml");
}

#[test]
fn selectors_select_by_labels_and_expressions() {
    assert_cases_hold("selectors.yaml");
}

#[test]
fn peers_are_pods_namespaces_or_everybody() {
    assert_cases_hold("peers.yaml");
}

#[test]
fn ip_blocks_match_addresses_but_their_exceptions() {
    assert_cases_hold("ip_blocks.yaml");
}

#[test]
fn ports_open_numbers_ranges_and_names_of_their_protocol() {
    assert_cases_hold("ports.yaml");
}

#[test]
fn policies_and_rules_add_up() {
    assert_cases_hold("union.yaml");
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let names: Vec<Arc<str>> = FILES
        .iter()
        .flat_map(|(label, text)| read_cases(label, text))
        .map(|case| case.name)
        .collect();
    let distinct: BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len());
    assert!(distinct.len() >= 160, "{} cases", distinct.len());
}

fn assert_cases_hold(file: &str) {
    let (label, text) = FILES
        .into_iter()
        .find(|(label, _)| *label == file)
        .expect("a file of the list");
    let cases = read_cases(label, text);
    let wrong: Vec<String> = cases.iter().flat_map(|case| case.wrong_answers(file)).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// One document of a case file.
struct Case {
    name: Arc<str>,
    index: PolicyIndex,
    pods: BTreeMap<ObjectName, Pod>,
    /// Place, question and expected answer.
    questions: Vec<(Place, Arc<str>, Arc<str>)>,
}

impl Case {
    fn wrong_answers(&self, file: &str) -> Vec<String> {
        self.questions
            .iter()
            .filter_map(|(place, question, expected)| {
                let answer = show(&self.index.decide(&self.traffic(question)));
                (answer != **expected).then(|| {
                    format!(
                        "{file}:{place}: {}\n    {question}: {expected}\n    but: {answer}",
                        self.name
                    )
                })
            })
            .collect()
    }

    fn traffic(&self, question: &str) -> Access {
        let words: Vec<&str> = question.split(' ').collect();
        let (direction, pod, peer, packet) = match words[..] {
            ["ingress", pod, "from", peer, packet] => (Direction::Ingress, pod, peer, packet),
            ["egress", pod, "to", peer, packet] => (Direction::Egress, pod, peer, packet),
            _ => panic!("{question}"),
        };
        let (protocol, destination_port) = read_packet(packet);
        Access {
            direction,
            pod: self.index.pod_id(&object_name(pod)).expect(pod),
            peer: self.peer(peer),
            protocol,
            source_port: None,
            destination_port,
            icmp: None,
        }
    }

    fn peer(&self, word: &str) -> Peer {
        if word == "own-node" {
            return Peer::OwnNode(IpAddr::from([192, 168, 1, 1]));
        }
        Peer::Address(word.parse().unwrap_or_else(|_| {
            let pod = self.pods.get(&object_name(word)).expect(word);
            pod.addresses[0]
        }))
    }
}

fn show(decision: &Decision) -> String {
    match decision {
        Decision::NotIsolated => "not isolated".to_owned(),
        Decision::Exempt(Exempt::Itself) => "exempt, itself".to_owned(),
        Decision::Exempt(Exempt::OwnNode) => "exempt, own node".to_owned(),
        Decision::Allowed { policy, rule, .. } => format!("allowed by {}[{rule}]", short_name(policy)),
        Decision::Isolated { policies } => {
            let names: Vec<String> = policies.iter().map(short_name).collect();
            format!("isolated by {}", names.join(", "))
        }
        Decision::Denied { policy, .. } | Decision::Passed { policy, .. } => panic!("{policy} is Antrea's"),
    }
}

fn short_name(policy: &PolicyRef) -> String {
    let full = policy.to_string();
    let name = full.strip_prefix("K8sNetworkPolicy:").expect("the kind in front");
    name.strip_prefix("default/").unwrap_or(name).to_owned()
}

fn object_name(text: &str) -> ObjectName {
    let (namespace, name) = text.split_once('/').unwrap_or(("default", text));
    ObjectName::new(namespace, name)
}

/// `TCP/80`, `ICMP`, or a protocol number; a protocol that has ports without one if the packet doesn't show it.
fn read_packet(text: &str) -> (Protocol, Option<u16>) {
    let (protocol, port) = match text.split_once('/') {
        Some((protocol, port)) => (protocol, Some(port.parse().expect("a port"))),
        None => (text, None),
    };
    let protocol = match protocol {
        "TCP" => Protocol::TCP,
        "UDP" => Protocol::UDP,
        "SCTP" => Protocol::SCTP,
        "ICMP" => Protocol::ICMP,
        "ICMPv6" => Protocol::ICMPV6,
        number => Protocol(number.parse().expect("a protocol")),
    };
    (protocol, port)
}

fn read_cases(label: &str, text: &str) -> Vec<Case> {
    let text = Text::new(label, text);
    let (index, pods) = read_cluster().unwrap_or_else(|error| panic!("{error}"));
    Documents::new(&text)
        .map(|document| read_case(&document?.root(), index.clone(), pods.clone()))
        .collect::<Result<_, BadInput>>()
        .unwrap_or_else(|error| panic!("{error}"))
}

fn read_case(case: &Field<'_>, mut index: PolicyIndex, pods: BTreeMap<ObjectName, Pod>) -> Result<Case, BadInput> {
    case.only(&["case", "policies", "questions"])?;
    if let Some(policies) = case.optional("policies")? {
        for (name, policy) in policies.fields()? {
            index.insert_policy(NetworkPolicy::read(object_name(name), &policy)?);
        }
    }
    let questions = case
        .required("questions")?
        .fields()?
        .map(|(question, answer)| Ok((answer.place(), Arc::clone(question), answer.string()?)))
        .collect::<Result<_, _>>()?;
    let name = case.required("case")?.string()?;
    Ok(Case {
        name,
        index,
        pods,
        questions,
    })
}

fn read_cluster() -> Result<(PolicyIndex, BTreeMap<ObjectName, Pod>), BadInput> {
    let text = Text::new("cluster.yaml", include_str!("policy_cases/cluster.yaml"));
    let document = Documents::new(&text).next().expect("a document")?;
    let root = document.root();
    let mut index = PolicyIndex::default();
    for (name, labels) in root.required("namespaces")?.fields()? {
        let name = Arc::clone(name);
        let labels = read_labels(&labels)?;
        index.insert_namespace(&Namespace { name, labels });
    }
    let mut pods = BTreeMap::new();
    for (name, pod) in root.required("pods")?.fields()? {
        let pod = read_pod(object_name(name), &pod)?;
        index.insert_pod(pod.clone());
        pods.insert(pod.name.clone(), pod);
    }
    Ok((index, pods))
}

fn read_pod(name: ObjectName, pod: &Field<'_>) -> Result<Pod, BadInput> {
    pod.only(&["labels", "addresses", "hostNetwork", "phase", "ports"])?;
    let labels = pod.optional("labels")?.map(|labels| read_labels(&labels)).transpose()?;
    let host_network = pod.optional("hostNetwork")?.map(|field| field.boolean()).transpose()?;
    let phase = pod.optional("phase")?.map(|phase| phase.string()).transpose()?;
    let addresses = pod.items("addresses")?.map(|address| address.parsed("an address"));
    let ports = pod.items("ports")?.map(|port| Ok(read_container_port(&port.string()?)));
    Ok(Pod {
        name,
        labels: labels.unwrap_or_default(),
        node: Some("node-1".into()),
        addresses: addresses.collect::<Result<_, _>>()?,
        host_addresses: Vec::new(),
        host_network: host_network.unwrap_or(false),
        phase: phase.unwrap_or_else(|| "Running".into()),
        ready: true,
        terminating: false,
        service_account: Pod::DEFAULT_SERVICE_ACCOUNT.into(),
        ports: ports.collect::<Result<_, _>>()?,
    })
}

fn read_labels(labels: &Field<'_>) -> Result<Labels, BadInput> {
    labels
        .fields()?
        .map(|(key, value)| Ok((Arc::clone(key), value.string()?)))
        .collect()
}

/// `http TCP/80`, or `TCP/80` without a name.
fn read_container_port(text: &str) -> ContainerPort {
    let (name, packet) = match text.split_once(' ') {
        Some((name, packet)) => (Some(name.into()), packet),
        None => (None, text),
    };
    let (protocol, port) = read_packet(packet);
    ContainerPort {
        name,
        protocol,
        port: port.expect("a port"),
    }
}
