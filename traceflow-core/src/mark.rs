//! Which mark belongs to whom, which ones rest, and who waits for one.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::datapath::{Mark, TraceId};

/// A datapath's marks: leased one by one, rested after use, and queued for when all are out.
///
/// A mark that was given back isn't given out again before its rest is over, because the datapath may still remember
/// whose it was. Those who find none free wait in the order in which they came.
///
/// ```
/// use std::time::{Duration, Instant};
/// use traceflow_core::datapath::TraceId;
/// use traceflow_core::mark::{Claimant, Marks};
///
/// let now = Instant::now();
/// let mut marks = Marks::new(1);
/// let lease = marks.lease(Claimant::Injected, now).expect("one mark is free");
/// let live = Claimant::Trace(TraceId(2));
/// assert_eq!(marks.lease(live, now), Err(1), "the first in the queue");
///
/// marks.release(lease, now + Duration::from_secs(10));
/// assert_eq!(marks.poll_granted(now), None, "the mark still rests");
/// let (claimant, _lease) = marks.poll_granted(now + Duration::from_secs(10)).expect("it has rested");
/// assert_eq!(claimant, live);
/// ```
#[derive(Debug)]
pub struct Marks {
    limit: u32,
    /// The highest mark that was ever given out; those above it are fresh.
    highest: u32,
    /// Marks that have rested, the longest rested first.
    rested: VecDeque<Mark>,
    /// Marks by the end of their rest.
    resting: BTreeSet<(Instant, Mark)>,
    /// Who holds which mark, by generation.
    leased: HashMap<Mark, u64>,
    generations: u64,
    queue: BTreeMap<u64, Claimant>,
    tickets: HashMap<Claimant, u64>,
    next_ticket: u64,
}

/// Who a mark is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Claimant {
    /// All injected traces together: their nonces tell them apart.
    Injected,
    /// One trace.
    Trace(TraceId),
}

/// The right to use a mark until it is given back.
#[derive(Debug, PartialEq, Eq)]
pub struct Lease {
    mark: Mark,
    generation: u64,
}

impl Lease {
    /// The mark.
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// Which lease this is, counted from 1 over all marks: two leases of one mark differ in it.
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

impl Marks {
    /// The marks 1 to `limit`, all free. Memory grows with the marks in use, not with `limit`.
    pub fn new(limit: u32) -> Self {
        Self {
            limit,
            highest: 0,
            rested: VecDeque::new(),
            resting: BTreeSet::new(),
            leased: HashMap::new(),
            generations: 0,
            queue: BTreeMap::new(),
            tickets: HashMap::new(),
            next_ticket: 0,
        }
    }

    /// A mark for `claimant`, or its place in the queue, counted from 1.
    ///
    /// # Errors
    /// The place, if no mark is free or others wait already; [`poll_granted`](Self::poll_granted) then gives the mark
    /// when its turn comes.
    pub fn lease(&mut self, claimant: Claimant, now: Instant) -> Result<Lease, usize> {
        if self.queue.is_empty()
            && let Some(lease) = self.take(now)
        {
            return Ok(lease);
        }
        if let Some(position) = self.position(claimant) {
            return Err(position);
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.queue.insert(ticket, claimant);
        self.tickets.insert(claimant, ticket);
        Err(self.queue.len())
    }

    /// Gives a mark back; nobody gets it before `rested_at`. A lease of an earlier generation changes nothing.
    pub fn release(&mut self, lease: Lease, rested_at: Instant) {
        if self.leased.get(&lease.mark) == Some(&lease.generation) {
            self.leased.remove(&lease.mark);
            self.resting.insert((rested_at, lease.mark));
        }
    }

    /// Takes `claimant` out of the queue; false if it wasn't there.
    pub fn leave(&mut self, claimant: Claimant) -> bool {
        match self.tickets.remove(&claimant) {
            Some(ticket) => self.queue.remove(&ticket).is_some(),
            None => false,
        }
    }

    /// The place of `claimant` in the queue, counted from 1.
    pub fn position(&self, claimant: Claimant) -> Option<usize> {
        let ticket = self.tickets.get(&claimant)?;
        Some(self.queue.range(..=ticket).count())
    }

    /// The next in the queue whose turn has come, with its mark.
    pub fn poll_granted(&mut self, now: Instant) -> Option<(Claimant, Lease)> {
        let claimant = self.first()?;
        let lease = self.take(now)?;
        self.leave(claimant);
        Some((claimant, lease))
    }

    /// Who is first in the queue.
    pub(crate) fn first(&self) -> Option<Claimant> {
        self.queue.first_key_value().map(|(_, &claimant)| claimant)
    }

    /// When [`poll_granted`](Self::poll_granted) has something to give without anybody doing anything.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let (rested_at, _) = self.resting.first()?;
        (!self.queue.is_empty()).then_some(*rested_at)
    }

    /// How many marks are out.
    pub fn leased(&self) -> usize {
        self.leased.len()
    }

    /// How many wait for a mark.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    fn take(&mut self, now: Instant) -> Option<Lease> {
        self.wake(now);
        // A mark that was never used is the one that no datapath can remember.
        let mark = if self.highest < self.limit {
            self.highest += 1;
            Mark(self.highest)
        } else {
            self.rested.pop_front()?
        };
        self.generations += 1;
        self.leased.insert(mark, self.generations);
        Some(Lease {
            mark,
            generation: self.generations,
        })
    }

    fn wake(&mut self, now: Instant) {
        while let Some(&(rested_at, mark)) = self.resting.first()
            && rested_at <= now
        {
            self.resting.pop_first();
            self.rested.push_back(mark);
        }
    }
}

/// How long a mark rests at least, whatever the datapaths say: reports under way at the time of the removal belong to
/// the old trace.
pub(crate) const SHORTEST_REST: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_secs(10);

    fn trace(number: u64) -> Claimant {
        Claimant::Trace(TraceId(number))
    }

    #[test]
    fn a_released_mark_rests_before_it_is_given_out_again() {
        let now = Instant::now();
        let mut marks = Marks::new(1);
        let first = marks.lease(trace(1), now).unwrap();
        marks.release(first, now + REST);
        assert_eq!(marks.lease(trace(2), now + REST / 2), Err(1));
        assert_eq!(marks.poll_timeout(), Some(now + REST));
        assert_eq!(marks.poll_granted(now + REST / 2), None);
        let (claimant, lease) = marks.poll_granted(now + REST).unwrap();
        assert_eq!((claimant, lease.mark(), lease.generation()), (trace(2), Mark(1), 2));
    }

    #[test]
    fn fresh_marks_go_before_used_ones() {
        let now = Instant::now();
        let mut marks = Marks::new(3);
        let first = marks.lease(trace(1), now).unwrap();
        marks.release(first, now);
        assert_eq!(marks.lease(trace(2), now).unwrap().mark(), Mark(2));
        assert_eq!(marks.lease(trace(3), now).unwrap().mark(), Mark(3));
        assert_eq!(marks.lease(trace(4), now).unwrap().mark(), Mark(1));
    }

    #[test]
    fn the_queue_is_served_in_order_and_a_newcomer_does_not_jump_it() {
        let now = Instant::now();
        let mut marks = Marks::new(1);
        let held = marks.lease(trace(1), now).unwrap();
        assert_eq!(marks.lease(trace(2), now), Err(1));
        assert_eq!(marks.lease(trace(3), now), Err(2));
        marks.release(held, now);
        assert_eq!(marks.lease(trace(4), now), Err(3));
        assert_eq!(marks.poll_granted(now).unwrap().0, trace(2));
        assert_eq!(marks.poll_granted(now), None);
        assert_eq!(marks.position(trace(4)), Some(2));
    }

    #[test]
    fn who_leaves_the_queue_moves_the_others_up() {
        let now = Instant::now();
        let mut marks = Marks::new(0);
        for number in 1..=3 {
            marks.lease(trace(number), now).unwrap_err();
        }
        assert!(marks.leave(trace(2)));
        assert!(!marks.leave(trace(2)));
        assert_eq!(marks.position(trace(3)), Some(2));
        assert_eq!((marks.waiting(), marks.poll_timeout()), (2, None));
    }

    #[test]
    fn a_stale_lease_cannot_take_the_mark_from_its_new_holder() {
        let now = Instant::now();
        let mut marks = Marks::new(1);
        let lease = marks.lease(trace(1), now).unwrap();
        let copy = Lease { ..lease };
        marks.release(lease, now);
        let _second = marks.lease(trace(2), now).unwrap();
        marks.release(copy, now);
        assert_eq!(marks.leased(), 1);
    }
}
