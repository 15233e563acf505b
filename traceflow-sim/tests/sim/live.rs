//! Real traffic, followed.

use expect_test::expect;
use traceflow_core::packet::{IpFamily, Protocol, TcpFlags};
use traceflow_core::plan::{FlowMatch, TcpFlagsMatch};
use traceflow_sim::{Cluster, SimNetwork, Traffic};

use crate::support::{datapath, demo, drain, live, probe, sightings, two_nodes};

fn traffic(text: &str) -> Traffic {
    text.parse().unwrap()
}

#[tokio::test]
async fn only_packets_that_match_are_seen() {
    let network = two_nodes();
    let matching = FlowMatch {
        protocol: Some(Protocol::TCP),
        destination_port: Some(80),
        tcp_flags: Some(TcpFlagsMatch::new(TcpFlags::SYN, TcpFlags::ACK)),
        ..FlowMatch::any(IpFamily::V4)
    };
    let probe = probe(1, matching, false);
    for other in [
        "client->web tcp,tcp_dst=81",
        "client->web udp,udp_dst=80",
        "client->web tcp,tcp_dst=80,tcp_flags=+ack",
    ] {
        assert_eq!(sightings(&network, &probe, other).await, "", "{other}");
    }
    assert_ne!(sightings(&network, &probe, "client->web tcp,tcp_dst=80").await, "");
}

#[tokio::test]
async fn an_answer_is_traffic_of_the_other_direction() {
    let network = two_nodes();
    let probe = live(&network, "web", "client", Protocol::TCP, None, false);
    expect![[r#"
        a
          Forwarding/Classification Received
          Forwarding/Output Delivered
          captured 10.244.1.2 to 10.244.0.2 protocol 6 ttl 62 flags 2 length 60 Tcp { source: 80, destination: 40000, flags: Some(TcpFlags(18)) }
        b
          SpoofGuard Forwarded
          Forwarding/Output Forwarded tunnelDstIP=172.18.0.2
          captured 10.244.1.2 to 10.244.0.2 protocol 6 ttl 63 flags 2 length 60 Tcp { source: 80, destination: 40000, flags: Some(TcpFlags(18)) }
    "#]]
    .assert_eq(&sightings(&network, &probe, "client->web tcp,tcp_dst=80,tcp_src=40000").await);
}

#[tokio::test]
async fn only_the_first_packet_of_a_connection_is_new() {
    let network = two_nodes();
    let matching = FlowMatch {
        destination_port: Some(80),
        new_only: true,
        ..FlowMatch::any(IpFamily::V4)
    };
    let probe = probe(1, matching, false);
    let packet = "client->web tcp,tcp_dst=80,tcp_src=40000";
    assert_ne!(sightings(&network, &probe, packet).await, "");
    assert_eq!(sightings(&network, &probe, packet).await, "");
}

#[tokio::test]
async fn a_service_is_matched_as_the_sender_wrote_it_and_followed_as_it_is_translated() {
    let network = SimNetwork::new(demo());
    let probe = live(&network, "pod1", "tf-destination", Protocol::TCP, Some(80), false);
    let seen = sightings(&network, &probe, "pod1->tf-destination tcp,tcp_dst=80").await;
    assert!(seen.contains("LB Forwarded pod=default/pod"), "{seen}");
    assert!(seen.contains("captured 172.16.5.11 to 172.16."), "{seen}");
}

#[tokio::test]
async fn matching_packets_are_counted_once_where_they_enter() {
    let network = SimNetwork::new(demo());
    let probe = live(&network, "pod1", "pod3", Protocol::TCP, None, true);
    let datapaths = network.datapaths();
    for datapath in &datapaths {
        datapath.install(&probe).await.unwrap();
    }
    for _ in 0..3 {
        network.send(&traffic("pod1->pod3 tcp,tcp_dst=80")).unwrap();
    }
    let sender = datapaths[0].remove(&probe).await.unwrap();
    let receiver = datapaths[1].remove(&probe).await.unwrap();
    assert_eq!((sender.matched, receiver.matched), (Some(3), Some(0)));
}

#[tokio::test]
async fn a_probe_for_any_source_sees_what_comes_by_the_tunnel() {
    let network = two_nodes();
    let matching = FlowMatch {
        destination: Some("10.244.1.2".parse().unwrap()),
        ..FlowMatch::any(IpFamily::V4)
    };
    let receiver = datapath(&network, "b");
    let mut reports = receiver.reports();
    receiver.install(&probe(1, matching, false)).await.unwrap();
    network.send(&traffic("client->web icmp")).unwrap();
    assert_eq!(drain(&mut reports).len(), 1);
}

#[tokio::test]
async fn traffic_from_outside_enters_at_the_node_of_its_pod() {
    let network = two_nodes();
    let fate = network.send(&traffic("192.0.2.1->web tcp,tcp_dst=80")).unwrap();
    let text = crate::support::text(&fate.request.hops);
    expect![[r#"
        b
          SpoofGuard Forwarded
          Forwarding/Output Delivered
    "#]]
    .assert_eq(&text);
}

#[tokio::test]
async fn a_node_always_reaches_its_own_pods_and_others_only_as_policies_allow() {
    let closed = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed}
spec: {podSelector: {}}";
    let builder = Cluster::builder()
        .node("a")
        .node("b")
        .pod("near", "a")
        .pod("far", "b")
        .yaml(closed);
    let network = SimNetwork::new(builder.build().unwrap());
    let from_node = |to: &str| {
        Traffic::new(
            traceflow_core::names::NodeName::from("a"),
            to,
            "tcp,tcp_dst=80".parse().unwrap(),
        )
    };
    let text = |to: &str| crate::support::text(&network.send(&from_node(to)).unwrap().request.hops);
    expect![[r#"
        a
          SpoofGuard Forwarded
          Forwarding/Output Delivered
        a
          SpoofGuard Forwarded
          Forwarding/Output Forwarded tunnelDstIP=172.18.0.3
        b
          Forwarding/Classification Received
          NetworkPolicy/IngressDefaultRule Dropped (no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/closed)
    "#]]
    .assert_eq(&(text("near") + &text("far")));
}

#[tokio::test]
async fn one_seed_sends_the_same_packets_again() {
    let probe = probe(1, FlowMatch::any(IpFamily::V4), false);
    let once = sightings(&two_nodes(), &probe, "client->web tcp,tcp_dst=80").await;
    assert_eq!(
        once,
        sightings(&two_nodes(), &probe, "client->web tcp,tcp_dst=80").await
    );
}

#[test]
fn traffic_that_cannot_be_sent_says_why() {
    let network = two_nodes();
    let said = |text: &str| network.send(&traffic(text)).unwrap_err().to_string();
    assert_eq!(said("nobody->web icmp"), "default/nobody is not in the cluster");
    assert_eq!(said("client->web tcp"), "the packet has no destination port");
    assert_eq!(
        said("client->web tcp6,tcp_dst=80"),
        "default/client has no IPv6 address"
    );
    assert_eq!(said("client->2001:db8::1 icmp6"), "default/client has no IPv6 address");
}

#[test]
fn traffic_that_cannot_be_read_says_what_would_be_right() {
    let said = |text: &str| text.parse::<Traffic>().unwrap_err().to_string();
    assert_eq!(
        said("client web tcp"),
        r#""client web tcp" is not valid; use SOURCE->DESTINATION FLOW, such as pod1->pod3 tcp,tcp_dst=80"#
    );
    assert_eq!(
        said("->web icmp"),
        r#""" is not valid; use a Pod, namespace/Pod or address"#
    );
    assert_eq!(
        said("client->we_b icmp"),
        r#""we_b" is not valid; use a Pod, namespace/Pod or address"#
    );
    assert_eq!(
        said("client->web"),
        "flow: is missing; say what is sent, such as tcp,tcp_dst=80"
    );
}
