//! The connection tracking entries that an injected packet leaves, and how they are forgotten: each by its whole tuple,
//! which the switch finds at once.

use std::fmt::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use traceflow_core::packet::{CapturedTransport, IcmpHeader, IpFamily, Packet, Protocol, Transport};
use traceflow_core::receipt::{Change, Changed, Fate};
use traceflow_openflow::field::Field;
use traceflow_openflow::message::{CtFlush, Message, Tuple};

use crate::evidence::{Evidence, ct_state};
use crate::layout::Zones;

/// A connection as its first packet began it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Connection {
    source: IpAddr,
    destination: IpAddr,
    protocol: Protocol,
    kind: Kind,
}

/// What tells connections between two addresses apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ports(u16, u16),
    Icmp(IcmpHeader),
    Nothing,
}

impl Connection {
    /// The one that `packet` begins where it is injected.
    pub(crate) fn of(packet: &Packet) -> Self {
        Self {
            source: packet.ip.source(),
            destination: packet.ip.destination(),
            protocol: packet.protocol(),
            kind: match packet.transport {
                Transport::Icmp(header) | Transport::Icmpv6(header) => Kind::Icmp(without_sequence(header)),
                // The userspace datapath tracks SCTP by its addresses alone.
                Transport::Sctp { .. } => Kind::Ports(0, 0),
                ref transport => transport
                    .ports()
                    .map_or(Kind::Nothing, |(source, destination)| Kind::Ports(source, destination)),
            },
        }
    }

    /// The one that the packet belonged to where it was seen, in the zone that it went through last.
    pub(crate) fn in_last_zone(evidence: &Evidence<'_>) -> Self {
        let packet = &evidence.packet;
        // Of ICMPv6 the switch doesn't tell the original addresses; nothing translates those packets' sources.
        let (source, destination) = evidence.original_addresses();
        let number = |field| evidence.metadata.number(field).unwrap_or_default() as u16;
        Self {
            source: source.unwrap_or(packet.source),
            destination: destination.unwrap_or(packet.destination),
            protocol: packet.protocol,
            kind: match packet.transport {
                CapturedTransport::Icmp(header) => Kind::Icmp(without_sequence(header)),
                CapturedTransport::Sctp { .. } => Kind::Ports(0, 0),
                ref transport => match (transport.ports(), source) {
                    (None, _) => Kind::Nothing,
                    (Some((source, destination)), None) => Kind::Ports(source, destination),
                    (Some(_), Some(_)) => Kind::Ports(number(Field::NXM_NX_CT_TP_SRC), number(Field::NXM_NX_CT_TP_DST)),
                },
            },
        }
    }

    /// Has the switch forget it in one zone; nothing if that would be the end of the switch.
    ///
    /// Open vSwitch 3.1 aborts when it is to forget a connection of ICMPv6, or one of ICMP whose type no request has. The
    /// former expires by itself after a minute (`ICMP_FIRST` in its `conntrack-tp.c`), the latter is never tracked.
    pub(crate) fn forgotten_in(self, zone: u16) -> Option<Message> {
        if !self.is_safe_to_forget() {
            return None;
        }
        let mut tuple = Tuple {
            source: Some(self.source),
            destination: Some(self.destination),
            ..Tuple::default()
        };
        match self.kind {
            Kind::Ports(source, destination) => {
                tuple.source_port = Some(source);
                tuple.destination_port = Some(destination);
            }
            Kind::Icmp(header) => {
                tuple.icmp_id = Some(header.id);
                tuple.icmp_type = Some(header.icmp_type);
                tuple.icmp_code = Some(header.code);
            }
            Kind::Nothing => {}
        }
        Some(Message::CtFlush(CtFlush {
            protocol: self.protocol.0,
            original: Some(tuple),
            zone: Some(zone),
            ..CtFlush::default()
        }))
    }

    fn is_safe_to_forget(self) -> bool {
        match self.kind {
            Kind::Icmp(header) => self.protocol == Protocol::ICMP && ICMP_REQUESTS.contains(&header.icmp_type),
            _ => self.protocol != Protocol::ICMPV6 && self.protocol != Protocol::ICMP,
        }
    }

    /// Has the switch forget it in every zone of its family.
    pub(crate) fn forgotten_in_all(self, zones: &Zones) -> impl Iterator<Item = Message> + '_ {
        zones
            .of(self.family())
            .iter()
            .filter_map(move |&zone| self.forgotten_in(zone))
    }

    /// The entry as the change of a trace; `None` if there never is one.
    pub(crate) fn change_in(self, zone: u16) -> Option<Change> {
        let fate = match self.kind {
            _ if self.is_safe_to_forget() => Fate::Undone,
            Kind::Icmp(_) if self.protocol == Protocol::ICMP => return None,
            _ => Fate::Expires {
                within: ICMP_LIFETIME,
                why: "Open vSwitch 3.1 would abort if it were told to forget an ICMPv6 entry".into(),
            },
        };
        let mut tuple = String::with_capacity(USUAL_TEXT);
        // A string takes whatever is written to it.
        let _ = write!(tuple, "{self}");
        let what = Changed::Connection {
            tuple: tuple.into(),
            zone: Some(zone),
        };
        Some(Change { what, fate })
    }

    /// The same in every zone of its family.
    pub(crate) fn changes_in_all(self, zones: &Zones) -> impl Iterator<Item = Change> + '_ {
        let zones = zones.of(self.family()).iter();
        zones.filter_map(move |&zone| self.change_in(zone))
    }

    pub(crate) fn family(self) -> IpFamily {
        IpFamily::of(self.source)
    }
}

/// How long the text of an IPv4 connection is at most: TCP or SCTP, two addresses, two ports.
const USUAL_TEXT: usize = 52;

/// `TCP 10.0.0.1:40000 -> 10.0.0.2:80`
impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            source,
            destination,
            protocol,
            kind,
        } = *self;
        match kind {
            Kind::Ports(source_port, destination_port) => {
                let source = SocketAddr::new(source, source_port);
                let destination = SocketAddr::new(destination, destination_port);
                write!(f, "{protocol} {source} -> {destination}")
            }
            Kind::Icmp(_) | Kind::Nothing => write!(f, "{protocol} {source} -> {destination}"),
        }
    }
}

/// `CT_DPIF_TP_ATTR_ICMP_FIRST` as Open vSwitch has it by default: an echo that wasn't answered is forgotten.
const ICMP_LIFETIME: Duration = Duration::from_secs(60);

/// Echo, timestamp and information requests: the types that conntrack of Open vSwitch takes for a beginning.
const ICMP_REQUESTS: [u8; 3] = [8, 13, 15];

fn without_sequence(header: IcmpHeader) -> IcmpHeader {
    IcmpHeader { sequence: 0, ..header }
}

impl Zones {
    /// The zones of one family.
    pub fn of(&self, family: IpFamily) -> &[u16] {
        match family {
            IpFamily::V4 => &self.v4,
            IpFamily::V6 => &self.v6,
        }
    }
}

/// What an injected packet leaves in connection tracking.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Footprint {
    /// What has the switch forget it; also what may not be there.
    pub(crate) messages: Vec<Message>,
    /// What the packet began, and what becomes of that when the switch has been told.
    pub(crate) changes: Vec<Change>,
}

impl Footprint {
    /// Of a packet that was not seen: it can have begun its connection in any zone.
    pub(crate) fn unseen(connection: Connection, zones: &Zones) -> Self {
        Self {
            messages: connection.forgotten_in_all(zones).collect(),
            changes: connection.changes_in_all(zones).collect(),
        }
    }

    /// Of a packet that was seen, and that began its connection as `begun` if it was injected here.
    pub(crate) fn seen(evidence: &Evidence<'_>, begun: Option<Connection>) -> Self {
        let zones = &evidence.layout.zones;
        if Belongs::of(evidence) != Belongs::ToNobody {
            return Self::default();
        }
        let here = Connection::in_last_zone(evidence);
        let Some(&first_zone) = zones.of(here.family()).first() else {
            return Self::default();
        };
        let zone = evidence.zone().unwrap_or(first_zone);
        // Behind a second zone, the first one still has the connection as it was before.
        let before = begun
            .map(|begun| (begun, first_zone))
            .filter(|entry| *entry != (here, zone));
        let entries = || [Some((here, zone)), before].into_iter().flatten();
        let commits = evidence.commits_connection();
        Self {
            changes: entries()
                .filter(|_| commits)
                .filter_map(|(entry, zone)| entry.change_in(zone))
                .collect(),
            messages: entries().filter_map(|(entry, zone)| entry.forgotten_in(zone)).collect(),
        }
    }
}

/// Whose connection an injected packet turned out to belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Belongs {
    /// Nobody else's: it was begun by the packet, or not tracked at all.
    ToNobody,
    /// To real traffic; it is left alone.
    ToTraffic,
    /// The packet is part of no connection; it begins none, and if it looks like part of one, that is left alone.
    Nowhere,
}

impl Belongs {
    pub(crate) fn of(evidence: &Evidence<'_>) -> Self {
        let state = evidence.connection();
        if evidence.was_first() {
            // What conntrack of the userspace datapath calls established behind that is the packet's own: it was begun by a
            // bare ACK, and looked up again in a later pass.
            Self::ToNobody
        } else if state & ct_state::INVALID != 0 {
            Self::Nowhere
        } else if state & ct_state::TRACKED != 0 && (state & ct_state::NEW == 0 || state & ct_state::ESTABLISHED != 0) {
            Self::ToTraffic
        } else {
            Self::ToNobody
        }
    }
}

#[cfg(test)]
mod tests {
    use traceflow_core::packet::{MacAddress, TcpFlags};

    use super::*;

    fn forgotten(packet: &Packet) -> usize {
        let zones = Zones {
            v4: vec![1, 2],
            v6: vec![3],
        };
        Connection::of(packet).forgotten_in_all(&zones).count()
    }

    #[test]
    fn the_switch_is_never_asked_to_forget_what_it_would_die_of() {
        let ethernet = || Packet::ethernet(MacAddress([2; 6]), MacAddress([4; 6]));
        let v4 = || ethernet().ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let v6 = || ethernet().ipv6("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap());
        let icmp = |icmp_type| IcmpHeader {
            icmp_type,
            ..IcmpHeader::ECHO_REQUEST
        };
        assert_eq!(forgotten(&v4().tcp(1, 2, TcpFlags::SYN).unwrap()), 2);
        assert_eq!(forgotten(&v6().udp(1, 2).unwrap()), 1);
        assert_eq!(forgotten(&v4().icmp(icmp(8)).unwrap()), 2);
        assert_eq!(forgotten(&v4().icmp(icmp(3)).unwrap()), 0);
        assert_eq!(forgotten(&v6().icmpv6(IcmpHeader::ECHO_REQUEST_V6).unwrap()), 0);
    }
}
