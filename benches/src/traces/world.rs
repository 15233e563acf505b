//! The switches, and the packets that cross them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use testbed::fabric::{Fabric, Form, Settings as FabricSettings};
use testbed::realisation;
use traceflow_core::input::Text;
use traceflow_core::packet::{Packet, Patch};
use traceflow_core::plan::{Plan, Question};
use traceflow_core::spec::CommandLine;
use traceflow_ovs::directory::NodeDirectory;
use traceflow_ovs::nodes::NodeSwitch;
use traceflow_ovs::pipeline::Antrea;
use traceflow_ovs::{Instance, OvsDatapath, Settings};
use traceflow_sim::Cluster;

use super::{Failure, Scenario};

pub(crate) struct World {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) fabric: Fabric,
    pub(crate) sources: Arc<SourcePorts>,
}

/// Packets of one scenario, each of a connection of its own.
#[derive(Debug, Clone)]
pub(crate) struct Packets {
    pub(crate) plan: Plan,
    pub(crate) packet: Packet,
    /// The number of the port that they enter by.
    pub(crate) port: u32,
    /// How many nodes report them; the first of the world is where they enter.
    pub(crate) nodes: usize,
}

impl World {
    pub(crate) fn start() -> Result<Self, Failure> {
        let cluster = Cluster::from_yaml(CLUSTER)?;
        let fabric = Fabric::start(realisation::realise(&cluster)?, FabricSettings::new(Form::Rootless))?;
        Ok(Self {
            cluster: Arc::new(cluster),
            fabric,
            sources: Arc::new(SourcePorts::new()),
        })
    }

    /// Datapaths of all its switches.
    pub(super) fn datapaths(&self, instance: Instance) -> Result<Vec<Arc<OvsDatapath>>, Failure> {
        let nodes = NodeSwitch::read_all(&Text::new("nodes.yaml", self.fabric.nodes_file()))?;
        let open = |node: &NodeSwitch| {
            let surroundings = self.cluster.clone();
            let directory = Arc::new(NodeDirectory::new(node, self.cluster.clone(), surroundings));
            let settings = Settings::of(node, Arc::new(Antrea::default()), directory, instance);
            Arc::new(OvsDatapath::open(settings))
        };
        Ok(nodes.iter().map(open).collect())
    }

    pub(crate) fn packets(&self, scenario: Scenario) -> Result<Packets, Failure> {
        let asked = CommandLine {
            source: Some("client"),
            destination: Some(scenario.destination),
            flow: Some("tcp,tcp_dst=80"),
            ..CommandLine::default()
        };
        let plan = Plan::resolve(&asked.spec(&*self.cluster)?, &*self.cluster, &mut fastrand::Rng::new())?;
        let Question::Inject { pod, packet, .. } = &plan.question else {
            return Err("the plan injects nothing".into());
        };
        let mut ports = self.fabric.nodes().flat_map(|node| &node.pods);
        let port = ports.find(|port| port.pod == *pod).ok_or("the client has no port")?;
        Ok(Packets {
            packet: packet.clone(),
            port: port.port,
            nodes: scenario.nodes,
            plan,
        })
    }
}

impl Packets {
    /// The same question about another connection.
    pub(super) fn plan(&self, source: u16) -> Plan {
        let mut plan = self.plan.clone();
        if let Question::Inject { packet, .. } = &mut plan.question {
            *packet = Patch {
                source,
                ..Patch::of(packet)
            }
            .applied_to(packet);
        }
        plan
    }
}

/// Source ports for everybody, one after the other: a switch that remembers a connection treats its next packet unlike the
/// first.
#[derive(Debug)]
pub(crate) struct SourcePorts(AtomicU16);

impl SourcePorts {
    pub(super) fn new() -> Self {
        Self(AtomicU16::new(LOWEST))
    }

    pub(super) fn next(&self) -> u16 {
        let after = |port: u16| port.checked_add(1).unwrap_or(LOWEST);
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |port| Some(after(port)));
        taken.unwrap_or(LOWEST)
    }
}

/// The ports below have names.
const LOWEST: u16 = 1024;

/// Two nodes; policies allow the client's traffic to each Pod but one.
const CLUSTER: &str = "
apiVersion: v1
kind: Node
metadata: {name: one}
spec: {podCIDRs: [10.0.1.0/24]}
---
apiVersion: v1
kind: Node
metadata: {name: two}
spec: {podCIDRs: [10.0.2.0/24]}
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: default, labels: {app: client}}
spec: {nodeName: one}
status: {podIPs: [{ip: 10.0.1.10}]}
---
apiVersion: v1
kind: Pod
metadata: {name: server, namespace: default, labels: {app: server, serves: everybody}}
spec: {nodeName: one}
status: {podIPs: [{ip: 10.0.1.11}]}
---
apiVersion: v1
kind: Pod
metadata: {name: closed, namespace: default, labels: {app: closed}}
spec: {nodeName: one}
status: {podIPs: [{ip: 10.0.1.12}]}
---
apiVersion: v1
kind: Pod
metadata: {name: remote, namespace: default, labels: {app: server}}
spec: {nodeName: two}
status: {podIPs: [{ip: 10.0.2.10}]}
---
apiVersion: v1
kind: Service
metadata: {name: service, namespace: default}
spec:
  clusterIPs: [10.96.0.10]
  selector: {serves: everybody}
  ports: [{port: 80, protocol: TCP}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: default}
spec: {podSelector: {matchLabels: {app: closed}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: to-servers, namespace: default}
spec:
  podSelector: {matchLabels: {app: server}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: client}}}]
    ports: [{port: 80, protocol: TCP}]
";
