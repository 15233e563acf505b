//! A cluster on real Open vSwitch: the objects that the simulator reads, in the tables and registers of Antrea's
//! pipeline.

pub mod fabric;
pub mod realisation;
