//! The suite that every traceflow [`Datapath`](traceflow_core::datapath::Datapath) runs, yours too.
//!
//! Write a function that sets up a small [`Network`] with your datapaths in it, and hand it to [`Suite::run`]. Every
//! case in [`CASES`] then gets a network of its own and ends as passed, failed (what was expected, what was seen) or
//! skipped (why). Which cases run follows from what your datapath claims in its
//! [`Capabilities`](traceflow_core::datapath::Capabilities): what is claimed must work, what is not must be refused.
//! After every case, failed ones too, nothing of it may be left on any node.
//!
//! ```
//! use traceflow_conformance::{Journey, Network, Suite};
//! use traceflow_core::names::ObjectName;
//! use traceflow_sim::{Cluster, SimNetwork};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
//! let report = Suite::default()
//!     .run(|| async {
//!         let node = Cluster::builder().node("one").pod_cidr("10.0.1.0/24").pod_cidr("fd00::/64");
//!         let sim = SimNetwork::new(node.pod("client", "one").pod("server", "one").build()?);
//!         let pod = |name| ObjectName::new("default", name);
//!         let inside = Journey::between(pod("client"), pod("server"));
//!         Ok(Network::new(sim.datapaths(), sim.cluster().clone(), inside))
//!     })
//!     .await;
//! println!("{report}");
//! report.assert_passed();
//! # });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Two Pods on one node are enough to begin with. A second node, real traffic, a Service, a way to restart a node and the
//! like are optional parts of the [`Network`]: the more of them you give, the fewer cases are skipped.
//!
//! The example `third_party` of this repository is a whole backend with its test, short enough to be read in one sitting.
//!
//! What is not tried: whether [`leftovers`](traceflow_core::datapath::Datapath::leftovers) tells all there is. The suite
//! sees your node through it, so look once with the node's own tools.
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
pub use network::{Destination, Journey, Network, Outage, ServiceCall, Successor, Workloads};
pub use report::{CaseReport, Outcome, Report};
pub use suite::{StartError, Suite};
pub use trial::Trial;
