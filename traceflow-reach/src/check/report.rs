//! Which expectations are met.

use traceflow_core::trace::Mode;
use traceflow_sim::Cluster;
use traceflow_sim::policy::Decision;

use super::coverage::rule_label;
use super::questions::{Part, Questions};
use super::read::{Expectation, Expected};
use crate::matrix::{Cell, Matrix, Outcome, Reason};

/// What came of holding expectations against a network.
#[derive(Debug, Clone)]
pub struct Report {
    questions: Questions,
    /// One for each part of the questions.
    matrices: Vec<Matrix>,
}

/// What came of one expectation.
#[derive(Debug, Clone)]
pub struct Judgement<'a> {
    /// What it is called.
    pub name: &'a str,
    /// What messages call the file that it stands in.
    pub file: &'a str,
    /// Whether it is met.
    pub status: Status,
    /// How many packets it is about.
    pub asked: usize,
    /// Those that did not end as expected.
    pub offences: Vec<Offence<'a>>,
    /// Those without an answer.
    pub unanswered: Vec<Cell<'a>>,
}

/// Whether an expectation is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// All packets ended as expected.
    Met,
    /// At least one did not.
    Unmet,
    /// None did not, but some have no answer.
    Unanswered,
}

impl Status {
    /// The word for it, the same in all formats.
    pub fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Unmet => "unmet",
            Self::Unanswered => "unanswered",
        }
    }
}

/// A packet that did not end as expected.
#[derive(Debug, Clone)]
pub struct Offence<'a> {
    /// The packet, and how it ended.
    pub cell: Cell<'a>,
    /// How it should have.
    pub expected: Expected,
    /// What is wrong, as a phrase: `delivered, and should be denied`.
    pub what: String,
}

impl Report {
    pub(super) fn new(questions: Questions, matrices: Vec<Matrix>) -> Self {
        Self { questions, matrices }
    }

    /// Whether all expectations are met.
    pub fn is_met(&self) -> bool {
        self.status() == Status::Met
    }

    /// The worst that came of an expectation: one that isn't met is worse than one without an answer.
    pub fn status(&self) -> Status {
        let judgements = self.judgements();
        let any = |status| judgements.iter().any(|judgement| judgement.status == status);
        if any(Status::Unmet) {
            Status::Unmet
        } else if any(Status::Unanswered) {
            Status::Unanswered
        } else {
            Status::Met
        }
    }

    /// How the answers were found; predicted if nothing was asked.
    pub fn mode(&self) -> Mode {
        self.matrices.first().map_or(Mode::Predicted, Matrix::mode)
    }

    /// What came of each expectation, in their order.
    pub fn judgements(&self) -> Vec<Judgement<'_>> {
        let expectations = self.questions.checks.expectations.iter().enumerate();
        expectations
            .map(|(number, expectation)| self.judge(number, expectation))
            .collect()
    }

    /// The cluster that they are about.
    pub(super) fn cluster(&self) -> &Cluster {
        &self.questions.cluster
    }

    /// What became of the packets, a matrix for each kind of expectation.
    pub fn matrices(&self) -> &[Matrix] {
        &self.matrices
    }

    fn judge<'a>(&'a self, number: usize, expectation: &'a Expectation) -> Judgement<'a> {
        let mut judgement = Judgement {
            name: &expectation.name,
            file: expectation.place.label(),
            status: Status::Met,
            asked: 0,
            offences: Vec::new(),
            unanswered: Vec::new(),
        };
        let parts = self.questions.parts.iter().zip(&self.matrices);
        for (part, matrix) in parts.filter(|(part, _)| part.expectation == number) {
            judgement.add(part, matrix, expectation, self.cluster());
        }
        judgement.status = match (judgement.offences.is_empty(), judgement.unanswered.is_empty()) {
            (false, _) => Status::Unmet,
            (true, false) => Status::Unanswered,
            (true, true) => Status::Met,
        };
        judgement
    }
}

impl<'a> Judgement<'a> {
    fn add(&mut self, part: &Part, matrix: &'a Matrix, expectation: &Expectation, cluster: &Cluster) {
        for place in 0..matrix.grid().len() {
            let cell = matrix.cell(place);
            match cell.outcome {
                Outcome::NotAsked => continue,
                Outcome::Unanswered => self.unanswered.push(cell),
                _ => {
                    if let Some(mut what) = offence(&cell, part.expected, expectation) {
                        if cell.outcome.arrives() && cell.unlike_the_model.is_none() {
                            what.push_str(&format!(" ({})", let_through(matrix, place, cluster)));
                        }
                        self.offences.push(Offence {
                            cell,
                            expected: part.expected,
                            what,
                        });
                    }
                }
            }
            self.asked += 1;
        }
    }
}

/// The rules that let a packet through that arrived.
fn let_through(matrix: &Matrix, place: usize, cluster: &Cluster) -> String {
    let decided = matrix
        .grid()
        .plan(place)
        .ok()
        .and_then(|plan| cluster.decisions(&plan).ok());
    let rules = decided
        .unwrap_or_default()
        .into_iter()
        .filter_map(|decided| match decided.decision {
            Decision::Allowed {
                policy,
                rule,
                rule_name,
            }
            | Decision::Passed {
                policy,
                rule,
                rule_name,
            } => Some(rule_label(&policy, decided.direction, rule, rule_name.as_ref())),
            _ => None,
        });
    match &rules.collect::<Vec<_>>()[..] {
        [] => "no policy has a say about it".to_owned(),
        rules => format!("let through by {}", rules.join(" and ")),
    }
}

/// How the packet ended otherwise than expected; `None` if it did not.
fn offence(cell: &Cell<'_>, expected: Expected, expectation: &Expectation) -> Option<String> {
    let ended = match cell.reason {
        Some(reason) => format!("{}: {reason}", cell.outcome.word()),
        None => cell.outcome.word().to_owned(),
    };
    let fits = match expected {
        Expected::Delivered => cell.outcome.arrives(),
        Expected::Denied => cell.outcome.is_denial(),
        Expected::Dropped => cell.outcome == Outcome::Dropped,
        Expected::Rejected => cell.outcome == Outcome::Rejected,
    };
    if !fits {
        return Some(format!("{ended}; it should be {}", expected.word()));
    }
    if expected == Expected::Delivered {
        return None;
    }
    let reason = cell.reason?;
    let is_told = !matches!(reason, Reason::Denied { reason: None, .. });
    if is_told && !is_by_a_policy(reason) {
        return Some(format!("{ended}; no policy denies it"));
    }
    let by = &expectation.by.as_ref()?.value;
    let by_policy = reason.policies().contains(&by.policy);
    let by_rule = by.rule.is_none() || by.rule.as_ref() == reason.rule();
    (!(by_policy && by_rule)).then(|| format!("{ended}; it should be denied by {by}"))
}

/// Default isolation by policies that nobody knows is the policies' doing, too.
fn is_by_a_policy(reason: &Reason) -> bool {
    use traceflow_core::observation::DropReason;
    matches!(
        reason,
        Reason::Denied {
            reason: Some(DropReason::PolicyRule { .. } | DropReason::DefaultIsolation { .. }),
            ..
        }
    )
}
