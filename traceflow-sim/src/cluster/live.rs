//! A cluster that changes while it is asked.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use traceflow_core::input::BadInput;
use traceflow_core::inventory::{
    Direction, EgressEntry, Inventory, NodeEntry, Owner, PodEntry, ServiceEntry, Surroundings,
};
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::observation::PolicyRef;
use traceflow_core::packet::{IpFamily, Protocol};
use traceflow_core::plan::Plan;
use traceflow_core::trace::{Prediction, Predictor, Unpredictable};

use super::{Cluster, Object, Reference};

/// A cluster that a controller's watches change while traces are planned and predicted with it. Share it in an `Arc`.
///
/// Each question sees the cluster between two changes; its [`version`](Predictor::version) tells whether there was one
/// between two questions.
///
/// ```
/// use traceflow_core::inventory::Inventory;
/// use traceflow_core::names::ObjectName;
/// use traceflow_core::trace::Predictor;
/// use traceflow_sim::{Cluster, LiveCluster, Reference};
///
/// let cluster = LiveCluster::new(Cluster::builder().node("a").pod("web", "a").build()?);
/// let web = ObjectName::new("default", "web");
/// assert!(cluster.pod(&web).is_some());
/// let version = cluster.version();
/// cluster.remove(&Reference::Pod(web.clone()))?;
/// assert!(cluster.pod(&web).is_none() && cluster.version() > version);
/// # Ok::<(), traceflow_core::input::BadInput>(())
/// ```
#[derive(Debug)]
pub struct LiveCluster(RwLock<Versioned>);

#[derive(Debug)]
struct Versioned {
    cluster: Cluster,
    version: u64,
}

impl LiveCluster {
    /// Begins with this cluster.
    pub fn new(cluster: Cluster) -> Self {
        Self(RwLock::new(Versioned { cluster, version: 0 }))
    }

    /// Adds or changes an object ([`Cluster::put`]).
    ///
    /// # Errors
    /// What loading would say of it; the cluster is as it was then.
    pub fn put(&self, object: impl Into<Object>) -> Result<(), BadInput> {
        self.change(|cluster| cluster.put(object))
    }

    /// Takes an object out ([`Cluster::remove`]).
    ///
    /// # Errors
    /// If it isn't there, or others need it; the cluster is as it was then.
    pub fn remove(&self, reference: &Reference) -> Result<(), BadInput> {
        self.change(|cluster| cluster.remove(reference))
    }

    /// Asks the cluster something that this handle doesn't answer itself. Changes wait for `ask` to return.
    pub fn with<T>(&self, ask: impl FnOnce(&Cluster) -> T) -> T {
        ask(&self.read().cluster)
    }

    fn change(&self, change: impl FnOnce(&mut Cluster) -> Result<(), BadInput>) -> Result<(), BadInput> {
        let mut versioned = self.0.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut versioned.cluster)?;
        versioned.version += 1;
        Ok(())
    }

    fn read(&self) -> RwLockReadGuard<'_, Versioned> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inventory for LiveCluster {
    fn pod(&self, name: &ObjectName) -> Option<PodEntry> {
        self.read().cluster.pod(name)
    }

    fn service(&self, name: &ObjectName) -> Option<ServiceEntry> {
        self.read().cluster.service(name)
    }

    fn owner(&self, address: IpAddr) -> Option<Owner> {
        self.read().cluster.owner(address)
    }

    fn node(&self, name: &NodeName) -> Option<NodeEntry> {
        self.read().cluster.node(name)
    }

    fn nodes(&self) -> Vec<NodeName> {
        self.read().cluster.nodes()
    }

    fn endpoint_nodes(&self, service: &ObjectName) -> Option<BTreeSet<NodeName>> {
        self.read().cluster.endpoint_nodes(service)
    }
}

impl Surroundings for LiveCluster {
    fn isolating(&self, pod: &ObjectName, direction: Direction) -> Vec<PolicyRef> {
        Surroundings::isolating(&self.read().cluster, pod, direction)
    }

    fn is_pod_range(&self, address: IpAddr) -> bool {
        self.read().cluster.is_pod_range(address)
    }

    fn egress(&self, pod: &ObjectName, family: IpFamily) -> Option<EgressEntry> {
        self.read().cluster.egress(pod, family)
    }

    fn node_port(&self, protocol: Protocol, port: u16) -> Option<ObjectName> {
        self.read().cluster.node_port(protocol, port)
    }

    fn endpoint(&self, service: &ObjectName, address: IpAddr, port: u16) -> Option<ObjectName> {
        self.read().cluster.endpoint(service, address, port)
    }
}

impl Predictor for LiveCluster {
    fn version(&self) -> Option<u64> {
        Some(self.read().version)
    }

    fn predict(&self, plan: &Plan) -> Result<Prediction, Unpredictable> {
        self.read().cluster.predict(plan)
    }

    fn predict_choosing(&self, plan: &Plan, endpoint: IpAddr) -> Result<Option<Prediction>, Unpredictable> {
        self.read().cluster.predict_choosing(plan, endpoint)
    }
}
