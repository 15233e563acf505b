//! One switch as a tracer has it: what stands there, what was installed, what is under way; kept alive by one task.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use tokio::sync::{Mutex as AsyncMutex, Notify, broadcast};
use tokio::time::Instant;
use traceflow_core::datapath::{Capabilities, DatapathError, Mark, Probe, ProbeKind, Report, Sighting, TraceId};
use traceflow_core::fanout::Fanout;
use traceflow_core::packet::Nonce;
use traceflow_openflow::Port;
use traceflow_openflow::message::{FlowCommand, FlowEntry, FlowMod, Message, PacketIn2};

use crate::channel::{Channel, Link, Opening, Said};
use crate::conntrack::{Belongs, Connection};
use crate::evidence::{Arrival, Evidence};
use crate::flights::Flights;
use crate::instance::{Instance, MarkKind};
use crate::layout::{Carrier, Layout};
use crate::losses::{Losses, shown};
use crate::pipeline::Switch as TablesAndPorts;
use crate::read;
use crate::settings::Settings;
use crate::settling::Settling;
use crate::unixctl::Unixctl;
use crate::watch::{self, Punt};

/// Everything that the calls of a datapath and its task share.
pub(crate) struct Switch {
    pub(crate) settings: Settings,
    pub(crate) capabilities: Capabilities,
    pub(crate) channel: Channel,
    pub(crate) unixctl: Option<Unixctl>,
    settling: Settling,
    pub(crate) flights: Flights,
    losses: Losses,
    /// Where everything is; known once the switch was attached.
    layout: RwLock<Option<Arc<Layout>>>,
    /// Whether the watch stands. Held while that changes.
    pub(crate) standing: AsyncMutex<Standing>,
    /// The probes that are installed.
    live: Mutex<BTreeMap<TraceId, Installed>>,
    /// Somebody else may have taken away what is ours.
    disturbed: Arc<Notify>,
    /// `None` once the switch is gone for good.
    reports: Mutex<Option<Fanout>>,
    /// For those who want the evidence itself.
    pub(crate) evidence: broadcast::Sender<Arc<PacketIn2>>,
}

/// What becomes of the DSCP by which a packet was known, once it was known by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It stays: the packet is our own.
    Kept,
    /// It is again what it was.
    Restored,
    /// Nobody knows what it was; it is 0.
    Cleared,
}

/// What stands on the switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing that we know of. Next: `Attached`.
    Nothing,
    /// The watch, over the connection of this number. Next: `Nothing`, when it is detached or the switch restarts; under a
    /// later number, when only the connection was lost.
    Attached(u64),
    /// The watch, which nobody wants any more. Next: `Nothing`, when the switch has been told.
    Unwanted,
}

/// A probe that has flows of its own on the switch.
#[derive(Debug, Clone)]
pub(crate) struct Installed {
    mark: Mark,
    /// Its mark is nobody else's.
    live: bool,
    /// What becomes of the DSCP of its packets when they come from another node.
    fate: Option<Fate>,
    flows: Vec<FlowMod>,
    /// How many of its packets were punted here.
    punts: u32,
    /// When they are to be gone.
    until: Instant,
}

impl Switch {
    /// Begins to speak to the switch, in tasks of the current runtime that end when the value is dropped.
    pub(crate) fn open(settings: Settings, capabilities: Capabilities) -> Arc<Self> {
        let switch = Arc::new_cyclic(|weak: &Weak<Self>| {
            let ears = weak.clone();
            let channel = Channel::open(Opening {
                address: settings.openflow.clone(),
                controller: settings.instance.controller(),
                give_up: settings.give_up,
                ears: Box::new(move |said| ears.upgrade().map_or_else(Vec::new, |switch| switch.hear(&said))),
            });
            Self {
                capabilities,
                channel,
                unixctl: settings
                    .unixctl
                    .clone()
                    .map(|address| Unixctl::new(address, UNIXCTL_PATIENCE)),
                settling: Settling::default(),
                flights: Flights::new(settings.window),
                losses: Losses::default(),
                layout: RwLock::default(),
                standing: AsyncMutex::new(Standing::Nothing),
                live: Mutex::default(),
                disturbed: Arc::default(),
                reports: Mutex::new(Some(Fanout::new(settings.unread_reports))),
                evidence: broadcast::Sender::new(EVIDENCE),
                settings,
            }
        });
        tokio::spawn(keep(Arc::downgrade(&switch)));
        switch
    }

    pub(crate) fn instance(&self) -> Instance {
        self.settings.instance
    }

    /// Where everything is.
    ///
    /// # Errors
    /// Nothing was attached yet.
    pub(crate) fn layout(&self) -> Result<Arc<Layout>, DatapathError> {
        let layout = self.layout.read().unwrap_or_else(PoisonError::into_inner).clone();
        layout.ok_or_else(|| DatapathError::Refused("the switch was not attached".into()))
    }

    /// The stream of a switch that is gone ends at once.
    pub(crate) fn reports(&self) -> futures_core::stream::BoxStream<'static, Report> {
        match &*lock(&self.reports) {
            Some(reports) => reports.stream(),
            None => Fanout::new(1).stream(),
        }
    }

    pub(crate) fn live(&self) -> MutexGuard<'_, BTreeMap<TraceId, Installed>> {
        lock(&self.live)
    }

    fn report(&self, report: &Report) {
        if let Some(reports) = &*lock(&self.reports) {
            reports.send(report);
        }
    }

    fn hear(&self, said: &Said) -> Vec<Message> {
        match said {
            Said::Packet(packet_in) => self.hear_packet(packet_in),
            Said::Gone(flow) => {
                let wanted = |trace: &TraceId| self.instance().trace_cookie(*trace) == flow.cookie;
                if flow.cookie == self.instance().cookie() || self.live().keys().any(wanted) {
                    self.disturbed.notify_one();
                }
                Vec::new()
            }
        }
    }

    /// Reads a packet-in, reports it, and says what is to be sent because of it: what the packet left is forgotten at
    /// once, in the order of the connection before anything else.
    fn hear_packet(&self, packet_in: &PacketIn2) -> Vec<Message> {
        if Punt::read(&packet_in.userdata).is_some() {
            self.losses.hear();
        }
        let Ok(layout) = self.layout() else { return Vec::new() };
        let directory = &*self.settings.directory;
        let Some(evidence) = Evidence::gather(packet_in, &layout, self.instance(), directory) else {
            return Vec::new();
        };
        if self.evidence.receiver_count() > 0 {
            // Nobody listening any more is no failure.
            let _ = self.evidence.send(Arc::new(packet_in.clone()));
        }
        let injected = evidence.mark.kind.is_injected();
        let nonce = evidence.packet.nonce.filter(|_| injected);
        let observations = read::observations(&evidence, &self.remarks(&evidence));
        // Before anybody hears of the packet: who is told that it was seen may ask what it has left.
        let messages = match nonce {
            Some(nonce) => self.settle_packet(nonce, &evidence),
            None => self.count_punt(evidence.mark.mark).into_iter().collect(),
        };
        self.report(&Report::Seen(Sighting {
            node: self.settings.node.clone(),
            mark: evidence.mark.mark,
            nonce,
            step: 0,
            observations: observations.into(),
            timestamp: SystemTime::now(),
            packet: Some(evidence.packet),
        }));
        messages
    }

    /// What is to be known about how the packet was observed.
    fn remarks(&self, evidence: &Evidence<'_>) -> Vec<String> {
        let mut remarks = Vec::new();
        let dscp = evidence.layout.carrier.dscp(evidence.mark.mark);
        if let Some(dscp) = dscp.filter(|_| evidence.arrival == Arrival::Tunnel) {
            remarks.push(read::carried(dscp, self.fate_of(evidence.mark.mark)));
        }
        if evidence.mark.kind == MarkKind::Injected {
            remarks.extend(read::other_connection(evidence).map(str::to_owned));
        }
        remarks
    }

    /// What has the switch forget the connection that an injected packet began: now, or when the probe is removed if it
    /// may be a stranger's that only looks like ours.
    fn settle_packet(&self, nonce: Nonce, evidence: &Evidence<'_>) -> Vec<Message> {
        let begun = self.flights.land(nonce);
        let messages = forgotten(evidence, begun);
        let visits = begun.is_none();
        let (now, later) = match evidence.mark.kind {
            MarkKind::Carried => (Vec::new(), messages),
            _ => (messages, Vec::new()),
        };
        if visits {
            self.flights.visit(nonce, later);
        }
        self.flights.tell(&now);
        now
    }

    /// A live trace follows one packet. Where its end is not seen, the others would be punted until its time is over; a
    /// flow of many packets must not have them all go through the switch's slow path for that.
    fn count_punt(&self, mark: Mark) -> Option<Message> {
        let mut live = self.live();
        let mut probes = live.iter_mut();
        let (&trace, installed) = probes.find(|(_, installed)| installed.live && installed.mark == mark)?;
        installed.punts += 1;
        if installed.punts != MOST_PUNTS {
            return None;
        }
        tracing::debug!(node = %self.settings.node, %trace, "enough packets were seen; no more are marked");
        installed.flows.clear();
        let cookie = self.instance().trace_cookie(trace);
        Some(Message::FlowMod(delete(cookie, u64::MAX)))
    }

    /// What becomes of the DSCP of packets with this mark that come from another node.
    fn fate_of(&self, mark: Mark) -> Option<Fate> {
        let live = self.live();
        let mut installed = live.values().filter(|installed| installed.mark == mark);
        installed.find_map(|installed| installed.fate)
    }

    /// Remembers what is about to be put in place for a probe.
    pub(crate) fn enlist(&self, probe: &Probe, flows: &[FlowMod]) -> Result<(), DatapathError> {
        let fate = match &probe.kind {
            ProbeKind::Injected { .. } => Fate::Kept,
            ProbeKind::Live { matching, .. } if matching.dscp.is_some() => Fate::Restored,
            ProbeKind::Live { .. } => Fate::Cleared,
        };
        let installed = Installed {
            mark: probe.mark,
            live: matches!(probe.kind, ProbeKind::Live { .. }),
            fate: (self.settings.pipeline.carrier() == Carrier::Dscp).then_some(fate),
            flows: flows.to_vec(),
            punts: 0,
            until: Instant::now() + probe.lifetime.min(LONGEST),
        };
        let marks = self.capabilities.marks;
        if !(1..=marks).contains(&probe.mark.0) {
            let words = format!("mark {} is none of the {marks} that there are", probe.mark);
            return Err(DatapathError::Refused(words.into()));
        }
        let mut live = self.live();
        let same = live
            .iter()
            .find(|(trace, other)| installed.live && other.live && other.mark == probe.mark && **trace != probe.trace);
        if let Some((trace, _)) = same {
            let words = format!("mark {} is in use by trace {trace}", probe.mark);
            return Err(DatapathError::Refused(words.into()));
        }
        live.insert(probe.trace, installed);
        Ok(())
    }

    /// The flows of other probes that match the very packets that a removed one's did, so that they went with it.
    pub(crate) fn shared_with_others(&self, removed: &Installed) -> impl Iterator<Item = FlowMod> + use<> {
        let key = |flow: &FlowMod| (flow.table, flow.priority, flow.matching.clone());
        let gone: Vec<_> = removed.flows.iter().map(key).collect();
        let others = self.live_flows(Instant::now());
        others.into_iter().filter(move |flow| gone.contains(&key(flow)))
    }

    /// Puts the watch in place, once for every life of the switch.
    pub(crate) async fn attach(&self) -> Result<(), DatapathError> {
        let mut standing = self.standing.lock().await;
        let number = self.channel.up().await?;
        if *standing == Standing::Attached(number) {
            // A switch that has just died is known to be dead when it doesn't answer; nobody attaches for every trace.
            return self.channel.ask(Message::BarrierRequest).await.map(drop);
        }
        // What a dead tracer left goes first, so that the table which it used is free.
        *standing = Standing::Nothing;
        self.channel
            .perform(vec![self.deletion(Instance::cookie_mask())])
            .await?;
        let layout = self.find_layout().await?;
        let flows = watch::standing(&layout, self.instance());
        *self.layout.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(layout));
        let messages = flows.into_iter().map(Message::FlowMod).collect();
        self.channel.perform(messages).await?;
        self.losses.begin();
        self.live().clear();
        *standing = Standing::Attached(number);
        Ok(())
    }

    /// Takes away all of this tracer's flows; those of a switch that can't be told now, when it is back.
    pub(crate) async fn detach(&self) -> Result<(), DatapathError> {
        let mut standing = self.standing.lock().await;
        self.live().clear();
        *standing = Standing::Unwanted;
        self.take_away(&mut standing).await
    }

    async fn take_away(&self, standing: &mut Standing) -> Result<(), DatapathError> {
        self.channel
            .perform(vec![self.deletion(Instance::cookie_mask())])
            .await?;
        *standing = Standing::Nothing;
        Ok(())
    }

    fn deletion(&self, mask: u64) -> Message {
        Message::FlowMod(delete(self.instance().cookie(), mask))
    }

    /// All flows of this tracer that are on the switch.
    pub(crate) async fn own_flows(&self) -> Result<Vec<FlowEntry>, DatapathError> {
        self.channel
            .flows(self.instance().cookie(), Instance::cookie_mask())
            .await
    }

    /// Has the switch forget what a probe's packets left; a switch that can't be told now is told when it is back.
    pub(crate) async fn clean_up(&self, left: Left) -> Result<(), DatapathError> {
        self.flights.owe(&left.messages);
        self.channel.up().await?;
        self.channel.post(left.messages.clone())?;
        if left.silent {
            self.find_losses().await?;
        } else {
            self.channel.perform(Vec::new()).await?;
        }
        self.flights.pay(&left.messages);
        Ok(())
    }

    /// Reports how much of what the switch has shown us never came.
    pub(crate) async fn find_losses(&self) -> Result<(), DatapathError> {
        let flows = self.channel.flows(self.instance().cookie(), u64::MAX).await?;
        match self.lost_of(&flows).await? {
            0 => {}
            count => self.report(&Report::Lost { count }),
        }
        Ok(())
    }

    async fn lost_of(&self, flows: &[FlowEntry]) -> Result<u64, DatapathError> {
        // What is counted already may still be on its way; it comes before this has an answer.
        self.channel.perform(Vec::new()).await?;
        Ok(self.losses.find(shown(flows)))
    }

    async fn find_layout(&self) -> Result<Layout, DatapathError> {
        self.check_ports().await?;
        let tables = self.channel.tables().await?;
        let switch = TablesAndPorts {
            free_tables: self.free_tables(tables.keys().rev()).await?,
            tables,
            tunnels: self.settings.tunnels.clone(),
            gateway: self.settings.gateway,
        };
        let layout = self.settings.pipeline.layout(&switch);
        layout.map_err(|error| DatapathError::Refused(error.to_string().into()))
    }

    /// Where a tunnel is looked for at a port that isn't there, packets for other nodes would seem to be delivered.
    async fn check_ports(&self) -> Result<(), DatapathError> {
        let tunnels = self.settings.tunnels.iter().map(|&port| ("tunnel", port));
        let gateway = self.settings.gateway.iter().map(|&port| ("gateway", port));
        let present = self.channel.ports().await?;
        let Some((what, port)) = tunnels.chain(gateway).find(|(_, port)| !present.contains_key(port)) else {
            return Ok(());
        };
        let mut shown: Vec<String> = present
            .iter()
            .map(|(port, name)| format!("{} ({name})", Port(*port)))
            .take(SHOWN)
            .collect();
        if present.len() > SHOWN {
            shown.push(format!("{} more", present.len() - SHOWN));
        }
        let words = format!(
            "the switch has no port {port}, which is said to be a {what}; it has {}",
            shown.join(", ")
        );
        Err(DatapathError::Refused(words.into()))
    }

    /// Those of these tables that have no flows. A busy node's flows take megabytes, so they are only counted.
    async fn free_tables(&self, tables: impl Iterator<Item = &u8>) -> Result<Vec<u8>, DatapathError> {
        let counts = tables.map(|&table| async move { (table, self.channel.count_flows(table).await) });
        let mut free = Vec::new();
        for (table, count) in join_all(counts).await {
            if count? == 0 {
                free.push(table);
            }
        }
        Ok(free)
    }

    /// Waits until real traffic is sure to meet the flows that are on the switch: a barrier doesn't cover the flow cache.
    pub(crate) async fn settle(&self) {
        self.settling.settle(|| self.wait_for_flow_cache()).await;
    }

    async fn wait_for_flow_cache(&self) {
        if let Some(unixctl) = &self.unixctl {
            match unixctl.revalidator_wait().await {
                Ok(()) => return,
                Err(error) => {
                    tracing::debug!(node = %self.settings.node, %error, "the flow cache is waited for by the clock")
                }
            }
        }
        tokio::time::sleep(REVALIDATION).await;
    }
}

/// What an injected probe leaves behind.
pub(crate) struct Left {
    /// What has the switch forget it.
    pub(crate) messages: Vec<Message>,
    /// The packet was not seen here; it may be that what the switch said of it never came.
    pub(crate) silent: bool,
}

/// More of its packets than any live trace needs to see on one node.
const MOST_PUNTS: u32 = 256;

/// A node has hundreds of ports; a message doesn't need them all.
const SHOWN: usize = 20;

/// A day is for ever, and leaves room in the arithmetic of time.
const LONGEST: Duration = Duration::from_secs(86_400);

/// Open vSwitch goes through its whole flow cache at least so often (`max-revalidator`, 500 ms by default).
const REVALIDATION: Duration = Duration::from_millis(500);

/// How many packet-ins wait for those who want them as they came.
const EVIDENCE: usize = 256;

/// A wait for the flow cache takes half a second on an idle switch, more on a busy one.
const UNIXCTL_PATIENCE: Duration = Duration::from_secs(4);

/// Deletes the flows of all tables whose cookies are so.
pub(crate) fn delete(cookie: u64, mask: u64) -> FlowMod {
    FlowMod {
        command: FlowCommand::Delete,
        table: 0xff,
        cookie,
        cookie_mask: mask,
        ..FlowMod::add()
    }
}

/// What an injected packet left in connection tracking, unless that is real traffic's.
fn forgotten(evidence: &Evidence<'_>, begun: Option<Connection>) -> Vec<Message> {
    let zones = &evidence.layout.zones;
    if Belongs::of(evidence) != Belongs::ToNobody {
        return Vec::new();
    }
    let here = Connection::in_last_zone(evidence);
    let Some(&first_zone) = zones.of(here.family()).first() else {
        return Vec::new();
    };
    let zone = evidence.zone().unwrap_or(first_zone);
    let mut messages: Vec<Message> = here.forgotten_in(zone).into_iter().collect();
    // Behind a second zone, the first one still has the connection as it was before.
    if let Some(begun) = begun
        && (zone, here) != (first_zone, begun)
    {
        messages.extend(begun.forgotten_in(first_zone));
    }
    messages
}

/// How often what stands is renewed, so that it only goes by itself when nobody is there any more.
const RENEWAL: Duration = Duration::from_secs(watch::EXPIRES as u64 / 3);

/// Follows the connection's fate and renews what stands, as long as anybody holds the switch.
async fn keep(switch: Weak<Switch>) {
    let Some((mut link, disturbed)) = switch
        .upgrade()
        .map(|switch| (switch.channel.link(), switch.disturbed.clone()))
    else {
        return;
    };
    let mut renewal = tokio::time::interval(RENEWAL);
    loop {
        let news = tokio::select! {
            changed = link.changed() => match changed {
                Ok(()) => News::Link,
                Err(_) => return,
            },
            () = disturbed.notified() => News::Disturbed,
            _ = renewal.tick() => News::Time,
        };
        let Some(switch) = switch.upgrade() else { return };
        let now = link.borrow_and_update().clone();
        if matches!(news, News::Link) {
            switch.flights.doubt();
        }
        match (news, now) {
            (News::Link, Link::Gone(reason)) => {
                tracing::warn!(node = %switch.settings.node, %reason, "the switch is gone for good");
                lock(&switch.reports).take();
                return;
            }
            (News::Link | News::Disturbed, Link::Up(number)) => switch.look_after(number).await,
            (News::Time, _) => switch.renew().await,
            (_, Link::Down(..) | Link::Gone(_)) => {}
        }
    }
}

/// Why the task looks after its switch.
enum News {
    Link,
    Disturbed,
    Time,
}

impl Switch {
    /// Is what stood on the switch still there? A connection that was lost says nothing about that, and a CNI that starts
    /// anew may delete whatever it doesn't know.
    async fn look_after(&self, number: u64) {
        let mut standing = self.standing.lock().await;
        if *standing == Standing::Unwanted {
            // If that fails, the connection is lost again; what comes after it will try anew.
            let _ = self.take_away(&mut standing).await;
        }
        self.pay_debts();
        let Standing::Attached(before) = *standing else { return };
        let expected = self
            .layout()
            .map_or(0, |layout| watch::standing(&layout, self.instance()).len());
        let found = match self.channel.flows(self.instance().cookie(), u64::MAX).await {
            Ok(flows) => flows,
            // As above.
            Err(DatapathError::Unavailable(_)) => return,
            Err(_) => Vec::new(),
        };
        let live_flows_stand = match self.live_flows_stand().await {
            Ok(stand) => stand,
            Err(DatapathError::Unavailable(_)) => return,
            Err(_) => false,
        };
        let unseen = if before == number { 0 } else { self.flights.lose_all() };
        if found.len() == expected && live_flows_stand {
            *standing = Standing::Attached(number);
            let lost = self.lost_of(&found).await.unwrap_or_default().max(unseen as u64);
            if lost > 0 {
                self.report(&Report::Lost { count: lost });
            }
            return;
        }
        let found = found.len();
        tracing::warn!(node = %self.settings.node, found, expected, "the switch has lost our flows");
        *standing = Standing::Nothing;
        self.live().clear();
        drop(standing);
        self.report(&Report::Restarted);
    }

    /// What was to be forgotten while the switch was out of reach.
    fn pay_debts(&self) {
        let owed = self.flights.owed();
        if self.channel.post(owed.clone()).is_ok() {
            self.flights.pay(&owed);
        }
    }

    /// Whether each live probe's flows are all there. Those of probes that were removed meanwhile go.
    async fn live_flows_stand(&self) -> Result<bool, DatapathError> {
        let (cookie, mask) = (self.instance().live_cookie(), Instance::live_cookie_mask());
        let flows = self.channel.flows(cookie, mask).await?;
        let wanted: BTreeSet<u64> = self
            .live()
            .keys()
            .map(|trace| self.instance().trace_cookie(*trace))
            .collect();
        let (found, strays): (Vec<_>, Vec<_>) = flows.iter().partition(|flow| wanted.contains(&flow.cookie));
        let strays: BTreeSet<u64> = strays.iter().map(|flow| flow.cookie).collect();
        let deletions = strays
            .into_iter()
            .map(|cookie| Message::FlowMod(delete(cookie, u64::MAX)));
        // What can't be sent now goes by itself.
        let _ = self.channel.post(deletions.collect());
        Ok(found.len() >= self.expected_live_flows())
    }

    fn expected_live_flows(&self) -> usize {
        let mut live = self.live();
        let now = Instant::now();
        live.retain(|_, installed| installed.until > now);
        live.values().map(|installed| installed.flows.len()).sum()
    }

    /// Puts everything that is to stay there once more: what is equal is replaced, and its time begins anew.
    async fn renew(&self) {
        let standing = self.standing.lock().await;
        let (Standing::Attached(number), Ok(layout)) = (*standing, self.layout()) else {
            return;
        };
        // After a loss of the connection it is first to be seen whether anything stands.
        if *self.channel.link().borrow() != Link::Up(number) {
            return;
        }
        let mut flows = watch::standing(&layout, self.instance());
        flows.extend(self.live_flows(Instant::now()));
        let messages = flows.into_iter().map(Message::FlowMod).collect();
        if let Err(error) = self.channel.perform(messages).await {
            tracing::warn!(node = %self.settings.node, %error, "what stands could not be renewed");
        }
    }

    /// The flows of live probes whose time isn't over, each with the time that it still has.
    fn live_flows(&self, now: Instant) -> Vec<FlowMod> {
        let mut live = self.live();
        live.retain(|_, installed| installed.until > now);
        let renewed = live.values().flat_map(|installed| {
            let expires = expiry(installed.until - now);
            installed.flows.iter().map(move |flow| FlowMod {
                hard_timeout: expires,
                ..flow.clone()
            })
        });
        renewed.collect()
    }
}

/// Seconds after which a flow with so much time left goes by itself.
pub(crate) fn expiry(left: Duration) -> u16 {
    let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
    seconds.clamp(1, watch::EXPIRES.into()) as u16
}

/// A panic elsewhere leaves these values whole: each change is complete in itself.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
