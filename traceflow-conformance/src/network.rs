//! What the backend's author gives the suite: a small network and who is who in it.

use std::any::Any;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use traceflow_core::datapath::Datapath;
use traceflow_core::inventory::Inventory;
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::packet::Packet;
use traceflow_core::trace::Predictor;

/// A network of one's own for one case. Only the first three fields are needed; a case that wants more is skipped and
/// says so. Where it is costly to start, it may be used again for the next case: every case leaves it clean or fails.
///
/// Between the ends of [`same_node`](Self::same_node) and [`cross_node`](Self::cross_node) packets of every claimed
/// family and protocol pass, whatever their ports.
///
/// ```
/// use std::sync::Arc;
///
/// use traceflow_conformance::{Journey, Network};
/// use traceflow_core::names::ObjectName;
/// use traceflow_sim::{Cluster, SimNetwork};
///
/// let cluster = Cluster::builder().node("one").node("two");
/// let sim = SimNetwork::new(cluster.pod("client", "one").pod("near", "one").pod("far", "two").build()?);
/// let pod = |name| ObjectName::new("default", name);
/// let near = Journey::between(pod("client"), pod("near"));
/// let network = Network {
///     cross_node: Some(Journey::between(pod("client"), pod("far"))),
///     outside: Some(Journey::to_address(pod("client"), [198, 51, 100, 1].into())),
///     predictor: Some(Arc::new(sim.clone())),
///     ..Network::new(sim.datapaths(), sim.cluster().clone(), near)
/// };
/// assert_eq!(network.datapaths.len(), 2);
/// # Ok::<(), traceflow_core::input::BadInput>(())
/// ```
#[derive(Clone)]
pub struct Network {
    /// One datapath per node, each node once.
    pub datapaths: Vec<Arc<dyn Datapath>>,
    /// Who is who. It knows the nodes of all datapaths and the Pods of all journeys.
    pub inventory: Arc<dyn Inventory>,
    /// A way that ends on the node on which it starts.
    pub same_node: Journey,
    /// A way that ends on another node.
    pub cross_node: Option<Journey>,
    /// A way on which every packet is dropped (or rejected).
    pub dropped: Option<Journey>,
    /// A way out of the network that is observed.
    pub outside: Option<Journey>,
    /// A way on which the TTL drops, such as one to another node: a packet with a TTL of 1 doesn't arrive.
    pub routed: Option<Journey>,
    /// A Service, and a Pod that calls it.
    pub service: Option<ServiceCall>,
    /// The Pods themselves, to send real traffic and to count what they get.
    pub workloads: Option<Arc<dyn Workloads>>,
    /// A model of this very network.
    pub predictor: Option<Arc<dyn Predictor>>,
    /// A second tracer's datapath for the same node, as it comes back after a crash of the first.
    pub successor: Option<Successor>,
    /// Restarts a node's datapath: all that was installed there is gone.
    pub restart: Option<Outage>,
    /// Ends a node's datapath for good. Where networks are used again, the next case finds it back to life.
    pub kill: Option<Outage>,
    /// Kept until the case is over, then dropped: the processes and folders that the network lives in.
    pub keep: Option<Arc<dyn Any + Send + Sync>>,
}

/// Does something to a node's datapath. The future is ready when it is done: a restarted node can be attached then.
///
/// An error is a phrase that says why it could not be done; the case then fails with it.
pub type Outage = Arc<dyn Fn(&NodeName) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Opens another tracer's datapath for a node.
pub type Successor = Arc<dyn Fn(&NodeName) -> Arc<dyn Datapath> + Send + Sync>;

impl Network {
    /// A network with nothing but what every case needs.
    pub fn new(datapaths: Vec<Arc<dyn Datapath>>, inventory: Arc<dyn Inventory>, same_node: Journey) -> Self {
        Self {
            datapaths,
            inventory,
            same_node,
            cross_node: None,
            dropped: None,
            outside: None,
            routed: None,
            service: None,
            workloads: None,
            predictor: None,
            successor: None,
            restart: None,
            kill: None,
            keep: None,
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes: Vec<_> = self.datapaths.iter().map(|datapath| datapath.node()).collect();
        f.debug_struct("Network")
            .field("nodes", &nodes)
            .field("same_node", &self.same_node)
            .field("cross_node", &self.cross_node)
            .field("dropped", &self.dropped)
            .field("outside", &self.outside)
            .field("routed", &self.routed)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

/// From a Pod to somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journey {
    /// The Pod that sends.
    pub from: ObjectName,
    /// Where the packet goes.
    pub to: Destination,
}

impl Journey {
    /// From one Pod to another.
    pub fn between(from: ObjectName, to: ObjectName) -> Self {
        let to = Destination::Pod(to);
        Self { from, to }
    }

    /// From a Pod to an address, such as one outside the cluster.
    pub fn to_address(from: ObjectName, to: IpAddr) -> Self {
        let to = Destination::Address(to);
        Self { from, to }
    }

    /// From a Pod to a Service.
    pub fn to_service(from: ObjectName, to: ObjectName) -> Self {
        let to = Destination::Service(to);
        Self { from, to }
    }
}

/// A Pod that calls a Service. The inventory knows the Service; it has an address of a claimed family and a port of a
/// claimed protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceCall {
    /// The Pod that calls.
    pub from: ObjectName,
    /// The Service.
    pub service: ObjectName,
    /// The Pods behind it. Whatever is sent to the Service arrives at one of them.
    pub endpoints: Vec<ObjectName>,
}

impl ServiceCall {
    /// The way of the call.
    pub fn journey(&self) -> Journey {
        Journey::to_service(self.from.clone(), self.service.clone())
    }
}

/// Where a [`Journey`] goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// To a Pod, under its address of the packet's family.
    Pod(ObjectName),
    /// To an address that need not be anybody's.
    Address(IpAddr),
    /// To a Service's own address, at one of its ports.
    Service(ObjectName),
}

/// The Pods of the network: what they send, and what they are handed.
#[async_trait]
pub trait Workloads: Send + Sync {
    /// Has Pod `from` send one packet with the addresses, DSCP, protocol, ports, TCP flags and ICMP header of `packet`; its
    /// nonce doesn't count.
    ///
    /// Whether it is answered doesn't matter: where a case needs an answer, it has the other Pod send one.
    ///
    /// # Errors
    /// A phrase that says why it could not be sent; the case then fails with it.
    async fn send(&self, from: &ObjectName, packet: &Packet) -> Result<(), String>;

    /// Whether [`received`](Self::received) counts.
    fn counts(&self) -> bool;

    /// How many packets the Pod was handed so far; 0 if nobody counts.
    async fn received(&self, pod: &ObjectName) -> u64;
}
