//! Real Open vSwitch nodes, one process of a switch and one of a database each, that live as long as a value does.

mod command;
mod configuration;
mod daemon;
mod directory;
mod error;
mod hub;
mod link;
mod listeners;
mod namespace;
mod node;
mod nodes_file;
mod pods;
mod program;
mod routers;
mod unixctl;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;

use nix::unistd::geteuid;
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::packet::MacAddress;

pub use error::FabricError;
pub use link::PodLink;
pub use node::SwitchNode;

use crate::realisation::{NodeRealisation, PodPort};
use daemon::Keeper;
use directory::Directory;
use listeners::Listeners;
use namespace::Namespace;
use node::{Blueprint, Network, Node};
use pods::{Underlay, Wiring};

/// How real it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As any user: the switches are real, and whoever holds a [`PodLink`] is a Pod.
    Rootless,
    /// As root: Pods are network namespaces with the kernel's own network stack, and listen on their ports.
    Root,
}

impl Form {
    /// Whether this process may start such a fabric.
    ///
    /// # Errors
    /// What is missing: root, namespaces, or devices of the kernel's.
    pub fn check(self) -> Result<(), FabricError> {
        if self == Self::Rootless {
            return Ok(());
        }
        if !geteuid().is_root() {
            return Err(FabricError::NotRoot);
        }
        // In a container even root may not have these.
        Namespace::new()?;
        File::options()
            .read(true)
            .write(true)
            .open("/dev/net/tun")
            .map_err(FabricError::system("open /dev/net/tun"))?;
        Ok(())
    }
}

/// How a fabric is started.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How real it is.
    pub form: Form,
    /// Where its files are, all below `fabric/`; a temporary directory of its own if not given.
    pub directory: Option<PathBuf>,
}

impl Settings {
    /// A form, in a temporary directory.
    pub fn new(form: Form) -> Self {
        Self { form, directory: None }
    }
}

/// Nodes of real switches, with Pods and tunnels between them.
///
/// All that it starts are children of this process and end with it, however it ends; dropping it ends and removes
/// everything. Its methods block; a switch answers within milliseconds.
#[derive(Debug)]
pub struct Fabric {
    // In the order in which they have to go: whoever uses something goes before it.
    _listeners: Option<Listeners>,
    nodes: Vec<Node>,
    network: Option<Network>,
    underlay: Option<Underlay>,
    keeper: Keeper,
    /// One link at a time: the switch accepts one a turn.
    linking: Mutex<()>,
    directory: Directory,
}

impl Fabric {
    /// Starts the nodes, connects and programs them; they are ready to be used when it returns.
    ///
    /// # Errors
    /// [`FabricError`], which names the command or daemon that failed, with what it said.
    pub fn start(nodes: Vec<NodeRealisation>, settings: Settings) -> Result<Self, FabricError> {
        settings.form.check()?;
        let directory = match &settings.directory {
            Some(home) => Directory::at(home)?,
            None => Directory::temporary()?,
        };
        let inside = directory.path();
        check_length(&inside)?;
        let database = inside.join("empty.db");
        command::run(Command::new("ovsdb-tool").arg("create").arg(&database).arg(SCHEMA), "")?;
        let keeper = Keeper::start()?;
        let (network, underlay) = match settings.form {
            Form::Rootless => (Some(Network::default()), None),
            Form::Root => (None, Some(Underlay::new()?)),
        };
        let macs = nodes
            .iter()
            .enumerate()
            .map(|(index, node)| (node.name.clone(), underlay_mac(index)))
            .collect();
        let start = |index: usize, realisation: NodeRealisation| {
            let wiring = underlay
                .as_ref()
                .map(|underlay| Wiring::lay(&realisation, underlay, index))
                .transpose()?;
            let blueprint = Blueprint {
                directory: inside.join(index.to_string()),
                database: &database,
                mac: underlay_mac(index),
                neighbours: neighbours(&realisation, &macs)?,
                wiring,
                realisation,
            };
            Node::start(blueprint, &keeper, network.as_ref())
        };
        let nodes = in_parallel(nodes, start)?;
        Ok(Self {
            _listeners: listen(&nodes)?,
            nodes,
            network,
            underlay,
            keeper,
            linking: Mutex::default(),
            directory,
        })
    }

    /// Whether a fabric of any process lives in this directory.
    pub fn is_up(directory: &Path) -> bool {
        directory::is_alive(directory)
    }

    /// Ends the fabric in this directory by killing the process that it belongs to, if there is one, and removes what it
    /// left. Nothing happens if there was none.
    ///
    /// # Errors
    /// If the process can't be killed or something can't be removed.
    pub fn sweep(directory: &Path) -> Result<(), FabricError> {
        if Self::is_up(directory) {
            directory::kill_owner(directory).map_err(FabricError::system(format!(
                "end the testbed in {}",
                directory.display()
            )))?;
        }
        directory::sweep_dead(directory).map_err(FabricError::system(format!("sweep {}", directory.display())))
    }

    /// The switches, in the order of the realisations.
    pub fn nodes(&self) -> impl Iterator<Item = &SwitchNode> {
        self.nodes.iter().map(|node| &node.switch)
    }

    /// The switch of a node.
    ///
    /// # Errors
    /// [`FabricError::UnknownNode`].
    pub fn node(&self, name: &NodeName) -> Result<&SwitchNode, FabricError> {
        self.index(name).map(|index| &self.nodes[index].switch)
    }

    /// The Pods, node by node.
    pub fn pods(&self) -> impl Iterator<Item = &PodPort> {
        self.nodes().flat_map(|node| &node.pods)
    }

    /// Where its files are.
    pub fn directory(&self) -> PathBuf {
        self.directory.path()
    }

    /// The processes of the daemons that run.
    pub fn processes(&self) -> Vec<u32> {
        self.nodes.iter().flat_map(Node::processes).collect()
    }

    /// Where the switches are and who is behind which port, as YAML.
    pub fn nodes_file(&self) -> String {
        nodes_file::write(self.nodes())
    }

    /// Changes flows and groups to those of these realisations, on each node in one step: no packet sees half of it.
    /// Nodes that aren't named stay as they are.
    ///
    /// # Errors
    /// If a node is unknown or its ports differ, before anything is changed; if a switch refuses, which leaves that switch
    /// as it was.
    pub fn reprogram(&mut self, nodes: Vec<NodeRealisation>) -> Result<(), FabricError> {
        for node in &nodes {
            self.nodes[self.index(&node.name)?].check_same_ports(node)?;
        }
        for node in nodes {
            let index = self.index(&node.name)?;
            self.nodes[index].reprogram(node)?;
        }
        Ok(())
    }

    /// Ends a node's ovs-vswitchd as `kill -9` does.
    ///
    /// # Errors
    /// [`FabricError::UnknownNode`].
    pub fn kill_switch(&mut self, node: &NodeName) -> Result<(), FabricError> {
        let index = self.index(node)?;
        self.nodes[index].kill_switch();
        Ok(())
    }

    /// Starts a node's ovs-vswitchd again, which has neither flows nor groups then. Links to its Pods are to be opened anew.
    ///
    /// # Errors
    /// If the daemon doesn't start.
    pub fn start_switch(&mut self, node: &NodeName) -> Result<(), FabricError> {
        let index = self.index(node)?;
        self.nodes[index].start_switch(&self.keeper, self.network.as_ref())
    }

    /// Puts a node's flows and groups in place, in the stead of all that are there.
    ///
    /// # Errors
    /// If the switch refuses.
    pub fn program(&self, node: &NodeName) -> Result<(), FabricError> {
        self.nodes[self.index(node)?].program()
    }

    /// Kills a node's ovs-vswitchd, starts and programs it.
    ///
    /// # Errors
    /// If the daemon doesn't start or the switch refuses.
    pub fn restart(&mut self, node: &NodeName) -> Result<(), FabricError> {
        self.kill_switch(node)?;
        self.start_switch(node)?;
        self.program(node)
    }

    /// Ends a node's ovsdb-server as `kill -9` does. Without it a switch without a kernel datapath stands still: it neither
    /// forwards nor answers OpenFlow, and goes on where it was when the database is back.
    ///
    /// # Errors
    /// [`FabricError::UnknownNode`].
    pub fn kill_database(&mut self, node: &NodeName) -> Result<(), FabricError> {
        let index = self.index(node)?;
        self.nodes[index].kill_database();
        Ok(())
    }

    /// Starts a node's ovsdb-server again, and waits for the switch to find it, which takes a second or more.
    ///
    /// # Errors
    /// If the daemon doesn't start.
    pub fn start_database(&mut self, node: &NodeName) -> Result<(), FabricError> {
        let index = self.index(node)?;
        self.nodes[index].start_database(&self.keeper)
    }

    /// Cuts a node off from all others, or connects it again: as a tunnel's peer it is down.
    ///
    /// # Errors
    /// [`FabricError::UnknownNode`].
    pub fn set_underlay(&self, node: &NodeName, up: bool) -> Result<(), FabricError> {
        let index = self.index(node)?;
        if let Some(network) = &self.network {
            network.hub.set_up(self.nodes[index].mac, up);
            network.routers.set_up(node, up);
        }
        self.underlay
            .as_ref()
            .map_or(Ok(()), |underlay| underlay.set_up(index, up))
    }

    /// Has every switch know the other tunnel ends for another hour; without it, the first packet to a node that wasn't
    /// spoken to for so long is lost.
    ///
    /// # Errors
    /// If a switch doesn't answer.
    pub fn refresh_neighbours(&self) -> Result<(), FabricError> {
        self.nodes.iter().try_for_each(Node::meet_neighbours)
    }

    /// The link of a Pod in the rootless form: who holds it is the Pod. Frames sent to the Pod from now on arrive.
    ///
    /// # Errors
    /// If the Pod is unknown, or real.
    pub fn pod_link(&self, pod: &ObjectName) -> Result<PodLink, FabricError> {
        let (node, port) = self.pod(pod)?;
        if node.wiring.is_some() {
            return Err(FabricError::Unsuitable(format!(
                "Pod {pod} has a network stack of its own; run a command in it instead"
            )));
        }
        let _turn = self.linking.lock().unwrap_or_else(PoisonError::into_inner);
        node.link(port.port)
    }

    /// A command that runs in the Pod's network namespace, in the root form.
    ///
    /// # Errors
    /// If the Pod is unknown, or has no namespace.
    pub fn command_in(&self, pod: &ObjectName, program: impl AsRef<OsStr>) -> Result<Command, FabricError> {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.namespace_of(pod)?))
            .arg("--")
            .arg(program);
        Ok(command)
    }

    /// Does the work on a thread that is in the Pod's network namespace, in the root form: a socket that is opened there
    /// stays there.
    ///
    /// # Errors
    /// If the Pod is unknown, or has no namespace; if it can't be entered.
    pub fn inside<T: Send>(&self, pod: &ObjectName, work: impl FnOnce() -> T + Send) -> Result<T, FabricError> {
        self.namespace(pod)?.inside(work)
    }

    /// The place in /proc of the Pod's network namespace, in the root form.
    ///
    /// # Errors
    /// If the Pod is unknown, or has no namespace.
    pub fn namespace_of(&self, pod: &ObjectName) -> Result<String, FabricError> {
        Ok(self.namespace(pod)?.path())
    }

    fn namespace(&self, pod: &ObjectName) -> Result<&Namespace, FabricError> {
        let (node, _) = self.pod(pod)?;
        let wiring = node.wiring.as_ref().ok_or_else(|| {
            FabricError::Unsuitable(format!(
                "Pod {pod} is only a port of a rootless testbed: nothing can run in it"
            ))
        })?;
        Ok(&wiring.pods[pod])
    }

    /// How many frames the Pod was handed so far.
    ///
    /// # Errors
    /// If the Pod is unknown or the switch doesn't answer.
    pub fn received(&self, pod: &ObjectName) -> Result<u64, FabricError> {
        let (node, port) = self.pod(pod)?;
        node.sent_to(port.port)
    }

    fn index(&self, name: &NodeName) -> Result<usize, FabricError> {
        let found = self.nodes.iter().position(|node| node.switch.name == *name);
        found.ok_or_else(|| FabricError::UnknownNode(name.clone()))
    }

    fn pod(&self, name: &ObjectName) -> Result<(&Node, &PodPort), FabricError> {
        let mut ports = self
            .nodes
            .iter()
            .flat_map(|node| node.switch.pods.iter().map(move |port| (node, port)));
        ports
            .find(|(_, port)| port.pod == *name)
            .ok_or_else(|| FabricError::UnknownPod {
                name: name.clone(),
                known: self
                    .pods()
                    .map(|port| port.pod.to_string())
                    .collect::<Vec<_>>()
                    .join(", "),
            })
    }
}

/// Starts every node on a thread of its own; the first error if there is one.
fn in_parallel(
    nodes: Vec<NodeRealisation>,
    start: impl Fn(usize, NodeRealisation) -> Result<Node, FabricError> + Sync,
) -> Result<Vec<Node>, FabricError> {
    let start = &start;
    thread::scope(|scope| {
        let threads = nodes
            .into_iter()
            .enumerate()
            .map(|(index, node)| scope.spawn(move || start(index, node)));
        let threads = threads.collect::<Vec<_>>();
        let started = threads.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Err(FabricError::Unsuitable("a node's start panicked".to_owned())))
        });
        started.collect()
    })
}

fn listen(nodes: &[Node]) -> Result<Option<Listeners>, FabricError> {
    let mut sockets = Vec::new();
    for node in nodes {
        for pod in &node.switch.pods {
            if let Some(wiring) = &node.wiring {
                sockets.extend(listeners::open(pod, &wiring.pods[&pod.pod])?);
            }
        }
    }
    if sockets.is_empty() {
        Ok(None)
    } else {
        Listeners::serve(sockets).map(Some)
    }
}

/// The tunnel ends of a node's peers, with the MAC addresses that we gave them.
fn neighbours(
    node: &NodeRealisation,
    macs: &BTreeMap<NodeName, MacAddress>,
) -> Result<Vec<(IpAddr, MacAddress)>, FabricError> {
    let known = node.peers.iter().map(|(peer, address)| match macs.get(peer) {
        Some(mac) => Ok((*address, *mac)),
        None => Err(FabricError::UnknownNode(peer.clone())),
    });
    known.collect()
}

/// The MAC address of a node's end of the underlay, which no other network sees.
fn underlay_mac(index: usize) -> MacAddress {
    let [.., high, low] = index.to_be_bytes();
    MacAddress([0x02, 0, 0, 0x77, high, low])
}

/// The path of a socket has room for 107 bytes.
fn check_length(inside: &Path) -> Result<(), FabricError> {
    let longest = "/9999/pod4294967295.sock".len();
    if inside.as_os_str().len() + longest <= 107 {
        return Ok(());
    }
    Err(FabricError::Unsuitable(format!(
        "{} is too long a path for sockets below it; choose one of at most {} bytes",
        inside.display(),
        107 - longest
    )))
}

/// Debian's place of it.
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fabric_can_be_shared_between_threads() {
        fn shared<T: Send + Sync + 'static>() {}
        shared::<Fabric>();
        shared::<PodLink>();
    }

    #[test]
    fn a_directory_too_long_for_sockets_is_refused() {
        let long = format!("/tmp/{}", "x".repeat(100));
        let error = check_length(Path::new(&long)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{long} is too long a path for sockets below it; choose one of at most 83 bytes")
        );
    }
}
