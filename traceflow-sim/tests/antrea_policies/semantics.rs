//! What the policies mean, point by point.

use expect_test::{Expect, expect};

use crate::world::{ask_all, with};

fn check(objects: &str, questions: &[&str], expected: Expect) {
    expected.assert_eq(&ask_all(&with(objects), questions));
}

#[test]
fn the_first_rule_that_matches_decides_and_names_itself() {
    check(
        "
apiVersion: crd.antrea.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {name: web}
spec:
  priority: 5
  appliedTo: [{podSelector: {matchLabels: {app: web}}}]
  ingress:
  - {action: Allow, name: from-clients, from: [{podSelector: {matchLabels: {app: client}}}], ports: [{port: 80}]}
  - {action: Reject, from: [{podSelector: {matchLabels: {app: client}}}]}
  - {action: Drop, name: rest}
",
        &[
            "ingress web from client TCP/80",
            "ingress web from dev/client TCP/80",
            "ingress web from client TCP/81",
            "ingress web from client ICMP/8",
            "ingress prod/web from 192.0.2.1 TCP/80",
            "ingress client from web TCP/80",
            "egress web to client TCP/80",
        ],
        expect![[r#"
            ingress web from client TCP/80: allowed by AntreaClusterNetworkPolicy:web[from-clients]
            ingress web from dev/client TCP/80: allowed by AntreaClusterNetworkPolicy:web[from-clients]
            ingress web from client TCP/81: rejected by AntreaClusterNetworkPolicy:web[1]
            ingress web from client ICMP/8: rejected by AntreaClusterNetworkPolicy:web[1]
            ingress prod/web from 192.0.2.1 TCP/80: dropped by AntreaClusterNetworkPolicy:web[rest]
            ingress client from web TCP/80: not isolated
            egress web to client TCP/80: not isolated
        "#]],
    );
}

#[test]
fn tiers_go_before_priorities_and_those_before_the_order_of_rules() {
    check(
        "
apiVersion: crd.antrea.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {name: a-late}
spec:
  priority: 1
  appliedTo: [{podSelector: {}}]
  ingress: [{action: Drop}]
---
apiVersion: crd.antrea.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {name: z-early}
spec:
  tier: emergency
  priority: 100
  appliedTo: [{podSelector: {}}]
  ingress: [{action: Allow, ports: [{port: 22}]}]
---
apiVersion: crd.antrea.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {name: y-earlier}
spec:
  tier: emergency
  priority: 99.5
  appliedTo: [{podSelector: {}}]
  ingress: [{action: Drop, from: [{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.7/32]}}]}]
---
apiVersion: crd.antrea.io/v1beta1
kind: Tier
metadata: {name: first}
spec: {priority: 5}
---
apiVersion: crd.antrea.io/v1beta1
kind: NetworkPolicy
metadata: {name: of-first}
spec:
  tier: first
  priority: 10000
  appliedTo: [{podSelector: {}}]
  ingress: [{action: Allow, ports: [{port: 443}]}]
",
        &[
            "ingress web from client TCP/22",
            "ingress web from 192.0.2.1 TCP/22",
            "ingress web from 192.0.2.7 TCP/22",
            "ingress web from 192.0.2.1 TCP/443",
            "ingress prod/web from 192.0.2.1 TCP/443",
            "ingress web from client TCP/80",
        ],
        expect![[r#"
            ingress web from client TCP/22: allowed by AntreaClusterNetworkPolicy:z-early[0]
            ingress web from 192.0.2.1 TCP/22: dropped by AntreaClusterNetworkPolicy:y-earlier[0]
            ingress web from 192.0.2.7 TCP/22: allowed by AntreaClusterNetworkPolicy:z-early[0]
            ingress web from 192.0.2.1 TCP/443: allowed by AntreaNetworkPolicy:default/of-first[0]
            ingress prod/web from 192.0.2.1 TCP/443: dropped by AntreaClusterNetworkPolicy:y-earlier[0]
            ingress web from client TCP/80: dropped by AntreaClusterNetworkPolicy:a-late[0]
        "#]],
    );
}

#[test]
fn pass_leaves_it_to_kubernetes_and_baseline_comes_last() {
    check(
        "
apiVersion: crd.antrea.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {name: pass-prod}
spec:
  tier: securityops
  priority: 1
  appliedTo: [{podSelector: {}}]
  ingress:
  - {action: Pass, from: [{namespaceSelector: {matchLabels: {env: prod}}}]}
---
apiVersion: crd.antrea.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {name: strict}
spec:
  priority: 1
  appliedTo: [{podSelector: {}}]
  ingress: [{action: Drop, ports: [{port: 80}]}]
---
apiVersion: crd.antrea.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {name: base}
spec:
  tier: baseline
  priority: 1
  appliedTo: [{podSelector: {}}]
  ingress: [{action: Drop, name: nothing-unasked}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{ports: [{port: 80}]}]
",
        &[
            "ingress web from client TCP/80",
            "ingress web from prod/db TCP/80",
            "ingress web from prod/db TCP/81",
            "ingress web from client TCP/81",
            "ingress client from prod/db TCP/80",
            "ingress client from web TCP/81",
        ],
        expect![[r#"
            ingress web from client TCP/80: dropped by AntreaClusterNetworkPolicy:strict[0]
            ingress web from prod/db TCP/80: allowed by K8sNetworkPolicy:default/web[0]
            ingress web from prod/db TCP/81: isolated by K8sNetworkPolicy:default/web
            ingress web from client TCP/81: isolated by K8sNetworkPolicy:default/web
            ingress client from prod/db TCP/80: dropped by AntreaClusterNetworkPolicy:base[nothing-unasked]
            ingress client from web TCP/81: dropped by AntreaClusterNetworkPolicy:base[nothing-unasked]
        "#]],
    );
}

#[test]
fn a_policy_or_its_rules_say_whom_they_apply_to() {
    check(
        "
apiVersion: crd.antrea.io/v1beta1
kind: NetworkPolicy
metadata: {name: by-rule, namespace: prod}
spec:
  priority: 1
  egress:
  - {action: Drop, name: web-out, appliedTo: [{podSelector: {matchLabels: {app: web}}}]}
  - {action: Reject, name: db-out, appliedTo: [{podSelector: {matchLabels: {app: db}}}], ports: [{protocol: UDP, port: 53}]}
",
        &[
            "egress prod/web to 192.0.2.1 TCP/80",
            "egress prod/db to 192.0.2.1 UDP/53",
            "egress prod/db to 192.0.2.1 TCP/53",
            "egress web to 192.0.2.1 TCP/80",
        ],
        expect![[r#"
            egress prod/web to 192.0.2.1 TCP/80: dropped by AntreaNetworkPolicy:prod/by-rule[web-out]
            egress prod/db to 192.0.2.1 UDP/53: rejected by AntreaNetworkPolicy:prod/by-rule[db-out]
            egress prod/db to 192.0.2.1 TCP/53: not isolated
            egress web to 192.0.2.1 TCP/80: not isolated
        "#]],
    );
}

#[test]
fn peers_can_be_in_the_namespace_of_the_pod_or_in_one_with_the_same_labels() {
    check(
        "
apiVersion: crd.antrea.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {name: isolate}
spec:
  priority: 1
  appliedTo: [{podSelector: {}}]
  ingress:
  - {action: Allow, name: own, from: [{namespaces: {match: Self}}]}
  - {action: Allow, name: team, from: [{namespaces: {sameLabels: [team]}, podSelector: {matchLabels: {app: client}}}]}
  - {action: Drop, name: others}
",
        &[
            "ingress prod/web from prod/db TCP/80",
            "ingress prod/web from dev/client TCP/80",
            "ingress dev/client from prod/web TCP/80",
            "ingress web from client TCP/80",
            "ingress web from dev/client TCP/80",
        ],
        expect![[r#"
            ingress prod/web from prod/db TCP/80: allowed by AntreaClusterNetworkPolicy:isolate[own]
            ingress prod/web from dev/client TCP/80: allowed by AntreaClusterNetworkPolicy:isolate[team]
            ingress dev/client from prod/web TCP/80: dropped by AntreaClusterNetworkPolicy:isolate[others]
            ingress web from client TCP/80: allowed by AntreaClusterNetworkPolicy:isolate[own]
            ingress web from dev/client TCP/80: dropped by AntreaClusterNetworkPolicy:isolate[others]
        "#]],
    );
}

#[test]
fn a_namespaced_policy_stays_in_its_namespace_unless_it_says_otherwise() {
    check(
        "
apiVersion: crd.antrea.io/v1beta1
kind: NetworkPolicy
metadata: {name: local, namespace: prod}
spec:
  priority: 1
  appliedTo: [{podSelector: {matchLabels: {app: db}}}]
  ingress:
  - {action: Allow, name: neighbours, from: [{podSelector: {}}]}
  - {action: Allow, name: dev, from: [{namespaceSelector: {matchLabels: {env: dev}}}]}
  - {action: Drop, name: rest}
",
        &[
            "ingress prod/db from prod/web TCP/80",
            "ingress prod/db from dev/client TCP/80",
            "ingress prod/db from web TCP/80",
        ],
        expect![[r#"
            ingress prod/db from prod/web TCP/80: allowed by AntreaNetworkPolicy:prod/local[neighbours]
            ingress prod/db from dev/client TCP/80: allowed by AntreaNetworkPolicy:prod/local[dev]
            ingress prod/db from web TCP/80: dropped by AntreaNetworkPolicy:prod/local[rest]
        "#]],
    );
}

#[test]
fn groups_are_pods_addresses_services_or_other_groups() {
    check(
        "
apiVersion: crd.antrea.io/v1beta1
kind: ClusterGroup
metadata: {name: clients}
spec: {podSelector: {matchLabels: {app: client}}}
---
apiVersion: crd.antrea.io/v1beta1
kind: ClusterGroup
metadata: {name: offices}
spec: {ipBlocks: [{cidr: 192.0.2.0/24}]}
---
apiVersion: crd.antrea.io/v1beta1
kind: ClusterGroup
metadata: {name: stores}
spec: {serviceReference: {namespace: prod, name: store}}
---
apiVersion: crd.antrea.io/v1beta1
kind: ClusterGroup
metadata: {name: friends}
spec: {childGroups: [clients, offices]}
---
apiVersion: crd.antrea.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {name: guarded}
spec:
  priority: 1
  appliedTo: [{group: stores}]
  ingress:
  - {action: Allow, name: friends, from: [{group: friends}]}
  - {action: Drop, name: nobody, from: [{group: not-there}]}
  - {action: Reject, name: rest}
",
        &[
            "ingress prod/db from client TCP/80",
            "ingress prod/db from 192.0.2.9 TCP/80",
            "ingress prod/db from prod/web TCP/80",
            "ingress prod/web from prod/db TCP/80",
        ],
        expect![[r#"
            ingress prod/db from client TCP/80: allowed by AntreaClusterNetworkPolicy:guarded[friends]
            ingress prod/db from 192.0.2.9 TCP/80: allowed by AntreaClusterNetworkPolicy:guarded[friends]
            ingress prod/db from prod/web TCP/80: rejected by AntreaClusterNetworkPolicy:guarded[rest]
            ingress prod/web from prod/db TCP/80: not isolated
        "#]],
    );
}

#[test]
fn a_group_whose_children_have_children_has_no_members_at_all() {
    check(
        "
apiVersion: crd.antrea.io/v1beta1
kind: ClusterGroup
metadata: {name: clients}
spec: {podSelector: {matchLabels: {app: client}}}
---
apiVersion: crd.antrea.io/v1beta1
kind: ClusterGroup
metadata: {name: friends}
spec: {childGroups: [clients]}
---
apiVersion: crd.antrea.io/v1beta1
kind: ClusterGroup
metadata: {name: deep}
spec: {childGroups: [clients, friends]}
---
apiVersion: crd.antrea.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {name: guarded}
spec:
  priority: 1
  appliedTo: [{podSelector: {matchLabels: {app: db}}}]
  ingress:
  - {action: Allow, name: deep, from: [{group: deep}], ports: [{port: 80}]}
  - {action: Allow, name: friends, from: [{group: friends}]}
",
        &["ingress prod/db from client TCP/80"],
        expect![[r#"
            ingress prod/db from client TCP/80: allowed by AntreaClusterNetworkPolicy:guarded[friends]
        "#]],
    );
}

#[test]
fn a_service_account_stands_for_the_pods_that_run_as_it() {
    check(
        "
apiVersion: crd.antrea.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {name: accounts}
spec:
  priority: 1
  ingress:
  - action: Allow
    name: builders
    appliedTo: [{serviceAccount: {namespace: prod, name: default}}]
    from: [{serviceAccount: {namespace: prod, name: build}}]
  - action: Drop
    name: rest
    appliedTo: [{serviceAccount: {namespace: prod, name: default}}]
",
        &[
            "ingress prod/db from prod/web TCP/80",
            "ingress prod/db from dev/client TCP/80",
            "ingress prod/web from prod/db TCP/80",
            "ingress web from prod/web TCP/80",
        ],
        expect![[r#"
            ingress prod/db from prod/web TCP/80: allowed by AntreaClusterNetworkPolicy:accounts[builders]
            ingress prod/db from dev/client TCP/80: dropped by AntreaClusterNetworkPolicy:accounts[rest]
            ingress prod/web from prod/db TCP/80: not isolated
            ingress web from prod/web TCP/80: not isolated
        "#]],
    );
}

#[test]
fn a_group_with_a_namespace_is_its_own() {
    check(
        "
apiVersion: crd.antrea.io/v1beta1
kind: Group
metadata: {name: web, namespace: prod}
spec: {podSelector: {matchLabels: {app: web}}}
---
apiVersion: crd.antrea.io/v1beta1
kind: NetworkPolicy
metadata: {name: by-group, namespace: prod}
spec:
  priority: 1
  appliedTo: [{podSelector: {matchLabels: {app: db}}}]
  ingress:
  - {action: Allow, from: [{group: web}]}
  - {action: Drop}
",
        &[
            "ingress prod/db from prod/web TCP/80",
            "ingress prod/db from web TCP/80",
        ],
        expect![[r#"
            ingress prod/db from prod/web TCP/80: allowed by AntreaNetworkPolicy:prod/by-group[0]
            ingress prod/db from web TCP/80: dropped by AntreaNetworkPolicy:prod/by-group[1]
        "#]],
    );
}

#[test]
fn traffic_is_told_by_ports_source_ports_names_and_icmp_types() {
    check(
        "
apiVersion: crd.antrea.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {name: traffic}
spec:
  priority: 1
  appliedTo: [{podSelector: {}}]
  ingress:
  - {action: Drop, name: range, ports: [{protocol: UDP, port: 100, endPort: 200}]}
  - {action: Drop, name: low-source, ports: [{port: 80, sourcePort: 1, sourceEndPort: 1023}]}
  - {action: Drop, name: called, ports: [{port: http}]}
  - {action: Drop, name: ping, protocols: [{icmp: {icmpType: 8, icmpCode: 0}}]}
  - {action: Reject, name: any-icmp, protocols: [{icmp: {}}]}
",
        &[
            "ingress web from client UDP/150",
            "ingress web from client UDP/201",
            "ingress web from client TCP/150",
            "ingress web from client TCP/1023>80",
            "ingress web from client TCP/1024>80",
            "ingress web from client TCP/8080",
            "ingress client from web TCP/8080",
            "ingress web from client ICMP/8",
            "ingress web from client ICMP/13",
        ],
        expect![[r#"
            ingress web from client UDP/150: dropped by AntreaClusterNetworkPolicy:traffic[range]
            ingress web from client UDP/201: not isolated
            ingress web from client TCP/150: not isolated
            ingress web from client TCP/1023>80: dropped by AntreaClusterNetworkPolicy:traffic[low-source]
            ingress web from client TCP/1024>80: not isolated
            ingress web from client TCP/8080: dropped by AntreaClusterNetworkPolicy:traffic[called]
            ingress client from web TCP/8080: not isolated
            ingress web from client ICMP/8: dropped by AntreaClusterNetworkPolicy:traffic[ping]
            ingress web from client ICMP/13: rejected by AntreaClusterNetworkPolicy:traffic[any-icmp]
        "#]],
    );
}

#[test]
fn the_own_node_gets_in_and_the_hosts_network_is_selected_by_nobody() {
    check(
        "
apiVersion: crd.antrea.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {name: closed}
spec:
  priority: 1
  appliedTo: [{podSelector: {}}]
  ingress:
  - {action: Drop, name: labelled, from: [{podSelector: {matchLabels: {app: web}}}]}
  - {action: Reject, name: rest}
",
        &[
            "ingress client from own-node TCP/80",
            "ingress client from web TCP/80",
            "ingress client from host TCP/80",
            "ingress host from client TCP/80",
        ],
        expect![[r#"
            ingress client from own-node TCP/80: exempt, own node
            ingress client from web TCP/80: dropped by AntreaClusterNetworkPolicy:closed[labelled]
            ingress client from host TCP/80: rejected by AntreaClusterNetworkPolicy:closed[rest]
            ingress host from client TCP/80: not isolated
        "#]],
    );
}

#[test]
fn equals_are_asked_by_kind_namespace_and_name() {
    let policy = |kind: &str, metadata: &str, action: &str| {
        format!(
            "
apiVersion: crd.antrea.io/v1beta1
kind: {kind}
metadata: {{{metadata}}}
spec:
  priority: 7
  appliedTo: [{{podSelector: {{}}}}]
  ingress: [{{action: {action}}}]
"
        )
    };
    let objects = [
        policy("NetworkPolicy", "name: a", "Drop"),
        policy("ClusterNetworkPolicy", "name: z", "Reject"),
        policy("ClusterNetworkPolicy", "name: y", "Allow"),
    ];
    check(
        &objects.join("---"),
        &["ingress web from client TCP/80"],
        expect![[r#"
            ingress web from client TCP/80: allowed by AntreaClusterNetworkPolicy:y[0]
        "#]],
    );
}
