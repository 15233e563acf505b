//! Whose turn it is among traces of the very same connection.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use crate::datapath::TraceId;
use crate::packet::{Packet, Protocol, Transport};

/// What connection tracking tells connections apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Connection {
    source: IpAddr,
    destination: IpAddr,
    protocol: Protocol,
    /// The ports, or the id of an echo request in both places' stead; 0 where there is nothing of the kind.
    ports: (u16, u16),
}

impl Connection {
    pub(super) fn of(packet: &Packet) -> Self {
        let ports = match packet.transport {
            Transport::Icmp(header) | Transport::Icmpv6(header) => (header.id, 0),
            _ => packet.transport.ports().unwrap_or((0, 0)),
        };
        Self {
            source: packet.ip.source(),
            destination: packet.ip.destination(),
            protocol: packet.protocol(),
            ports,
        }
    }
}

/// One trace per connection at a time: a second packet of a tracked connection would be treated unlike the first.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// The one whose turn it is, then those who wait, in the order in which they came.
    queues: HashMap<Connection, VecDeque<TraceId>>,
}

impl Turns {
    /// The place of the newcomer: 0 means that it is its turn.
    pub(super) fn enter(&mut self, connection: Connection, trace: TraceId) -> usize {
        let queue = self.queues.entry(connection).or_default();
        queue.push_back(trace);
        queue.len() - 1
    }

    /// How many connections are traced.
    pub(super) fn len(&self) -> usize {
        self.queues.len()
    }

    pub(super) fn position(&self, connection: Connection, trace: TraceId) -> Option<usize> {
        self.queues.get(&connection)?.iter().position(|&other| other == trace)
    }

    /// Takes the trace away, whether or not it was its turn; tells whose turn it has become.
    pub(super) fn leave(&mut self, connection: Connection, trace: TraceId) -> Option<TraceId> {
        let queue = self.queues.get_mut(&connection)?;
        let position = queue.iter().position(|&other| other == trace)?;
        queue.remove(position);
        let next = queue.front().copied();
        if next.is_none() {
            self.queues.remove(&connection);
        }
        next.filter(|_| position == 0)
    }
}
