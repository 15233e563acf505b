//! One try of one case on one network: the probes it hands out are remembered, so that the clean-up finds them.

mod packet;
mod plan;
mod watch;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use traceflow_core::datapath::{Capabilities, Datapath, Mark, Probe, ProbeKind, TraceId};
use traceflow_core::names::NodeName;
use traceflow_core::packet::{IpFamily, Nonce, Packet, Protocol};

pub(crate) use packet::{matching, with_nonce};
pub(crate) use watch::{Watch, ends_path, is_of, observations, words};

use crate::case::{Failure, ensure};
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
        let node = self.network.inventory.pod(&journey.from).and_then(|pod| pod.node);
        let mut datapaths = self.network.datapaths.iter();
        datapaths
            .find(|datapath| Some(datapath.node()) == node.as_ref())
            .ok_or_else(|| {
                Failure::new(
                    "the inventory to place a journey's Pod on a node with a datapath",
                    fmt_node(node),
                )
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
        self.packet_of(journey, self.usual_family(journey)?, self.usual_protocol()?)
    }

    /// A packet for `journey` with a nonce and a connection of its own; ICMP means the family's version of it.
    pub(crate) fn packet_of(&self, journey: &Journey, family: IpFamily, protocol: Protocol) -> Result<Packet, Failure> {
        let wanted = {
            let mut issued = self.issued();
            issued.packets = issued.packets.wrapping_add(1);
            Wanted {
                family,
                protocol,
                nonce: Nonce(issued.rng.u64(1..)),
                source: FIRST_PORT + issued.packets % PORTS,
            }
        };
        packet::build(&*self.network.inventory, journey, &wanted)
    }

    fn usual_family(&self, journey: &Journey) -> Result<IpFamily, Failure> {
        if let Destination::Address(address) = journey.to {
            return Ok(IpFamily::of(address));
        }
        let claimed = self.families()?.first().copied();
        Ok(claimed.unwrap_or(IpFamily::V4))
    }

    fn usual_protocol(&self) -> Result<Protocol, Failure> {
        let can = self.claims()?;
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

    /// Attaches every node.
    pub(crate) async fn attach(&self) -> Result<(), Failure> {
        for datapath in &self.network.datapaths {
            datapath
                .attach()
                .await
                .map_err(|error| Failure::of_call("attach", &error))?;
        }
        Ok(())
    }

    /// Installs `probe` on every node.
    pub(crate) async fn install(&self, probe: &Probe) -> Result<(), Failure> {
        for datapath in &self.network.datapaths {
            let installed = datapath.install(probe).await;
            installed.map_err(|error| Failure::of_call("install", &error))?;
        }
        Ok(())
    }

    /// Installs the injected `probe` where that is needed for its packet to be reported.
    pub(crate) async fn ready(&self, probe: &Probe) -> Result<(), Failure> {
        for datapath in &self.network.datapaths {
            if !datapath.capabilities().standing_watch {
                let installed = datapath.install(probe).await;
                installed.map_err(|error| Failure::of_call("install", &error))?;
            }
        }
        Ok(())
    }

    /// Injects `packet` where the probe's Pod is.
    pub(crate) async fn inject(&self, probe: &Probe, packet: &Packet) -> Result<(), Failure> {
        let ProbeKind::Injected { pod, .. } = &probe.kind else {
            return Err(Failure::new("an injected probe", "a live one"));
        };
        let node = self.network.inventory.pod(pod).and_then(|entry| entry.node);
        let mut datapaths = self.network.datapaths.iter();
        let Some(datapath) = datapaths.find(|datapath| Some(datapath.node()) == node.as_ref()) else {
            return Err(Failure::new("the Pod's node to have a datapath", fmt_node(node)));
        };
        let injected = datapath.inject(probe, packet).await;
        injected.map_err(|error| Failure::of_call("inject", &error))
    }

    /// Attaches, readies a probe for `journey` and injects its packet: the usual beginning.
    pub(crate) async fn inject_over(&self, journey: &Journey) -> Result<(Probe, Packet), Failure> {
        let packet = self.packet(journey)?;
        let probe = self.inject_packet(journey, &packet).await?;
        Ok((probe, packet))
    }

    /// Readies a probe for `packet` and injects it.
    pub(crate) async fn inject_packet(&self, journey: &Journey, packet: &Packet) -> Result<Probe, Failure> {
        let probe = self.injected(self.mark().await?, journey, packet);
        self.ready(&probe).await?;
        self.inject(&probe, packet).await?;
        Ok(probe)
    }

    /// Has the journey's Pod send `packet` as real traffic.
    pub(crate) async fn send(&self, journey: &Journey, packet: &Packet) -> Result<(), Failure> {
        let Some(workloads) = &self.network.workloads else {
            return Err(Failure::new("workloads", "none"));
        };
        let sent = workloads.send(&journey.from, packet).await;
        sent.map_err(|reason| Failure::new("the workload to send a packet", reason))
    }

    /// Removes `probe` from every node; says how many packets matched, where somebody counted.
    pub(crate) async fn remove(&self, probe: &Probe) -> Result<Option<u64>, Failure> {
        let mut matched: Option<u64> = None;
        for datapath in &self.network.datapaths {
            let removed = datapath.remove(probe).await;
            let removed = removed.map_err(|error| Failure::of_call("remove", &error))?;
            matched = removed
                .matched
                .map_or(matched, |count| Some(matched.unwrap_or(0) + count));
        }
        Ok(matched)
    }

    /// Detaches every node.
    pub(crate) async fn detach(&self) -> Result<(), Failure> {
        for datapath in &self.network.datapaths {
            datapath
                .detach()
                .await
                .map_err(|error| Failure::of_call("detach", &error))?;
        }
        Ok(())
    }

    /// What is left on all nodes, each line with its node.
    pub(crate) async fn leftovers(&self) -> Result<Vec<String>, Failure> {
        let mut all = Vec::new();
        for datapath in &self.network.datapaths {
            let left = datapath.leftovers().await;
            let left = left.map_err(|error| Failure::of_call("leftovers", &error))?;
            all.extend(left.iter().map(|line| format!("{}: {line}", datapath.node())));
        }
        all.sort();
        Ok(all)
    }

    /// Removes what was handed out, detaches, and looks whether that left nothing.
    pub(crate) async fn clean_up(&self) -> Result<(), Failure> {
        let probes = std::mem::take(&mut self.issued().probes);
        for probe in &probes {
            self.remove(probe).await?;
        }
        self.detach().await?;
        self.ensure_left(&[], "after everything was removed and detached").await
    }

    /// Fails unless exactly `lines` are left, as [`leftovers`](Self::leftovers) gives them.
    pub(crate) async fn ensure_left(&self, lines: &[String], when: &str) -> Result<(), Failure> {
        let left = self.leftovers().await?;
        let expected = if lines.is_empty() {
            "nothing".to_owned()
        } else {
            format!("{lines:?}")
        };
        ensure(
            left == lines,
            format!("{expected} to be left {when}"),
            format_args!("{left:?}"),
        )
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

fn fmt_node(node: Option<NodeName>) -> String {
    node.map_or_else(|| "no node".to_owned(), |node| format!("node {node}"))
}
