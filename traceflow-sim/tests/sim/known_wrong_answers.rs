//! What other tracers answer wrongly, with the right answer.
//!
//! Each test's comment says what goes wrong elsewhere.

use std::collections::BTreeSet;
use std::sync::Arc;

use traceflow_core::observation::{Component, DropReason};
use traceflow_core::packet::{IpFamily, Transport};
use traceflow_core::plan::{Plan, Question};
use traceflow_core::spec::CommandLine;
use traceflow_core::trace::{Predictor, Trace, Verdict};
use traceflow_core::tracer::Tracer;
use traceflow_sim::{Cluster, SimNetwork};

/// `client` on `a`; `web-1` on `a` and `web-2` on `b` serve Service `shop` at port 80; both families.
fn cluster() -> Arc<Cluster> {
    let cluster = Cluster::builder()
        .node("a")
        .address("172.18.0.2")
        .address("fd00:172:18::2")
        .node("b")
        .pod("client", "a")
        .label("app", "client")
        .pod("web-1", "a")
        .label("app", "web")
        .pod("web-2", "b")
        .label("app", "web")
        .service("shop", 80)
        .selects("app", "web")
        .build();
    Arc::new(cluster.unwrap())
}

fn plan(cluster: &Cluster, source: &str, destination: &str, flow: &str) -> Plan {
    let asked = CommandLine {
        source: Some(source),
        destination: Some(destination),
        flow: Some(flow),
        ..CommandLine::default()
    };
    Plan::resolve(&asked.spec(cluster).unwrap(), cluster, &mut fastrand::Rng::with_seed(5)).unwrap()
}

fn transport(plan: &Plan) -> &Transport {
    match &plan.question {
        Question::Inject { packet, .. } => &packet.transport,
        Question::Live { .. } => panic!("nothing is injected"),
    }
}

/// All these traces at once, over one network.
async fn traced(cluster: &Arc<Cluster>, network: &SimNetwork, plans: Vec<Plan>) -> Vec<Trace> {
    let tracer = Tracer::builder(cluster.clone())
        .predictor(cluster.clone() as Arc<dyn Predictor>)
        .datapaths(network.datapaths())
        .start();
    let traces: Vec<_> = plans.into_iter().map(|plan| tracer.trace(plan)).collect();
    let mut answers = Vec::new();
    for trace in traces {
        answers.push(trace.await.unwrap());
    }
    tracer.close().await.unwrap();
    answers
}

async fn one(flow: &str, destination: &str) -> Trace {
    let cluster = cluster();
    let network = SimNetwork::new(cluster.clone());
    let plan = plan(&cluster, "client", destination, flow);
    traced(&cluster, &network, vec![plan]).await.remove(0)
}

fn chooses_an_endpoint(trace: &Trace) -> bool {
    trace.chosen_endpoint().is_some() && matches!(trace.verdict, Verdict::Delivered { .. })
}

/// A TCP packet without flags begins no connection, so connection tracking drops it before the load balancer, and who
/// sends such a probe by default sees a timeout for every Service.
#[tokio::test(start_paused = true)]
async fn tcp_to_a_service_is_a_syn_unless_said_otherwise_and_the_result_says_so() {
    let trace = one("tcp,tcp_dst=80", "shop").await;
    assert!(chooses_an_endpoint(&trace), "{}", trace.verdict);
    let choices: Vec<String> = trace.plan.choices.iter().map(ToString::to_string).collect();
    assert!(choices.contains(&"TCP flags SYN".to_owned()), "{choices:?}");
}

/// Asked for, it is a drop with a reason, no timeout.
#[tokio::test(start_paused = true)]
async fn flags_0_are_dropped_for_the_connections_state() {
    let trace = one("tcp,tcp_dst=80,tcp_flags=0", "shop").await;
    let Verdict::Dropped { reason, .. } = &trace.verdict else {
        panic!("{}", trace.verdict);
    };
    assert_eq!(*reason, Some(DropReason::InvalidConnectionState));
}

/// The same of every combination that connection tracking takes for no beginning.
#[tokio::test(start_paused = true)]
async fn flags_that_connection_tracking_calls_invalid_are_told_so() {
    for flags in ["+syn+fin", "+syn+ack", "+fin", "+syn+rst"] {
        let trace = one(&format!("tcp,tcp_dst=80,tcp_flags={flags}"), "web-2").await;
        let words = trace.verdict.to_string();
        assert_eq!(
            words, "dropped on a: connection tracking calls the packet invalid",
            "{flags}"
        );
    }
}

/// A source port of 0 is no port that a host sends from: hosts and switches drop or translate it oddly.
#[tokio::test(start_paused = true)]
async fn a_source_port_that_was_not_asked_for_is_never_0() {
    let cluster = cluster();
    for seed in 0..500 {
        let asked = CommandLine {
            source: Some("client"),
            destination: Some("shop"),
            flow: Some(if seed % 2 == 0 {
                "udp,udp_dst=80"
            } else {
                "tcp,tcp_dst=80"
            }),
            ..CommandLine::default()
        };
        let plan = Plan::resolve(
            &asked.spec(&*cluster).unwrap(),
            &*cluster,
            &mut fastrand::Rng::with_seed(seed),
        )
        .unwrap();
        let (Transport::Udp { source, .. } | Transport::Tcp { source, .. }) = transport(&plan) else {
            panic!("{plan:?}");
        };
        assert_ne!(*source, 0);
    }
}

/// Without a port a probe to a Service goes to port 0, which no Service has. Here it goes to the Service's first, and the
/// result says so.
#[test]
fn a_service_without_a_given_port_is_asked_at_its_own() {
    let one_port = cluster();
    let to_one = plan(&one_port, "client", "shop", "tcp");
    assert!(matches!(transport(&to_one), Transport::Tcp { destination: 80, .. }));
    let several = "
apiVersion: v1
kind: Service
metadata: {name: many}
spec: {selector: {app: web}, ports: [{name: http, port: 80}, {name: https, port: 443}]}
";
    let cluster = Cluster::builder()
        .node("a")
        .pod("client", "a")
        .yaml(several)
        .build()
        .unwrap();
    let to_several = plan(&cluster, "client", "many", "tcp");
    assert!(matches!(transport(&to_several), Transport::Tcp { destination: 80, .. }));
    let choices: Vec<String> = to_several.choices.iter().map(ToString::to_string).collect();
    assert!(
        choices.contains(&"destination port 80 (the Service's first)".to_owned()),
        "{choices:?}"
    );
}

/// Who looks up a Service's first address only traces IPv4 for a question about IPv6.
#[tokio::test(start_paused = true)]
async fn the_second_family_of_a_service_is_traced_in_that_family() {
    let trace = one("tcp6,tcp_dst=80", "shop").await;
    assert!(chooses_an_endpoint(&trace), "{}", trace.verdict);
    let chosen = trace.chosen_endpoint().unwrap();
    assert_eq!(IpFamily::of(chosen), IpFamily::V6);
}

/// Whether a Pod that serves its own Service is asked by itself is up to a hash elsewhere, and the answer differs with
/// it. Here either is whole, and which it was is told: the packet to itself bears the gateway's address.
#[tokio::test(start_paused = true)]
async fn a_pod_behind_its_own_service_is_told_as_itself_or_as_another() {
    let cluster = cluster();
    let network = SimNetwork::new(cluster.clone());
    let plans = (0..32).map(|port| {
        plan(
            &cluster,
            "web-1",
            "shop",
            &format!("tcp,tcp_dst=80,tcp_src={}", 40_000 + port),
        )
    });
    let traces = traced(&cluster, &network, plans.collect()).await;
    let mut seen = BTreeSet::new();
    for trace in traces {
        assert!(chooses_an_endpoint(&trace), "{}", trace.verdict);
        let balanced = trace.hops[0]
            .observations
            .iter()
            .find(|seen| seen.component == Component::Lb)
            .unwrap();
        let itself = balanced.pod.as_ref().is_some_and(|pod| &*pod.name == "web-1");
        assert_eq!(itself, balanced.translated_src_ip.is_some(), "{balanced:?}");
        assert_eq!(trace.finding, None);
        seen.insert(itself);
    }
    assert_eq!(seen.len(), 2, "both happen");
}

/// The same connection traced again is known to connection tracking, which translates its second packet before the load
/// balancer and lets it past the policies. Every trace leaves none of its own, and no two of one connection overlap.
#[tokio::test(start_paused = true)]
async fn the_same_connection_is_answered_alike_however_often_it_is_asked() {
    let cluster = cluster();
    let network = SimNetwork::new(cluster.clone());
    let plan = || plan(&cluster, "client", "shop", "tcp,tcp_dst=80,tcp_src=41000");
    let mut answers = traced(&cluster, &network, (0..8).map(|_| plan()).collect()).await;
    for _ in 0..3 {
        answers.extend(traced(&cluster, &network, vec![plan()]).await);
    }
    let first = &answers[0];
    assert!(chooses_an_endpoint(first), "{}", first.verdict);
    for answer in &answers {
        assert_eq!(
            (&answer.verdict, answer.chosen_endpoint()),
            (&first.verdict, first.chosen_endpoint())
        );
        assert_eq!(answer.hops.len(), first.hops.len());
    }
    assert_eq!(network.leftovers(), Vec::<String>::new());
}

/// Packets of a connection that is there pass the policies unasked, so that a trace with its ports would say nothing of
/// what a new connection meets. The question is about a new one, and what is there isn't touched.
#[tokio::test(start_paused = true)]
async fn a_connection_that_is_there_does_not_answer_for_a_new_one() {
    let from_clients = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: clients}
spec: {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]}
";
    let cluster = Cluster::builder()
        .node("a")
        .node("b")
        .pod("client", "a")
        .label("app", "client")
        .pod("web", "b")
        .label("app", "web")
        .yaml(from_clients)
        .build();
    let cluster = Arc::new(cluster.unwrap());
    let network = SimNetwork::new(cluster.clone());
    let flow = "tcp,tcp_dst=80,tcp_src=42000";
    let send = || network.send(&format!("client->web {flow}").parse().unwrap()).unwrap();
    let rules = |hops: &[traceflow_core::trace::Hop]| {
        let observations = hops.iter().flat_map(|hop| &hop.observations);
        observations
            .filter(|seen| seen.component == Component::NetworkPolicy)
            .count()
    };
    assert_eq!(rules(&send().request.hops), 1, "the first packet meets the policy");
    assert_eq!(rules(&send().request.hops), 0, "its connection is known then");
    let trace = traced(&cluster, &network, vec![plan(&cluster, "client", "web", flow)])
        .await
        .remove(0);
    assert_eq!(rules(&trace.hops), 1, "{}", trace.verdict);
    assert_eq!(rules(&send().request.hops), 0, "the real one is still known");
}
