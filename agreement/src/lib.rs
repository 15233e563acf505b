//! Everybody who can say what becomes of a packet has to say the same.
//!
//! A [`Case`] is a packet in a cluster. Its tellers are the prediction, a trace injected on real switches, a trace on the
//! simulated network, the switches' own `ofproto/trace`, and, where there are real Pods, the packet's fate. Each tells a
//! [`Story`](story::Story); [`run`](run::run) compares them over as many random cases as it is asked for, on switches that
//! are kept while the clusters on them change.
//!
//! It isn't a proof: what the simulator and the testbed's flows have both misread agrees.
//!
//! # Map
//!
//! | to | see |
//! |---|---|
//! | make clusters, packets and edits | [`generate`] |
//! | have a cluster on switches, with a tracer | [`world`] |
//! | hear the tellers | [`story`], [`places`], [`tables`], [`traffic`] |
//! | compare them over many cases | [`run`], [`tally`] |
//! | seed mistakes into a healthy network, and see whether traces find them | [`mutation`] |
//! | make a disagreement small, and keep it | [`minimise`], [`case`] |

pub mod case;
pub mod generate;
pub mod minimise;
pub mod mutation;
pub mod places;
pub mod run;
pub mod story;
pub mod tables;
pub mod tally;
pub mod traffic;
pub mod world;

pub use case::Case;
