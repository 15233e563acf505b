//! Traces packets through Open vSwitch.
