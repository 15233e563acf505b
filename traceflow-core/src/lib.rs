//! Ask what the network did with one packet, and why.
//!
//! This crate holds everything that doesn't depend on how packets are really carried: the question, the packet, the
//! state machines that follow it over many nodes, and the answer. What it deliberately isn't: it knows no switch, no
//! table and no register. A backend implements [`Datapath`](datapath::Datapath) for one node; the crate `traceflow-sim`
//! is one, for unit tests and for predictions.
//!
//! # From a manifest to the answer
//!
//! ```
//! use traceflow_core::input::Text;
//! use traceflow_core::plan::Plan;
//! use traceflow_core::render::{self, Style};
//! use traceflow_core::spec::Manifest;
//! use traceflow_core::tracer::Tracer;
//! use traceflow_sim::{Cluster, SimNetwork};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! // What is asked: checked in itself, with the place of every mistake.
//! let file = Text::new(
//!     "tf.yaml",
//!     "
//! apiVersion: crd.antrea.io/v1beta1
//! kind: Traceflow
//! metadata: {name: who-drops-my-ping}
//! spec:
//!   source: {namespace: default, pod: pod1}
//!   destination: {namespace: default, pod: pod2}
//!   packet: {ipHeader: {protocol: 1}}
//! ",
//! );
//! let manifests = Manifest::read(&file)?;
//!
//! // Whom it is asked: any datapaths, one per node. Here they are simulated.
//! let network = SimNetwork::new(Cluster::builder().node("n1").node("n2").pod("pod1", "n1").pod("pod2", "n2").build()?);
//! let inventory = network.cluster().clone();
//! let plan = Plan::resolve(manifests[0].spec(), &*inventory, &mut fastrand::Rng::new())?;
//!
//! // The answer.
//! let tracer = Tracer::builder(inventory).datapaths(network.datapaths()).start();
//! let trace = tracer.trace(plan).await?;
//! println!("{}", render::table(&trace, Style::Plain));
//! assert_eq!(trace.verdict.to_string(), "delivered on n2");
//! tracer.close().await?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Map
//!
//! | to | see |
//! |---|---|
//! | ask | [`spec`], [`plan`], [`inventory`] |
//! | trace | [`tracer`]; [`session`] for a driver of your own |
//! | read the answer | [`trace`], [`observation`], [`receipt`], [`render`] |
//! | write a backend | [`datapath`], [`packet`], [`fanout`]; the crate `traceflow-conformance` tests it |
//! | test what you embed it in | `mock`, behind the feature of that name; the crate `traceflow-sim` |
//! | say why there is no answer | [`Error`]; [`input`] for wrong input |
//!
//! # Features
//!
//! `mock` adds `mock::MockDatapath`. None is on by default.

pub mod datapath;
mod error;
pub mod fanout;
pub mod input;
pub mod inventory;
pub mod mark;
#[cfg(feature = "mock")]
pub mod mock;
pub mod names;
mod news;
pub mod observation;
pub mod packet;
pub mod plan;
pub mod receipt;
pub mod render;
pub mod session;
pub mod spec;
pub mod trace;
pub mod tracer;

pub use error::Error;
