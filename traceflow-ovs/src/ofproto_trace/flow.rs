//! The packet as `ofproto/trace` is told it.

use std::fmt::Write;
use std::net::IpAddr;

use traceflow_core::packet::{IpFamily, IpHeader, Packet, Protocol, Transport};

/// How a packet comes into a bridge: what isn't in the packet itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// The OpenFlow number of the port.
    pub in_port: u32,
    /// What the tunnel said, if the packet comes out of one.
    pub tunnel: Option<Tunnel>,
    /// Registers that a packet-out would set, by number: 0 to 15.
    pub registers: Vec<(u8, u32)>,
}

/// What a tunnel says about a packet that comes out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tunnel {
    /// The outer source address: the other node's.
    pub source: IpAddr,
    /// The outer destination address: this node's.
    pub destination: IpAddr,
    /// The key: a VNI of 24 bits for Geneve and VXLAN.
    pub id: u64,
}

/// The flow argument of `ofproto/trace` for a packet: everything that a flow can match.
///
/// `ofproto/trace` can be given a packet's bytes instead. Tried on Open vSwitch 3.1, that isn't a question but a deed:
/// the datapath executes what it would do apart from sending, so a connection is committed, a flow learnt and a controller
/// told; and registers are forgotten. With a flow nothing happens and nothing that can be matched is lost.
pub fn flow(packet: &Packet, entry: &Entry) -> String {
    let mut text = format!("in_port={}", entry.in_port);
    // Writing to a string doesn't fail.
    let _ = write_entry(&mut text, entry)
        .and_then(|()| write_addresses(&mut text, packet))
        .and_then(|()| write_transport(&mut text, &packet.transport));
    text
}

fn write_entry(text: &mut String, entry: &Entry) -> std::fmt::Result {
    if let Some(Tunnel {
        source,
        destination,
        id,
    }) = &entry.tunnel
    {
        let family = if destination.is_ipv4() { "tun" } else { "tun_ipv6" };
        write!(text, ",tun_id={id:#x},{family}_src={source},{family}_dst={destination}")?;
    }
    entry
        .registers
        .iter()
        .try_for_each(|(number, value)| write!(text, ",reg{number}={value:#x}"))
}

fn write_addresses(text: &mut String, packet: &Packet) -> std::fmt::Result {
    write!(text, ",dl_src={},dl_dst={}", packet.source_mac, packet.destination_mac)?;
    write!(text, ",{}", shorthand(packet))?;
    match &packet.ip {
        IpHeader::V4(header) => {
            // The protocol must be named before what depends on it.
            write!(text, ",nw_src={},nw_dst={}", header.source, header.destination)?;
            write!(text, ",ip_dscp={},nw_ttl={}", header.dscp, header.ttl)?;
            let first = header.flags & MORE_FRAGMENTS != 0;
            text.push_str(if first { ",nw_frag=first" } else { "" });
            Ok(())
        }
        IpHeader::V6(header) => {
            write!(text, ",ipv6_src={},ipv6_dst={}", header.source, header.destination)?;
            write!(text, ",ipv6_label={:#x}", header.flow_label)?;
            write!(text, ",ip_dscp={},nw_ttl={}", header.dscp, header.hop_limit)
        }
    }
}

/// `tcp`, `udp6`, `ip,nw_proto=47`.
fn shorthand(packet: &Packet) -> String {
    let v6 = packet.ip.family() == IpFamily::V6;
    let name = match packet.protocol() {
        Protocol::TCP => "tcp",
        Protocol::UDP => "udp",
        Protocol::SCTP => "sctp",
        Protocol::ICMP if !v6 => return "icmp".to_owned(),
        Protocol::ICMPV6 if v6 => return "icmp6".to_owned(),
        other => return format!("{},nw_proto={}", if v6 { "ipv6" } else { "ip" }, other.0),
    };
    format!("{name}{}", if v6 { "6" } else { "" })
}

fn write_transport(text: &mut String, transport: &Transport) -> std::fmt::Result {
    match transport {
        Transport::Tcp {
            source,
            destination,
            flags,
        } => {
            write!(text, ",tcp_src={source},tcp_dst={destination},tcp_flags={:#x}", flags.0)
        }
        Transport::Udp { source, destination } => write!(text, ",udp_src={source},udp_dst={destination}"),
        Transport::Sctp { source, destination } => write!(text, ",sctp_src={source},sctp_dst={destination}"),
        Transport::Icmp(header) => write!(text, ",icmp_type={},icmp_code={}", header.icmp_type, header.code),
        Transport::Icmpv6(header) => write!(text, ",icmpv6_type={},icmpv6_code={}", header.icmp_type, header.code),
        Transport::Other(_) => Ok(()),
    }
}

/// RFC 791, section 3.1: the lowest of the three flags.
const MORE_FRAGMENTS: u8 = 1;

#[cfg(test)]
mod tests {
    use traceflow_core::packet::{EthernetBuilder, MacAddress, TcpFlags};

    use super::*;

    fn ethernet() -> EthernetBuilder {
        Packet::ethernet(MacAddress([2, 0, 0, 10, 1, 11]), MacAddress([2, 0, 0, 10, 1, 1]))
    }

    #[test]
    fn a_flow_says_what_a_flow_can_match() {
        let syn = Transport::Tcp {
            source: 44000,
            destination: 80,
            flags: TcpFlags::SYN,
        };
        let packet = ethernet()
            .ipv4([10, 10, 1, 11].into(), [10, 96, 0, 10].into())
            .dscp(7)
            .transport(syn)
            .unwrap();
        let entry = Entry {
            in_port: 3,
            ..Entry::default()
        };
        assert_eq!(
            flow(&packet, &entry),
            "in_port=3,dl_src=02:00:00:0a:01:0b,dl_dst=02:00:00:0a:01:01,tcp,nw_src=10.10.1.11,nw_dst=10.96.0.10,\
             ip_dscp=7,nw_ttl=64,tcp_src=44000,tcp_dst=80,tcp_flags=0x2"
        );
    }

    #[test]
    fn a_flow_says_where_the_packet_comes_from() {
        let packet = ethernet()
            .ipv6("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap())
            .echo_request(1, 2)
            .unwrap();
        let entry = Entry {
            in_port: 1,
            tunnel: Some(Tunnel {
                source: [192, 168, 77, 2].into(),
                destination: [192, 168, 77, 1].into(),
                id: 0x11,
            }),
            registers: vec![(10, 5), (11, 0)],
        };
        assert_eq!(
            flow(&packet, &entry),
            "in_port=1,tun_id=0x11,tun_src=192.168.77.2,tun_dst=192.168.77.1,reg10=0x5,reg11=0x0,\
             dl_src=02:00:00:0a:01:0b,dl_dst=02:00:00:0a:01:01,icmp6,ipv6_src=fd00::1,ipv6_dst=fd00::2,\
             ipv6_label=0x0,ip_dscp=0,nw_ttl=64,icmpv6_type=128,icmpv6_code=0"
        );
    }
}
