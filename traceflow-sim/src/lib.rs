//! A simulated Kubernetes network: objects in, the packet's path out.
//!
//! [`Cluster`] is the model: Nodes, Pods, Services, EndpointSlices, Namespaces and NetworkPolicies, as `kubectl get -o yaml`
//! prints them, as people write them, or built in a few lines. It answers names
//! ([`Inventory`](traceflow_core::inventory::Inventory)) and predicts paths
//! ([`Predictor`](traceflow_core::trace::Predictor)) without sending anything. [`SimNetwork`] makes a network of it: a
//! [`Datapath`](traceflow_core::datapath::Datapath) per node for a tracer, workloads that send [`Traffic`], and
//! [faults](NodeFaults) on demand. Both walk packets through the same list of stages, so they agree; everything is
//! deterministic under a seed.
//!
//! ```
//! use std::sync::Arc;
//!
//! use traceflow_core::plan::Plan;
//! use traceflow_core::spec::{Destination, PacketSpec, Source, TraceSpec};
//! use traceflow_core::names::ObjectName;
//! use traceflow_core::trace::Predictor;
//! use traceflow_core::tracer::Tracer;
//! use traceflow_sim::{Cluster, SimNetwork};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! let cluster = Cluster::builder().node("a").node("b").pod("client", "a").pod("web", "b").build()?;
//! let network = SimNetwork::new(cluster);
//! let inventory = network.cluster().clone();
//!
//! let question = TraceSpec::builder()
//!     .source(Source::Pod(ObjectName::new("default", "client")))
//!     .destination(Destination::Pod(ObjectName::new("default", "web")))
//!     .packet("tcp,tcp_dst=80".parse::<PacketSpec>()?)
//!     .build()?;
//! let plan = Plan::resolve(&question, &*inventory, &mut fastrand::Rng::with_seed(1))?;
//! let predicted = network.predict(&plan)?;
//!
//! let tracer = Tracer::builder(inventory).datapaths(network.datapaths()).start();
//! let trace = tracer.trace(plan).await?;
//! assert_eq!(trace.verdict, predicted.verdict);
//! assert_eq!(trace.verdict.to_string(), "delivered on b");
//!
//! tracer.close().await?;
//! assert!(network.leftovers().is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What it is not: a model of bandwidth, latency or applications. Every Pod listens on every port, packets don't age on
//! the way, and what goes on outside of the Pod network is outside of it.

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
