//! Two nodes whose policies are added and removed while they are traced, and what was in force when.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use testbed::fabric::{Fabric, Form, PodLink, Settings as FabricSettings};
use testbed::realisation::{NodeRealisation, RuleNumbers, realise_with};
use traceflow_core::datapath::Datapath;
use traceflow_core::input::Text;
use traceflow_core::inventory::{Direction, EgressEntry, Inventory, Surroundings};
use traceflow_core::names::ObjectName;
use traceflow_core::observation::{DropReason, PolicyRef};
use traceflow_core::packet::IpFamily;
use traceflow_core::plan::Plan;
use traceflow_core::trace::{Hop, Prediction, Predictor, Trace, Unpredictable, Verdict};
use traceflow_core::tracer::Tracer;
use traceflow_ovs::directory::{NodeDirectory, Rule};
use traceflow_ovs::layout::Carrier;
use traceflow_ovs::nodes::NodeSwitch;
use traceflow_ovs::unixctl::Unixctl;
use traceflow_ovs::{Instance, OvsDatapath, Settings};
use traceflow_sim::Cluster;

use crate::support::{self, lines};

/// The nodes with their tracer's datapaths.
pub(crate) struct Policed {
    /// Who is who, which never changes.
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) history: Arc<History>,
    pub(crate) datapaths: Vec<Arc<OvsDatapath>>,
    fabric: Mutex<Fabric>,
    directories: Vec<Arc<NodeDirectory>>,
    numbers: Mutex<RuleNumbers>,
}

/// The Pods, each with its node. Of every server a policy may say who is let in, of every client where it may go.
const PODS: [(&str, &str); 12] = [
    ("client-1", "one"),
    ("client-2", "one"),
    ("client-3", "two"),
    ("server-1", "one"),
    ("server-2", "one"),
    ("server-3", "two"),
    ("server-4", "two"),
    ("closed-1", "one"),
    ("closed-2", "two"),
    ("open", "two"),
    ("talker", "one"),
    ("listener", "two"),
];

/// The policies that come and go, each for one direction at one Pod: so no packet meets an edit on both nodes.
pub(crate) fn policies() -> BTreeMap<String, String> {
    let mut policies = BTreeMap::new();
    let mut add = |name: String, spec: String| {
        let text = format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: default}}\n{spec}"
        );
        policies.insert(name, text);
    };
    for server in 1..=4 {
        let chosen = format!("podSelector: {{matchLabels: {{name: server-{server}}}}}");
        let from = |who: &str| format!("from: [{{podSelector: {{matchLabels: {{{who}}}}}}}]");
        let http = "ports: [{protocol: TCP, port: 80}]";
        add(
            format!("into-server-{server}"),
            format!("spec: {{{chosen}, ingress: [{{{}, {http}}}]}}", from("role: client")),
        );
        add(
            format!("all-into-server-{server}"),
            format!("spec: {{{chosen}, ingress: [{{{}}}]}}", from("name: client-1")),
        );
    }
    for client in 1..=3 {
        let chosen = format!("podSelector: {{matchLabels: {{name: client-{client}}}}}, policyTypes: [Egress]");
        add(
            format!("from-client-{client}"),
            format!("spec: {{{chosen}, egress: [{{to: [{{podSelector: {{matchLabels: {{role: server}}}}}}]}}]}}"),
        );
        add(format!("shut-client-{client}"), format!("spec: {{{chosen}}}"));
    }
    policies.extend(antrea_policies());
    policies
}

/// Antrea's, before and behind those of Kubernetes, with every action, in several tiers and by a group.
fn antrea_policies() -> BTreeMap<String, String> {
    let rules = [
        (
            "server-1",
            "ClusterNetworkPolicy",
            "securityops",
            "ingress: [{name: http, action: Reject, from: [{group: clients}], ports: [{protocol: TCP, port: 80}]}]",
        ),
        (
            "server-2",
            "ClusterNetworkPolicy",
            "application",
            "ingress: [{name: one, action: Allow, from: [{podSelector: {matchLabels: {name: client-2}}}]}, {name: rest, action: Drop}]",
        ),
        (
            "server-3",
            "NetworkPolicy",
            "securityops",
            "ingress: [{name: onward, action: Pass, from: [{podSelector: {matchLabels: {role: client}}}]}, {name: rest, action: Drop}]",
        ),
        (
            "server-4",
            "ClusterNetworkPolicy",
            "baseline",
            "ingress: [{name: last, action: Reject, ports: [{protocol: UDP, port: 53}]}]",
        ),
        (
            "client-1",
            "ClusterNetworkPolicy",
            "emergency",
            "egress: [{name: none, action: Drop, to: [{podSelector: {matchLabels: {name: server-2}}}]}]",
        ),
        (
            "client-2",
            "NetworkPolicy",
            "application",
            "egress: [{name: names, action: Reject, ports: [{protocol: UDP, port: 53}]}]",
        ),
        (
            "client-3",
            "ClusterNetworkPolicy",
            "baseline",
            "egress: [{name: last, action: Drop, to: [{podSelector: {matchLabels: {role: server}}}]}]",
        ),
    ];
    let policy = |(number, (pod, kind, tier, rules)): (usize, (&str, &str, &str, &str))| {
        let name = format!("antrea-{pod}");
        let namespace = if kind == "NetworkPolicy" {
            ", namespace: default"
        } else {
            ""
        };
        let text = format!(
            "apiVersion: crd.antrea.io/v1beta1\nkind: {kind}\nmetadata: {{name: {name}{namespace}}}\nspec: {{tier: {tier}, \
             priority: {}, appliedTo: [{{podSelector: {{matchLabels: {{name: {pod}}}}}}}], {rules}}}",
            number + 1
        );
        (name, text)
    };
    rules.into_iter().enumerate().map(policy).collect()
}

fn cluster(policies: impl Iterator<Item = String>) -> Cluster {
    let mut builder = Cluster::builder();
    for (node, range) in [("one", 1), ("two", 2)] {
        builder = builder.node(node).pod_cidr(&format!("10.0.{range}.0/24"));
        builder = builder.pod_cidr(&format!("fd00:0:0:{range}::/64"));
    }
    for (number, (pod, node)) in PODS.into_iter().enumerate() {
        let role = pod.split('-').next().unwrap();
        let range = if node == "one" { 1 } else { 2 };
        builder = builder.pod(pod, node).label("name", pod).label("role", role);
        builder = builder.address(&format!("10.0.{range}.{}", 10 + number));
        builder = builder.address(&format!("fd00:0:0:{range}::{}", 10 + number));
    }
    builder = builder.yaml(SERVICES);
    policies
        .fold(builder, |builder, policy| builder.yaml(&policy))
        .build()
        .unwrap()
}

const SERVICES: &str = "
apiVersion: v1
kind: Service
metadata: {name: service, namespace: default}
spec:
  clusterIPs: [10.96.0.10, 'fd00:96::10']
  selector: {role: server}
  ports: [{name: http, protocol: TCP, port: 80}, {name: dns, protocol: UDP, port: 53}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: default}
spec: {podSelector: {matchLabels: {role: closed}}}
---
apiVersion: crd.antrea.io/v1beta1
kind: ClusterGroup
metadata: {name: clients}
spec: {podSelector: {matchLabels: {role: client}}}
";

impl Policed {
    pub(crate) fn start() -> Arc<Self> {
        let cluster = Arc::new(cluster(std::iter::empty()));
        let mut numbers = RuleNumbers::default();
        let nodes = realise_with(&cluster, &mut numbers).unwrap();
        let fabric = Fabric::start(nodes, FabricSettings::new(Form::Rootless)).unwrap();
        for node in fabric.nodes() {
            support::forget_soon(&node.ovsdb);
        }
        let history = Arc::new(History::new(cluster.clone()));
        let nodes = NodeSwitch::read_all(&Text::new("nodes.yaml", fabric.nodes_file())).unwrap();
        let directory = |node| Arc::new(NodeDirectory::new(node, cluster.clone(), history.clone()));
        let directories: Vec<_> = nodes.iter().map(directory).collect();
        let instance = Instance::new(0);
        let datapath = |(node, directory): (&NodeSwitch, &Arc<NodeDirectory>)| {
            let settings = Settings {
                directory: directory.clone(),
                ..support::settings(node, &cluster, instance, Carrier::TunnelId)
            };
            Arc::new(OvsDatapath::open(settings))
        };
        Arc::new(Self {
            datapaths: nodes.iter().zip(&directories).map(datapath).collect(),
            cluster,
            history,
            fabric: Mutex::new(fabric),
            directories,
            numbers: Mutex::new(numbers),
        })
    }

    pub(crate) fn tracer(&self) -> Tracer {
        let datapaths = self.datapaths.iter();
        Tracer::builder(self.cluster.clone())
            .datapaths(datapaths.map(|datapath| datapath.clone() as Arc<dyn Datapath>))
            .predictor(self.history.clone())
            .start()
    }

    /// Has these policies in force and no others; the switches do as they say when it returns.
    pub(crate) fn edit(&self, names: &BTreeSet<String>, policies: &BTreeMap<String, String>) {
        let cluster = Arc::new(cluster(names.iter().map(|name| policies[name].clone())));
        let nodes = realise_with(&cluster, &mut self.numbers.lock().unwrap()).unwrap();
        for (directory, node) in self.directories.iter().zip(&nodes) {
            directory.add_rules(rules(node));
        }
        self.history.begin(cluster);
        self.fabric.lock().unwrap().reprogram(nodes).unwrap();
        self.history.settle();
    }

    /// The link of a Pod, to send and receive by.
    pub(crate) fn link(&self, pod: &str) -> PodLink {
        let fabric = self.fabric.lock().unwrap();
        fabric.pod_link(&ObjectName::new("default", pod)).unwrap()
    }

    /// The connections that any node tracks, but for those of this Pod.
    pub(crate) async fn connections_without(&self, pod: &str) -> Vec<String> {
        let pod = self.cluster.pod(&ObjectName::new("default", pod)).unwrap();
        let its = |line: &str| {
            pod.addresses
                .iter()
                .any(|address| line.contains(&format!("src={address},")))
        };
        let nodes: Vec<_> = self.fabric.lock().unwrap().nodes().cloned().collect();
        let mut connections = Vec::new();
        for node in nodes {
            let address = format!("unix:{}", node.unixctl.display()).parse().unwrap();
            let unixctl = Unixctl::new(address, Duration::from_secs(20));
            let dump = unixctl.call("dpctl/dump-conntrack", &[]).await.unwrap();
            let others = dump.lines().filter(|line| !its(line));
            connections.extend(others.map(|line| format!("{}: {line}", node.name)));
        }
        connections
    }

    pub(crate) async fn leftovers(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for datapath in &self.datapaths {
            lines.extend(datapath.leftovers().await.unwrap());
        }
        lines
    }

    /// The memory of all switches, in bytes.
    pub(crate) fn memory_of_switches(&self) -> u64 {
        let processes = self.fabric.lock().unwrap().processes();
        processes.iter().map(|process| memory(&process.to_string())).sum()
    }
}

fn rules(node: &NodeRealisation) -> impl Iterator<Item = (u32, Rule)> + '_ {
    let rule = |rule: &testbed::realisation::RuleId| Rule {
        policy: rule.policy.clone(),
        name: rule.rule.clone(),
    };
    node.rules.iter().map(move |id| (id.id, rule(id)))
}

/// How much memory a process has in use, in bytes.
pub(crate) fn memory(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Which policies were in force when, each state by its number.
pub(crate) struct History {
    states: RwLock<BTreeMap<usize, Arc<InForce>>>,
    /// The state that the switches are being brought to, or have been.
    begun: AtomicUsize,
    /// The state that the switches were brought to last.
    settled: AtomicUsize,
}

/// So many states are kept; a trace takes less time than so many edits.
const KEPT: usize = 100;

/// The policies of one state, and how each journey ends under them.
pub(crate) struct InForce {
    pub(crate) cluster: Arc<Cluster>,
    answers: Mutex<HashMap<usize, Arc<BTreeSet<Answer>>>>,
}

/// How a packet's path ended, and the path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Answer {
    pub(crate) verdict: String,
    pub(crate) path: Vec<String>,
    /// The policies that isolate the Pod by which it was dropped. The switch doesn't say that; the model does, which
    /// may be ahead of the packet by one edit.
    pub(crate) isolating: Vec<String>,
}

impl Answer {
    pub(crate) fn of(trace: &Trace) -> Self {
        Self::new(&trace.hops, &trace.verdict)
    }

    fn new(hops: &[Hop], verdict: &Verdict) -> Self {
        let isolating = match verdict {
            Verdict::Dropped {
                reason: Some(DropReason::DefaultIsolation { policies }),
                ..
            } => policies.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        };
        let without = |text: String| match text.split_once(" by K8sNetworkPolicy") {
            Some((before, _)) if !isolating.is_empty() => before.to_owned(),
            _ => text,
        };
        let path = lines(hops.iter().map(|hop| (&hop.node, &hop.observations)));
        Self {
            verdict: without(verdict.to_string()),
            path: path.into_iter().map(without).collect(),
            isolating,
        }
    }

    /// Whether it is the same but for the policies that isolate the Pod.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        (&self.verdict, &self.path) == (&other.verdict, &other.path)
    }
}

impl History {
    fn new(cluster: Arc<Cluster>) -> Self {
        Self {
            states: RwLock::new(BTreeMap::from([(0, Arc::new(InForce::new(cluster)))])),
            begun: AtomicUsize::new(0),
            settled: AtomicUsize::new(0),
        }
    }

    fn begin(&self, cluster: Arc<Cluster>) {
        let next = self.begun() + 1;
        let mut states = self.states.write().unwrap();
        states.insert(next, Arc::new(InForce::new(cluster)));
        while states.len() > KEPT {
            states.pop_first();
        }
        drop(states);
        self.begun.store(next, SeqCst);
    }

    fn settle(&self) {
        self.settled.store(self.begun(), SeqCst);
    }

    pub(crate) fn begun(&self) -> usize {
        self.begun.load(SeqCst)
    }

    pub(crate) fn settled(&self) -> usize {
        self.settled.load(SeqCst)
    }

    /// The states of these numbers.
    pub(crate) fn between(&self, first: usize, last: usize) -> Vec<Arc<InForce>> {
        let states = self.states.read().unwrap();
        let found: Vec<_> = states.range(first..=last).map(|(_, state)| state.clone()).collect();
        assert_eq!(found.len(), last - first + 1, "a trace took longer than {KEPT} edits");
        found
    }

    fn now(&self) -> Arc<Cluster> {
        self.between(self.begun(), self.begun())[0].cluster.clone()
    }
}

impl InForce {
    fn new(cluster: Arc<Cluster>) -> Self {
        Self {
            cluster,
            answers: Mutex::default(),
        }
    }

    /// What is right under these policies about the journey of this number; `plans` are the same but for what a Service
    /// chooses by.
    pub(crate) fn answers(&self, journey: usize, plans: &[Arc<Plan>]) -> Arc<BTreeSet<Answer>> {
        let mut answers = self.answers.lock().unwrap();
        let right = answers.entry(journey).or_insert_with(|| {
            let predicted = plans.iter().map(|plan| self.cluster.predict(plan).unwrap());
            Arc::new(
                predicted
                    .map(|right| Answer::new(&right.hops, &right.verdict))
                    .collect(),
            )
        });
        right.clone()
    }
}

/// As the CNI's agent knows it, which learns of an edit before it programs it. Of a Pod that it has just freed it still
/// knows who isolated it, for the packet may have been dropped before.
impl Surroundings for History {
    fn isolating(&self, pod: &ObjectName, direction: Direction) -> Vec<PolicyRef> {
        let last = self.begun();
        let states = self.between(last.saturating_sub(1), last);
        let mut isolating = states
            .iter()
            .rev()
            .map(|state| Surroundings::isolating(&*state.cluster, pod, direction));
        isolating.find(|policies| !policies.is_empty()).unwrap_or_default()
    }

    fn is_pod_range(&self, address: IpAddr) -> bool {
        self.now().is_pod_range(address)
    }

    fn egress(&self, pod: &ObjectName, family: IpFamily) -> Option<EgressEntry> {
        self.now().egress(pod, family)
    }
}

impl Predictor for History {
    fn predict(&self, plan: &Plan) -> Result<Prediction, Unpredictable> {
        self.now().predict(plan)
    }

    fn predict_choosing(&self, plan: &Plan, endpoint: IpAddr) -> Result<Option<Prediction>, Unpredictable> {
        self.now().predict_choosing(plan, endpoint)
    }

    fn version(&self) -> Option<u64> {
        Some(self.begun() as u64)
    }
}
