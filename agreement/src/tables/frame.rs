//! A packet in front of a switch, in the words of `ofproto/trace`.

use std::net::IpAddr;

use testbed::realisation::TUNNEL_PORT;
use traceflow_core::packet::{IpHeader, Packet, Protocol, TcpFlags, Transport};

use super::traced::Traced;

#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) in_port: u32,
    tunnel: Option<(IpAddr, IpAddr)>,
    macs: (String, String),
    addresses: (IpAddr, IpAddr),
    ttl: u8,
    transport: Transport,
}

impl Frame {
    pub(super) fn of(packet: &Packet, in_port: u32) -> Self {
        Self {
            in_port,
            tunnel: None,
            macs: (packet.source_mac.to_string(), packet.destination_mac.to_string()),
            addresses: (packet.ip.source(), packet.ip.destination()),
            ttl: match &packet.ip {
                IpHeader::V4(header) => header.ttl,
                IpHeader::V6(header) => header.hop_limit,
            },
            transport: packet.transport.clone(),
        }
    }

    /// Comes out of the tunnel, as the node before made it.
    pub(super) fn pass(&mut self, traced: &Traced, from: IpAddr, to: IpAddr) {
        self.in_port = TUNNEL_PORT;
        self.tunnel = Some((from, to));
        for (mac, field) in [(&mut self.macs.0, "eth_src"), (&mut self.macs.1, "eth_dst")] {
            if let Some(set) = traced.text(field) {
                set.clone_into(mac);
            }
        }
        self.ttl = self.ttl.saturating_sub(1);
        let Some(endpoint) = traced.endpoint else {
            return;
        };
        self.addresses.1 = endpoint.ip();
        if let Transport::Tcp { destination, .. }
        | Transport::Udp { destination, .. }
        | Transport::Sctp { destination, .. } = &mut self.transport
        {
            *destination = endpoint.port();
        }
    }

    /// What connection tracking says of the first packet of a connection: one without flags can't be any connection's.
    pub(super) fn state(&self) -> &'static str {
        match self.transport {
            Transport::Tcp { flags: TcpFlags(0), .. } => "trk,inv",
            _ => "trk,new",
        }
    }

    pub(super) fn flow(&self) -> String {
        let Self {
            in_port,
            macs,
            addresses,
            ttl,
            ..
        } = self;
        let (six, network) = match addresses.0.is_ipv6() {
            true => ("6", "ipv6"),
            false => ("", "nw"),
        };
        let transport = match &self.transport {
            Transport::Tcp {
                source, destination, ..
            } => format!("tcp{six},tcp_src={source},tcp_dst={destination}"),
            Transport::Udp { source, destination } => format!("udp{six},udp_src={source},udp_dst={destination}"),
            Transport::Sctp { source, destination } => format!("sctp{six},sctp_src={source},sctp_dst={destination}"),
            Transport::Icmp(header) => format!("icmp,icmp_type={},icmp_code={}", header.icmp_type, header.code),
            Transport::Icmpv6(header) => format!("icmp6,icmpv6_type={},icmpv6_code={}", header.icmp_type, header.code),
            Transport::Other(Protocol(number)) => format!("ip{six},nw_proto={number}"),
        };
        let tunnel = match self.tunnel {
            Some((from @ IpAddr::V4(_), to)) => format!(",tun_src={from},tun_dst={to},tun_id=0"),
            Some((from, to)) => format!(",tun_ipv6_src={from},tun_ipv6_dst={to},tun_id=0"),
            None => String::new(),
        };
        format!(
            "in_port={in_port},{transport},dl_src={},dl_dst={},{network}_src={},{network}_dst={},nw_ttl={ttl}{tunnel}",
            macs.0, macs.1, addresses.0, addresses.1
        )
    }
}
