//! What a node remembers between packets: connections and the endpoint choices of Services with affinity.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use traceflow_core::datapath::TraceId;
use traceflow_core::packet::Protocol;
use traceflow_core::receipt::Changed;

use super::ServiceId;
use super::load_balancer::Chosen;
use super::packet::Tuple;

/// Connection tracking and affinity entries of one node.
#[derive(Debug, Default)]
pub(crate) struct NodeMemory {
    /// By the tuple of either direction: what a packet of it is translated to.
    connections: HashMap<Tuple, Entry<Direction>>,
    affinity: HashMap<AffinityKey, Entry<Chosen>>,
}

/// On whose account an entry exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Planter {
    /// Real traffic.
    Workload,
    /// The injected packet of this trace.
    Trace(Owner),
}

/// A trace, whosever it is: two tracers number theirs alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner {
    pub(crate) tracer: TracerId,
    pub(crate) trace: TraceId,
}

/// Which of a network's tracers, in the order in which they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TracerId(pub(crate) u32);

/// A client of a Service port, which stays with its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct AffinityKey {
    pub(crate) service: ServiceId,
    /// The port's place among the Service's ports.
    pub(crate) port: usize,
    pub(crate) client: IpAddr,
}

/// What a packet leaves behind on a node.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    pub(crate) connection: Option<Connection>,
    pub(crate) affinity: Option<(AffinityKey, Chosen)>,
}

/// A connection, as its first packet came in and as it went out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Connection {
    pub(crate) original: Tuple,
    pub(crate) translated: Tuple,
}

/// One direction of a connection.
#[derive(Debug, Clone, Copy)]
struct Direction {
    translated: Tuple,
    /// That of its first packet.
    original: bool,
}

#[derive(Debug)]
struct Entry<T> {
    value: T,
    planter: Planter,
    expires: Instant,
}

/// How long a connection is remembered; nf_conntrack's default for a TCP connection that saw no end is 5 days, which
/// only makes a simulated node forgetful later than a test lasts.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(5 * 24 * 3600);

impl NodeMemory {
    /// What a packet with this tuple is translated to, if its connection is known.
    pub(super) fn translated(&self, tuple: &Tuple, now: Instant) -> Option<Tuple> {
        let entry = self.connections.get(tuple).filter(|entry| entry.expires > now)?;
        Some(entry.value.translated)
    }

    /// The endpoint that this client stays with.
    pub(super) fn chosen(&self, key: &AffinityKey, now: Instant) -> Option<&Chosen> {
        let entry = self.affinity.get(key).filter(|entry| entry.expires > now)?;
        Some(&entry.value)
    }

    /// Remembers what a packet left behind; entries that are there already stay whose they are. What a trace plants
    /// lives for `lifetime` at most.
    pub(crate) fn learn(&mut self, learned: &Learned, planter: Planter, lifetime: Option<Duration>, now: Instant) {
        let at_most = |usual: Duration| after(now, lifetime.map_or(usual, |lifetime| lifetime.min(usual)));
        if let Some(Connection { original, translated }) = learned.connection {
            let directions = [
                (original, translated, true),
                (translated.reversed(), original.reversed(), false),
            ];
            for (tuple, translated, original) in directions {
                let value = Direction { translated, original };
                let expires = at_most(CONNECTION_LIFETIME);
                plant(
                    &mut self.connections,
                    tuple,
                    Entry {
                        value,
                        planter,
                        expires,
                    },
                    now,
                );
            }
        }
        if let Some((key, chosen)) = learned.affinity {
            let expires = at_most(chosen.remembered_for);
            plant(
                &mut self.affinity,
                key,
                Entry {
                    value: chosen,
                    planter,
                    expires,
                },
                now,
            );
        }
    }

    /// Real traffic used the connection that a packet with this tuple belongs to: it is no trace's any more.
    pub(crate) fn adopt(&mut self, tuple: &Tuple, now: Instant) {
        let Some(translated) = self.translated(tuple, now) else {
            return;
        };
        for tuple in [*tuple, translated.reversed()] {
            if let Some(entry) = self.connections.get_mut(&tuple) {
                entry.planter = Planter::Workload;
                entry.expires = after(now, CONNECTION_LIFETIME);
            }
        }
    }

    /// Takes away everything this trace planted, and says what that was.
    pub(crate) fn forget(&mut self, trace: Owner, now: Instant) -> Vec<Changed> {
        let planted = self.planted_by(trace, now);
        self.keep(|planter| planter != Planter::Trace(trace));
        planted
    }

    /// What this trace planted and is still there: each connection once, though it is known by both its directions.
    fn planted_by(&self, trace: Owner, now: Instant) -> Vec<Changed> {
        let its = |planter: Planter, expires: Instant| planter == Planter::Trace(trace) && expires > now;
        let connections = self.connections.iter();
        let connections = connections.filter(|(_, entry)| entry.value.original && its(entry.planter, entry.expires));
        let mut tuples: Vec<String> = connections.map(|(tuple, _)| tuple.to_string()).collect();
        tuples.sort_unstable();
        let connections = tuples.into_iter().map(|tuple| Changed::Connection {
            tuple: tuple.into(),
            zone: None,
        });
        let affinity = self.affinity.iter();
        let affinity = affinity.filter(|(_, entry)| its(entry.planter, entry.expires));
        let affinity = affinity.map(|(key, entry)| Changed::Affinity {
            client: key.client,
            endpoint: entry.value.address,
        });
        connections.chain(affinity).collect()
    }

    /// Takes away everything that other tracers planted.
    pub(crate) fn forget_others(&mut self, tracer: TracerId) {
        self.keep(|planter| match planter {
            Planter::Workload => true,
            Planter::Trace(owner) => owner.tracer == tracer,
        });
    }

    fn keep(&mut self, stays: impl Fn(Planter) -> bool) {
        self.connections.retain(|_, entry| stays(entry.planter));
        self.affinity.retain(|_, entry| stays(entry.planter));
    }

    /// What traces planted and nobody took away, one line each.
    pub(crate) fn leftovers(&self, now: Instant) -> Vec<String> {
        let alive = |planter: Planter, expires: Instant| match planter {
            Planter::Trace(owner) if expires > now => Some(owner.trace),
            _ => None,
        };
        let connections = self.connections.iter().filter_map(|(tuple, entry)| {
            let trace = alive(entry.planter, entry.expires)?;
            Some(format!("connection tracking entry {tuple} of trace {trace}"))
        });
        let affinity = self.affinity.iter().filter_map(|(key, entry)| {
            let trace = alive(entry.planter, entry.expires)?;
            Some(format!(
                "session affinity entry of client {} of trace {trace}",
                key.client
            ))
        });
        let mut lines: Vec<String> = connections.chain(affinity).collect();
        lines.sort();
        lines
    }
}

/// The time `duration` after `now`; a time that the clock can't hold is as good as a year.
pub(crate) fn after(now: Instant, duration: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    now.checked_add(duration).unwrap_or_else(|| now + YEAR)
}

fn plant<K: Eq + std::hash::Hash, V>(entries: &mut HashMap<K, Entry<V>>, key: K, entry: Entry<V>, now: Instant) {
    let known = entries.get(&key).is_some_and(|known| known.expires > now);
    let from_workload = entry.planter == Planter::Workload;
    if !known || from_workload {
        entries.insert(key, entry);
    }
}

impl fmt::Display for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            source,
            destination,
            protocol,
            source_port,
            destination_port,
        } = *self;
        match protocol {
            Protocol::TCP | Protocol::UDP | Protocol::SCTP => {
                let source = SocketAddr::new(source, source_port);
                let destination = SocketAddr::new(destination, destination_port);
                write!(f, "{protocol} {source} -> {destination}")
            }
            _ => write!(f, "{protocol} {source} -> {destination}"),
        }
    }
}
