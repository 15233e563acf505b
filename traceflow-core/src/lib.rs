//! Ask what the network did with one packet, and why.
//!
//! This crate holds everything that doesn't depend on how packets are really carried: the question, the packet, the
//! state machines that follow it over many nodes, and the answer. What it deliberately isn't: it knows no switch, no
//! table and no register. A backend implements [`Datapath`](datapath::Datapath) for one node; the crate `traceflow-sim`
//! is one, for unit tests and for predictions, and its page begins with a whole trace in five lines.
//!
//! # From a manifest to a question
//!
//! ```
//! use traceflow_core::input::Text;
//! use traceflow_core::spec::{Ask, Manifest};
//!
//! let file = Text::new(
//!     "tf.yaml",
//!     "
//! apiVersion: crd.antrea.io/v1beta1
//! kind: Traceflow
//! metadata: {name: who-drops-my-ping}
//! spec:
//!   source: {namespace: default, pod: pod1}
//!   destination: {namespace: default, service: web}
//! ",
//! );
//! let manifests = Manifest::read(&file)?;
//! let spec = manifests[0].spec();
//! assert!(matches!(spec.ask(), Ask::Inject { .. }));
//! # Ok::<(), traceflow_core::input::BadInput>(())
//! ```
//!
//! From there, [`Plan::resolve`](plan::Plan::resolve) looks up the names in an [`Inventory`](inventory::Inventory) and
//! writes down what it chose, [`Tracer::trace`](tracer::Tracer::trace) follows the packet, and [`render`] prints the
//! [`Trace`](trace::Trace).
//!
//! # Map
//!
//! | to | see |
//! |---|---|
//! | ask | [`spec`], [`plan`], [`inventory`] |
//! | trace | [`tracer`]; [`session`] for a driver of your own |
//! | read the answer | [`trace`], [`observation`], [`render`] |
//! | write a backend | [`datapath`], [`packet`], [`fanout`]; the crate `traceflow-conformance` tests it |
//! | test what you embed it in | `mock`, behind the feature of that name; the crate `traceflow-sim` |
//! | report wrong input | [`input`], [`error`] |
//!
//! # Features
//!
//! `mock` adds `mock::MockDatapath`. None is on by default.

pub mod datapath;
pub mod error;
pub mod fanout;
pub mod input;
pub mod inventory;
pub mod mark;
#[cfg(feature = "mock")]
pub mod mock;
pub mod names;
pub mod observation;
pub mod packet;
pub mod plan;
pub mod render;
pub mod session;
pub mod spec;
pub mod trace;
pub mod tracer;

pub use error::Error;
