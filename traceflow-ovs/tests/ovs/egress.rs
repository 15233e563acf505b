//! What leaves the cluster by an Egress, on real switches: on the sender's node and by another, in both families.

use testbed::fabric::Form;
use testbed::realisation::realise;
use traceflow_core::trace::Predictor;
use traceflow_sim::Cluster;

use crate::support::{World, lines, path};

const EGRESSES: &str = "
apiVersion: crd.antrea.io/v1beta1
kind: Egress
metadata: {name: out}
spec: {appliedTo: {podSelector: {matchLabels: {app: web}}}, egressIPs: [172.18.0.100, 'fd00:172:18::100']}
status: {egressNode: b}
---
apiVersion: crd.antrea.io/v1beta1
kind: Egress
metadata: {name: own}
spec: {appliedTo: {podSelector: {matchLabels: {app: db}}}, egressIP: 172.18.0.3}
---
apiVersion: crd.antrea.io/v1beta1
kind: Egress
metadata: {name: homeless}
spec: {appliedTo: {podSelector: {matchLabels: {app: lost}}}, egressIP: 172.18.0.102}
";

fn world(form: Form) -> World {
    let mut builder = Cluster::builder();
    for (node, number) in [("a", 2), ("b", 3)] {
        builder = builder.node(node).address(&format!("172.18.0.{number}"));
        builder = builder.address(&format!("fd00:172:18::{number}"));
        builder = builder.pod_cidr(&format!("10.244.{number}.0/24"));
        builder = builder.pod_cidr(&format!("fd00:10:{number}::/64"));
    }
    for app in ["web", "db", "lost", "free"] {
        for node in ["a", "b"] {
            builder = builder.pod(&format!("{app}-{node}"), node).label("app", app);
        }
    }
    World::of(builder.yaml(EGRESSES).build().unwrap(), form)
}

const V4: &str = "192.0.2.1";
const V6: &str = "2001:db8::1";

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_is_seen_as_predicted_and_told_with_its_egress() {
    check(&world(Form::Rootless)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_by_nodes_of_real_pods_is_seen_and_told_so_too() {
    if let Err(missing) = Form::Root.check() {
        eprintln!("skipped: {missing}");
        return;
    }
    check(&world(Form::Root)).await;
}

/// The flows of the sender's node are those of an Egress that has moved since.
#[tokio::test(flavor = "multi_thread")]
async fn an_egress_that_its_node_was_not_told_of_is_not_named_and_is_the_finding() {
    let world = world(Form::Rootless);
    let mut nodes = realise(&world.cluster).unwrap();
    let late = &mut nodes[0].program.flows;
    assert!(late.contains("set_field:172.18.0.100->tun_dst"));
    *late = late.replace("set_field:172.18.0.100->tun_dst", "set_field:172.18.0.3->tun_dst");
    world.fabric().reprogram(nodes).unwrap();
    let tracer = world.tracer();
    let trace = tracer.trace(world.plan("web-a", V4, "tcp,tcp_dst=443")).await.unwrap();
    let finding = trace.finding.as_ref().unwrap();
    assert_eq!(finding.node, "a".into(), "{finding}");
    let told: Vec<String> = path(&trace)
        .into_iter()
        .filter(|line| line.contains(" Egress "))
        .collect();
    assert_eq!(told[0], "a Egress ForwardedToEgressNode address 172.18.0.3");
    tracer.close().await.unwrap();
    assert_eq!(world.leftovers().await, Vec::<String>::new());
}

async fn check(world: &World) {
    let tracer = world.tracer();
    let mut seen = Vec::new();
    for app in ["web", "db", "lost", "free"] {
        for node in ["a", "b"] {
            for (destination, flow) in [
                (V4, "tcp,tcp_dst=443"),
                (V4, "udp,udp_dst=53"),
                (V4, "icmp"),
                (V6, "tcp6,tcp_dst=443"),
                (V6, "icmp6"),
                // Nodes, their Egress addresses and other Pods are none of an Egress's business.
                ("172.18.0.3", "tcp,tcp_dst=443"),
                ("172.18.0.100", "tcp,tcp_dst=443"),
                ("free-b", "tcp,tcp_dst=443"),
            ] {
                let source = format!("{app}-{node}");
                if source == destination {
                    continue;
                }
                let plan = world.plan(&source, destination, flow);
                let predicted = world.cluster.predict(&plan).unwrap();
                let trace = tracer.trace(plan).await.unwrap();
                let asked = format!("{source} to {destination}, {flow}: {}", trace.verdict);
                let expected = lines(predicted.hops.iter().map(|hop| (&hop.node, &hop.observations)));
                assert_eq!(path(&trace), expected, "{asked}");
                assert_eq!(trace.verdict, predicted.verdict, "{asked}");
                assert_eq!(trace.finding, None, "{asked}");
                if node == "a" && flow.ends_with("dst=443") && [V4, V6].contains(&destination) {
                    let told = path(&trace).into_iter().filter(|line| line.contains(" Egress "));
                    seen.push((app, told.collect::<Vec<_>>()));
                }
            }
        }
    }
    tracer.close().await.unwrap();
    assert_eq!(world.leftovers().await, Vec::<String>::new());
    let expected: [(&str, &[&str]); 8] = [
        (
            "web",
            &[
                "a Egress ForwardedToEgressNode out address 172.18.0.100 at b",
                "b Egress MarkedForSNAT out address 172.18.0.100 at b",
            ],
        ),
        (
            "web",
            &[
                "a Egress ForwardedToEgressNode out address fd00:172:18::100 at b",
                "b Egress MarkedForSNAT out address fd00:172:18::100 at b",
            ],
        ),
        (
            "db",
            &[
                "a Egress ForwardedToEgressNode own address 172.18.0.3 at b",
                "b Egress MarkedForSNAT own address 172.18.0.3 at b",
            ],
        ),
        ("db", &[]),
        ("lost", &["a Egress Dropped no node has the address of Egress homeless"]),
        ("lost", &[]),
        ("free", &[]),
        ("free", &[]),
    ];
    let seen: Vec<(&str, Vec<&str>)> = seen
        .iter()
        .map(|(app, told)| (*app, told.iter().map(String::as_str).collect()))
        .collect();
    assert_eq!(seen, expected.map(|(app, told)| (app, told.to_vec())));
}
