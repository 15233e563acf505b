//! Traces packets through Open vSwitch.

pub mod address;
mod channel;
mod conntrack;
mod datapath;
pub mod directory;
mod evidence;
mod flights;
mod instance;
pub mod jsonrpc;
pub mod layout;
pub mod nodes;
pub mod ofproto_trace;
pub mod ovsdb;
pub mod pipeline;
mod punt;
mod read;
mod settings;
mod sweep;
mod switch;
mod tables;
pub mod unixctl;
mod watch;

pub use datapath::OvsDatapath;
pub use instance::{Instance, LAST_INSTANCE, MarkKind};
pub use punt::Punted;
pub use settings::Settings;
pub use sweep::sweep;
pub use tables::table_names;
