//! Why a packet doesn't get through, in words, on a cluster where several policies deny it.

use expect_test::{Expect, expect};

use crate::{Run, traceflow, traceflow_reading};

const CLUSTER: &str = "examples/antrea";

fn explained(run: &Run, expected: Expect) {
    assert_eq!(run.exit, 0, "{}", run.err);
    let (_, explanation) = run.out.rsplit_once("\n\n").expect("it stands below the table");
    expected.assert_eq(explanation);
}

fn traced(more: &[&str]) -> Run {
    let asked = ["trace", "--cluster", CLUSTER, "--seed", "1", "--explain"];
    traceflow(&[&asked[..], more].concat())
}

#[test]
fn every_rule_on_the_whole_way_is_told_with_its_change() {
    let to_orders = ["-S", "shop/cart", "-D", "data/orders-0", "-f", "tcp,tcp_dst=5432"];
    explained(
        &traced(&to_orders),
        expect![[r#"
        Blocked by policies, in this order:
          1. on node-a, policies of shop/cart for what it sends:
             no rule allows it, and the Pod is isolated by K8sNetworkPolicy:shop/names-only
             to let this packet through, and as little else as a rule can say:
               kubectl create -f - <<< '{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "allow-for-cart", "namespace": "shop"}, "spec": {"podSelector": {"matchLabels": {"app": "cart"}}, "policyTypes": ["Egress"], "egress": [{"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "data"}}, "podSelector": {"matchLabels": {"app": "orders"}}}], "ports": [{"protocol": "TCP", "port": 5432}]}]}}'
             that also opens 1 pair to TCP port 5432: shop/cart -> data/orders-1
          2. on node-b, policies of data/orders-0 for what it receives:
             rule other-teams of AntreaClusterNetworkPolicy:separate-teams drops it
             and behind that, rule unknown of AntreaNetworkPolicy:data/known-clients rejects it
             and behind that, rule nobody of AntreaClusterNetworkPolicy:closed-by-default drops it
             to let this packet through, and as little else as a rule can say:
               kubectl patch clusternetworkpolicies.crd.antrea.io separate-teams --type json -p '[{"op": "add", "path": "/spec/ingress/1", "value": {"action": "Allow", "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}, "podSelector": {"matchLabels": {"app": "cart"}}}], "ports": [{"protocol": "TCP", "port": 5432}]}}]'
             that also opens 1 pair to TCP port 5432: shop/cart -> data/orders-1
        With all of these changes the packet would be delivered on node-b.
    "#]],
    );
}

#[test]
fn the_way_to_a_service_is_told_to_the_endpoint_that_was_chosen() {
    let to_service = ["-S", "shop/cart", "-D", "data/orders", "-f", "tcp,tcp_dst=5432"];
    explained(
        &traced(&to_service),
        expect![[r#"
        Blocked by policies, in this order:
          1. on node-a, policies of shop/cart for what it sends:
             no rule allows it, and the Pod is isolated by K8sNetworkPolicy:shop/names-only
             to let this packet through, and as little else as a rule can say:
               kubectl create -f - <<< '{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "allow-for-cart", "namespace": "shop"}, "spec": {"podSelector": {"matchLabels": {"app": "cart"}}, "policyTypes": ["Egress"], "egress": [{"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "data"}}, "podSelector": {"matchLabels": {"app": "orders"}}}], "ports": [{"protocol": "TCP", "port": 5432}]}]}}'
             that also opens 1 pair to TCP port 5432: shop/cart -> data/orders-0
          2. on node-b, policies of data/orders-1 for what it receives:
             rule other-teams of AntreaClusterNetworkPolicy:separate-teams drops it
             and behind that, rule unknown of AntreaNetworkPolicy:data/known-clients rejects it
             and behind that, rule nobody of AntreaClusterNetworkPolicy:closed-by-default drops it
             to let this packet through, and as little else as a rule can say:
               kubectl patch clusternetworkpolicies.crd.antrea.io separate-teams --type json -p '[{"op": "add", "path": "/spec/ingress/1", "value": {"action": "Allow", "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}, "podSelector": {"matchLabels": {"app": "cart"}}}], "ports": [{"protocol": "TCP", "port": 5432}]}}]'
             that also opens 1 pair to TCP port 5432: shop/cart -> data/orders-0
        With all of these changes the packet would be delivered on node-b.
    "#]],
    );
}

#[test]
fn the_tier_baseline_is_told_where_it_decides() {
    let within = ["-S", "data/orders-0", "-D", "data/orders-1", "-f", "udp,udp_dst=53"];
    explained(
        &traced(&within),
        expect![[r#"
        Blocked by policies, in this order:
          1. on node-b, policies of data/orders-1 for what it receives:
             rule nobody of AntreaClusterNetworkPolicy:closed-by-default drops it
             to let this packet through, and as little else as a rule can say:
               kubectl patch clusternetworkpolicies.crd.antrea.io closed-by-default --type json -p '[{"op": "add", "path": "/spec/ingress/0", "value": {"action": "Allow", "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "data"}}, "podSelector": {"matchLabels": {"app": "orders"}}}], "ports": [{"protocol": "UDP", "port": 53}]}}]'
             that also opens 1 pair to UDP port 53: data/orders-1 -> data/orders-0
        With that change the packet would be delivered on node-b.
    "#]],
    );
}

#[test]
fn a_manifest_is_explained_too() {
    let manifest = "{apiVersion: crd.antrea.io/v1beta1, kind: Traceflow, metadata: {name: names}, spec: {source: \
                    {namespace: shop, pod: cart}, destination: {namespace: shop, pod: frontend}, packet: \
                    {transportHeader: {udp: {dstPort: 53}}}}}";
    let run = traceflow_reading(
        manifest,
        &["run", "--cluster", CLUSTER, "-", "-o", "table", "--explain"],
    );
    explained(
        &run,
        expect![[r#"
        No policy blocks this packet.
        It would be delivered on node-a.
    "#]],
    );
}
