//! Traces packets through Open vSwitch.

pub mod address;
