//! The network between rootless nodes: hands each frame to the node whose MAC address it has.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use traceflow_core::packet::MacAddress;

use super::link::PodLink;

/// Any number of nodes, each known by its MAC address.
#[derive(Debug, Default)]
pub(crate) struct Hub(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    links: BTreeMap<[u8; 6], PodLink>,
    down: BTreeSet<[u8; 6]>,
}

impl Hub {
    /// Connects a node; one connected before under this address is replaced.
    pub(crate) fn attach(&self, mac: MacAddress, socket: &Path) -> io::Result<()> {
        let link = PodLink::connect(socket)?;
        let incoming = link.try_clone()?;
        if let Some(before) = lock(&self.0).links.insert(mac.0, link) {
            before.close();
        }
        let state = Arc::clone(&self.0);
        thread::Builder::new()
            .name("testbed-hub".to_owned())
            .spawn(move || carry(mac, incoming, &state))?;
        Ok(())
    }

    /// Whether frames from and to this node pass.
    pub(crate) fn set_up(&self, mac: MacAddress, up: bool) {
        let mut state = lock(&self.0);
        if up {
            state.down.remove(&mac.0);
        } else {
            state.down.insert(mac.0);
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        for link in lock(&self.0).links.values() {
            link.close();
        }
    }
}

/// Carries a node's frames to the others until it is gone.
fn carry(from: MacAddress, mut incoming: PodLink, state: &Mutex<State>) {
    loop {
        match incoming.receive(Duration::from_secs(3600)) {
            Ok(Some(frame)) => lock(state).forward(from.0, &frame),
            Ok(None) => {}
            Err(_) => return,
        }
    }
}

impl State {
    fn forward(&self, from: [u8; 6], frame: &[u8]) {
        let Some((to, _)) = frame.split_first_chunk::<6>() else {
            return;
        };
        let everybody = !self.links.contains_key(to);
        for (mac, link) in &self.links {
            let passes = *mac != from && !self.down.contains(mac) && !self.down.contains(&from);
            // A node that stands still loses what is sent to it and keeps nobody waiting, as on a real network.
            if passes && (everybody || mac == to) && link.has_room() && link.send(frame).is_err() {
                // What follows would be read from the middle of a frame.
                link.close();
            }
        }
    }
}

/// A thread that panicked left nothing half done here.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    const MACS: [MacAddress; 3] = [
        MacAddress([2, 0, 0, 0, 0, 1]),
        MacAddress([2, 0, 0, 0, 0, 2]),
        MacAddress([2, 0, 0, 0, 0, 3]),
    ];

    /// The three nodes' ends of a hub.
    fn connected(hub: &Hub) -> Vec<PodLink> {
        let place = tempfile::tempdir().unwrap();
        let attach = |mac: &MacAddress| {
            let socket = place.path().join(mac.to_string());
            let listener = UnixListener::bind(&socket).unwrap();
            hub.attach(*mac, &socket).unwrap();
            PodLink::from_stream(listener.accept().unwrap().0)
        };
        MACS.iter().map(attach).collect()
    }

    fn frame(to: [u8; 6], body: u8) -> Vec<u8> {
        [&to[..], &[2, 0, 0, 0, 0, 1], &[8, 0, body]].concat()
    }

    const SOON: Duration = Duration::from_secs(5);

    #[test]
    fn a_frame_goes_to_the_node_that_it_is_for_and_a_broadcast_to_all_others() {
        let hub = Hub::default();
        let mut nodes = connected(&hub);
        nodes[0].send(&frame(MACS[2].0, 1)).unwrap();
        nodes[0].send(&frame([0xff; 6], 2)).unwrap();
        assert_eq!(nodes[1].receive(SOON).unwrap(), Some(frame([0xff; 6], 2)));
        assert_eq!(nodes[2].receive(SOON).unwrap(), Some(frame(MACS[2].0, 1)));
        assert_eq!(nodes[2].receive(SOON).unwrap(), Some(frame([0xff; 6], 2)));
    }

    #[test]
    fn a_node_that_stands_still_loses_frames_and_keeps_nobody_waiting() {
        let hub = Hub::default();
        let mut nodes = connected(&hub);
        let long = [&frame([0xff; 6], 1)[..], &[0; 1500]].concat();
        for _ in 0..1000 {
            nodes[0].send(&long).unwrap();
            assert_eq!(nodes[2].receive(SOON).unwrap().as_ref(), Some(&long));
        }
        let mut kept = 0;
        while let Some(received) = nodes[1].receive(Duration::from_millis(50)).unwrap() {
            assert_eq!(received, long);
            kept += 1;
        }
        assert!((1..1000).contains(&kept), "{kept}");
        nodes[0].send(&long).unwrap();
        assert_eq!(nodes[1].receive(SOON).unwrap(), Some(long));
    }

    #[test]
    fn nothing_passes_to_a_node_that_is_down() {
        let hub = Hub::default();
        let mut nodes = connected(&hub);
        hub.set_up(MACS[1], false);
        nodes[0].send(&frame([0xff; 6], 1)).unwrap();
        assert_eq!(nodes[2].receive(SOON).unwrap(), Some(frame([0xff; 6], 1)));
        hub.set_up(MACS[1], true);
        nodes[0].send(&frame([0xff; 6], 2)).unwrap();
        assert_eq!(nodes[1].receive(SOON).unwrap(), Some(frame([0xff; 6], 2)));
    }
}
