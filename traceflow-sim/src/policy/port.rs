//! Which destination ports a rule opens.

use std::ops::RangeInclusive;
use std::sync::Arc;

use traceflow_core::packet::Protocol;

use crate::model::ContainerPort;

/// One entry of a rule's `ports`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyPort {
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// The ports of that protocol.
    pub ports: PortSet,
}

/// The ports that one [`PolicyPort`] opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortSet {
    /// All of the protocol: `port` is not given.
    All,
    /// The numbers from `port` to `endPort`; one number where there is no `endPort`.
    Numbers(RangeInclusive<u16>),
    /// The ports that the destination Pod declares under this name for the protocol.
    Named(Arc<str>),
}

impl PolicyPort {
    /// Whether it opens `port` of `protocol`, where the destination Pod declares the ports `declared`. A packet whose
    /// port is not known, as in a later fragment, passes only where all ports are open.
    pub fn opens(&self, protocol: Protocol, port: Option<u16>, declared: &[ContainerPort]) -> bool {
        self.protocol == protocol
            && match (&self.ports, port) {
                (PortSet::All, _) => true,
                (_, None) => false,
                (PortSet::Numbers(numbers), Some(port)) => numbers.contains(&port),
                (PortSet::Named(name), Some(port)) => declared.iter().any(|candidate| {
                    candidate.name.as_ref() == Some(name) && candidate.protocol == protocol && candidate.port == port
                }),
            }
    }
}
