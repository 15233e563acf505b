//! Traces packets through Open vSwitch.

pub mod address;
pub mod jsonrpc;
pub mod unixctl;
