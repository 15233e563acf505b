//! An allowed packet costs no allocation.

use std::net::IpAddr;

use traceflow_core::names::ObjectName;
use traceflow_core::packet::Protocol;
use traceflow_sim::model::Pod;
use traceflow_sim::policy::{Access, Direction, LabelSelector, NetworkPolicy, Peer, PolicyIndex, PolicyPeer, Rule};

fn pod(name: &str, address: [u8; 4]) -> Pod {
    Pod {
        name: ObjectName::new("default", name),
        labels: [("app".into(), name.into())].into(),
        node: None,
        addresses: vec![IpAddr::from(address)],
        host_addresses: Vec::new(),
        host_network: false,
        phase: "Running".into(),
        ready: true,
        terminating: false,
        service_account: Pod::DEFAULT_SERVICE_ACCOUNT.into(),
        ports: Vec::new(),
    }
}

#[test]
fn an_allowed_packet_is_decided_without_allocating() {
    let mut index = PolicyIndex::default();
    let web = index.insert_pod(pod("web", [10, 0, 0, 1]));
    index.insert_pod(pod("client", [10, 0, 0, 2]));
    index.insert_policy(NetworkPolicy {
        name: ObjectName::new("default", "from-client"),
        pod_selector: LabelSelector::default(),
        ingress: Some(vec![Rule {
            peers: vec![PolicyPeer::Pods {
                namespaces: Some(LabelSelector::labels([("kubernetes.io/metadata.name", "default")])),
                pods: LabelSelector::labels([("app", "client")]),
            }],
            ports: Vec::new(),
        }]),
        egress: None,
    });
    let syn = Access {
        direction: Direction::Ingress,
        pod: web,
        peer: Peer::Address(IpAddr::from([10, 0, 0, 2])),
        protocol: Protocol::TCP,
        source_port: Some(40_000),
        destination_port: Some(80),
        icmp: None,
    };
    let mut allowed = false;
    let measured = allocation_counter::measure(|| allowed = index.decide(&syn).allows());
    assert!(allowed);
    assert_eq!(measured.count_total, 0);
}
