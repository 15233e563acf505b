//! What is valid and not modelled is left out whole, and said.

use crate::world::with;

fn unmodelled(objects: &str) -> Vec<String> {
    let cluster = with(objects);
    assert_eq!(cluster.policies().antrea_policies().count(), 0);
    cluster.unmodelled().iter().map(ToString::to_string).collect()
}

fn policy(applied_to: &str, rules: &str) -> String {
    format!(
        "
apiVersion: crd.antrea.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {{name: odd}}
spec:
  priority: 1
  appliedTo: [{{{applied_to}}}]
  {rules}
"
    )
}

#[test]
fn a_policy_with_a_part_that_is_not_modelled_is_listed_with_that_part() {
    let rest = "podSelector: {}";
    let cases = [
        (
            rest,
            "egress: [{action: Drop, to: [{fqdn: '*.example.com'}]}]",
            "egress[0].to[0].fqdn",
        ),
        (
            rest,
            "egress: [{action: Drop, toServices: [{name: store, namespace: prod}]}]",
            "egress[0].toServices",
        ),
        (
            rest,
            "ingress: [{action: Allow, l7Protocols: [{http: {method: GET}}]}]",
            "ingress[0].l7Protocols",
        ),
        (
            rest,
            "ingress: [{action: Drop, from: [{podSelector: {}, scope: ClusterSet}]}]",
            "ingress[0].from[0].scope",
        ),
        (
            rest,
            "ingress: [{action: Drop, from: [{serviceAccount: {name: a, namespace: b}}]}]",
            "ingress[0].from[0].serviceAccount",
        ),
        (
            rest,
            "ingress: [{action: Drop, from: [{nodeSelector: {}}]}]",
            "ingress[0].from[0].nodeSelector",
        ),
        (
            rest,
            "egress: [{action: Drop, protocols: [{igmp: {}}]}]",
            "egress[0].protocols[0].igmp",
        ),
        (
            "service: {name: store, namespace: prod}",
            "ingress: [{action: Drop}]",
            "appliedTo[0].service",
        ),
        (
            "nodeSelector: {}",
            "ingress: [{action: Drop}]",
            "appliedTo[0].nodeSelector",
        ),
    ];
    for (applied_to, rules, field) in cases {
        let expected = format!("ClusterNetworkPolicy default/odd (crd.antrea.io/v1beta1), for its spec.{field}");
        assert_eq!(unmodelled(&policy(applied_to, rules)), [expected]);
    }
}

#[test]
fn a_group_with_a_part_that_is_not_modelled_is_listed() {
    let group = "
apiVersion: crd.antrea.io/v1beta1
kind: ClusterGroup
metadata: {name: machines}
spec: {externalEntitySelector: {matchLabels: {app: vm}}}
";
    assert_eq!(
        unmodelled(group),
        ["ClusterGroup default/machines (crd.antrea.io/v1beta1), for its spec.externalEntitySelector"]
    );
}
