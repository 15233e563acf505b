//! Policies where they meet the rest of the pipeline: Services, connections, nodes.

use traceflow_core::observation::{Component, DropReason, Observation};
use traceflow_core::trace::{Prediction, Verdict};
use traceflow_sim::{Cluster, SimNetwork};

/// Two nodes; `client` and `web` are apart, `db` is beside `web`, and `agent` is on the host's network of node `a`.
const CLUSTER: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: client, labels: {app: client}}
spec: {nodeName: a}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  nodeName: b
  containers:
  - {name: web, ports: [{name: http, containerPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, labels: {app: db}}
spec: {nodeName: b}
---
apiVersion: v1
kind: Pod
metadata: {name: agent, labels: {app: client}}
spec: {nodeName: a, hostNetwork: true}
---
apiVersion: v1
kind: Node
metadata: {name: a}
spec: {podCIDR: 10.0.1.0/24}
status: {addresses: [{type: InternalIP, address: 192.168.1.1}]}
---
apiVersion: v1
kind: Node
metadata: {name: b}
spec: {podCIDR: 10.0.2.0/24}
status: {addresses: [{type: InternalIP, address: 192.168.1.2}]}
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: http}]
"#;

#[test]
fn a_service_is_judged_by_its_endpoint_and_target_port() {
    let network = network(&[
        "{name: out} | {podSelector: {matchLabels: {app: client}}, policyTypes: [Egress], \
         egress: [{to: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 8080}]}]}",
        "{name: in} | {podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: http}]}]}",
    ]);
    assert_eq!(
        sent(&network, "client->shop tcp,tcp_dst=80"),
        ["EgressRule out, IngressRule in, delivered", "delivered"]
    );
}

#[test]
fn the_service_port_does_not_open_the_target_port() {
    let network = network(&[
        "{name: out} | {podSelector: {matchLabels: {app: client}}, policyTypes: [Egress], \
         egress: [{ports: [{port: 80}]}]}",
    ]);
    assert_eq!(
        sent(&network, "client->shop tcp,tcp_dst=80"),
        ["EgressDefaultRule isolated by out, dropped"]
    );
}

#[test]
fn the_service_address_is_no_peer() {
    let network = network(&[
        "{name: out} | {podSelector: {matchLabels: {app: client}}, policyTypes: [Egress], \
         egress: [{to: [{ipBlock: {cidr: 10.96.0.0/12}}]}]}",
    ]);
    assert_eq!(
        sent(&network, "client->shop tcp,tcp_dst=80"),
        ["EgressDefaultRule isolated by out, dropped"]
    );
}

#[test]
fn a_pod_that_its_service_leads_back_may_need_leave_to_send_and_none_to_receive() {
    let web_to_web = |network: &SimNetwork| sent(network, "web->shop tcp,tcp_dst=80");
    let shut_in = network(&["{name: shut} | {policyTypes: [Ingress]}"]);
    assert_eq!(web_to_web(&shut_in), ["delivered", "delivered"]);
    let shut = network(&["{name: shut} | {policyTypes: [Ingress, Egress]}"]);
    assert_eq!(web_to_web(&shut), ["EgressDefaultRule isolated by shut, dropped"]);
    let open_out = network(&["{name: out} | {policyTypes: [Ingress, Egress], \
         egress: [{to: [{podSelector: {matchLabels: {app: web}}}]}]}"]);
    assert_eq!(web_to_web(&open_out), ["EgressRule out, delivered", "delivered"]);
}

#[test]
fn a_pod_reaches_itself_directly_however_isolated() {
    let network = network(&["{name: shut} | {policyTypes: [Ingress, Egress]}"]);
    assert_eq!(sent(&network, "web->web tcp,tcp_dst=80"), ["delivered", "delivered"]);
}

#[test]
fn answers_pass_though_their_own_direction_is_isolated() {
    let network = network(&[
        "{name: in} | {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress, Egress], \
         ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]}",
        "{name: out} | {podSelector: {matchLabels: {app: client}}, policyTypes: [Ingress, Egress], egress: [{}]}",
    ]);
    for request in [
        "client->web tcp,tcp_dst=80",
        "client->web udp,udp_dst=80",
        "client->web icmp",
    ] {
        assert_eq!(
            sent(&network, request),
            ["EgressRule out, IngressRule in, delivered", "delivered"],
            "{request}"
        );
    }
    assert_eq!(
        sent(&network, "web->client tcp,tcp_dst=80"),
        ["EgressDefaultRule isolated by in, dropped"]
    );
}

#[test]
fn the_own_node_reaches_an_isolated_pod_and_other_nodes_do_not() {
    let network = network(&["{name: shut} | {policyTypes: [Ingress]}"]);
    assert_eq!(
        sent(&network, "192.168.1.2->web tcp,tcp_dst=80"),
        ["delivered", "delivered"]
    );
    assert_eq!(
        sent(&network, "192.168.1.1->web tcp,tcp_dst=80"),
        ["IngressDefaultRule isolated by shut, dropped"]
    );
}

#[test]
fn a_pod_on_the_hosts_network_is_its_node() {
    let network = network(&[
        "{name: clients} | {podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]}",
    ]);
    assert_eq!(
        sent(&network, "agent->client tcp,tcp_dst=80"),
        ["delivered", "delivered"]
    );
    assert_eq!(
        sent(&network, "agent->web tcp,tcp_dst=80"),
        ["IngressDefaultRule isolated by clients, dropped"]
    );
}

#[test]
fn traffic_from_outside_keeps_its_address() {
    let network =
        network(&["{name: office} | {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 198.51.100.0/24}}]}]}"]);
    assert_eq!(
        sent(&network, "198.51.100.7->web tcp,tcp_dst=80"),
        ["IngressRule office, delivered", "left"]
    );
    assert_eq!(
        sent(&network, "203.0.113.1->web tcp,tcp_dst=80"),
        ["IngressDefaultRule isolated by office, dropped"]
    );
}

#[test]
fn a_drop_names_every_policy_that_isolates() {
    let network = network(&[
        "{name: b} | {podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 80}]}]}",
        "{name: a} | {podSelector: {}}",
        "{name: c} | {podSelector: {}, policyTypes: [Egress], egress: [{}]}",
    ]);
    assert_eq!(
        sent(&network, "client->web icmp"),
        ["EgressRule c, IngressDefaultRule isolated by a b, dropped"]
    );
}

/// The cluster with these policies, each as `metadata | spec`.
fn network(policies: &[&str]) -> SimNetwork {
    let mut text = CLUSTER.to_owned();
    for policy in policies {
        let (metadata, spec) = policy.split_once(" | ").expect("metadata | spec");
        let head = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy";
        text.push_str(&format!("---\n{head}\nmetadata: {metadata}\nspec: {spec}\n"));
    }
    SimNetwork::new(Cluster::from_yaml(&text).unwrap_or_else(|error| panic!("{error}")))
}

/// What policies did with the request, and with its answer if there was one.
fn sent(network: &SimNetwork, traffic: &str) -> Vec<String> {
    let traffic = traffic.parse().unwrap_or_else(|error| panic!("{error}"));
    let fate = network.send(&traffic).unwrap_or_else(|error| panic!("{error}"));
    [Some(fate.request), fate.answer].iter().flatten().map(show).collect()
}

fn show(path: &Prediction) -> String {
    let observations = path.hops.iter().flat_map(|hop| &hop.observations);
    let end = match &path.verdict {
        Verdict::Delivered { .. } => "delivered",
        Verdict::Dropped { .. } => "dropped",
        Verdict::LeftNetwork { .. } => "left",
        other => panic!("{other:?}"),
    };
    let mut words: Vec<String> = observations
        .filter(|seen| seen.component == Component::NetworkPolicy)
        .map(show_observation)
        .collect();
    words.push(end.to_owned());
    words.join(", ")
}

fn show_observation(seen: &Observation) -> String {
    let place = seen.component_info.as_ref().expect("a place");
    match (&seen.network_policy, &seen.reason) {
        (Some(policy), None) => format!("{place} {}", policy.name),
        (None, Some(DropReason::DefaultIsolation { policies })) => {
            let names: Vec<&str> = policies.iter().map(|policy| &*policy.name).collect();
            format!("{place} isolated by {}", names.join(" "))
        }
        other => panic!("{other:?}"),
    }
}
