//! The clusters that the scenarios are asked about.

use traceflow_sim::{Cluster, ClusterBuilder};

/// Two nodes with three Pods each; `agnhost` on the second serves a Service at another port. Both families.
pub(crate) fn nodes() -> ClusterBuilder {
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
pub(crate) fn policed() -> ClusterBuilder {
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
pub(crate) fn antrea_policed() -> ClusterBuilder {
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

pub(crate) fn with_egress(node: &str) -> ClusterBuilder {
    nodes().yaml(&format!(
        "apiVersion: crd.antrea.io/v1beta1\nkind: Egress\nmetadata: {{name: egress}}\n\
         spec: {{appliedTo: {{podSelector: {{matchLabels: {{antrea-e2e: node1-pod0}}}}}}, egressIP: 172.18.0.200}}\n\
         status: {{egressNode: {node}}}"
    ))
}

pub(crate) fn with_cluster_policy(rules: &str) -> ClusterBuilder {
    nodes().yaml(&format!(
        "apiVersion: crd.antrea.io/v1beta1\nkind: ClusterNetworkPolicy\nmetadata: {{name: acnp}}\n\
         spec: {{priority: 1, appliedTo: [{{podSelector: {{}}}}], {rules}}}"
    ))
}
