//! A cluster on switches that are kept while it changes, and a tracer over them.

use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use testbed::fabric::{Fabric, FabricError, Form, Settings as FabricSettings};
use testbed::realisation::{NodeRealisation, Program, RealisationError, RuleNumbers, realise_with};
use traceflow_core::datapath::Datapath;
use traceflow_core::input::{BadInput, Text};
use traceflow_core::inventory::{
    Direction, EgressEntry, Inventory, NodeEntry, Owner, PodEntry, ServiceEntry, Surroundings,
};
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::observation::PolicyRef;
use traceflow_core::packet::{IpFamily, Protocol};
use traceflow_core::plan::Plan;
use traceflow_core::trace::{Prediction, Predictor, Unpredictable};
use traceflow_core::tracer::Tracer;
use traceflow_ovs::directory::{NodeDirectory, Rule};
use traceflow_ovs::nodes::NodeSwitch;
use traceflow_ovs::pipeline::Antrea;
use traceflow_ovs::unixctl::Unixctl;
use traceflow_ovs::{Instance, OvsDatapath, Settings};
use traceflow_sim::Cluster;

use crate::tables::Tables;

/// Why a cluster can't be had on switches.
#[derive(Debug)]
pub enum WorldError {
    /// The switches refuse.
    Fabric(FabricError),
    /// The testbed can't build such a cluster.
    Unrealisable(RealisationError),
    /// What the testbed says about its switches isn't understood.
    Nodes(BadInput),
}

impl std::fmt::Display for WorldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fabric(error) => error.fmt(f),
            Self::Unrealisable(error) => error.fmt(f),
            Self::Nodes(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for WorldError {}

/// Switches with a tracer, and the cluster that is on them now.
pub struct World {
    /// What the cluster asks of each node now.
    pub nodes: Vec<NodeRealisation>,
    /// The switches, to be asked about their flow tables.
    pub tables: Vec<Tables>,
    /// The tracer.
    pub tracer: Tracer,
    /// The switches themselves.
    pub fabric: Fabric,
    now: Arc<Now>,
    directories: Vec<Arc<NodeDirectory>>,
    datapaths: Vec<Arc<OvsDatapath>>,
    numbers: RuleNumbers,
}

impl World {
    /// Starts switches for this cluster.
    ///
    /// # Errors
    /// [`WorldError`]; nothing is left then.
    pub fn start(cluster: Arc<Cluster>, form: Form) -> Result<Self, WorldError> {
        let mut numbers = RuleNumbers::default();
        let nodes = realise(&cluster, &mut numbers)?;
        let fabric = Fabric::start(nodes.clone(), FabricSettings::new(form)).map_err(WorldError::Fabric)?;
        for node in fabric.nodes() {
            forget_soon(&node.ovsdb);
        }
        let now = Arc::new(Now(RwLock::new(cluster)));
        let switches =
            NodeSwitch::read_all(&Text::new("nodes.yaml", fabric.nodes_file())).map_err(WorldError::Nodes)?;
        let directory = |node| Arc::new(NodeDirectory::new(node, now.clone(), now.clone()));
        let directories: Vec<_> = switches.iter().map(directory).collect();
        // One for all nodes: each new one bears another salt, and the nodes don't know each other's packets then.
        let instance = Instance::new(0);
        let open = |(node, directory): (&NodeSwitch, &Arc<NodeDirectory>)| {
            let pipeline = Antrea {
                carrier: node.carrier.unwrap_or_default(),
            };
            let settings = Settings {
                max_idle: MAX_IDLE,
                ..Settings::of(node, Arc::new(pipeline), directory.clone(), instance)
            };
            Arc::new(OvsDatapath::open(settings))
        };
        let datapaths: Vec<_> = switches.iter().zip(&directories).map(open).collect();
        let tables = fabric.nodes().map(|node| Tables {
            unixctl: Unixctl::new(node.unixctl.as_path().into(), PATIENCE),
            bridge: node.bridge.clone(),
        });
        let tracer = Tracer::builder(now.clone())
            .datapaths(datapaths.iter().map(|datapath| datapath.clone() as Arc<dyn Datapath>))
            .predictor(now.clone())
            .start();
        Ok(Self {
            tables: tables.collect(),
            nodes,
            tracer,
            fabric,
            now,
            directories,
            datapaths,
            numbers,
        })
    }

    /// Makes it another cluster with the same Pods at the same places; the switches do as it says when this returns.
    ///
    /// # Errors
    /// [`WorldError`], and the switches are as they were.
    pub fn become_cluster(&mut self, cluster: Arc<Cluster>) -> Result<(), WorldError> {
        let nodes = realise(&cluster, &mut self.numbers)?;
        for (directory, node) in self.directories.iter().zip(&nodes) {
            directory.add_rules(node.rules.iter().map(|id| {
                let rule = Rule {
                    policy: id.policy.clone(),
                    name: id.rule.clone(),
                };
                (id.id, rule)
            }));
        }
        self.fabric.reprogram(nodes.clone()).map_err(WorldError::Fabric)?;
        self.nodes = nodes;
        self.now.set(cluster);
        Ok(())
    }

    /// Gives a node another program than the cluster asks for; nobody else hears of it.
    ///
    /// # Errors
    /// [`WorldError`] if the switch refuses; it is as it was then.
    pub fn mistake(&mut self, node: usize, program: Program) -> Result<(), WorldError> {
        let mistaken = NodeRealisation {
            program,
            ..self.nodes[node].clone()
        };
        self.fabric.reprogram(vec![mistaken]).map_err(WorldError::Fabric)
    }

    /// Gives every node what the cluster asks for.
    ///
    /// # Errors
    /// [`WorldError`] if a switch refuses.
    pub fn mend(&mut self) -> Result<(), WorldError> {
        self.fabric.reprogram(self.nodes.clone()).map_err(WorldError::Fabric)
    }

    /// Ends the tracer, and gives what it left on the switches: nothing, if all is well.
    ///
    /// # Errors
    /// What a switch or the tracer says.
    pub async fn end(self) -> Result<Vec<String>, String> {
        self.tracer.close().await.map_err(|error| error.to_string())?;
        let mut lines = Vec::new();
        for datapath in &self.datapaths {
            lines.extend(datapath.leftovers().await.map_err(|error| error.to_string())?);
        }
        Ok(lines)
    }
}

/// With groups that choose by a hash which `ofproto/trace` knows.
fn realise(cluster: &Cluster, numbers: &mut RuleNumbers) -> Result<Vec<NodeRealisation>, WorldError> {
    let mut nodes = realise_with(cluster, numbers).map_err(WorldError::Unrealisable)?;
    for node in &mut nodes {
        node.program.groups = node
            .program
            .groups
            .replace("type=select", "type=select,selection_method=hash");
    }
    Ok(nodes)
}

/// So that marks needn't rest for long.
fn forget_soon(database: &Path) {
    let set = format!("other_config:max-idle={}", MAX_IDLE.as_millis());
    // The tracer waits longer if this fails.
    let _ = Command::new("ovs-vsctl")
        .arg(format!("--db=unix:{}", database.display()))
        .args(["set", "Open_vSwitch", ".", &set])
        .status();
}

const MAX_IDLE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(20);

/// The cluster as it is now.
struct Now(RwLock<Arc<Cluster>>);

impl Now {
    fn cluster(&self) -> Arc<Cluster> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, cluster: Arc<Cluster>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = cluster;
    }
}

impl Inventory for Now {
    fn pod(&self, name: &ObjectName) -> Option<PodEntry> {
        self.cluster().pod(name)
    }

    fn service(&self, name: &ObjectName) -> Option<ServiceEntry> {
        self.cluster().service(name)
    }

    fn owner(&self, address: IpAddr) -> Option<Owner> {
        self.cluster().owner(address)
    }

    fn node(&self, name: &NodeName) -> Option<NodeEntry> {
        self.cluster().node(name)
    }

    fn nodes(&self) -> Vec<NodeName> {
        self.cluster().nodes()
    }

    fn endpoint_nodes(&self, service: &ObjectName) -> Option<std::collections::BTreeSet<NodeName>> {
        self.cluster().endpoint_nodes(service)
    }
}

impl Surroundings for Now {
    fn node_port(&self, protocol: Protocol, port: u16) -> Option<ObjectName> {
        self.cluster().node_port(protocol, port)
    }

    fn endpoint(&self, service: &ObjectName, address: IpAddr, port: u16) -> Option<ObjectName> {
        self.cluster().endpoint(service, address, port)
    }

    fn isolating(&self, pod: &ObjectName, direction: Direction) -> Vec<PolicyRef> {
        Surroundings::isolating(&*self.cluster(), pod, direction)
    }

    fn is_pod_range(&self, address: IpAddr) -> bool {
        self.cluster().is_pod_range(address)
    }

    fn egress(&self, pod: &ObjectName, family: IpFamily) -> Option<EgressEntry> {
        self.cluster().egress(pod, family)
    }
}

impl Predictor for Now {
    fn predict(&self, plan: &Plan) -> Result<Prediction, Unpredictable> {
        self.cluster().predict(plan)
    }

    fn predict_choosing(&self, plan: &Plan, endpoint: IpAddr) -> Result<Option<Prediction>, Unpredictable> {
        self.cluster().predict_choosing(plan, endpoint)
    }
}
