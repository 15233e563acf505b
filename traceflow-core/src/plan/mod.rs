//! The question made concrete: names resolved, defaults filled in and written down, before anything is touched.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::inventory::Owner;
use crate::names::{NodeName, ObjectName};
use crate::packet::{MacAddress, Packet};

mod ends;
mod matching;
mod resolve;

pub(crate) use matching::FLAG_NAMES;
pub use matching::{FlowMatch, TcpFlagsMatch};

/// What will be traced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Where the packet starts; `None` if a live trace takes any source.
    pub source: Option<End>,
    /// Where the packet is sent to, before any translation; `None` if a live trace takes any destination.
    pub destination: Option<End>,
    /// Inject or wait for real traffic.
    pub question: Question,
    /// How long to wait for the answer.
    pub timeout: Duration,
    /// What was not asked for but chosen, in the user's words; shown with the result.
    pub choices: Vec<Choice>,
}

/// One end of the traced connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Whose address it is; `None` for an address outside the cluster.
    pub owner: Option<Owner>,
    /// The address.
    pub address: IpAddr,
    /// The MAC address, where known.
    pub mac: Option<MacAddress>,
    /// The node, where it has one.
    pub node: Option<NodeName>,
}

/// The two ways to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// A crafted packet enters at the source Pod's port. Its nonce is set anew for every attempt.
    Inject {
        /// The Pod whose port the packet enters by.
        pod: ObjectName,
        /// The Pod's node.
        node: NodeName,
        /// The packet.
        packet: Packet,
    },
    /// The first packet of real traffic that matches is followed.
    Live {
        /// What to match.
        matching: FlowMatch,
        /// Only a packet that is dropped counts.
        dropped_only: bool,
    },
}

/// Something the tracer chose because the user left it open, such as `source port 40123`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What was left open: `source port`, `TTL`, `destination`.
    pub what: &'static str,
    /// What was chosen, and where it helps, why.
    pub chosen: String,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.chosen)
    }
}
