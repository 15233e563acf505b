//! The datapath of one Open vSwitch node.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use tokio::sync::broadcast;
use traceflow_core::datapath::{Capabilities, Datapath, DatapathError, Probe, ProbeKind, Removed, Report};
use traceflow_core::names::NodeName;
use traceflow_core::packet::{Packet, Protocol};
use traceflow_openflow::Port;
use traceflow_openflow::message::{FlowMod, Message, PacketIn2, PacketOut};

use crate::conntrack::{Connection, Footprint};
use crate::instance::{MarkKind, WireMark};
use crate::layout::{Carrier, Layout};
use crate::settings::Settings;
use crate::switch::{Installed, Switch, delete, expiry};
use crate::watch::{self, Arrivals, LiveProbe};

/// Traces packets through one node's Open vSwitch, over OpenFlow.
///
/// Nothing is touched before [`attach`](Datapath::attach). Injected packets are watched by flows that attach puts in
/// place once; a trace of one is a packet-out and no flow-mod. Real traffic needs flows of its own. All flows bear
/// cookies of ours and go by themselves after a minute, should the tracer die.
pub struct OvsDatapath {
    switch: Arc<Switch>,
}

impl OvsDatapath {
    /// Begins to speak to the switch, in tasks of the current runtime; they end when the value is dropped.
    ///
    /// On a runtime of the current thread traces are quicker than on one of several threads, as no other thread has to be
    /// woken; `benches/README.md` has figures.
    ///
    /// # Panics
    /// Outside a tokio runtime with time and I/O enabled.
    pub fn open(settings: Settings) -> Self {
        let capabilities = capabilities(&settings);
        Self {
            switch: Switch::open(settings, capabilities),
        }
    }

    /// The packet-ins of traced packets from now on, as the switch sent them: the evidence behind the reports. Whoever
    /// doesn't read loses the oldest.
    pub fn packet_ins(&self) -> broadcast::Receiver<Arc<PacketIn2>> {
        self.switch.evidence.subscribe()
    }

    /// What the probe needs on the switch beside what stands there: real packets are to be marked, and those that other
    /// nodes have marked by their DSCP are to be known.
    fn flows_of(&self, probe: &Probe, layout: &Layout) -> Vec<FlowMod> {
        let instance = self.switch.instance();
        let (trace, mark, expires) = (probe.trace, probe.mark, expiry(probe.lifetime));
        let (mut flows, arriving) = match &probe.kind {
            ProbeKind::Injected { packet, .. } => (Vec::new(), Arrivals::of_injected(trace, mark, packet)),
            ProbeKind::Live { matching, .. } => {
                let kind = kind_of(probe);
                let register = instance.register(WireMark { kind, mark });
                let live_probe = LiveProbe {
                    trace,
                    register,
                    matching,
                    expires,
                };
                let arriving = Arrivals::of_live(trace, mark, kind, matching);
                (watch::live(layout, instance, live_probe), arriving)
            }
        };
        flows.extend(watch::arrivals(layout, instance, &arriving, expires));
        flows
    }

    async fn put(&self, probe: &Probe, flows: Vec<FlowMod>) -> Result<(), DatapathError> {
        let switch = &self.switch;
        switch.enlist(probe, &flows)?;
        let messages = flows.into_iter().map(Message::FlowMod).collect();
        let put = switch.channel.perform(messages).await;
        if put.is_err() {
            switch.live().remove(&probe.trace);
            // On an error nothing of the probe stays; if this fails too, the flows go by themselves.
            let _ = switch.channel.post(vec![self.deletion(probe)]);
            return put;
        }
        switch.stands(probe.trace);
        switch.settle().await;
        Ok(())
    }

    fn deletion(&self, probe: &Probe) -> Message {
        let cookie = self.switch.instance().trace_cookie(probe.trace);
        Message::FlowMod(delete(cookie, u64::MAX))
    }

    async fn remove_live(&self, probe: &Probe) -> Result<Removed, DatapathError> {
        let switch = &self.switch;
        let known = switch.live().remove(&probe.trace);
        let deleted = known.and_then(|known| known.deleted());
        switch.untold.keep(probe, deleted.into_iter().collect());
        let mut matched = 0;
        if switch.untold.holds(probe.trace) {
            // Packets of the flow cache are counted when it is gone through.
            switch.settle().await;
            switch.find_losses().await?;
            matched = self.matched(probe).await?;
        }
        switch.channel.perform(vec![self.deletion(probe)]).await?;
        Ok(Removed {
            matched: Some(matched),
            changes: switch.untold.tell(probe.trace),
        })
    }

    async fn remove_injected(&self, probe: &Probe, packet: &Packet) -> Result<Removed, DatapathError> {
        let switch = &self.switch;
        let Ok(layout) = switch.layout() else {
            return Ok(Removed::default());
        };
        let Left { footprint, silent } = self.left_by(probe, packet, &layout);
        switch.untold.keep(probe, footprint.changes);
        if silent || !footprint.messages.is_empty() {
            switch.clean_up(&footprint.messages, silent).await?;
            // It may have been seen meanwhile.
            if let Some(late) = switch.flights.visited(packet.nonce) {
                switch.untold.keep(probe, late.changes);
                switch.clean_up(&late.messages, false).await?;
            }
        } else {
            // What was sent when the packet was seen has arrived unless the connection was lost.
            switch.channel.up().await?;
        }
        if layout.carrier == Carrier::Dscp {
            let installed = switch.live().remove(&probe.trace);
            let deleted = installed.as_ref().and_then(Installed::deleted);
            switch.untold.keep(probe, deleted.into_iter().collect());
            let mut messages = vec![self.deletion(probe)];
            let shared = installed.map(|installed| switch.shared_with_others(&installed));
            messages.extend(shared.into_iter().flatten().map(Message::FlowMod));
            switch.channel.perform(messages).await?;
        }
        Ok(Removed {
            matched: None,
            changes: switch.untold.tell(probe.trace),
        })
    }

    /// What the probe's packets left here, or can have left.
    fn left_by(&self, probe: &Probe, packet: &Packet, layout: &Layout) -> Left {
        let unseen = || Footprint::unseen(Connection::of(packet), &layout.zones);
        let flights = &self.switch.flights;
        let (footprint, silent) = match flights.end(probe.trace) {
            Some(journey) if journey.settled => {
                let messages = Vec::new();
                let changes = journey.changes;
                (Footprint { messages, changes }, false)
            }
            Some(_) => (unseen(), true),
            None => match flights.visited(packet.nonce) {
                Some(footprint) => (footprint, false),
                // Whose connection that is can't be told where strangers look the same.
                None if layout.carrier == Carrier::Dscp => (Footprint::default(), true),
                None => {
                    // Nobody knows that it came here at all.
                    let Footprint { messages, .. } = unseen();
                    let changes = Vec::new();
                    (Footprint { messages, changes }, true)
                }
            },
        };
        Left { footprint, silent }
    }

    /// How many packets the flow that marks has marked, without those that were unmarked behind it.
    async fn matched(&self, probe: &Probe) -> Result<u64, DatapathError> {
        let cookie = self.switch.instance().trace_cookie(probe.trace);
        let flows = self.switch.channel.flows(cookie, u64::MAX).await?;
        let count = |kind| {
            let of_kind = flows
                .iter()
                .filter(|flow| watch::live_kind(flow.priority) == Some(kind));
            of_kind.filter_map(|flow| flow.statistics.packets).sum::<u64>()
        };
        Ok(count(watch::LiveKind::Marks).saturating_sub(count(watch::LiveKind::Unmarks)))
    }
}

fn kind_of(probe: &Probe) -> MarkKind {
    match probe.kind {
        ProbeKind::Injected { .. } => MarkKind::Injected,
        ProbeKind::Live { dropped_only: true, .. } => MarkKind::DroppedOnly,
        ProbeKind::Live { .. } => MarkKind::Live,
    }
}

/// What every Open vSwitch can do with such a pipeline.
///
/// SCTP is left out where connections are tracked: the userspace datapath does that by addresses alone, so that one
/// association makes every other between the same Pods look established, and translates nothing.
fn capabilities(settings: &Settings) -> Capabilities {
    let carrier = settings.pipeline.carrier();
    let all_but_sctp = || {
        (0..=u8::MAX)
            .map(Protocol)
            .filter(|&protocol| protocol != Protocol::SCTP)
    };
    Capabilities {
        inject: true,
        live: true,
        dropped_only: true,
        ipv4: true,
        ipv6: true,
        protocols: settings.pipeline.is_stateful().then(|| all_but_sctp().collect()),
        marks: carrier.marks(),
        mark_memory: settings.max_idle + Duration::from_secs(1),
        nonce: true,
        standing_watch: carrier == Carrier::TunnelId,
        window: Some(settings.window),
        counts_matches: true,
    }
}

/// What an injected probe leaves behind.
struct Left {
    footprint: Footprint,
    /// The packet was not seen here; it may be that what the switch said of it never came.
    silent: bool,
}

#[async_trait]
impl Datapath for OvsDatapath {
    fn node(&self) -> &NodeName {
        &self.switch.settings.node
    }

    fn capabilities(&self) -> &Capabilities {
        &self.switch.capabilities
    }

    async fn attach(&self) -> Result<(), DatapathError> {
        self.switch.attach().await
    }

    async fn install(&self, probe: &Probe) -> Result<(), DatapathError> {
        self.capabilities().permit_install(probe)?;
        let layout = self.switch.layout()?;
        let flows = self.flows_of(probe, &layout);
        if flows.is_empty() {
            return self.switch.channel.up().await.map(drop);
        }
        self.put(probe, flows).await
    }

    async fn inject(&self, probe: &Probe, packet: &Packet) -> Result<(), DatapathError> {
        self.capabilities().permit_inject(packet)?;
        let ProbeKind::Injected { pod, .. } = &probe.kind else {
            return Err(DatapathError::Unsupported("inject a packet for a live probe".into()));
        };
        let switch = &self.switch;
        let layout = switch.layout()?;
        let port = switch.settings.directory.port(pod);
        let port =
            port.ok_or_else(|| DatapathError::Refused(format!("no port of Pod {pod} is on this node").into()))?;
        switch.channel.up().await?;
        let connection = Connection::of(packet);
        let again = switch.flights.begin(probe.trace, packet.nonce, connection).await;
        let register = switch.instance().register(WireMark {
            kind: MarkKind::Injected,
            mark: probe.mark,
        });
        let mut messages = Vec::with_capacity(1);
        if again {
            // A repeated tuple would be translated before the load balancer has its say.
            messages.extend(connection.forgotten_in_all(&layout.zones));
        }
        let actions = watch::injection(&layout, register);
        messages.push(Message::PacketOut(PacketOut::new(Port(port), packet.to_vec(), actions)));
        switch.channel.post_when_up(messages).await
    }

    async fn remove(&self, probe: &Probe) -> Result<Removed, DatapathError> {
        match &probe.kind {
            ProbeKind::Injected { packet, .. } => self.remove_injected(probe, packet).await,
            ProbeKind::Live { .. } => self.remove_live(probe).await,
        }
    }

    async fn detach(&self) -> Result<(), DatapathError> {
        self.switch.detach().await
    }

    fn reports(&self) -> BoxStream<'static, Report> {
        self.switch.reports()
    }

    async fn leftovers(&self) -> Result<Vec<String>, DatapathError> {
        let flows = self.switch.own_flows().await?;
        let mut lines: Vec<String> = flows.iter().map(watch::described).collect();
        lines.sort_unstable();
        let unsettled = self.switch.flights.unsettled();
        lines.extend(
            unsettled
                .iter()
                .map(|trace| format!("connection tracking entries of trace {trace}")),
        );
        Ok(lines)
    }
}

impl std::fmt::Debug for OvsDatapath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OvsDatapath")
            .field("settings", &self.switch.settings)
            .finish_non_exhaustive()
    }
}
