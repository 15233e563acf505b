//! Pipelines: what a CNI's tables and registers mean.

pub(crate) mod antrea;
mod description;
mod file;

use std::collections::BTreeMap;
use std::fmt;

use ipnet::IpNet;

pub use antrea::Antrea;
pub use description::{Description, DetourDescription, ExitDescription, StageDescription, TableName};

use crate::layout::{Carrier, Layout};

/// Knows a CNI's pipeline, and finds it on a switch.
///
/// [`Antrea`] is one, a [`Description`] read from a file another. Implement it where tables have to be looked for in a
/// way that neither knows.
///
/// ```
/// use traceflow_ovs::pipeline::{Antrea, Pipeline, Switch};
///
/// // What the switch says about its tables; here, a switch without any names.
/// let switch = Switch { tables: [(0, "table0".to_owned())].into(), free_tables: vec![253], tunnels: vec![1], gateway: Some(2), routed: vec![] };
/// let error = Antrea::default().layout(&switch).unwrap_err();
/// assert_eq!(error.to_string(), "the switch has no table named \"PipelineRootClassifier\"; it has table0");
/// ```
pub trait Pipeline: fmt::Debug + Send + Sync {
    /// Where everything is on this switch.
    ///
    /// # Errors
    /// [`PipelineError`], if this isn't the switch's pipeline.
    fn layout(&self, switch: &Switch) -> Result<Layout, PipelineError>;

    /// How marks travel between its nodes; what [`layout`](Self::layout) says of it, too.
    fn carrier(&self) -> Carrier;

    /// Whether packets pass connection tracking. Where they do, SCTP is not traced: Open vSwitch's userspace datapath
    /// tracks it by its addresses alone and translates nothing.
    fn is_stateful(&self) -> bool;
}

/// What is known about a switch when its pipeline is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Switch {
    /// The tables' names by number (OpenFlow table features).
    pub tables: BTreeMap<u8, String>,
    /// Tables without flows, the last ones first.
    pub free_tables: Vec<u8>,
    /// The tunnel ports.
    pub tunnels: Vec<u32>,
    /// The gateway port.
    pub gateway: Option<u32>,
    /// The ranges of Pods of other nodes that are reached by it.
    pub routed: Vec<IpNet>,
}

/// Why a switch's pipeline isn't the one that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// A table that the pipeline can't do without is not there.
    #[error("the switch has no table named {name:?}; {}", shortened(present))]
    NoTable {
        /// The table.
        name: String,
        /// The names of those that are there.
        present: Vec<String>,
    },
    /// Every table has flows, and one without any is needed.
    #[error("every table of the switch has flows; tracing needs one without any")]
    NoFreeTable,
    /// The table that was to be ours has flows of somebody else.
    #[error("table {0} was to be the tracer's own, and it has flows already")]
    TableTaken(u8),
    /// Packets that are routed to other nodes pass no tunnel.
    #[error(
        "what is routed to other nodes passes no tunnel whose id could bear a mark; let marks travel in the DSCP (`carrier: dscp`)"
    )]
    NoTunnelId,
    /// More stages, exits or the like than there is room for.
    #[error("the pipeline has {count} {what}, and there is room for {room}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there can be.
        room: usize,
    },
    /// Nothing is watched, or packets never leave.
    #[error("the pipeline has no {0}")]
    Lacks(&'static str),
}

/// A switch has 254 tables; a message doesn't need them all.
fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 40;
    let named = || names.iter().filter(|name| !name.is_empty());
    if named().count() == 0 {
        return "its tables have no names: check that it is the CNI's bridge, and that the CNI has programmed it"
            .to_owned();
    }
    let shown: Vec<&str> = named().map(String::as_str).take(SHOWN).collect();
    let mut text = format!("it has {}", shown.join(", "));
    if named().count() > SHOWN {
        text += &format!(" and {} more", named().count() - SHOWN);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_routed_needs_marks_in_the_dscp() {
        let switch = Switch {
            routed: vec!["10.244.0.0/16".parse().unwrap()],
            ..Switch::default()
        };
        let error = Antrea::default().layout(&switch).unwrap_err();
        assert_eq!(error, PipelineError::NoTunnelId);
    }

    #[test]
    fn tables_without_names_are_not_listed() {
        let present = vec![String::new(); 254];
        let error = PipelineError::NoTable {
            name: "Classifier".to_owned(),
            present,
        };
        let words = "the switch has no table named \"Classifier\"; its tables have no names: check that it is the CNI's bridge, \
                     and that the CNI has programmed it";
        assert_eq!(error.to_string(), words);
    }
}
