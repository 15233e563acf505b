//! Runs the cases, each on a network of its own, and lets none of them stop the others.

use std::any::Any;
use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::timeout;

use crate::case::{Case, Failure, Stop};
use crate::cases::CASES;
use crate::network::Network;
use crate::report::{CaseReport, Outcome, Report};
use crate::trial::Trial;

/// Why a network could not be set up.
pub type StartError = Box<dyn Error + Send + Sync>;

/// The suite and its patience.
///
/// The [crate's page](crate) shows a run. The defaults suit a datapath in the same process; a slow or busy one needs more
/// of both:
///
/// ```
/// use std::time::Duration;
///
/// use traceflow_conformance::Suite;
///
/// let live_cases = Suite { patience: Duration::from_secs(10), only: "live::".to_owned(), ..Suite::default() };
/// assert_eq!(live_cases.quiet, Duration::from_millis(200));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suite {
    /// How long to wait for something that must come.
    pub patience: Duration,
    /// How long to look for something that must not come.
    pub quiet: Duration,
    /// How long a case may take, before it counts as hanging; so may its set-up and its clean-up.
    pub limit: Duration,
    /// The seed of all random choices: nonces.
    pub seed: u64,
    /// Only the cases whose name contains this; empty is all.
    pub only: String,
}

impl Default for Suite {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(2),
            quiet: Duration::from_millis(200),
            limit: Duration::from_secs(60),
            seed: 0,
            only: String::new(),
        }
    }
}

impl Suite {
    /// Runs every chosen case, each on what `start` sets up anew.
    pub async fn run<F, S>(&self, start: F) -> Report
    where
        F: Fn() -> S,
        S: Future<Output = Result<Network, StartError>>,
    {
        let mut cases = Vec::new();
        for case in CASES.iter().filter(|case| case.name.contains(&self.only)) {
            let outcome = self.run_case(case, &start).await;
            cases.push(CaseReport { case, outcome });
        }
        Report { cases }
    }

    async fn run_case<F, S>(&self, case: &'static Case, start: F) -> Outcome
    where
        F: Fn() -> S,
        S: Future<Output = Result<Network, StartError>>,
    {
        let set_up = async {
            let network = start().await;
            network.map_err(|error| Failure::new("a network to run on", error.to_string()))
        };
        let network = match self.contain("the set-up", set_up).await {
            Ok(network) => network,
            Err(failure) => return Outcome::Failed(failure),
        };
        if let Some(reason) = case.skipped_on(&network) {
            return Outcome::Skipped(reason);
        }
        let trial = Trial::new(network, self.clone());
        let kept = self.contain("the case", (case.run)(trial.clone())).await;
        let clean = self.contain("the clean-up", trial.clean_up()).await;
        outcome(kept, clean)
    }

    /// Turns a panic and a hang into failures.
    async fn contain<T, E: From<Failure>>(&self, what: &str, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let seen = match timeout(self.limit, AssertUnwindSafe(work).catch_unwind()).await {
            Ok(Ok(result)) => return result,
            Ok(Err(panic)) => format!("a panic: {}", panic_message(&*panic)),
            Err(_) => format!("it still running after {:?}", self.limit),
        };
        Err(Failure::new(format!("{what} to end"), seen).into())
    }
}

/// A broken promise doesn't hide what was left behind, nor the other way round.
fn outcome(kept: Result<(), Stop>, clean: Result<(), Failure>) -> Outcome {
    match (kept, clean) {
        (Ok(()), Ok(())) => Outcome::Passed,
        (Err(Stop::Skipped(reason)), Ok(())) => Outcome::Skipped(reason),
        (Err(Stop::Failed(failure)), Ok(())) | (Ok(()) | Err(Stop::Skipped(_)), Err(failure)) => {
            Outcome::Failed(failure)
        }
        (Err(Stop::Failed(broken)), Err(dirty)) => Outcome::Failed(Failure {
            seen: format!(
                "{}; besides, expected {}, saw {}",
                broken.seen, dirty.expected, dirty.seen
            ),
            ..broken
        }),
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message")
}
