//! OpenFlow 1.3 and 1.5 with the Nicira extensions that tracing packets through Open vSwitch needs.
//!
//! Pure: messages to bytes and back, and a connection as a state machine that is fed with bytes and time. It opens no
//! socket, reads no clock and starts no task; the caller does.
//!
//! Not here: OpenFlow 1.0 to 1.2 and 1.4, port and table modification, queues, anything about pipelines. What isn't
//! known is kept as it came and can be printed.
//!
//! ```
//! use traceflow_openflow::Version;
//! use traceflow_openflow::action::Action;
//! use traceflow_openflow::field::Field;
//! use traceflow_openflow::instruction::Instruction;
//! use traceflow_openflow::matching::Match;
//! use traceflow_openflow::message::{FlowMod, Message};
//!
//! let flow = FlowMod {
//!     table: 15,
//!     priority: 300,
//!     matching: Match::new().with(Field::register(10), 7),
//!     instructions: vec![Instruction::ApplyActions(vec![Action::Controller(Default::default())])],
//!     ..FlowMod::add()
//! };
//! assert_eq!(flow.to_string(), "table=15,priority=300,reg10=0x7 actions=controller()");
//!
//! let mut bytes = Vec::new();
//! let message = Message::FlowMod(flow);
//! message.encode(Version::V1_5, 42, &mut bytes)?;
//! let (header, decoded) = Message::decode(&bytes)?;
//! assert_eq!((header.xid, decoded), (42, message));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Map
//!
//! - [`message`]: one type for each message, and [`Message`](message::Message), any of them; printed as `ovs-ofctl
//!   ofp-print` does, with its header by [`Message::with_header`](message::Message::with_header)
//! - [`matching`], [`field`]: what a flow matches, and what a packet-in tells about a packet
//! - [`instruction`], [`action`]: what a flow does
//! - [`connection`]: framing, handshake, echo, and which reply or error belongs to which request
//! - [`wire`]: reading and writing bytes

pub mod action;
pub mod connection;
pub mod field;
pub mod instruction;
pub mod matching;
pub mod message;
mod port;
mod text;
mod version;
pub mod wire;

pub use port::Port;
pub use version::Version;

/// Nicira's experimenter number, which Open vSwitch's extensions carry.
pub const NICIRA: u32 = 0x0000_2320;

/// The Open Networking Foundation's experimenter number: parts of later versions in OpenFlow 1.3.
pub const ONF: u32 = 0x4f4e_4600;

#[cfg(test)]
mod testing {
    /// The bytes of hexadecimal digits; blanks don't count.
    pub(crate) fn hex(digits: &str) -> Vec<u8> {
        let digits: Vec<u32> = digits.chars().filter_map(|digit| digit.to_digit(16)).collect();
        digits
            .chunks_exact(2)
            .map(|pair| (pair[0] << 4 | pair[1]) as u8)
            .collect()
    }
}
