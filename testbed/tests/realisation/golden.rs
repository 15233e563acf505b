//! The text itself.

use std::collections::HashSet;
use std::path::Path;

use expect_test::{expect, expect_file};
use testbed::realisation::{RuleNumbers, TABLES, realise, realise_with};
use traceflow_sim::Cluster;

fn demo() -> Cluster {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/demo/cluster.yaml");
    Cluster::from_paths([path]).unwrap()
}

/// `UPDATE_EXPECT=1 cargo test` rewrites it.
#[test]
fn the_first_node_of_the_demo_is_programmed_so() {
    let node = realise(&demo()).unwrap().remove(0);
    expect_file!["golden/demo-node-1.groups"].assert_eq(&node.program.groups);
    expect_file!["golden/demo-node-1.flows"].assert_eq(&node.program.flows);
}

#[test]
fn the_first_node_of_the_demo_has_these_ports_and_rules() {
    let node = realise(&demo()).unwrap().remove(0);
    let ports = node
        .pods
        .iter()
        .map(|pod| format!("port {}: {} {}\n", pod.port, pod.pod, pod.mac));
    let rules = node
        .rules
        .iter()
        .map(|rule| format!("rule {}: {}\n", rule.id, rule.policy));
    expect![[r#"
        port 3: default/pod1 0a:58:ac:10:05:0b
        port 4: default/pod2 0a:58:ac:10:05:0c
        rule 1: K8sNetworkPolicy:default/allow-egress-to-pod2
        rule 2: K8sNetworkPolicy:default/allow-ingress-from-pod1
    "#]]
    .assert_eq(&ports.chain(rules).collect::<String>());
}

#[test]
fn tables_are_numbered_in_the_order_in_which_packets_pass_them() {
    let numbers: Vec<u8> = TABLES.iter().map(|(_, number)| *number).collect();
    assert_eq!(numbers, (0..32).collect::<Vec<u8>>());
    assert_eq!(TABLES[0].0, "PipelineRootClassifier");
    assert_eq!(TABLES[31].0, "Output");
}

#[test]
fn every_cookie_says_antreas_round_and_category() {
    for node in realise(&demo()).unwrap() {
        for flow in node.program.flows.lines() {
            let cookie = flow
                .strip_prefix("cookie=0x")
                .and_then(|flow| flow.split_once(','))
                .unwrap()
                .0;
            let cookie = u64::from_str_radix(cookie, 16).unwrap();
            assert_eq!(cookie >> 48, 1, "{flow}");
            assert!((cookie >> 40) & 0xff <= 4, "{flow}");
        }
    }
}

/// A switch keeps the last of several flows with one match, and says nothing.
#[test]
fn no_flow_takes_the_place_of_another() {
    for file in ["policies", "services", "v6"] {
        let path = format!("{}/tests/realisation/clusters/{file}.yaml", env!("CARGO_MANIFEST_DIR"));
        for node in realise(&Cluster::from_paths([path]).unwrap()).unwrap() {
            let mut seen = HashSet::new();
            for flow in node.program.flows.lines() {
                let (_, flow) = flow.split_once(',').unwrap();
                let (place, _) = flow.split_once(" actions=").unwrap();
                assert!(seen.insert(place.to_owned()), "{file}, {}: {place}", node.name);
            }
        }
    }
}

#[test]
fn rules_keep_their_numbers_when_policies_come_and_go() {
    let policy = |name: &str| {
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}}}\n\
             spec: {{podSelector: {{}}, ingress: [{{ports: [{{port: 80}}]}}]}}"
        )
    };
    let with = |policies: &[&str]| {
        let builder = Cluster::builder().node("a").pod("web", "a");
        let builder = policies
            .iter()
            .fold(builder, |builder, name| builder.yaml(&policy(name)));
        builder.build().unwrap()
    };
    let mut numbers = RuleNumbers::default();
    let mut ids = |policies: &[&str]| -> Vec<(u32, String)> {
        let nodes = realise_with(&with(policies), &mut numbers).unwrap();
        nodes[0]
            .rules
            .iter()
            .map(|rule| (rule.id, rule.policy.name.to_string()))
            .collect()
    };
    assert_eq!(ids(&["m"]), [(1, "m".to_owned())]);
    assert_eq!(ids(&["a", "m"]), [(2, "a".to_owned()), (1, "m".to_owned())]);
    assert_eq!(ids(&["a"]), [(2, "a".to_owned())]);
    assert_eq!(
        ids(&["a", "m", "z"]),
        [(2, "a".to_owned()), (1, "m".to_owned()), (3, "z".to_owned())]
    );
}
