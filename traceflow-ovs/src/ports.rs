//! Which ports of the switch carry packets: what is put out of one that is down, or gone, is lost without a word.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use traceflow_openflow::message::{PortDesc, PortReason, PortStatus};

/// The ports as the switch last told of them.
#[derive(Debug, Default)]
pub(crate) struct Ports(Mutex<Option<BTreeMap<u32, Port>>>);

#[derive(Debug)]
struct Port {
    name: String,
    state: PortState,
}

/// What becomes of a packet that is put out of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PortState {
    /// It is sent, as far as anybody knows.
    Up,
    /// It is lost, unless the port is one that an operating system made for itself: one that was moved to a network namespace
    /// looks as if it had no link, and works.
    Suspect,
    /// It is lost.
    Down,
    /// It is lost: there is no such port.
    Gone,
}

impl PortState {
    fn of(port: &PortDesc) -> Self {
        match (port.config & PORT_DOWN != 0, port.state & LINK_DOWN != 0) {
            (true, _) => Self::Down,
            (false, true) => Self::Suspect,
            (false, false) => Self::Up,
        }
    }
}

/// `OFPPC_PORT_DOWN`: somebody has shut it.
const PORT_DOWN: u32 = 1;

/// From here on OpenFlow 1.0, whose numbers registers hold, has names: the local port, the controller, flooding.
const RESERVED: u32 = 0xff00;

/// `OFPPS_LINK_DOWN`
const LINK_DOWN: u32 = 1;

impl Ports {
    /// These are all ports that there are.
    pub(crate) fn begin(&self, ports: &[PortDesc]) {
        let port = |port: &PortDesc| {
            let state = PortState::of(port);
            let name = port.name.clone();
            (port.port.0, Port { name, state })
        };
        *self.lock() = Some(ports.iter().map(port).collect());
    }

    /// Something has happened to one.
    pub(crate) fn change(&self, PortStatus { reason, port }: &PortStatus) {
        let mut ports = self.lock();
        let Some(ports) = ports.as_mut() else { return };
        if *reason == PortReason::Delete {
            ports.remove(&port.port.0);
            return;
        }
        let state = PortState::of(port);
        let name = port.name.clone();
        ports.insert(port.port.0, Port { name, state });
    }

    /// What becomes of packets that are put out there. Before the switch has told of its ports, they are held to be up, as are
    /// numbers that stand for something else than a port.
    pub(crate) fn state(&self, port: u32) -> PortState {
        match &*self.lock() {
            Some(ports) if port < RESERVED => ports.get(&port).map_or(PortState::Gone, |port| port.state),
            _ => PortState::Up,
        }
    }

    /// Whether somebody has to say more of some port.
    pub(crate) fn has_suspects(&self) -> bool {
        let ports = self.lock();
        let mut all = ports.iter().flat_map(BTreeMap::values);
        all.any(|port| port.state == PortState::Suspect)
    }

    /// Those that have no link are down, but for these.
    pub(crate) fn settle(&self, made_by_the_system: &BTreeSet<String>) {
        let mut ports = self.lock();
        for port in ports.iter_mut().flat_map(BTreeMap::values_mut) {
            if port.state == PortState::Suspect && !made_by_the_system.contains(&port.name) {
                port.state = PortState::Down;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<BTreeMap<u32, Port>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The ports of the types `internal` and `tap` in the answer to `dpif/show`, whose lines are `name number/number: (type: …)`.
pub(crate) fn made_by_the_system(shown: &str) -> BTreeSet<String> {
    let of_line = |line: &str| {
        let (name, rest) = line.trim().split_once(' ')?;
        let (_, kind) = rest.split_once('(')?;
        let kind = kind.split([':', ')']).next()?;
        ["internal", "tap"].contains(&kind).then(|| name.to_owned())
    };
    shown.lines().filter_map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use super::PortState::{Down, Gone, Suspect, Up};
    use super::*;

    fn port(number: u32, name: &str, config: u32, state: u32) -> PortDesc {
        PortDesc {
            port: traceflow_openflow::Port(number),
            address: [2; 6],
            name: name.to_owned(),
            config,
            state,
            ethernet: None,
            properties: Vec::new(),
        }
    }

    #[test]
    fn a_port_without_link_is_down_unless_it_may_be_in_a_namespace() {
        let ports = Ports::default();
        assert_eq!(ports.state(9), Up, "nothing is known yet");
        ports.begin(&[
            port(1, "veth1", 0, 1),
            port(2, "gw0", 0, 1),
            port(3, "shut", 1, 1),
            port(4, "up", 0, 4),
        ]);
        assert!(ports.has_suspects());
        assert_eq!(ports.state(1), Suspect);
        ports.settle(&made_by_the_system(
            "netdev@ovs-netdev: hit:0 missed:1\n  br-int:\n    gw0 2/1: (tap)\n    veth1 3/3: (system)\n    tun0 1/4: (geneve: key=flow)\n",
        ));
        assert_eq!(ports.state(0xfffe), Up, "the local port has another number");
        let states = [1, 2, 3, 4, 9].map(|number| ports.state(number));
        assert_eq!(states, [Down, Suspect, Down, Up, Gone]);
    }

    #[test]
    fn what_happens_to_a_port_counts_at_once() {
        let ports = Ports::default();
        let status = |reason, port| PortStatus { reason, port };
        ports.change(&status(PortReason::Add, port(1, "early", 0, 0)));
        assert_eq!(ports.state(2), Up, "nothing is known yet");
        ports.begin(&[port(1, "veth1", 0, 0)]);
        ports.change(&status(PortReason::Modify, port(1, "veth1", 1, 1)));
        assert_eq!(ports.state(1), Down);
        ports.change(&status(PortReason::Modify, port(1, "veth1", 0, 0)));
        assert_eq!(ports.state(1), Up);
        ports.change(&status(PortReason::Delete, port(1, "veth1", 0, 0)));
        assert_eq!(ports.state(1), Gone);
    }
}
