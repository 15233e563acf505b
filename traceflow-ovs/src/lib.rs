//! Traces packets through Open vSwitch.

pub mod address;
pub mod jsonrpc;
pub mod ofproto_trace;
pub mod ovsdb;
pub mod unixctl;
