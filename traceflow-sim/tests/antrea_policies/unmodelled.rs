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

#[test]
fn a_namespaced_policy_for_a_group_that_may_reach_out_of_its_namespace_is_listed() {
    let policy = |spec: &str| {
        format!(
            "
apiVersion: crd.antrea.io/v1beta1
kind: NetworkPolicy
metadata: {{name: local, namespace: prod}}
spec: {{priority: 1, {spec}}}
"
        )
    };
    let group = |name: &str, spec: &str| {
        format!(
            "
---
apiVersion: crd.antrea.io/v1beta1
kind: Group
metadata: {{name: {name}, namespace: prod}}
spec: {{{spec}}}
"
        )
    };
    let everywhere = group("everywhere", "namespaceSelector: {}");
    let store = group("store", "serviceReference: {name: store, namespace: default}");
    let parent = group("parent", "childGroups: [everywhere]");
    let to_all = "appliedTo: [{podSelector: {}}, {group: everywhere}], ingress: [{action: Drop}]";
    let by_rule =
        "egress: [{action: Drop, appliedTo: [{podSelector: {}}]}, {action: Drop, appliedTo: [{group: store}]}]";
    let cases = [
        (policy(to_all) + &everywhere, "appliedTo[1]"),
        (policy(by_rule) + &store, "egress[1].appliedTo[0]"),
        (
            policy("appliedTo: [{group: parent}], ingress: [{action: Drop}]") + &everywhere + &parent,
            "appliedTo[0]",
        ),
    ];
    for (objects, place) in cases {
        let expected = format!("NetworkPolicy prod/local (crd.antrea.io/v1beta1), for its spec.{place}.group");
        assert_eq!(unmodelled(&objects), [expected]);
    }
    let at_home = group("home", "podSelector: {}") + &group("own", "serviceReference: {name: store, namespace: prod}");
    let kept =
        policy("appliedTo: [{group: home}, {group: own}], ingress: [{action: Drop, from: [{group: everywhere}]}]");
    let cluster = with(&(kept + &at_home + &everywhere));
    assert!(cluster.unmodelled().is_empty());
    assert_eq!(cluster.policies().antrea_policies().count(), 1);
}
