//! One try of one case on one network: the probes it hands out are remembered, so that the clean-up finds them.

mod calls;
mod packet;
mod plan;
mod watch;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use traceflow_core::datapath::{Capabilities, Datapath, Mark, Probe, ProbeKind, TraceId};
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::packet::{IpFamily, Nonce, Packet, Protocol};

pub(crate) use packet::{answer_to, matching, with_dscp, with_nonce, with_tcp_flags, with_ttl};
pub(crate) use watch::{Watch, ends_path, is_of, observations, words};

use crate::case::Failure;
use crate::network::{Destination, Journey, Network};
use crate::suite::Suite;

use packet::Wanted;

/// What a case works with: its network, and probes and packets made for it.
///
/// Only the cases of this crate look inside.
#[derive(Clone)]
pub struct Trial {
    network: Arc<Network>,
    suite: Suite,
    issued: Arc<Mutex<Issued>>,
}

/// What was handed out so far.
struct Issued {
    rng: fastrand::Rng,
    traces: u64,
    marks: u32,
    packets: u16,
    probes: Vec<Probe>,
    /// The nodes that the case ended.
    dead: BTreeSet<NodeName>,
}

/// Long enough that nothing of a probe goes by itself while its case runs.
const LIFETIME: Duration = Duration::from_secs(300);

/// Linux' net.ipv4.ip_local_port_range, about.
const FIRST_PORT: u16 = 32768;
const PORTS: u16 = 28000;

impl Trial {
    pub(crate) fn new(network: Network, suite: Suite) -> Self {
        let issued = Issued {
            rng: fastrand::Rng::with_seed(suite.seed),
            traces: 0,
            marks: 0,
            packets: 0,
            probes: Vec::new(),
            dead: BTreeSet::new(),
        };
        Self {
            network: Arc::new(network),
            suite,
            issued: Arc::new(Mutex::new(issued)),
        }
    }

    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    pub(crate) fn suite(&self) -> &Suite {
        &self.suite
    }

    /// The datapath on which the network's `same_node` way starts and ends.
    pub(crate) fn home(&self) -> Result<&Arc<dyn Datapath>, Failure> {
        self.start_of(&self.network.same_node)
    }

    /// The datapath of the node on which `journey` starts.
    pub(crate) fn start_of(&self, journey: &Journey) -> Result<&Arc<dyn Datapath>, Failure> {
        self.datapath_of(&journey.from)
    }

    /// The node on which `journey` ends.
    pub(crate) fn end_of(&self, journey: &Journey) -> Result<NodeName, Failure> {
        let node = match &journey.to {
            Destination::Pod(name) => self.network.inventory.pod(name).and_then(|pod| pod.node),
            Destination::Address(_) | Destination::Service(_) => None,
        };
        node.ok_or_else(|| Failure::new("a way to a Pod that has a node", format!("{journey:?}")))
    }

    /// The datapath of the node on which this Pod is.
    fn datapath_of(&self, pod: &ObjectName) -> Result<&Arc<dyn Datapath>, Failure> {
        let node = self.network.inventory.pod(pod).and_then(|pod| pod.node);
        let mut datapaths = self.network.datapaths.iter();
        let found = datapaths.find(|datapath| Some(datapath.node()) == node.as_ref());
        found.ok_or_else(|| {
            let expected = format!("the inventory to place Pod {pod} on a node with a datapath");
            Failure::new(expected, format!("{node:?}"))
        })
    }

    /// What the datapath of [`home`](Self::home) claims.
    pub(crate) fn claims(&self) -> Result<&Capabilities, Failure> {
        Ok(self.home()?.capabilities())
    }

    /// The families that are claimed.
    pub(crate) fn families(&self) -> Result<Vec<IpFamily>, Failure> {
        let can = self.claims()?;
        let families = [IpFamily::V4, IpFamily::V6].into_iter();
        Ok(families.filter(|&family| can.handles_family(family)).collect())
    }

    /// A packet for `journey` of the first family and protocol that are claimed.
    pub(crate) fn packet(&self, journey: &Journey) -> Result<Packet, Failure> {
        self.packet_of(journey, self.usual_family(journey)?, self.usual_protocol(journey)?)
    }

    /// A packet for `journey` with a nonce and a connection of its own; ICMP means the family's version of it.
    pub(crate) fn packet_of(&self, journey: &Journey, family: IpFamily, protocol: Protocol) -> Result<Packet, Failure> {
        let wanted = {
            let mut issued = self.issued();
            issued.packets = issued.packets.wrapping_add(1);
            Wanted {
                family,
                protocol,
                nonce: Nonce::random(&mut issued.rng),
                source: FIRST_PORT + issued.packets % PORTS,
            }
        };
        packet::build(&*self.network.inventory, journey, &wanted)
    }

    fn usual_family(&self, journey: &Journey) -> Result<IpFamily, Failure> {
        if let Destination::Address(address) = journey.to {
            return Ok(IpFamily::of(address));
        }
        let families = self.families()?;
        let mut usable = families.iter().copied();
        let claimed = match &journey.to {
            Destination::Service(name) => {
                let addresses = packet::service(&*self.network.inventory, name)?.cluster_ips;
                usable.find(|&family| addresses.iter().any(|&address| IpFamily::of(address) == family))
            }
            _ => usable.next(),
        };
        Ok(claimed.unwrap_or(IpFamily::V4))
    }

    fn usual_protocol(&self, journey: &Journey) -> Result<Protocol, Failure> {
        let can = self.claims()?;
        if let Destination::Service(name) = &journey.to {
            let ports = packet::service(&*self.network.inventory, name)?.ports;
            let claimed = ports.iter().find(|port| can.handles_protocol(port.protocol));
            return Ok(claimed.map_or(Protocol::TCP, |port| port.protocol));
        }
        let usual = [Protocol::TCP, Protocol::UDP, Protocol::ICMP, Protocol::SCTP];
        let first = can.protocols.as_ref().and_then(|protocols| protocols.first());
        let claimed = usual.into_iter().find(|&protocol| can.handles_protocol(protocol));
        Ok(claimed.or_else(|| first.copied()).unwrap_or(Protocol::TCP))
    }

    /// A mark that nobody uses. Once all were used it waits until the first is forgotten.
    pub(crate) async fn mark(&self) -> Result<Mark, Failure> {
        let can = self.claims()?;
        if self.issued().marks >= can.marks {
            tokio::time::sleep(can.mark_memory).await;
            self.issued().marks = 0;
        }
        let mut issued = self.issued();
        issued.marks += 1;
        Ok(Mark(issued.marks))
    }

    /// A probe for `packet`, injected at the start of `journey`.
    pub(crate) fn injected(&self, mark: Mark, journey: &Journey, packet: &Packet) -> Probe {
        let (pod, packet) = (journey.from.clone(), packet.clone());
        self.probe(mark, ProbeKind::Injected { pod, packet }, LIFETIME)
    }

    /// A probe for real traffic that looks like `packet`.
    pub(crate) fn live(&self, mark: Mark, packet: &Packet, dropped_only: bool) -> Probe {
        let matching = matching(packet);
        self.probe(mark, ProbeKind::Live { matching, dropped_only }, LIFETIME)
    }

    pub(crate) fn probe(&self, mark: Mark, kind: ProbeKind, lifetime: Duration) -> Probe {
        let mut issued = self.issued();
        issued.traces += 1;
        let trace = TraceId(issued.traces);
        let probe = Probe {
            trace,
            mark,
            kind,
            lifetime,
        };
        issued.probes.push(probe.clone());
        probe
    }

    /// One probe of each kind that is claimed, for the `same_node` way.
    pub(crate) async fn probes(&self) -> Result<Vec<Probe>, Failure> {
        let (can, journey) = (self.claims()?.clone(), &self.network.same_node);
        let mut probes = Vec::new();
        if can.inject {
            probes.push(self.injected(self.mark().await?, journey, &self.packet(journey)?));
        }
        if can.live {
            probes.push(self.live(self.mark().await?, &self.packet(journey)?, false));
        }
        Ok(probes)
    }

    /// The reports of all nodes from now on.
    pub(crate) fn watch(&self) -> Watch {
        let streams = self.network.datapaths.iter().map(|datapath| datapath.reports());
        Watch::new(streams, self.suite.patience, self.suite.quiet)
    }

    fn issued(&self) -> MutexGuard<'_, Issued> {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trial")
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}
