//! Against a real Open vSwitch, which each test starts for itself.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod ofproto_trace;
mod ovsdb;
mod switch;
mod unixctl;
