//! A wrapper around a good datapath that breaks one promise.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{pending, ready};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use tokio::task::yield_now;
use traceflow_core::datapath::{
    Capabilities, Datapath, DatapathError, Mark, Probe, ProbeKind, Removed, Report, Sighting, TraceId,
};
use traceflow_core::fanout::Fanout;
use traceflow_core::names::NodeName;
use traceflow_core::observation::{Action, Component, Observation};
use traceflow_core::packet::{IpFamily, Nonce, Packet, Protocol};
use traceflow_core::plan::{FlowMatch, TcpFlagsMatch};
use traceflow_core::receipt::{Change, Changed, Fate};

use super::Fabric;

/// Which promise is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    // What it says of itself.
    NamesANodeThatNobodyKnows,
    ChangesItsCapabilities,
    // Attach and detach.
    IsDirtyFromTheStart,
    StacksAttaches,
    ForgetsToDetach,
    RefusesASecondDetach,
    IsDeafAfterASecondAttach,
    GrowsWithEveryTrace,
    KeepsOrphans,
    // Install, inject and remove.
    LeavesTheProbeBehind,
    LeavesAnotherThingInstead,
    RefusesToRemoveWhatIsNotThere,
    RefusesASecondRemove,
    CountsInstalls,
    LeavesAnInterruptedInstall,
    LeavesAnInterruptedInject,
    CannotResumeARemove,
    ConcealsItsChanges,
    TellsItsChangesTwice,
    SaysThatItsChangesStay,
    ForgetsWhatADroppedRemoveDid,
    KeepsAProbeForever,
    IsBusyWhileAnotherCallRuns,
    // Injected packets.
    LosesTheNonce,
    InventsANonce,
    MixesNoncesUp,
    NamesAnotherNode,
    SeesNoEnd,
    GoesOnAfterTheEnd,
    LosesThePacketBetweenNodes,
    DropsWithoutAReason,
    CallsTheOutsideDelivered,
    HandsOver,
    NeedsInstallInSpiteOfItsWatch,
    MissesTheFirstPacketAfterInstall,
    SeesTheFirstAttemptOnly,
    RunsItsClockBackwards,
    CapturesAnother,
    IgnoresFamily(IpFamily),
    IgnoresProtocol(Protocol),
    // Streams.
    ReportsTwice,
    ReportsToOneStreamOnly,
    RepeatsThePastToNewStreams,
    StopsWhenAStreamIsDropped,
    LosesInSilence,
    // Marks.
    MixesMarksUp,
    RemovesOthersToo,
    HasFewerMarksThanItSays,
    TakesOneMarkTooMany,
    RemembersAMark,
    WearsMarksOut,
    // Real traffic.
    SeesNoTraffic,
    SeesGhosts,
    SeesTrafficOnItsFirstNodeOnly,
    MatchesTooMuch,
    ReportsUnasked,
    ReportsAfterRemove,
    EatsWhatItFollows,
    ReportsNoDrop,
    ReportsWhatIsNotDropped,
    Miscounts,
    CountsUnclaimed,
    MissesDscp,
    ReadsFlagsWithoutTheirMask,
    MissesIcmpCodes,
    IgnoresNewOnly,
    TakesNewConnectionsOnly,
    MixesPacketsUp,
    // Services.
    HidesTheEndpoint,
    TranslatesAConnectionOnce,
    // Outages.
    RestartsInSilence,
    KeepsThingsOverARestart,
    IsDeafAfterARestart,
    NeverEndsItsStreams,
    PretendsToLive,
    // Nodes off the path.
    TouchesAllNodes,
    // Refusals.
    TakesWhatItDoesNotClaim,
    TakesStrangePods,
    // Whatever it is, the other cases go on.
    Panics,
    Hangs,
}

/// A datapath with a flaw.
pub(crate) struct Broken {
    flaw: Flaw,
    inner: Arc<dyn Datapath>,
    fabric: Arc<Fabric>,
    name: NodeName,
    /// What it claims when it changes its mind.
    other_claims: Capabilities,
    /// Reports that nobody should have sent.
    ghosts: Fanout,
    state: Mutex<State>,
    stopped: Arc<AtomicBool>,
}

/// What a flaw remembers.
#[derive(Default)]
struct State {
    attaches: u32,
    detached: bool,
    streams: u32,
    busy: bool,
    junk: Vec<String>,
    installs: BTreeMap<TraceId, u32>,
    injects: Vec<(TraceId, Mark)>,
    removed: BTreeSet<TraceId>,
    live: Vec<Probe>,
    used: BTreeSet<Mark>,
}

impl Broken {
    pub(crate) fn wrap(flaw: Flaw, inner: Arc<dyn Datapath>, fabric: Arc<Fabric>) -> Arc<dyn Datapath> {
        let claims = inner.capabilities();
        let other_claims = Capabilities {
            marks: claims.marks + 1,
            ..claims.clone()
        };
        let name = match flaw {
            Flaw::NamesANodeThatNobodyKnows => "nowhere".into(),
            _ => inner.node().clone(),
        };
        Arc::new(Self {
            flaw,
            inner,
            fabric,
            name,
            other_claims,
            ghosts: Fanout::new(64),
            state: Mutex::default(),
            stopped: Arc::default(),
        })
    }

    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Whether it is deaf to an injected packet.
    fn ignores(&self, probe: &Probe, packet: &Packet) -> bool {
        let state = self.state();
        match self.flaw {
            Flaw::IsDeafAfterASecondAttach => state.attaches > 1,
            Flaw::IsDeafAfterARestart => self.fabric.restarts() > 0,
            Flaw::NeedsInstallInSpiteOfItsWatch => !state.installs.contains_key(&probe.trace),
            Flaw::MissesTheFirstPacketAfterInstall => state.injects.len() == 1,
            Flaw::HasFewerMarksThanItSays => probe.mark > Mark(1),
            Flaw::SeesTheFirstAttemptOnly => {
                state.injects.iter().filter(|(trace, _)| *trace == probe.trace).count() > 1
            }
            Flaw::IgnoresFamily(family) => IpFamily::of(packet.ip.source()) == family,
            Flaw::IgnoresProtocol(protocol) => packet.protocol() == protocol,
            Flaw::RemovesOthersToo => !state.removed.is_empty() && !state.removed.contains(&probe.trace),
            _ => false,
        }
    }

    /// The probe as the good datapath is told of it; `None` if it isn't.
    fn twisted(&self, probe: &Probe) -> Option<Probe> {
        let mut probe = probe.clone();
        if self.is(Flaw::KeepsAProbeForever) {
            probe.lifetime = Duration::from_secs(1_000_000);
        }
        if let ProbeKind::Live { matching, dropped_only } = &mut probe.kind {
            match self.flaw {
                Flaw::SeesNoTraffic => return None,
                Flaw::ReportsNoDrop if *dropped_only => return None,
                Flaw::MissesDscp if matching.dscp.is_some() => return None,
                Flaw::MissesIcmpCodes if matching.icmp_code.is_some() => return None,
                Flaw::IgnoresNewOnly => matching.new_only = false,
                Flaw::TakesNewConnectionsOnly => matching.new_only = true,
                Flaw::ReadsFlagsWithoutTheirMask => {
                    matching.tcp_flags = matching.tcp_flags.map(|flags| TcpFlagsMatch::exactly(flags.set()));
                }
                Flaw::ReportsWhatIsNotDropped => *dropped_only = false,
                Flaw::MatchesTooMuch => *matching = anything(matching.family),
                Flaw::EatsWhatItFollows => self.fabric.eat(),
                _ => {}
            }
        }
        Some(probe)
    }

    fn unavailable() -> DatapathError {
        DatapathError::Unavailable("not now".into())
    }

    /// Turns a refusal into a false yes.
    fn yes_man(&self, outcome: Result<(), DatapathError>) -> Result<(), DatapathError> {
        match (&outcome, self.flaw) {
            (Err(DatapathError::Unsupported(_)), Flaw::TakesWhatItDoesNotClaim)
            | (Err(DatapathError::Refused(_)), Flaw::TakesStrangePods | Flaw::TakesOneMarkTooMany)
            | (Err(DatapathError::Unavailable(_)), Flaw::PretendsToLive) => Ok(()),
            _ => outcome,
        }
    }
}

#[async_trait]
impl Datapath for Broken {
    fn node(&self) -> &NodeName {
        &self.name
    }

    fn capabilities(&self) -> &Capabilities {
        let changed = self.is(Flaw::ChangesItsCapabilities) && !self.state().installs.is_empty();
        if changed {
            &self.other_claims
        } else {
            self.inner.capabilities()
        }
    }

    async fn attach(&self) -> Result<(), DatapathError> {
        let orphans = !self.inner.leftovers().await.unwrap_or_default().is_empty();
        self.state().attaches += 1;
        match self.flaw {
            Flaw::StacksAttaches => self.state().junk.push("another watch".to_owned()),
            Flaw::KeepsOrphans if orphans => self.fabric.litter(),
            Flaw::ReportsUnasked => self.inner.install(&spy()).await?,
            _ => {}
        }
        self.yes_man(self.inner.attach().await)
    }

    async fn install(&self, probe: &Probe) -> Result<(), DatapathError> {
        *self.state().installs.entry(probe.trace).or_default() += 1;
        let worn = !self.state().used.insert(probe.mark);
        if matches!(probe.kind, ProbeKind::Live { .. }) {
            self.state().live.push(probe.clone());
        }
        match self.flaw {
            Flaw::WearsMarksOut if worn => return Err(DatapathError::Refused("that mark is worn out".into())),
            Flaw::TouchesAllNodes => self.fabric.litter(),
            Flaw::SeesGhosts => self.ghosts.send(&ghost(&self.name, probe.mark)),
            Flaw::LeavesAnInterruptedInstall => {
                self.state().junk.push("half a probe".to_owned());
                yield_now().await;
                self.state().junk.pop();
            }
            Flaw::IsBusyWhileAnotherCallRuns => {
                if std::mem::replace(&mut self.state().busy, true) {
                    return Err(Self::unavailable());
                }
                yield_now().await;
                self.state().busy = false;
            }
            _ => {}
        }
        let Some(twisted) = self.twisted(probe) else {
            return Ok(());
        };
        self.yes_man(self.inner.install(&twisted).await)
    }

    async fn inject(&self, probe: &Probe, packet: &Packet) -> Result<(), DatapathError> {
        let reused = self
            .state()
            .injects
            .iter()
            .any(|(trace, mark)| *mark == probe.mark && *trace != probe.trace);
        self.state().injects.push((probe.trace, probe.mark));
        match self.flaw {
            Flaw::Panics => panic!("this datapath panics"),
            Flaw::Hangs => pending().await,
            Flaw::GrowsWithEveryTrace => self.state().junk.push("a trace".to_owned()),
            Flaw::RemembersAMark if reused => self.ghosts.send(&ghost(&self.name, probe.mark)),
            Flaw::TouchesAllNodes => self.fabric.litter(),
            Flaw::HandsOver => self.fabric.hand_over(packet),
            Flaw::LeavesAnInterruptedInject => {
                self.state().junk.push("half a packet".to_owned());
                yield_now().await;
                self.state().junk.pop();
            }
            _ => {}
        }
        if self.ignores(probe, packet) {
            return Ok(());
        }
        self.yes_man(self.inner.inject(probe, packet).await)
    }

    async fn remove(&self, probe: &Probe) -> Result<Removed, DatapathError> {
        let installs = self.state().installs.get(&probe.trace).copied().unwrap_or(0);
        let again = !self.state().removed.insert(probe.trace);
        match self.flaw {
            Flaw::LeavesTheProbeBehind => return Ok(Removed::default()),
            Flaw::ReportsAfterRemove if matches!(probe.kind, ProbeKind::Live { .. }) => return Ok(Removed::default()),
            Flaw::RefusesToRemoveWhatIsNotThere if installs == 0 => return Err(Self::unavailable()),
            Flaw::RefusesASecondRemove if again => return Err(Self::unavailable()),
            Flaw::CountsInstalls if installs > 1 => {
                self.state().installs.insert(probe.trace, installs - 1);
                return Ok(Removed::default());
            }
            Flaw::CannotResumeARemove if again => return Ok(Removed::default()),
            Flaw::CannotResumeARemove => yield_now().await,
            _ => {}
        }
        let removed = self.inner.remove(probe).await?;
        let matched = match self.flaw {
            Flaw::Miscounts => removed.matched.map(|count| count + 1),
            Flaw::CountsUnclaimed => Some(0),
            _ => removed.matched,
        };
        let changes = match self.flaw {
            Flaw::ConcealsItsChanges => Vec::new(),
            Flaw::TellsItsChangesTwice if again => vec![flow_that(Fate::Undone)],
            Flaw::SaysThatItsChangesStay if !removed.changes.is_empty() => vec![flow_that(stays())],
            Flaw::ForgetsWhatADroppedRemoveDid => {
                yield_now().await;
                removed.changes
            }
            _ => removed.changes,
        };
        Ok(Removed { matched, changes })
    }

    async fn detach(&self) -> Result<(), DatapathError> {
        let again = std::mem::replace(&mut self.state().detached, true);
        match self.flaw {
            Flaw::ForgetsToDetach => return Ok(()),
            Flaw::RefusesASecondDetach if again => return Err(Self::unavailable()),
            Flaw::StacksAttaches | Flaw::GrowsWithEveryTrace => self.state().junk.clear(),
            Flaw::ReportsUnasked => self.inner.remove(&spy()).await.map(drop)?,
            Flaw::ReportsAfterRemove => {
                let live = std::mem::take(&mut self.state().live);
                for probe in &live {
                    self.inner.remove(probe).await?;
                }
            }
            _ => {}
        }
        self.inner.detach().await
    }

    fn reports(&self) -> BoxStream<'static, Report> {
        self.state().streams += 1;
        let (flaw, stopped) = (self.flaw, self.stopped.clone());
        let streams = self.state().streams;
        let traced = !self.state().injects.is_empty();
        let reports = stream::select(self.inner.reports(), self.ghosts.stream());
        let reports = reports.flat_map(move |report| stream::iter(distorted(flaw, report)));
        match flaw {
            Flaw::ReportsToOneStreamOnly if streams > 1 => Box::pin(stream::pending()),
            Flaw::RepeatsThePastToNewStreams if traced => {
                let past = ghost(&self.name, Mark(1));
                Box::pin(stream::iter([past]).chain(reports))
            }
            Flaw::StopsWhenAStreamIsDropped => {
                let last_words = OnDrop(stopped.clone());
                Box::pin(reports.filter(move |_| {
                    let _ = &last_words;
                    ready(!stopped.load(Ordering::Relaxed))
                }))
            }
            Flaw::NeverEndsItsStreams => Box::pin(reports.chain(stream::pending())),
            Flaw::TranslatesAConnectionOnce => {
                let mut calls = 0;
                Box::pin(reports.map(move |report| translated_once(report, &mut calls)))
            }
            _ => Box::pin(reports),
        }
    }

    async fn leftovers(&self) -> Result<Vec<String>, DatapathError> {
        let mut left = match self.inner.leftovers().await {
            Err(_) if self.is(Flaw::PretendsToLive) => Vec::new(),
            left => left?,
        };
        left.extend(self.state().junk.iter().cloned());
        match self.flaw {
            Flaw::LeavesAnotherThingInstead if !self.state().removed.is_empty() => {
                left.iter_mut().for_each(|line| "half a probe".clone_into(line));
            }
            Flaw::KeepsThingsOverARestart if self.fabric.restarts() > 0 => left.push("an old flow".to_owned()),
            Flaw::IsDirtyFromTheStart if self.state().attaches == 0 => left.push("somebody's flow".to_owned()),
            Flaw::ReportsUnasked | Flaw::ReportsAfterRemove => left.retain(|line| !line.starts_with("probe")),
            _ => {}
        }
        Ok(left)
    }
}

/// Sets a flag when it goes.
struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What becomes of a report.
fn distorted(flaw: Flaw, report: Report) -> Vec<Report> {
    let Report::Seen(mut sighting) = report else {
        return match (&report, flaw) {
            (Report::Lost { .. }, Flaw::LosesInSilence) | (Report::Restarted, Flaw::RestartsInSilence) => Vec::new(),
            _ => vec![report],
        };
    };
    let on_second_node = sighting.node.as_str() == "two";
    match flaw {
        Flaw::ReportsTwice => return vec![Report::Seen(sighting.clone()), Report::Seen(sighting)],
        Flaw::LosesThePacketBetweenNodes | Flaw::SeesTrafficOnItsFirstNodeOnly if on_second_node => return Vec::new(),
        Flaw::MixesPacketsUp if on_second_node => {
            let captured = sighting.packet.as_mut().unwrap();
            captured.source = captured.destination;
        }
        Flaw::NamesAnotherNode => sighting.node = "elsewhere".into(),
        Flaw::MixesMarksUp => sighting.mark = Mark(1),
        Flaw::LosesTheNonce => sighting.nonce = None,
        Flaw::InventsANonce => sighting.nonce = Some(Nonce(7)),
        Flaw::MixesNoncesUp => sighting.nonce = sighting.nonce.map(|Nonce(nonce)| Nonce(nonce / 2)),
        Flaw::RunsItsClockBackwards => {
            let since = sighting.timestamp.duration_since(SystemTime::UNIX_EPOCH).unwrap();
            sighting.timestamp = SystemTime::UNIX_EPOCH + (Duration::from_secs(1 << 40) - since);
        }
        Flaw::CapturesAnother => {
            let captured = sighting.packet.as_mut().unwrap();
            std::mem::swap(&mut captured.source, &mut captured.destination);
        }
        _ => sighting.observations = rewritten(flaw, &sighting.observations).into(),
    }
    vec![Report::Seen(sighting)]
}

/// Only the first call of a Service passes the load balancer.
fn translated_once(report: Report, calls: &mut u32) -> Report {
    let Report::Seen(mut sighting) = report else {
        return report;
    };
    let mut all = sighting.observations.to_vec();
    *calls += u32::from(all.iter().any(|seen| seen.component == Component::Lb));
    all.retain(|seen| *calls < 2 || seen.component != Component::Lb);
    sighting.observations = all.into();
    Report::Seen(sighting)
}

/// What becomes of the observations in it.
fn rewritten(flaw: Flaw, observations: &[Observation]) -> Vec<Observation> {
    let mut all = observations.to_vec();
    match flaw {
        Flaw::HidesTheEndpoint => all.retain(|seen| seen.component != Component::Lb),
        Flaw::SeesNoEnd => all.retain(|seen| !seen.action.ends_path()),
        Flaw::GoesOnAfterTheEnd => all.push(Observation::new(Component::Forwarding, Action::Forwarded)),
        Flaw::DropsWithoutAReason => all.iter_mut().for_each(|seen| seen.reason = None),
        Flaw::CallsTheOutsideDelivered => {
            let left = all
                .iter_mut()
                .filter(|seen| seen.action == Action::ForwardedOutOfNetwork);
            left.for_each(|seen| seen.action = Action::Delivered);
        }
        _ => {}
    }
    all
}

/// A report of a packet that nobody sent now.
fn ghost(node: &NodeName, mark: Mark) -> Report {
    Report::Seen(Sighting {
        established: false,
        node: node.clone(),
        mark,
        nonce: Some(Nonce(13)),
        step: 0,
        observations: [Observation::new(Component::Forwarding, Action::Forwarded)].into(),
        packet: None,
        timestamp: SystemTime::now(),
    })
}

/// A probe of its own for all traffic.
fn spy() -> Probe {
    let matching = anything(IpFamily::V4);
    Probe {
        trace: TraceId(u64::MAX),
        mark: Mark(u32::MAX),
        kind: ProbeKind::Live {
            matching,
            dropped_only: false,
        },
        lifetime: Duration::from_secs(1_000_000),
    }
}

fn anything(family: IpFamily) -> FlowMatch {
    FlowMatch {
        family,
        source: None,
        destination: None,
        protocol: None,
        source_port: None,
        destination_port: None,
        tcp_flags: None,
        icmp_type: None,
        icmp_code: None,
        dscp: None,
        new_only: false,
    }
}

fn flow_that(fate: Fate) -> Change {
    let what = Changed::Flows { count: 1 };
    Change { what, fate }
}

fn stays() -> Fate {
    Fate::Expires {
        within: Duration::from_secs(60),
        why: "it was forgotten".into(),
    }
}
