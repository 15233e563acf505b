//! Who reaches whom: every pair of Pods asked about, by prediction or by packets, as a matrix and as checks.
//!
//! One trace is a diagnosis; ten thousand are a proof about the network. A [`Grid`] is the questions: from whom, to whom, for
//! which ports. A model of the network answers them ([`Grid::predict`]), or the network itself ([`Grid::trace`]), and the
//! [`Matrix`] keeps how each ended and why. [`check`] holds expectations against it, as a test in a pipeline does.
//!
//! What it deliberately isn't: a trace. It keeps no path; where a cell surprises, trace that packet.
//!
//! # A matrix
//!
//! ```
//! use traceflow_core::render::Style;
//! use traceflow_reach::{Grid, render};
//! use traceflow_sim::Cluster;
//!
//! let closed = "apiVersion: networking.k8s.io/v1
//! kind: NetworkPolicy
//! metadata: {name: closed}
//! spec: {podSelector: {matchLabels: {app: db}}}";
//! let cluster = Cluster::builder()
//!     .node("a")
//!     .pod("web-1", "a").label("app", "web")
//!     .pod("web-2", "a").label("app", "web")
//!     .pod("db", "a").label("app", "db")
//!     .yaml(closed)
//!     .build()?;
//! let everybody = ["*".parse()?];
//! let grid = Grid::resolve(&cluster, &everybody, &everybody, "tcp/5432,icmp".parse()?)?;
//! let matrix = grid.predict(&cluster, |_| ());
//! let page = render::table(&matrix, Style::Plain, true);
//! assert!(page.contains("K8sNetworkPolicy:default/closed"), "{page}");
//! # Ok::<(), traceflow_core::input::BadInput>(())
//! ```
//!
//! # Map
//!
//! | to | see |
//! |---|---|
//! | say whom, and what | [`Selector`], [`Ports`] |
//! | ask | [`Grid`] |
//! | read the answers | [`Matrix`], [`Cell`], [`Outcome`], [`Reason`] |
//! | print them | [`render`] |
//! | hold expectations against a network | [`check`] |

mod asking;
pub mod check;
mod ends;
mod grid;
mod grouping;
mod matrix;
mod naming;
mod order;
mod ports;
pub mod render;
mod selector;
mod words;

pub use asking::IN_FLIGHT;
pub use ends::{Target, Unfit};
pub use grid::{Grid, MOST_QUESTIONS};
pub use matrix::{Cell, Matrix, NotAsked, Outcome, Reason, Tally};
pub use ports::{Port, Ports};
pub use selector::Selector;
