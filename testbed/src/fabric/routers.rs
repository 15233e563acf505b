//! The nodes themselves as routers, for rootless ones: what leaves by a node's gateway port for a Pod of another node is
//! put in at that node's gateway port.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use traceflow_core::names::NodeName;
use traceflow_core::packet::MacAddress;

use super::link::PodLink;
use crate::realisation::NodeRealisation;

/// Any number of nodes that route.
#[derive(Debug, Default)]
pub(crate) struct Routers(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    routers: BTreeMap<NodeName, Router>,
    down: BTreeSet<NodeName>,
}

#[derive(Debug)]
struct Router {
    /// The node's end of its gateway port.
    link: PodLink,
    mac: MacAddress,
    /// Its own Pods.
    pods: HashMap<IpAddr, MacAddress>,
}

impl Routers {
    /// Connects a node; one connected before under this name is replaced.
    pub(crate) fn attach(&self, node: &NodeRealisation, socket: &Path) -> io::Result<()> {
        let link = PodLink::connect(socket)?;
        let incoming = link.try_clone()?;
        let addresses = node
            .pods
            .iter()
            .flat_map(|pod| pod.addresses.iter().map(|&address| (address, pod.mac)));
        let router = Router {
            link,
            mac: node.gateway.mac,
            pods: addresses.collect(),
        };
        if let Some(before) = lock(&self.0).routers.insert(node.name.clone(), router) {
            before.link.close();
        }
        let (name, state) = (node.name.clone(), Arc::clone(&self.0));
        thread::Builder::new()
            .name("testbed-router".to_owned())
            .spawn(move || carry(&name, incoming, &state))?;
        Ok(())
    }

    /// Whether packets from and to this node pass.
    pub(crate) fn set_up(&self, node: &NodeName, up: bool) {
        let mut state = lock(&self.0);
        if up {
            state.down.remove(node);
        } else {
            state.down.insert(node.clone());
        }
    }
}

impl Drop for Routers {
    fn drop(&mut self) {
        for router in lock(&self.0).routers.values() {
            router.link.close();
        }
    }
}

/// Routes what a node sends until it is gone.
fn carry(from: &NodeName, mut incoming: PodLink, state: &Mutex<State>) {
    loop {
        match incoming.receive(Duration::from_secs(3600)) {
            Ok(Some(frame)) => lock(state).route(from, frame),
            Ok(None) => {}
            Err(_) => return,
        }
    }
}

/// The sender's node and the receiver's are a router each.
const HOPS: u8 = 2;

impl State {
    fn route(&self, from: &NodeName, mut frame: Vec<u8>) {
        let Some(destination) = destination(&frame) else { return };
        let mut others = self.routers.iter().filter(|(name, _)| *name != from);
        let found = others.find_map(|(name, router)| Some((name, router, router.pods.get(&destination)?)));
        let Some((to, router, pod)) = found else { return };
        let is_down = self.down.contains(from) || self.down.contains(to);
        if is_down || !pass(&mut frame, HOPS) || !router.link.has_room() {
            return;
        }
        frame[..6].copy_from_slice(&pod.0);
        frame[6..12].copy_from_slice(&router.mac.0);
        if router.link.send(&frame).is_err() {
            // What follows would be read from the middle of a frame.
            router.link.close();
        }
    }
}

const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
const ETHERNET: usize = 14;

fn destination(frame: &[u8]) -> Option<IpAddr> {
    let (header, packet) = frame.split_at_checked(ETHERNET)?;
    match [header[12], header[13]] {
        IPV4 => packet
            .get(16..20)?
            .first_chunk()
            .map(|bytes: &[u8; 4]| Ipv4Addr::from(*bytes).into()),
        IPV6 => packet
            .get(24..40)?
            .first_chunk()
            .map(|bytes: &[u8; 16]| Ipv6Addr::from(*bytes).into()),
        _ => None,
    }
}

/// Takes so much from the TTL or hop limit; false if nothing would be left of it. The frame has a whole IP header.
fn pass(frame: &mut [u8], hops: u8) -> bool {
    let is_v4 = frame[12..ETHERNET] == IPV4;
    let packet = &mut frame[ETHERNET..];
    let ttl = if is_v4 { 8 } else { 7 };
    let Some(left) = packet[ttl].checked_sub(hops).filter(|left| *left > 0) else {
        return false;
    };
    packet[ttl] = left;
    if is_v4 {
        // RFC 1624, equation 3, for the word whose high byte is the TTL.
        let sum = u16::from_be_bytes([packet[10], packet[11]]);
        let sum = u32::from(sum) + (u32::from(hops) << 8);
        let sum = (sum & 0xffff) + (sum >> 16);
        packet[10..12].copy_from_slice(&(sum as u16).to_be_bytes());
    }
    true
}

/// A thread that panicked left nothing half done here.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use traceflow_core::packet::{CapturedPacket, Packet, TcpFlags};

    use super::*;

    fn frame(ttl: u8, destination: [u8; 4]) -> Vec<u8> {
        let ethernet = Packet::ethernet(MacAddress([2; 6]), MacAddress([4; 6]));
        let packet = ethernet.ipv4([10, 0, 0, 1].into(), destination.into()).ttl(ttl);
        packet.tcp(1000, 80, TcpFlags::SYN).unwrap().to_vec()
    }

    #[test]
    fn a_packet_that_passes_is_as_if_it_had_been_sent_with_less() {
        for ttl in [3, 64, 255] {
            let mut passed = frame(ttl, [10, 0, 1, 2]);
            assert!(pass(&mut passed, HOPS));
            assert_eq!(passed, frame(ttl - HOPS, [10, 0, 1, 2]), "{ttl}");
        }
        assert!(!pass(&mut frame(2, [10, 0, 1, 2]), HOPS));
    }

    #[test]
    fn destinations_are_read_of_what_has_one() {
        assert_eq!(destination(&frame(64, [10, 0, 1, 2])), Some([10, 0, 1, 2].into()));
        assert_eq!(destination(&frame(64, [10, 0, 1, 2])[..33]), None);
        assert_eq!(destination(&[0; 60]), None);
        assert!(CapturedPacket::from_frame(&frame(64, [10, 0, 1, 2])).is_ok());
    }
}
