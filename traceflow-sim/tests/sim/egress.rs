//! What leaves the cluster by an Egress.

use expect_test::{Expect, expect};
use traceflow_sim::{Cluster, ClusterBuilder, SimNetwork};

use crate::support::Asking;

/// `web` and `db` on `a`, `far` on `b`; both families.
fn builder() -> ClusterBuilder {
    Cluster::builder()
        .node("a")
        .address("172.18.0.2")
        .address("fd00:172:18::2")
        .node("b")
        .address("172.18.0.3")
        .address("fd00:172:18::3")
        .pod("web", "a")
        .label("app", "web")
        .pod("db", "a")
        .label("app", "db")
        .pod("far", "b")
        .label("app", "web")
}

/// An Egress for `app: web`, whose address a node has.
fn egress(name: &str, address: &str, node: &str) -> String {
    format!(
        "
apiVersion: crd.antrea.io/v1beta1
kind: Egress
metadata: {{name: {name}}}
spec:
  appliedTo: {{podSelector: {{matchLabels: {{app: web}}}}}}
  egressIP: '{address}'
  externalIPPool: pool
status: {{egressNode: {node}, egressIP: '{address}'}}
"
    )
}

async fn check(cluster: ClusterBuilder, asking: Asking, expected: Expect) {
    let network = SimNetwork::new(cluster.build().unwrap());
    expected.assert_eq(&asking.predicted_and_injected(&network).await);
}

#[tokio::test]
async fn on_the_senders_node_the_packet_is_marked_for_the_address() {
    check(
        builder().yaml(&egress("out", "172.18.0.100", "a")),
        Asking::tcp("web", "192.0.2.1", 443),
        expect![[r#"
            a
              SpoofGuard Forwarded
              Egress MarkedForSNAT egress=out egressIP=172.18.0.100 egressNode=a
              Forwarding/Output ForwardedOutOfNetwork
        "#]],
    )
    .await;
}

#[tokio::test]
async fn by_another_node_it_goes_through_the_tunnel_to_the_address() {
    check(
        builder().yaml(&egress("out", "172.18.0.100", "b")),
        Asking::tcp("web", "192.0.2.1", 443),
        expect![[r#"
            a
              SpoofGuard Forwarded
              Egress ForwardedToEgressNode egress=out egressIP=172.18.0.100 egressNode=b
              Forwarding/Output Forwarded tunnelDstIP=172.18.0.100
            b
              Forwarding/Classification Received
              Egress MarkedForSNAT egress=out egressIP=172.18.0.100 egressNode=b
              Forwarding/Output ForwardedOutOfNetwork
        "#]],
    )
    .await;
    check(
        builder().yaml(&egress("out", "fd00:172:18::100", "b")),
        Asking::tcp("web", "2001:db8::1", 443).v6(),
        expect![[r#"
            a
              SpoofGuard Forwarded
              Egress ForwardedToEgressNode egress=out egressIP=fd00:172:18::100 egressNode=b
              Forwarding/Output Forwarded tunnelDstIP=fd00:172:18::100
            b
              Forwarding/Classification Received
              Egress MarkedForSNAT egress=out egressIP=fd00:172:18::100 egressNode=b
              Forwarding/Output ForwardedOutOfNetwork
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_nodes_own_address_needs_no_status() {
    let manual = "
apiVersion: crd.antrea.io/v1beta1
kind: Egress
metadata: {name: manual}
spec: {appliedTo: {podSelector: {matchLabels: {app: web}}}, egressIP: 172.18.0.3}
";
    check(
        builder().yaml(manual),
        Asking::tcp("web", "192.0.2.1", 443),
        expect![[r#"
            a
              SpoofGuard Forwarded
              Egress ForwardedToEgressNode egress=manual egressIP=172.18.0.3 egressNode=b
              Forwarding/Output Forwarded tunnelDstIP=172.18.0.3
            b
              Forwarding/Classification Received
              Egress MarkedForSNAT egress=manual egressIP=172.18.0.3 egressNode=b
              Forwarding/Output ForwardedOutOfNetwork
        "#]],
    )
    .await;
}

#[tokio::test]
async fn an_address_that_no_node_has_leads_nowhere() {
    let homeless = "
apiVersion: crd.antrea.io/v1beta1
kind: Egress
metadata: {name: homeless}
spec: {appliedTo: {podSelector: {matchLabels: {app: web}}}, egressIP: 172.18.0.100}
";
    check(
        builder().yaml(homeless),
        Asking::tcp("web", "192.0.2.1", 443),
        expect![[r#"
            a
              SpoofGuard Forwarded
              Egress Dropped (no node has the address of Egress homeless)
        "#]],
    )
    .await;
}

#[tokio::test]
async fn other_pods_other_families_and_the_clusters_own_addresses_are_left_alone() {
    let cluster = || builder().yaml(&egress("out", "172.18.0.100", "b"));
    check(
        cluster(),
        Asking::tcp("db", "192.0.2.1", 443),
        expect![[r#"
        a
          SpoofGuard Forwarded
          Forwarding/Output ForwardedOutOfNetwork
    "#]],
    )
    .await;
    check(
        cluster(),
        Asking::tcp("web", "2001:db8::1", 443).v6(),
        expect![[r#"
        a
          SpoofGuard Forwarded
          Forwarding/Output ForwardedOutOfNetwork
    "#]],
    )
    .await;
    check(
        cluster(),
        Asking::tcp("web", "far", 80),
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
    check(
        cluster(),
        Asking::tcp("web", "172.18.0.3", 22),
        expect![[r#"
        a
          SpoofGuard Forwarded
          Forwarding/Output ForwardedOutOfNetwork
    "#]],
    )
    .await;
}

#[tokio::test]
async fn the_way_to_the_egress_node_takes_from_the_ttl_twice() {
    let cluster = || builder().yaml(&egress("out", "172.18.0.100", "b"));
    check(
        cluster(),
        Asking::tcp("web", "192.0.2.1", 443).ttl(1),
        expect![[r#"
        a
          SpoofGuard Forwarded
          Routing Dropped (the TTL expired)
    "#]],
    )
    .await;
    check(
        cluster(),
        Asking::tcp("web", "192.0.2.1", 443).ttl(2),
        expect![[r#"
        a
          SpoofGuard Forwarded
          Egress ForwardedToEgressNode egress=out egressIP=172.18.0.100 egressNode=b
          Forwarding/Output Forwarded tunnelDstIP=172.18.0.100
        b
          Forwarding/Classification Received
          Routing Dropped (the TTL expired)
    "#]],
    )
    .await;
}

#[tokio::test]
async fn policies_are_asked_before_and_of_two_egresses_the_first_by_name_applies() {
    let closed = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed}
spec: {podSelector: {}, policyTypes: [Egress]}
";
    let two = || {
        builder()
            .yaml(&egress("second", "172.18.0.101", "b"))
            .yaml(&egress("first", "172.18.0.100", "a"))
    };
    check(
        two(),
        Asking::tcp("web", "192.0.2.1", 443),
        expect![[r#"
        a
          SpoofGuard Forwarded
          Egress MarkedForSNAT egress=first egressIP=172.18.0.100 egressNode=a
          Forwarding/Output ForwardedOutOfNetwork
    "#]],
    )
    .await;
    check(two().yaml(closed), Asking::tcp("web", "192.0.2.1", 443), expect![[r#"
        a
          SpoofGuard Forwarded
          NetworkPolicy/EgressDefaultRule Dropped (no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/closed)
    "#]]).await;
}

#[test]
fn what_an_egress_may_not_say_is_told_with_its_place() {
    let message = |spec: &str, status: &str| {
        let text = format!(
            "apiVersion: crd.antrea.io/v1beta1\nkind: Egress\nmetadata: {{name: out}}\nspec: {spec}\nstatus: {status}"
        );
        match builder().yaml(&text).build() {
            Ok(cluster) => format!(
                "accepted, leaving out {:?}",
                cluster.unmodelled().iter().map(ToString::to_string).collect::<Vec<_>>()
            ),
            Err(error) => error.to_string(),
        }
    };
    let wrong = [
        message("{egressIP: 172.18.0.9}", "{}"),
        message("{appliedTo: {podSelector: {}}, egressIp: 172.18.0.9}", "{}"),
        message("{appliedTo: {podSelector: {}}, egressIP: 172.18.0}", "{}"),
        message(
            "{appliedTo: {podSelector: {}}, egressIPs: [172.18.0.9, 172.18.0.10]}",
            "{}",
        ),
        message(
            "{appliedTo: {podSelector: {}}, egressIP: 172.18.0.9, egressIPs: [172.18.0.10]}",
            "{}",
        ),
        message(
            "{appliedTo: {podSelector: {}}, egressIP: 172.18.0.9}",
            "{egressNode: c}",
        ),
        message(
            "{appliedTo: {podSelector: {}}, egressIP: 10.244.0.2}",
            "{egressNode: b}",
        ),
        message("{appliedTo: {group: g}, egressIP: 172.18.0.9}", "{egressNode: b}"),
    ];
    expect![[r#"
        yaml:4:1: spec.appliedTo: is missing; add appliedTo
        yaml:4:38: spec.egressIp: there is no such field; did you mean egressIP?
        yaml:4:38: spec.egressIP: "172.18.0" is not valid; use an IPv4 or IPv6 address
        yaml:4:62: spec.egressIPs[1]: there is a second one of IPv4; keep one per family
        yaml:4:38: spec.egressIP: egressIP can't stand beside egressIPs; keep one of them
        yaml:5:10: status.egressNode: Node c is not in the cluster; add the Node object, or correct the name
        yaml:4:38: spec.egressIP: Pod default/db has the address 10.244.0.2 too; give each its own
        accepted, leaving out ["Egress default/out (crd.antrea.io/v1beta1), for its spec.appliedTo.group"]"#]]
    .assert_eq(&wrong.join("\n"));
}
