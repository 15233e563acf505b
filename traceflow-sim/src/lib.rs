//! The simulated datapath and predictor: Kubernetes objects in, the packet's path out.

pub mod model;
pub mod policy;

mod cluster;
mod network;
mod objects;
mod pipeline;
mod predict;
mod wire;

pub use cluster::{Cluster, ClusterBuilder, Object};
pub use network::{Fate, NodeFaults, Party, SendError, Settings, SimNetwork, Traffic, TunnelFault};
pub use objects::{LoadError, Objects, Unmodelled};
