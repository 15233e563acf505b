//! The one trait that a backend implements, and what crosses it.
//!
//! Commands go in, [`Report`]s come out; both are plain values. A backend reports what its node did with a packet and
//! never judges a whole trace.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures_core::stream::BoxStream;

use crate::names::{NodeName, ObjectName};
use crate::observation::Observation;
use crate::packet::{CapturedPacket, IpFamily, Nonce, Packet, Protocol};
use crate::plan::FlowMatch;
use crate::receipt::Change;

/// One node's packet processing: a switch, a simulator, anything that packets pass through.
///
/// All methods may be called at the same time from many tasks. Dropping a returned future may leave its work done or
/// not done; the caller then calls [`remove`](Self::remove) as it always does.
#[async_trait]
pub trait Datapath: Send + Sync {
    /// The node this datapath belongs to.
    fn node(&self) -> &NodeName;

    /// What this datapath can do. It doesn't change while the datapath lives.
    fn capabilities(&self) -> &Capabilities;

    /// Puts in place what stands as long as tracing is on.
    ///
    /// **Behavior**: constant in size, however many traces follow; a second call changes nothing. What a dead tracer
    /// left behind is swept first.
    ///
    /// # Errors
    /// [`DatapathError::Unavailable`] if the node can't be reached.
    async fn attach(&self) -> Result<(), DatapathError>;

    /// Readies this node to report the probe's packet. Needed for live probes, and for injected ones unless
    /// [`Capabilities::standing_watch`].
    ///
    /// **Behavior**: when it returns, the next matching packet is reported: no sleep is needed. On an error nothing of
    /// the probe stays behind.
    ///
    /// # Errors
    /// [`DatapathError::Unavailable`], or [`DatapathError::Refused`] if the datapath said no.
    async fn install(&self, probe: &Probe) -> Result<(), DatapathError>;

    /// Lets `packet` in at the port of the probe's Pod and sends it through the whole pipeline, as the first packet of
    /// its flow. Needs [`Capabilities::inject`].
    ///
    /// **Behavior**: reports of the packet carry `packet.nonce` if [`Capabilities::nonce`]. The packet is not handed
    /// to a Pod, gateway or uplink.
    ///
    /// # Errors
    /// [`DatapathError::Unavailable`], or [`DatapathError::Refused`] if the datapath said no.
    async fn inject(&self, probe: &Probe, packet: &Packet) -> Result<(), DatapathError>;

    /// Removes everything the probe left on this node: flows, tags, connection tracking and affinity entries.
    ///
    /// **Behavior**: works for a probe that was never installed here; a second call changes nothing. What was there before
    /// the probe stays, and is no change of the probe's. Each change is told once, by the call that undid it, or by the
    /// next if that one failed or was dropped.
    ///
    /// # Errors
    /// [`DatapathError::Unavailable`] if the node can't be reached; what is left then goes by itself after
    /// [`Probe::lifetime`].
    async fn remove(&self, probe: &Probe) -> Result<Removed, DatapathError>;

    /// Takes away what [`attach`](Self::attach) put in place. A second call changes nothing.
    ///
    /// # Errors
    /// [`DatapathError::Unavailable`] if the node can't be reached.
    async fn detach(&self) -> Result<(), DatapathError>;

    /// The reports from now on. Every stream gets every report; one that isn't read loses the newest and says how many
    /// by [`Report::Lost`]. It ends when the datapath is gone for good; then no trace waits for this node any more.
    /// [`Fanout`](crate::fanout::Fanout) does all this.
    fn reports(&self) -> BoxStream<'static, Report>;

    /// What of ours is on this node right now, one line each; empty after the last `remove` and `detach`.
    ///
    /// **Behavior**: what hasn't changed reads the same whenever it is asked for: lines are without counters and ages.
    ///
    /// # Errors
    /// [`DatapathError::Unavailable`] if the node can't be reached.
    async fn leftovers(&self) -> Result<Vec<String>, DatapathError>;
}

/// What a datapath can do. The default is nothing; a trace that needs more is refused before anything is touched.
///
/// ```
/// use traceflow_core::datapath::Capabilities;
///
/// let injector = Capabilities { inject: true, nonce: true, ipv4: true, marks: 1, ..Capabilities::default() };
/// assert!(!injector.live);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// It can inject packets.
    pub inject: bool,
    /// It can follow real traffic.
    pub live: bool,
    /// It can follow only real traffic that is dropped.
    pub dropped_only: bool,
    /// It handles IPv4.
    pub ipv4: bool,
    /// It handles IPv6.
    pub ipv6: bool,
    /// The protocols that it handles; `None` is all.
    pub protocols: Option<Vec<Protocol>>,
    /// How many marks it tells apart at once.
    pub marks: u32,
    /// How long it may remember a mark after `remove`; a mark rests that long before it is given out again.
    pub mark_memory: Duration,
    /// It reports the nonce of injected packets, so that they can share one mark.
    pub nonce: bool,
    /// What `attach` put in place sees injected packets; they need no `install`.
    pub standing_watch: bool,
    /// The most injected packets that it can report at a time without losing any; `None` is any number. Sessions keep to it on
    /// every node that a packet should pass, with fewer where reports were lost.
    pub window: Option<usize>,
    /// `remove` tells how many matching packets passed (for [`dropped_only`](Self::dropped_only)).
    pub counts_matches: bool,
}

impl Capabilities {
    /// Whether it handles this family.
    pub fn handles_family(&self, family: IpFamily) -> bool {
        match family {
            IpFamily::V4 => self.ipv4,
            IpFamily::V6 => self.ipv6,
        }
    }

    /// Whether it handles this protocol.
    pub fn handles_protocol(&self, protocol: Protocol) -> bool {
        self.protocols
            .as_ref()
            .is_none_or(|protocols| protocols.contains(&protocol))
    }
}

/// For backends, which refuse what they don't claim. A tracer never asks for that; others may.
impl Capabilities {
    /// Whether this probe may be installed.
    ///
    /// # Errors
    /// [`DatapathError::Unsupported`] with the first thing that is missing.
    pub fn permit_install(&self, probe: &Probe) -> Result<(), DatapathError> {
        match &probe.kind {
            ProbeKind::Injected { packet, .. } => {
                self.permit_packets(IpFamily::of(packet.ip.source()), Some(packet.protocol()))
            }
            ProbeKind::Live { matching, dropped_only } => {
                claimed(self.live, "follow real traffic")?;
                claimed(
                    self.dropped_only || !dropped_only,
                    "follow only traffic that is dropped",
                )?;
                self.permit_packets(matching.family, matching.protocol)
            }
        }
    }

    /// Whether this packet may be injected.
    ///
    /// # Errors
    /// [`DatapathError::Unsupported`] with the first thing that is missing.
    pub fn permit_inject(&self, packet: &Packet) -> Result<(), DatapathError> {
        claimed(self.inject, "inject packets")?;
        self.permit_packets(IpFamily::of(packet.ip.source()), Some(packet.protocol()))
    }

    fn permit_packets(&self, family: IpFamily, protocol: Option<Protocol>) -> Result<(), DatapathError> {
        claimed(self.handles_family(family), format_args!("handle {family}"))?;
        match protocol {
            Some(protocol) => claimed(self.handles_protocol(protocol), format_args!("handle {protocol}")),
            None => Ok(()),
        }
    }
}

fn claimed(claim: bool, what: impl fmt::Display) -> Result<(), DatapathError> {
    if claim {
        return Ok(());
    }
    Err(DatapathError::Unsupported(what.to_string().into()))
}

/// The number of a trace, unique for the life of its tracer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(pub u64);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The small number by which a datapath tells traced packets from others. Never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mark(pub u32);

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a datapath is told about a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Which trace it belongs to.
    pub trace: TraceId,
    /// Its mark; live probes have one of their own, injected ones share one if [`Capabilities::nonce`].
    pub mark: Mark,
    /// What to look for.
    pub kind: ProbeKind,
    /// When everything of the probe must have gone by itself, should nobody remove it.
    pub lifetime: Duration,
}

/// What a probe looks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeKind {
    /// A packet that we inject.
    Injected {
        /// The Pod whose port it enters by.
        pod: ObjectName,
        /// The packet of the first attempt; later attempts differ in the nonce only.
        packet: Packet,
    },
    /// Real traffic.
    Live {
        /// What to match.
        matching: FlowMatch,
        /// Only a packet that is dropped counts.
        dropped_only: bool,
    },
}

/// What [`Datapath::remove`] found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Removed {
    /// How many packets matched a live probe where they entered the network, if [`Capabilities::counts_matches`].
    pub matched: Option<u64>,
    /// What the probe had changed on this node, and what became of it.
    pub changes: Vec<Change>,
}

/// What a datapath says of its own accord.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Report {
    /// A traced packet was seen.
    Seen(Sighting),
    /// Reports were lost on the way, about this many.
    Lost {
        /// How many.
        count: u64,
    },
    /// The datapath restarted: nothing that was installed is there any more.
    Restarted,
}

/// What one node did with a traced packet, as far as this report knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Where.
    pub node: NodeName,
    /// By which mark the packet was known.
    pub mark: Mark,
    /// Its nonce, if the datapath reads it.
    pub nonce: Option<Nonce>,
    /// The position of this report in the node's pipeline, for datapaths that report each stage by itself; else 0.
    pub step: u16,
    /// What was done, in the order in which it was done.
    pub observations: Arc<[Observation]>,
    /// The packet as it was then, if the datapath captured it.
    pub packet: Option<CapturedPacket>,
    /// Whether the node knew the packet's connection before: policies and Services were asked about the first packet of it,
    /// not about this one. A datapath that can't tell says `false`.
    pub established: bool,
    /// When.
    pub timestamp: SystemTime,
}

/// Why a datapath did not do what it was told.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DatapathError {
    /// The node can't be reached, or stopped answering. Somebody has to look at the node.
    #[error("the datapath is unavailable: {0}")]
    Unavailable(Arc<str>),
    /// The datapath answered no. Its words are in the message.
    #[error("the datapath refused: {0}")]
    Refused(Arc<str>),
    /// What was asked is beyond its capabilities; the tracer should have refused it.
    #[error("the datapath can't do that: {0}")]
    Unsupported(Arc<str>),
}
