//! The six results of the demo document, field by field, from the demo's own manifests.

use crate::support::{Asking, demo, live, sightings};
use expect_test::expect;
use traceflow_core::packet::Protocol;
use traceflow_core::trace::Predictor;
use traceflow_sim::SimNetwork;

#[tokio::test]
async fn pod1_to_pod2_on_one_node() {
    let network = SimNetwork::new(demo());
    let asking = Asking::tcp("pod1", "pod2", 80);
    expect![[r#"
        k8s2-md-0-647454fc57-9sf7n
          SpoofGuard Forwarded
          NetworkPolicy/EgressRule Forwarded networkPolicy=K8sNetworkPolicy:default/allow-egress-to-pod2
          NetworkPolicy/IngressRule Forwarded networkPolicy=K8sNetworkPolicy:default/allow-ingress-from-pod1
          Forwarding/Output Delivered
    "#]]
    .assert_eq(&asking.predicted_and_injected(&network).await);
}

#[tokio::test]
async fn icmp_from_pod1_to_pod2_is_dropped() {
    let network = SimNetwork::new(demo());
    let asking = Asking::ping("pod1", "pod2");
    expect![[r#"
        k8s2-md-0-647454fc57-9sf7n
          SpoofGuard Forwarded
          NetworkPolicy/EgressRule Forwarded networkPolicy=K8sNetworkPolicy:default/allow-egress-to-pod2
          NetworkPolicy/IngressDefaultRule Dropped (no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/allow-ingress-from-pod1)
    "#]]
    .assert_eq(&asking.predicted_and_injected(&network).await);
}

#[tokio::test]
async fn pod1_to_pod3_over_two_nodes() {
    let network = SimNetwork::new(demo());
    let asking = Asking::tcp("pod1", "pod3", 80);
    expect![[r#"
        k8s2-md-0-647454fc57-9sf7n
          SpoofGuard Forwarded
          NetworkPolicy/EgressRule Forwarded networkPolicy=K8sNetworkPolicy:default/allow-egress-to-pod2
          Forwarding/Output Forwarded tunnelDstIP=192.168.11.112
        k8s2-md-0-647454fc57-qpqbg
          Forwarding/Classification Received
          NetworkPolicy/IngressRule Forwarded networkPolicy=K8sNetworkPolicy:default/allow-ingress-from-pod1
          Forwarding/Output Delivered
    "#]]
    .assert_eq(&asking.predicted_and_injected(&network).await);
}

#[tokio::test]
async fn pod1_to_the_service_reaches_one_of_its_endpoints() {
    let network = SimNetwork::new(demo());
    let near = (1024..).find(|&port| chooses(&network, port, "default/pod2")).unwrap();
    let asking = Asking::tcp("pod1", "172.30.191.124", 80).source_port(near);
    expect![[r#"
        k8s2-md-0-647454fc57-9sf7n
          SpoofGuard Forwarded
          LB Forwarded pod=default/pod2 translatedDstIP=172.16.5.12
          NetworkPolicy/EgressRule Forwarded networkPolicy=K8sNetworkPolicy:default/allow-egress-to-pod2
          NetworkPolicy/IngressRule Forwarded networkPolicy=K8sNetworkPolicy:default/allow-ingress-from-pod1
          Forwarding/Output Delivered
    "#]]
    .assert_eq(&asking.predicted_and_injected(&network).await);
    assert!(
        (1024..2048).any(|port| chooses(&network, port, "default/pod3")),
        "the other endpoint is chosen too"
    );
}

fn chooses(network: &SimNetwork, source_port: u16, pod: &str) -> bool {
    let asking = Asking::tcp("pod1", "172.30.191.124", 80).source_port(source_port);
    let prediction = network.predict(&asking.plan(network.cluster())).unwrap();
    let chosen = prediction.hops[0]
        .observations
        .iter()
        .find_map(|observation| observation.pod.as_ref());
    chosen.is_some_and(|chosen| chosen.to_string() == pod)
}

#[tokio::test]
async fn live_tcp_from_pod1_to_pod3_is_captured_as_it_left() {
    let network = SimNetwork::new(demo());
    let probe = live(&network, "pod1", "pod3", Protocol::TCP, Some(80), false);
    let seen = sightings(&network, &probe, "pod1->pod3 tcp,tcp_dst=80,tcp_src=56350").await;
    expect![[r#"
        k8s2-md-0-647454fc57-9sf7n
          SpoofGuard Forwarded
          NetworkPolicy/EgressRule Forwarded networkPolicy=K8sNetworkPolicy:default/allow-egress-to-pod2
          Forwarding/Output Forwarded tunnelDstIP=192.168.11.112
          captured 172.16.5.11 to 172.16.3.8 protocol 6 ttl 63 flags 2 length 60 Tcp { source: 56350, destination: 80, flags: Some(TcpFlags(2)) }
        k8s2-md-0-647454fc57-qpqbg
          Forwarding/Classification Received
          NetworkPolicy/IngressRule Forwarded networkPolicy=K8sNetworkPolicy:default/allow-ingress-from-pod1
          Forwarding/Output Delivered
          captured 172.16.5.11 to 172.16.3.8 protocol 6 ttl 62 flags 2 length 60 Tcp { source: 56350, destination: 80, flags: Some(TcpFlags(2)) }
    "#]]
    .assert_eq(&seen);
}

#[tokio::test]
async fn a_dropped_live_ping_shows_only_the_node_that_dropped_it() {
    let network = SimNetwork::new(demo());
    let probe = live(&network, "pod1", "pod3", Protocol::ICMP, None, true);
    let seen = sightings(&network, &probe, "pod1->pod3 icmp,icmp_type=8").await;
    expect![[r#"
        k8s2-md-0-647454fc57-qpqbg
          Forwarding/Classification Received
          NetworkPolicy/IngressDefaultRule Dropped (no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/allow-ingress-from-pod1)
          captured 172.16.5.11 to 172.16.3.8 protocol 1 ttl 62 flags 2 length 84 Icmp
    "#]]
    .assert_eq(&seen);
}
