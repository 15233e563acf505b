//! What came of a run, case by case, and as a table.

use std::fmt;
use std::process::{ExitCode, Termination};

use crate::case::{Case, Failure};

/// What came of a run of the suite. Prints as a table; a `main` may return it.
#[derive(Debug, Clone)]
#[must_use]
pub struct Report {
    /// One entry per case that was chosen, in the order of [`CASES`](crate::CASES).
    pub cases: Vec<CaseReport>,
}

/// What came of one case.
#[derive(Debug, Clone)]
pub struct CaseReport {
    /// The case.
    pub case: &'static Case,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The promise was kept.
    Passed,
    /// The promise was broken.
    Failed(Failure),
    /// It could not be tried, because of this.
    Skipped(String),
}

impl Report {
    /// The names of the cases that failed.
    pub fn failed(&self) -> Vec<&'static str> {
        self.names(|outcome| matches!(outcome, Outcome::Failed(_)))
    }

    /// The names of the cases that passed.
    pub fn passed(&self) -> Vec<&'static str> {
        self.names(|outcome| matches!(outcome, Outcome::Passed))
    }

    /// The names of the cases that were skipped.
    pub fn skipped(&self) -> Vec<&'static str> {
        self.names(|outcome| matches!(outcome, Outcome::Skipped(_)))
    }

    /// For tests: returns if nothing failed and something passed.
    ///
    /// # Panics
    /// With the whole table if a case failed, or if none passed: a suite that tried nothing proves nothing.
    #[track_caller]
    pub fn assert_passed(&self) {
        assert!(self.is_good(), "the datapath breaks its promises\n{self}");
    }

    fn is_good(&self) -> bool {
        self.failed().is_empty() && !self.passed().is_empty()
    }

    fn names(&self, choose: impl Fn(&Outcome) -> bool) -> Vec<&'static str> {
        let chosen = self.cases.iter().filter(|entry| choose(&entry.outcome));
        chosen.map(|entry| entry.case.name).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.cases.iter().map(|entry| entry.case.name.len()).max().unwrap_or(0);
        for CaseReport { case, outcome } in &self.cases {
            match outcome {
                Outcome::Passed => writeln!(f, "passed   {:width$}  {}", case.name, case.promise)?,
                Outcome::Skipped(reason) => writeln!(f, "skipped  {:width$}  because {reason}", case.name)?,
                Outcome::Failed(failure) => {
                    writeln!(f, "FAILED   {:width$}  {}", case.name, case.promise)?;
                    writeln!(f, "         {:width$}  expected {}", "", failure.expected)?;
                    writeln!(f, "         {:width$}  saw {}", "", failure.seen)?;
                }
            }
        }
        let (passed, failed, skipped) = (self.passed().len(), self.failed().len(), self.skipped().len());
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

/// Prints the table and exits with 0 if [`assert_passed`](Report::assert_passed) would return, else with 1.
impl Termination for Report {
    fn report(self) -> ExitCode {
        println!("{self}");
        ExitCode::from(u8::from(!self.is_good()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::CASES;

    fn report(outcomes: [Outcome; 3]) -> Report {
        let cases = CASES.iter().zip(outcomes);
        Report {
            cases: cases.map(|(case, outcome)| CaseReport { case, outcome }).collect(),
        }
    }

    #[test]
    fn the_table_says_what_was_expected_what_was_seen_and_why_something_was_skipped() {
        let broken = Failure::new("nothing", "a flow");
        let skipped = Outcome::Skipped("it has no nodes".to_owned());
        let table = report([Outcome::Passed, Outcome::Failed(broken), skipped]).to_string();
        let expected = "\
passed   standing::every_datapath_has_a_node_of_its_own  Each datapath names a node that the inventory knows, no two the same
FAILED   standing::a_fresh_node_holds_nothing_of_ours    Before attach, nothing of ours is on any node
                                                         expected nothing
                                                         saw a flow
skipped  standing::attach_twice_is_attach_once           because it has no nodes
1 passed, 1 failed, 1 skipped";
        assert_eq!(table, expected);
    }

    #[test]
    #[should_panic(expected = "breaks its promises")]
    fn one_failure_fails_the_whole() {
        let broken = Failure::new("nothing", "a flow");
        report([Outcome::Passed, Outcome::Failed(broken), Outcome::Passed]).assert_passed();
    }

    #[test]
    #[should_panic(expected = "0 passed, 0 failed, 3 skipped")]
    fn a_run_that_tried_nothing_proves_nothing() {
        let skipped = || Outcome::Skipped("it has no nodes".to_owned());
        report([skipped(), skipped(), skipped()]).assert_passed();
    }
}
