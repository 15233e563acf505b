//! The sample flows that Antrea documents, traced to the ends documented there by Antrea's pipeline as it is.

mod agent;
mod program;
mod world;

use std::collections::BTreeSet;

use futures_util::StreamExt;
use futures_util::future::join_all;
use traceflow_core::datapath::Report;
use traceflow_core::observation::{Action, ComponentInfo};
use traceflow_core::packet::{MacAddress, Packet, TcpFlags};

use agent::Agent;
use world::{World, from, name, remote, syn};

const GUARD: &str = "SpoofGuard Forwarded";
const DELIVERED: &str = "Forwarding Delivered Output";
const LEFT: &str = "Forwarding ForwardedOutOfNetwork Output";
const TO_PEER: &str = "Forwarding Forwarded Output tunnel 192.168.77.103";

const DELIVERED_HERE: &str = "delivered on here";
const LEFT_FROM_HERE: &str = "sent out of the network by here";

/// The address of the Service whose clients stay with an endpoint.
const AFFINE: &str = "10.96.76.15";

const CLUSTER_POLICY: &str = "AntreaClusterNetworkPolicy:web-app-db-network-policy";

#[tokio::test(flavor = "multi_thread")]
async fn antreas_own_policies_allow_and_drop_as_documented() {
    let world = World::with(&["antrea-policies"]);
    let allowed = format!("NetworkPolicy Forwarded EgressRule {CLUSTER_POLICY} AllowToDB");
    world
        .expect(
            "web",
            syn("web", "10.10.0.25", 3306),
            &[GUARD, &allowed, DELIVERED],
            DELIVERED_HERE,
        )
        .await;

    let because = format!("rule drop-egress of {CLUSTER_POLICY} denies it");
    let dropped = format!("NetworkPolicy Dropped EgressMetric {CLUSTER_POLICY} drop-egress {because}");
    let end = format!("dropped on here: {because}");
    for (destination, port) in [
        ("10.10.0.25", 3307),
        ("10.10.0.26", 80),
        ("10.10.1.6", 3306),
        ("8.8.8.8", 53),
    ] {
        world
            .expect("web", syn("web", destination, port), &[GUARD, &dropped], &end)
            .await;
    }

    let allowed = format!("NetworkPolicy Forwarded IngressRule {CLUSTER_POLICY} AllowFromClient");
    world
        .expect(
            "client",
            syn("client", "10.10.0.24", 80),
            &[GUARD, &allowed, DELIVERED],
            DELIVERED_HERE,
        )
        .await;

    let because = format!("rule drop-ingress of {CLUSTER_POLICY} denies it");
    let end = format!("dropped on here: {because}");
    let dropped = format!("NetworkPolicy Dropped IngressMetric {CLUSTER_POLICY} drop-ingress {because}");
    world
        .expect("client", syn("client", "10.10.0.24", 81), &[GUARD, &dropped], &end)
        .await;
    world
        .expect("db", syn("db", "10.10.0.24", 80), &[GUARD, &dropped], &end)
        .await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubernetes_policies_allow_and_isolate_as_documented() {
    let world = World::with(&["kubernetes-policies"]);
    let policy = "K8sNetworkPolicy:default/web-app-db-network-policy";
    let allowed = format!("NetworkPolicy Forwarded EgressRule {policy}");
    world
        .expect(
            "web",
            syn("web", "10.10.0.25", 3306),
            &[GUARD, &allowed, DELIVERED],
            DELIVERED_HERE,
        )
        .await;

    let because = format!("no rule allows it, and the Pod is isolated by {policy}");
    let end = format!("dropped on here: {because}");
    let dropped = format!("NetworkPolicy Dropped EgressDefaultRule {because}");
    for (destination, port) in [("10.10.0.25", 3307), ("10.10.0.26", 80), ("8.8.8.8", 53)] {
        world
            .expect("web", syn("web", destination, port), &[GUARD, &dropped], &end)
            .await;
    }

    let allowed = format!("NetworkPolicy Forwarded IngressRule {policy}");
    world
        .expect(
            "client",
            syn("client", "10.10.0.24", 80),
            &[GUARD, &allowed, DELIVERED],
            DELIVERED_HERE,
        )
        .await;

    let dropped = format!("NetworkPolicy Dropped IngressDefaultRule {because}");
    world
        .expect("client", syn("client", "10.10.0.24", 81), &[GUARD, &dropped], &end)
        .await;
    world
        .expect("db", syn("db", "10.10.0.24", 80), &[GUARD, &dropped], &end)
        .await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn services_choose_one_of_the_documented_endpoints() {
    let world = World::with(&["antrea-policies"]);
    let allowed = format!("NetworkPolicy Forwarded IngressRule {CLUSTER_POLICY} AllowFromClient");
    let here = [GUARD, "LB Forwarded default/web to 10.10.0.24", &allowed, DELIVERED].map(str::to_owned);
    let there = [GUARD, "LB Forwarded default/remote-web to 10.10.1.6", TO_PEER].map(str::to_owned);
    let services = [
        ("10.105.31.235", 80),
        ("192.168.77.102", 30004),
        ("192.168.77.150", 80),
        ("192.168.77.200", 80),
        ("192.168.77.151", 80),
        ("10.96.76.15", 80),
    ];
    let both_chosen = services.map(async |(service, port)| {
        let mut seen = BTreeSet::new();
        while seen.len() < 2 {
            let (lines, _) = world.trace("client", syn("client", service, port)).await;
            assert!(lines == here || lines == there, "{service}: {lines:#?}");
            seen.insert(lines);
        }
    });
    join_all(both_chosen).await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_endpoints_refuses_and_the_agent_hears_nothing() {
    let world = World::with(&[]);
    let openflow = world.fabric.nodes().next().unwrap().openflow.clone();
    let mut agent = Agent::connect(&openflow);
    let because = "Service default/sample-clusterip-no-ep has no ready endpoint";
    let refused = format!("LB Rejected {because}");
    let packet = syn("client", "10.101.255.29", 80);
    world
        .expect(
            "client",
            packet.clone(),
            &[GUARD, &refused],
            &format!("rejected on here: {because}"),
        )
        .await;
    assert_eq!(agent.heard(), []);

    world
        .fabric
        .pod_link(&name("client"))
        .unwrap()
        .send(&packet.to_vec())
        .unwrap();
    assert_eq!(agent.hear().userdata, [4], "what the Pod itself sends is heard");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn session_affinity_is_honoured_and_never_begun() {
    let world = World::with(&[]);
    let before = world.flows("SessionAffinity");
    assert_eq!(before.len(), 2, "the documented one, and that of all others");
    let traces = || (0..8).map(|_| world.trace("client", syn("client", AFFINE, 80)));
    for (lines, _) in join_all(traces()).await {
        assert!(lines[1].starts_with("LB Forwarded "), "{lines:?}");
    }
    assert_eq!(world.flows("SessionAffinity"), before);

    let link = world.fabric.pod_link(&name("client")).unwrap();
    link.send(&syn("client", AFFINE, 80).to_vec()).unwrap();
    while world.flows("SessionAffinity").len() == before.len() {}
    // As the switch has just learned it, for the remote endpoint.
    world.add_flow(
        "table=SessionAffinity,priority=200,tcp,nw_src=10.10.0.26,nw_dst=10.96.76.15,tp_dst=80 \
         actions=load:80->NXM_NX_REG4[0..15],load:1->NXM_NX_REG4[26],load:0x0a0a0106->NXM_NX_REG3[],\
         load:2->NXM_NX_REG4[16..18],load:1->NXM_NX_REG0[9]",
    );
    let begun = world.flows("SessionAffinity");
    for (lines, _) in join_all(traces()).await {
        assert_eq!(lines, [GUARD, "LB Forwarded default/remote-web to 10.10.1.6", TO_PEER]);
    }
    assert_eq!(
        world.flows("SessionAffinity"),
        begun,
        "the client's own is left as it is"
    );
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_leads_back_to_its_client_is_translated_both_ways() {
    let world = World::with(&[]);
    let back = "LB Forwarded default/web from 10.10.0.1 to 10.10.0.24";
    let there = "LB Forwarded default/remote-web to 10.10.1.6";
    let mut came_back = false;
    for _ in 0..200 {
        let (lines, verdict) = world.trace("web", syn("web", "10.105.31.235", 80)).await;
        if lines[1] == there {
            continue;
        }
        assert_eq!(lines, [GUARD, back, DELIVERED]);
        assert_eq!(verdict.to_string(), DELIVERED_HERE);
        came_back = true;
        break;
    }
    assert!(came_back);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_that_may_not_or_can_not_go_on_are_dropped_where_documented() {
    let world = World::with(&[]);
    let spoofed = from("db", "10.10.0.24").tcp(1024, 80, TcpFlags::SYN).unwrap();
    let because = "the source address does not belong to the sending Pod";
    let dropped = format!("SpoofGuard Dropped {because}");
    world
        .expect("client", spoofed, &[&dropped], &format!("dropped on here: {because}"))
        .await;

    let because = "connection tracking calls the packet invalid";
    let dropped = format!("Conntrack Dropped {because}");
    let invalid = from("client", "10.10.0.25").tcp(1024, 80, TcpFlags(0x12)).unwrap();
    world
        .expect(
            "client",
            invalid,
            &[GUARD, &dropped],
            &format!("dropped on here: {because}"),
        )
        .await;

    let expired = from("client", "10.10.1.6").ttl(1).tcp(1024, 80, TcpFlags::SYN).unwrap();
    let dropped = "Routing Dropped the TTL expired";
    world
        .expect("client", expired, &[GUARD, dropped], "dropped on here: the TTL expired")
        .await;

    let because = "no Pod, Service or node has the destination address";
    let nobody = Packet::ethernet(
        MacAddress([0x5e, 0xb5, 0xe3, 0xa6, 0x90, 0xb7]),
        MacAddress([2, 0, 0, 0, 0, 99]),
    )
    .ipv4([10, 10, 0, 26].into(), [10, 10, 0, 99].into())
    .tcp(1024, 80, TcpFlags::SYN)
    .unwrap();
    let dropped = format!("Routing Dropped {because}");
    world
        .expect(
            "client",
            nobody,
            &[GUARD, &dropped],
            &format!("dropped on here: {because}"),
        )
        .await;

    let dropped = "Forwarding Dropped Classification the pipeline doesn't know the port that the packet came in by";
    let (lines, _) = world.trace("stranger", syn("client", "10.10.0.24", 80)).await;
    assert_eq!(lines, [dropped]);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_are_routed_as_documented() {
    let world = World::with(&[]);
    let same_node = [GUARD, DELIVERED];
    world
        .expect("client", syn("client", "10.10.0.25", 80), &same_node, DELIVERED_HERE)
        .await;
    world
        .expect(
            "client",
            syn("client", "10.10.1.6", 80),
            &[GUARD, TO_PEER],
            "expected next on peer",
        )
        .await;
    world
        .expect("client", syn("client", "10.10.0.1", 80), &same_node, DELIVERED_HERE)
        .await;
    world
        .expect(
            "client",
            syn("client", "192.168.77.102", 22),
            &same_node,
            DELIVERED_HERE,
        )
        .await;
    for outside in ["192.168.77.103", "10.96.9.9"] {
        world
            .expect("client", syn("client", outside, 22), &[GUARD, LEFT], LEFT_FROM_HERE)
            .await;
    }
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tunnels_the_gateway_is_the_way_to_other_nodes() {
    let world = World::with(&[]);
    world.add_flow(
        "table=L3Forwarding,priority=220,ip,nw_dst=10.10.1.0/24 \
         actions=set_field:ba:5e:d1:55:aa:c0->eth_dst,set_field:0x20/0xf0->reg0,goto_table:L3DecTTL",
    );
    let (lines, _) = world.trace("client", syn("client", "10.10.1.6", 80)).await;
    assert_eq!(lines, [GUARD, "Forwarding Forwarded Output"]);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_to_the_outside_leave_by_the_documented_egresses() {
    let world = World::with(&[]);
    let to_egress_node = [
        GUARD,
        "Egress ForwardedToEgressNode address 192.168.77.113",
        "Forwarding Forwarded Output tunnel 192.168.77.113",
    ];
    world
        .expect(
            "client",
            syn("client", "8.8.8.8", 53),
            &to_egress_node,
            "expected next on egress-node",
        )
        .await;
    world
        .expect(
            "web",
            syn("web", "8.8.8.8", 53),
            &[GUARD, "Egress MarkedForSNAT", LEFT],
            LEFT_FROM_HERE,
        )
        .await;
    world
        .expect("db", syn("db", "8.8.8.8", 53), &[GUARD, LEFT], LEFT_FROM_HERE)
        .await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_of_other_nodes_are_taken_in_as_documented() {
    let world = World::with(&["antrea-policies"]);
    let received = "Forwarding Received Classification";
    let seen = world.arrive("192.168.77.112", &remote("8.8.8.8")).await;
    assert_eq!(seen, [received, "Egress MarkedForSNAT", LEFT]);
    let seen = world.arrive("192.168.77.199", &remote("8.8.8.8")).await;
    assert_eq!(
        seen,
        [received, "Egress Dropped this node has no Egress address for it"]
    );
    let seen = world.arrive("192.168.77.102", &remote("10.10.0.25")).await;
    assert_eq!(seen, [received, DELIVERED]);
    let seen = world.arrive("192.168.77.102", &remote("10.10.0.24")).await;
    let because = format!("rule drop-ingress of {CLUSTER_POLICY} denies it");
    let dropped = format!("NetworkPolicy Dropped IngressMetric {CLUSTER_POLICY} drop-ingress {because}");
    assert_eq!(seen, [received, &dropped]);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_redirected_is_told_so_and_what_is_mirrored_arrives() {
    let world = World::with(&["traffic-control", "antrea-policies"]);
    let redirected = "TrafficControl Redirected Output";
    let allowed = format!("NetworkPolicy Forwarded EgressRule {CLUSTER_POLICY} AllowToDB");
    world
        .expect(
            "web",
            syn("web", "10.10.0.25", 3306),
            &[GUARD, &allowed, redirected, LEFT],
            LEFT_FROM_HERE,
        )
        .await;
    let allowed = format!("NetworkPolicy Forwarded IngressRule {CLUSTER_POLICY} AllowFromClient");
    world
        .expect(
            "client",
            syn("client", "10.10.0.24", 80),
            &[GUARD, &allowed, redirected, LEFT],
            LEFT_FROM_HERE,
        )
        .await;
    world
        .expect(
            "client",
            syn("client", "10.10.0.25", 80),
            &[GUARD, DELIVERED],
            DELIVERED_HERE,
        )
        .await;
    world
        .expect(
            "db",
            syn("db", "10.10.1.6", 80),
            &[GUARD, TO_PEER],
            "expected next on peer",
        )
        .await;

    let inspected = [
        GUARD,
        "NetworkPolicy Forwarded IngressRule AntreaClusterNetworkPolicy:ingress-allow-http-request-to-api-v2",
        "L7NetworkPolicy Redirected Output",
        LEFT,
    ];
    world
        .expect("client", syn("client", "10.10.0.23", 8080), &inspected, LEFT_FROM_HERE)
        .await;
    for tap in ["tc-target", "tc-mirror", "l7-target"] {
        assert_eq!(
            world.fabric.received(&name(tap)).unwrap(),
            0,
            "{tap} got an injected packet"
        );
    }
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_are_logged_are_told_once_and_the_agent_hears_nothing() {
    let world = World::with(&["logging"]);
    let openflow = world.fabric.nodes().next().unwrap().openflow.clone();
    let mut agent = Agent::connect(&openflow);
    let to_db = |port| syn("client", "10.10.0.25", port);

    let allowed = format!("NetworkPolicy Forwarded IngressRule {CLUSTER_POLICY} AllowFromClient");
    world
        .expect("client", to_db(81), &[GUARD, &allowed, DELIVERED], DELIVERED_HERE)
        .await;

    let because = format!("rule drop-ingress of {CLUSTER_POLICY} denies it");
    let at = |action, place| format!("NetworkPolicy {action} {place} {CLUSTER_POLICY}");
    let dropped = format!("{} drop-ingress {because}", at("Dropped", "IngressMetric"));
    world
        .expect(
            "client",
            to_db(82),
            &[GUARD, &dropped],
            &format!("dropped on here: {because}"),
        )
        .await;

    let rejected = format!("{} drop-ingress {because}", at("Rejected", "IngressMetric"));
    world
        .expect(
            "client",
            to_db(83),
            &[GUARD, &rejected],
            &format!("rejected on here: {because}"),
        )
        .await;
    let because = format!("rule drop-egress of {CLUSTER_POLICY} denies it");
    let rejected = format!("{} drop-egress {because}", at("Rejected", "EgressMetric"));
    world
        .expect(
            "client",
            to_db(84),
            &[GUARD, &rejected],
            &format!("rejected on here: {because}"),
        )
        .await;

    for (port, place) in [
        (85, "IngressDefaultRule"),
        (86, "EgressDefaultRule"),
        (87, "IngressDefaultRule"),
    ] {
        let (lines, _) = world.trace("client", to_db(port)).await;
        assert!(
            lines[1].starts_with(&format!("NetworkPolicy Dropped {place} no rule allows it")),
            "{lines:?}"
        );
        assert_eq!(lines.len(), 2);
    }
    assert_eq!(agent.heard(), []);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_real_traffic_only_what_is_dropped_counts_as_dropped() {
    let world = World::with(&["logging"]);
    let mut reports = world.live_drops("client").await;
    let link = world.fabric.pod_link(&name("client")).unwrap();
    for (destination, port) in [
        ("10.105.31.235", 80),
        ("192.168.77.150", 80),
        (AFFINE, 80),
        ("10.10.0.25", 81),
        ("8.8.8.8", 53),
        ("10.10.0.25", 82),
    ] {
        link.send(&syn("client", destination, port).to_vec()).unwrap();
    }
    let Some(Report::Seen(sighting)) = reports.next().await else {
        panic!("no sighting");
    };
    let last = sighting.observations.last().unwrap();
    assert_eq!(last.component_info, Some(ComponentInfo::IngressMetric), "{last:?}");
    assert_eq!(last.action, Action::Dropped);
}
