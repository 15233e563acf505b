//! How packets go from node to node: a table of ends for each of Antrea's traffic modes, for both families.

#[path = "../shared/ends.rs"]
mod shared;

use expect_test::{Expect, expect};
use traceflow_sim::model::TrafficMode;
use traceflow_sim::{Cluster, SimNetwork};

use crate::support::Asking;

/// One line for each way: what each node did with the packet last.
async fn table(mode: TrafficMode) -> String {
    let mut table = String::new();
    for six in [false, true] {
        for (called, v4, v6) in shared::DESTINATIONS {
            let network = SimNetwork::new(shared::cluster(mode));
            let destination = if six { v6 } else { v4 };
            let asking = Asking::tcp("client", destination, 80);
            let told = if six { asking.v6() } else { asking }
                .predicted_and_injected(&network)
                .await;
            let way = summary(&told);
            table += &format!("{} {called}: {way}\n", if six { "v6" } else { "v4" });
        }
    }
    table
}

async fn check(mode: TrafficMode, expected: Expect) {
    expected.assert_eq(&table(mode).await);
}

/// `a Forwarded tunnelDstIP=…, b Delivered` from the observations of all nodes.
fn summary(told: &str) -> String {
    let mut nodes: Vec<String> = Vec::new();
    for line in told.lines() {
        match line.strip_prefix("  Forwarding/Output ") {
            Some(end) => {
                let last = nodes.last_mut().expect("a node comes first");
                last.push(' ');
                last.push_str(end);
            }
            None if !line.starts_with(' ') => nodes.push(line.to_owned()),
            None => {}
        }
    }
    nodes.join(", ")
}

#[tokio::test]
async fn encap_goes_by_tunnel_always() {
    assert_eq!(table(TrafficMode::Encap).await, shared::ENCAP);
}

#[tokio::test]
async fn no_encap_is_routed_always() {
    assert_eq!(table(TrafficMode::NoEncap).await, shared::NO_ENCAP);
}

#[tokio::test]
async fn hybrid_is_routed_in_one_subnet() {
    assert_eq!(table(TrafficMode::Hybrid).await, shared::HYBRID);
}

#[tokio::test]
async fn wire_guard_goes_to_the_other_nodes_address() {
    check(
        TrafficMode::WireGuard,
        expect![[r#"
        v4 near: a Delivered
        v4 web: a Forwarded tunnelDstIP=172.18.0.3, b Delivered
        v4 far: a Forwarded tunnelDstIP=172.18.9.4, c Delivered
        v4 shop: a Forwarded tunnelDstIP=172.18.9.4, c Delivered
        v4 node c: a ForwardedOutOfNetwork
        v4 outside: a ForwardedOutOfNetwork
        v6 near: a Delivered
        v6 web: a Forwarded tunnelDstIP=172.18.0.3, b Delivered
        v6 far: a Forwarded tunnelDstIP=172.18.9.4, c Delivered
        v6 shop: a Forwarded tunnelDstIP=172.18.9.4, c Delivered
        v6 node c: a ForwardedOutOfNetwork
        v6 outside: a ForwardedOutOfNetwork
    "#]],
    )
    .await;
}

#[test]
fn the_mode_is_read_from_antreas_configuration() {
    let mode = |config: &str| {
        let text = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: antrea-config, namespace: kube-system}}\ndata:\n  antrea-agent.conf: |\n    {config}\n"
        );
        match Cluster::from_yaml(&text) {
            Ok(cluster) => format!("{:?}", cluster.traffic_mode()),
            Err(error) => error.to_string(),
        }
    };
    let found = [
        mode("# trafficEncapMode: encap"),
        mode("trafficEncapMode: noEncap"),
        mode("trafficEncapMode: hybrid\n    enablePrometheusMetrics: true"),
        mode("trafficEncapMode: encap\n    trafficEncryptionMode: wireGuard"),
        mode("trafficEncryptionMode: WireGuard"),
        mode("trafficEncapMode: networkPolicyOnly"),
        mode("trafficEncryptionMode: tls"),
    ];
    expect![[r#"
        Encap
        NoEncap
        Hybrid
        WireGuard
        WireGuard
        antrea-agent.conf of ConfigMap antrea-config:1:1: trafficEncapMode: "networkPolicyOnly" is not valid; use encap, noEncap or hybrid; networkPolicyOnly is not modelled
        antrea-agent.conf of ConfigMap antrea-config:1:1: trafficEncryptionMode: "tls" is not valid; use none, ipsec or wireGuard"#]].assert_eq(&found.join("\n"));
}

#[test]
fn another_config_map_is_nobodys_business() {
    let text = "{apiVersion: v1, kind: ConfigMap, metadata: {name: antrea-ca}, data: {ca.crt: none}}";
    assert_eq!(Cluster::from_yaml(text).unwrap().traffic_mode(), TrafficMode::Encap);
}
