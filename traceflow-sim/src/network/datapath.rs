//! One node of the simulated network, as a tracer sees it.

use std::sync::Arc;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::stream::{self, StreamExt};
use traceflow_core::datapath::{Capabilities, Datapath, DatapathError, Probe, ProbeKind, Removed, Report};
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::packet::Packet;

use super::Fabric;
use super::flight::{Flight, Sender};
use super::node::{Carried, now};
use crate::cluster::{NodeId, PodId};
use crate::pipeline::{Arrival, Owner, TracerId};

/// One tracer's datapath of one node.
#[derive(Debug)]
pub(super) struct SimDatapath {
    fabric: Arc<Fabric>,
    tracer: TracerId,
    node: NodeId,
}

impl SimDatapath {
    pub(super) fn new(fabric: Arc<Fabric>, tracer: TracerId, node: NodeId) -> Self {
        Self { fabric, tracer, node }
    }

    /// The Pod, if its port is on this node.
    fn port(&self, pod: &ObjectName) -> Result<PodId, DatapathError> {
        let cluster = &self.fabric.cluster;
        let is_here = |&id: &PodId| cluster.pod_record(id).node == Some(self.node);
        cluster
            .pod_id(pod)
            .filter(is_here)
            .ok_or_else(|| DatapathError::Refused(format!("no port of Pod {pod} is on this node").into()))
    }
}

#[async_trait]
impl Datapath for SimDatapath {
    fn node(&self) -> &NodeName {
        self.fabric.name(self.node)
    }

    fn capabilities(&self) -> &Capabilities {
        &self.fabric.settings.capabilities
    }

    async fn attach(&self) -> Result<(), DatapathError> {
        let mut node = self.fabric.node(self.node);
        node.reach()?;
        node.sweep(self.tracer);
        // Without a standing watch there is nothing to put in place.
        if self.capabilities().standing_watch {
            node.put_watch(self.tracer);
        }
        Ok(())
    }

    async fn install(&self, probe: &Probe) -> Result<(), DatapathError> {
        self.capabilities().permit_install(probe)?;
        let mut node = self.fabric.node(self.node);
        node.reach()?;
        node.install(self.tracer, probe, self.fabric.settings.capabilities.marks, now())
    }

    async fn inject(&self, probe: &Probe, packet: &Packet) -> Result<(), DatapathError> {
        self.capabilities().permit_inject(packet)?;
        let ProbeKind::Injected { pod, .. } = &probe.kind else {
            return Err(DatapathError::Unsupported("inject a packet for a live probe".into()));
        };
        self.fabric.node(self.node).accepts_packets()?;
        let arrival = Arrival::Pod {
            pod: self.port(pod)?,
            mac: Some(packet.source_mac),
        };
        tracing::debug!(node = %self.node(), %pod, nonce = %packet.nonce, "inject");
        let flight = Flight {
            fabric: &self.fabric,
            sender: Sender::Tracer {
                carried: Carried {
                    owner: Owner {
                        tracer: self.tracer,
                        trace: probe.trace,
                    },
                    mark: probe.mark,
                    injected: true,
                },
                nonce: packet.nonce,
                lifetime: probe.lifetime,
            },
        };
        flight.fly(self.node, arrival, packet.into());
        Ok(())
    }

    async fn remove(&self, probe: &Probe) -> Result<Removed, DatapathError> {
        let mut node = self.fabric.node(self.node);
        node.reach()?;
        let removed = node.remove(self.tracer, probe, now())?;
        let matched = removed.matched.filter(|_| self.capabilities().counts_matches);
        Ok(Removed { matched, ..removed })
    }

    async fn detach(&self) -> Result<(), DatapathError> {
        let mut node = self.fabric.node(self.node);
        node.reach()?;
        node.take_watch(self.tracer);
        Ok(())
    }

    fn reports(&self) -> BoxStream<'static, Report> {
        match self.fabric.node(self.node).reports(self.tracer) {
            Some(reports) => reports.stream(),
            None => stream::empty().boxed(),
        }
    }

    async fn leftovers(&self) -> Result<Vec<String>, DatapathError> {
        let mut node = self.fabric.node(self.node);
        node.reach()?;
        Ok(node.leftovers(now()))
    }
}
