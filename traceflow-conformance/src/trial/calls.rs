//! Calls to all datapaths of the network under test.

use std::sync::Arc;

use traceflow_core::datapath::{Datapath, Probe, ProbeKind};
use traceflow_core::names::NodeName;
use traceflow_core::packet::Packet;

use super::Trial;
use crate::case::{Failure, ensure, succeeds};
use crate::network::Journey;

impl Trial {
    /// The datapaths of the nodes that the case didn't end.
    pub(crate) fn alive(&self) -> impl Iterator<Item = &Arc<dyn Datapath>> {
        let dead = self.issued().dead.clone();
        let all = self.network.datapaths.iter();
        all.filter(move |datapath| !dead.contains(datapath.node()))
    }

    /// Restarts the node's datapath.
    pub(crate) async fn restart(&self, node: &NodeName) -> Result<(), Failure> {
        let Some(restart) = &self.network.restart else {
            return Err(Failure::new("a way to restart a node", "none"));
        };
        let restarted = restart(node).await;
        restarted.map_err(|reason| Failure::new(format!("node {node} to restart"), reason))
    }

    /// Ends the node's datapath. It isn't cleaned up afterwards.
    pub(crate) async fn kill(&self, node: &NodeName) -> Result<(), Failure> {
        let Some(kill) = &self.network.kill else {
            return Err(Failure::new("a way to end a node", "none"));
        };
        self.issued().dead.insert(node.clone());
        let killed = kill(node).await;
        killed.map_err(|reason| Failure::new(format!("node {node} to end"), reason))
    }

    /// Attaches every node.
    pub(crate) async fn attach(&self) -> Result<(), Failure> {
        for datapath in self.alive() {
            succeeds("attach", datapath.attach().await)?;
        }
        Ok(())
    }

    /// Installs `probe` on every node.
    pub(crate) async fn install(&self, probe: &Probe) -> Result<(), Failure> {
        for datapath in self.alive() {
            succeeds("install", datapath.install(probe).await)?;
        }
        Ok(())
    }

    /// Installs the injected `probe` where that is needed for its packet to be reported.
    pub(crate) async fn ready(&self, probe: &Probe) -> Result<(), Failure> {
        for datapath in self.alive().filter(|datapath| !datapath.capabilities().standing_watch) {
            succeeds("install", datapath.install(probe).await)?;
        }
        Ok(())
    }

    /// Injects `packet` where the probe's Pod is.
    pub(crate) async fn inject(&self, probe: &Probe, packet: &Packet) -> Result<(), Failure> {
        let ProbeKind::Injected { pod, .. } = &probe.kind else {
            return Err(Failure::new("an injected probe", "a live one"));
        };
        succeeds("inject", self.datapath_of(pod)?.inject(probe, packet).await)
    }

    /// Readies a probe for a new packet over `journey` and injects it.
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
        let mut counts = Vec::new();
        for datapath in self.alive() {
            counts.extend(succeeds("remove", datapath.remove(probe).await)?.matched);
        }
        Ok(counts.into_iter().reduce(|sum, count| sum + count))
    }

    /// Detaches every node.
    pub(crate) async fn detach(&self) -> Result<(), Failure> {
        for datapath in self.alive() {
            succeeds("detach", datapath.detach().await)?;
        }
        Ok(())
    }

    /// What is left on all nodes, each line with its node, sorted.
    pub(crate) async fn leftovers(&self) -> Result<Vec<String>, Failure> {
        let mut all = Vec::new();
        for datapath in self.alive() {
            let left = succeeds("leftovers", datapath.leftovers().await)?;
            all.extend(left.iter().map(|line| format!("{}: {line}", datapath.node())));
        }
        all.sort();
        Ok(all)
    }

    /// Fails unless exactly `lines` are left, as [`leftovers`](Self::leftovers) gave them.
    pub(crate) async fn ensure_left(&self, lines: &[String], when: &str) -> Result<(), Failure> {
        let left = self.leftovers().await?;
        let expected = if lines.is_empty() {
            "nothing".to_owned()
        } else {
            format!("{lines:?}")
        };
        let expected = format!("{expected} to be left {when}");
        ensure(left == lines, expected, format_args!("{left:?}"))
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
}
