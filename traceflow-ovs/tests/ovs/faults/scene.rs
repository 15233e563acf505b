//! Two nodes of real switches with a tracer of their own, and what can happen to them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testbed::fabric::{Fabric, Form, Settings as FabricSettings};
use testbed::realisation::{RuleNumbers, realise_with};
use tokio::task::spawn_blocking;
use traceflow_core::datapath::Datapath;
use traceflow_core::input::Text;
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::packet::Packet;
use traceflow_core::plan::{Plan, Question};
use traceflow_core::spec::CommandLine;
use traceflow_core::tracer::Tracer;
use traceflow_ovs::directory::{NodeDirectory, Rule};
use traceflow_ovs::nodes::NodeSwitch;
use traceflow_ovs::pipeline::Antrea;
use traceflow_ovs::{Instance, OvsDatapath, Settings};
use traceflow_sim::{Cluster, ClusterBuilder};

use super::proxy::Proxy;
use super::staged::Staged;

pub(crate) const FIRST: &str = "one";
pub(crate) const FAR: &str = "two";

const OBJECTS: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: default}
spec: {podSelector: {matchLabels: {app: closed}}}
---
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: default}
spec:
  clusterIPs: [10.96.0.10]
  selector: {app: remote}
  ports: [{name: http, protocol: TCP, port: 80}]
";

pub(crate) struct Scene {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) fabric: Arc<Mutex<Fabric>>,
    pub(crate) numbers: Mutex<RuleNumbers>,
    pub(crate) directories: BTreeMap<NodeName, Arc<NodeDirectory>>,
    datapaths: BTreeMap<NodeName, Arc<Staged>>,
    proxies: BTreeMap<NodeName, Proxy>,
    tracer: Option<Tracer>,
    /// What the CNI put there.
    before: BTreeMap<NodeName, String>,
}

/// How the tracer reaches the switches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Straight,
    ThroughProxies,
}

/// A client on node one, and who it may call on either node.
fn builder() -> ClusterBuilder {
    let mut builder = Cluster::builder();
    for (node, range) in [(FIRST, "1"), (FAR, "2")] {
        builder = builder.node(node).pod_cidr(&format!("10.0.{range}.0/24"));
    }
    for (pod, node, address) in [
        ("client", FIRST, "10.0.1.10"),
        ("server", FIRST, "10.0.1.11"),
        ("remote", FAR, "10.0.2.10"),
        ("closed", FAR, "10.0.2.11"),
    ] {
        builder = builder.pod(pod, node).label("app", pod).address(address);
    }
    builder
}

/// The cluster with more in it than the usual.
pub(crate) fn cluster_with(objects: &str) -> Cluster {
    builder().yaml(OBJECTS).yaml(objects).build().unwrap()
}

impl Scene {
    pub(crate) async fn start(way: Way) -> Self {
        Self::of(builder().yaml(OBJECTS).build().unwrap(), way).await
    }

    pub(crate) async fn of(cluster: Cluster, way: Way) -> Self {
        let cluster = Arc::new(cluster);
        let mut numbers = RuleNumbers::default();
        let nodes = realise_with(&cluster, &mut numbers).unwrap();
        let fabric = spawn_blocking(|| Fabric::start(nodes, FabricSettings::new(Form::Rootless)).unwrap());
        let fabric = fabric.await.unwrap();
        let mut scene = Self {
            before: BTreeMap::new(),
            datapaths: BTreeMap::new(),
            directories: BTreeMap::new(),
            proxies: BTreeMap::new(),
            numbers: Mutex::new(numbers),
            tracer: None,
            fabric: Arc::new(Mutex::new(fabric)),
            cluster,
        };
        scene.before = scene.programs().await;
        scene.open(way);
        scene
    }

    fn open(&mut self, way: Way) {
        let nodes = NodeSwitch::read_all(&Text::new("nodes.yaml", self.fabric.lock().unwrap().nodes_file())).unwrap();
        let instance = Instance::new(0);
        for node in &nodes {
            let mut openflow = node.openflow.clone();
            if way == Way::ThroughProxies {
                let proxy = Proxy::to(&node.openflow);
                openflow = proxy.address();
                self.proxies.insert(node.name.clone(), proxy);
            }
            let directory = Arc::new(NodeDirectory::new(node, self.cluster.clone(), self.cluster.clone()));
            let settings = Settings {
                openflow,
                ..Settings::of(node, Arc::new(Antrea::default()), directory.clone(), instance)
            };
            let datapath = Staged::new(OvsDatapath::open(settings));
            self.datapaths.insert(node.name.clone(), datapath);
            self.directories.insert(node.name.clone(), directory);
        }
        let datapaths = self
            .datapaths
            .values()
            .map(|datapath| datapath.clone() as Arc<dyn Datapath>);
        let tracer = Tracer::builder(self.cluster.clone()).datapaths(datapaths);
        self.tracer = Some(tracer.predictor(self.cluster.clone()).start());
    }

    pub(crate) fn tracer(&self) -> &Tracer {
        self.tracer.as_ref().unwrap()
    }

    pub(crate) fn datapath(&self, node: &str) -> &Arc<Staged> {
        &self.datapaths[&node.into()]
    }

    pub(crate) fn proxy(&self, node: &str) -> &Proxy {
        &self.proxies[&node.into()]
    }

    pub(crate) fn plan(&self, destination: &str, live: bool, dropped_only: bool) -> Plan {
        let asked = CommandLine {
            source: Some("client"),
            destination: Some(destination),
            flow: Some("tcp,tcp_dst=80"),
            live_traffic: live,
            dropped_only,
            timeout: Some(Duration::from_secs(3)),
        };
        let spec = asked.spec(&*self.cluster).unwrap();
        Plan::resolve(&spec, &*self.cluster, &mut fastrand::Rng::new()).unwrap()
    }

    /// What the client would send if it were asked to go there.
    pub(crate) fn packet(&self, destination: &str) -> Packet {
        match self.plan(destination, false, false).question {
            Question::Inject { packet, .. } => packet,
            Question::Live { .. } => panic!("it was to be injected"),
        }
    }

    /// The client sends this as real traffic, so many times.
    pub(crate) async fn send(&self, packet: &Packet, times: usize) {
        let (fabric, frame) = (self.fabric.clone(), packet.to_vec());
        spawn_blocking(move || {
            let link = fabric.lock().unwrap();
            let link = link.pod_link(&ObjectName::new("default", "client")).unwrap();
            for _ in 0..times {
                link.send(&frame).unwrap();
            }
        })
        .await
        .unwrap();
    }

    /// Does something with the fabric, which blocks.
    pub(crate) async fn with_fabric<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Fabric) -> T + Send + 'static,
    ) -> T {
        let fabric = self.fabric.clone();
        spawn_blocking(move || work(&mut fabric.lock().unwrap())).await.unwrap()
    }

    /// Sends a signal to a node's ovs-vswitchd.
    pub(crate) fn signal_switch(&self, node: &str, signal: Signal) {
        let socket = self.switch(node).unixctl;
        let pid = std::fs::read_to_string(socket.with_file_name("vswitchd.pid")).unwrap();
        kill(Pid::from_raw(pid.trim().parse().unwrap()), signal).unwrap();
    }

    pub(crate) fn switch(&self, node: &str) -> testbed::fabric::SwitchNode {
        self.fabric.lock().unwrap().node(&node.into()).unwrap().clone()
    }

    /// Flows, groups and meters of every node, without counters and ages.
    pub(crate) async fn programs(&self) -> BTreeMap<NodeName, String> {
        self.with_fabric(|fabric| {
            fabric
                .nodes()
                .map(|node| (node.name.clone(), program(&node.openflow)))
                .collect()
        })
        .await
    }

    /// The connection tracking entries of every node.
    pub(crate) async fn connections(&self) -> Vec<String> {
        self.with_fabric(|fabric| fabric.nodes().flat_map(|node| connections(&node.unixctl)).collect())
            .await
    }

    /// The tracer ends; everything is as the CNI put it, and no connection has this source port.
    pub(crate) async fn ends_clean(mut self, case: &str, source_port: Option<u16>) {
        let closed = tokio::time::timeout(PATIENCE, self.tracer.take().unwrap().close()).await;
        closed.unwrap().unwrap();
        let after = self.programs().await;
        for (node, before) in &self.before {
            assert_eq!(&after[node], before, "{case}: node {node} is as the CNI put it");
        }
        if let Some(port) = source_port {
            let ours = format!("sport={port},");
            let left: Vec<String> = self.connections().await;
            let left: Vec<&String> = left.iter().filter(|entry| entry.contains(&ours)).collect();
            assert!(left.is_empty(), "{case}: {left:#?}");
        }
    }

    /// The CNI goes on to program what this cluster needs; who names rules hears of it first.
    pub(crate) async fn reprogram(&self, cluster: &Cluster) {
        let nodes = realise_with(cluster, &mut self.numbers.lock().unwrap()).unwrap();
        for node in &nodes {
            let rules = node.rules.iter().map(|rule| {
                let (policy, name) = (rule.policy.clone(), rule.rule.clone());
                (rule.id, Rule { policy, name })
            });
            self.directories[&node.name].add_rules(rules);
        }
        self.with_fabric(|fabric| fabric.reprogram(nodes).unwrap()).await;
    }

    /// As [`ends_clean`](Self::ends_clean), where the CNI has programmed something else meanwhile.
    pub(crate) async fn ends_as_reprogrammed(mut self, case: &str) {
        let closed = tokio::time::timeout(PATIENCE, self.tracer.take().unwrap().close()).await;
        closed.unwrap().unwrap();
        let after = self.programs().await;
        self.with_fabric(|fabric| {
            let nodes: Vec<NodeName> = fabric.nodes().map(|node| node.name.clone()).collect();
            nodes.iter().for_each(|node| fabric.program(node).unwrap());
        })
        .await;
        assert_eq!(after, self.programs().await, "{case}");
    }
}

/// Longer than anything takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

fn program(openflow: &Path) -> String {
    let dump = |what: &[&str]| {
        let mut command = Command::new("ovs-ofctl");
        command.args(["-O", "OpenFlow15", "--timeout=20"]).args(what);
        let text = output(command.arg(format!("unix:{}", openflow.display())));
        let mut lines: Vec<String> = text
            .lines()
            .filter(|line| !line.contains(" reply "))
            .map(|line| line.trim().to_owned())
            .collect();
        lines.sort_unstable();
        lines.join("\n")
    };
    [&["dump-flows", "--no-stats"][..], &["dump-groups"], &["dump-meters"]]
        .map(dump)
        .join("\n\n")
}

fn connections(unixctl: &Path) -> Vec<String> {
    let mut command = Command::new("ovs-appctl");
    command.args(["--timeout=20", "--target"]).arg(unixctl);
    let text = output(command.arg("dpctl/dump-conntrack"));
    text.lines().map(str::to_owned).collect()
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
