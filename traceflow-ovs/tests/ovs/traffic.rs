//! Frames that rootless Pods send to each other while they are traced: each is known, and each has to arrive once and as
//! it was sent.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use testbed::fabric::PodLink;
use traceflow_core::names::ObjectName;
use traceflow_core::packet::{CapturedPacket, IpHeader, Nonce, Packet};

use crate::support::World;

/// No more are under way at a time: the queue of a Pod's link holds 100, those between the nodes fewer.
const UNDER_WAY: usize = 32;

/// The nonces of this traffic begin so.
const OURS: u64 = 0x5354_5247 << 32;

/// Traffic from one Pod to several.
pub(crate) struct Traffic {
    sender: PodLink,
    shared: Arc<Shared>,
    receivers: Vec<JoinHandle<()>>,
    last: AtomicU64,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    over: AtomicBool,
    others: AtomicBool,
}

#[derive(Default)]
struct State {
    /// What was sent and hasn't arrived, with its DSCP.
    under_way: HashMap<u64, u8>,
    arrived: u64,
    /// What arrived and wasn't sent, or not so.
    wrong: Vec<String>,
}

impl Traffic {
    pub(crate) fn new(world: &World, from: &str, to: &[&str]) -> Self {
        let link = |pod: &str| world.fabric().pod_link(&ObjectName::new("default", pod)).unwrap();
        Self::over(link, from, to)
    }

    /// The same over links that are found so.
    pub(crate) fn over(link: impl Fn(&str) -> PodLink, from: &str, to: &[&str]) -> Self {
        let shared = Arc::<Shared>::default();
        let receive = |pod: &&str| {
            let (mut link, shared) = (link(pod), shared.clone());
            thread::spawn(move || shared.receive(&mut link))
        };
        Self {
            receivers: to.iter().map(receive).collect(),
            sender: link(from),
            shared,
            last: AtomicU64::new(0),
        }
    }

    /// Whether packets that this doesn't send are nothing wrong.
    pub(crate) fn others_may_arrive(&self, may: bool) {
        self.shared.others.store(may, Ordering::SeqCst);
    }

    /// Sends a packet under a number of its own, which is returned, once there is room for it.
    ///
    /// # Panics
    /// If what is under way doesn't arrive.
    pub(crate) fn send(&self, packet: &Packet) -> Nonce {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let mut packet = packet.clone();
        packet.nonce = Nonce(OURS | number);
        let dscp = match &mut packet.ip {
            IpHeader::V4(header) => {
                header.identification = number as u16;
                header.dscp
            }
            IpHeader::V6(header) => header.dscp,
        };
        self.shared.wait_for_fewer_than(UNDER_WAY, || {
            self.sender.send(&packet.to_vec()).unwrap();
            (packet.nonce.0, dscp)
        });
        packet.nonce
    }

    /// How many arrived, when all have; nothing else did.
    pub(crate) fn end(mut self) -> u64 {
        self.shared.wait_until_all_arrived();
        self.shared.over.store(true, Ordering::SeqCst);
        for receiver in self.receivers.drain(..) {
            receiver.join().unwrap();
        }
        let state = self.shared.state.lock().unwrap();
        assert_eq!(state.wrong, [""; 0]);
        assert_eq!(state.arrived, self.last.load(Ordering::SeqCst));
        state.arrived
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
    }
}

/// Whether a packet with this nonce is of such traffic.
pub(crate) fn is_traffic(nonce: Nonce) -> bool {
    nonce.0 & 0xffff_ffff_0000_0000 == OURS
}

impl Shared {
    fn wait_for_fewer_than(&self, most: usize, send: impl FnOnce() -> (u64, u8)) {
        let state = self.state.lock().unwrap();
        let waited = self
            .changed
            .wait_timeout_while(state, PATIENCE, |state| state.under_way.len() >= most);
        let (mut state, waited) = waited.unwrap();
        assert!(
            !waited.timed_out(),
            "{} packets were lost: {:x?}",
            state.under_way.len(),
            state.under_way
        );
        let (number, dscp) = send();
        state.under_way.insert(number, dscp);
    }

    fn wait_until_all_arrived(&self) {
        let state = self.state.lock().unwrap();
        let waited = self
            .changed
            .wait_timeout_while(state, PATIENCE, |state| !state.under_way.is_empty());
        let (state, _) = waited.unwrap();
        assert!(
            state.under_way.is_empty(),
            "{} packets were lost",
            state.under_way.len()
        );
    }

    fn receive(&self, link: &mut PodLink) {
        while !self.over.load(Ordering::SeqCst) {
            if let Some(frame) = link.receive(LOOK_UP).unwrap() {
                self.take(&frame);
            }
        }
    }

    fn take(&self, frame: &[u8]) {
        let mut state = self.state.lock().unwrap();
        match CapturedPacket::from_frame(frame) {
            Ok(packet) if self.others.load(Ordering::SeqCst) && !packet.nonce.is_some_and(is_traffic) => return,
            Ok(packet) => {
                let number = packet.nonce.map_or(0, |nonce| nonce.0);
                match state.under_way.remove(&number) {
                    Some(dscp) if dscp == packet.dscp => {}
                    Some(dscp) => state.wrong.push(format!("sent with DSCP {dscp}: {packet:?}")),
                    None => state.wrong.push(format!("never sent, or twice: {packet:?}")),
                }
                state.arrived += 1;
            }
            Err(error) => state.wrong.push(format!("no packet: {error}")),
        }
        drop(state);
        self.changed.notify_all();
    }
}

/// A packet takes microseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a receiver waits before it looks whether all is over.
const LOOK_UP: Duration = Duration::from_millis(20);
