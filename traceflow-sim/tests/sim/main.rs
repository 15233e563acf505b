//! The simulator from outside: what is asked in one line, what is answered as text.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod agreement;
mod antrea_policies;
mod demo;
mod edits;
mod egress;
mod ends;
mod explain;
mod fault_catalogue;
mod faults;
mod findings;
mod live;
mod objects;
mod services;
mod support;
mod tracers;
mod traffic_modes;
mod ways_in;
