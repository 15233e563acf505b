//! What receivers send back.

use traceflow_core::packet::{CapturedPacket, CapturedTransport, IcmpHeader, Protocol, TcpFlags, Transport};

use super::{Fabric, lock};
use crate::cluster::NodeId;
use crate::pipeline::{Arrival, Outcome};
use crate::wire::WirePacket;

/// What whoever got the packet sends back, and where that enters.
pub(super) fn answer(
    fabric: &Fabric,
    node: NodeId,
    outcome: Outcome,
    arrived: &CapturedPacket,
) -> Option<(NodeId, Arrival, CapturedPacket)> {
    let arrival = match outcome {
        Outcome::ToPod(pod) => Arrival::Pod { pod, mac: None },
        // From the node itself, or from outside by the node that the packet left by.
        Outcome::ToNode | Outcome::Outside => Arrival::Gateway,
        Outcome::ToPeer(_) | Outcome::Dropped | Outcome::Rejected => return None,
    };
    let mut random = lock(&fabric.random);
    let packet = WirePacket {
        source: arrived.destination,
        destination: arrived.source,
        ttl: WirePacket::TTL,
        dscp: arrived.dscp,
        ip_flags: None,
        identification: random.u16(1..),
        transport: answering_transport(arrived)?,
        sequence: random.u32(..),
    };
    Some((node, arrival, packet.captured()))
}

fn answering_transport(arrived: &CapturedPacket) -> Option<Transport> {
    let swapped = arrived
        .transport
        .ports()
        .map(|(source, destination)| (destination, source));
    let (source, destination) = swapped.unwrap_or_default();
    match &arrived.transport {
        CapturedTransport::Tcp { flags, .. } => {
            let opens = flags.is_some_and(|flags| flags.contains(TcpFlags::SYN));
            let syn = if opens { TcpFlags::SYN.0 } else { 0 };
            Some(Transport::Tcp {
                source,
                destination,
                flags: TcpFlags(syn | TcpFlags::ACK.0),
            })
        }
        CapturedTransport::Udp { .. } => Some(Transport::Udp { source, destination }),
        CapturedTransport::Sctp { .. } => Some(Transport::Sctp { source, destination }),
        CapturedTransport::Icmp(header) => match (arrived.protocol, header.icmp_type) {
            (Protocol::ICMP, 8) => Some(Transport::Icmp(IcmpHeader {
                icmp_type: 0,
                ..*header
            })),
            (Protocol::ICMPV6, 128) => Some(Transport::Icmpv6(IcmpHeader {
                icmp_type: 129,
                ..*header
            })),
            _ => None,
        },
        _ => None,
    }
}
