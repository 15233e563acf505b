//! A trace as people and programs read it.
//!
//! | for | call |
//! |---|---|
//! | a person at a terminal | [`table()`] |
//! | programs, and what reads Antrea's Traceflow resource | [`Traceflow`], as YAML or JSON as `kubectl` prints it |
//! | Graphviz | [`dot()`] |
//! | Markdown pages that draw Mermaid | [`mermaid()`] |
//!
//! All of them take text from outside (names, words of a datapath) as hostile: whatever is in it, the output stays
//! well formed and no control character reaches the terminal.

mod captured;
mod dot;
mod graph;
mod mermaid;
#[cfg(test)]
mod samples;
mod status;
mod table;
mod traceflow;
mod wording;
mod yaml;

pub use captured::{
    Captured, CapturedIcmp, CapturedIpv4Header, CapturedIpv6Header, CapturedPorts, CapturedTcp, CapturedTransportHeader,
};
pub use dot::dot;
pub use mermaid::mermaid;
pub use status::{ChoiceStatus, LastSeen, NodeResult, ObservationStatus, Phase, Status, VerdictStatus};
pub use table::{Style, table};
pub use traceflow::{Traceflow, TraceflowList};
