//! Real switches: those of a nodes file, checked against the cluster.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use traceflow_core::datapath::Datapath;
use traceflow_core::inventory::Inventory;
use traceflow_core::names::NodeName;
use traceflow_openflow::message::PacketIn2;
use traceflow_ovs::address::Address;
use traceflow_ovs::directory::NodeDirectory;
use traceflow_ovs::nodes::NodeSwitch;
use traceflow_ovs::pipeline::Description;
use traceflow_ovs::{Instance, OvsDatapath, Settings, free_instance};
use traceflow_sim::Cluster;

use crate::failure::Failure;
use crate::files::{label, read_text};

/// The switches of the cluster's nodes.
pub(crate) struct Switches {
    pub(crate) cluster: Arc<Cluster>,
    nodes: Vec<(NodeSwitch, Arc<Description>)>,
    /// `None`: whichever is free.
    instance: Option<Instance>,
    /// The nodes file, as messages call it.
    file: PathBuf,
    recording: Option<Recording>,
}

/// What the switches said of traced packets, node by node.
pub(crate) type Recording = Arc<Mutex<Vec<(NodeName, Arc<PacketIn2>)>>>;

impl Switches {
    /// Reads a nodes file and checks it against the cluster.
    pub(crate) fn load(file: &Path, cluster: &Arc<Cluster>, instance: Option<u8>) -> Result<Self, Failure> {
        let nodes = read(file)?;
        for (node, _) in &nodes {
            check(node, cluster).map_err(|mistake| Failure::Usage(format!("{}: {mistake}", label(file))))?;
        }
        let missing: Vec<String> = cluster
            .nodes()
            .iter()
            .filter(|name| !nodes.iter().any(|(node, _)| node.name == **name))
            .map(NodeName::to_string)
            .collect();
        if !missing.is_empty() {
            let (missing, file) = (missing.join(", "), label(file));
            eprintln!("warning: {file} says nothing of {missing}; what happens there will not be seen");
        }
        Ok(Self {
            cluster: Arc::clone(cluster),
            nodes,
            instance: instance.map(Instance::new),
            file: file.to_owned(),
            recording: None,
        })
    }

    /// The node of this name in the nodes file.
    pub(crate) fn find(&self, name: &str) -> Result<(NodeSwitch, Arc<Description>), Failure> {
        find(self.nodes.clone(), name, &self.file)
    }

    /// Records what the switches will say once they are opened.
    pub(crate) fn record(&mut self) -> Recording {
        Arc::clone(self.recording.get_or_insert_default())
    }

    /// Begins to speak to them. Needs a runtime.
    pub(crate) async fn open(&self) -> Result<Vec<Arc<dyn Datapath>>, Failure> {
        let instance = self.instance().await?;
        let open = |(node, pipeline): &(NodeSwitch, Arc<Description>)| {
            let directory = directory(node, &self.cluster);
            let settings = Settings::of(node, Arc::clone(pipeline) as _, Arc::new(directory), instance);
            let datapath = OvsDatapath::open(settings);
            if let Some(recording) = &self.recording {
                tokio::spawn(keep(node.name.clone(), datapath.packet_ins(), Arc::clone(recording)));
            }
            Arc::new(datapath) as Arc<dyn Datapath>
        };
        Ok(self.nodes.iter().map(open).collect())
    }

    /// The one that was asked for, else one that nobody uses on these switches.
    async fn instance(&self) -> Result<Instance, Failure> {
        if let Some(instance) = self.instance {
            return Ok(instance);
        }
        let addresses: Vec<Address> = self.nodes.iter().map(|(node, _)| node.openflow.clone()).collect();
        free_instance(&addresses).await.ok_or_else(|| {
            let file = label(&self.file);
            Failure::Usage(format!(
                "as many tracers as there can be are at work on these switches, or have died there: wait a minute, or run \
                 traceflow sweep --nodes {file}, which ends those that are alive, too"
            ))
        })
    }
}

/// Keeps what a node says until it says no more.
async fn keep(node: NodeName, mut packet_ins: broadcast::Receiver<Arc<PacketIn2>>, recording: Recording) {
    loop {
        match packet_ins.recv().await {
            Ok(packet_in) => {
                let mut recording = recording.lock().unwrap_or_else(PoisonError::into_inner);
                recording.push((node.clone(), packet_in));
            }
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

/// The nodes of a nodes file, each with its pipeline.
pub(crate) fn read(file: &Path) -> Result<Vec<(NodeSwitch, Arc<Description>)>, Failure> {
    let folder = file.parent().unwrap_or_else(|| Path::new(""));
    NodeSwitch::read_all(&read_text(file)?)?
        .into_iter()
        .map(|node| {
            let pipeline = node.pipeline(folder)?;
            Ok((node, Arc::new(pipeline)))
        })
        .collect()
}

/// The node of this name.
pub(crate) fn find(
    nodes: Vec<(NodeSwitch, Arc<Description>)>,
    name: &str,
    file: &Path,
) -> Result<(NodeSwitch, Arc<Description>), Failure> {
    let known: Vec<String> = nodes.iter().map(|(node, _)| node.name.to_string()).collect();
    let found = nodes.into_iter().find(|(node, _)| node.name.as_str() == name);
    found.ok_or_else(|| {
        let (file, known) = (label(file), known.join(", "));
        Failure::Usage(format!("{file} says nothing of {name}; its nodes are {known}"))
    })
}

/// Names for the numbers of a node's switch, from the nodes file and the cluster.
pub(crate) fn directory(node: &NodeSwitch, cluster: &Arc<Cluster>) -> NodeDirectory {
    NodeDirectory::new(node, Arc::clone(cluster) as _, Arc::clone(cluster) as _)
}

/// Whether what the nodes file says of a node is so in the cluster.
fn check(node: &NodeSwitch, cluster: &Cluster) -> Result<(), String> {
    let name = &node.name;
    if cluster.node(name).is_none() {
        let known = cluster
            .nodes()
            .iter()
            .map(NodeName::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        return Err(format!("node {name} is not in the cluster; its nodes are {known}"));
    }
    for pod in node.pods.keys() {
        let Some(entry) = cluster.pod(pod) else {
            return Err(format!(
                "Pod {pod} of node {name} is not in the cluster; check its name and namespace"
            ));
        };
        match entry.node {
            Some(other) if other != *name => {
                return Err(format!(
                    "Pod {pod} is said to be on node {name}, and in the cluster it is on {other}"
                ));
            }
            _ => {}
        }
    }
    Ok(())
}
