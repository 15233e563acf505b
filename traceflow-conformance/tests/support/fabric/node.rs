//! One node of the fabric: what is on it, and its datapath.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, MutexGuard};
use std::time::SystemTime;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::stream;
use tokio::time::Instant;
use traceflow_core::datapath::{
    Capabilities, Datapath, DatapathError, Mark, Probe, ProbeKind, Removed, Report, Sighting,
};
use traceflow_core::fanout::Fanout;
use traceflow_core::names::NodeName;
use traceflow_core::observation::Observation;
use traceflow_core::packet::{CapturedPacket, CapturedTransport, Nonce, Packet};
use traceflow_core::receipt::{Change, Changed, Fate};

use super::Fabric;
use super::matching::{dscp, matches};

/// What is on a node.
pub(super) struct State {
    /// The tracers whose watch stands.
    watches: BTreeSet<u32>,
    installed: Vec<Installed>,
    /// Marks that were removed, and until when they are remembered; nobody may use them before.
    resting: BTreeMap<Mark, Instant>,
    /// `None` for a node that is gone.
    reports: Option<Fanout>,
}

struct Installed {
    tracer: u32,
    probe: Probe,
    until: Instant,
    matched: u64,
}

/// A packet of real traffic.
pub(super) struct Passing<'a> {
    pub(super) packet: &'a Packet,
    /// It enters the network at this node.
    pub(super) enters: bool,
    /// Its connection began before.
    pub(super) known: bool,
    /// It will not arrive.
    pub(super) dropped: bool,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            watches: BTreeSet::new(),
            installed: Vec::new(),
            resting: BTreeMap::new(),
            reports: Some(Fanout::new(1024)),
        }
    }

    pub(super) fn restart(&mut self) {
        self.forget();
        self.send(&Report::Restarted);
    }

    pub(super) fn kill(&mut self) {
        self.forget();
        self.reports = None;
    }

    pub(super) fn see_live(&mut self, node: &NodeName, passing: &Passing<'_>, seen: &[Observation]) {
        let packet = passing.packet;
        let Some(reports) = &self.reports else { return };
        for Installed { probe, matched, .. } in &mut self.installed {
            let ProbeKind::Live { matching, dropped_only } = &probe.kind else {
                continue;
            };
            if !matches(matching, packet) || (matching.new_only && passing.known) {
                continue;
            }
            *matched += u64::from(passing.enters);
            if passing.dropped || !dropped_only {
                reports.send(&sighting(node, probe.mark, None, packet, seen.to_vec()));
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
        established: false,
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

/// One tracer's datapath of a node.
pub(super) struct Node {
    pub(super) tracer: u32,
    pub(super) node: NodeName,
    pub(super) fabric: Arc<Fabric>,
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
        let gone: Vec<Installed> = state.installed.extract_if(.., ours).collect();
        let matched = gone.iter().map(|installed| installed.matched).sum();
        let flows = Changed::Flows {
            count: gone.len() as u64,
        };
        let flows = Change {
            what: flows,
            fate: Fate::Undone,
        };
        Ok(Removed {
            matched: (live && self.fabric.can.counts_matches).then_some(matched),
            changes: Some(flows).filter(|_| !gone.is_empty()).into_iter().collect(),
        })
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
