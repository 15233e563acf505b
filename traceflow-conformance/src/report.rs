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
