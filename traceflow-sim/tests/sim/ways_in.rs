//! Services at their external addresses and node ports, from Pods and from outside.

use expect_test::{Expect, expect};
use traceflow_sim::{Cluster, ClusterBuilder, SimNetwork};

use crate::support::{Asking, text};

/// `client` and `web-a` on `a`, `web-b` on `b`; both families.
fn builder() -> ClusterBuilder {
    Cluster::builder()
        .node("a")
        .address("172.18.0.2")
        .address("fd00:172:18::2")
        .node("b")
        .node("c")
        .pod("client", "a")
        .pod("web-b", "b")
        .label("app", "web")
}

/// A Service with a load balancer's addresses, an external address and a node port.
fn service(more: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Service
metadata: {{name: shop}}
spec:
  type: LoadBalancer
  {more}
  externalIPs: [198.51.100.9]
  selector: {{app: web}}
  ports: [{{port: 80, nodePort: 30080}}]
status: {{loadBalancer: {{ingress: [{{ip: 203.0.113.5}}, {{ip: '2001:db8:f::5'}}, {{hostname: lb.example.com}}]}}}}
"
    )
}

async fn from_pod(service: &str, asking: Asking, expected: Expect) {
    let network = SimNetwork::new(builder().yaml(service).build().unwrap());
    expected.assert_eq(&asking.predicted_and_injected(&network).await);
}

/// What real traffic from outside meets.
fn from_outside(cluster: ClusterBuilder, traffic: &str, expected: Expect) {
    let network = SimNetwork::new(cluster.build().unwrap());
    let fate = network.send(&traffic.parse().unwrap()).unwrap();
    expected.assert_eq(&format!("{}{}\n", text(&fate.request.hops), fate.request.verdict));
}

#[tokio::test]
async fn a_pod_reaches_every_external_address_as_the_clusters_own() {
    let local = service("externalTrafficPolicy: Local");
    from_pod(
        &local,
        Asking::tcp("client", "203.0.113.5", 80),
        expect![[r#"
        a
          SpoofGuard Forwarded
          LB Forwarded pod=default/web-b translatedDstIP=10.244.1.2
          Forwarding/Output Forwarded tunnelDstIP=172.18.0.3
        b
          Forwarding/Classification Received
          Forwarding/Output Delivered
    "#]],
    )
    .await;
    from_pod(
        &local,
        Asking::tcp("client", "198.51.100.9", 80),
        expect![[r#"
        a
          SpoofGuard Forwarded
          LB Forwarded pod=default/web-b translatedDstIP=10.244.1.2
          Forwarding/Output Forwarded tunnelDstIP=172.18.0.3
        b
          Forwarding/Classification Received
          Forwarding/Output Delivered
    "#]],
    )
    .await;
    from_pod(
        &local,
        Asking::tcp("client", "2001:db8:f::5", 80).v6(),
        expect![[r#"
        a
          SpoofGuard Forwarded
          LB Forwarded pod=default/web-b translatedDstIP=fd00:10:244:1::2
          Forwarding/Output Forwarded tunnelDstIP=172.18.0.3
        b
          Forwarding/Classification Received
          Forwarding/Output Delivered
    "#]],
    )
    .await;
}

#[tokio::test]
async fn an_external_address_has_the_services_ports_only() {
    from_pod(
        &service(""),
        Asking::tcp("client", "203.0.113.5", 30080),
        expect![[r#"
        a
          SpoofGuard Forwarded
          LB Dropped (Service default/shop does not offer this port and protocol)
    "#]],
    )
    .await;
}

#[tokio::test]
async fn internal_traffic_policy_is_not_about_external_addresses() {
    let local = service("internalTrafficPolicy: Local");
    from_pod(
        &local,
        Asking::tcp("client", "shop", 80),
        expect![[r#"
            a
              SpoofGuard Forwarded
              LB Dropped (Service default/shop has no ready endpoint on this node, and may use no other)
        "#]],
    )
    .await;
    from_pod(
        &local,
        Asking::tcp("client", "203.0.113.5", 80),
        expect![[r#"
        a
          SpoofGuard Forwarded
          LB Forwarded pod=default/web-b translatedDstIP=10.244.1.2
          Forwarding/Output Forwarded tunnelDstIP=172.18.0.3
        b
          Forwarding/Classification Received
          Forwarding/Output Delivered
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_node_port_is_open_at_the_own_node_and_another_nodes_is_its_own_business() {
    from_pod(
        &service(""),
        Asking::tcp("client", "172.18.0.2", 30080),
        expect![[r#"
        a
          SpoofGuard Forwarded
          LB Forwarded pod=default/web-b translatedDstIP=10.244.1.2
          Forwarding/Output Forwarded tunnelDstIP=172.18.0.3
        b
          Forwarding/Classification Received
          Forwarding/Output Delivered
    "#]],
    )
    .await;
    from_pod(
        &service(""),
        Asking::tcp("client", "172.18.0.3", 30080),
        expect![[r#"
        a
          SpoofGuard Forwarded
          Forwarding/Output ForwardedOutOfNetwork
    "#]],
    )
    .await;
    from_pod(
        &service(""),
        Asking::tcp("client", "172.18.0.2", 30081),
        expect![[r#"
        a
          SpoofGuard Forwarded
          Forwarding/Output Delivered
    "#]],
    )
    .await;
}

#[test]
fn from_outside_any_node_leads_to_any_endpoint_and_the_answer_comes_back_by_it() {
    from_outside(
        builder().yaml(&service("")),
        "192.0.2.7->172.18.0.2 tcp,tcp_dst=30080",
        expect![[r#"
            a
              SpoofGuard Forwarded
              LB Forwarded pod=default/web-b translatedSrcIP=10.244.0.1 translatedDstIP=10.244.1.2
              Forwarding/Output Forwarded tunnelDstIP=172.18.0.3
            b
              Forwarding/Classification Received
              Forwarding/Output Delivered
            delivered on b
        "#]],
    );
    from_outside(
        builder().yaml(&service("")),
        "192.0.2.7->172.18.0.3 tcp,tcp_dst=30080",
        expect![[r#"
            b
              SpoofGuard Forwarded
              LB Forwarded pod=default/web-b translatedDstIP=10.244.1.2
              Forwarding/Output Delivered
            delivered on b
        "#]],
    );
}

#[test]
fn with_local_endpoints_only_the_sender_keeps_its_address_and_other_nodes_drop() {
    let local = || builder().yaml(&service("externalTrafficPolicy: Local"));
    from_outside(
        local(),
        "192.0.2.7->172.18.0.3 tcp,tcp_dst=30080",
        expect![[r#"
        b
          SpoofGuard Forwarded
          LB Forwarded pod=default/web-b translatedDstIP=10.244.1.2
          Forwarding/Output Delivered
        delivered on b
    "#]],
    );
    from_outside(
        local(),
        "192.0.2.7->172.18.0.2 tcp,tcp_dst=30080",
        expect![[r#"
            a
              SpoofGuard Forwarded
              LB Dropped (Service default/shop has no ready endpoint on this node, and may use no other)
            dropped on a: Service default/shop has no ready endpoint on this node, and may use no other
        "#]],
    );
}

#[test]
fn two_services_can_not_share_a_node_port_or_an_address() {
    let message = |text: &str| builder().yaml(&service("")).yaml(text).build().unwrap_err().to_string();
    let wrong = [
        message("{apiVersion: v1, kind: Service, metadata: {name: x}, spec: {ports: [{port: 81, nodePort: 30080}]}}"),
        message(
            "{apiVersion: v1, kind: Service, metadata: {name: x}, spec: {externalIPs: [203.0.113.5], ports: [{port: 81}]}}",
        ),
        message(
            "{apiVersion: v1, kind: Service, metadata: {name: x}, spec: {externalTrafficPolicy: local, ports: [{port: 81}]}}",
        ),
        message(
            "{apiVersion: v1, kind: Service, metadata: {name: x}, spec: {externalIPs: [everywhere], ports: [{port: 81}]}}",
        ),
        message("{apiVersion: v1, kind: Service, metadata: {name: x}, spec: {ports: [{port: 81, nodePort: 70000}]}}"),
    ];
    expect![[r#"
        yaml:1:44: metadata.name: Service default/shop has the TCP node port 30080 too; give each its own
        yaml:1:75: spec.externalIPs[0]: Service default/shop has the address 203.0.113.5 too; give each its own
        yaml:1:61: spec.externalTrafficPolicy: "local" is not valid; use Cluster or Local
        yaml:1:75: spec.externalIPs[0]: "everywhere" is not valid; use an IPv4 or IPv6 address
        yaml:1:80: spec.ports[0].nodePort: 70000 is out of range; use 1 to 65535"#]]
    .assert_eq(&wrong.join("\n"));
}
