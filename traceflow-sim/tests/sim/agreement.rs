//! Prediction, traced packet and real traffic agree.

use std::sync::Arc;

use proptest::prelude::{Strategy, prop};
use proptest::sample::select;
use proptest::test_runner::TestCaseError;
use proptest::{prop_assert, prop_assert_eq, proptest};
use traceflow_core::trace::{Hop, Mode, Predictor, Verdict};
use traceflow_core::tracer::Tracer;
use traceflow_sim::{Cluster, NodeFaults, SimNetwork};

use crate::support::{Asking, demo};

const PODS: [&str; 5] = ["p1", "p2", "p3", "p4", "p5"];

const POLICIES: [&str; 4] = [
    "{name: closed}\nspec: {podSelector: {matchLabels: {app: a}}, policyTypes: [Ingress]}",
    "{name: http}\nspec: {podSelector: {matchLabels: {app: a}}, ingress: [{from: [{podSelector: {}}], ports: [{port: 80}]}]}",
    "{name: no-way-out}\nspec: {podSelector: {matchLabels: {app: b}}, policyTypes: [Egress]}",
    "{name: some-way-out}\nspec: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.244.0.0/23}}]}]}",
];

fn cluster() -> impl Strategy<Value = Cluster> {
    (
        prop::collection::vec(select(&["n1", "n2", "n3"]), 5),
        prop::sample::subsequence(&POLICIES, 0..=4),
        0..4u64,
    )
        .prop_map(|(nodes, policies, seed)| {
            let builder = Cluster::builder().seed(seed).node("n1").node("n2").node("n3");
            let builder = PODS
                .iter()
                .zip(nodes)
                .enumerate()
                .fold(builder, |builder, (index, (pod, node))| {
                    builder.pod(pod, node).label("app", ["a", "b"][index % 2])
                });
            let builder = builder
                .service("svc", 80)
                .selects("app", "a")
                .service("none", 80)
                .selects("app", "c");
            let policies = policies
                .iter()
                .map(|policy| format!("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {policy}"));
            policies
                .fold(builder, |builder, policy| builder.yaml(&policy))
                .build()
                .unwrap()
        })
}

fn asking() -> impl Strategy<Value = Asking> {
    const DESTINATIONS: [&str; 11] = [
        "p1",
        "p2",
        "p3",
        "p4",
        "p5",
        "svc",
        "none",
        "10.244.0.1",
        "10.244.1.200",
        "172.18.0.3",
        "192.0.2.1",
    ];
    let port = select(&[80u16, 81]);
    (
        select(&PODS),
        select(&DESTINATIONS),
        port,
        1024..=u16::MAX,
        1u8..5,
        0..4u8,
    )
        .prop_map(|(source, destination, port, source_port, ttl, kind)| {
            match kind {
                0 => Asking::ping(source, destination),
                1 => Asking::udp(source, destination, port).source_port(source_port),
                2 => Asking::tcp(source, destination, port).tcp_flags(0x12),
                _ => Asking::tcp(source, destination, port).source_port(source_port),
            }
            .ttl(ttl)
        })
}

proptest! {
    #[test]
    fn an_injected_packet_takes_the_predicted_path_and_leaves_nothing(cluster in cluster(), asking in asking()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(agree(SimNetwork::new(cluster), asking))?;
    }
}

async fn agree(network: SimNetwork, asking: Asking) -> Result<(), TestCaseError> {
    let plan = asking.plan(network.cluster());
    let predicted = network.cluster().predict(&plan).unwrap();
    let tracer = tracer(&network);
    let trace = tracer.trace(plan).await.unwrap();
    prop_assert_eq!(trace.mode, Mode::Injected);
    prop_assert_eq!(&trace.verdict, &predicted.verdict);
    prop_assert_eq!(steps(&trace.hops), steps(&predicted.hops));
    tracer.close().await.unwrap();
    prop_assert!(network.leftovers().is_empty(), "{:?}", network.leftovers());
    Ok(())
}

fn tracer(network: &SimNetwork) -> Tracer {
    let builder = Tracer::builder(network.cluster().clone()).predictor(Arc::new(network.clone()));
    builder.datapaths(network.datapaths()).seed(1).start()
}

/// Everything but the time.
fn steps(hops: &[Hop]) -> Vec<(&str, &[traceflow_core::observation::Observation])> {
    hops.iter()
        .map(|hop| (hop.node.as_str(), hop.observations.as_slice()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_lost_report_is_answered_by_another_try() {
    let network = SimNetwork::new(demo());
    let faults = NodeFaults {
        lose_reports: 1,
        ..NodeFaults::default()
    };
    let receiver = network.datapaths()[1].node().clone();
    network.set_faults(&receiver, faults);
    let tracer = tracer(&network);
    let plan = Asking::tcp("pod1", "pod3", 80).plan(network.cluster());
    let trace = tracer.trace(plan).await.unwrap();
    assert_eq!(trace.verdict, Verdict::Delivered { node: receiver });
    assert_eq!(trace.attempts, 2);
    tracer.close().await.unwrap();
    assert_eq!(network.leftovers(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn late_and_repeated_reports_change_no_answer() {
    let network = SimNetwork::new(demo());
    for datapath in network.datapaths() {
        let faults = NodeFaults {
            delay_reports: std::time::Duration::from_millis(200),
            repeat_reports: 3,
            ..NodeFaults::default()
        };
        network.set_faults(datapath.node(), faults);
    }
    let plan = Asking::tcp("pod1", "pod3", 80).plan(network.cluster());
    let predicted = network.predict(&plan).unwrap();
    let tracer = tracer(&network);
    let trace = tracer.trace(plan).await.unwrap();
    assert_eq!(steps(&trace.hops), steps(&predicted.hops));
    tracer.close().await.unwrap();
    assert_eq!(network.leftovers(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_packet_that_the_tunnel_loses_is_said_to_be_lost_between_the_nodes() {
    let network = SimNetwork::new(demo());
    let nodes: Vec<_> = network
        .datapaths()
        .iter()
        .map(|datapath| datapath.node().clone())
        .collect();
    let faults = NodeFaults {
        tunnel: traceflow_sim::TunnelFault::EatsPackets,
        ..NodeFaults::default()
    };
    network.set_faults(&nodes[0], faults);
    let tracer = tracer(&network);
    let trace = tracer
        .trace(Asking::tcp("pod1", "pod3", 80).plan(network.cluster()))
        .await
        .unwrap();
    let Verdict::Unanswered(silence) = &trace.verdict else {
        panic!("{}", trace.verdict)
    };
    assert_eq!(
        silence.causes[0].to_string(),
        format!(
            "the packet or its mark was lost between {} and {} (tunnel, wire or a firewall on it)",
            nodes[0], nodes[1]
        )
    );
    tracer.close().await.unwrap();
    assert_eq!(network.leftovers(), Vec::<String>::new());
}
