//! The simulated datapath and predictor: Kubernetes objects in, the packet's path out.

pub mod model;
pub mod policy;
