//! Two nodes that forward by a table and can do, honestly, whatever their capabilities claim.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::future::ready;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::stream;
use tokio::time::Instant;
use traceflow_conformance::{Journey, Network, Outage, ServiceCall, Workloads};
use traceflow_core::datapath::{
    Capabilities, Datapath, DatapathError, Mark, Probe, ProbeKind, Removed, Report, Sighting,
};
use traceflow_core::fanout::Fanout;
use traceflow_core::inventory::{Inventory, NodeEntry, Owner, PodEntry, ServiceEntry, ServicePort};
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::observation::{Action, Component, ComponentInfo, DropReason, Observation, PolicyRef};
use traceflow_core::packet::{
    CapturedPacket, CapturedTransport, IpFamily, IpHeader, MacAddress, Nonce, Packet, Protocol, Transport,
};
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
    /// The connections that real traffic began, in the direction of their first packet.
    connections: Mutex<HashSet<Connection>>,
    restarts: AtomicUsize,
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
    /// `None` for a node that is gone.
    reports: Option<Fanout>,
}

/// Addresses and what tells connections between them apart.
type Connection = (IpAddr, IpAddr, u16);

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
            reports: Some(Fanout::new(1024)),
        };
        Arc::new(Self {
            can,
            pods: pods.into_iter().map(|pod| (pod.name.clone(), pod)).collect(),
            nodes: ["one", "two"].map(|node| (node.into(), Mutex::new(state()))).into(),
            received: Mutex::default(),
            connections: Mutex::default(),
            restarts: AtomicUsize::new(0),
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
            routed: Some(to("remote")),
            service: Some(self.call()),
            successor: Some(Arc::new(move |node| open(2, node))),
            restart: Some(self.outage(Self::restart)),
            kill: Some(self.outage(Self::kill)),
            ..Network::new(datapaths, self.clone(), to("server"))
        }
    }

    fn call(&self) -> ServiceCall {
        let name = |name: &str| ObjectName::new("default", name);
        ServiceCall {
            from: name("client"),
            service: name("service"),
            endpoints: vec![name("server"), name("remote")],
        }
    }

    fn outage(self: &Arc<Self>, outage: fn(&Self, &NodeName)) -> Outage {
        let fabric = self.clone();
        Arc::new(move |node| {
            outage(&fabric, node);
            Box::pin(ready(Ok(())))
        })
    }

    fn restart(&self, node: &NodeName) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state(node);
        state.forget();
        state.send(&Report::Restarted);
    }

    fn kill(&self, node: &NodeName) {
        let mut state = self.state(node);
        state.forget();
        state.reports = None;
    }

    /// How many nodes were restarted so far.
    pub(crate) fn restarts(&self) -> usize {
        self.restarts.load(Ordering::Relaxed)
    }

    /// What each node on the way does with a packet, in order. Calls of the Service go to the Pod on the other node.
    fn way(&self, from: &ObjectName, to: IpAddr, ttl: u8) -> Vec<(NodeName, Vec<Observation>)> {
        if !is_service(to) {
            return self.way_to(from, to, ttl);
        }
        let endpoint = &self.call().endpoints[1];
        let address = self.pods[endpoint].address(IpFamily::of(to)).unwrap();
        let mut chosen = Observation::new(Component::Lb, Action::Forwarded);
        chosen.pod = Some(endpoint.clone());
        chosen.translated_dst_ip = Some(address);
        let mut way = self.way_to(from, address, ttl);
        way[0].1.insert(1, chosen);
        way
    }

    fn way_to(&self, from: &ObjectName, to: IpAddr, ttl: u8) -> Vec<(NodeName, Vec<Observation>)> {
        let classified = |action| Observation::new(Component::Forwarding, action).at(ComponentInfo::Classification);
        let start = self.pods[from].node.clone().unwrap();
        let entered = classified(Action::Forwarded);
        let Some(Owner::Pod(to)) = self.owner(to) else {
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
        if ttl <= 1 {
            let expired = Observation::new(Component::Routing, Action::Dropped).because(DropReason::TtlExpired);
            return vec![(start, vec![entered, expired])];
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

    /// Remembers the packet's connection; says whether it was known, in either direction.
    fn meet(&self, packet: &Packet) -> bool {
        let (source, destination) = (packet.ip.source(), packet.ip.destination());
        let (from, to) = match packet.transport {
            Transport::Icmp(header) | Transport::Icmpv6(header) => (header.id, header.id),
            _ => packet.transport.ports().unwrap_or_default(),
        };
        let mut connections = self.connections.lock().unwrap();
        connections.contains(&(destination, source, to)) || !connections.insert((source, destination, from))
    }

    /// Puts a packet into the destination's hands.
    pub(crate) fn hand_over(&self, packet: &Packet) {
        if let Some(Owner::Pod(pod)) = self.owner(packet.ip.destination()) {
            *self.received.lock().unwrap().entry(pod).or_default() += 1;
        }
    }
}

/// The one Service's addresses.
fn service_addresses() -> [IpAddr; 2] {
    [[10, 96, 0, 1].into(), [0xfd00, 0x96, 0, 0, 0, 0, 0, 1].into()]
}

fn is_service(address: IpAddr) -> bool {
    service_addresses().contains(&address)
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

    fn service(&self, name: &ObjectName) -> Option<ServiceEntry> {
        let port = |protocol| ServicePort {
            protocol,
            port: 80,
            name: None,
        };
        (*name == self.call().service).then(|| ServiceEntry {
            name: name.clone(),
            cluster_ips: service_addresses().into(),
            ports: [Protocol::TCP, Protocol::UDP, Protocol::SCTP].map(port).into(),
        })
    }

    fn owner(&self, address: IpAddr) -> Option<Owner> {
        if is_service(address) {
            return Some(Owner::Service(self.call().service));
        }
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
        let ttl = match &plan.question {
            Question::Inject { packet, .. } => packet.ip.ttl(),
            Question::Live { .. } => 64,
        };
        let open = || Unpredictable("an end is left open".into());
        let (source, destination) = plan.source.as_ref().zip(plan.destination.as_ref()).ok_or_else(open)?;
        let Some(Owner::Pod(from)) = &source.owner else {
            return Err(open());
        };
        let hops = self
            .way(from, destination.address, ttl)
            .into_iter()
            .map(|(node, observations)| Hop {
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
        let way = self.way(from, packet.ip.destination(), packet.ip.ttl());
        let known = self.meet(packet);
        let dropped = way
            .iter()
            .flat_map(|(_, seen)| seen)
            .any(|seen| seen.action == Action::Dropped);
        for (hop, (node, observations)) in way.into_iter().enumerate() {
            self.state(&node)
                .see_live(&node, packet, hop == 0, known, dropped, observations);
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
    fn see_live(
        &mut self,
        node: &NodeName,
        packet: &Packet,
        first: bool,
        known: bool,
        dropped: bool,
        seen: Vec<Observation>,
    ) {
        let Some(reports) = &self.reports else { return };
        for Installed { probe, matched, .. } in &mut self.installed {
            let ProbeKind::Live { matching, dropped_only } = &probe.kind else {
                continue;
            };
            if !matches(matching, packet) || (matching.new_only && known) {
                continue;
            }
            *matched += u64::from(first);
            if dropped || !dropped_only {
                reports.send(&sighting(node, probe.mark, None, packet, seen.clone()));
            }
        }
    }

    /// What a restart does.
    fn forget(&mut self) {
        self.watches.clear();
        self.installed.clear();
        self.resting.clear();
    }

    fn send(&self, report: &Report) {
        if let Some(reports) = &self.reports {
            reports.send(report);
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
            dscp: dscp(packet),
            flags: None,
            identification: None,
            protocol: packet.protocol(),
            transport: CapturedTransport::from(packet),
            nonce,
        }),
        timestamp: SystemTime::now(),
    })
}

fn dscp(packet: &Packet) -> u8 {
    match &packet.ip {
        IpHeader::V4(header) => header.dscp,
        IpHeader::V6(header) => header.dscp,
    }
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
        && wanted.dscp.is_none_or(|wanted| wanted == dscp(packet))
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

    /// The state of a node that is there.
    fn reached(&self) -> Result<MutexGuard<'_, State>, DatapathError> {
        let state = self.state();
        match state.reports {
            Some(_) => Ok(state),
            None => Err(DatapathError::Unavailable("the node is gone".into())),
        }
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
        let mut state = self.reached()?;
        state.installed.retain(|installed| installed.tracer == self.tracer);
        state.watches = BTreeSet::from([self.tracer]);
        Ok(())
    }

    async fn install(&self, probe: &Probe) -> Result<(), DatapathError> {
        self.fabric.can.permit_install(probe)?;
        let mut state = self.reached()?;
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
        self.reached()?.check_rested(probe.mark)?;
        for (node, seen) in self.fabric.way(pod, packet.ip.destination(), packet.ip.ttl()) {
            let state = self.fabric.state(&node);
            let standing = self.fabric.can.standing_watch && state.watches.contains(&self.tracer);
            if standing
                || state
                    .installed
                    .iter()
                    .any(|installed| installed.probe.mark == probe.mark)
            {
                let nonce = self.fabric.can.nonce.then_some(packet.nonce);
                state.send(&sighting(&node, probe.mark, nonce, packet, seen));
            }
        }
        Ok(())
    }

    async fn remove(&self, probe: &Probe) -> Result<Removed, DatapathError> {
        let mut state = self.reached()?;
        let live = matches!(probe.kind, ProbeKind::Live { .. });
        // Injected packets share a mark if their nonces tell them apart.
        if live || !self.fabric.can.nonce {
            let until = Instant::now() + self.fabric.can.mark_memory;
            state.resting.insert(probe.mark, until);
        }
        let ours = |installed: &mut Installed| installed.probe.trace == probe.trace;
        let matched: Option<u64> = state
            .installed
            .extract_if(.., ours)
            .map(|installed| installed.matched)
            .reduce(|a, b| a + b);
        let matched = (live && self.fabric.can.counts_matches).then(|| matched.unwrap_or(0));
        Ok(Removed { matched })
    }

    async fn detach(&self) -> Result<(), DatapathError> {
        self.reached()?.watches.remove(&self.tracer);
        Ok(())
    }

    fn reports(&self) -> BoxStream<'static, Report> {
        match &self.state().reports {
            Some(reports) => reports.stream(),
            None => Box::pin(stream::empty()),
        }
    }

    async fn leftovers(&self) -> Result<Vec<String>, DatapathError> {
        let state = self.reached()?;
        let watches = state.watches.iter().map(|tracer| format!("watch of tracer {tracer}"));
        let probes = state
            .installed
            .iter()
            .map(|installed| format!("probe of trace {}", installed.probe.trace));
        let litter = self.fabric.litter.lock().unwrap().clone();
        Ok(watches.chain(probes).chain(litter).collect())
    }
}
