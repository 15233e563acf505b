//! The suite that every traceflow [`Datapath`](traceflow_core::datapath::Datapath) runs, yours too.
//!
//! Write a function that sets up a small [`Network`] with your datapaths in it, and hand it to [`Suite::run`]. Every
//! case in [`CASES`] then gets a fresh network and ends as passed, failed (what was expected, what was seen) or skipped
//! (why). Which cases run follows from what your datapath claims in its
//! [`Capabilities`](traceflow_core::datapath::Capabilities): what is claimed must work, what is not must be refused.
//! After every case, failed ones too, nothing of it may be left on any node.
//!
//! ```
//! use traceflow_conformance::{CASES, Feature, Need};
//!
//! let live = CASES.iter().filter(|case| case.needs.contains(&Need::Can(Feature::Live))).count();
//! println!("{} cases, {live} of them for datapaths that follow real traffic", CASES.len());
//! ```
//!
//! The example `third_party` of this repository is a whole backend with its test.
//!
//! # Time
//!
//! All waiting is in tokio's time. Run a simulated backend under a paused clock and the suite takes no time at all;
//! against a real switch, silence costs [`Suite::quiet`] for each look. A datapath that blocks its thread can't be
//! interrupted: use a runtime of more than one thread there if it may.

mod case;
mod cases;
mod network;
mod report;
mod suite;
mod trial;

pub use case::{Case, Failure, Feature, Need, Part, Stop};
pub use cases::CASES;
pub use network::{Destination, Journey, Network, Successor, Workloads};
pub use report::{CaseReport, Outcome, Report};
pub use suite::{StartError, Suite};
pub use trial::Trial;
