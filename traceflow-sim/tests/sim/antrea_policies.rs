//! Antrea's policies where they meet the rest of the pipeline: what is observed of them, and how the path ends.

use expect_test::{Expect, expect};
use traceflow_sim::{Cluster, SimNetwork};

use crate::support::Asking;

/// `client` and `web` are on different nodes; Service `shop` leads to `web`.
async fn check(policy: &str, asking: Asking, expected: Expect) {
    let cluster = Cluster::builder()
        .node("a")
        .node("b")
        .pod("client", "a")
        .label("app", "client")
        .pod("web", "b")
        .label("app", "web")
        .service("shop", 80)
        .selects("app", "web")
        .yaml(policy)
        .build();
    let network = SimNetwork::new(cluster.unwrap());
    expected.assert_eq(&asking.predicted_and_injected(&network).await);
}

fn policy(subject: &str, rules: &str) -> String {
    format!(
        "
apiVersion: crd.antrea.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {{name: guard}}
spec:
  priority: 1
  appliedTo: [{{podSelector: {{matchLabels: {{app: {subject}}}}}}}]
  {rules}
"
    )
}

#[tokio::test]
async fn a_dropping_rule_at_the_sender_ends_the_path_there() {
    check(
        &policy(
            "client",
            "egress: [{action: Drop, name: no-web, to: [{podSelector: {matchLabels: {app: web}}}]}]",
        ),
        Asking::tcp("client", "web", 80),
        expect![[r#"
            a
              SpoofGuard Forwarded
              NetworkPolicy/EgressMetric Dropped networkPolicy=AntreaClusterNetworkPolicy:guard networkPolicyRule=no-web (rule no-web of AntreaClusterNetworkPolicy:guard denies it)
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_rejecting_rule_at_the_receiver_is_told_as_rejected() {
    check(
        &policy("web", "ingress: [{action: Reject, name: closed}]"),
        Asking::tcp("client", "web", 80),
        expect![[r#"
            a
              SpoofGuard Forwarded
              Forwarding/Output Forwarded tunnelDstIP=172.18.0.3
            b
              Forwarding/Classification Received
              NetworkPolicy/IngressMetric Rejected networkPolicy=AntreaClusterNetworkPolicy:guard networkPolicyRule=closed (rule closed of AntreaClusterNetworkPolicy:guard denies it)
        "#]],
    )
    .await;
}

#[tokio::test]
async fn an_allowing_rule_is_named_with_its_policy() {
    check(
        &policy("web", "ingress: [{action: Allow, name: open}, {action: Drop}]"),
        Asking::tcp("client", "web", 80),
        expect![[r#"
            a
              SpoofGuard Forwarded
              Forwarding/Output Forwarded tunnelDstIP=172.18.0.3
            b
              Forwarding/Classification Received
              NetworkPolicy/IngressRule Forwarded networkPolicy=AntreaClusterNetworkPolicy:guard networkPolicyRule=open
              Forwarding/Output Delivered
        "#]],
    )
    .await;
}

#[tokio::test]
async fn the_senders_rules_see_the_endpoint_behind_a_service() {
    check(
        &policy(
            "client",
            "egress: [{action: Reject, to: [{podSelector: {matchLabels: {app: web}}}]}]",
        ),
        Asking::tcp("client", "shop", 80),
        expect![[r#"
            a
              SpoofGuard Forwarded
              LB Forwarded pod=default/web translatedDstIP=10.244.1.2
              NetworkPolicy/EgressMetric Rejected networkPolicy=AntreaClusterNetworkPolicy:guard (a rule of AntreaClusterNetworkPolicy:guard denies it)
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_rule_that_passes_a_packet_on_is_named_where_nothing_decides_later() {
    check(
        &policy("web", "ingress: [{action: Pass, name: later}]"),
        Asking::ping("client", "web"),
        expect![[r#"
            a
              SpoofGuard Forwarded
              Forwarding/Output Forwarded tunnelDstIP=172.18.0.3
            b
              Forwarding/Classification Received
              NetworkPolicy/IngressRule Forwarded networkPolicy=AntreaClusterNetworkPolicy:guard networkPolicyRule=later
              Forwarding/Output Delivered
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_rule_for_another_kind_of_icmp_does_not_meet_a_ping() {
    check(
        &policy("web", "ingress: [{action: Drop, protocols: [{icmp: {icmpType: 13}}]}]"),
        Asking::ping("client", "web"),
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
