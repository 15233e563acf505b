//! Whether a captured packet is the one that is traced: protocol, direction, and what tells it from its like.

use std::net::IpAddr;

use crate::datapath::Sighting;
use crate::packet::{CapturedPacket, CapturedTransport, IpFamily, Nonce, Packet, Transport};
use crate::plan::FlowMatch;

/// Whether the sighting can be of the injected `packet`. What wasn't captured can't speak against it.
pub(crate) fn is_of_injected(packet: &Packet, sighting: &Sighting) -> bool {
    let Some(captured) = &sighting.packet else {
        return true;
    };
    let (source, destination) = (packet.ip.source(), packet.ip.destination());
    captured.protocol == packet.protocol()
        && IpFamily::of(captured.source) == IpFamily::of(source)
        && same_icmp_kind(&packet.transport, &captured.transport)
        && !travels_back(Some(source), Some(destination), sighting, captured)
}

/// Whether the sighting can be of real traffic that `matching` takes, as far as translation leaves that to be seen.
pub(crate) fn is_of_traffic(matching: &FlowMatch, sighting: &Sighting) -> bool {
    let Some(captured) = &sighting.packet else {
        return true;
    };
    let (icmp_type, icmp_code) = match captured.transport {
        CapturedTransport::Icmp(header) => (Some(header.icmp_type), Some(header.code)),
        _ => (None, None),
    };
    let tcp_flags = match captured.transport {
        CapturedTransport::Tcp { flags, .. } => flags,
        _ => None,
    };
    IpFamily::of(captured.source) == matching.family
        && matching.protocol.is_none_or(|protocol| protocol == captured.protocol)
        && agree(matching.icmp_type, icmp_type)
        && agree(matching.icmp_code, icmp_code)
        && matching
            .tcp_flags
            .zip(tcp_flags)
            .is_none_or(|(wanted, flags)| wanted.matches(flags))
        && !travels_back(matching.source, matching.destination, sighting, captured)
}

/// Whether two fields, where both are known, are the same.
fn agree<T: PartialEq>(one: Option<T>, other: Option<T>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    }
}

/// A host echoes the payload back, and with it the nonce; only the type tells the reply from the request.
fn same_icmp_kind(sent: &Transport, captured: &CapturedTransport) -> bool {
    match (sent, captured) {
        (Transport::Icmp(sent) | Transport::Icmpv6(sent), CapturedTransport::Icmp(captured)) => {
            (sent.icmp_type, sent.code) == (captured.icmp_type, captured.code)
        }
        _ => true,
    }
}

/// Whether a packet goes from the traced connection's far end to its near end.
fn travels_back(
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
    sighting: &Sighting,
    captured: &CapturedPacket,
) -> bool {
    if source == destination {
        return false;
    }
    // A Service may choose the sender itself; such a packet goes to its own source and is still on its way there.
    let chosen = sighting
        .observations
        .iter()
        .find_map(|observation| observation.translated_dst_ip);
    let to_source = source == Some(captured.destination) && source != chosen;
    to_source || destination == Some(captured.source)
}

/// What a packet of real traffic is recognised by on every node: protocol, addresses and ports with their translations,
/// IP identification, TCP sequence or ICMP id and sequence number.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    packet: CapturedPacket,
    translated: Translated,
}

/// The addresses that translations wrote into the packet.
#[derive(Debug, Clone, Default)]
struct Translated {
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
}

impl Identity {
    /// The identity of the packet that was seen; `None` if it wasn't captured.
    pub(crate) fn of(sighting: &Sighting) -> Option<Self> {
        let packet = sighting.packet.clone()?;
        Some(Self {
            packet,
            translated: Translated::by(sighting),
        })
    }

    /// Whether the sighting can be of the same packet.
    pub(crate) fn is_of(&self, sighting: &Sighting) -> bool {
        let Some(other) = Self::of(sighting) else {
            return true;
        };
        let (one, two) = (&self.packet, &other.packet);
        one.protocol == two.protocol
            && agree(one.identification, two.identification)
            && same_address(one.source, self.translated.source, two.source, other.translated.source)
            && same_address(
                one.destination,
                self.translated.destination,
                two.destination,
                other.translated.destination,
            )
            && self.same_transport(&other)
    }

    fn same_transport(&self, other: &Self) -> bool {
        let numbers = match (&self.packet.transport, &other.packet.transport) {
            (CapturedTransport::Tcp { sequence: one, .. }, CapturedTransport::Tcp { sequence: two, .. }) => {
                agree(*one, *two)
            }
            (CapturedTransport::Icmp(one), CapturedTransport::Icmp(two)) => one == two,
            _ => true,
        };
        numbers && self.same_ports(other)
    }

    /// A translation of an address may translate its port.
    fn same_ports(&self, other: &Self) -> bool {
        let (Some((source, destination)), Some((other_source, other_destination))) =
            (self.packet.transport.ports(), other.packet.transport.ports())
        else {
            return true;
        };
        let source_translated = self.translated.source.or(other.translated.source).is_some();
        let destination_translated = self.translated.destination.or(other.translated.destination).is_some();
        (source_translated || source == other_source) && (destination_translated || destination == other_destination)
    }
}

impl Translated {
    fn by(sighting: &Sighting) -> Self {
        let observations = &sighting.observations;
        Self {
            source: observations
                .iter()
                .find_map(|seen| seen.translated_src_ip.or(seen.egress_ip)),
            destination: observations.iter().find_map(|seen| seen.translated_dst_ip),
        }
    }
}

fn same_address(one: IpAddr, one_translated: Option<IpAddr>, two: IpAddr, two_translated: Option<IpAddr>) -> bool {
    let ones = [Some(one), one_translated];
    ones.into_iter()
        .flatten()
        .any(|address| address == two || Some(address) == two_translated)
}

/// The nonce that a sighting carries: the datapath's word, or what the packet itself has in the nonce's place.
pub(crate) fn nonce_of(sighting: &Sighting) -> Option<Nonce> {
    sighting.nonce.or_else(|| sighting.packet.as_ref()?.nonce)
}
