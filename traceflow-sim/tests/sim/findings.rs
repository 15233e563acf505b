//! The model beside the network: a tracer that predicts by one cluster and injects into another finds where they part.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use expect_test::{Expect, expect};
use proptest::prelude::*;

use traceflow_core::observation::{DropReason, Observation};
use traceflow_core::plan::Plan;
use traceflow_core::session::Progress;
use traceflow_core::spec::CommandLine;
use traceflow_core::trace::{Hop, Prediction, Predictor, Trace, Unpredictable, Verdict};
use traceflow_core::tracer::Tracer;
use traceflow_sim::{Cluster, ClusterBuilder, SimNetwork};

/// `client` on `a`, `web` and `web-2` on `b`, `db` on `c`; Service `shop` leads to both webs.
fn builder() -> ClusterBuilder {
    Cluster::builder()
        .node("a")
        .node("b")
        .node("c")
        .pod("client", "a")
        .label("app", "client")
        .address("10.244.0.2")
        .pod("web", "b")
        .label("app", "web")
        .address("10.244.1.2")
        .pod("web-2", "b")
        .label("app", "web")
        .address("10.244.1.3")
        .pod("db", "c")
        .label("app", "db")
        .address("10.244.2.2")
}

fn shop() -> ClusterBuilder {
    builder().service("shop", 80).selects("app", "web")
}

const CLOSED: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed}
spec: {podSelector: {matchLabels: {app: web}}}
";

fn antrea(name: &str, action: &str) -> String {
    format!(
        "
apiVersion: crd.antrea.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {{name: {name}}}
spec:
  priority: 5
  appliedTo: [{{podSelector: {{matchLabels: {{app: web}}}}}}]
  ingress: [{{action: {action}, name: clients, from: [{{podSelector: {{matchLabels: {{app: client}}}}}}]}}]
"
    )
}

/// Traces over the `real` network with the `model` as predictor.
async fn traced(model: ClusterBuilder, real: ClusterBuilder, destination: &str, flow: &str) -> Trace {
    let (model, real) = (Arc::new(model.build().unwrap()), Arc::new(real.build().unwrap()));
    let network = SimNetwork::new(Arc::clone(&real));
    let asked = CommandLine {
        source: Some("client"),
        destination: Some(destination),
        flow: Some(flow),
        ..CommandLine::default()
    };
    let plan = Plan::resolve(&asked.spec(&*model).unwrap(), &*model, &mut fastrand::Rng::with_seed(3)).unwrap();
    let tracer = Tracer::builder(model.clone())
        .predictor(model as Arc<dyn Predictor>)
        .datapaths(network.datapaths())
        .start();
    let trace = tracer.trace(plan).await.unwrap();
    tracer.close().await.unwrap();
    trace
}

async fn check(model: ClusterBuilder, real: ClusterBuilder, destination: &str, expected: Expect) {
    let trace = traced(model, real, destination, "tcp,tcp_src=40000,tcp_dst=80").await;
    let finding = trace.finding.as_ref().map(ToString::to_string);
    expected.assert_eq(&finding.unwrap_or_else(|| format!("none; {}", trace.verdict)));
}

#[tokio::test(start_paused = true)]
async fn a_network_that_does_what_the_model_says_gives_no_finding() {
    for (cluster, destination) in [
        (builder(), "web"),
        (shop(), "shop"),
        (builder().yaml(CLOSED), "web"),
        (builder().yaml(&antrea("p", "Reject")), "web"),
        (builder(), "192.0.2.1"),
        (builder(), "10.244.1.99"),
    ] {
        let trace = traced(cluster.clone(), cluster, destination, "tcp,tcp_dst=80").await;
        assert_eq!(trace.finding, None, "{destination}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_is_not_realised_is_found_where_it_should_have_dropped() {
    check(builder().yaml(CLOSED), builder(), "web", expect!["b should have dropped it (no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/closed); it delivered it instead: the policy is not realised there?"]).await;
    check(builder().yaml(&antrea("p", "Drop")), builder(), "web", expect!["b should have dropped it (rule clients of AntreaClusterNetworkPolicy:p denies it); it delivered it instead: the policy is not realised there?"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_was_left_over_is_found_where_it_drops() {
    check(builder(), builder().yaml(CLOSED), "web", expect!["b should have delivered it; it dropped it (no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/closed) instead: is a policy left over there, or missing in the model?"]).await;
    check(
        builder().yaml(&antrea("p", "Allow")),
        builder().yaml(&antrea("p", "Reject")),
        "web",
        expect!["b should have let it pass by rule clients of AntreaClusterNetworkPolicy:p; it rejected it (rule clients of AntreaClusterNetworkPolicy:p denies it) instead: is a policy left over there, or missing in the model?"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn another_rule_than_the_first_in_order_is_found() {
    check(
        builder().yaml(&antrea("a", "Allow")),
        builder().yaml(&antrea("b", "Allow")),
        "web",
        expect!["b should have let it pass by rule clients of AntreaClusterNetworkPolicy:a; it let it pass by rule clients of AntreaClusterNetworkPolicy:b instead"],
    )
    .await;
    check(
        builder().yaml(&antrea("a", "Drop")),
        builder().yaml(&antrea("b", "Drop")),
        "web",
        expect!["b should have dropped it (rule clients of AntreaClusterNetworkPolicy:a denies it); it dropped it (rule clients of AntreaClusterNetworkPolicy:b denies it) instead: are the policies realised there in this order?"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_not_realised_is_found_where_it_should_have_chosen() {
    let address = "10.96.0.10";
    check(shop().address(address), builder(), address, expect!["a should have sent it to the Service's endpoint default/web-2 (10.244.1.3); it sent it out of the network instead: is the Service realised there?"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_the_service_does_not_have_is_found() {
    let address = "10.96.0.10";
    let other = builder().service("shop", 80).selects("app", "db").address(address);
    check(shop().address(address), other, address, expect!["a should have sent it to the Service's endpoint default/web-2 (10.244.1.3); it sent it to the Service's endpoint default/db (10.244.2.2) instead: is the Service realised there?"]).await;
}

/// Out of the network by an Egress on the sender's own node or not: the last thing that is observed is the same.
#[tokio::test(start_paused = true)]
async fn an_egress_that_is_missing_or_left_over_is_found() {
    let egress = "
apiVersion: crd.antrea.io/v1beta1
kind: Egress
metadata: {name: out}
spec:
  appliedTo: {podSelector: {matchLabels: {app: client}}}
  egressIP: 172.18.0.100
  externalIPPool: pool
status: {egressNode: a, egressIP: 172.18.0.100}
";
    let with = || builder().yaml(egress);
    check(with(), builder(), "192.0.2.1", expect!["a should have marked it to leave under its Egress address (172.18.0.100 on a); it sent it out of the network instead: is the Egress realised there?"]).await;
    check(builder(), with(), "192.0.2.1", expect!["a should have sent it out of the network; it marked it to leave under its Egress address (172.18.0.100 on a) instead"]).await;
    check(
        with(),
        with(),
        "192.0.2.1",
        expect!["none; sent out of the network by a"],
    )
    .await;
}

/// The model has a policy that the network had not when the connection began, or hasn't yet.
#[tokio::test(start_paused = true)]
async fn a_packet_of_a_connection_that_began_before_is_not_held_against_policies() {
    let real = Arc::new(builder().build().unwrap());
    let model = Arc::new(builder().yaml(CLOSED).build().unwrap());
    let network = SimNetwork::new(real);
    let tracer = Tracer::builder(model.clone())
        .predictor(model.clone())
        .datapaths(network.datapaths())
        .start();
    let first = "client->web tcp,tcp_src=40000,tcp_dst=80";
    for (packet, source, destination, flow, established) in [
        (first, "client", "web", "tcp,tcp_src=40000,tcp_dst=80", false),
        (
            "client->web tcp,tcp_src=40000,tcp_dst=80,tcp_flags=+ack",
            "client",
            "web",
            "tcp,tcp_src=40000,tcp_dst=80",
            true,
        ),
        (first, "web", "client", "tcp,tcp_src=80,tcp_dst=40000", true),
    ] {
        let asked = CommandLine {
            source: Some(source),
            destination: Some(destination),
            flow: Some(flow),
            live_traffic: true,
            ..CommandLine::default()
        };
        let spec = asked.spec(&*model).unwrap();
        let plan = Plan::resolve(&spec, &*model, &mut fastrand::Rng::with_seed(3)).unwrap();
        let mut tracing = tracer.trace(plan);
        while !matches!(tracing.progress().await, Some(Progress::Armed { .. })) {}
        network.send(&packet.parse().unwrap()).unwrap();
        let trace = tracing.await.unwrap();
        assert_eq!(trace.established, established, "{packet}: {:?}", trace.notes);
        assert!(trace.finding.is_none() || !established, "{:?}", trace.finding);
        assert_eq!(
            trace.notes.iter().any(|note| note.contains("began before")),
            established
        );
    }
    tracer.close().await.unwrap();
}

/// Says as the first model, then, once it was asked, as the second.
#[derive(Debug)]
struct Edited {
    models: [Cluster; 2],
    asked: AtomicUsize,
    tells_version: bool,
}

impl Edited {
    fn now(&self) -> usize {
        self.asked.load(Ordering::SeqCst).min(1)
    }
}

impl Predictor for Edited {
    fn predict(&self, plan: &Plan) -> Result<Prediction, Unpredictable> {
        let now = self.now();
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.models[now].predict(plan)
    }

    fn predict_choosing(&self, plan: &Plan, endpoint: IpAddr) -> Result<Option<Prediction>, Unpredictable> {
        self.models[self.now()].predict_choosing(plan, endpoint)
    }

    fn version(&self) -> Option<u64> {
        self.tells_version.then(|| self.now() as u64)
    }
}

/// How the endpoint that the network chose would have gone is only asked when the trace is over.
#[tokio::test(start_paused = true)]
async fn an_edit_behind_another_endpoint_than_predicted_is_no_finding_where_the_model_tells_of_edits() {
    let asked = CommandLine {
        source: Some("client"),
        destination: Some("shop"),
        flow: Some("tcp,tcp_src=40000,tcp_dst=80"),
        ..CommandLine::default()
    };
    let mut otherwise = 0;
    for seed in 0..8 {
        let model = |cluster: ClusterBuilder| {
            cluster
                .service("shop", 80)
                .selects("app", "web")
                .seed(seed)
                .build()
                .unwrap()
        };
        let real = Arc::new(shop().seed(seed + 100).build().unwrap());
        for tells_version in [true, false] {
            let edited = Edited {
                models: [model(builder()), model(builder().yaml(CLOSED))],
                asked: AtomicUsize::new(0),
                tells_version,
            };
            let plan = Plan::resolve(&asked.spec(&*real).unwrap(), &*real, &mut fastrand::Rng::with_seed(3)).unwrap();
            let predicted = edited.models[0].predict(&plan).unwrap();
            let tracer = Tracer::builder(real.clone())
                .predictor(Arc::new(edited))
                .datapaths(SimNetwork::new(real.clone()).datapaths())
                .start();
            let trace = tracer.trace(plan).await.unwrap();
            tracer.close().await.unwrap();
            let same_choice =
                Trace::predicted(trace.plan.clone(), predicted).chosen_endpoint() == trace.chosen_endpoint();
            otherwise += usize::from(!same_choice);
            assert_eq!(
                trace.finding.is_none(),
                same_choice || tells_version,
                "{:?}",
                trace.finding
            );
        }
    }
    assert!(otherwise > 0, "some network has to choose otherwise than its model");
}

/// A switch chooses by a hash of its own; what it does from there is compared all the same.
#[tokio::test(start_paused = true)]
async fn behind_another_endpoint_than_predicted_the_way_is_compared_too() {
    let second = |cluster: ClusterBuilder| cluster.service("shop", 80).selects("app", "web");
    for seed in 0..8 {
        let model = second(builder()).seed(seed);
        let same = traced(
            model.clone(),
            second(builder()).seed(seed + 100),
            "shop",
            "tcp,tcp_src=40000,tcp_dst=80",
        )
        .await;
        assert_eq!(same.finding, None);
        let dropping = second(builder().yaml(CLOSED)).seed(seed + 100);
        let found = traced(model, dropping, "shop", "tcp,tcp_src=40000,tcp_dst=80").await;
        assert_eq!(found.finding.expect("it drops").node.as_str(), "b");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_elsewhere_in_truth_is_found_on_the_way() {
    let moved = Cluster::builder()
        .node("a")
        .node("b")
        .node("c")
        .pod("client", "a")
        .address("10.244.0.2")
        .pod("web", "c")
        .address("10.244.1.2");
    check(
        builder(),
        moved,
        "web",
        expect![
            "a should have sent it on by the tunnel to 172.18.0.3; it sent it on by the tunnel to 172.18.0.4 instead"
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_the_model_leaves_out_is_said_with_the_finding() {
    let other = "
apiVersion: policy.networking.k8s.io/v1alpha1
kind: AdminNetworkPolicy
metadata: {name: strict}
spec: {priority: 3}
";
    let elsewhere = "
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: far, namespace: elsewhere}
";
    check(
        builder().yaml(other).yaml(elsewhere),
        builder().yaml(CLOSED),
        "web",
        expect!["b should have delivered it; it dropped it (no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/closed) instead: is a policy left over there, or missing in the model? (the model leaves out AdminNetworkPolicy default/strict (policy.networking.k8s.io/v1alpha1), which may be why)"],
    )
    .await;
    let predicted = Arc::new(builder().yaml(other).build().unwrap());
    let asked = CommandLine {
        source: Some("client"),
        destination: Some("web"),
        ..CommandLine::default()
    };
    let plan = Plan::resolve(
        &asked.spec(&*predicted).unwrap(),
        &*predicted,
        &mut fastrand::Rng::with_seed(3),
    )
    .unwrap();
    let prediction = predicted.predict(&plan).unwrap();
    let notes = Trace::predicted(plan.into(), prediction).notes;
    expect!["the model leaves out AdminNetworkPolicy default/strict (policy.networking.k8s.io/v1alpha1), which may decide otherwise"].assert_eq(&notes.join("\n"));
}

/// One of the policies of a random cluster.
fn policy(number: usize, kind: u8, app: &str, peer: &str) -> String {
    match kind {
        0 => format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p{number}}}\n\
             spec: {{podSelector: {{matchLabels: {{app: {app}}}}}, ingress: [{{from: [{{podSelector: {{matchLabels: {{app: {peer}}}}}}}]}}]}}"
        ),
        1 => format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p{number}}}\n\
             spec: {{podSelector: {{matchLabels: {{app: {app}}}}}, policyTypes: [Egress], egress: [{{to: [{{podSelector: {{matchLabels: {{app: {peer}}}}}}}]}}]}}"
        ),
        _ => format!(
            "apiVersion: crd.antrea.io/v1beta1\nkind: ClusterNetworkPolicy\nmetadata: {{name: p{number}}}\n\
             spec: {{priority: {number}, appliedTo: [{{podSelector: {{matchLabels: {{app: {app}}}}}}}], \
             ingress: [{{action: {}, from: [{{podSelector: {{matchLabels: {{app: {peer}}}}}}}]}}]}}",
            ["Allow", "Drop", "Reject", "Pass"][usize::from(kind) % 4]
        ),
    }
}

/// How the path ended, whichever policies isolate a Pod that is isolated.
fn fate(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Dropped {
            node,
            reason: Some(DropReason::DefaultIsolation { .. }),
        } => format!("isolated on {node}"),
        verdict => verdict.to_string(),
    }
}

/// Without those policies.
fn last_word(hop: &Hop) -> Option<Observation> {
    let mut last = hop.observations.last()?.clone();
    if matches!(last.reason, Some(DropReason::DefaultIsolation { .. })) {
        last.reason = None;
    }
    Some(last)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    /// A network with one policy more or less than the model: there is a finding if and only if that changes what becomes of
    /// the packet, and it is on the node where the two part.
    #[test]
    fn a_missing_policy_is_found_if_it_changes_the_packets_fate(
        policies in proptest::collection::vec((0..6u8, 0..3usize, 0..3usize), 1..5),
        missing in any::<prop::sample::Index>(),
        left_over in any::<bool>(),
        destination in 0..4usize,
    ) {
        const APPS: [&str; 3] = ["client", "web", "db"];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let missing = missing.index(policies.len());
        let with = |skip: Option<usize>| {
            policies.iter().enumerate().filter(|(number, _)| Some(*number) != skip).fold(
                shop(),
                |cluster, (number, (kind, app, peer))| cluster.yaml(&policy(number + 1, *kind, APPS[*app], APPS[*peer])),
            )
        };
        let (model, real) = if left_over { (with(Some(missing)), with(None)) } else { (with(None), with(Some(missing))) };
        let destination = ["web", "db", "shop", "web-2"][destination];
        let flow = "tcp,tcp_src=40000,tcp_dst=80";
        let trace = runtime.block_on(traced(model.clone(), real, destination, flow));
        let prediction = model.build().unwrap().predict(&trace.plan).unwrap();
        if fate(&trace.verdict) == fate(&prediction.verdict) {
            // A rule that no order puts first may be another one.
            if let Some(finding) = &trace.finding {
                let names_another = finding.expected.as_ref().map(|seen| &seen.network_policy)
                    != finding.observed.as_ref().map(|seen| &seen.network_policy);
                prop_assert!(names_another, "{finding}");
            }
        } else {
            let finding = trace.finding.expect("the verdict is another");
            let parted = trace.hops.iter().zip(&prediction.hops).find(|(seen, predicted)| {
                last_word(seen) != last_word(predicted)
            });
            prop_assert_eq!(&finding.node, &parted.expect("they part somewhere").0.node);
        }
    }
}
