//! How many injected packets are under way on each node at a time: as many as its datapath can report without losing any.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::datapath::{Capabilities, TraceId};
use crate::names::NodeName;

/// The windows of all nodes that have one. A trace has a place in each of those that its packet should pass, from before it
/// begins until it is over, or its packet is held to be lost.
#[derive(Debug, Default)]
pub(super) struct Windows {
    by_node: HashMap<NodeName, Window>,
    traces: HashMap<TraceId, Places>,
    /// How many of them wait.
    waiting: usize,
    /// When the packets that are under way have been silent for too long.
    silent: BTreeSet<(Instant, TraceId)>,
}

/// One node's.
#[derive(Debug)]
struct Window {
    /// What the datapath can take at most.
    most: usize,
    /// How many places there are now: half as many after a loss, one more for each round without one in which there was none to
    /// spare.
    size: usize,
    taken: usize,
    /// How many places were given back since the size has changed, while somebody waited.
    returned: usize,
    /// A loss that is told later is of the same overflow.
    recovers_until: Option<Instant>,
    waiting: VecDeque<TraceId>,
}

/// A trace's places.
#[derive(Debug)]
struct Places {
    /// In the order of their names. Places are taken in this order and kept meanwhile, so that no two traces wait for each
    /// other.
    nodes: Vec<NodeName>,
    /// In how many of them it has a place; it waits for the next one.
    held: usize,
    /// When its packet has been silent for too long.
    silent_at: Option<Instant>,
}

/// Nobody's queue holds a packet-in for so long: a packet that wasn't answered by then is no burden any more.
const SILENCE: Duration = Duration::from_millis(100);

impl Windows {
    pub(super) fn new<'a>(nodes: impl IntoIterator<Item = (&'a NodeName, &'a Capabilities)>) -> Self {
        let window = |(node, capabilities): (&NodeName, &Capabilities)| {
            let most = capabilities.window?.max(1);
            Some((node.clone(), Window::new(most)))
        };
        Self {
            by_node: nodes.into_iter().filter_map(window).collect(),
            ..Self::default()
        }
    }

    /// Takes a place on each of these nodes; false if the trace has to wait for one.
    pub(super) fn enter<'a>(&mut self, trace: TraceId, nodes: impl IntoIterator<Item = &'a NodeName>) -> bool {
        if self.by_node.is_empty() {
            return true;
        }
        let nodes = nodes.into_iter().filter(|node| self.by_node.contains_key(*node));
        let mut nodes: Vec<NodeName> = nodes.cloned().collect();
        nodes.sort_unstable();
        nodes.dedup();
        let places = Places {
            nodes,
            held: 0,
            silent_at: None,
        };
        self.traces.insert(trace, places);
        self.take(trace)
    }

    /// The trace's packet is on its way: from now on silence counts.
    pub(super) fn sent(&mut self, trace: TraceId, now: Instant) {
        if let Some(places) = self.traces.get_mut(&trace) {
            let silent_at = now + SILENCE;
            if let Some(earlier) = places.silent_at.replace(silent_at) {
                self.silent.remove(&(earlier, trace));
            }
            self.silent.insert((silent_at, trace));
        }
    }

    /// The trace is over, or doesn't want its places any more. Returns those who have all of theirs now.
    pub(super) fn leave(&mut self, trace: TraceId) -> Vec<TraceId> {
        let Some(places) = self.traces.remove(&trace) else {
            return Vec::new();
        };
        if let Some(silent_at) = places.silent_at {
            self.silent.remove(&(silent_at, trace));
        }
        if let Some(window) = places
            .nodes
            .get(places.held)
            .and_then(|node| self.by_node.get_mut(node))
        {
            window.waiting.retain(|&waiting| waiting != trace);
            self.waiting -= 1;
        }
        let mut ready = Vec::new();
        for node in &places.nodes[..places.held] {
            if let Some(window) = self.by_node.get_mut(node) {
                window.give_back();
            }
            self.let_in(node, &mut ready);
        }
        ready
    }

    /// The node has lost what it was to report.
    pub(super) fn shrink(&mut self, node: &NodeName, now: Instant) {
        if let Some(window) = self.by_node.get_mut(node) {
            window.shrink(now);
        }
    }

    /// Packets that have been silent for too long take no place any more. Returns those who have all of theirs now.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Vec<TraceId> {
        let mut ready = Vec::new();
        while let Some(&(silent_at, trace)) = self.silent.first()
            && silent_at <= now
        {
            ready.extend(self.leave(trace));
        }
        ready
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let first = self.silent.first().map(|&(silent_at, _)| silent_at);
        // Where nobody waits, places may be free or not.
        first.filter(|_| self.waiting > 0)
    }

    /// The place of a trace that waits among those who wait for the same, counted from 1.
    pub(super) fn position(&self, trace: TraceId) -> Option<usize> {
        let places = self.traces.get(&trace)?;
        let window = self.by_node.get(places.nodes.get(places.held)?)?;
        // Who asks has come last, mostly.
        let ahead = window.waiting.iter().rposition(|&waiting| waiting == trace)?;
        Some(ahead + 1)
    }

    /// How many traces have places or wait for one.
    pub(super) fn len(&self) -> usize {
        self.traces.len()
    }

    /// Takes the places that the trace hasn't yet; false if it has to wait for one.
    fn take(&mut self, trace: TraceId) -> bool {
        let Some(places) = self.traces.get_mut(&trace) else {
            return true;
        };
        while let Some(node) = places.nodes.get(places.held) {
            match self.by_node.get_mut(node) {
                Some(window) if window.is_full() => {
                    window.waiting.push_back(trace);
                    self.waiting += 1;
                    return false;
                }
                Some(window) => window.taken += 1,
                None => {}
            }
            places.held += 1;
        }
        true
    }

    /// Those who wait for a place here and can have one.
    fn let_in(&mut self, node: &NodeName, ready: &mut Vec<TraceId>) {
        while let Some(trace) = self.by_node.get_mut(node).and_then(Window::next) {
            self.waiting -= 1;
            if let Some(places) = self.traces.get_mut(&trace) {
                places.held += 1;
            }
            if self.take(trace) {
                ready.push(trace);
            }
        }
    }
}

impl Window {
    fn new(most: usize) -> Self {
        Self {
            most,
            size: most,
            taken: 0,
            returned: 0,
            recovers_until: None,
            waiting: VecDeque::new(),
        }
    }

    /// Whoever comes late doesn't overtake those who wait.
    fn is_full(&self) -> bool {
        self.taken >= self.size || !self.waiting.is_empty()
    }

    /// The first of those who wait, if there is a place, which it has then.
    fn next(&mut self) -> Option<TraceId> {
        if self.taken >= self.size {
            return None;
        }
        let next = self.waiting.pop_front()?;
        self.taken += 1;
        Some(next)
    }

    fn give_back(&mut self) {
        self.taken -= 1;
        if self.waiting.is_empty() || self.size == self.most {
            return;
        }
        self.returned += 1;
        if self.returned >= self.size {
            self.size += 1;
            self.returned = 0;
        }
    }

    fn shrink(&mut self, now: Instant) {
        if self.recovers_until.is_some_and(|until| now < until) {
            return;
        }
        self.size = self.size.div_ceil(2);
        self.returned = 0;
        self.recovers_until = Some(now + SILENCE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: u64) -> NodeName {
        NodeName::new(format!("n{number}"))
    }

    /// Three nodes with windows of `most`, and one without.
    fn windows(most: usize) -> Windows {
        let able = |window| Capabilities {
            window,
            ..Capabilities::default()
        };
        let nodes = [(name(1), able(Some(most))), (name(2), able(Some(most)))];
        let nodes = nodes
            .into_iter()
            .chain([(name(3), able(Some(most))), (name(4), able(None))]);
        let nodes: Vec<(NodeName, Capabilities)> = nodes.collect();
        Windows::new(nodes.iter().map(|(node, capabilities)| (node, capabilities)))
    }

    fn size(windows: &Windows, node: u64) -> usize {
        windows.by_node[&name(node)].size
    }

    #[test]
    fn who_finds_no_place_waits_and_goes_in_the_order_of_coming() {
        let mut windows = windows(2);
        for trace in [1, 2] {
            assert!(windows.enter(TraceId(trace), [&name(1)]));
        }
        for trace in [3, 4, 5] {
            assert!(!windows.enter(TraceId(trace), [&name(1)]));
        }
        assert_eq!(windows.position(TraceId(4)), Some(2));
        assert!(windows.enter(TraceId(6), [&name(4)]), "that node takes any number");
        assert_eq!(windows.leave(TraceId(1)), [TraceId(3)]);
        assert_eq!(windows.leave(TraceId(4)), [], "it had only waited");
        assert_eq!(windows.leave(TraceId(3)), [TraceId(5)]);
    }

    #[test]
    fn a_packet_takes_a_place_where_it_goes_too_and_nobody_waits_for_each_other() {
        let mut windows = windows(1);
        let (one, two, three) = (name(1), name(2), name(3));
        assert!(windows.enter(TraceId(1), [&two, &one]));
        assert!(!windows.enter(TraceId(2), [&three, &two]), "the second node is full");
        assert!(!windows.enter(TraceId(3), [&one, &three]), "the first node is full");
        assert!(
            windows.enter(TraceId(4), [&three]),
            "who waits for another holds no place here yet"
        );
        assert_eq!(
            windows.leave(TraceId(1)),
            [],
            "both have one place, and wait for the third node"
        );
        assert_eq!(windows.leave(TraceId(4)), [TraceId(3)]);
        assert_eq!(windows.leave(TraceId(3)), [TraceId(2)]);
        assert_eq!(windows.leave(TraceId(2)), []);
        assert!(windows.by_node.values().all(|window| window.taken == 0));
    }

    #[test]
    fn a_loss_halves_the_window_once_and_rounds_without_one_widen_it_to_the_most() {
        let now = Instant::now();
        let mut windows = windows(16);
        windows.shrink(&name(1), now);
        windows.shrink(&name(1), now + SILENCE / 2);
        assert_eq!((size(&windows, 1), size(&windows, 2)), (8, 16));
        let mut last = 0;
        let mut under_way = VecDeque::new();
        for _ in 0..10_000 {
            while last < 100 || under_way.len() + windows.by_node[&name(1)].waiting.len() < 100 {
                last += 1;
                if windows.enter(TraceId(last), [&name(1)]) {
                    under_way.push_back(TraceId(last));
                }
            }
            assert_eq!(under_way.len(), size(&windows, 1));
            let first = under_way.pop_front().unwrap();
            under_way.extend(windows.leave(first));
        }
        assert_eq!(size(&windows, 1), 16);
        for _ in 0..10 {
            last += 1;
            windows.shrink(&name(1), now + SILENCE * last as u32);
        }
        assert_eq!(size(&windows, 1), 1, "one may always go");
    }

    #[test]
    fn a_window_that_is_never_full_does_not_widen() {
        let mut windows = windows(4);
        windows.shrink(&name(1), Instant::now());
        for trace in 0..100 {
            assert!(windows.enter(TraceId(trace), [&name(1)]));
            windows.leave(TraceId(trace));
        }
        assert_eq!(size(&windows, 1), 2);
    }

    #[test]
    fn a_silent_packet_keeps_others_waiting_for_a_moment_only() {
        let now = Instant::now();
        let mut windows = windows(1);
        assert!(windows.enter(TraceId(1), [&name(1)]));
        assert_eq!(windows.poll_timeout(), None, "its packet isn't on its way");
        windows.sent(TraceId(1), now);
        assert_eq!(windows.poll_timeout(), None, "nobody waits");
        assert!(!windows.enter(TraceId(2), [&name(1)]));
        assert_eq!(windows.poll_timeout(), Some(now + SILENCE));
        assert_eq!(windows.handle_timeout(now + SILENCE), [TraceId(2)]);
        assert_eq!(windows.leave(TraceId(1)), [], "its place was given away");
    }
}
