//! The index keeps up with what comes and goes.

use traceflow_core::names::ObjectName;
use traceflow_core::observation::PolicyRef;
use traceflow_core::packet::Protocol;
use traceflow_sim::Cluster;
use traceflow_sim::model::{Labels, Namespace};
use traceflow_sim::policy::antrea::{Group, GroupMembers, GroupName, Tier};
use traceflow_sim::policy::{Access, Direction, LabelSelector, Peer, PolicyIndex};

use crate::world::with;

const GUARD: &str = "
apiVersion: crd.antrea.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {name: guard}
spec:
  priority: 1
  appliedTo: [{group: guarded}]
  ingress: [{action: Drop, from: [{namespaceSelector: {matchLabels: {env: prod}}}]}]
";

fn group(label: &str) -> Group {
    Group {
        name: GroupName {
            namespace: None,
            name: "guarded".into(),
        },
        members: GroupMembers::Pods {
            namespaces: Some(LabelSelector::default()),
            pods: LabelSelector::labels([("app", label)]),
        },
    }
}

/// Whether `client` takes a connection from `prod/web`.
fn allows(index: &PolicyIndex) -> bool {
    let client = index.pod_id(&ObjectName::new("default", "client")).unwrap();
    let access = Access {
        direction: Direction::Ingress,
        pod: client,
        peer: Peer::Address([10, 244, 0, 12].into()),
        protocol: Protocol::TCP,
        source_port: None,
        destination_port: Some(80),
        icmp: None,
    };
    index.decide(&access).allows()
}

fn index_of(cluster: &Cluster) -> PolicyIndex {
    cluster.policies().clone()
}

#[test]
fn a_group_that_changes_changes_whom_the_policy_applies_to() {
    let mut index = index_of(&with(GUARD));
    assert!(allows(&index));
    index.insert_group(group("client"));
    assert!(!allows(&index));
    index.insert_group(group("web"));
    assert!(allows(&index));
    index.insert_group(group("client"));
    index.remove_group(&group("client").name);
    assert!(allows(&index));
}

#[test]
fn a_namespace_that_is_relabelled_is_another_peer() {
    let mut index = index_of(&with(GUARD));
    index.insert_group(group("client"));
    index.insert_namespace(&Namespace {
        name: "prod".into(),
        labels: Labels::new(),
    });
    assert!(allows(&index));
}

#[test]
fn a_namespace_that_is_relabelled_is_another_subject() {
    let mut index = index_of(&with(
        "
apiVersion: crd.antrea.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {name: by-namespace}
spec:
  priority: 1
  appliedTo: [{namespaceSelector: {matchLabels: {closed: 'yes'}}}]
  ingress: [{action: Drop}]
",
    ));
    assert!(allows(&index));
    index.insert_namespace(&Namespace {
        name: "default".into(),
        labels: Labels::from([("closed".into(), "yes".into())]),
    });
    assert!(!allows(&index));
    index.remove_namespace(&"default".into());
    assert!(allows(&index));
}

#[test]
fn a_policy_that_goes_is_gone_and_one_that_comes_again_replaces_itself() {
    let mut index = index_of(&with(GUARD));
    index.insert_group(group("client"));
    let policy = index.antrea_policies().next().unwrap().clone();
    index.insert_antrea_policy(policy.clone());
    assert_eq!(index.antrea_policies().count(), 1);
    assert!(!allows(&index));
    index.remove_antrea_policy(&PolicyRef::antrea_cluster("guard"));
    assert!(allows(&index));
    index.insert_antrea_policy(policy);
    assert!(!allows(&index));
}

#[test]
fn a_pod_that_comes_later_is_subject_too() {
    let mut index = index_of(&with(GUARD));
    index.insert_group(group("client"));
    let name = ObjectName::new("default", "client");
    let client = with("")
        .policies()
        .selectable()
        .into_iter()
        .find(|pod| pod.name == name)
        .unwrap()
        .clone();
    index.remove_pod(&name);
    index.insert_pod(client);
    assert!(!allows(&index));
}

#[test]
fn a_tier_that_moves_takes_its_policies_along() {
    let mut index = index_of(&with(
        "
apiVersion: crd.antrea.io/v1beta1
kind: Tier
metadata: {name: mine}
spec: {priority: 20}
---
apiVersion: crd.antrea.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {name: open}
spec: {tier: mine, priority: 1, appliedTo: [{podSelector: {}}], ingress: [{action: Allow}]}
---
apiVersion: crd.antrea.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {name: closed}
spec: {tier: emergency, priority: 1, appliedTo: [{podSelector: {}}], ingress: [{action: Drop}]}
",
    ));
    assert!(allows(&index));
    index.insert_tier(&Tier {
        name: "mine".into(),
        priority: 60,
    });
    assert!(!allows(&index));
}

#[test]
fn nothing_is_allocated_for_a_rule_that_allows() {
    let cluster = with(
        "
apiVersion: crd.antrea.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {name: open}
spec:
  priority: 1
  appliedTo: [{podSelector: {}}]
  ingress:
  - {action: Drop, from: [{ipBlock: {cidr: 192.0.2.0/24}}]}
  - {action: Allow, name: all, ports: [{port: 80}]}
",
    );
    let index = cluster.policies();
    let mut allowed = false;
    let measured = allocation_counter::measure(|| allowed = allows(index));
    // The question's own name is what is allocated.
    let of_the_question = allocation_counter::measure(|| drop(ObjectName::new("default", "client")));
    assert!(allowed);
    assert_eq!(measured.count_total, of_the_question.count_total);
}
