//! A cluster on real Open vSwitch: the objects that the simulator reads, in the tables and registers of Antrea's
//! pipeline.
//!
//! ```no_run
//! use testbed::fabric::{Fabric, Form, Settings};
//! use testbed::realisation::realise;
//! use traceflow_core::names::ObjectName;
//! use traceflow_sim::Cluster;
//!
//! let cluster = Cluster::builder().node("a").node("b").pod("client", "a").pod("web", "b").build()?;
//! let fabric = Fabric::start(realise(&cluster)?, Settings::new(Form::Rootless))?;
//! let client = fabric.pod_link(&ObjectName::new("default", "client"))?;
//! println!("{}", fabric.nodes_file());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It isn't a network for anything but tests and trying out: no packet leaves it.

pub mod fabric;
pub mod realisation;
