//! The situations that Antrea's own tests of its Traceflow describe, with the outcomes described there.
//!
//! The names are those of Antrea's cases, but for `ANNPRejectIngressIPv6`, which is ours: the first tables' are from its
//! end-to-end test (`test/e2e/traceflow_test.go`), the last one's from its test of packet-ins
//! (`pkg/agent/controller/traceflow/packetin_test.go`), put into a network where they arise.
//!
//! Some outcomes are others. A Pod that is its own Service's endpoint meets no policy here, as none may keep it from
//! itself, where Antrea names the rule that lets it pass. A dropped packet of real traffic, asked for by its source
//! address, is told with its whole way on the node, where Antrea begins at the receiver. The node of an Egress address
//! names the Egress here, where Antrea knows only the address there. And two situations are others: the packet in hybrid
//! mode has no Egress, where Antrea's bears an Egress mark and leaves; and the valid request is an injected packet, where
//! Antrea's is real traffic of a Pod on the host's network.
//!
//! Less is checked than Antrea states: not the address of the sending Pod at the spoof guard, and of a captured packet its
//! source alone.

use std::sync::Arc;

use traceflow_core::observation::{Action, Component, ComponentInfo, Observation};
use traceflow_core::plan::Plan;
use traceflow_core::session::Progress;
use traceflow_core::spec::CommandLine;
use traceflow_core::trace::{Hop, Predictor, Trace};
use traceflow_core::tracer::Tracer;
use traceflow_sim::model::TrafficMode;
use traceflow_sim::{Cluster, ClusterBuilder, SimNetwork};

use crate::support::text;

/// Two nodes with three Pods each; `agnhost` on the second serves a Service. Both families.
fn nodes() -> ClusterBuilder {
    let mut builder = Cluster::builder()
        .node("node1")
        .address("172.18.0.2")
        .address("fd00:172:18::2")
        .node("node2");
    for node in 1..=2 {
        for pod in 0..3 {
            let name = format!("node{node}-pod{pod}");
            builder = builder.pod(&name, &format!("node{node}")).label("antrea-e2e", &name);
        }
    }
    builder
        .pod("agnhost", "node2")
        .label("app", "agnhost")
        .service("svc", 80)
        .selects("app", "agnhost")
}

/// Everything may leave every Pod; nothing may enter two of them.
fn policed() -> ClusterBuilder {
    let closed = |name: &str, pod: &str| {
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}}}\n\
             spec: {{podSelector: {{matchLabels: {{antrea-e2e: {pod}}}}}, policyTypes: [Ingress]}}"
        )
    };
    nodes()
        .yaml(
            "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: allow-all-egress}
spec: {podSelector: {}, policyTypes: [Egress], egress: [{}]}",
        )
        .yaml(&closed("deny-ingress-1", "node1-pod1"))
        .yaml(&closed("deny-ingress-2", "node2-pod1"))
}

/// Antrea's own policies, one that drops and one that rejects.
fn antrea_policed() -> ClusterBuilder {
    let policy = |name: &str, pod: &str, action: &str, rule: &str| {
        format!(
            "apiVersion: crd.antrea.io/v1beta1\nkind: NetworkPolicy\nmetadata: {{name: {name}}}\n\
             spec: {{priority: 1, appliedTo: [{{podSelector: {{matchLabels: {{antrea-e2e: {pod}}}}}}}], \
             ingress: [{{action: {action}, name: {rule}}}]}}"
        )
    };
    nodes()
        .yaml(&policy("deny-ingress", "node1-pod1", "Drop", "ingress-drop"))
        .yaml(&policy("reject-ingress", "node1-pod2", "Reject", "ingress-reject"))
}

fn with_egress(node: &str) -> ClusterBuilder {
    nodes().yaml(&format!(
        "apiVersion: crd.antrea.io/v1beta1\nkind: Egress\nmetadata: {{name: egress}}\n\
         spec: {{appliedTo: {{podSelector: {{matchLabels: {{antrea-e2e: node1-pod0}}}}}}, egressIP: 172.18.0.200}}\n\
         status: {{egressNode: {node}}}"
    ))
}

fn with_cluster_policy(rules: &str) -> ClusterBuilder {
    nodes().yaml(&format!(
        "apiVersion: crd.antrea.io/v1beta1\nkind: ClusterNetworkPolicy\nmetadata: {{name: acnp}}\n\
         spec: {{priority: 1, appliedTo: [{{podSelector: {{}}}}], {rules}}}"
    ))
}

/// A situation, what is asked, and what each node did in short words; parts of the words that must be there, too.
type Scenario = (
    &'static str,
    fn() -> ClusterBuilder,
    [&'static str; 3],
    &'static str,
    &'static [&'static str],
);

const FROM: &str = "node1-pod0";
const ALLOW: &str = "networkPolicy=K8sNetworkPolicy:default/allow-all-egress";

const INTRA_NODE: &[Scenario] = &[
    (
        "ANNPDenyIngressIPv4",
        antrea_policed,
        [FROM, "node1-pod1", "tcp,tcp_dst=80"],
        "node1 guard ingress-drop",
        &["networkPolicy=AntreaNetworkPolicy:default/deny-ingress networkPolicyRule=ingress-drop"],
    ),
    (
        "ANNPRejectIngressIPv4",
        antrea_policed,
        [FROM, "node1-pod2", "tcp,tcp_dst=80"],
        "node1 guard ingress-reject",
        &["networkPolicy=AntreaNetworkPolicy:default/reject-ingress networkPolicyRule=ingress-reject"],
    ),
    (
        "ANNPDenyIngressIPv6",
        antrea_policed,
        [FROM, "node1-pod1", "tcp6,tcp_dst=80"],
        "node1 guard ingress-drop",
        &["ingress-drop"],
    ),
    (
        "ANNPRejectIngressIPv6",
        antrea_policed,
        [FROM, "node1-pod2", "tcp6,tcp_dst=80"],
        "node1 guard ingress-reject",
        &["ingress-reject"],
    ),
    (
        "intraNodeTraceflowIPv4",
        policed,
        [FROM, "node1-pod1", "tcp,tcp_dst=80,tcp_src=10003"],
        "node1 guard egress-rule ingress-default-drop",
        &[ALLOW],
    ),
    (
        "intraNodeUDPDstPodTraceflowIPv4",
        policed,
        [FROM, "node1-pod2", "udp,udp_dst=321,udp_src=10004"],
        "node1 guard egress-rule delivered",
        &[ALLOW],
    ),
    (
        "intraNodeUDPDstIPTraceflowIPv4",
        policed,
        [FROM, "10.244.0.4", "udp,udp_dst=321,udp_src=10005"],
        "node1 guard egress-rule delivered",
        &[ALLOW],
    ),
    (
        "intraNodeICMPDstIPTraceflowIPv4",
        policed,
        [FROM, "10.244.0.4", "icmp"],
        "node1 guard egress-rule delivered",
        &[ALLOW],
    ),
    (
        "intraNodeTraceflowIPv6",
        policed,
        [FROM, "node1-pod1", "tcp6,tcp_dst=80"],
        "node1 guard egress-rule ingress-default-drop",
        &[ALLOW],
    ),
    (
        "intraNodeUDPDstPodTraceflowIPv6",
        policed,
        [FROM, "node1-pod2", "udp6,udp_dst=321"],
        "node1 guard egress-rule delivered",
        &[ALLOW],
    ),
    (
        "intraNodeUDPDstIPTraceflowIPv6",
        policed,
        [FROM, "fd00:10:244::4", "udp6,udp_dst=321"],
        "node1 guard egress-rule delivered",
        &[ALLOW],
    ),
    (
        "intraNodeICMPDstIPTraceflowIPv6",
        policed,
        [FROM, "fd00:10:244::4", "icmp6"],
        "node1 guard egress-rule delivered",
        &[ALLOW],
    ),
    (
        "localGatewayDestinationIPv4",
        policed,
        [FROM, "10.244.0.1", "icmp"],
        "node1 guard egress-rule delivered",
        &[ALLOW],
    ),
    (
        "localGatewayDestinationIPv6",
        policed,
        [FROM, "fd00:10:244::1", "icmp6"],
        "node1 guard egress-rule delivered",
        &[ALLOW],
    ),
];

const INTER_NODE: &[Scenario] = &[
    (
        "interNodeTraceflowIPv4",
        policed,
        [FROM, "node2-pod0", "tcp,tcp_dst=80"],
        "node1 guard egress-rule forwarded, node2 received delivered",
        &[ALLOW, "tunnelDstIP=172.18.0.3"],
    ),
    (
        "interNodeUDPDstIPTraceflowIPv4",
        policed,
        [FROM, "10.244.1.3", "udp,udp_dst=321"],
        "node1 guard egress-rule forwarded, node2 received delivered",
        &[ALLOW],
    ),
    (
        "interNodeICMPDstPodDroppedTraceflowIPv4",
        policed,
        [FROM, "node2-pod1", "icmp"],
        "node1 guard egress-rule forwarded, node2 received ingress-default-drop",
        &[ALLOW],
    ),
    (
        "serviceTraceflowIPv4",
        policed,
        [FROM, "svc", "tcp,tcp_dst=80"],
        "node1 guard service egress-rule forwarded, node2 received delivered",
        &["pod=default/agnhost translatedDstIP=10.244.1.2"],
    ),
    (
        "hairpinServiceTraceflowIPv4",
        policed,
        ["agnhost", "svc", "tcp,tcp_dst=80"],
        "node2 guard service delivered",
        &["pod=default/agnhost translatedSrcIP=10.244.1.1 translatedDstIP=10.244.1.2"],
    ),
    (
        "interNodeTraceflowIPv6",
        policed,
        [FROM, "node2-pod0", "tcp6,tcp_dst=80"],
        "node1 guard egress-rule forwarded, node2 received delivered",
        &[ALLOW],
    ),
    (
        "interNodeUDPDstIPTraceflowIPv6",
        policed,
        [FROM, "fd00:10:244:1::3", "udp6,udp_dst=321"],
        "node1 guard egress-rule forwarded, node2 received delivered",
        &[ALLOW],
    ),
    (
        "interNodeICMPDstIPTraceflowIPv6",
        policed,
        [FROM, "fd00:10:244:1::3", "icmp6"],
        "node1 guard egress-rule forwarded, node2 received delivered",
        &[ALLOW],
    ),
    (
        "serviceTraceflowIPv6",
        policed,
        [FROM, "svc", "tcp6,tcp_dst=80"],
        "node1 guard service egress-rule forwarded, node2 received delivered",
        &["translatedDstIP=fd00:10:244:1::2"],
    ),
    (
        "hairpinServiceTraceflowIPv6",
        policed,
        ["agnhost", "svc", "tcp6,tcp_dst=80"],
        "node2 guard service delivered",
        &["translatedSrcIP=fd00:10:244:1::1 translatedDstIP=fd00:10:244:1::2"],
    ),
    (
        "nodeIPDestination",
        nodes,
        [FROM, "172.18.0.3", "icmp"],
        "node1 guard out",
        &[],
    ),
    (
        "egressFromLocalNode",
        || with_egress("node1"),
        [FROM, "192.0.2.1", "icmp"],
        "node1 guard marked out",
        &["egressIP=172.18.0.200 egressNode=node1"],
    ),
    (
        "egressFromRemoteNode",
        || with_egress("node2"),
        [FROM, "192.0.2.1", "icmp"],
        "node1 guard to-egress forwarded, node2 received marked out",
        &["egressIP=172.18.0.200 egressNode=node2", "tunnelDstIP=172.18.0.200"],
    ),
];

const PACKET_INS: &[Scenario] = &[
    (
        "ingress metric drop",
        antrea_policed,
        [FROM, "node1-pod1", "udp,udp_dst=53"],
        "node1 guard ingress-drop",
        &[],
    ),
    (
        "ingress accept",
        || with_cluster_policy("ingress: [{action: Allow, name: open}]"),
        [FROM, "node1-pod1", "tcp,tcp_dst=80"],
        "node1 guard ingress-rule delivered",
        &["networkPolicyRule=open"],
    ),
    (
        "egress default drop",
        || {
            nodes().yaml("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: quiet}\nspec: {podSelector: {}, policyTypes: [Egress]}")
        },
        [FROM, "node1-pod1", "tcp,tcp_dst=80"],
        "node1 guard egress-default-drop",
        &[],
    ),
    (
        "egress accept",
        policed,
        [FROM, "node1-pod2", "tcp,tcp_dst=80"],
        "node1 guard egress-rule delivered",
        &[],
    ),
    (
        "packet at source Node for local Egress",
        || with_egress("node1"),
        [FROM, "8.8.8.8", "tcp,tcp_dst=443"],
        "node1 guard marked out",
        &["egress=egress"],
    ),
    (
        "packet at source Node for remote Egress, and at remote Node for remote Egress",
        || with_egress("node2"),
        [FROM, "8.8.8.8", "tcp,tcp_dst=443"],
        "node1 guard to-egress forwarded, node2 received marked out",
        &["egress=egress"],
    ),
    (
        "marked packet to remote Pod in hybrid mode",
        || nodes().traffic_mode(TrafficMode::Hybrid),
        [FROM, "node2-pod0", "tcp,tcp_dst=80"],
        "node1 guard forwarded, node2 received delivered",
        &[],
    ),
    (
        "packet at source Node forwarded by acnp egress rule",
        || with_cluster_policy("egress: [{action: Allow, name: acnp-egress}]"),
        [FROM, "node2-pod0", "tcp,tcp_dst=80"],
        "node1 guard egress-rule forwarded, node2 received delivered",
        &["networkPolicy=AntreaClusterNetworkPolicy:acnp networkPolicyRule=acnp-egress"],
    ),
    (
        "packet at destination Node forwarded by acnp ingress rule",
        || with_cluster_policy("ingress: [{action: Allow, name: acnp-ingress}]"),
        [FROM, "node2-pod0", "tcp,tcp_dst=80"],
        "node1 guard forwarded, node2 received ingress-rule delivered",
        &["networkPolicy=AntreaClusterNetworkPolicy:acnp networkPolicyRule=acnp-ingress"],
    ),
    (
        "packet at source Node dropped by acnp egress rule",
        || with_cluster_policy("egress: [{action: Drop, name: acnp-egress}]"),
        [FROM, "node2-pod0", "tcp,tcp_dst=80"],
        "node1 guard egress-drop",
        &["networkPolicyRule=acnp-egress"],
    ),
    (
        "packet at source Node to remote Pod with WireGuard",
        || nodes().traffic_mode(TrafficMode::WireGuard),
        [FROM, "node2-pod0", "tcp,tcp_dst=80"],
        "node1 guard forwarded, node2 received delivered",
        &["tunnelDstIP=172.18.0.3"],
    ),
    (
        "packet at source Node to external with WireGuard",
        || nodes().traffic_mode(TrafficMode::WireGuard),
        [FROM, "8.8.8.8", "tcp,tcp_dst=443"],
        "node1 guard out",
        &[],
    ),
    (
        "packet at source Node to external NoEncap",
        || nodes().traffic_mode(TrafficMode::NoEncap),
        [FROM, "8.8.8.8", "tcp,tcp_dst=443"],
        "node1 guard out",
        &[],
    ),
    (
        "packet at source Node to remote Pod NoEncap",
        || nodes().traffic_mode(TrafficMode::NoEncap),
        [FROM, "node2-pod0", "tcp,tcp_dst=80"],
        "node1 guard forwarded, node2 received delivered",
        &[],
    ),
];

fn word(seen: &Observation) -> &'static str {
    match (&seen.component, seen.component_info.as_ref(), &seen.action) {
        (Component::SpoofGuard, _, Action::Forwarded) => "guard",
        (Component::Lb, _, Action::Forwarded) => "service",
        (Component::NetworkPolicy, Some(ComponentInfo::EgressRule), Action::Forwarded) => "egress-rule",
        (Component::NetworkPolicy, Some(ComponentInfo::EgressMetric), Action::Dropped) => "egress-drop",
        (Component::NetworkPolicy, Some(ComponentInfo::EgressDefaultRule), Action::Dropped) => "egress-default-drop",
        (Component::NetworkPolicy, Some(ComponentInfo::IngressRule), Action::Forwarded) => "ingress-rule",
        (Component::NetworkPolicy, Some(ComponentInfo::IngressMetric), Action::Dropped) => "ingress-drop",
        (Component::NetworkPolicy, Some(ComponentInfo::IngressMetric), Action::Rejected) => "ingress-reject",
        (Component::NetworkPolicy, Some(ComponentInfo::IngressDefaultRule), Action::Dropped) => "ingress-default-drop",
        (Component::Egress, _, Action::MarkedForSnat) => "marked",
        (Component::Egress, _, Action::ForwardedToEgressNode) => "to-egress",
        (Component::Forwarding, Some(ComponentInfo::Classification), Action::Received) => "received",
        (Component::Forwarding, Some(ComponentInfo::Output), Action::Forwarded) => "forwarded",
        (Component::Forwarding, Some(ComponentInfo::Output), Action::Delivered) => "delivered",
        (Component::Forwarding, Some(ComponentInfo::Output), Action::ForwardedOutOfNetwork) => "out",
        _ => "something else",
    }
}

fn words(hops: &[Hop]) -> String {
    let of_hop = |hop: &Hop| {
        let words: Vec<&str> = hop.observations.iter().map(word).collect();
        format!("{} {}", hop.node, words.join(" "))
    };
    hops.iter().map(of_hop).collect::<Vec<_>>().join(", ")
}

/// Asks over a network; real traffic is sent when a live trace is armed.
async fn traced(cluster: Arc<Cluster>, plan: Plan, send: Option<&str>) -> Trace {
    let network = SimNetwork::new(cluster.clone());
    let tracer = Tracer::builder(cluster.clone())
        .predictor(cluster as Arc<dyn Predictor>)
        .datapaths(network.datapaths())
        .start();
    let mut tracing = tracer.trace(plan);
    while let Some(news) = tracing.progress().await {
        if let (Progress::Armed { .. }, Some(traffic)) = (news, send) {
            network.send(&traffic.parse().unwrap()).unwrap();
        }
    }
    let trace = tracing.await.unwrap();
    tracer.close().await.unwrap();
    trace
}

async fn check(scenarios: &[Scenario]) {
    let mut wrong = Vec::new();
    for (name, cluster, [source, destination, flow], expected, details) in scenarios {
        let cluster = Arc::new(cluster().build().unwrap());
        let asked = CommandLine {
            source: Some(source),
            destination: Some(destination),
            flow: Some(flow),
            ..CommandLine::default()
        };
        let plan = Plan::resolve(
            &asked.spec(&*cluster).unwrap(),
            &*cluster,
            &mut fastrand::Rng::with_seed(1),
        )
        .unwrap();
        let trace = traced(cluster, plan, None).await;
        let (told, all) = (words(&trace.hops), text(&trace.hops));
        let missing: Vec<_> = details.iter().filter(|detail| !all.contains(**detail)).collect();
        if told != *expected || !missing.is_empty() || trace.finding.is_some() {
            wrong.push(format!(
                "{name}\n  expected: {expected} {missing:?}\n  told: {told}\n{all}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn on_one_node() {
    check(INTRA_NODE).await;
}

#[tokio::test(start_paused = true)]
async fn between_nodes_and_out_of_the_cluster() {
    check(INTER_NODE).await;
}

#[tokio::test(start_paused = true)]
async fn as_packet_ins_tell_it() {
    check(PACKET_INS).await;
}

/// Live traffic: name, whether only drops are asked for, its ends, the flow, what is sent, and what is told.
type Live = (
    &'static str,
    bool,
    [&'static str; 2],
    &'static str,
    &'static str,
    &'static str,
);

const LIVE: &[Live] = &[
    (
        "intraNodeICMPDstIPLiveTraceflowIPv4",
        false,
        [FROM, "10.244.0.4"],
        "icmp",
        "node1-pod0->node1-pod2 icmp",
        "node1 guard egress-rule delivered",
    ),
    (
        "intraNodeICMPSrcIPDroppedTraceflowIPv4",
        true,
        ["10.244.0.2", "node1-pod1"],
        "icmp",
        "node1-pod0->node1-pod1 icmp",
        "node1 guard egress-rule ingress-default-drop",
    ),
    (
        "intraNodeICMPDstIPLiveTraceflowIPv6",
        false,
        [FROM, "fd00:10:244::4"],
        "icmp6",
        "node1-pod0->fd00:10:244::4 icmp6",
        "node1 guard egress-rule delivered",
    ),
    (
        "interNodeICMPDstPodLiveTraceflowIPv4",
        false,
        [FROM, "node2-pod0"],
        "icmp",
        "node1-pod0->node2-pod0 icmp",
        "node1 guard egress-rule forwarded, node2 received delivered",
    ),
    (
        "interNodeICMPDstPodLiveTraceflowIPv6",
        false,
        [FROM, "fd00:10:244:1::3"],
        "icmp6",
        "node1-pod0->fd00:10:244:1::3 icmp6",
        "node1 guard egress-rule forwarded, node2 received delivered",
    ),
];

#[tokio::test(start_paused = true)]
async fn of_real_traffic() {
    for (name, dropped_only, [source, destination], flow, traffic, expected) in LIVE {
        let cluster = Arc::new(policed().build().unwrap());
        let asked = CommandLine {
            source: Some(source),
            destination: Some(destination),
            flow: Some(flow),
            live_traffic: true,
            dropped_only: *dropped_only,
            ..CommandLine::default()
        };
        let plan = Plan::resolve(
            &asked.spec(&*cluster).unwrap(),
            &*cluster,
            &mut fastrand::Rng::with_seed(1),
        )
        .unwrap();
        let trace = traced(cluster, plan, Some(traffic)).await;
        assert_eq!(
            words(&trace.hops),
            *expected,
            "{name}: {} {:?}",
            trace.verdict,
            trace.notes
        );
        let captured = trace.captured.expect("the packet was caught");
        assert!(
            captured.source.to_string().ends_with(":2") || captured.source.to_string() == "10.244.0.2",
            "{name}"
        );
    }
}

/// What Antrea refuses, and why here.
#[test]
fn what_can_not_be_asked() {
    let cluster = policed().pod("host", "node1").host_network().build().unwrap();
    let refused = |source: Option<&str>, destination: Option<&str>, live: bool| {
        let asked = CommandLine {
            source,
            destination,
            flow: Some("icmp"),
            live_traffic: live,
            ..CommandLine::default()
        };
        let resolved = asked
            .spec(&cluster)
            .and_then(|spec| Plan::resolve(&spec, &cluster, &mut fastrand::Rng::with_seed(1)));
        resolved.map_or_else(|error| error.to_string(), |_| "taken".to_owned())
    };
    let answers = [
        (
            "nonExistingDstPod",
            refused(Some(FROM), Some("non-existing-pod"), false),
        ),
        (
            "Source Pod must be specified in non-live-traffic Traceflow",
            refused(None, Some("node1-pod1"), false),
        ),
        (
            "Traceflow should have either source or destination Pod assigned",
            refused(Some("10.1.1.1"), Some("10.1.1.2"), true),
        ),
        (
            "Assigned source pod must exist",
            refused(Some("unknown"), Some("node1-pod1"), false),
        ),
        (
            "Using hostNetwork Pod as source in non-live-traffic Traceflow is not supported",
            refused(Some("host"), Some("node1-pod1"), false),
        ),
        ("Valid request", refused(Some(FROM), Some("node1-pod1"), false)),
    ];
    let text: String = answers
        .iter()
        .map(|(name, answer)| format!("{name}: {answer}\n"))
        .collect();
    expect_test::expect![[r#"
        nonExistingDstPod: -D: Pod or Service default/non-existing-pod is not in the cluster; check the name; outside of namespace default, write NAMESPACE/NAME
        Source Pod must be specified in non-live-traffic Traceflow: -S: is missing; name the Pod that sends
        Traceflow should have either source or destination Pod assigned: -S: is missing; name a Pod here or as destination: at least one end must be a Pod
        Assigned source pod must exist: spec.source.pod: Pod default/unknown is not in the cluster; check its name and namespace
        Using hostNetwork Pod as source in non-live-traffic Traceflow is not supported: spec.source.pod: Pod default/host uses its node's network, so it has no port to inject at; choose a Pod without hostNetwork
        Valid request: taken
    "#]].assert_eq(&text);
}
