//! One switch as a tracer has it: what stands there, what was installed, what is under way; kept alive by one task.

mod asking;
mod attachment;
mod cleaning;
mod hearing;
mod keeping;
mod probes;
mod untold;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

use futures_core::stream::BoxStream;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::sync::{Mutex as AsyncMutex, Notify, broadcast};
use traceflow_core::datapath::{Capabilities, DatapathError, Report, TraceId};
use traceflow_core::fanout::Fanout;
use traceflow_openflow::message::{FlowCommand, FlowEntry, FlowMod, PacketIn2};

use self::asking::Held;
use self::attachment::Standing;
pub(crate) use self::probes::{Fate, Installed, expiry};
use self::untold::Untold;
use crate::channel::{Channel, Opening, Said};
use crate::flights::Flights;
use crate::instance::Instance;
use crate::layout::Layout;
use crate::losses::Losses;
use crate::mirror::Mirror;
use crate::ports::Ports;
use crate::settings::Settings;
use crate::settling::Settling;
use crate::unixctl::Unixctl;

/// Everything that the calls of a datapath and its task share.
pub(crate) struct Switch {
    pub(crate) settings: Settings,
    pub(crate) capabilities: Capabilities,
    pub(crate) channel: Channel,
    pub(crate) unixctl: Option<Unixctl>,
    settling: Settling,
    pub(crate) flights: Flights,
    losses: Losses,
    /// Which ports carry packets.
    pub(crate) ports: Ports,
    /// Something has happened to a port.
    ports_changed: Arc<Notify>,
    /// Where everything is; known once the switch was attached.
    layout: RwLock<Option<Arc<Layout>>>,
    /// Whether the watch stands. Held while that changes.
    standing: AsyncMutex<Standing>,
    /// The probes that are installed.
    live: Mutex<BTreeMap<TraceId, Installed>>,
    /// What is being undone.
    pub(crate) untold: Untold,
    /// Somebody else may have taken away what is ours.
    disturbed: Arc<Notify>,
    /// `None` once the switch is gone for good.
    reports: Mutex<Option<Fanout>>,
    /// The CNI's flows by which packets are put out.
    mirror: Mirror,
    /// The number of the next monitor.
    monitors: AtomicU32,
    /// Packets of which more is asked before they are told.
    held: UnboundedSender<Held>,
    /// For those who want the evidence itself.
    pub(crate) evidence: broadcast::Sender<Arc<PacketIn2>>,
}

impl Switch {
    pub(crate) fn open(settings: Settings, capabilities: Capabilities) -> Arc<Self> {
        let (held, holding) = mpsc::unbounded_channel();
        let switch = Arc::new_cyclic(|weak: &Weak<Self>| {
            let ears = weak.clone();
            let channel = Channel::open(Opening {
                address: settings.openflow.clone(),
                controller: settings.instance.controller(),
                give_up: settings.give_up,
                ears: Box::new(move |said: Said<'_>| ears.upgrade().map_or_else(Vec::new, |switch| switch.hear(said))),
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
                ports: Ports::default(),
                ports_changed: Arc::default(),
                layout: RwLock::default(),
                standing: AsyncMutex::new(Standing::Nothing),
                live: Mutex::default(),
                untold: Untold::default(),
                disturbed: Arc::default(),
                reports: Mutex::new(Some(Fanout::new(settings.unread_reports))),
                mirror: Mirror::default(),
                monitors: AtomicU32::new(1),
                held,
                evidence: broadcast::Sender::new(EVIDENCE),
                settings,
            }
        });
        tokio::spawn(keeping::keep(Arc::downgrade(&switch)));
        tokio::spawn(asking::ask(Arc::downgrade(&switch), holding));
        switch
    }

    pub(crate) fn instance(&self) -> Instance {
        self.settings.instance
    }

    pub(crate) fn layout(&self) -> Result<Arc<Layout>, DatapathError> {
        let layout = self.layout.read().unwrap_or_else(PoisonError::into_inner).clone();
        layout.ok_or_else(|| DatapathError::Refused("the switch was not attached".into()))
    }

    pub(crate) fn reports(&self) -> BoxStream<'static, Report> {
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

    pub(crate) async fn own_flows(&self) -> Result<Vec<FlowEntry>, DatapathError> {
        self.channel
            .flows(self.instance().cookie(), Instance::cookie_mask())
            .await
    }

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

/// Open vSwitch goes through its whole flow cache at least so often (`max-revalidator`, 500 ms by default).
const REVALIDATION: Duration = Duration::from_millis(500);

/// A wait for the flow cache takes half a second on an idle switch, more on a busy one.
const UNIXCTL_PATIENCE: Duration = Duration::from_secs(4);

/// How many packet-ins wait for those who want them as they came.
const EVIDENCE: usize = 256;

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

/// A panic elsewhere leaves these values whole: each change is complete in itself.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
