//! The nodes, and what stands on them while traces run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::orders::Orders;
use super::work::{PATIENCE, REMOVAL_PATIENCE, Removal, no_answer};
use super::{Command, OrderId, Task};
use crate::datapath::{Capabilities, DatapathError, TraceId};
use crate::names::NodeName;

/// All nodes that have a datapath here.
#[derive(Debug)]
pub(super) struct Nodes {
    by_name: BTreeMap<NodeName, Node>,
    /// The nodes whose detach has not succeeded yet.
    detaching: BTreeSet<NodeName>,
    /// What could not be detached.
    failures: BTreeMap<NodeName, DatapathError>,
}

#[derive(Debug)]
struct Node {
    capabilities: Capabilities,
    attachment: Attachment,
    /// Attach has succeeded since the last detach.
    stands: bool,
    /// It will never report again.
    gone: bool,
    /// The attach or detach under way.
    order: Option<OrderId>,
    /// The traces that wait for attach.
    waiting: BTreeSet<TraceId>,
    /// The traces that have to do with this node.
    traces: BTreeSet<TraceId>,
}

/// Whether what stands while tracing is on is there.
#[derive(Debug)]
enum Attachment {
    /// It isn't. Next: `Attaching`, when a trace asks.
    Detached,
    /// It is being put there. Next: `Attached`; on failure `Doubtful`. A call that hangs is made anew for the next trace.
    Attaching { until: Instant },
    /// Attach failed, or the datapath restarted: some of it can be there. Next: `Attaching` for the next trace; `Detaching` when nothing is traced
    /// any more.
    Doubtful,
    /// It is. Next: `Detaching` when nothing is traced any more; after a restart `Doubtful`.
    Attached,
    /// It is being taken away. Next: `Detached`, also if that fails for good; `Attaching` if a trace has come meanwhile.
    Detaching(Removal),
}

/// What came of asking for attach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It stands.
    Ready,
    /// The trace will be told.
    Wait,
    /// The node is gone for good.
    Gone,
    /// There is no such node.
    Nowhere,
}

/// The largest number of marks that all nodes can tell apart, how long they remember one, and whether nonces tell
/// injected packets apart everywhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct Common {
    pub(super) marks: u32,
    pub(super) mark_memory: Duration,
    pub(super) nonce: bool,
}

impl Nodes {
    pub(super) fn new(nodes: impl IntoIterator<Item = (NodeName, Capabilities)>) -> Self {
        let node = |capabilities| Node {
            capabilities,
            attachment: Attachment::Detached,
            stands: false,
            gone: false,
            order: None,
            waiting: BTreeSet::new(),
            traces: BTreeSet::new(),
        };
        Self {
            by_name: nodes
                .into_iter()
                .map(|(name, capabilities)| (name, node(capabilities)))
                .collect(),
            detaching: BTreeSet::new(),
            failures: BTreeMap::new(),
        }
    }

    pub(super) fn common(&self) -> Common {
        let capabilities = || self.by_name.values().map(|node| &node.capabilities);
        let usable = || capabilities().filter(|capabilities| capabilities.marks > 0);
        Common {
            marks: usable().map(|capabilities| capabilities.marks).min().unwrap_or(0),
            mark_memory: capabilities()
                .map(|capabilities| capabilities.mark_memory)
                .max()
                .unwrap_or_default(),
            nonce: usable().all(|capabilities| capabilities.nonce),
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&NodeName, &Capabilities)> {
        self.by_name.iter().map(|(name, node)| (name, &node.capabilities))
    }

    pub(super) fn capabilities(&self, name: &NodeName) -> Option<&Capabilities> {
        self.by_name.get(name).map(|node| &node.capabilities)
    }

    /// The node will never report again; false if that is known already, or there is no such node.
    pub(super) fn lose(&mut self, name: &NodeName) -> bool {
        self.by_name
            .get_mut(name)
            .is_some_and(|node| !std::mem::replace(&mut node.gone, true))
    }

    pub(super) fn is_gone(&self, name: &NodeName) -> bool {
        self.by_name.get(name).is_some_and(|node| node.gone)
    }

    /// The traces that have to do with this node.
    pub(super) fn traces(&self, name: &NodeName) -> Vec<TraceId> {
        self.by_name
            .get(name)
            .map_or_else(Vec::new, |node| node.traces.iter().copied().collect())
    }

    /// How many traces have to do with each node, or wait there, all nodes together.
    pub(super) fn enlisted(&self) -> usize {
        let nodes = self.by_name.values();
        nodes.map(|node| node.traces.len() + node.waiting.len()).sum()
    }

    /// The trace has to do with this node; false if there is no such node.
    pub(super) fn enlist(&mut self, name: &NodeName, trace: TraceId) -> bool {
        self.by_name
            .get_mut(name)
            .map(|node| node.traces.insert(trace))
            .is_some()
    }

    pub(super) fn dismiss(&mut self, name: &NodeName, trace: TraceId) {
        if let Some(node) = self.by_name.get_mut(name) {
            node.traces.remove(&trace);
            node.waiting.remove(&trace);
        }
    }

    /// A trace needs what stands on this node.
    pub(super) fn attach(&mut self, name: &NodeName, trace: TraceId, now: Instant, orders: &mut Orders) -> Standing {
        let Some(node) = self.by_name.get_mut(name) else {
            return Standing::Nowhere;
        };
        if node.gone {
            return Standing::Gone;
        }
        match node.attachment {
            Attachment::Attached => return Standing::Ready,
            Attachment::Detached | Attachment::Doubtful => node.begin_attach(name, now, orders),
            Attachment::Attaching { until } if until <= now => node.begin_attach(name, now, orders),
            Attachment::Attaching { .. } | Attachment::Detaching(_) => {}
        }
        node.waiting.insert(trace);
        Standing::Wait
    }

    /// The end of an attach; these traces have waited for it.
    pub(super) fn handle_attached(&mut self, name: &NodeName, result: &Result<(), DatapathError>) -> BTreeSet<TraceId> {
        let Some(node) = self.by_name.get_mut(name) else {
            return BTreeSet::new();
        };
        node.order = None;
        node.attachment = match result {
            Ok(()) => Attachment::Attached,
            Err(_) => Attachment::Doubtful,
        };
        node.stands |= result.is_ok();
        std::mem::take(&mut node.waiting)
    }

    /// What stood on the node is gone.
    pub(super) fn handle_restarted(&mut self, name: &NodeName, now: Instant, orders: &mut Orders) {
        let Some(node) = self.by_name.get_mut(name) else { return };
        match node.attachment {
            // Another attach may have succeeded since, if the news of the restart was the slower.
            Attachment::Attached => node.attachment = Attachment::Doubtful,
            Attachment::Attaching { .. } => node.begin_attach(name, now, orders),
            Attachment::Detached | Attachment::Doubtful | Attachment::Detaching(_) => {}
        }
    }

    /// Takes away what stands, on all nodes.
    pub(super) fn detach_all(&mut self, now: Instant, orders: &mut Orders) {
        for (name, node) in &mut self.by_name {
            if matches!(node.attachment, Attachment::Detached | Attachment::Detaching(_)) {
                continue;
            }
            node.begin_detach(name, 1, now, orders);
            self.detaching.insert(name.clone());
        }
    }

    pub(super) fn handle_detached(
        &mut self,
        name: &NodeName,
        result: Result<(), DatapathError>,
        now: Instant,
        orders: &mut Orders,
    ) {
        let Some(node) = self.by_name.get_mut(name) else { return };
        let Attachment::Detaching(Removal::Running(n, _)) = node.attachment else {
            return;
        };
        if let Some(order) = node.order.take() {
            orders.abandon(order);
        }
        match result.map_err(|error| Removal::failed(n, error, now)) {
            Ok(()) => {
                self.failures.remove(name);
            }
            // Whoever could never be attached leaves nothing behind that anybody knows of.
            Err(Removal::GivenUp(error)) if node.stands => {
                self.failures.insert(name.clone(), error);
            }
            Err(Removal::GivenUp(_)) => {}
            Err(pausing) => {
                node.attachment = Attachment::Detaching(pausing);
                return;
            }
        }
        self.detaching.remove(name);
        node.become_detached(name, now, orders);
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, orders: &mut Orders) {
        let due: Vec<NodeName> = self
            .detaching
            .iter()
            .filter(|name| self.is_due(name, now))
            .cloned()
            .collect();
        for name in due {
            let Some(node) = self.by_name.get_mut(&name) else {
                continue;
            };
            match node.attachment {
                Attachment::Detaching(Removal::Pausing(n, _)) => node.begin_detach(&name, n + 1, now, orders),
                _ => self.handle_detached(&name, Err(no_answer(REMOVAL_PATIENCE)), now, orders),
            }
        }
    }

    fn is_due(&self, name: &NodeName, now: Instant) -> bool {
        self.detach_deadline(name).is_some_and(|until| until <= now)
    }

    fn detach_deadline(&self, name: &NodeName) -> Option<Instant> {
        match &self.by_name.get(name)?.attachment {
            Attachment::Detaching(removal) => removal.deadline(),
            _ => None,
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.detaching
            .iter()
            .filter_map(|name| self.detach_deadline(name))
            .min()
    }

    pub(super) fn all_detached(&self) -> bool {
        self.by_name
            .values()
            .all(|node| matches!(node.attachment, Attachment::Detached))
    }

    /// What could not be detached, although it was tried more than once.
    pub(super) fn failures(&self) -> impl Iterator<Item = (&NodeName, &DatapathError)> {
        self.failures.iter()
    }
}

impl Node {
    fn begin_attach(&mut self, name: &NodeName, now: Instant, orders: &mut Orders) {
        let until = now + PATIENCE;
        self.attachment = Attachment::Attaching { until };
        self.order(name, Task::Attach, orders);
    }

    /// A trace may have come meanwhile.
    fn become_detached(&mut self, name: &NodeName, now: Instant, orders: &mut Orders) {
        self.attachment = Attachment::Detached;
        self.stands = false;
        if !self.waiting.is_empty() {
            self.begin_attach(name, now, orders);
        }
    }

    fn begin_detach(&mut self, name: &NodeName, n: u8, now: Instant, orders: &mut Orders) {
        self.attachment = Attachment::Detaching(Removal::begin(n, now));
        self.order(name, Task::Detach, orders);
    }

    fn order(&mut self, name: &NodeName, task: Task, orders: &mut Orders) {
        let node = name.clone();
        self.order = Some(orders.give(Command { node, task }, self.order));
    }
}
