//! What blocks a packet, and what would let it through.

use std::collections::BTreeSet;

use expect_test::{Expect, expect};
use proptest::prelude::*;
use traceflow_core::names::ObjectName;
use traceflow_core::packet::Protocol;
use traceflow_core::plan::Plan;
use traceflow_core::spec::CommandLine;
use traceflow_core::trace::{Predictor, Trace};
use traceflow_sim::explain::{Change, Explanation, Opening, Remedy};
use traceflow_sim::policy::{Access, Direction, Peer};
use traceflow_sim::{Cluster, ClusterBuilder};

fn builder() -> ClusterBuilder {
    Cluster::builder()
        .node("a")
        .node("b")
        .pod("client", "a")
        .label("app", "client")
        .pod("client-2", "a")
        .label("app", "client")
        .pod("web", "b")
        .label("app", "web")
        .pod("web-2", "b")
        .label("app", "web")
        .pod("prod/db", "b")
        .label("app", "db")
        .pod("bare", "a")
}

fn plan(cluster: &Cluster, source: &str, destination: &str, flow: &str) -> Plan {
    let asked = CommandLine {
        source: Some(source),
        destination: Some(destination),
        flow: Some(flow),
        ..CommandLine::default()
    };
    Plan::resolve(&asked.spec(cluster).unwrap(), cluster, &mut fastrand::Rng::with_seed(1)).unwrap()
}

fn explained(cluster: &Cluster, source: &str, destination: &str, flow: &str) -> Explanation {
    cluster.explain(&plan(cluster, source, destination, flow)).unwrap()
}

fn check(policies: &[&str], destination: &str, flow: &str, expected: Expect) {
    let cluster = policies.iter().fold(builder(), |builder, policy| builder.yaml(policy));
    let explanation = explained(&cluster.build().unwrap(), "client", destination, flow);
    expected.assert_eq(&explanation.to_string());
}

const NOTHING_IN_DEFAULT: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
";

const WEB_FROM_BARE: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec: {podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 81}]}]}
";

const STRICT: &str = "
apiVersion: crd.antrea.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {name: strict}
spec:
  tier: securityops
  priority: 1
  appliedTo: [{podSelector: {matchLabels: {app: web}}}]
  ingress:
  - {action: Allow, name: admin, ports: [{port: 22}]}
  - {action: Drop, name: no-clients, from: [{podSelector: {matchLabels: {app: client}}}]}
  - {action: Reject, name: nobody}
";

#[test]
fn a_packet_that_passes_is_blocked_by_nothing() {
    check(
        &[],
        "web",
        "tcp,tcp_dst=80",
        expect![[r#"
            No policy blocks this packet.
            It would be delivered on b.
        "#]],
    );
}

#[test]
fn both_ends_are_told_and_a_policy_of_its_own_opens_least() {
    check(
        &[NOTHING_IN_DEFAULT],
        "web",
        "tcp,tcp_dst=80",
        expect![[r#"
            Blocked by policies, in this order:
              1. on a, policies of default/client for what it sends:
                 no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/closed
                 to let this packet through, and as little else as a rule can say:
                   kubectl create -f - <<< '{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "allow-for-client", "namespace": "default"}, "spec": {"podSelector": {"matchLabels": {"app": "client"}}, "policyTypes": ["Egress"], "egress": [{"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}, "podSelector": {"matchLabels": {"app": "web"}}}], "ports": [{"protocol": "TCP", "port": 80}]}]}}'
                 that also opens 3 pairs to TCP port 80: default/client -> default/web-2; default/client-2 -> default/web, default/web-2
              2. on b, policies of default/web for what it receives:
                 no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/closed
                 to let this packet through, and as little else as a rule can say:
                   kubectl create -f - <<< '{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "allow-for-web", "namespace": "default"}, "spec": {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}, "podSelector": {"matchLabels": {"app": "client"}}}], "ports": [{"protocol": "TCP", "port": 80}]}]}}'
                 that also opens 3 pairs to TCP port 80: default/client -> default/web-2; default/client-2 -> default/web, default/web-2
            With all of these changes the packet would be delivered on b.
        "#]],
    );
}

#[test]
fn a_rule_in_a_policy_that_selects_few_is_enough() {
    check(
        &[WEB_FROM_BARE],
        "web",
        "tcp,tcp_dst=80",
        expect![[r#"
            Blocked by policies, in this order:
              1. on b, policies of default/web for what it receives:
                 no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/web
                 to let this packet through, and as little else as a rule can say:
                   kubectl patch networkpolicies web -n default --type json -p '[{"op": "add", "path": "/spec/ingress/1", "value": {"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}, "podSelector": {"matchLabels": {"app": "client"}}}], "ports": [{"protocol": "TCP", "port": 80}]}}]'
                 that also opens 3 pairs to TCP port 80: default/client -> default/web-2; default/client-2 -> default/web, default/web-2
            With that change the packet would be delivered on b.
        "#]],
    );
}

#[test]
fn what_would_block_behind_a_rule_is_told_with_it() {
    check(
        &[STRICT, WEB_FROM_BARE],
        "web",
        "tcp,tcp_dst=80",
        expect![[r#"
            Blocked by policies, in this order:
              1. on b, policies of default/web for what it receives:
                 rule no-clients of AntreaClusterNetworkPolicy:strict drops it
                 and behind that, rule nobody of AntreaClusterNetworkPolicy:strict rejects it
                 and behind that, no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/web
                 to let this packet through, and as little else as a rule can say:
                   kubectl patch clusternetworkpolicies.crd.antrea.io strict --type json -p '[{"op": "add", "path": "/spec/ingress/1", "value": {"action": "Allow", "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}, "podSelector": {"matchLabels": {"app": "client"}}}], "ports": [{"protocol": "TCP", "port": 80}]}}]'
                 that also opens 3 pairs to TCP port 80: default/client -> default/web-2; default/client-2 -> default/web, default/web-2
            With that change the packet would be delivered on b.
        "#]],
    );
}

#[test]
fn icmp_can_be_let_in_alone_by_antreas_policies_only() {
    check(
        &[STRICT],
        "web",
        "icmp",
        expect![[r#"
            Blocked by policies, in this order:
              1. on b, policies of default/web for what it receives:
                 rule no-clients of AntreaClusterNetworkPolicy:strict drops it
                 and behind that, rule nobody of AntreaClusterNetworkPolicy:strict rejects it
                 to let this packet through, and as little else as a rule can say:
                   kubectl patch clusternetworkpolicies.crd.antrea.io strict --type json -p '[{"op": "add", "path": "/spec/ingress/1", "value": {"action": "Allow", "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}, "podSelector": {"matchLabels": {"app": "client"}}}], "protocols": [{"icmp": {"icmpType": 8, "icmpCode": 0}}]}}]'
                 that also opens 3 pairs to ICMP of this type: default/client -> default/web-2; default/client-2 -> default/web, default/web-2
            With that change the packet would be delivered on b.
        "#]],
    );
    check(
        &[WEB_FROM_BARE],
        "web",
        "icmp",
        expect![[r#"
            Blocked by policies, in this order:
              1. on b, policies of default/web for what it receives:
                 no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/web
                 to let this packet through, and as little else as a rule can say:
                   kubectl patch networkpolicies web -n default --type json -p '[{"op": "add", "path": "/spec/ingress/1", "value": {"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}, "podSelector": {"matchLabels": {"app": "client"}}}]}}]'
                 such a rule can't be about one protocol without ports: it opens all ports and protocols
                 that also opens 3 pairs to ICMP: default/client -> default/web-2; default/client-2 -> default/web, default/web-2
            With that change the packet would be delivered on b.
        "#]],
    );
}

#[test]
fn what_no_policy_can_change_is_said() {
    let cluster = builder()
        .yaml(NOTHING_IN_DEFAULT)
        .service("empty", 80)
        .selects("app", "nobody")
        .build()
        .unwrap();
    expect![[r#"
        No policy blocks this packet.
        It would be rejected on a: Service default/empty has no ready endpoint; no policy can change that.
    "#]]
    .assert_eq(&explained(&cluster, "client", "empty", "tcp,tcp_dst=80").to_string());
    expect![[r#"
        Blocked by policies, in this order:
          1. on a, policies of default/client for what it sends:
             no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/closed
             to let this packet through, and as little else as a rule can say:
               kubectl create -f - <<< '{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "allow-for-client", "namespace": "default"}, "spec": {"podSelector": {"matchLabels": {"app": "client"}}, "policyTypes": ["Egress"], "egress": [{"to": [{"ipBlock": {"cidr": "10.244.1.99/32"}}], "ports": [{"protocol": "TCP", "port": 80}]}]}}'
             that also opens 1 pair to TCP port 80: default/client-2 -> 10.244.1.99
        With that change the packet would be dropped on b: no Pod, Service or node has the destination address; no policy can change that.
    "#]].assert_eq(&explained(&cluster, "client", "10.244.1.99", "tcp,tcp_dst=80").to_string());
}

#[test]
fn a_peer_without_labels_and_one_outside_are_told_by_their_addresses() {
    let cluster = builder().yaml(WEB_FROM_BARE).yaml(NOTHING_IN_DEFAULT).build().unwrap();
    expect![[r#"
        Blocked by policies, in this order:
          1. on a, policies of default/bare for what it sends:
             no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/closed
             to let this packet through, and as little else as a rule can say:
               kubectl patch networkpolicies closed -n default --type json -p '[{"op": "add", "path": "/spec/egress", "value": [{"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}, "podSelector": {"matchLabels": {"app": "web"}}}], "ports": [{"protocol": "TCP", "port": 80}]}]}]'
             that also opens 1 pair to TCP port 80: default/bare -> default/web-2; 6 pairs more could pass here, but not at the other end
          2. on b, policies of default/web for what it receives:
             no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/closed, K8sNetworkPolicy:default/web
             to let this packet through, and as little else as a rule can say:
               kubectl patch networkpolicies web -n default --type json -p '[{"op": "add", "path": "/spec/ingress/1", "value": {"from": [{"ipBlock": {"cidr": "10.244.0.2/32"}}], "ports": [{"protocol": "TCP", "port": 80}]}}]'
             that also opens 1 pair to TCP port 80: default/bare -> default/web-2
        With all of these changes the packet would be delivered on b.
    "#]].assert_eq(&explained(&cluster, "bare", "web", "tcp,tcp_dst=80").to_string());
    expect![[r#"
        Blocked by policies, in this order:
          1. on a, policies of default/client for what it sends:
             no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/closed
             to let this packet through, and as little else as a rule can say:
               kubectl create -f - <<< '{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "allow-for-client", "namespace": "default"}, "spec": {"podSelector": {"matchLabels": {"app": "client"}}, "policyTypes": ["Egress"], "egress": [{"to": [{"ipBlock": {"cidr": "192.0.2.1/32"}}], "ports": [{"protocol": "UDP", "port": 53}]}]}}'
             that also opens 1 pair to UDP port 53: default/client-2 -> 192.0.2.1
        With that change the packet would be sent out of the network by a.
    "#]].assert_eq(&explained(&cluster, "client", "192.0.2.1", "udp,udp_dst=53").to_string());
}

#[test]
fn rules_that_say_themselves_whom_they_apply_to_get_one_like_them() {
    let by_rule = "
apiVersion: crd.antrea.io/v1beta1
kind: NetworkPolicy
metadata: {name: by-rule}
spec:
  priority: 1
  egress:
  - {action: Reject, appliedTo: [{podSelector: {matchLabels: {app: client}}}]}
";
    check(
        &[by_rule],
        "web",
        "udp,udp_dst=53",
        expect![[r#"
            Blocked by policies, in this order:
              1. on a, policies of default/client for what it sends:
                 rule number 1 of AntreaNetworkPolicy:default/by-rule rejects it
                 to let this packet through, and as little else as a rule can say:
                   kubectl patch networkpolicies.crd.antrea.io by-rule -n default --type json -p '[{"op": "add", "path": "/spec/egress/0", "value": {"action": "Allow", "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}, "podSelector": {"matchLabels": {"app": "web"}}}], "appliedTo": [{"podSelector": {"matchLabels": {"app": "client"}}}], "ports": [{"protocol": "UDP", "port": 53}]}}]'
                 that also opens 3 pairs to UDP port 53: default/client -> default/web-2; default/client-2 -> default/web, default/web-2
            With that change the packet would be delivered on b.
        "#]],
    );
}

#[test]
fn a_peer_without_labels_is_told_by_its_address_of_the_packets_family() {
    let cluster = Cluster::builder()
        .node("a")
        .pod_cidr("10.244.0.0/24")
        .pod_cidr("fd00:10:244::/64")
        .pod("bare", "a")
        .pod("web", "a")
        .label("app", "web")
        .yaml(WEB_FROM_BARE)
        .build()
        .unwrap();
    let explanation = explained(&cluster, "bare", "web", "tcp6,tcp_dst=80");
    let remedy = explanation.blockers[0].remedy.as_ref().expect("a rule can say it");
    let command = remedy.change.command();
    assert!(command.contains(r#""cidr": "fd00:10:244::2/128""#), "{command}");
}

#[test]
fn a_policy_of_antreas_own_opens_less_than_a_rule_in_one_that_applies_to_all() {
    let everybody = "
apiVersion: crd.antrea.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {name: lockdown}
spec: {tier: platform, priority: 5, appliedTo: [{namespaceSelector: {}}], ingress: [{action: Drop}]}
";
    check(
        &[everybody],
        "web",
        "tcp,tcp_dst=80",
        expect![[r#"
        Blocked by policies, in this order:
          1. on b, policies of default/web for what it receives:
             rule number 1 of AntreaClusterNetworkPolicy:lockdown drops it
             to let this packet through, and as little else as a rule can say:
               kubectl create -f - <<< '{"apiVersion": "crd.antrea.io/v1beta1", "kind": "ClusterNetworkPolicy", "metadata": {"name": "allow-for-web"}, "spec": {"tier": "platform", "priority": 4, "appliedTo": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}, "podSelector": {"matchLabels": {"app": "web"}}}], "ingress": [{"action": "Allow", "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}, "podSelector": {"matchLabels": {"app": "client"}}}], "ports": [{"protocol": "TCP", "port": 80}]}]}}'
             that also opens 3 pairs to TCP port 80: default/client -> default/web-2; default/client-2 -> default/web, default/web-2
        With that change the packet would be delivered on b.
    "#]],
    );
    let first_in_line = everybody.replace("priority: 5", "priority: 1");
    check(
        &[&first_in_line],
        "web",
        "tcp,tcp_dst=80",
        expect![[r#"
        Blocked by policies, in this order:
          1. on b, policies of default/web for what it receives:
             rule number 1 of AntreaClusterNetworkPolicy:lockdown drops it
             to let this packet through, and as little else as a rule can say:
               kubectl patch clusternetworkpolicies.crd.antrea.io lockdown --type json -p '[{"op": "add", "path": "/spec/ingress/0", "value": {"action": "Allow", "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}, "podSelector": {"matchLabels": {"app": "client"}}}], "ports": [{"protocol": "TCP", "port": 80}]}}]'
             that also opens 9 pairs to TCP port 80: default/client -> default/bare, default/client-2, default/web-2 and 1 more; default/client-2 -> default/bare, default/client, default/web and 2 more
        With that change the packet would be delivered on b.
    "#]],
    );
}

#[test]
fn what_the_model_leaves_out_is_said() {
    let half = "
apiVersion: crd.antrea.io/v1beta1
kind: NetworkPolicy
metadata: {name: half}
spec: {priority: 1, appliedTo: [{podSelector: {}}], egress: [{action: Drop, to: [{fqdn: example.org}]}]}
";
    check(
        &[half],
        "web",
        "tcp,tcp_dst=80",
        expect![[r#"
        No policy blocks this packet.
        It would be delivered on b.
        The model leaves out NetworkPolicy default/half (crd.antrea.io/v1beta1), for its spec.egress[0].to[0].fqdn, which may decide otherwise.
    "#]],
    );
}

#[test]
fn the_endpoint_that_the_network_chose_is_explained() {
    let one_closed = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: one}
spec: {podSelector: {matchLabels: {instance: two}}, ingress: []}
";
    let cluster = Cluster::builder()
        .node("a")
        .pod("client", "a")
        .pod("web-1", "a")
        .label("app", "web")
        .label("instance", "one")
        .pod("web-2", "a")
        .label("app", "web")
        .label("instance", "two")
        .service("web", 80)
        .selects("app", "web")
        .yaml(one_closed)
        .build()
        .unwrap();
    let plan = plan(&cluster, "client", "web", "tcp,tcp_dst=80");
    let blocked = |pod: &str| {
        let address = cluster
            .pod_objects()
            .find(|known| &*known.name.name == pod)
            .unwrap()
            .addresses[0];
        let chosen = cluster
            .predict_choosing(&plan, address)
            .unwrap()
            .expect("it is an endpoint");
        let trace = Trace::predicted(plan.clone().into(), chosen);
        assert_eq!(trace.chosen_endpoint(), Some(address));
        let explanation = cluster
            .explain_choosing(&plan, address)
            .unwrap()
            .expect("it is an endpoint");
        let pods = explanation.blockers.iter().map(|blocker| blocker.pod.to_string());
        pods.collect::<Vec<_>>()
    };
    assert_eq!(blocked("web-1"), Vec::<String>::new());
    assert_eq!(blocked("web-2"), ["default/web-2"]);
    let stranger = "192.0.2.1".parse().unwrap();
    assert_eq!(cluster.explain_choosing(&plan, stranger).unwrap(), None);
}

/// A policy whose rules can be added to.
#[derive(Debug, Clone)]
struct Text {
    antrea: bool,
    name: String,
    selector: &'static str,
    ingress: Option<Vec<String>>,
    egress: Option<Vec<String>>,
}

impl Text {
    fn yaml(&self) -> String {
        let Self { name, selector, .. } = self;
        let list = |rules: &Option<Vec<String>>| rules.clone().unwrap_or_default().join(", ");
        let (ingress, egress) = (list(&self.ingress), list(&self.egress));
        if self.antrea {
            return format!(
                "apiVersion: crd.antrea.io/v1beta1\nkind: NetworkPolicy\nmetadata: {{name: {name}}}\n\
                 spec: {{priority: 3, appliedTo: [{{podSelector: {selector}}}], ingress: [{ingress}], egress: [{egress}]}}"
            );
        }
        let types: Vec<&str> = [(&self.ingress, "Ingress"), (&self.egress, "Egress")]
            .into_iter()
            .filter(|(rules, _)| rules.is_some())
            .map(|(_, word)| word)
            .collect();
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}}}\n\
             spec: {{podSelector: {selector}, policyTypes: [{}], ingress: [{ingress}], egress: [{egress}]}}",
            types.join(", ")
        )
    }

    fn rules(&mut self, direction: Direction) -> &mut Vec<String> {
        match direction {
            Direction::Ingress => self.ingress.get_or_insert_default(),
            Direction::Egress => self.egress.get_or_insert_default(),
        }
    }
}

fn cluster(policies: &[Text], more: &[String]) -> Cluster {
    let with = policies
        .iter()
        .fold(builder(), |builder, policy| builder.yaml(&policy.yaml()));
    more.iter()
        .fold(with, |builder, manifest| builder.yaml(manifest))
        .build()
        .unwrap()
}

/// Does what the remedy says.
fn apply(remedy: &Remedy, policies: &mut [Text], more: &mut Vec<String>) {
    match &remedy.change {
        Change::AddPolicy { manifest } => more.push(manifest.to_string()),
        Change::AddRule {
            policy,
            direction,
            place,
            rule,
            ..
        } => {
            let text = policies.iter_mut().find(|text| *text.name == *policy.name).unwrap();
            text.rules(*direction).insert(*place, rule.to_string());
        }
    }
}

const SELECTORS: [&str; 3] = ["{}", "{matchLabels: {app: client}}", "{matchLabels: {app: web}}"];

fn any_policy() -> impl Strategy<Value = Text> {
    let rule = (0..4usize, 0..3usize);
    let rules = proptest::collection::vec(rule, 0..3);
    (
        any::<bool>(),
        0..3usize,
        proptest::option::of(rules.clone()),
        proptest::option::of(rules),
    )
        .prop_map(|(antrea, selector, ingress, egress)| {
            let list = |rules: Option<Vec<(usize, usize)>>, word: &str| {
                rules.map(|rules| {
                    let rules = rules.into_iter();
                    rules
                        .map(|(action, peer)| {
                            let action = match antrea {
                                true => format!("action: {}, ", ["Drop", "Reject", "Drop", "Pass"][action]),
                                false => String::new(),
                            };
                            let ports = if action.contains("Drop") || !antrea {
                                "ports: [{port: 81}]"
                            } else {
                                "ports: []"
                            };
                            let ports = if action.contains("Drop") && peer == 1 {
                                "ports: []"
                            } else {
                                ports
                            };
                            format!("{{{action}{word}: [{{podSelector: {}}}], {ports}}}", SELECTORS[peer])
                        })
                        .collect()
                })
            };
            let (ingress, egress) = (list(ingress, "from"), list(egress, "to"));
            Text {
                antrea,
                name: String::new(),
                selector: SELECTORS[selector],
                ingress: if antrea {
                    Some(ingress.unwrap_or_default())
                } else {
                    ingress
                },
                egress: if antrea {
                    Some(egress.unwrap_or_default())
                } else {
                    egress
                },
            }
        })
}

const PODS: [&str; 5] = ["client", "client-2", "web", "web-2", "bare"];

/// The pairs of Pods that policies of one direction let speak.
fn allowed(cluster: &Cluster, direction: Direction, port: u16) -> BTreeSet<(String, String)> {
    let index = cluster.policies();
    let object = |name: &str| {
        index
            .object(index.pod_id(&ObjectName::new("default", name)).unwrap())
            .unwrap()
    };
    let pairs = PODS.iter().flat_map(|one| PODS.iter().map(move |other| (*one, *other)));
    pairs
        .filter(|(subject, peer)| {
            let access = Access {
                direction,
                pod: index.pod_id(&ObjectName::new("default", *subject)).unwrap(),
                peer: Peer::Address(object(peer).addresses[0]),
                protocol: Protocol::TCP,
                source_port: Some(40_000),
                destination_port: Some(port),
                icmp: None,
            };
            index.decide(&access).allows()
        })
        .map(|(subject, peer)| match direction {
            Direction::Ingress => (format!("default/{peer}"), format!("default/{subject}")),
            Direction::Egress => (format!("default/{subject}"), format!("default/{peer}")),
        })
        .collect()
}

/// The pairs that policies of both ends let speak.
fn reachable(cluster: &Cluster) -> BTreeSet<(String, String)> {
    let [sent, received] = [Direction::Egress, Direction::Ingress].map(|direction| allowed(cluster, direction, 80));
    sent.intersection(&received).cloned().collect()
}

/// The pairs of the namespace `default`.
fn named(pairs: &[Opening]) -> BTreeSet<(String, String)> {
    let names = pairs
        .iter()
        .map(|pair| (pair.source.to_string(), pair.destination.to_string()));
    names
        .filter(|(one, other)| ![one, other].iter().any(|end| end.starts_with("prod/")))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// All changes together let the packet through; each one opens exactly what it says, and closes nothing.
    #[test]
    fn the_changes_do_what_they_promise(
        mut policies in proptest::collection::vec(any_policy(), 1..4),
        source in 0..PODS.len(),
        destination in 0..PODS.len(),
    ) {
        prop_assume!(source != destination);
        for (number, policy) in policies.iter_mut().enumerate() {
            policy.name = format!("p{number}");
        }
        policies.retain(|policy| policy.antrea || policy.ingress.is_some() || policy.egress.is_some());
        let before = cluster(&policies, &[]);
        let (source, destination) = (PODS[source], PODS[destination]);
        let explanation = explained(&before, source, destination, "tcp,tcp_src=40000,tcp_dst=80");
        let (mut all, mut more) = (policies.clone(), Vec::new());
        for blocker in &explanation.blockers {
            let remedy = blocker.remedy.as_ref().expect("TCP can be said in a rule");
            prop_assert!(blocker.rules.iter().all(|rule| !rule.allows()));
            let (mut changed, mut added) = (policies.clone(), Vec::new());
            apply(remedy, &mut changed, &mut added);
            let after = cluster(&changed, &added);
            let (was, is) = (allowed(&before, blocker.direction, 80), allowed(&after, blocker.direction, 80));
            let closed: Vec<_> = was.difference(&is).collect();
            prop_assert!(closed.is_empty(), "{closed:?}");
            let mut opened: BTreeSet<_> = is.difference(&was).cloned().collect();
            let the_packet = (format!("default/{source}"), format!("default/{destination}"));
            prop_assert!(opened.remove(&the_packet));
            let promised: BTreeSet<_> = named(&remedy.opens).union(&named(&remedy.still_blocked)).cloned().collect();
            prop_assert_eq!(promised, opened);
            if !matches!(&remedy.change, Change::AddPolicy { manifest } if more.contains(&manifest.to_string())) {
                apply(remedy, &mut all, &mut more);
            }
        }
        let after = cluster(&all, &more);
        let verdict = after.predict(&plan(&after, source, destination, "tcp,tcp_src=40000,tcp_dst=80")).unwrap().verdict;
        prop_assert_eq!(verdict, explanation.otherwise.verdict);
        let (was, is) = (reachable(&before), reachable(&after));
        let mut opened: BTreeSet<_> = is.difference(&was).cloned().collect();
        opened.remove(&(format!("default/{source}"), format!("default/{destination}")));
        let remedies = explanation.blockers.iter().filter_map(|blocker| blocker.remedy.as_ref());
        let promised: BTreeSet<_> = remedies.flat_map(|remedy| named(&remedy.opens)).collect();
        prop_assert_eq!(promised, opened);
    }
}
