//! A packet that went into a tunnel, as the other end's flow tables get it.

use std::net::IpAddr;

use traceflow_core::packet::{
    CapturedPacket, CapturedTransport, IcmpHeader, IpBuilder, IpHeader, MacAddress, Nonce, Packet, PacketError,
    Protocol, TcpFlags, Transport,
};
use traceflow_openflow::field::Field;
use traceflow_openflow::message::PacketIn2;

/// The packet of a packet-in that was punted on its way into a tunnel, and the tunnel's end that it goes to: what
/// [`flow`](super::flow) is told for the node there. `None` if it doesn't go into a tunnel or can't be read.
pub fn arrival(packet_in: &PacketIn2) -> Option<(Packet, IpAddr)> {
    let number = |field| packet_in.metadata.number(field).filter(|&number| number != 0);
    let v4 = number(Field::NXM_NX_TUN_IPV4_DST).map(|bits| IpAddr::from((bits as u32).to_be_bytes()));
    let v6 = number(Field::NXM_NX_TUN_IPV6_DST).map(|bits| IpAddr::from(bits.to_be_bytes()));
    let tunnel_end = v4.or(v6)?;
    Some((packet(&packet_in.packet)?, tunnel_end))
}

/// What a flow can match of a frame.
fn packet(frame: &[u8]) -> Option<Packet> {
    let captured = CapturedPacket::from_frame(frame).ok()?;
    let mac = |at: usize| frame.get(at..at + 6)?.try_into().ok().map(MacAddress);
    let (destination, source) = (mac(0)?, mac(6)?);
    let ip = Packet::ethernet(source, destination).ip(captured.source, captured.destination);
    let ip = ip.ok()?.ttl(captured.ttl).dscp(captured.dscp);
    with_transport(ip.nonce(captured.nonce.unwrap_or(Nonce(0))), &captured).ok()
}

fn with_transport(ip: IpBuilder<IpHeader>, captured: &CapturedPacket) -> Result<Packet, PacketError> {
    ip.transport(match captured.transport {
        CapturedTransport::Tcp {
            source,
            destination,
            flags,
            ..
        } => Transport::Tcp {
            source,
            destination,
            flags: flags.unwrap_or(TcpFlags::SYN),
        },
        CapturedTransport::Udp { source, destination } => Transport::Udp { source, destination },
        CapturedTransport::Sctp { source, destination } => Transport::Sctp { source, destination },
        CapturedTransport::Icmp(header) => icmp(captured.protocol, header),
        _ => Transport::Other(captured.protocol),
    })
}

fn icmp(protocol: Protocol, header: IcmpHeader) -> Transport {
    if protocol == Protocol::ICMPV6 {
        Transport::Icmpv6(header)
    } else {
        Transport::Icmp(header)
    }
}

#[cfg(test)]
mod tests {
    use traceflow_openflow::matching::Match;

    use super::*;
    use crate::ofproto_trace::{Entry, flow};

    fn punted(packet: &Packet, metadata: Match) -> PacketIn2 {
        PacketIn2 {
            packet: packet.to_vec(),
            full_len: None,
            buffer: None,
            table: None,
            cookie: None,
            reason: None,
            metadata,
            userdata: Vec::new(),
            continuation: None,
            unknown: Vec::new(),
        }
    }

    #[test]
    fn a_packet_arrives_as_it_went_into_the_tunnel() {
        let ethernet = Packet::ethernet(MacAddress([2, 0, 0, 0, 0, 1]), MacAddress([2, 0, 0, 0, 0, 2]));
        let four = || ethernet.ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into()).ttl(63);
        let six = || ethernet.ipv6("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap());
        let packets = [
            four().dscp(10).tcp(40_000, 80, TcpFlags::SYN).unwrap(),
            four().udp(40_000, 53).unwrap(),
            four().echo_request(1, 2).unwrap(),
            six().echo_request(1, 2).unwrap(),
            six().sctp(1, 2).unwrap(),
            four().transport(Transport::Other(Protocol(47))).unwrap(),
        ];
        let metadata = Match::new().with(Field::NXM_NX_TUN_IPV4_DST, 0xc000_0201);
        let entry = Entry::default();
        for packet in packets {
            let (arrived, end) = arrival(&punted(&packet, metadata.clone())).unwrap();
            assert_eq!(flow(&arrived, &entry), flow(&packet, &entry));
            assert_eq!(end, IpAddr::from([192, 0, 2, 1]));
        }
    }

    #[test]
    fn a_packet_that_goes_elsewhere_arrives_nowhere() {
        let packet = Packet::ethernet(MacAddress([2, 0, 0, 0, 0, 1]), MacAddress([2, 0, 0, 0, 0, 2]))
            .ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into())
            .udp(1, 2)
            .unwrap();
        assert_eq!(arrival(&punted(&packet, Match::new())), None);
    }
}
