//! The state of one node's datapath.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use traceflow_core::datapath::{DatapathError, Mark, Probe, ProbeKind, Removed, Report, Sighting};
use traceflow_core::fanout::Fanout;
use traceflow_core::observation::Action;
use traceflow_core::packet::{CapturedPacket, CapturedTransport, IpFamily};
use traceflow_core::plan::FlowMatch;
use traceflow_core::receipt::{Change, Changed, Fate};

use super::NodeFaults;
use crate::pipeline::{NodeMemory, Owner, TracerId, after};

/// Everything that can change at a node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) memory: NodeMemory,
    pub(super) faults: NodeFaults,
    /// The tracers whose watch stands.
    attached: BTreeSet<TracerId>,
    installed: BTreeMap<Owner, Installed>,
    /// What each tracer is told, once it listens; `None` for a node that is dead.
    reports: Option<BTreeMap<TracerId, Arc<Fanout>>>,
    report_capacity: usize,
}

#[derive(Debug)]
struct Installed {
    probe: Probe,
    /// How many packets of real traffic it took where they entered the network.
    matched: u64,
    expires: Instant,
}

/// A mark on a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Carried {
    pub(super) owner: Owner,
    pub(super) mark: Mark,
    pub(super) injected: bool,
}

/// The time by which entries expire: tokio's, which tests may pause.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Node {
    pub(super) fn new(report_capacity: usize) -> Self {
        Self {
            memory: NodeMemory::default(),
            faults: NodeFaults::default(),
            attached: BTreeSet::new(),
            installed: BTreeMap::new(),
            reports: Some(BTreeMap::new()),
            report_capacity,
        }
    }

    pub(super) fn is_alive(&self) -> bool {
        self.reports.is_some()
    }

    pub(super) fn kill(&mut self) {
        self.reports = None;
        self.forget_everything();
    }

    pub(super) fn restart(&mut self) {
        self.forget_everything();
        for reports in self.reports.get_or_insert_default().values() {
            reports.send(&Report::Restarted);
        }
    }

    fn forget_everything(&mut self) {
        self.memory = NodeMemory::default();
        self.attached.clear();
        self.installed.clear();
    }

    /// Fails if no command reaches the node.
    pub(super) fn reach(&self) -> Result<(), DatapathError> {
        match (&self.faults.unavailable, &self.reports) {
            (Some(words), _) => Err(DatapathError::Unavailable(words.clone())),
            (None, None) => Err(DatapathError::Unavailable("the node is down".into())),
            (None, Some(_)) => Ok(()),
        }
    }

    /// Fails if no packet can be injected.
    pub(super) fn accepts_packets(&self) -> Result<(), DatapathError> {
        self.reach()?;
        match &self.faults.refuse_inject {
            Some(words) => Err(DatapathError::Refused(words.clone())),
            None => Ok(()),
        }
    }

    /// What the tracer is told from now on; `None` if the node is dead.
    pub(super) fn reports(&mut self, tracer: TracerId) -> Option<&Fanout> {
        let capacity = self.report_capacity;
        let reports = self.reports.as_mut()?.entry(tracer);
        Some(reports.or_insert_with(|| Arc::new(Fanout::new(capacity))))
    }

    /// The node is this tracer's from now on: whatever another left here is an orphan and goes.
    pub(super) fn sweep(&mut self, tracer: TracerId) {
        self.attached.retain(|&other| other == tracer);
        self.installed.retain(|owner, _| owner.tracer == tracer);
        self.memory.forget_others(tracer);
    }

    pub(super) fn put_watch(&mut self, tracer: TracerId) {
        self.attached.insert(tracer);
    }

    pub(super) fn take_watch(&mut self, tracer: TracerId) {
        self.attached.remove(&tracer);
    }

    /// Takes a probe in. Only `marks` live probes fit, each with a mark of its own.
    pub(super) fn install(
        &mut self,
        tracer: TracerId,
        probe: &Probe,
        marks: u32,
        now: Instant,
    ) -> Result<(), DatapathError> {
        if let Some(words) = &self.faults.refuse_install {
            return Err(DatapathError::Refused(words.clone()));
        }
        self.expire(now);
        let owner = owner(tracer, probe);
        if matches!(probe.kind, ProbeKind::Live { .. }) {
            let others = self.installed.iter().filter(|(other, _)| **other != owner);
            let mut live = others
                .map(|(_, other)| other)
                .filter(|other| matches!(other.probe.kind, ProbeKind::Live { .. }));
            if let Some(other) = live.clone().find(|other| other.probe.mark == probe.mark) {
                let words = format!("mark {} is in use by trace {}", probe.mark, other.probe.trace);
                return Err(DatapathError::Refused(words.into()));
            }
            if live.nth((marks as usize).saturating_sub(1)).is_some() {
                return Err(DatapathError::Refused(format!("all {marks} marks are in use").into()));
            }
        }
        let installed = Installed {
            probe: probe.clone(),
            matched: 0,
            expires: after(now, probe.lifetime),
        };
        self.installed.insert(owner, installed);
        Ok(())
    }

    pub(super) fn remove(&mut self, tracer: TracerId, probe: &Probe, now: Instant) -> Result<Removed, DatapathError> {
        if let Some(words) = &self.faults.refuse_remove {
            return Err(DatapathError::Refused(words.clone()));
        }
        self.expire(now);
        let owner = owner(tracer, probe);
        let removed = self.installed.remove(&owner);
        // A probe is one flow here.
        let flows = removed.iter().map(|_| Changed::Flows { count: 1 });
        let undone = flows.chain(self.memory.forget(owner, now));
        let changes = undone.map(|what| Change {
            what,
            fate: Fate::Undone,
        });
        let changes = changes.collect();
        let matched = match probe.kind {
            ProbeKind::Live { .. } => Some(removed.map_or(0, |installed| installed.matched)),
            ProbeKind::Injected { .. } => None,
        };
        Ok(Removed { matched, changes })
    }

    pub(super) fn leftovers(&mut self, now: Instant) -> Vec<String> {
        self.expire(now);
        let watches = self.attached.iter().map(|_| "standing watch".to_owned());
        let probes = self.installed.values().map(|installed| {
            let Probe { trace, mark, .. } = &installed.probe;
            format!("probe of trace {trace} with mark {mark}")
        });
        watches.chain(probes).chain(self.memory.leftovers(now)).collect()
    }

    /// The live probes that take this packet, which carries none of their marks yet. It comes `from_tunnel` if another
    /// node handled it before.
    pub(super) fn matching(
        &mut self,
        packet: &CapturedPacket,
        tracked: bool,
        from_tunnel: bool,
        now: Instant,
    ) -> Vec<Carried> {
        self.expire(now);
        let mut taken = Vec::new();
        for (&owner, Installed { probe, matched, .. }) in &mut self.installed {
            let ProbeKind::Live { matching, .. } = &probe.kind else {
                continue;
            };
            // What a known source sends is taken where it sends it.
            let elsewhere = from_tunnel && matching.source.is_some();
            if !elsewhere && takes(matching, packet, tracked) {
                *matched += 1;
                taken.push(Carried {
                    owner,
                    mark: probe.mark,
                    injected: false,
                });
            }
        }
        taken
    }

    /// Whether this node reports a packet with this mark that ended here as `last` says.
    pub(super) fn reports_on(&self, carried: Carried, last: Option<&Action>) -> bool {
        let tracer = carried.owner.tracer;
        let mut own = self.installed.iter().filter(|(owner, _)| owner.tracer == tracer);
        let installed = own.find(|(_, installed)| installed.probe.mark == carried.mark);
        match installed.map(|(_, installed)| &installed.probe.kind) {
            Some(ProbeKind::Live { dropped_only: true, .. }) => {
                matches!(last, Some(Action::Dropped | Action::Rejected))
            }
            Some(ProbeKind::Live { .. } | ProbeKind::Injected { .. }) => true,
            None => carried.injected && self.attached.contains(&tracer),
        }
    }

    /// Tells the tracer of a sighting, as faults allow.
    pub(super) fn report(&mut self, tracer: TracerId, sighting: Sighting) {
        let reports = self.reports.as_ref().and_then(|reports| reports.get(&tracer)).cloned();
        let Some(reports) = reports.filter(|_| self.faults.unavailable.is_none()) else {
            return;
        };
        if self.faults.lose_reports > 0 {
            self.faults.lose_reports -= 1;
            if self.faults.tell_losses {
                reports.send(&Report::Lost { count: 1 });
            }
            return;
        }
        let report = Report::Seen(sighting);
        let times = self.faults.repeat_reports.saturating_add(1);
        deliver(&reports, report, times, self.faults.delay_reports);
    }

    fn expire(&mut self, now: Instant) {
        self.installed.retain(|_, installed| installed.expires > now);
    }
}

fn owner(tracer: TracerId, probe: &Probe) -> Owner {
    let trace = probe.trace;
    Owner { tracer, trace }
}

/// Without a runtime there is no time to wait in, and the report arrives at once.
fn deliver(reports: &Arc<Fanout>, report: Report, times: u32, delay: Duration) {
    let runtime = tokio::runtime::Handle::try_current().ok().filter(|_| !delay.is_zero());
    let Some(runtime) = runtime else {
        (0..times).for_each(|_| reports.send(&report));
        return;
    };
    let reports = Arc::downgrade(reports);
    runtime.spawn(async move {
        tokio::time::sleep(delay).await;
        if let Some(reports) = reports.upgrade() {
            (0..times).for_each(|_| reports.send(&report));
        }
    });
}

fn takes(matching: &FlowMatch, packet: &CapturedPacket, tracked: bool) -> bool {
    fn fits<T: PartialEq>(wanted: Option<T>, found: Option<T>) -> bool {
        wanted.is_none() || wanted == found
    }
    let ports = packet.transport.ports();
    let icmp = match &packet.transport {
        CapturedTransport::Icmp(header) => Some(header),
        _ => None,
    };
    let tcp_flags = match &packet.transport {
        CapturedTransport::Tcp { flags, .. } => *flags,
        _ => None,
    };
    matching.family == IpFamily::of(packet.destination)
        && fits(matching.source, Some(packet.source))
        && fits(matching.destination, Some(packet.destination))
        && fits(matching.protocol, Some(packet.protocol))
        && fits(matching.source_port, ports.map(|(source, _)| source))
        && fits(matching.destination_port, ports.map(|(_, destination)| destination))
        && fits(matching.icmp_type, icmp.map(|header| header.icmp_type))
        && fits(matching.icmp_code, icmp.map(|header| header.code))
        && fits(matching.dscp, Some(packet.dscp))
        && matching
            .tcp_flags
            .is_none_or(|wanted| tcp_flags.is_some_and(|flags| wanted.matches(flags)))
        && !(matching.new_only && tracked)
}
