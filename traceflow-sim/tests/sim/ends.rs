//! Where packets may go, and what keeps them from it.

use expect_test::{Expect, expect};
use traceflow_core::packet::{IcmpHeader, Protocol, Transport};
use traceflow_sim::{Cluster, SimNetwork};

use crate::support::Asking;

/// Two nodes; `client` and `near` on `a`, `far` on `b`, all with addresses of both families.
fn network() -> SimNetwork {
    let cluster = Cluster::builder()
        .node("a")
        .address("172.18.0.2")
        .address("fd00:172:18::2")
        .node("b")
        .pod("client", "a")
        .pod("far", "b")
        .pod("near", "a")
        .pod("host", "b")
        .host_network()
        .build();
    SimNetwork::new(cluster.unwrap())
}

async fn check(asking: Asking, expected: Expect) {
    expected.assert_eq(&asking.predicted_and_injected(&network()).await);
}

#[tokio::test]
async fn pods_of_one_node_are_neighbours() {
    check(
        Asking::tcp("client", "near", 80).ttl(1),
        expect![[r#"
            a
              SpoofGuard Forwarded
              Forwarding/Output Delivered
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_pod_reaches_itself() {
    check(
        Asking::tcp("client", "client", 80),
        expect![[r#"
        a
          SpoofGuard Forwarded
          Forwarding/Output Delivered
    "#]],
    )
    .await;
}

#[tokio::test]
async fn two_nodes_take_two_from_the_hop_limit() {
    check(
        Asking::ping("client", "far").v6().ttl(3),
        expect![[r#"
            a
              SpoofGuard Forwarded
              Forwarding/Output Forwarded tunnelDstIP=172.18.0.3
            b
              Forwarding/Classification Received
              Forwarding/Output Delivered
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_ttl_of_1_expires_at_the_sender() {
    check(
        Asking::tcp("client", "far", 80).ttl(1),
        expect![[r#"
        a
          SpoofGuard Forwarded
          Routing Dropped (the TTL expired)
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_ttl_of_2_expires_at_the_receiver() {
    check(
        Asking::tcp("client", "far", 80).ttl(2),
        expect![[r#"
        a
          SpoofGuard Forwarded
          Forwarding/Output Forwarded tunnelDstIP=172.18.0.3
        b
          Forwarding/Classification Received
          Routing Dropped (the TTL expired)
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_hop_limit_of_1_expires_at_the_sender() {
    check(
        Asking::ping("client", "far").v6().ttl(1),
        expect![[r#"
        a
          SpoofGuard Forwarded
          Routing Dropped (the TTL expired)
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_hop_limit_of_2_expires_at_the_receiver() {
    check(
        Asking::ping("client", "far").v6().ttl(2),
        expect![[r#"
        a
          SpoofGuard Forwarded
          Forwarding/Output Forwarded tunnelDstIP=172.18.0.3
        b
          Forwarding/Classification Received
          Routing Dropped (the TTL expired)
    "#]],
    )
    .await;
}

#[tokio::test]
async fn its_own_node_and_gateway_are_neighbours() {
    for address in ["172.18.0.2", "10.244.0.1"] {
        check(
            Asking::tcp("client", address, 10250).ttl(1),
            expect![[r#"
            a
              SpoofGuard Forwarded
              Forwarding/Output Delivered
        "#]],
        )
        .await;
    }
}

#[tokio::test]
async fn another_node_is_outside_of_the_pod_network() {
    check(
        Asking::tcp("client", "172.18.0.3", 10250),
        expect![[r#"
        a
          SpoofGuard Forwarded
          Forwarding/Output ForwardedOutOfNetwork
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_pod_on_another_nodes_network_is_that_node() {
    check(
        Asking::tcp("client", "host", 10250),
        expect![[r#"
        a
          SpoofGuard Forwarded
          Forwarding/Output ForwardedOutOfNetwork
    "#]],
    )
    .await;
}

#[tokio::test]
async fn another_nodes_gateway_is_reached_through_the_tunnel() {
    check(
        Asking::ping("client", "10.244.1.1"),
        expect![[r#"
        a
          SpoofGuard Forwarded
          Forwarding/Output Forwarded tunnelDstIP=172.18.0.3
        b
          Forwarding/Classification Received
          Forwarding/Output Delivered
    "#]],
    )
    .await;
}

#[tokio::test]
async fn an_address_outside_leaves_the_network() {
    check(
        Asking::udp("client", "192.0.2.1", 53),
        expect![[r#"
        a
          SpoofGuard Forwarded
          Forwarding/Output ForwardedOutOfNetwork
    "#]],
    )
    .await;
}

#[tokio::test]
async fn nobodys_address_in_the_nodes_own_range_is_unknown_there() {
    check(
        Asking::udp("client", "10.244.0.99", 53),
        expect![[r#"
        a
          SpoofGuard Forwarded
          Routing Dropped (no Pod, Service or node has the destination address)
    "#]],
    )
    .await;
}

#[tokio::test]
async fn nobodys_address_in_another_nodes_range_is_unknown_to_that_node() {
    check(
        Asking::udp("client", "10.244.1.99", 53),
        expect![[r#"
        a
          SpoofGuard Forwarded
          Forwarding/Output Forwarded tunnelDstIP=172.18.0.3
        b
          Forwarding/Classification Received
          Routing Dropped (no Pod, Service or node has the destination address)
    "#]],
    )
    .await;
}

#[tokio::test]
async fn multicast_loopback_and_broadcast_have_no_route() {
    for address in ["224.0.0.251", "127.0.0.1", "255.255.255.255", "0.0.0.0"] {
        check(
            Asking::udp("client", address, 53),
            expect![[r#"
            a
              SpoofGuard Forwarded
              Routing Dropped (there is no route to the destination)
        "#]],
        )
        .await;
    }
}

#[tokio::test]
async fn outside_is_reached_in_each_family_of_the_cluster() {
    check(
        Asking::udp("client", "2001:db8::1", 53).v6(),
        expect![[r#"
            a
              SpoofGuard Forwarded
              Forwarding/Output ForwardedOutOfNetwork
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_spoofed_source_address_is_dropped() {
    check(
        Asking::tcp("client", "far", 80).spoofed("10.244.1.2"),
        expect![[r#"
        a
          SpoofGuard Dropped (the source address does not belong to the sending Pod)
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_packet_that_cannot_begin_a_connection_is_invalid() {
    for flags in [0x00, 0x01, 0x12, 0xff] {
        check(
            Asking::tcp("client", "far", 80).tcp_flags(flags),
            expect![[r#"
            a
              SpoofGuard Forwarded
              Conntrack Dropped (connection tracking calls the packet invalid)
        "#]],
        )
        .await;
    }
}

#[tokio::test]
async fn an_echo_reply_that_nobody_asked_for_is_invalid() {
    let reply = Transport::Icmp(IcmpHeader {
        icmp_type: 0,
        code: 0,
        id: 1,
        sequence: 1,
    });
    check(
        Asking::of("client", "far", reply),
        expect![[r#"
        a
          SpoofGuard Forwarded
          Conntrack Dropped (connection tracking calls the packet invalid)
    "#]],
    )
    .await;
}

#[tokio::test]
async fn protocols_without_ports_are_carried() {
    check(
        Asking::of("client", "near", Transport::Other(Protocol(89))),
        expect![[r#"
        a
          SpoofGuard Forwarded
          Forwarding/Output Delivered
    "#]],
    )
    .await;
}

#[tokio::test]
async fn egress_policies_see_addresses_outside() {
    let cluster = Cluster::builder().node("a").pod("client", "a").yaml(
        "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: dns-only}
spec:
  podSelector: {}
  policyTypes: [Egress]
  egress: [{to: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{protocol: UDP, port: 53}]}]",
    );
    let network = SimNetwork::new(cluster.build().unwrap());
    let answers = [
        Asking::udp("client", "192.0.2.1", 53)
            .predicted_and_injected(&network)
            .await,
        Asking::udp("client", "198.51.100.1", 53)
            .predicted_and_injected(&network)
            .await,
    ];
    expect![[r#"
        a
          SpoofGuard Forwarded
          NetworkPolicy/EgressRule Forwarded networkPolicy=K8sNetworkPolicy:default/dns-only
          Forwarding/Output ForwardedOutOfNetwork
        a
          SpoofGuard Forwarded
          NetworkPolicy/EgressDefaultRule Dropped (no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/dns-only)
    "#]]
    .assert_eq(&answers.concat());
}
