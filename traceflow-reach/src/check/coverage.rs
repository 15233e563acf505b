//! Which rules of the cluster's policies had a part in what became of the packets.

use std::collections::HashSet;
use std::sync::Arc;

use traceflow_core::observation::PolicyRef;
use traceflow_sim::Cluster;
use traceflow_sim::policy::{Decision, Direction};

use super::report::Report;
use crate::matrix::{Matrix, Outcome};

/// Which rules of all policies decided about at least one packet, and which policies denied one by isolating its Pod.
///
/// By the model of the network, also where real packets were sent: a switch tells the policy of a Kubernetes rule, but not
/// which of its rules. A packet that the network treated unlike the model counts for no rule. Where rules of several Kubernetes
/// policies allow a packet, the first rule of the first policy by name is held to have decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// Every rule, in the order of the policies' names, ingress before egress.
    pub rules: Vec<Rule>,
    /// Every direction in which a Kubernetes policy isolates Pods.
    pub isolations: Vec<Isolation>,
}

/// A rule of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The policy.
    pub policy: PolicyRef,
    /// Whether it is one of `ingress` or of `egress`.
    pub direction: Direction,
    /// Its place there, from 0.
    pub place: usize,
    /// Its name, if it has one.
    pub name: Option<Arc<str>>,
    /// Whether it decided about a packet.
    pub exercised: bool,
}

/// What a Kubernetes policy does without a rule: it isolates Pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Isolation {
    /// The policy.
    pub policy: PolicyRef,
    /// In which direction.
    pub direction: Direction,
    /// Whether a packet was denied by it.
    pub exercised: bool,
}

impl Coverage {
    /// What the packets of the report exercised.
    pub fn of(report: &Report) -> Self {
        let cluster = report.cluster();
        let mut used = Used::default();
        for matrix in report.matrices() {
            used.add(matrix, cluster);
        }
        let mut coverage = Self::none(cluster);
        for rule in &mut coverage.rules {
            rule.exercised = used.rules.contains(&(rule.policy.clone(), rule.direction, rule.place));
        }
        for isolation in &mut coverage.isolations {
            isolation.exercised = used
                .isolations
                .contains(&(isolation.policy.clone(), isolation.direction));
        }
        coverage
    }

    /// How many rules were exercised.
    pub fn rules_exercised(&self) -> usize {
        self.rules.iter().filter(|rule| rule.exercised).count()
    }

    /// How many isolations were exercised.
    pub fn isolations_exercised(&self) -> usize {
        self.isolations.iter().filter(|isolation| isolation.exercised).count()
    }

    /// Everything that the cluster has, unexercised.
    fn none(cluster: &Cluster) -> Self {
        let (mut rules, mut isolations) = (Vec::new(), Vec::new());
        for policy in cluster.policies().policies() {
            let name = PolicyRef::kubernetes(policy.name.clone());
            for direction in DIRECTIONS {
                let Some(of_direction) = policy.rules(direction) else {
                    continue;
                };
                isolations.push(Isolation {
                    policy: name.clone(),
                    direction,
                    exercised: false,
                });
                rules.extend((0..of_direction.len()).map(|place| Rule::new(&name, direction, place, None)));
            }
        }
        for policy in cluster.policies().antrea_policies() {
            for direction in DIRECTIONS {
                let named = policy.rules(direction).iter().enumerate();
                rules.extend(named.map(|(place, rule)| Rule::new(&policy.name, direction, place, rule.name.clone())));
            }
        }
        Self { rules, isolations }
    }
}

const DIRECTIONS: [Direction; 2] = [Direction::Ingress, Direction::Egress];

impl Rule {
    fn new(policy: &PolicyRef, direction: Direction, place: usize, name: Option<Arc<str>>) -> Self {
        Self {
            policy: policy.clone(),
            direction,
            place,
            name,
            exercised: false,
        }
    }

    /// `K8sNetworkPolicy:shop/web ingress[0]`, with the rule's name behind it if it has one.
    pub fn label(&self) -> String {
        rule_label(&self.policy, self.direction, self.place, self.name.as_ref())
    }
}

/// What a rule is called.
pub(super) fn rule_label(policy: &PolicyRef, direction: Direction, place: usize, name: Option<&Arc<str>>) -> String {
    let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
    format!("{policy} {}[{place}]{name}", word(direction))
}

impl Isolation {
    /// `K8sNetworkPolicy:shop/web ingress, by default`.
    pub fn label(&self) -> String {
        format!("{} {}, by default", self.policy, word(self.direction))
    }
}

/// The field of a policy that the direction is.
pub(super) fn word(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress => "ingress",
        Direction::Egress => "egress",
    }
}

/// What was met on the packets' ways.
#[derive(Default)]
struct Used {
    rules: HashSet<(PolicyRef, Direction, usize)>,
    isolations: HashSet<(PolicyRef, Direction)>,
}

impl Used {
    fn add(&mut self, matrix: &Matrix, cluster: &Cluster) {
        for place in matrix.grid().askable() {
            let cell = matrix.cell(place);
            if cell.outcome == Outcome::Unanswered || cell.unlike_the_model.is_some() {
                continue;
            }
            let Ok(plan) = matrix.grid().plan(place) else { continue };
            for decided in cluster.decisions(&plan).unwrap_or_default() {
                self.note(decided.direction, decided.decision);
            }
        }
    }

    fn note(&mut self, direction: Direction, decision: Decision) {
        match decision {
            Decision::Allowed { policy, rule, .. }
            | Decision::Passed { policy, rule, .. }
            | Decision::Denied { policy, rule, .. } => {
                self.rules.insert((policy, direction, rule));
            }
            Decision::Isolated { policies } => {
                self.isolations
                    .extend(policies.iter().map(|policy| (policy.clone(), direction)));
            }
            Decision::NotIsolated | Decision::Exempt(_) => {}
        }
    }
}
