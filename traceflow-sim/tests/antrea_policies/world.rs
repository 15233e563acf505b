//! A small cluster, and questions about it in one line.

use traceflow_core::names::ObjectName;
use traceflow_core::packet::Protocol;
use traceflow_sim::Cluster;
use traceflow_sim::policy::{Access, Decision, Denial, Direction, Exempt, Peer, PolicyIndex};

/// `default` has `web` and `client`, `prod` (env: prod, team: blue) has `web` and `db`, `dev` (env: dev, team: blue) has
/// `client`; all Pods are labelled `app: NAME`, and `prod/web` and `dev/client` run as `build`. Service `prod/store` selects `app: db`.
pub(crate) const CLUSTER: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: prod, labels: {env: prod, team: blue}}
---
apiVersion: v1
kind: Namespace
metadata: {name: dev, labels: {env: dev, team: blue}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {nodeName: a, containers: [{name: web, ports: [{name: http, containerPort: 8080}]}]}
status: {phase: Running, podIP: 10.244.0.10}
---
apiVersion: v1
kind: Pod
metadata: {name: client, labels: {app: client}}
spec: {nodeName: a}
status: {phase: Running, podIP: 10.244.0.11}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: prod, labels: {app: web}}
spec: {nodeName: a, serviceAccountName: build}
status: {phase: Running, podIP: 10.244.0.12}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: prod, labels: {app: db}}
spec: {nodeName: a}
status: {phase: Running, podIP: 10.244.0.13}
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: dev, labels: {app: client}}
spec: {nodeName: a, serviceAccountName: build}
status: {phase: Running, podIP: 10.244.0.14}
---
apiVersion: v1
kind: Pod
metadata: {name: host, labels: {app: web}}
spec: {nodeName: a, hostNetwork: true}
status: {phase: Running, podIP: 172.18.0.2}
---
apiVersion: v1
kind: Service
metadata: {name: store, namespace: prod}
spec: {selector: {app: db}, ports: [{port: 80}]}
";

/// The cluster with these objects beside its own.
pub(crate) fn with(objects: &str) -> Cluster {
    let text = if objects.is_empty() {
        CLUSTER.to_owned()
    } else {
        format!("{CLUSTER}---\n{objects}")
    };
    Cluster::from_yaml(&text).unwrap_or_else(|error| panic!("{error}"))
}

/// Answers `ingress web from client TCP/80` and `egress web to 192.0.2.1 ICMP/8`, with what decided.
pub(crate) fn ask(cluster: &Cluster, question: &str) -> String {
    show(&cluster.policies().decide(&access(cluster.policies(), question)))
}

/// All questions with their answers, one per line.
pub(crate) fn ask_all(cluster: &Cluster, questions: &[&str]) -> String {
    let lines = questions
        .iter()
        .map(|question| format!("{question}: {}\n", ask(cluster, question)));
    lines.collect()
}

fn access(index: &PolicyIndex, question: &str) -> Access {
    let words: Vec<&str> = question.split(' ').collect();
    let (direction, pod, peer, packet) = match words[..] {
        ["ingress", pod, "from", peer, packet] => (Direction::Ingress, pod, peer, packet),
        ["egress", pod, "to", peer, packet] => (Direction::Egress, pod, peer, packet),
        _ => panic!("{question}"),
    };
    let (protocol, numbers) = packet.split_once('/').unwrap_or((packet, ""));
    let number = |text: &str| text.parse::<u16>().ok();
    let (source_port, destination_port, icmp) = match protocol {
        "ICMP" => (None, None, number(numbers).map(|kind| (kind as u8, 0))),
        _ => match numbers.split_once('>') {
            Some((from, to)) => (number(from), number(to), None),
            None => (Some(40_000), number(numbers), None),
        },
    };
    Access {
        direction,
        pod: index.pod_id(&object_name(pod)).expect(pod),
        peer: match peer {
            "own-node" => Peer::OwnNode("10.244.0.1".parse().unwrap()),
            _ => Peer::Address(address(peer)),
        },
        protocol: match protocol {
            "TCP" => Protocol::TCP,
            "UDP" => Protocol::UDP,
            "ICMP" => Protocol::ICMP,
            _ => panic!("{question}"),
        },
        source_port,
        destination_port,
        icmp,
    }
}

fn address(peer: &str) -> std::net::IpAddr {
    let last = match peer {
        "web" => 10,
        "client" => 11,
        "prod/web" => 12,
        "prod/db" => 13,
        "dev/client" => 14,
        "host" => return "172.18.0.2".parse().unwrap(),
        address => return address.parse().expect(address),
    };
    [10, 244, 0, last].into()
}

fn object_name(text: &str) -> ObjectName {
    let (namespace, name) = text.split_once('/').unwrap_or(("default", text));
    ObjectName::new(namespace, name)
}

fn show(decision: &Decision) -> String {
    let named = |place: &usize, name: &Option<std::sync::Arc<str>>| match name {
        Some(name) => name.to_string(),
        None => place.to_string(),
    };
    match decision {
        Decision::NotIsolated => "not isolated".to_owned(),
        Decision::Exempt(Exempt::Itself) => "exempt, itself".to_owned(),
        Decision::Exempt(Exempt::OwnNode) => "exempt, own node".to_owned(),
        Decision::Allowed {
            policy,
            rule,
            rule_name,
        } => format!("allowed by {policy}[{}]", named(rule, rule_name)),
        Decision::Passed {
            policy,
            rule,
            rule_name,
        } => format!("passed by {policy}[{}]", named(rule, rule_name)),
        Decision::Denied {
            policy,
            rule,
            rule_name,
            denial,
        } => {
            let verb = match denial {
                Denial::Drop => "dropped",
                Denial::Reject => "rejected",
            };
            format!("{verb} by {policy}[{}]", named(rule, rule_name))
        }
        Decision::Isolated { policies } => {
            let names: Vec<String> = policies.iter().map(ToString::to_string).collect();
            format!("isolated by {}", names.join(", "))
        }
    }
}
