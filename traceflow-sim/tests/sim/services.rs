//! Services: which endpoint, and when none.

use std::time::Duration;

use expect_test::expect;
use traceflow_core::inventory::Inventory;
use traceflow_core::names::ObjectName;
use traceflow_core::packet::{Protocol, Transport};
use traceflow_core::receipt::{Change, Changed, Fate};
use traceflow_core::trace::{Trace, Verdict};
use traceflow_core::tracer::Tracer;
use traceflow_sim::model::{ServicePort, TargetPort};
use traceflow_sim::{Cluster, ClusterBuilder, SimNetwork};

use crate::support::Asking;

/// A client on `a`; two Pods that serve, one on each node.
fn pods() -> ClusterBuilder {
    let builder = Cluster::builder().node("a").node("b").pod("client", "a");
    let builder = builder
        .pod("web-1", "a")
        .label("app", "web")
        .container_port("http", 8080);
    builder
        .pod("web-2", "b")
        .label("app", "web")
        .container_port("http", 9090)
}

fn network(builder: ClusterBuilder) -> SimNetwork {
    SimNetwork::new(builder.build().unwrap())
}

/// The line in which the endpoint is chosen.
fn choice(asking: &Asking, network: &SimNetwork) -> String {
    let text = asking.predicted(network);
    text.lines()
        .find(|line| line.starts_with("  LB"))
        .unwrap_or("none")
        .trim()
        .to_owned()
}

/// All choices over many source ports, once each.
fn choices(network: &SimNetwork, asking: &Asking) -> Vec<String> {
    let mut all: Vec<String> = (1024..1152)
        .map(|port| choice(&asking.clone().source_port(port), network))
        .collect();
    all.sort();
    all.dedup();
    all
}

#[tokio::test]
async fn every_ready_pod_that_is_selected_is_an_endpoint() {
    let network = network(
        pods()
            .pod("web-3", "b")
            .label("app", "web")
            .not_ready()
            .service("web", 80)
            .selects("app", "web"),
    );
    expect![[r#"
        [
            "LB Forwarded pod=default/web-1 translatedDstIP=10.244.0.3",
            "LB Forwarded pod=default/web-2 translatedDstIP=10.244.1.2",
        ]
    "#]]
    .assert_debug_eq(&choices(&network, &Asking::tcp("client", "web", 80)));
}

#[tokio::test]
async fn a_service_is_found_by_its_address_too() {
    let network = network(pods().service("web", 80).address("10.96.7.7").selects("app", "web"));
    let by_name = Asking::tcp("client", "web", 80).predicted_and_injected(&network).await;
    assert_eq!(
        by_name,
        Asking::tcp("client", "10.96.7.7", 80)
            .predicted_and_injected(&network)
            .await
    );
}

#[tokio::test]
async fn a_named_target_port_differs_from_pod_to_pod() {
    let policy = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: http}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{ports: [{port: 8080}]}]";
    let network = network(
        pods()
            .service("web", 80)
            .selects("app", "web")
            .target_port("http")
            .yaml(policy),
    );
    let near = (1024..).find(|&port| to_pod(&network, port, "web-1")).unwrap();
    let far = (1024..).find(|&port| to_pod(&network, port, "web-2")).unwrap();
    let asking = |port| Asking::tcp("client", "web", 80).source_port(port);
    let text =
        asking(near).predicted_and_injected(&network).await + &asking(far).predicted_and_injected(&network).await;
    expect![[r#"
        a
          SpoofGuard Forwarded
          LB Forwarded pod=default/web-1 translatedDstIP=10.244.0.3
          NetworkPolicy/IngressRule Forwarded networkPolicy=K8sNetworkPolicy:default/http
          Forwarding/Output Delivered
        a
          SpoofGuard Forwarded
          LB Forwarded pod=default/web-2 translatedDstIP=10.244.1.2
          Forwarding/Output Forwarded tunnelDstIP=172.18.0.3
        b
          Forwarding/Classification Received
          NetworkPolicy/IngressDefaultRule Dropped (no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/http)
    "#]]
    .assert_eq(&text);
}

fn to_pod(network: &SimNetwork, port: u16, pod: &str) -> bool {
    choice(&Asking::tcp("client", "web", 80).source_port(port), network).contains(&format!("pod=default/{pod} "))
}

#[tokio::test]
async fn a_service_without_endpoints_rejects() {
    let network = network(pods().service("web", 80).selects("app", "other"));
    expect![[r#"
        a
          SpoofGuard Forwarded
          LB Rejected (Service default/web has no ready endpoint)
    "#]]
    .assert_eq(&Asking::tcp("client", "web", 80).predicted_and_injected(&network).await);
}

#[tokio::test]
async fn a_port_or_protocol_that_is_not_offered_is_dropped() {
    let network = network(pods().service("web", 80).selects("app", "web"));
    for asking in [
        Asking::tcp("client", "web", 81),
        Asking::udp("client", "web", 80),
        Asking::ping("client", "web"),
    ] {
        expect![[r#"
            a
              SpoofGuard Forwarded
              LB Dropped (Service default/web does not offer this port and protocol)
        "#]]
        .assert_eq(&asking.predicted_and_injected(&network).await);
    }
}

#[tokio::test]
async fn an_empty_target_port_is_the_services_own() {
    let service = "
apiVersion: v1
kind: Service
metadata: {name: svc}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: ''}]}";
    let network = network(pods().yaml(service));
    assert!(choice(&Asking::tcp("client", "svc", 80), &network).starts_with("LB Forwarded"));
}

#[tokio::test]
async fn several_ports_lead_to_their_own_targets() {
    let metrics = ServicePort {
        name: Some("metrics".into()),
        protocol: Protocol::UDP,
        port: 9100,
        target: TargetPort::Number(9101),
        node_port: None,
    };
    let network = network(pods().service("web", 80).selects("app", "web").service_port(metrics));
    let fate = network.send(&"client->web udp,udp_dst=9100".parse().unwrap()).unwrap();
    assert!(matches!(fate.request.verdict, Verdict::Delivered { .. }));
    let fate = network.send(&"client->web udp,udp_dst=9101".parse().unwrap()).unwrap();
    assert!(matches!(fate.request.verdict, Verdict::Dropped { .. }));
}

#[tokio::test]
async fn a_pod_that_is_its_own_endpoint_sees_the_gateway_as_client() {
    let closed = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed}
spec: {podSelector: {}, policyTypes: [Ingress]}";
    let builder = Cluster::builder()
        .node("a")
        .pod("web", "a")
        .label("app", "web")
        .service("svc", 80)
        .selects("app", "web");
    let network = network(builder.yaml(closed));
    expect![[r#"
        a
          SpoofGuard Forwarded
          LB Forwarded pod=default/web translatedSrcIP=10.244.0.1 translatedDstIP=10.244.0.2
          Forwarding/Output Delivered
    "#]]
    .assert_eq(&Asking::tcp("web", "svc", 80).predicted_and_injected(&network).await);
    let fate = network.send(&"web->svc tcp,tcp_dst=80".parse().unwrap()).unwrap();
    assert_eq!(
        fate.answer.unwrap().verdict,
        Verdict::Delivered { node: "a".into() },
        "the answer finds back"
    );
}

#[tokio::test]
async fn not_ready_addresses_serve_where_the_service_publishes_them() {
    let builder = Cluster::builder()
        .node("a")
        .pod("client", "a")
        .pod("web", "a")
        .label("app", "web")
        .not_ready()
        .yaml(
            "apiVersion: v1
kind: Service
metadata: {name: svc}
spec: {selector: {app: web}, publishNotReadyAddresses: true, ports: [{port: 80}]}",
        );
    let network = network(builder);
    assert_eq!(
        choice(&Asking::tcp("client", "svc", 80), &network),
        "LB Forwarded pod=default/web translatedDstIP=10.244.0.3"
    );
}

#[tokio::test]
async fn finished_pods_serve_nobody() {
    let builder = Cluster::builder()
        .node("a")
        .pod("client", "a")
        .pod("job", "a")
        .label("app", "web")
        .phase("Succeeded");
    let network = network(builder.service("svc", 80).selects("app", "web"));
    assert!(choice(&Asking::tcp("client", "svc", 80), &network).starts_with("LB Rejected"));
}

const SLICES: &str = "
apiVersion: v1
kind: Service
metadata: {name: svc}
spec: {clusterIP: 10.96.0.50, selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: svc-1, labels: {kubernetes.io/service-name: svc}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints:
- {addresses: [10.244.0.3], conditions: {ready: READY, serving: true, terminating: true}}
- {addresses: [192.0.2.9], conditions: {ready: false}}
";

#[tokio::test]
async fn endpoint_slices_count_alone_where_there_are_any() {
    let network = network(pods().yaml(&SLICES.replace("READY", "true")));
    assert_eq!(
        choices(&network, &Asking::tcp("client", "10.96.0.50", 80)),
        ["LB Forwarded pod=default/web-1 translatedDstIP=10.244.0.3"]
    );
}

#[tokio::test]
async fn endpoints_that_terminate_serve_until_there_are_others() {
    let network = network(pods().yaml(&SLICES.replace("READY", "false")));
    assert_eq!(
        choices(&network, &Asking::tcp("client", "10.96.0.50", 80)),
        ["LB Forwarded pod=default/web-1 translatedDstIP=10.244.0.3"]
    );
}

#[tokio::test]
async fn endpoints_of_each_family_terminate_by_themselves() {
    let v6 = "
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: svc-2, labels: {kubernetes.io/service-name: svc}}
addressType: IPv6
ports: [{name: http, port: 8080}]
endpoints: [{addresses: ['fd00::9']}]
";
    let text = format!("{}---{v6}", SLICES.replace("READY", "false"));
    let network = network(pods().yaml(&text));
    assert_eq!(
        choices(&network, &Asking::tcp("client", "10.96.0.50", 80)),
        ["LB Forwarded pod=default/web-1 translatedDstIP=10.244.0.3"]
    );
}

/// One line per Pod: name, and whether it terminates.
fn pods_of_svc(pods: &[(&str, bool)]) -> ClusterBuilder {
    let mut builder = Cluster::builder().node("a").pod("client", "a").service("svc", 80);
    builder = builder.selects("app", "web");
    for (name, terminates) in pods {
        let deletion = match terminates {
            true => ", deletionTimestamp: '2024-05-01T10:00:00Z'",
            false => "",
        };
        builder = builder.yaml(&format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, labels: {{app: web}}{deletion}}}, spec: {{nodeName: a}}}}"
        ));
    }
    builder
}

#[tokio::test]
async fn pods_that_terminate_serve_until_there_are_others() {
    let ask = Asking::tcp("client", "svc", 80);
    let both = network(pods_of_svc(&[("leaving", true), ("staying", false)]));
    let chosen = choices(&both, &ask);
    assert!(
        matches!(&chosen[..], [only] if only.contains("pod=default/staying")),
        "{chosen:?}"
    );
    let last = network(pods_of_svc(&[("leaving", true)]));
    assert!(choice(&ask, &last).contains("pod=default/leaving"));
}

#[tokio::test]
async fn an_endpoint_outside_of_the_cluster_is_reached() {
    let network = network(Cluster::builder().node("a").pod("client", "a").yaml(
        "
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: 10.96.0.51, ports: [{port: 5432}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-1, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
ports: [{port: 5432}]
endpoints: [{addresses: [192.0.2.9]}]",
    ));
    expect![[r#"
        a
          SpoofGuard Forwarded
          LB Forwarded translatedDstIP=192.0.2.9
          Forwarding/Output ForwardedOutOfNetwork
    "#]]
    .assert_eq(&Asking::tcp("client", "db", 5432).predicted_and_injected(&network).await);
}

#[tokio::test]
async fn a_headless_service_has_no_address_to_send_to() {
    use traceflow_core::inventory::Inventory;
    let network = network(pods().service("web", 80).selects("app", "web").headless());
    let entry = network.cluster().service(&crate::support::name("web")).unwrap();
    assert_eq!(entry.cluster_ips, Vec::<std::net::IpAddr>::new());
    let error = network
        .send(&"client->web tcp,tcp_dst=80".parse().unwrap())
        .unwrap_err();
    assert_eq!(error.to_string(), "default/web has no IPv4 address");
}

#[tokio::test]
async fn local_traffic_policy_uses_endpoints_of_the_own_node_only() {
    let local = |app: &str| {
        format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: svc}}, spec: {{selector: {{app: {app}}}, \
             internalTrafficPolicy: Local, ports: [{{port: 80}}]}}}}"
        )
    };
    let near = network(pods().yaml(&local("web")));
    let asking = Asking::tcp("client", "svc", 80);
    assert_eq!(
        choices(&near, &asking),
        ["LB Forwarded pod=default/web-1 translatedDstIP=10.244.0.3"]
    );
    let far = network(pods().pod("db", "b").label("app", "db").yaml(&local("db")));
    assert_eq!(
        choices(&far, &asking),
        ["LB Dropped (Service default/svc has no ready endpoint on this node, and may use no other)"]
    );
}

#[tokio::test]
async fn a_dual_stack_service_has_endpoints_of_each_family() {
    let builder = Cluster::builder()
        .node("a")
        .pod_cidr("10.1.0.0/24")
        .pod_cidr("fd00:1::/64");
    let network = network(
        builder
            .pod("client", "a")
            .pod("web", "a")
            .label("app", "web")
            .service("svc", 80)
            .selects("app", "web"),
    );
    let texts = [
        choice(&Asking::tcp("client", "svc", 80), &network),
        choice(&Asking::tcp("client", "svc", 80).v6(), &network),
    ];
    expect![[r#"
        [
            "LB Forwarded pod=default/web translatedDstIP=10.1.0.3",
            "LB Forwarded pod=default/web translatedDstIP=fd00:1::3",
        ]
    "#]]
    .assert_debug_eq(&texts);
}

#[tokio::test]
async fn sctp_services_balance_too() {
    let sctp = "{apiVersion: v1, kind: Service, metadata: {name: svc}, spec: {selector: {app: web}, \
                ports: [{port: 132, protocol: SCTP}]}}";
    let network = network(pods().yaml(sctp));
    let asking = Asking::of(
        "client",
        "svc",
        Transport::Sctp {
            source: 40000,
            destination: 132,
        },
    );
    assert_eq!(choices(&network, &asking).len(), 2);
}

#[tokio::test]
async fn a_seed_makes_the_same_choices_again_and_another_other_ones() {
    let chosen = |seed| {
        let network = network(pods().service("web", 80).selects("app", "web").seed(seed));
        (1024..1088)
            .map(|port| choice(&Asking::tcp("client", "web", 80).source_port(port), &network))
            .collect::<Vec<_>>()
    };
    assert_eq!(chosen(1), chosen(1));
    assert_ne!(chosen(1), chosen(2));
}

#[tokio::test(start_paused = true)]
async fn a_client_stays_with_its_endpoint_as_long_as_the_service_says() {
    let builder = pods()
        .service("web", 80)
        .selects("app", "web")
        .affinity(Duration::from_secs(60));
    let network = network(builder);
    let asking = Asking::tcp("client", "web", 80);
    assert_eq!(choices(&network, &asking).len(), 2, "nobody is known yet");
    network.send(&"client->web tcp,tcp_dst=80".parse().unwrap()).unwrap();
    assert_eq!(choices(&network, &asking).len(), 1, "the client is known");
    let known = asking.predicted(&network);
    assert_eq!(known, asking.predicted_and_injected(&network).await);
    assert_eq!(
        known,
        asking.predicted(&network),
        "removing a trace leaves the client's own entry alone"
    );
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(choices(&network, &asking).len(), 2, "the client is forgotten");
}

#[tokio::test]
async fn an_injected_packet_makes_no_client_stay() {
    let network = network(
        pods()
            .service("web", 80)
            .selects("app", "web")
            .affinity(Duration::from_secs(60)),
    );
    let asking = Asking::tcp("client", "web", 80);
    asking.predicted_and_injected(&network).await;
    assert_eq!(choices(&network, &asking).len(), 2);
}

#[tokio::test]
async fn a_trace_says_that_it_began_an_affinity_and_took_it_away_unless_there_was_one() {
    let network = network(
        pods()
            .service("web", 80)
            .selects("app", "web")
            .affinity(Duration::from_secs(60)),
    );
    let tracer = Tracer::builder(network.cluster().clone())
        .datapaths(network.datapaths())
        .start();
    let plan = Asking::tcp("client", "web", 80).plan(network.cluster());
    let affinities = |trace: &Trace| {
        let changes = trace.receipt.nodes.iter().flat_map(|node| &node.changes);
        let of_a_client = |change: &&Change| matches!(change.what, Changed::Affinity { .. });
        changes.filter(of_a_client).cloned().collect::<Vec<_>>()
    };
    let trace = tracer.trace(plan.clone()).await.unwrap();
    assert!(trace.receipt.is_clean());
    let [begun] = &affinities(&trace)[..] else {
        panic!("{:?}", trace.receipt)
    };
    let endpoint = trace.chosen_endpoint().unwrap();
    let client = network
        .cluster()
        .pod(&ObjectName::new("default", "client"))
        .unwrap()
        .addresses[0];
    assert_eq!(
        (&begun.what, &begun.fate),
        (&Changed::Affinity { client, endpoint }, &Fate::Undone)
    );

    network.send(&"client->web tcp,tcp_dst=80".parse().unwrap()).unwrap();
    let trace = tracer.trace(plan).await.unwrap();
    assert_eq!(affinities(&trace), [], "the client's own was there before");
    tracer.close().await.unwrap();
}

#[tokio::test]
async fn answers_come_back_through_the_service() {
    let closed = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: client-takes-nothing}
spec: {podSelector: {matchLabels: {role: client}}, policyTypes: [Ingress]}";
    let builder = pods()
        .pod("caller", "a")
        .label("role", "client")
        .service("web", 80)
        .selects("app", "web")
        .yaml(closed);
    let network = network(builder);
    for _ in 0..16 {
        let fate = network.send(&"caller->web tcp,tcp_dst=80".parse().unwrap()).unwrap();
        assert!(matches!(fate.request.verdict, Verdict::Delivered { .. }));
        assert_eq!(fate.answer.unwrap().verdict, Verdict::Delivered { node: "a".into() });
    }
    let fate = network.send(&"web-1->caller tcp,tcp_dst=80".parse().unwrap()).unwrap();
    assert!(
        matches!(fate.request.verdict, Verdict::Dropped { .. }),
        "a connection of its own is not an answer"
    );
}
