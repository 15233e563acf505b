//! The situations that Antrea's own tests of its Traceflow describe, with the outcomes described there, on the simulated network and
//! on switches.
//!
//! The names are those of Antrea's cases, but for `ANNPRejectIngressIPv6`, which is ours: the first tables' are from its
//! end-to-end test (`test/e2e/traceflow_test.go`), the last one's from its test of packet-ins
//! (`pkg/agent/controller/traceflow/packetin_test.go`), put into a network where they arise.
//!
//! Where an outcome or a situation is another than Antrea's, its row says so.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod requests;
mod told;

use std::process::Command;
use std::sync::Arc;

use agreement::world::{World, WorldError};
use testbed::fabric::{FabricError, Form};
use traceflow_core::inventory::Inventory;
use traceflow_core::names::ObjectName;
use traceflow_core::observation::Component;
use traceflow_core::packet::{CapturedPacket, CapturedTransport, IpFamily, Packet, Protocol};
use traceflow_core::plan::{Plan, Question};
use traceflow_core::session::Progress;
use traceflow_core::spec::CommandLine;
use traceflow_core::trace::{Predictor, Trace};
use traceflow_core::tracer::Tracer;
use traceflow_sim::model::TrafficMode;
use traceflow_sim::{Cluster, ClusterBuilder, SimNetwork};

use crate::told::{details_of, words};

/// Two nodes with three Pods each; `agnhost` on the second serves a Service at another port. Both families.
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
        .container_port("http", 8080)
        .service("svc", 80)
        .selects("app", "agnhost")
        .target_port("http")
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

/// A situation, what is asked, and what each node did in short words; a node and what one of its observations knows, whole fields that
/// stand there one after the other.
type Scenario = (
    &'static str,
    fn() -> ClusterBuilder,
    [&'static str; 3],
    &'static str,
    &'static [&'static str],
);

const FROM: &str = "node1-pod0";
const ALLOW: &str = "node1 networkPolicy=K8sNetworkPolicy:default/allow-all-egress";
const ALLOW_ON_2: &str = "node2 networkPolicy=K8sNetworkPolicy:default/allow-all-egress";

/// Antrea's node of the address knows only that; ours names the Egress there too.
const EGRESS_ON_2: &[&str] = &[
    "node1 egress=egress egressIP=172.18.0.200 egressNode=node2",
    "node1 tunnelDstIP=172.18.0.200",
    "node2 egressIP=172.18.0.200",
];

const INTRA_NODE: &[Scenario] = &[
    (
        "ANNPDenyIngressIPv4",
        antrea_policed,
        [FROM, "node1-pod1", "tcp,tcp_dst=80"],
        "node1 guard ingress-drop",
        &["node1 networkPolicy=AntreaNetworkPolicy:default/deny-ingress networkPolicyRule=ingress-drop"],
    ),
    (
        "ANNPRejectIngressIPv4",
        antrea_policed,
        [FROM, "node1-pod2", "tcp,tcp_dst=80"],
        "node1 guard ingress-reject",
        &["node1 networkPolicy=AntreaNetworkPolicy:default/reject-ingress networkPolicyRule=ingress-reject"],
    ),
    (
        "ANNPDenyIngressIPv6",
        antrea_policed,
        [FROM, "node1-pod1", "tcp6,tcp_dst=80"],
        "node1 guard ingress-drop",
        &["node1 networkPolicy=AntreaNetworkPolicy:default/deny-ingress networkPolicyRule=ingress-drop"],
    ),
    (
        "ANNPRejectIngressIPv6",
        antrea_policed,
        [FROM, "node1-pod2", "tcp6,tcp_dst=80"],
        "node1 guard ingress-reject",
        &["node1 networkPolicy=AntreaNetworkPolicy:default/reject-ingress networkPolicyRule=ingress-reject"],
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
        &[ALLOW, "node1 componentInfo=Output tunnelDstIP=172.18.0.3"],
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
        &["node1 pod=default/agnhost translatedDstIP=10.244.1.2", ALLOW],
    ),
    (
        "hairpinServiceTraceflowIPv4",
        policed,
        ["agnhost", "svc", "tcp,tcp_dst=80"],
        "node2 guard service egress-rule delivered",
        &[
            "node2 pod=default/agnhost translatedDstIP=10.244.1.2 translatedSrcIP=10.244.1.1",
            ALLOW_ON_2,
        ],
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
        &["node1 pod=default/agnhost translatedDstIP=fd00:10:244:1::2", ALLOW],
    ),
    (
        "hairpinServiceTraceflowIPv6",
        policed,
        ["agnhost", "svc", "tcp6,tcp_dst=80"],
        "node2 guard service egress-rule delivered",
        &[
            "node2 pod=default/agnhost translatedDstIP=fd00:10:244:1::2 translatedSrcIP=fd00:10:244:1::1",
            ALLOW_ON_2,
        ],
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
        &["node1 egress=egress egressIP=172.18.0.200 egressNode=node1"],
    ),
    (
        "egressFromRemoteNode",
        || with_egress("node2"),
        [FROM, "192.0.2.1", "icmp"],
        "node1 guard to-egress forwarded, node2 received marked out",
        EGRESS_ON_2,
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
        &["node1 networkPolicy=AntreaClusterNetworkPolicy:acnp networkPolicyRule=open"],
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
        &["node1 egress=egress egressIP=172.18.0.200 egressNode=node1"],
    ),
    (
        "packet at source Node for remote Egress, and at remote Node for remote Egress",
        || with_egress("node2"),
        [FROM, "8.8.8.8", "tcp,tcp_dst=443"],
        "node1 guard to-egress forwarded, node2 received marked out",
        EGRESS_ON_2,
    ),
    (
        "marked packet to remote Pod in hybrid mode",
        || nodes().traffic_mode(TrafficMode::Hybrid),
        [FROM, "node2-pod0", "tcp,tcp_dst=80"],
        "node1 guard forwarded, node2 received delivered",
        &[],
    ),
    // Antrea's packet bears an Egress mark and is for a Pod, which no pipeline makes of one; of the two, this one leaves.
    (
        "marked packet in hybrid mode",
        || with_egress("node1").traffic_mode(TrafficMode::Hybrid),
        [FROM, "192.0.2.1", "tcp,tcp_dst=80"],
        "node1 guard marked out",
        &["node1 egress=egress egressIP=172.18.0.200 egressNode=node1"],
    ),
    (
        "packet at source Node forwarded by acnp egress rule",
        || with_cluster_policy("egress: [{action: Allow, name: acnp-egress}]"),
        [FROM, "node2-pod0", "tcp,tcp_dst=80"],
        "node1 guard egress-rule forwarded, node2 received delivered",
        &["node1 networkPolicy=AntreaClusterNetworkPolicy:acnp networkPolicyRule=acnp-egress"],
    ),
    (
        "packet at destination Node forwarded by acnp ingress rule",
        || with_cluster_policy("ingress: [{action: Allow, name: acnp-ingress}]"),
        [FROM, "node2-pod0", "tcp,tcp_dst=80"],
        "node1 guard forwarded, node2 received ingress-rule delivered",
        &["node2 networkPolicy=AntreaClusterNetworkPolicy:acnp networkPolicyRule=acnp-ingress"],
    ),
    (
        "packet at source Node dropped by acnp egress rule",
        || with_cluster_policy("egress: [{action: Drop, name: acnp-egress}]"),
        [FROM, "node2-pod0", "tcp,tcp_dst=80"],
        "node1 guard egress-drop",
        &["node1 networkPolicy=AntreaClusterNetworkPolicy:acnp networkPolicyRule=acnp-egress"],
    ),
    (
        "packet at source Node to remote Pod with WireGuard",
        || nodes().traffic_mode(TrafficMode::WireGuard),
        [FROM, "node2-pod0", "tcp,tcp_dst=80"],
        "node1 guard forwarded, node2 received delivered",
        &["node1 tunnelDstIP=172.18.0.3"],
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

fn switches_are_installed() -> bool {
    let installed = Command::new("ovs-vswitchd").arg("--version").output().is_ok();
    if !installed {
        println!("skipped: ovs-vswitchd isn't installed (Debian: openvswitch-switch)");
    }
    installed
}

/// What is asked about a cluster.
fn plan(cluster: &Cluster, asked: CommandLine<'_>) -> Plan {
    let spec = asked.spec(cluster).unwrap();
    Plan::resolve(&spec, cluster, &mut fastrand::Rng::with_seed(1)).unwrap()
}

fn injecting<'a>([source, destination, flow]: &[&'a str; 3]) -> CommandLine<'a> {
    CommandLine {
        source: Some(source),
        destination: Some(destination),
        flow: Some(flow),
        ..CommandLine::default()
    }
}

/// A tracer over a simulated network of this cluster.
fn simulated(cluster: &Arc<Cluster>) -> (SimNetwork, Tracer) {
    let network = SimNetwork::new(cluster.clone());
    let tracer = Tracer::builder(cluster.clone())
        .predictor(cluster.clone() as Arc<dyn Predictor>)
        .datapaths(network.datapaths())
        .start();
    (network, tracer)
}

/// What is wrong with the answer.
fn wrong((name, _, [source, ..], expected, details): &Scenario, cluster: &Cluster, trace: &Trace) -> Option<String> {
    let (told, all) = (words(&trace.hops), details_of(&trace.hops));
    let is_there = |detail: &&&str| {
        let (node, detail) = detail.split_once(' ').unwrap();
        let hop = trace.hops.iter().find(|hop| hop.node.as_str() == node);
        let mut lines = hop.map(|hop| details_of(std::slice::from_ref(hop))).unwrap_or_default();
        // Each field whole: an address may begin as another does.
        lines = format!(" {} ", lines.replace('\n', " \n "));
        lines.contains(&format!(" {detail} "))
    };
    let missing: Vec<_> = details.iter().filter(|detail| !is_there(detail)).collect();
    let right =
        told == *expected && missing.is_empty() && trace.finding.is_none() && names_its_sender(cluster, source, trace);
    (!right).then(|| {
        let finding = trace.finding.as_ref().map(ToString::to_string);
        format!("{name}\n  expected: {expected} {missing:?}\n  told: {told}\n{all}{finding:?}")
    })
}

/// The spoof guard's observation has the address of the Pod, in the packet's family.
fn names_its_sender(cluster: &Cluster, sender: &str, trace: &Trace) -> bool {
    let Question::Inject { packet, .. } = &trace.plan.question else {
        return false;
    };
    let pod = cluster.pod(&ObjectName::new("default", sender)).unwrap();
    let address = pod.address(IpFamily::of(packet.ip.source()));
    let first = &trace.hops[0].observations[0];
    first.component == Component::SpoofGuard && address.is_some() && first.src_pod_ip == address
}

fn all_scenarios() -> impl Iterator<Item = &'static Scenario> {
    INTRA_NODE.iter().chain(INTER_NODE).chain(PACKET_INS)
}

#[tokio::test(start_paused = true)]
async fn on_the_simulated_network() {
    let mut mistakes = Vec::new();
    for scenario in all_scenarios() {
        let (_, cluster, asked, ..) = scenario;
        let cluster = Arc::new(cluster().build().unwrap());
        let (_network, tracer) = simulated(&cluster);
        let trace = tracer.trace(plan(&cluster, injecting(asked))).await.unwrap();
        tracer.close().await.unwrap();
        mistakes.extend(wrong(scenario, &cluster, &trace));
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

/// Scenarios that aren't asked of switches, and why.
const NOT_ON_SWITCHES: &[(&str, &str)] = &[
    ("packet at source Node to remote Pod with WireGuard", NO_WIRE_GUARD),
    ("packet at source Node to external with WireGuard", NO_WIRE_GUARD),
];

const NO_WIRE_GUARD: &str = "the testbed's nodes have no WireGuard between them";

#[tokio::test(flavor = "multi_thread")]
async fn on_switches() {
    if !switches_are_installed() {
        return;
    }
    let mut world = World::start(Arc::new(nodes().build().unwrap()), Form::Rootless).unwrap();
    let mut mistakes = Vec::new();
    for scenario in all_scenarios() {
        let (name, cluster, asked, ..) = scenario;
        if NOT_ON_SWITCHES.iter().any(|(other, _)| other == name) {
            continue;
        }
        let cluster = Arc::new(cluster().build().unwrap());
        match world.become_cluster(cluster.clone()) {
            Ok(()) => {}
            // An Egress address is one more address of a node, and a route one more way, which only another fabric has.
            Err(WorldError::Fabric(FabricError::Unsuitable(_))) => {
                assert_eq!(world.end().await.unwrap(), Vec::<String>::new());
                world = World::start(cluster.clone(), Form::Rootless).unwrap();
            }
            Err(error) => panic!("{name}: {error}"),
        }
        let trace = world.tracer.trace(plan(&cluster, injecting(asked))).await.unwrap();
        mistakes.extend(wrong(scenario, &cluster, &trace));
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    assert_eq!(world.end().await.unwrap(), Vec::<String>::new());
}

#[test]
fn what_is_left_out_on_switches_is_a_scenario() {
    for (left_out, _) in NOT_ON_SWITCHES {
        assert!(all_scenarios().any(|(name, ..)| name == left_out), "{left_out}");
    }
}

/// Live traffic: name, whether only drops are asked for, its ends, the flow, the Pods that send and receive, and what is told.
type Live = (
    &'static str,
    bool,
    [&'static str; 2],
    &'static str,
    [&'static str; 2],
    &'static str,
);

const LIVE: &[Live] = &[
    (
        "intraNodeICMPDstIPLiveTraceflowIPv4",
        false,
        [FROM, "10.244.0.4"],
        "icmp",
        [FROM, "node1-pod2"],
        "node1 guard egress-rule delivered",
    ),
    // Antrea's, which is asked for by the sender's address, begins at the receiver; here it is told with its whole way on the node.
    (
        "intraNodeICMPSrcIPDroppedTraceflowIPv4",
        true,
        ["10.244.0.2", "node1-pod1"],
        "icmp",
        [FROM, "node1-pod1"],
        "node1 guard egress-rule ingress-default-drop",
    ),
    (
        "intraNodeICMPDstIPLiveTraceflowIPv6",
        false,
        [FROM, "fd00:10:244::4"],
        "icmp6",
        [FROM, "node1-pod2"],
        "node1 guard egress-rule delivered",
    ),
    (
        "interNodeICMPDstPodLiveTraceflowIPv4",
        false,
        [FROM, "node2-pod0"],
        "icmp",
        [FROM, "node2-pod0"],
        "node1 guard egress-rule forwarded, node2 received delivered",
    ),
    (
        "interNodeICMPDstPodLiveTraceflowIPv6",
        false,
        [FROM, "fd00:10:244:1::3"],
        "icmp6",
        [FROM, "node2-pod0"],
        "node1 guard egress-rule forwarded, node2 received delivered",
    ),
];

fn following<'a>((_, dropped_only, [source, destination], flow, ..): &Live) -> CommandLine<'a> {
    CommandLine {
        source: Some(source),
        destination: Some(destination),
        flow: Some(flow),
        live_traffic: true,
        dropped_only: *dropped_only,
        ..CommandLine::default()
    }
}

/// Arms the trace, and has `send` send its packets.
async fn followed(tracer: &Tracer, plan: Plan, mut send: impl FnMut()) -> Trace {
    let mut tracing = tracer.trace(plan);
    while let Some(news) = tracing.progress().await {
        if let Progress::Armed { .. } = news {
            // Twice, as a ping goes on: the second isn't told, and each node has one packet's observations.
            send();
            send();
        }
    }
    tracing.await.unwrap()
}

/// The way, and the packet as it was caught: the sender's, whole, with the TTL that it had there.
fn check_live((name, _, _, flow, [source, destination], expected): &Live, cluster: &Cluster, trace: &Trace) {
    assert_eq!(
        words(&trace.hops),
        *expected,
        "{name}: {} {:?}",
        trace.verdict,
        trace.notes
    );
    assert_eq!(trace.finding, None, "{name}");
    let family = if *flow == "icmp" { IpFamily::V4 } else { IpFamily::V6 };
    let address = |pod: &str| {
        cluster
            .pod(&ObjectName::new("default", pod))
            .unwrap()
            .address(family)
            .unwrap()
    };
    let CapturedPacket {
        source: from,
        destination: to,
        protocol,
        ttl,
        transport,
        ..
    } = trace.captured.as_ref().expect("the packet was caught");
    let across = trace.hops.len() > 1;
    assert_eq!((*from, *to), (address(source), address(destination)), "{name}");
    assert_eq!(
        *protocol,
        if family == IpFamily::V4 {
            Protocol::ICMP
        } else {
            Protocol::ICMPV6
        },
        "{name}"
    );
    assert_eq!(
        *ttl,
        if across { 63 } else { 64 },
        "{name}: counted down where it is routed"
    );
    assert!(
        matches!(transport, CapturedTransport::Icmp(header) if header.icmp_type == if family == IpFamily::V4 { 8 } else { 128 }),
        "{name}"
    );
}

#[tokio::test(start_paused = true)]
async fn of_real_traffic_on_the_simulated_network() {
    for live in LIVE {
        let (_, _, _, flow, [source, destination], _) = live;
        let cluster = Arc::new(policed().build().unwrap());
        let (network, tracer) = simulated(&cluster);
        let traffic = format!("{source}->{destination} {flow}").parse().unwrap();
        let trace = followed(&tracer, plan(&cluster, following(live)), || {
            network.send(&traffic).unwrap();
        });
        check_live(live, &cluster, &trace.await);
        tracer.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_real_traffic_on_switches() {
    if !switches_are_installed() {
        return;
    }
    let cluster = Arc::new(policed().build().unwrap());
    let world = World::start(cluster.clone(), Form::Rootless).unwrap();
    for live in LIVE {
        let (_, _, _, flow, [source, destination], _) = live;
        let packet = packet(&cluster, [source, destination, flow]);
        let link = world.fabric.pod_link(&ObjectName::new("default", *source)).unwrap();
        let trace = followed(&world.tracer, plan(&cluster, following(live)), || {
            link.send(&packet.to_vec()).unwrap()
        });
        let trace = trace.await;
        check_live(live, &cluster, &trace);
        // Length, flags, DSCP and the ICMP header are the sender's own; the TTL is looked at above.
        let caught = trace.captured.clone().unwrap();
        let sent = CapturedPacket {
            ttl: caught.ttl,
            nonce: caught.nonce,
            ..CapturedPacket::from(&packet)
        };
        assert_eq!(caught, sent, "{}", live.0);
    }
    assert_eq!(world.end().await.unwrap(), Vec::<String>::new());
}

/// As the Pod itself sends it.
fn packet(cluster: &Cluster, asked: [&str; 3]) -> Packet {
    match plan(cluster, injecting(&asked)).question {
        Question::Inject { packet, .. } => packet,
        Question::Live { .. } => unreachable!("a packet was asked for"),
    }
}
