//! The policy index against a second evaluator, which follows the API's text word by word and shares no code with it.

mod oracle;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::json;
use traceflow_core::input::{Documents, Text};
use traceflow_core::names::ObjectName;
use traceflow_core::observation::PolicyRef;
use traceflow_core::packet::Protocol;
use traceflow_sim::model::{ContainerPort, Labels, Namespace, Pod};
use traceflow_sim::policy::{Access, Decision, Direction, NetworkPolicy, Peer, PolicyIndex};

use oracle::Answer;
use world::{DeclaredPort, PodObject, PolicyObject, Question, World};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Each case asks some thousand questions.
    #[test]
    fn the_index_answers_as_the_text_of_the_api_does(world in world::worlds()) {
        assert_agrees(&index_of(&world), &world)?;
    }

    #[test]
    fn changes_one_by_one_in_any_order_lead_to_the_same_answers(
        before in world::worlds(),
        after in world::worlds(),
        order in proptest::collection::vec(any::<u32>(), 64),
    ) {
        let mut index = index_of(&before);
        let mut changes: Vec<_> = order.into_iter().zip(changes(&before, &after)).collect();
        changes.sort_by_key(|(key, _)| *key);
        for (_, change) in changes {
            change.apply(&mut index);
        }
        assert_agrees(&index, &after)?;
    }
}

#[test]
fn the_random_worlds_reach_every_kind_of_answer() {
    let mut runner = TestRunner::deterministic();
    let mut counts = BTreeMap::new();
    for _ in 0..32 {
        let world = world::worlds().new_tree(&mut runner).expect("a world").current();
        for question in world.questions() {
            let kind = match oracle::answer(&world, &question) {
                Answer::NotIsolated => "not isolated",
                Answer::Exempt => "exempt",
                Answer::Allowed { .. } => "allowed",
                Answer::Isolated { .. } => "isolated",
            };
            *counts.entry(kind).or_insert(0) += 1;
        }
    }
    assert_eq!(counts.len(), 4, "{counts:?}");
    assert!(counts["allowed"] > 5_000 && counts["isolated"] > 5_000, "{counts:?}");
}

fn assert_agrees(index: &PolicyIndex, world: &World) -> Result<(), TestCaseError> {
    for question in world.questions() {
        let expected = oracle::answer(world, &question);
        let found = answer(index.decide(&traffic(index, world, &question)));
        prop_assert_eq!(found, expected, "{:?}", question);
    }
    Ok(())
}

fn traffic(index: &PolicyIndex, world: &World, question: &Question) -> Access {
    let pod = &world.pods[question.pod];
    Access {
        direction: if question.ingress {
            Direction::Ingress
        } else {
            Direction::Egress
        },
        pod: index.pod_id(&pod.object_name()).expect("its Pods"),
        peer: if question.own_node {
            Peer::OwnNode(question.peer)
        } else {
            Peer::Address(question.peer)
        },
        protocol: protocol(question.protocol),
        source_port: None,
        destination_port: question.port,
        icmp: None,
    }
}

fn answer(decision: Decision) -> Answer {
    let name = PolicyRef::to_string;
    match decision {
        Decision::NotIsolated => Answer::NotIsolated,
        Decision::Exempt(_) => Answer::Exempt,
        Decision::Allowed { policy, rule, .. } => Answer::Allowed {
            policy: name(&policy),
            rule,
        },
        Decision::Isolated { policies } => Answer::Isolated {
            policies: policies.iter().map(name).collect(),
        },
        Decision::Denied { policy, .. } | Decision::Passed { policy, .. } => panic!("{policy} is Antrea's"),
    }
}

fn protocol(word: &str) -> Protocol {
    match word {
        "TCP" => Protocol::TCP,
        "UDP" => Protocol::UDP,
        "SCTP" => Protocol::SCTP,
        "ICMP" => Protocol::ICMP,
        other => panic!("{other}"),
    }
}

/// One call of the index.
enum Change {
    InsertNamespace(Namespace),
    RemoveNamespace(Arc<str>),
    InsertPod(Pod),
    RemovePod(ObjectName),
    InsertPolicy(NetworkPolicy),
    RemovePolicy(ObjectName),
}

impl Change {
    fn apply(self, index: &mut PolicyIndex) {
        match self {
            Self::InsertNamespace(namespace) => index.insert_namespace(&namespace),
            Self::RemoveNamespace(name) => index.remove_namespace(&name),
            Self::InsertPod(pod) => drop(index.insert_pod(pod)),
            Self::RemovePod(name) => index.remove_pod(&name),
            Self::InsertPolicy(policy) => index.insert_policy(policy),
            Self::RemovePolicy(name) => index.remove_policy(&name),
        }
    }
}

/// What makes `after` of `before`: everything of `after` is inserted, and what is in `before` only is removed.
fn changes(before: &World, after: &World) -> Vec<Change> {
    let mut changes = insertions(after);
    let namespaces = before
        .namespaces
        .keys()
        .filter(|&name| !after.namespaces.contains_key(name));
    changes.extend(namespaces.map(|name| Change::RemoveNamespace(name.as_str().into())));
    let stays = |name: &ObjectName| after.pods.iter().any(|pod| pod.object_name() == *name);
    let pods = before
        .pods
        .iter()
        .map(PodObject::object_name)
        .filter(|name| !stays(name));
    changes.extend(pods.map(Change::RemovePod));
    let stays = |name: &ObjectName| after.policies.iter().any(|policy| policy.object_name() == *name);
    let policies = before
        .policies
        .iter()
        .map(PolicyObject::object_name)
        .filter(|name| !stays(name));
    changes.extend(policies.map(Change::RemovePolicy));
    changes
}

fn insertions(world: &World) -> Vec<Change> {
    let namespaces = world.namespaces.iter().map(|(name, labels)| {
        Change::InsertNamespace(Namespace {
            name: name.as_str().into(),
            labels: read_labels(labels),
        })
    });
    let pods = world.pods.iter().map(|pod| Change::InsertPod(read_pod(pod)));
    let policies = world
        .policies
        .iter()
        .map(|policy| Change::InsertPolicy(read_policy(policy)));
    namespaces.chain(pods).chain(policies).collect()
}

fn index_of(world: &World) -> PolicyIndex {
    let mut index = PolicyIndex::default();
    for change in insertions(world) {
        change.apply(&mut index);
    }
    index
}

fn read_labels(labels: &BTreeMap<String, String>) -> Labels {
    let labels = labels.iter();
    labels
        .map(|(key, value)| (key.as_str().into(), value.as_str().into()))
        .collect()
}

fn read_pod(pod: &PodObject) -> Pod {
    Pod {
        name: pod.object_name(),
        labels: read_labels(&pod.labels),
        node: Some("node-1".into()),
        addresses: pod.addresses.clone(),
        host_addresses: Vec::new(),
        host_network: pod.host_network,
        phase: pod.phase.into(),
        ready: true,
        terminating: false,
        service_account: Pod::DEFAULT_SERVICE_ACCOUNT.into(),
        ports: pod.ports.iter().map(read_port).collect(),
    }
}

fn read_port(port: &DeclaredPort) -> ContainerPort {
    ContainerPort {
        name: port.name.as_deref().map(Arc::from),
        protocol: protocol(port.protocol),
        port: port.number,
    }
}

/// The policy as the index reads it: from its text.
fn read_policy(policy: &PolicyObject) -> NetworkPolicy {
    let text = json!({"kind": "NetworkPolicy", "spec": policy.spec}).to_string();
    let source = Text::new("policy.json", text);
    let document = Documents::new(&source).next().expect("a document").expect("JSON");
    NetworkPolicy::read(policy.object_name(), &document.root()).unwrap_or_else(|error| panic!("{error}"))
}
