//! The second evaluator: loops over the objects as they are written, one sentence of the API after the other.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;

use crate::world::{PodObject, PolicyObject, Question, World};

/// What the policies say about one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    NotIsolated,
    Exempt,
    Allowed { policy: String, rule: usize },
    Isolated { policies: Vec<String> },
}

pub(crate) fn answer(world: &World, question: &Question) -> Answer {
    let pod = &world.pods[question.pod];
    let section = if question.ingress { "ingress" } else { "egress" };

    let mut isolating: Vec<&PolicyObject> = Vec::new();
    for policy in &world.policies {
        if policy.namespace == pod.namespace
            && has_a_network_of_its_own(pod)
            && affects(&policy.spec, question.ingress)
            && selects(&policy.spec["podSelector"], &pod.labels)
        {
            isolating.push(policy);
        }
    }
    isolating.sort_by_key(|policy| &policy.name);

    // "Traffic is allowed to a pod if there are no NetworkPolicies selecting the pod"
    if isolating.is_empty() {
        return Answer::NotIsolated;
    }
    // "a Pod cannot block access to itself"
    if pod.addresses.contains(&question.peer) && !question.own_node {
        return Answer::Exempt;
    }
    // "OR if the traffic source is the pod's local node"
    if question.ingress && question.own_node {
        return Answer::Exempt;
    }
    // "OR if the traffic matches at least one ingress rule across all of the NetworkPolicy objects whose podSelector
    // matches the pod"
    for policy in &isolating {
        for (i, rule) in list(&policy.spec[section]).iter().enumerate() {
            if rule_matches(world, question, policy, rule) {
                return Answer::Allowed {
                    policy: shown(policy),
                    rule: i,
                };
            }
        }
    }
    Answer::Isolated {
        policies: isolating.iter().map(|policy| shown(policy)).collect(),
    }
}

/// "If this field is not specified, it will default based on the existence of ingress or egress rules; policies that
/// contain an egress section are assumed to affect egress, and all policies (whether or not they contain an ingress
/// section) are assumed to affect ingress."
fn affects(spec: &Value, ingress: bool) -> bool {
    let types = list(&spec["policyTypes"]);
    if types.is_empty() {
        return ingress || !list(&spec["egress"]).is_empty();
    }
    types
        .iter()
        .any(|word| word == if ingress { "Ingress" } else { "Egress" })
}

/// "If this field is empty or missing, this rule matches all sources"
fn rule_matches(world: &World, question: &Question, policy: &PolicyObject, rule: &Value) -> bool {
    let peers = list(&rule[if question.ingress { "from" } else { "to" }]);
    let ports = list(&rule["ports"]);
    let mut peer_matches = peers.is_empty();
    for peer in peers {
        peer_matches |= peer_matches_question(world, question, policy, peer);
    }
    let mut port_matches = ports.is_empty();
    for port in ports {
        port_matches |= port_matches_question(world, question, port);
    }
    peer_matches && port_matches
}

fn peer_matches_question(world: &World, question: &Question, policy: &PolicyObject, peer: &Value) -> bool {
    if !peer["ipBlock"].is_null() {
        let block = &peer["ipBlock"];
        let excepted = list(&block["except"])
            .iter()
            .any(|except| contains(except, question.peer));
        return contains(&block["cidr"], question.peer) && !excepted;
    }
    let Some(pod) = peer_pod(world, question) else {
        return false;
    };
    // "Otherwise it selects the Pods matching podSelector in the policy's own namespace."
    let namespace_matches = if peer["namespaceSelector"].is_null() {
        pod.namespace == policy.namespace
    } else {
        selects(&peer["namespaceSelector"], &namespace_labels(world, &pod.namespace))
    };
    namespace_matches && selects(&peer["podSelector"], &pod.labels)
}

/// "If present, only traffic on the specified protocol AND port will be matched."
fn port_matches_question(world: &World, question: &Question, port: &Value) -> bool {
    let protocol = port["protocol"].as_str().unwrap_or("TCP");
    if question.protocol != protocol {
        return false;
    }
    if port["port"].is_null() {
        return true;
    }
    let Some(number) = question.port else {
        return false;
    };
    match port["port"].as_str() {
        Some(name) => {
            let destination = if question.ingress {
                Some(&world.pods[question.pod])
            } else {
                peer_pod(world, question)
            };
            destination.is_some_and(|pod| {
                pod.ports.iter().any(|declared| {
                    declared.name.as_deref() == Some(name) && declared.protocol == protocol && declared.number == number
                })
            })
        }
        None => {
            let first = port["port"].as_u64().expect("a number or a name");
            // "endPort indicates that the range of ports from port to endPort if set, inclusive, should be allowed"
            let last = port["endPort"].as_u64().unwrap_or(first);
            first <= u64::from(number) && u64::from(number) <= last
        }
    }
}

/// "An empty label selector matches all objects. A null label selector matches no objects": who asks has seen to null
/// where it means something else than empty.
fn selects(selector: &Value, labels: &BTreeMap<String, String>) -> bool {
    if let Some(wanted) = selector["matchLabels"].as_object() {
        for (key, value) in wanted {
            if labels.get(key).map(String::as_str) != value.as_str() {
                return false;
            }
        }
    }
    for expression in list(&selector["matchExpressions"]) {
        let value = labels.get(expression["key"].as_str().expect("a key"));
        let listed = list(&expression["values"])
            .iter()
            .any(|candidate| candidate.as_str() == value.map(String::as_str));
        let holds = match expression["operator"].as_str().expect("an operator") {
            "In" => value.is_some() && listed,
            "NotIn" => value.is_none() || !listed,
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            other => panic!("{other}"),
        };
        if !holds {
            return false;
        }
    }
    true
}

fn peer_pod<'a>(world: &'a World, question: &Question) -> Option<&'a PodObject> {
    world
        .pods
        .iter()
        .find(|pod| !question.own_node && has_a_network_of_its_own(pod) && pod.addresses.contains(&question.peer))
}

fn has_a_network_of_its_own(pod: &PodObject) -> bool {
    !pod.host_network && pod.phase != "Succeeded" && pod.phase != "Failed"
}

fn namespace_labels(world: &World, name: &str) -> BTreeMap<String, String> {
    let mut labels = world.namespaces.get(name).cloned().unwrap_or_default();
    labels.insert("kubernetes.io/metadata.name".to_owned(), name.to_owned());
    labels
}

/// Whether the network `cidr` holds `address`, bit by bit.
fn contains(cidr: &Value, address: IpAddr) -> bool {
    let (network, length) = cidr.as_str().and_then(|text| text.split_once('/')).expect("a network");
    let network = bits(network.parse().expect("an address"));
    let length: usize = length.parse().expect("a length");
    let address = bits(address);
    network.len() == address.len() && network[..length] == address[..length]
}

fn bits(address: IpAddr) -> Vec<bool> {
    let bytes = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1))
        .collect()
}

/// The items of a list; none if it is null or missing.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn shown(policy: &PolicyObject) -> String {
    format!("K8sNetworkPolicy:{}/{}", policy.namespace, policy.name)
}
