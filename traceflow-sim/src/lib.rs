//! A simulated Kubernetes network: objects in, the packet's path out.
//!
//! It is for the unit tests of who embeds traceflow, for predictions, and for trying the command line without a
//! cluster. [`Cluster`] is the model: it answers names ([`Inventory`](traceflow_core::inventory::Inventory)) and says
//! where a packet would go ([`Predictor`](traceflow_core::trace::Predictor)) without sending anything. [`SimNetwork`]
//! makes a network of it: a [`Datapath`](traceflow_core::datapath::Datapath) per node, workloads that send
//! [`Traffic`], and [faults](NodeFaults) on demand. Both walk packets through the same stages, so what is predicted
//! happens; and under a seed it happens the same way every time.
//!
//! What it deliberately isn't: a model of bandwidth, latency, loss or applications, or of how a CNI plug-in programs
//! its switch. It says what the objects ask for, which is what a real datapath is then compared with.
//!
//! # A trace, predicted and injected
//!
//! ```
//! use traceflow_core::plan::Plan;
//! use traceflow_core::spec::CommandLine;
//! use traceflow_core::trace::Predictor;
//! use traceflow_core::tracer::Tracer;
//! use traceflow_sim::{Cluster, SimNetwork};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! let cluster = Cluster::builder().node("a").node("b").pod("client", "a").pod("web", "b").build()?;
//! let asked = CommandLine { source: Some("client"), destination: Some("web"), ..CommandLine::default() };
//! let plan = Plan::resolve(&asked.spec(&cluster)?, &cluster, &mut fastrand::Rng::with_seed(1))?;
//! assert_eq!(cluster.predict(&plan)?.verdict.to_string(), "delivered on b");
//!
//! let network = SimNetwork::new(cluster);
//! let tracer = Tracer::builder(network.cluster().clone()).datapaths(network.datapaths()).start();
//! assert_eq!(tracer.trace(plan).await?.verdict.to_string(), "delivered on b");
//!
//! tracer.close().await?;
//! assert!(network.leftovers().is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! In tests, run it under tokio's paused time (`start_paused = true`): silence then takes no time at all.
//!
//! # Map
//!
//! | to | see |
//! |---|---|
//! | build a cluster in code | [`Cluster::builder`], [`model`] |
//! | read one, as `kubectl get -o yaml` prints it or as people write it | [`Cluster::from_yaml`], [`Cluster::from_paths`], [`Objects`] |
//! | change one while it is asked, as a controller's watches do | [`Cluster::put`], [`Cluster::remove`], [`LiveCluster`] |
//! | make a network of it | [`SimNetwork`], [`Settings`] |
//! | let workloads send | [`Traffic`], [`SimNetwork::send`] |
//! | break something | [`NodeFaults`], [`SimNetwork::kill`], [`SimNetwork::restart`] |
//! | ask the policies alone | [`policy`] |
//! | learn which rules decided about a packet | [`Cluster::decisions`] |
//! | build the same network elsewhere | [`Cluster::node_objects`] and what follows it, [`Cluster::policies`] |
//!
//! # What is decided, and how
//!
//! A packet passes these stages on each node, and the first that stops it ends its path: classification, spoof guard,
//! connection tracking, load balancing, egress policies, routing, ingress policies, output.
//!
//! - **Spoof guard**: a Pod sends from its own IP and MAC addresses only.
//! - **Connection tracking** as Linux does it: a segment or ICMP message that can't begin a connection is dropped as
//!   invalid unless its connection is known. An injected packet always passes as the first of its flow.
//! - **Services** by cluster address: endpoints from EndpointSlices, or by selector where there are none; ready ones, else
//!   those that still serve while they terminate; `internalTrafficPolicy: Local`; session affinity. Which endpoint is
//!   chosen is a hash of the [seed](Cluster::with_seed) and the packet's 5-tuple. Without endpoints the packet is
//!   rejected.
//! - **NetworkPolicy** to the letter of its API; what that leaves open is decided as Antrea decides it ([`policy`]).
//! - **Antrea's own policies** with tiers, priorities, groups, and rules that allow, drop, reject or pass
//!   ([`policy::antrea`]).
//! - **Traffic modes**: encap, noEncap, hybrid and WireGuard ([`model::TrafficMode`]).
//! - **Egress**: what a Pod sends out of the cluster leaves by the node that has its Egress address.
//! - **Why not**: [`Cluster::explain`] lists every rule that blocks a packet, with the smallest change that lets it through
//!   ([`explain`]).
//! - **Routing**: Pods of other nodes are reached by tunnel, everybody else by the gateway, out of the network. The TTL
//!   drops by one on every node of a path between nodes, and on the way out.
//! - What bare manifests leave open (addresses, nodes) is filled in, the same way every time ([`ClusterBuilder`]).
//!
//! # Limits
//!
//! Every Pod listens on every port. Not modelled: some fields of Antrea's policies, fragments, neighbour discovery,
//! multicast. Objects of kinds that aren't modelled are listed by [`Cluster::unmodelled`], and predictions say which of
//! them may decide about their packet. Connections are remembered for as long as a test lasts, not by Linux' timeouts.

pub mod explain;
pub mod model;
pub mod policy;

mod cluster;
mod deciding;
mod network;
mod objects;
mod pipeline;
mod predict;
mod wire;

pub use cluster::{Cluster, ClusterBuilder, LiveCluster, Object, Reference, ServiceEndpoint};
pub use deciding::Decided;
pub use network::{Fate, NodeFaults, Party, SendError, Settings, SimNetwork, Traffic, TunnelFault};
pub use objects::{LoadError, Objects, Unmodelled};
