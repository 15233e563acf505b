//! A cluster on real switches, and a tracer over them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use testbed::fabric::{Fabric, Form, Settings as FabricSettings};
use testbed::realisation;
use traceflow_core::datapath::Datapath;
use traceflow_core::input::Text;
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::packet::Packet;
use traceflow_core::plan::Plan;
use traceflow_core::spec::{CommandLine, Manifest};
use traceflow_core::trace::Trace;
use traceflow_core::tracer::{Tracer, TracerBuilder};
use traceflow_ovs::directory::NodeDirectory;
use traceflow_ovs::layout::Carrier;
use traceflow_ovs::nodes::NodeSwitch;
use traceflow_ovs::pipeline::Antrea;
use traceflow_ovs::{Instance, OvsDatapath, Settings};
use traceflow_sim::Cluster;

pub(crate) struct World {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) datapaths: Vec<Arc<OvsDatapath>>,
    fabric: Mutex<Fabric>,
    form: Form,
    carrier: Carrier,
    /// Nodes whose switches were killed.
    dead: Mutex<BTreeSet<NodeName>>,
}

impl World {
    /// The demo cluster.
    pub(crate) fn demo(form: Form) -> Self {
        Self::of(Cluster::from_paths(["../examples/demo/cluster.yaml"]).unwrap(), form)
    }

    pub(crate) fn of(cluster: Cluster, form: Form) -> Self {
        Self::with_carrier(cluster, form, Carrier::TunnelId)
    }

    pub(crate) fn with_carrier(cluster: Cluster, form: Form, carrier: Carrier) -> Self {
        let nodes = realisation::realise(&cluster).unwrap();
        let fabric = Fabric::start(nodes, FabricSettings::new(form)).unwrap();
        for node in fabric.nodes() {
            forget_soon(&node.ovsdb);
        }
        let cluster = Arc::new(cluster);
        let datapaths = open(&fabric, &cluster, Instance::new(0), carrier);
        Self {
            cluster,
            datapaths,
            fabric: Mutex::new(fabric),
            form,
            carrier,
            dead: Mutex::default(),
        }
    }

    pub(crate) fn fabric(&self) -> MutexGuard<'_, Fabric> {
        self.fabric.lock().unwrap()
    }

    pub(crate) fn restart(&self, node: &NodeName) -> Result<(), String> {
        self.fabric().restart(node).map_err(|error| error.to_string())
    }

    pub(crate) fn kill(&self, node: &NodeName) -> Result<(), String> {
        self.dead.lock().unwrap().insert(node.clone());
        self.fabric().kill_switch(node).map_err(|error| error.to_string())
    }

    /// Starts all switches again that were killed.
    pub(crate) fn revive(&self) {
        for node in std::mem::take(&mut *self.dead.lock().unwrap()) {
            let mut fabric = self.fabric();
            fabric.start_switch(&node).unwrap();
            fabric.program(&node).unwrap();
        }
    }

    /// Has a Pod send this packet, as it is.
    pub(crate) fn send(&self, from: &ObjectName, packet: &Packet) -> Result<(), String> {
        let fabric = self.fabric();
        match self.form {
            Form::Rootless => {
                let link = fabric.pod_link(from).map_err(|error| error.to_string())?;
                link.send(&packet.to_vec()).map_err(|error| error.to_string())
            }
            Form::Root => {
                let sent = fabric.inside(from, || send_raw(packet));
                let sent = sent.map_err(|error| error.to_string())?;
                sent.map_err(|error| error.to_string())
            }
        }
    }

    /// New datapaths for the same switches: another tracer's, or those of the next life of ours.
    pub(crate) fn reopened(&self, instance: Instance) -> Vec<Arc<OvsDatapath>> {
        open(&self.fabric(), &self.cluster, instance, self.carrier)
    }

    pub(crate) fn tracer(&self) -> Tracer {
        self.tracer_to_be().predictor(self.cluster.clone()).start()
    }

    pub(crate) fn tracer_to_be(&self) -> TracerBuilder {
        let datapaths = self
            .datapaths
            .iter()
            .map(|datapath| datapath.clone() as Arc<dyn Datapath>);
        Tracer::builder(self.cluster.clone()).datapaths(datapaths)
    }

    pub(crate) fn plan(&self, source: &str, destination: &str, flow: &str) -> Plan {
        let asked = CommandLine {
            source: Some(source),
            destination: Some(destination),
            flow: Some(flow),
            ..CommandLine::default()
        };
        let spec = asked.spec(&*self.cluster).unwrap();
        Plan::resolve(&spec, &*self.cluster, &mut fastrand::Rng::new()).unwrap()
    }

    pub(crate) fn plan_of(&self, manifest: &str) -> Plan {
        let path = format!("../examples/demo/{manifest}.yaml");
        let text = Text::new(manifest, std::fs::read_to_string(path).unwrap());
        let manifests = Manifest::read(&text).unwrap();
        Plan::resolve(manifests[0].spec(), &*self.cluster, &mut fastrand::Rng::new()).unwrap()
    }

    /// The connection tracking entries of all nodes.
    pub(crate) fn conntrack(&self) -> String {
        let fabric = self.fabric();
        let dump = |control: &Path| {
            let mut command = Command::new("ovs-appctl");
            let output = command
                .arg("-t")
                .arg(control)
                .arg("dpctl/dump-conntrack")
                .output()
                .unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        fabric.nodes().map(|node| dump(&node.unixctl)).collect()
    }

    /// What is left of ours on any node.
    pub(crate) async fn leftovers(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for datapath in &self.datapaths {
            lines.extend(datapath.leftovers().await.unwrap());
        }
        lines
    }
}

/// Through the kernel's own stack, which finds the way and the next hop's MAC address.
fn send_raw(packet: &Packet) -> std::io::Result<()> {
    const ETHERNET: usize = 14;
    const IPPROTO_RAW: i32 = 255;
    let destination = packet.ip.destination();
    let domain = if destination.is_ipv4() {
        Domain::IPV4
    } else {
        Domain::IPV6
    };
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(IPPROTO_RAW)))?;
    let sent = socket.send_to(&packet.to_vec()[ETHERNET..], &SocketAddr::new(destination, 0).into())?;
    assert_eq!(sent, packet.to_vec().len() - ETHERNET);
    Ok(())
}

/// So that marks needn't rest for long.
const MAX_IDLE: Duration = Duration::from_secs(1);

/// Longer than a restart takes on a busy machine.
const GIVE_UP: Duration = Duration::from_secs(8);

pub(crate) fn forget_soon(database: &Path) {
    let set = format!("other_config:max-idle={}", MAX_IDLE.as_millis());
    let status = Command::new("ovs-vsctl")
        .arg(format!("--db=unix:{}", database.display()))
        .args(["set", "Open_vSwitch", ".", &set])
        .status();
    assert!(status.unwrap().success());
}

/// Datapaths of all switches, as `--nodes` opens them.
pub(crate) fn open(
    fabric: &Fabric,
    cluster: &Arc<Cluster>,
    instance: Instance,
    carrier: Carrier,
) -> Vec<Arc<OvsDatapath>> {
    let nodes = NodeSwitch::read_all(&Text::new("nodes.yaml", fabric.nodes_file())).unwrap();
    let open = |node: &NodeSwitch| Arc::new(OvsDatapath::open(settings(node, cluster, instance, carrier)));
    nodes.iter().map(open).collect()
}

pub(crate) fn settings(node: &NodeSwitch, cluster: &Arc<Cluster>, instance: Instance, carrier: Carrier) -> Settings {
    let directory = NodeDirectory::new(node, cluster.clone(), cluster.clone());
    Settings {
        max_idle: MAX_IDLE,
        give_up: Some(GIVE_UP),
        ..Settings::of(node, Arc::new(Antrea { carrier }), Arc::new(directory), instance)
    }
}

/// The number that an environment variable says, or else this one: continuous integration does a share of what a longer
/// run does.
pub(crate) fn number(variable: &str, otherwise: usize) -> usize {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|error| panic!("{variable}={text}: {error}")),
        Err(_) => otherwise,
    }
}

/// The path as text, a line for each observation.
pub(crate) fn path(trace: &Trace) -> Vec<String> {
    lines(trace.hops.iter().map(|hop| (&hop.node, &hop.observations)))
}

pub(crate) fn lines<'a>(
    hops: impl Iterator<Item = (&'a NodeName, &'a Vec<traceflow_core::observation::Observation>)>,
) -> Vec<String> {
    hops.flat_map(|(node, observations)| {
        observations.iter().map(move |seen| {
            let mut text = format!("{node} {} {}", seen.component, seen.action);
            for detail in [
                seen.component_info.as_ref().map(ToString::to_string),
                seen.network_policy.as_ref().map(ToString::to_string),
                seen.network_policy_rule.as_ref().map(ToString::to_string),
                seen.pod.as_ref().map(ToString::to_string),
                seen.egress.as_ref().map(ToString::to_string),
                seen.egress_ip.map(|address| format!("address {address}")),
                seen.egress_node.as_ref().map(|node| format!("at {node}")),
                seen.translated_src_ip.map(|address| format!("from {address}")),
                seen.translated_dst_ip.map(|address| format!("to {address}")),
                seen.tunnel_dst_ip.map(|address| format!("tunnel {address}")),
                seen.reason.as_ref().map(ToString::to_string),
            ]
            .into_iter()
            .flatten()
            {
                text += &format!(" {detail}");
            }
            text
        })
    })
    .collect()
}
