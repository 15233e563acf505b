//! Packets between the Pods of the network under test.

use std::net::IpAddr;

use traceflow_core::inventory::{Inventory, PodEntry, ServiceEntry};
use traceflow_core::names::ObjectName;
use traceflow_core::packet::{
    IcmpHeader, IpFamily, IpHeader, Ipv4Header, Ipv6Header, MacAddress, Nonce, Packet, Protocol, TcpFlags, Transport,
};
use traceflow_core::plan::FlowMatch;

use crate::case::Failure;
use crate::network::{Destination, Journey};

const TTL: u8 = 64;
const DESTINATION_PORT: u16 = 8080;

/// What is asked of a packet.
pub(super) struct Wanted {
    pub(super) family: IpFamily,
    /// ICMP means the family's version of it.
    pub(super) protocol: Protocol,
    pub(super) nonce: Nonce,
    /// What tells its connection from others: a port, or the identifier of an echo request.
    pub(super) source: u16,
}

/// The packet that a Pod's stack would send first.
pub(super) fn build(inventory: &dyn Inventory, journey: &Journey, wanted: &Wanted) -> Result<Packet, Failure> {
    let family = wanted.family;
    let destination_port = destination_port(inventory, &journey.to, wanted.protocol)?;
    let from = pod(inventory, &journey.from)?;
    let source = address(&from, family)?;
    let (destination, destination_mac) = far_end(inventory, &from, &journey.to, family)?;
    Ok(Packet {
        source_mac: mac(&from)?,
        destination_mac,
        ip: ip_header(source, destination)?,
        transport: transport(wanted, destination_port),
        nonce: wanted.nonce,
    })
}

/// The same packet, another attempt.
pub(crate) fn with_nonce(packet: &Packet, nonce: u64) -> Packet {
    Packet {
        nonce: Nonce(nonce),
        ..packet.clone()
    }
}

/// The same packet with this TTL or hop limit.
pub(crate) fn with_ttl(packet: &Packet, ttl: u8) -> Packet {
    let mut packet = packet.clone();
    match &mut packet.ip {
        IpHeader::V4(header) => header.ttl = ttl,
        IpHeader::V6(header) => header.hop_limit = ttl,
    }
    packet
}

/// The same packet with this DSCP.
pub(crate) fn with_dscp(packet: &Packet, dscp: u8) -> Packet {
    let mut packet = packet.clone();
    match &mut packet.ip {
        IpHeader::V4(header) => header.dscp = dscp,
        IpHeader::V6(header) => header.dscp = dscp,
    }
    packet
}

/// The same packet with these flags, if it is of TCP.
pub(crate) fn with_tcp_flags(packet: &Packet, wanted: TcpFlags) -> Packet {
    let mut packet = packet.clone();
    if let Transport::Tcp { flags, .. } = &mut packet.transport {
        *flags = wanted;
    }
    packet
}

/// What the receiver of a connection's first packet sends back.
pub(crate) fn answer_to(packet: &Packet) -> Result<Packet, Failure> {
    let answer = Packet {
        source_mac: packet.destination_mac,
        destination_mac: packet.source_mac,
        ip: ip_header(packet.ip.destination(), packet.ip.source())?,
        transport: answering(&packet.transport),
        nonce: packet.nonce,
    };
    Ok(with_tcp_flags(&answer, TcpFlags(TcpFlags::SYN.0 | TcpFlags::ACK.0)))
}

fn answering(transport: &Transport) -> Transport {
    let mut answer = transport.clone();
    match &mut answer {
        Transport::Tcp {
            source, destination, ..
        }
        | Transport::Udp { source, destination }
        | Transport::Sctp { source, destination } => std::mem::swap(source, destination),
        Transport::Icmp(header) => header.icmp_type = 0,
        Transport::Icmpv6(header) => header.icmp_type = 129,
        Transport::Other(_) => {}
    }
    answer
}

/// What matches `packet` and no packet of another connection.
pub(crate) fn matching(packet: &Packet) -> FlowMatch {
    let ports = packet.transport.ports();
    FlowMatch {
        family: IpFamily::of(packet.ip.source()),
        source: Some(packet.ip.source()),
        destination: Some(packet.ip.destination()),
        protocol: Some(packet.protocol()),
        source_port: ports.map(|(source, _)| source),
        destination_port: ports.map(|(_, destination)| destination),
        tcp_flags: None,
        icmp_type: None,
        icmp_code: None,
        dscp: None,
        new_only: false,
    }
}

fn far_end(
    inventory: &dyn Inventory,
    from: &PodEntry,
    to: &Destination,
    family: IpFamily,
) -> Result<(IpAddr, MacAddress), Failure> {
    match to {
        Destination::Address(to) => Ok((*to, gateway_mac(inventory, from)?)),
        Destination::Service(name) => {
            let addresses = service(inventory, name)?.cluster_ips;
            let of_family = |address: &&IpAddr| IpFamily::of(**address) == family;
            let address = addresses.iter().find(of_family).copied();
            let missing = || {
                Failure::new(
                    format!("Service {name} to have an {family} address"),
                    format!("{addresses:?}"),
                )
            };
            Ok((address.ok_or_else(missing)?, gateway_mac(inventory, from)?))
        }
        Destination::Pod(name) => {
            let to = pod(inventory, name)?;
            let near = to.node == from.node;
            let destination_mac = if near { mac(&to)? } else { gateway_mac(inventory, from)? };
            Ok((address(&to, family)?, destination_mac))
        }
    }
}

fn destination_port(inventory: &dyn Inventory, to: &Destination, protocol: Protocol) -> Result<u16, Failure> {
    let Destination::Service(name) = to else {
        return Ok(DESTINATION_PORT);
    };
    let ports = service(inventory, name)?.ports;
    let port = ports.iter().find(|port| port.protocol == protocol);
    let missing = || {
        Failure::new(
            format!("Service {name} to have a port of {protocol}"),
            format!("{ports:?}"),
        )
    };
    Ok(port.ok_or_else(missing)?.port)
}

pub(super) fn service(inventory: &dyn Inventory, name: &ObjectName) -> Result<ServiceEntry, Failure> {
    let unknown = || Failure::new(format!("the inventory to know Service {name}"), "that it doesn't");
    inventory.service(name).ok_or_else(unknown)
}

fn pod(inventory: &dyn Inventory, name: &ObjectName) -> Result<PodEntry, Failure> {
    let unknown = || Failure::new(format!("the inventory to know Pod {name}"), "that it doesn't");
    inventory.pod(name).ok_or_else(unknown)
}

fn address(pod: &PodEntry, family: IpFamily) -> Result<IpAddr, Failure> {
    let missing = || {
        let expected = format!("Pod {} to have an {family} address, as {family} is claimed", pod.name);
        Failure::new(expected, format!("{:?}", pod.addresses))
    };
    pod.address(family).ok_or_else(missing)
}

fn mac(pod: &PodEntry) -> Result<MacAddress, Failure> {
    let missing = || Failure::new(format!("Pod {} to have a MAC address", pod.name), "none");
    pod.mac.ok_or_else(missing)
}

fn gateway_mac(inventory: &dyn Inventory, from: &PodEntry) -> Result<MacAddress, Failure> {
    let node = from.node.as_ref().and_then(|node| inventory.node(node));
    let missing = || {
        Failure::new(
            format!("the inventory to know the node of Pod {}", from.name),
            "that it doesn't",
        )
    };
    Ok(node.ok_or_else(missing)?.gateway_mac)
}

fn ip_header(source: IpAddr, destination: IpAddr) -> Result<IpHeader, Failure> {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => Ok(IpHeader::V4(Ipv4Header {
            source,
            destination,
            ttl: TTL,
            dscp: 0,
            flags: 2,
            identification: 0,
        })),
        (IpAddr::V6(source), IpAddr::V6(destination)) => Ok(IpHeader::V6(Ipv6Header {
            source,
            destination,
            hop_limit: TTL,
            dscp: 0,
            flow_label: 0,
        })),
        _ => Err(Failure::new(
            format!("an address of {}", IpFamily::of(source)),
            destination.to_string(),
        )),
    }
}

fn transport(wanted: &Wanted, destination: u16) -> Transport {
    let (source, family) = (wanted.source, wanted.family);
    let echo = |icmp_type| IcmpHeader {
        icmp_type,
        code: 0,
        id: source,
        sequence: 1,
    };
    match (wanted.protocol, family) {
        (Protocol::TCP, _) => Transport::Tcp {
            source,
            destination,
            flags: TcpFlags::SYN,
        },
        (Protocol::UDP, _) => Transport::Udp { source, destination },
        (Protocol::SCTP, _) => Transport::Sctp { source, destination },
        (Protocol::ICMP | Protocol::ICMPV6, IpFamily::V4) => Transport::Icmp(echo(8)),
        (Protocol::ICMP | Protocol::ICMPV6, IpFamily::V6) => Transport::Icmpv6(echo(128)),
        (other, _) => Transport::Other(other),
    }
}
