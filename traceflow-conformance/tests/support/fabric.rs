//! Two nodes that forward by a table and can do, honestly, whatever their capabilities claim.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use tokio::time::Instant;
use traceflow_conformance::{Journey, Network, Workloads};
use traceflow_core::datapath::{
    Capabilities, Datapath, DatapathError, Mark, Probe, ProbeKind, Removed, Report, Sighting,
};
use traceflow_core::fanout::Fanout;
use traceflow_core::inventory::{Inventory, NodeEntry, Owner, PodEntry, ServiceEntry};
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::observation::{Action, Component, ComponentInfo, DropReason, Observation, PolicyRef};
use traceflow_core::packet::{CapturedPacket, CapturedTransport, IpFamily, MacAddress, Nonce, Packet, Transport};
use traceflow_core::plan::{FlowMatch, Plan, Question};
use traceflow_core::trace::{Hop, Prediction, Predictor, Unpredictable, Verdict};

/// Everything that can be claimed.
pub(crate) fn everything() -> Capabilities {
    Capabilities {
        inject: true,
        live: true,
        dropped_only: true,
        ipv4: true,
        ipv6: true,
        protocols: None,
        marks: 16,
        nonce: true,
        standing_watch: true,
        counts_matches: true,
        ..Capabilities::default()
    }
}

/// The nodes, their Pods, and what passes between them.
pub(crate) struct Fabric {
    can: Capabilities,
    pods: BTreeMap<ObjectName, PodEntry>,
    nodes: BTreeMap<NodeName, Mutex<State>>,
    received: Mutex<BTreeMap<ObjectName, u64>>,
    eats: AtomicBool,
    litter: Mutex<Vec<String>>,
}

/// What is on a node.
struct State {
    /// The tracers whose watch stands.
    watches: BTreeSet<u32>,
    installed: Vec<Installed>,
    /// Marks that were removed, and until when they are remembered; nobody may use them before.
    resting: BTreeMap<Mark, Instant>,
    reports: Arc<Fanout>,
}

struct Installed {
    tracer: u32,
    probe: Probe,
    until: Instant,
    matched: u64,
}

impl Fabric {
    pub(crate) fn new(can: Capabilities) -> Arc<Self> {
        let pods = [
            ("client", "one", 1),
            ("server", "one", 2),
            ("remote", "two", 3),
            ("closed", "one", 4),
        ];
        let pods = pods.map(|(name, node, number)| pod(name, node, number));
        let state = || State {
            watches: BTreeSet::new(),
            installed: Vec::new(),
            resting: BTreeMap::new(),
            reports: Arc::new(Fanout::new(1024)),
        };
        Arc::new(Self {
            can,
            pods: pods.into_iter().map(|pod| (pod.name.clone(), pod)).collect(),
            nodes: ["one", "two"].map(|node| (node.into(), Mutex::new(state()))).into(),
            received: Mutex::default(),
            eats: AtomicBool::new(false),
            litter: Mutex::default(),
        })
    }

    /// The network for the suite, each datapath wrapped by `wrap`.
    pub(crate) fn network(
        self: &Arc<Self>,
        wrap: impl Fn(Arc<dyn Datapath>) -> Arc<dyn Datapath> + Send + Sync + 'static,
    ) -> Network {
        let fabric = self.clone();
        let open = move |tracer, node: &NodeName| -> Arc<dyn Datapath> {
            let (node, fabric) = (node.clone(), fabric.clone());
            wrap(Arc::new(Node { tracer, node, fabric }))
        };
        let datapaths = self.nodes.keys().map(|node| open(1, node)).collect();
        let client = ObjectName::new("default", "client");
        let to = |name: &str| Journey::between(client.clone(), ObjectName::new("default", name));
        let outside = if self.can.ipv4 {
            IpAddr::from([192, 0, 2, 1])
        } else {
            IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1])
        };
        Network {
            cross_node: Some(to("remote")),
            dropped: Some(to("closed")),
            outside: Some(Journey::to_address(client.clone(), outside)),
            workloads: Some(self.clone()),
            predictor: Some(self.clone()),
            successor: Some(Arc::new(move |node| open(2, node))),
            ..Network::new(datapaths, self.clone(), to("server"))
        }
    }

    /// What each node on the way does with `packet`, in order.
    fn way(&self, from: &ObjectName, packet: &Packet) -> Vec<(NodeName, Vec<Observation>)> {
        let classified = |action| Observation::new(Component::Forwarding, action).at(ComponentInfo::Classification);
        let start = self.pods[from].node.clone().unwrap();
        let entered = classified(Action::Forwarded);
        let Some(Owner::Pod(to)) = self.owner(packet.ip.destination()) else {
            let left = Observation::new(Component::Forwarding, Action::ForwardedOutOfNetwork);
            return vec![(start, vec![entered, left])];
        };
        let end = match &*to.name {
            "closed" => isolated(),
            _ => Observation::new(Component::Forwarding, Action::Delivered).at(ComponentInfo::Output),
        };
        let last = self.pods[&to].node.clone().unwrap();
        if last == start {
            return vec![(start, vec![entered, end])];
        }
        let sent = Observation::new(Component::Forwarding, Action::Forwarded).at(ComponentInfo::Output);
        vec![
            (start, vec![entered, sent]),
            (last, vec![classified(Action::Received), end]),
        ]
    }

    fn state(&self, node: &NodeName) -> MutexGuard<'_, State> {
        self.nodes[node].lock().unwrap()
    }

    /// From now on nothing arrives any more.
    pub(crate) fn eat(&self) {
        self.eats.store(true, Ordering::Relaxed);
    }

    /// Leaves something on all nodes that nobody removes.
    pub(crate) fn litter(&self) {
        self.litter.lock().unwrap().push("an orphan".to_owned());
    }

    /// Puts a packet into the destination's hands.
    pub(crate) fn hand_over(&self, packet: &Packet) {
        if let Some(Owner::Pod(pod)) = self.owner(packet.ip.destination()) {
            *self.received.lock().unwrap().entry(pod).or_default() += 1;
        }
    }
}

fn isolated() -> Observation {
    let policy = PolicyRef::kubernetes(ObjectName::new("default", "closed"));
    Observation::new(Component::NetworkPolicy, Action::Dropped)
        .at(ComponentInfo::IngressDefaultRule)
        .because(DropReason::DefaultIsolation {
            policies: [policy].into(),
        })
}

fn pod(name: &str, node: &str, number: u8) -> PodEntry {
    PodEntry {
        name: ObjectName::new("default", name),
        node: Some(node.into()),
        addresses: vec![
            IpAddr::from([10, 0, 0, number]),
            IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, number.into()]),
        ],
        mac: Some(MacAddress([2, 0, 0, 0, 0, number])),
        host_network: false,
        phase: "Running".into(),
    }
}

impl Inventory for Fabric {
    fn pod(&self, name: &ObjectName) -> Option<PodEntry> {
        self.pods.get(name).cloned()
    }

    fn service(&self, _: &ObjectName) -> Option<ServiceEntry> {
        None
    }

    fn owner(&self, address: IpAddr) -> Option<Owner> {
        let owner = self.pods.values().find(|pod| pod.addresses.contains(&address))?;
        Some(Owner::Pod(owner.name.clone()))
    }

    fn node(&self, name: &NodeName) -> Option<NodeEntry> {
        self.nodes.contains_key(name).then(|| NodeEntry {
            name: name.clone(),
            addresses: Vec::new(),
            gateway_mac: MacAddress([2, 0, 0, 0, 1, 0]),
        })
    }

    fn nodes(&self) -> Vec<NodeName> {
        self.nodes.keys().cloned().collect()
    }
}

impl Predictor for Fabric {
    fn predict(&self, plan: &Plan) -> Result<Prediction, Unpredictable> {
        let Question::Inject { pod, packet, .. } = &plan.question else {
            return Err(Unpredictable("only injected packets are predicted".into()));
        };
        let hops = self.way(pod, packet).into_iter().map(|(node, observations)| Hop {
            node,
            timestamp: SystemTime::UNIX_EPOCH,
            observations,
            after_gap: false,
        });
        let hops: Vec<_> = hops.collect();
        let last = hops.last().unwrap();
        let (node, end) = (last.node.clone(), last.observations.last().unwrap());
        let verdict = match end.action {
            Action::Delivered => Verdict::Delivered { node },
            Action::Dropped => Verdict::Dropped {
                node,
                reason: end.reason.clone(),
            },
            _ => Verdict::LeftNetwork { node },
        };
        Ok(Prediction { hops, verdict })
    }
}

#[async_trait]
impl Workloads for Fabric {
    async fn send(&self, from: &ObjectName, packet: &Packet) -> Result<(), String> {
        let way = self.way(from, packet);
        let dropped = way
            .iter()
            .flat_map(|(_, seen)| seen)
            .any(|seen| seen.action == Action::Dropped);
        for (hop, (node, observations)) in way.into_iter().enumerate() {
            self.state(&node)
                .see_live(&node, packet, hop == 0, dropped, observations);
        }
        if !dropped && !self.eats.load(Ordering::Relaxed) {
            self.hand_over(packet);
        }
        Ok(())
    }

    fn counts(&self) -> bool {
        true
    }

    async fn received(&self, pod: &ObjectName) -> u64 {
        self.received.lock().unwrap().get(pod).copied().unwrap_or(0)
    }
}

impl State {
    fn see_live(&mut self, node: &NodeName, packet: &Packet, first: bool, dropped: bool, seen: Vec<Observation>) {
        for Installed { probe, matched, .. } in &mut self.installed {
            let ProbeKind::Live { matching, dropped_only } = &probe.kind else {
                continue;
            };
            if !matches(matching, packet) {
                continue;
            }
            *matched += u64::from(first);
            if dropped || !dropped_only {
                self.reports
                    .send(&sighting(node, probe.mark, None, packet, seen.clone()));
            }
        }
    }

    fn check_rested(&self, mark: Mark) -> Result<(), DatapathError> {
        match self.resting.get(&mark) {
            Some(until) if *until > Instant::now() => Err(DatapathError::Refused(format!("mark {mark} rests").into())),
            _ => Ok(()),
        }
    }

    fn expire(&mut self) {
        self.installed.retain(|installed| installed.until > Instant::now());
    }
}

fn sighting(node: &NodeName, mark: Mark, nonce: Option<Nonce>, packet: &Packet, seen: Vec<Observation>) -> Report {
    Report::Seen(Sighting {
        node: node.clone(),
        mark,
        nonce,
        step: 0,
        observations: seen.into(),
        packet: Some(CapturedPacket {
            source: packet.ip.source(),
            destination: packet.ip.destination(),
            length: 60,
            ttl: packet.ip.ttl(),
            dscp: 0,
            flags: None,
            identification: None,
            protocol: packet.protocol(),
            transport: CapturedTransport::None,
            nonce,
        }),
        timestamp: SystemTime::now(),
    })
}

fn matches(wanted: &FlowMatch, packet: &Packet) -> bool {
    let (ip, ports) = (&packet.ip, packet.transport.ports());
    let flags = match packet.transport {
        Transport::Tcp { flags, .. } => Some(flags),
        _ => None,
    };
    let icmp = match &packet.transport {
        Transport::Icmp(header) | Transport::Icmpv6(header) => Some(header),
        _ => None,
    };
    wanted.family == IpFamily::of(ip.source())
        && wanted.source.is_none_or(|source| source == ip.source())
        && wanted
            .destination
            .is_none_or(|destination| destination == ip.destination())
        && wanted.protocol.is_none_or(|protocol| protocol == packet.protocol())
        && wanted
            .source_port
            .is_none_or(|port| ports.is_some_and(|(source, _)| source == port))
        && wanted
            .destination_port
            .is_none_or(|port| ports.is_some_and(|(_, destination)| destination == port))
        && wanted
            .tcp_flags
            .is_none_or(|wanted| flags.is_some_and(|flags| wanted.matches(flags)))
        && wanted
            .icmp_type
            .is_none_or(|wanted| icmp.is_some_and(|header| header.icmp_type == wanted))
        && wanted
            .icmp_code
            .is_none_or(|wanted| icmp.is_some_and(|header| header.code == wanted))
        && wanted.dscp.is_none_or(|dscp| dscp == 0)
}

/// One tracer's datapath of a node.
struct Node {
    tracer: u32,
    node: NodeName,
    fabric: Arc<Fabric>,
}

impl Node {
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.fabric.state(&self.node);
        state.expire();
        state
    }
}

#[async_trait]
impl Datapath for Node {
    fn node(&self) -> &NodeName {
        &self.node
    }

    fn capabilities(&self) -> &Capabilities {
        &self.fabric.can
    }

    async fn attach(&self) -> Result<(), DatapathError> {
        let mut state = self.state();
        state.installed.retain(|installed| installed.tracer == self.tracer);
        state.watches = BTreeSet::from([self.tracer]);
        Ok(())
    }

    async fn install(&self, probe: &Probe) -> Result<(), DatapathError> {
        self.fabric.can.permit_install(probe)?;
        let mut state = self.state();
        state.check_rested(probe.mark)?;
        state.installed.retain(|installed| installed.probe.trace != probe.trace);
        if state.installed.len() >= self.fabric.can.marks as usize {
            return Err(DatapathError::Refused("all marks are in use".into()));
        }
        state.installed.push(Installed {
            tracer: self.tracer,
            probe: probe.clone(),
            until: Instant::now() + probe.lifetime,
            matched: 0,
        });
        Ok(())
    }

    async fn inject(&self, probe: &Probe, packet: &Packet) -> Result<(), DatapathError> {
        self.fabric.can.permit_inject(packet)?;
        let ProbeKind::Injected { pod, .. } = &probe.kind else {
            return Err(DatapathError::Unsupported("inject for a live probe".into()));
        };
        if self.fabric.pods.get(pod).and_then(|pod| pod.node.as_ref()) != Some(&self.node) {
            return Err(DatapathError::Refused(format!("Pod {pod} is not here").into()));
        }
        self.state().check_rested(probe.mark)?;
        for (node, seen) in self.fabric.way(pod, packet) {
            let state = self.fabric.state(&node);
            let standing = self.fabric.can.standing_watch && state.watches.contains(&self.tracer);
            if standing
                || state
                    .installed
                    .iter()
                    .any(|installed| installed.probe.mark == probe.mark)
            {
                let nonce = self.fabric.can.nonce.then_some(packet.nonce);
                state.reports.send(&sighting(&node, probe.mark, nonce, packet, seen));
            }
        }
        Ok(())
    }

    async fn remove(&self, probe: &Probe) -> Result<Removed, DatapathError> {
        let mut state = self.state();
        state
            .resting
            .insert(probe.mark, Instant::now() + self.fabric.can.mark_memory);
        let ours = |installed: &mut Installed| installed.probe.trace == probe.trace;
        let matched: Option<u64> = state
            .installed
            .extract_if(.., ours)
            .map(|installed| installed.matched)
            .reduce(|a, b| a + b);
        let live = matches!(probe.kind, ProbeKind::Live { .. });
        let matched = (live && self.fabric.can.counts_matches).then(|| matched.unwrap_or(0));
        Ok(Removed { matched })
    }

    async fn detach(&self) -> Result<(), DatapathError> {
        self.state().watches.remove(&self.tracer);
        Ok(())
    }

    fn reports(&self) -> BoxStream<'static, Report> {
        self.state().reports.stream()
    }

    async fn leftovers(&self) -> Result<Vec<String>, DatapathError> {
        let state = self.state();
        let watches = state.watches.iter().map(|tracer| format!("watch of tracer {tracer}"));
        let probes = state
            .installed
            .iter()
            .map(|installed| format!("probe of trace {}", installed.probe.trace));
        let litter = self.fabric.litter.lock().unwrap().clone();
        Ok(watches.chain(probes).chain(litter).collect())
    }
}
