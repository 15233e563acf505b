//! The injected packets that are under way: so many at a time that neither this switch's queue of packet-ins overflows
//! nor that of the node where they go on to.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use traceflow_core::datapath::TraceId;
use traceflow_core::packet::Nonce;
use traceflow_core::receipt::Change;
use traceflow_openflow::message::Message;

use crate::conntrack::{Connection, Footprint};

/// What was injected on this node and isn't removed yet.
#[derive(Debug)]
pub(crate) struct Flights {
    window: Arc<Semaphore>,
    under_way: Mutex<UnderWay>,
}

#[derive(Debug, Default)]
struct UnderWay {
    by_nonce: HashMap<Nonce, Flight>,
    by_trace: HashMap<TraceId, Journey>,
    /// Packets that others injected and that came by here, the latest.
    visitors: HashMap<Nonce, Footprint>,
    order: VecDeque<Nonce>,
    /// What the switch was to forget when it could not be told, the oldest first.
    owed: VecDeque<Message>,
    /// What it was told to forget lately, the oldest first.
    told: VecDeque<(Instant, Message)>,
}

/// So many visitors are remembered; who comes after them is cleaned up after once more, which does no harm.
const MOST_VISITORS: usize = 16_384;

/// What was sent so long before a connection was lost has arrived, most likely.
const DOUBTFUL: Duration = Duration::from_secs(2);

/// So many debts are remembered; the oldest of more has expired by itself, most likely.
const MOST_OWED: usize = 4096;

impl UnderWay {
    fn owe(&mut self, message: Message) {
        self.owed.retain(|owed| *owed != message);
        self.owed.push_back(message);
        if self.owed.len() > MOST_OWED {
            self.owed.pop_front();
        }
    }

    fn remember(&mut self, nonce: Nonce, left: Footprint) {
        if self.visitors.insert(nonce, left).is_none() {
            self.order.push_back(nonce);
        }
        while self.order.len() > MOST_VISITORS {
            let oldest = self.order.pop_front();
            oldest.map(|oldest| self.visitors.remove(&oldest));
        }
    }
}

/// A packet whose trace isn't over.
#[derive(Debug)]
struct Flight {
    trace: TraceId,
    /// Until then others wait: what was seen here may be on its way to another node, whose queue is no longer than ours.
    _place: OwnedSemaphorePermit,
    since: Instant,
    /// It was seen here.
    landed: bool,
}

/// What a trace has injected here.
#[derive(Debug, Clone)]
pub(crate) struct Journey {
    pub(crate) connection: Connection,
    pub(crate) nonces: Vec<Nonce>,
    /// Its connection is forgotten, or isn't ours to forget.
    pub(crate) settled: bool,
    /// What it changed, once that is known.
    pub(crate) changes: Vec<Change>,
}

/// A packet that is silent for so long takes no place any more.
const SILENCE: Duration = Duration::from_millis(100);

impl Flights {
    /// Up to `window` packets at a time.
    pub(crate) fn new(window: usize) -> Self {
        Self {
            window: Arc::new(Semaphore::new(window.max(1))),
            under_way: Mutex::default(),
        }
    }

    /// Waits for a place and takes it. Says whether the trace has injected here before.
    pub(crate) async fn begin(&self, trace: TraceId, nonce: Nonce, connection: Connection) -> bool {
        // One request for it, which keeps its turn.
        let place = Arc::clone(&self.window).acquire_owned();
        tokio::pin!(place);
        let place = loop {
            match timeout(SILENCE, &mut place).await {
                Ok(place) => break place.expect("the semaphore is never closed"),
                Err(_) => self.forget_silent(),
            }
        };
        let mut under_way = self.lock();
        let flight = Flight {
            trace,
            _place: place,
            since: Instant::now(),
            landed: false,
        };
        under_way.by_nonce.insert(nonce, flight);
        let again = under_way.by_trace.contains_key(&trace);
        let journey = under_way.by_trace.entry(trace).or_insert_with(|| Journey {
            connection,
            nonces: Vec::new(),
            settled: false,
            changes: Vec::new(),
        });
        journey.nonces.push(nonce);
        journey.settled = false;
        again
    }

    /// The connection that the packet of this nonce began here, if it was injected here and hasn't been seen yet.
    pub(crate) fn begun_by(&self, nonce: Nonce) -> Option<Connection> {
        let under_way = self.lock();
        let flight = under_way.by_nonce.get(&nonce).filter(|flight| !flight.landed)?;
        let journey = under_way.by_trace.get(&flight.trace)?;
        Some(journey.connection)
    }

    /// The packet of this nonce was seen here for the first time, and the switch is told to undo what it changed.
    pub(crate) fn land(&self, nonce: Nonce, changes: Vec<Change>) {
        let mut under_way = self.lock();
        let Some(flight) = under_way.by_nonce.get_mut(&nonce) else {
            return;
        };
        flight.landed = true;
        let trace = flight.trace;
        if let Some(journey) = under_way.by_trace.get_mut(&trace) {
            journey.settled = true;
            journey.changes = changes;
        }
    }

    /// A packet that was injected elsewhere came by here, and left this; its messages are to be sent when its trace is over.
    pub(crate) fn visit(&self, nonce: Nonce, left: Footprint) {
        self.lock().remember(nonce, left);
    }

    /// Whether a packet that was injected elsewhere came by here lately, and what it left.
    pub(crate) fn visited(&self, nonce: Nonce) -> Option<Footprint> {
        self.lock().visitors.remove(&nonce)
    }

    /// The trace is over: others may follow.
    pub(crate) fn end(&self, trace: TraceId) -> Option<Journey> {
        let mut under_way = self.lock();
        let journey = under_way.by_trace.remove(&trace)?;
        for nonce in &journey.nonces {
            under_way.by_nonce.remove(nonce);
        }
        Some(journey)
    }

    /// Whatever is said of them is lost. Returns how many had not been seen.
    pub(crate) fn lose_all(&self) -> usize {
        let mut under_way = self.lock();
        let lost = under_way.by_nonce.values().filter(|flight| !flight.landed).count();
        under_way.by_nonce.clear();
        lost
    }

    /// The switch is to be told this, and may not hear of it now.
    pub(crate) fn owe(&self, messages: &[Message]) {
        let mut under_way = self.lock();
        messages.iter().for_each(|message| under_way.owe(message.clone()));
    }

    /// It has heard of it.
    pub(crate) fn pay(&self, messages: &[Message]) {
        self.lock().owed.retain(|owed| !messages.contains(owed));
    }

    /// What it is still to be told.
    pub(crate) fn owed(&self) -> Vec<Message> {
        self.lock().owed.iter().cloned().collect()
    }

    /// It was told this, and hears of it unless the connection is lost.
    pub(crate) fn tell(&self, messages: &[Message]) {
        let now = Instant::now();
        let mut under_way = self.lock();
        let told = &mut under_way.told;
        while told.front().is_some_and(|(since, _)| now - *since > DOUBTFUL) {
            told.pop_front();
        }
        let room = MOST_OWED.saturating_sub(told.len());
        told.extend(messages.iter().take(room).map(|message| (now, message.clone())));
    }

    /// The connection was lost: what the switch was told last it may not have heard.
    pub(crate) fn doubt(&self) {
        let now = Instant::now();
        let mut under_way = self.lock();
        for (since, message) in std::mem::take(&mut under_way.told) {
            if now - since <= DOUBTFUL {
                under_way.owe(message);
            }
        }
    }

    /// The traces whose connections are still to be forgotten.
    pub(crate) fn unsettled(&self) -> Vec<TraceId> {
        let under_way = self.lock();
        let unsettled = under_way.by_trace.iter().filter(|(_, journey)| !journey.settled);
        let mut traces: Vec<TraceId> = unsettled.map(|(&trace, _)| trace).collect();
        traces.sort_unstable();
        traces
    }

    fn forget_silent(&self) {
        let now = Instant::now();
        self.lock().by_nonce.retain(|_, flight| now - flight.since < SILENCE);
    }

    fn lock(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use traceflow_core::packet::{MacAddress, Packet, TcpFlags};

    use super::*;

    fn message(cookie: u64) -> Message {
        Message::FlowMod(crate::switch::delete(cookie, u64::MAX))
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_told_just_before_the_connection_was_lost_is_told_again() {
        let flights = Flights::new(1);
        flights.tell(&[message(1)]);
        tokio::time::advance(DOUBTFUL * 2).await;
        flights.tell(&[message(2)]);
        flights.doubt();
        assert_eq!(flights.owed(), [message(2)]);
        flights.pay(&[message(2)]);
        flights.doubt();
        assert_eq!(flights.owed(), []);
    }

    #[test]
    fn of_too_many_debts_the_oldest_are_let_go() {
        let flights = Flights::new(1);
        for number in 0..=MOST_OWED as u64 {
            flights.owe(&[message(number)]);
        }
        assert_eq!(flights.owed().len(), MOST_OWED);
        assert_eq!(flights.owed()[0], message(1));
    }

    fn connection() -> Connection {
        let ethernet = Packet::ethernet(MacAddress([2; 6]), MacAddress([4; 6]));
        let packet = ethernet.ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        Connection::of(&packet.tcp(1, 2, TcpFlags::SYN).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_packet_that_was_seen_here_takes_its_place_until_its_trace_is_over() {
        let flights = Flights::new(1);
        flights.begin(TraceId(1), Nonce(1), connection()).await;
        assert_eq!(flights.begun_by(Nonce(1)), Some(connection()));
        flights.land(Nonce(1), Vec::new());
        assert_eq!(flights.begun_by(Nonce(1)), None, "it was seen before");
        let second = flights.begin(TraceId(2), Nonce(2), connection());
        tokio::pin!(second);
        assert!(timeout(Duration::from_millis(1), &mut second).await.is_err());
        flights.end(TraceId(1));
        assert!(!timeout(Duration::from_millis(1), second).await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_packet_that_stays_silent_keeps_others_waiting_for_a_moment_only() {
        let flights = Flights::new(1);
        flights.begin(TraceId(1), Nonce(1), connection()).await;
        timeout(2 * SILENCE, flights.begin(TraceId(2), Nonce(2), connection()))
            .await
            .unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_first_goes_first_however_long_it_takes() {
        let flights = Flights::new(1);
        flights.begin(TraceId(1), Nonce(1), connection()).await;
        let mut order = Vec::new();
        let first = flights.begin(TraceId(2), Nonce(2), connection());
        let second = async {
            tokio::time::sleep(SILENCE / 2).await;
            flights.begin(TraceId(3), Nonce(3), connection()).await
        };
        tokio::pin!(first, second);
        tokio::select! {
            _ = &mut first => order.push(2),
            _ = &mut second => order.push(3),
        }
        assert_eq!(order, [2]);
    }

    #[tokio::test]
    async fn what_was_seen_is_not_lost_with_the_switch() {
        let flights = Flights::new(2);
        flights.begin(TraceId(1), Nonce(1), connection()).await;
        flights.begin(TraceId(2), Nonce(2), connection()).await;
        flights.land(Nonce(1), Vec::new());
        assert_eq!(flights.lose_all(), 1);
    }
}
