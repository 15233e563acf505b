//! The simulated datapath and predictor: Kubernetes objects in, the packet's path out.

pub mod model;
pub mod policy;

mod cluster;
mod objects;

pub use cluster::{Cluster, ClusterBuilder, Object};
pub use objects::{LoadError, Objects, Unmodelled};
