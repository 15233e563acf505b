//! The simulated network: a datapath per node, workloads that send, and faults.

mod answer;
mod datapath;
mod faults;
mod flight;
mod node;
mod party;
mod traffic;

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use traceflow_core::datapath::{Capabilities, Datapath};
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::plan::Plan;
use traceflow_core::trace::{Prediction, Predictor, Unpredictable};

use crate::cluster::{Cluster, NodeId};
use crate::pipeline::TracerId;
use crate::predict::{Entry, follow};

use datapath::SimDatapath;
pub use faults::{NodeFaults, TunnelFault};
use node::{Node, now};
pub use party::Party;
pub use traffic::{Fate, SendError, Traffic};

/// A network that behaves as its [`Cluster`] says: give its [`datapaths`](Self::datapaths) to a tracer, let workloads
/// [`send`](Self::send), and break what should be broken. Cloning it gives another handle on the same network;
/// [`for_another_tracer`](Self::for_another_tracer) gives one whose datapaths are another tracer's.
///
/// ```
/// use traceflow_core::trace::Verdict;
/// use traceflow_sim::{Cluster, SimNetwork};
///
/// let cluster = Cluster::builder().node("a").node("b").pod("client", "a").pod("web", "b").build()?;
/// let network = SimNetwork::new(cluster);
/// let fate = network.send(&"client->web tcp,tcp_dst=80".parse()?)?;
/// assert_eq!(fate.request.verdict, Verdict::Delivered { node: "b".into() });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SimNetwork {
    fabric: Arc<Fabric>,
    tracer: TracerId,
}

/// What a network is made with. The default is a network that can do everything, by the system's clock.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What its datapaths say they can do.
    pub capabilities: Capabilities,
    /// Chooses source ports, identifications and sequence numbers of what workloads send.
    pub seed: u64,
    /// What time sightings are stamped with.
    pub clock: fn() -> SystemTime,
    /// How many reports a stream keeps unread.
    pub report_capacity: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            capabilities: all_capabilities(),
            seed: 0,
            clock: SystemTime::now,
            report_capacity: 1024,
        }
    }
}

/// 63 marks is what a DSCP field has, the narrowest carrier there is.
fn all_capabilities() -> Capabilities {
    Capabilities {
        inject: true,
        live: true,
        dropped_only: true,
        ipv4: true,
        ipv6: true,
        protocols: None,
        marks: 63,
        mark_memory: Duration::ZERO,
        nonce: true,
        standing_watch: true,
        window: None,
        counts_matches: true,
    }
}

/// What all handles and datapaths of one network share.
#[derive(Debug)]
struct Fabric {
    cluster: Arc<Cluster>,
    settings: Settings,
    /// By [`NodeId`].
    nodes: Vec<Mutex<Node>>,
    /// How many packets each Pod was handed, by [`PodId`](crate::cluster::PodId).
    received: Vec<AtomicU64>,
    /// How many tracers there were.
    tracers: AtomicU32,
    random: Mutex<fastrand::Rng>,
}

impl SimNetwork {
    /// A network of this cluster.
    pub fn new(cluster: impl Into<Arc<Cluster>>) -> Self {
        Self::with_settings(cluster, Settings::default())
    }

    /// A network of this cluster, made otherwise than by default.
    pub fn with_settings(cluster: impl Into<Arc<Cluster>>, settings: Settings) -> Self {
        let cluster = cluster.into();
        let nodes = cluster
            .nodes
            .iter()
            .map(|_| Mutex::new(Node::new(settings.report_capacity)));
        let fabric = Fabric {
            nodes: nodes.collect(),
            received: cluster.pods.iter().map(|_| AtomicU64::new(0)).collect(),
            tracers: AtomicU32::new(1),
            random: Mutex::new(fastrand::Rng::with_seed(settings.seed)),
            cluster,
            settings,
        };
        Self {
            fabric: Arc::new(fabric),
            tracer: TracerId(0),
        }
    }

    /// The cluster, which is also the inventory of a tracer.
    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.fabric.cluster
    }

    /// The same network for another tracer, such as the one that is started after a crash of the first.
    ///
    /// A node serves one tracer at a time: what another has put in place there is an orphan, and the next `attach`
    /// sweeps it.
    ///
    /// ```
    /// use traceflow_sim::{Cluster, SimNetwork};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let network = SimNetwork::new(Cluster::builder().node("a").build()?);
    /// network.datapaths()[0].attach().await?;
    /// let heir = network.for_another_tracer().datapaths();
    /// heir[0].attach().await?;
    /// heir[0].detach().await?;
    /// assert!(network.leftovers().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn for_another_tracer(&self) -> Self {
        Self {
            fabric: Arc::clone(&self.fabric),
            tracer: TracerId(self.fabric.tracers.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// The datapaths of all nodes, in the order of their names.
    pub fn datapaths(&self) -> Vec<Arc<dyn Datapath>> {
        let ids = (0..self.fabric.nodes.len() as u32).map(NodeId);
        ids.map(|id| self.datapath_of(id)).collect()
    }

    /// The datapath of this node.
    pub fn datapath(&self, node: &NodeName) -> Option<Arc<dyn Datapath>> {
        Some(self.datapath_of(self.fabric.cluster.node_id(node)?))
    }

    /// Lets a workload send a packet, and its peer answer it if it arrives.
    ///
    /// # Errors
    /// [`SendError`] if the packet can't even be built: an unknown sender, addresses of two families.
    pub fn send(&self, traffic: &Traffic) -> Result<Fate, SendError> {
        traffic.send(&self.fabric)
    }

    /// How many packets the Pod was handed so far: what workloads sent it, and the answers to what it sent. An injected
    /// packet is never handed over; a Pod on its node's network is handed nothing of its own.
    pub fn received(&self, pod: &ObjectName) -> u64 {
        let pod = self.fabric.cluster.pod_id(pod);
        pod.map_or(0, |id| self.fabric.received[id.0 as usize].load(Ordering::Relaxed))
    }

    /// Changes what is broken at this node, from now on. Nothing happens if there is no such node.
    pub fn set_faults(&self, node: &NodeName, faults: NodeFaults) {
        self.on_node(node, |node| node.faults = faults);
    }

    /// The node dies: it passes no packet, answers no command, and its report streams end.
    pub fn kill(&self, node: &NodeName) {
        self.on_node(node, Node::kill);
    }

    /// The node's datapath restarts, or comes back to life: all that was installed or remembered there is gone, and
    /// streams that are still open say so.
    pub fn restart(&self, node: &NodeName) {
        self.on_node(node, Node::restart);
    }

    /// What of ours is on any node, one line each with the node's name before it; whatever faults there are.
    pub fn leftovers(&self) -> Vec<String> {
        let names = self.fabric.cluster.nodes.iter().map(|record| &record.node.name);
        let lines = names.zip(&self.fabric.nodes).flat_map(|(name, node)| {
            let left = lock(node).leftovers(now());
            left.into_iter().map(move |line| format!("{name}: {line}"))
        });
        lines.collect()
    }

    fn datapath_of(&self, node: NodeId) -> Arc<dyn Datapath> {
        Arc::new(SimDatapath::new(Arc::clone(&self.fabric), self.tracer, node))
    }

    fn on_node(&self, name: &NodeName, change: impl FnOnce(&mut Node)) {
        if let Some(id) = self.fabric.cluster.node_id(name) {
            change(&mut self.fabric.node(id));
        }
    }
}

/// Knows what the nodes remember: a client that a Service with affinity knows stays with its endpoint.
impl Predictor for SimNetwork {
    fn predict(&self, plan: &Plan) -> Result<Prediction, Unpredictable> {
        let cluster = &self.fabric.cluster;
        let entry = Entry::of(cluster, plan)?;
        let first = entry.node;
        // Only the first node chooses endpoints, so no other node's memory matters.
        let node = self.fabric.node(first);
        let now = now();
        let memory = |id| (id == first).then_some((&node.memory, now));
        let prediction = follow(cluster, entry, (self.fabric.settings.clock)(), memory);
        Ok(prediction.leaving_out(cluster.left_out(plan)))
    }

    fn predict_choosing(&self, plan: &Plan, endpoint: IpAddr) -> Result<Option<Prediction>, Unpredictable> {
        self.fabric.cluster.predict_choosing(plan, endpoint)
    }
}

impl Fabric {
    fn node(&self, id: NodeId) -> std::sync::MutexGuard<'_, Node> {
        lock(&self.nodes[id.0 as usize])
    }

    fn name(&self, id: NodeId) -> &NodeName {
        &self.cluster.node_record(id).node.name
    }
}

/// A panic elsewhere leaves these values whole: every change is complete in itself.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
