//! The backend: a switch of one node that forwards by a table from address to Pod, and reports what it did.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use traceflow_core::datapath::{Capabilities, Datapath, DatapathError, Probe, ProbeKind, Removed, Report, Sighting};
use traceflow_core::fanout::Fanout;
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::observation::{Action, Component, ComponentInfo, DropReason, Observation};
use traceflow_core::packet::Packet;

/// A switch with one table.
pub(crate) struct TableSwitch {
    node: NodeName,
    /// Which Pod is behind which address.
    pods: BTreeMap<IpAddr, ObjectName>,
    can: Capabilities,
    /// Whether packets of ours are looked at: all that tracing needs on this node.
    watching: AtomicBool,
    reports: Fanout,
}

impl TableSwitch {
    /// A switch on `node` with these Pods. It claims what works; everything else the tracer then refuses for us.
    pub(crate) fn new(node: NodeName, pods: BTreeMap<IpAddr, ObjectName>) -> Self {
        let can = Capabilities {
            inject: true,
            ipv4: true,
            marks: 16,
            nonce: true,
            standing_watch: true,
            ..Capabilities::default()
        };
        Self {
            node,
            pods,
            can,
            watching: AtomicBool::new(false),
            reports: Fanout::new(1024),
        }
    }

    /// What becomes of a packet. Another backend would learn this from its switch.
    fn look_up(&self, destination: IpAddr) -> Observation {
        match self.pods.get(&destination) {
            Some(_) => Observation::new(Component::Forwarding, Action::Delivered).at(ComponentInfo::Output),
            None => Observation::new(Component::Routing, Action::Dropped).because(DropReason::UnknownDestination),
        }
    }
}

#[async_trait]
impl Datapath for TableSwitch {
    fn node(&self) -> &NodeName {
        &self.node
    }

    fn capabilities(&self) -> &Capabilities {
        &self.can
    }

    async fn attach(&self) -> Result<(), DatapathError> {
        self.watching.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn detach(&self) -> Result<(), DatapathError> {
        self.watching.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Injected packets need nothing but the watch (`standing_watch`), and nothing else is claimed.
    async fn install(&self, probe: &Probe) -> Result<(), DatapathError> {
        self.can.permit_install(probe)
    }

    /// The packet goes through the table, and no further.
    async fn inject(&self, probe: &Probe, packet: &Packet) -> Result<(), DatapathError> {
        self.can.permit_inject(packet)?;
        match &probe.kind {
            ProbeKind::Injected { pod, .. } if self.pods.values().any(|known| known == pod) => {}
            _ => return Err(DatapathError::Refused("the probe's Pod is not here".into())),
        }
        if !self.watching.load(Ordering::Relaxed) {
            return Ok(());
        }
        let entered = Observation::new(Component::Forwarding, Action::Forwarded).at(ComponentInfo::Classification);
        self.reports.send(&Report::Seen(Sighting {
            established: false,
            node: self.node.clone(),
            mark: probe.mark,
            nonce: Some(packet.nonce),
            step: 0,
            observations: [entered, self.look_up(packet.ip.destination())].into(),
            packet: None,
            timestamp: SystemTime::now(),
        }));
        Ok(())
    }

    /// A probe leaves nothing here.
    async fn remove(&self, _: &Probe) -> Result<Removed, DatapathError> {
        Ok(Removed::default())
    }

    fn reports(&self) -> BoxStream<'static, Report> {
        self.reports.stream()
    }

    async fn leftovers(&self) -> Result<Vec<String>, DatapathError> {
        let watching = self.watching.load(Ordering::Relaxed);
        Ok(watching.then(|| "the watch".to_owned()).into_iter().collect())
    }
}
