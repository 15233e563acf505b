//! Two nodes that forward by a table and can do, honestly, whatever their capabilities claim.

mod directory;
mod matching;
mod node;

use std::collections::{BTreeMap, HashSet};
use std::future::ready;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use traceflow_conformance::{Journey, Network, Outage, ServiceCall, Workloads};
use traceflow_core::datapath::{Capabilities, Datapath};
use traceflow_core::inventory::{Inventory, Owner, PodEntry};
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::observation::{Action, Component, ComponentInfo, DropReason, Observation, PolicyRef};
use traceflow_core::packet::{IpFamily, Packet, Transport};

use directory::{is_service, pod};
use node::{Node, Passing, State};

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
        window: None,
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

/// Addresses and what tells connections between them apart.
type Connection = (IpAddr, IpAddr, u16);

impl Fabric {
    pub(crate) fn new(can: Capabilities) -> Arc<Self> {
        let pods = [
            ("client", "one", 1),
            ("server", "one", 2),
            ("remote", "two", 3),
            ("closed", "one", 4),
        ];
        let pods = pods.map(|(name, node, number)| pod(name, node, number));
        Arc::new(Self {
            can,
            pods: pods.into_iter().map(|pod| (pod.name.clone(), pod)).collect(),
            nodes: ["one", "two"]
                .map(|node| (node.into(), Mutex::new(State::new())))
                .into(),
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
        self.state(node).restart();
    }

    fn kill(&self, node: &NodeName) {
        self.state(node).kill();
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

#[async_trait]
impl Workloads for Fabric {
    async fn send(&self, from: &ObjectName, packet: &Packet) -> Result<(), String> {
        let way = self.way(from, packet.ip.destination(), packet.ip.ttl());
        let known = self.meet(packet);
        let dropped = way
            .iter()
            .flat_map(|(_, seen)| seen)
            .any(|seen| seen.action == Action::Dropped);
        for (hop, (node, observations)) in way.iter().enumerate() {
            let passing = Passing {
                packet,
                enters: hop == 0,
                known,
                dropped,
            };
            self.state(node).see_live(node, &passing, observations);
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

fn isolated() -> Observation {
    let policy = PolicyRef::kubernetes(ObjectName::new("default", "closed"));
    Observation::new(Component::NetworkPolicy, Action::Dropped)
        .at(ComponentInfo::IngressDefaultRule)
        .because(DropReason::DefaultIsolation {
            policies: [policy].into(),
        })
}
