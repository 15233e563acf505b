//! What other tracers answer wrongly, with the right answer, on the simulated network and on switches.
//!
//! Each test's comment says what goes wrong elsewhere.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;

use agreement::world::World;
use testbed::fabric::Form;
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

/// All these traces at once.
async fn answers(tracer: &Tracer, plans: Vec<Plan>) -> Vec<Trace> {
    let traces: Vec<_> = plans.into_iter().map(|plan| tracer.trace(plan)).collect();
    let mut answers = Vec::new();
    for trace in traces {
        answers.push(trace.await.unwrap());
    }
    answers
}

fn tracer(network: &SimNetwork) -> Tracer {
    Tracer::builder(network.cluster().clone())
        .predictor(network.cluster().clone() as Arc<dyn Predictor>)
        .datapaths(network.datapaths())
        .start()
}

/// The answers of the simulated network, and those of switches; nothing is left on either. Each round is asked when the one
/// before is answered.
async fn traced(cluster: Arc<Cluster>, rounds: Vec<Vec<Plan>>) -> Vec<Vec<Trace>> {
    let network = SimNetwork::new(cluster.clone());
    let over_network = tracer(&network);
    let mut simulated = Vec::new();
    for plans in rounds.clone() {
        simulated.extend(answers(&over_network, plans).await);
    }
    over_network.close().await.unwrap();
    assert_eq!(network.leftovers(), Vec::<String>::new());
    if !switches_are_installed() {
        return vec![simulated];
    }
    let world = World::start(cluster, Form::Rootless).unwrap();
    let mut switched = Vec::new();
    for plans in rounds {
        switched.extend(answers(&world.tracer, plans).await);
    }
    assert_eq!(world.end().await.unwrap(), Vec::<String>::new());
    vec![simulated, switched]
}

fn switches_are_installed() -> bool {
    let installed = Command::new("ovs-vswitchd").arg("--version").output().is_ok();
    if !installed {
        println!("skipped: ovs-vswitchd isn't installed (Debian: openvswitch-switch)");
    }
    installed
}

/// One answer of each.
async fn one(flow: &str, destination: &str) -> Vec<Trace> {
    let cluster = cluster();
    let plan = plan(&cluster, "client", destination, flow);
    traced(cluster, vec![vec![plan]]).await.into_iter().flatten().collect()
}

fn chooses_an_endpoint(trace: &Trace) -> bool {
    trace.chosen_endpoint().is_some() && matches!(trace.verdict, Verdict::Delivered { .. })
}

/// A TCP packet without flags begins no connection, so connection tracking drops it before the load balancer, and who
/// sends such a probe by default sees a timeout for every Service.
#[tokio::test(flavor = "multi_thread")]
async fn tcp_to_a_service_is_a_syn_unless_said_otherwise_and_the_result_says_so() {
    for trace in one("tcp,tcp_dst=80", "shop").await {
        assert!(chooses_an_endpoint(&trace), "{}", trace.verdict);
        let choices: Vec<String> = trace.plan.choices.iter().map(ToString::to_string).collect();
        assert!(choices.contains(&"TCP flags SYN".to_owned()), "{choices:?}");
    }
}

/// Asked for, it is a drop with a reason, no timeout.
#[tokio::test(flavor = "multi_thread")]
async fn flags_0_are_dropped_for_the_connections_state() {
    for trace in one("tcp,tcp_dst=80,tcp_flags=0", "shop").await {
        let Verdict::Dropped { reason, .. } = &trace.verdict else {
            panic!("{}", trace.verdict);
        };
        assert_eq!(*reason, Some(DropReason::InvalidConnectionState));
    }
}

/// The same of every combination that connection tracking takes for no beginning.
#[tokio::test(flavor = "multi_thread")]
async fn flags_that_connection_tracking_calls_invalid_are_told_so() {
    for flags in ["+syn+fin", "+syn+ack", "+fin", "+syn+rst"] {
        for trace in one(&format!("tcp,tcp_dst=80,tcp_flags={flags}"), "web-2").await {
            let words = trace.verdict.to_string();
            assert_eq!(
                words, "dropped on a: connection tracking calls the packet invalid",
                "{flags}"
            );
        }
    }
}

/// A source port of 0 is no port that a host sends from: hosts and switches drop or translate it oddly.
#[tokio::test(flavor = "multi_thread")]
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

/// Asked for, it is refused, with the place and what would be right.
#[test]
fn a_source_port_of_0_is_refused() {
    let asked = CommandLine {
        source: Some("client"),
        destination: Some("shop"),
        flow: Some("udp,udp_dst=80,udp_src=0"),
        ..CommandLine::default()
    };
    let refused = asked.spec(&*cluster()).unwrap_err().to_string();
    assert_eq!(refused, "-f:1:16: udp_src: 0 is out of range; use 1 to 65535");
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
#[tokio::test(flavor = "multi_thread")]
async fn the_second_family_of_a_service_is_traced_in_that_family() {
    for trace in one("tcp6,tcp_dst=80", "shop").await {
        assert!(chooses_an_endpoint(&trace), "{}", trace.verdict);
        let chosen = trace.chosen_endpoint().unwrap();
        assert_eq!(IpFamily::of(chosen), IpFamily::V6);
    }
}

/// Whether a Pod that serves its own Service is asked by itself is up to a hash elsewhere, and the answer differs with
/// it. Here either is whole, and which it was is told: the packet to itself bears the gateway's address.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_behind_its_own_service_is_told_as_itself_or_as_another() {
    let cluster = cluster();
    let plans = (0..32).map(|port| {
        plan(
            &cluster,
            "web-1",
            "shop",
            &format!("tcp,tcp_dst=80,tcp_src={}", 40_000 + port),
        )
    });
    let plans = plans.collect();
    for traces in traced(cluster, vec![plans]).await {
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
}

/// The same connection traced again is known to connection tracking, which translates its second packet before the load
/// balancer and lets it past the policies. Every trace leaves none of its own, and no two of one connection overlap.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_connection_is_answered_alike_however_often_it_is_asked() {
    let cluster = cluster();
    let plan = || plan(&cluster, "client", "shop", "tcp,tcp_dst=80,tcp_src=41000");
    let at_once = (0..8).map(|_| plan()).collect();
    let rounds = vec![at_once, vec![plan()], vec![plan()], vec![plan()]];
    for answers in traced(cluster.clone(), rounds).await {
        let first = &answers[0];
        assert!(chooses_an_endpoint(first), "{}", first.verdict);
        for answer in &answers {
            assert_eq!(
                (&answer.verdict, answer.chosen_endpoint()),
                (&first.verdict, first.chosen_endpoint())
            );
            assert_eq!(answer.hops.len(), first.hops.len());
        }
    }
}

/// Packets of a connection that is there pass the policies unasked, so that a trace with its ports would say nothing of
/// what a new connection meets. The question is about a new one, and what is there isn't touched. A switch can't be asked so: its
/// trace says that the packet is of a connection that began before (`traceflow-ovs/tests/ovs/neighbours.rs`).
#[tokio::test(flavor = "multi_thread")]
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
    let tracer = tracer(&network);
    let trace = tracer.trace(plan(&cluster, "client", "web", flow)).await.unwrap();
    tracer.close().await.unwrap();
    assert_eq!(rules(&trace.hops), 1, "{}", trace.verdict);
    assert_eq!(rules(&send().request.hops), 0, "the real one is still known");
}
