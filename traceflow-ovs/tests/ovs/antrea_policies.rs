//! What injected traces say of Antrea's policies on real switches: each action in each direction, on the same node and
//! across the tunnel, in both families.

use testbed::fabric::Form;
use traceflow_core::observation::Action;
use traceflow_core::trace::{Predictor, Trace};
use traceflow_sim::Cluster;

use crate::support::{World, lines, path};

/// What happens to the packets of a Pod with this name, and how the trace ends.
struct Case {
    name: &'static str,
    ends: End,
}

enum End {
    /// It arrives, allowed by this policy and rule if by any.
    Delivered(Option<(&'static str, Option<&'static str>)>),
    /// A rule denies it.
    Denied(Action, &'static str, &'static str),
    /// No rule of the policies that isolate the Pod allows it.
    Isolated,
}

const STRICT: &str = "AntreaClusterNetworkPolicy:strict";
const LATER: &str = "AntreaClusterNetworkPolicy:later";
const BASELINE: &str = "AntreaClusterNetworkPolicy:last";
const OPENED: &str = "K8sNetworkPolicy:default/opened";

fn cases() -> Vec<Case> {
    let case = |name, ends| Case { name, ends };
    vec![
        case("dropped", End::Denied(Action::Dropped, STRICT, "drop")),
        case("rejected", End::Denied(Action::Rejected, STRICT, "reject")),
        case("allowed", End::Delivered(Some((STRICT, Some("allow"))))),
        case("later-dropped", End::Denied(Action::Dropped, LATER, "drop-later")),
        case("passed", End::Delivered(Some((STRICT, Some("pass"))))),
        case("passed-isolated", End::Isolated),
        case("passed-opened", End::Delivered(Some((OPENED, None)))),
        case("passed-last", End::Denied(Action::Rejected, BASELINE, "reject-last")),
        case("last-dropped", End::Denied(Action::Dropped, BASELINE, "drop-last")),
        case("last-allowed", End::Delivered(Some((BASELINE, Some("allow-last"))))),
        case("opened", End::Delivered(Some((OPENED, None)))),
        case("isolated", End::Isolated),
        case("free", End::Delivered(None)),
    ]
}

/// The rules are the same in both directions. Each Pod that they are about is subject to one of them first; those behind
/// it would decide otherwise.
fn policies(direction: &str) -> String {
    let word = direction.to_lowercase();
    let antrea = |name: &str, tier: &str, rules: &[(&str, &str, &[&str])]| {
        let rule = |(action, rule, cases): &(&str, &str, &[&str])| {
            let cases = cases.join(", ");
            let chosen =
                format!("podSelector: {{matchExpressions: [{{key: {word}, operator: In, values: [{cases}]}}]}}");
            format!("  - {{action: {action}, name: {rule}, appliedTo: [{{{chosen}}}]}}\n")
        };
        let rules: String = rules.iter().map(rule).collect();
        format!(
            "apiVersion: crd.antrea.io/v1beta1\nkind: ClusterNetworkPolicy\nmetadata: {{name: {name}}}\n\
             spec:\n  tier: {tier}\n  priority: 5\n  {word}:\n{rules}---\n"
        )
    };
    let kubernetes = |name: &str, rules: &str, cases: &str| {
        let chosen = format!("podSelector: {{matchExpressions: [{{key: {word}, operator: In, values: [{cases}]}}]}}");
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: default}}\n\
             spec: {{{chosen}, policyTypes: [{direction}], {word}: [{rules}]}}\n---\n"
        )
    };
    let passed = ["passed", "passed-isolated", "passed-opened", "passed-last"];
    let last = ["last-dropped", "opened", "isolated"];
    antrea(
        "strict",
        "emergency",
        &[
            ("Drop", "drop", &["dropped"]),
            ("Reject", "reject", &["rejected"]),
            ("Allow", "allow", &["allowed"]),
            ("Pass", "pass", &passed),
        ],
    ) + &antrea(
        "later",
        "application",
        &[
            ("Allow", "allow-later", &["dropped", "rejected"]),
            ("Drop", "drop-later", &["later-dropped", "allowed"]),
            ("Reject", "reject-later", &passed),
        ],
    ) + &kubernetes("closed", "", "passed-isolated, isolated")
        + &kubernetes("opened", "{}", "passed-opened, opened")
        + &antrea(
            "last",
            "baseline",
            &[
                ("Reject", "reject-last", &["passed-last"]),
                ("Drop", "drop-last", &last),
                ("Allow", "allow-last", &["last-allowed", "passed-isolated"]),
                ("Drop", "drop-more", &["last-allowed", "passed-opened"]),
            ],
        )
}

/// For each case a Pod on each node, and `free` Pods for them to speak to.
fn world(direction: &str) -> World {
    let mut builder = Cluster::builder();
    for (node, range) in [("a", 1), ("b", 2)] {
        builder = builder.node(node).pod_cidr(&format!("10.0.{range}.0/24"));
        builder = builder.pod_cidr(&format!("fd00:0:0:{range}::/64"));
    }
    for (number, case) in (10..).zip(cases()) {
        for (node, range) in [("a", 1), ("b", 2)] {
            builder = builder.pod(&format!("{}-{node}", case.name), node);
            builder = builder.label(&direction.to_lowercase(), case.name);
            builder = builder.address(&format!("10.0.{range}.{number}"));
            builder = builder.address(&format!("fd00:0:0:{range}::{number}"));
        }
    }
    World::of(builder.yaml(&policies(direction)).build().unwrap(), Form::Rootless)
}

const FLOWS: [&str; 6] = [
    "tcp,tcp_dst=80",
    "udp,udp_dst=53",
    "icmp",
    "tcp6,tcp_dst=80",
    "udp6,udp_dst=53",
    "icmp6",
];

/// Traces between `free-a` and each Pod of each case, the Pods at `end`; `direction` is whose rules judge.
async fn check(direction: &str) {
    let world = world(direction);
    let tracer = world.tracer();
    for case in cases() {
        for node in ["a", "b"] {
            let subject = format!("{}-{node}", case.name);
            let (source, destination) = match direction {
                "Egress" => (subject.as_str(), "free-a"),
                _ => ("free-a", subject.as_str()),
            };
            if source == destination {
                continue;
            }
            for flow in FLOWS {
                let plan = world.plan(source, destination, flow);
                let predicted = world.cluster.predict(&plan).unwrap();
                let trace = tracer.trace(plan).await.unwrap();
                let asked = format!("{source} to {destination}, {flow}: {}", trace.verdict);
                let expected = lines(predicted.hops.iter().map(|hop| (&hop.node, &hop.observations)));
                assert_eq!(path(&trace), expected, "{asked}");
                assert_eq!(trace.verdict, predicted.verdict, "{asked}");
                assert_eq!(trace.finding, None, "{asked}");
                case.ends.check(direction, &trace, &asked);
            }
        }
    }
    tracer.close().await.unwrap();
    assert_eq!(world.leftovers().await, Vec::<String>::new());
}

impl End {
    /// Whether the path says so.
    fn check(&self, direction: &str, trace: &Trace, asked: &str) {
        let lines = path(trace);
        let end = lines.last().unwrap();
        let judged: Vec<_> = lines.iter().filter(|line| line.contains(" NetworkPolicy ")).collect();
        match self {
            Self::Delivered(by) => {
                assert!(end.ends_with("Forwarding Delivered Output"), "{asked}: {end}");
                let by = by.map(|(policy, rule)| {
                    let rule = rule.map_or(String::new(), |rule| format!(" {rule}"));
                    format!("NetworkPolicy Forwarded {direction}Rule {policy}{rule}")
                });
                assert_eq!(judged.len(), usize::from(by.is_some()), "{asked}: {judged:?}");
                for (line, by) in judged.iter().zip(by) {
                    assert!(line.ends_with(&by), "{asked}: {line}");
                }
            }
            Self::Denied(action, policy, rule) => {
                let by = format!(
                    "NetworkPolicy {action} {direction}Metric {policy} {rule} rule {rule} of {policy} denies it"
                );
                assert!(end.ends_with(&by), "{asked}: {end}");
                assert_eq!(judged, [end], "{asked}");
            }
            Self::Isolated => {
                let by = format!("NetworkPolicy Dropped {direction}DefaultRule ");
                assert!(end.contains(&by) && end.contains("default/closed"), "{asked}: {end}");
                assert_eq!(judged, [end], "{asked}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_action_of_an_egress_rule_is_told_with_its_policy_and_rule() {
    check("Egress").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_action_of_an_ingress_rule_is_told_with_its_policy_and_rule() {
    check("Ingress").await;
}
