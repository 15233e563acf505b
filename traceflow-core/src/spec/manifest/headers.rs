//! `spec.packet` of a manifest.

use std::num::{NonZeroU8, NonZeroU16};

use crate::input::{BadInput, Field, Problem};
use crate::packet::{IpFamily, Protocol, TcpFlags};
use crate::plan::TcpFlagsMatch;
use crate::spec::packet::{IcmpSpec, PacketSpec, TransportSpec};

pub(super) fn packet(field: &Field<'_>) -> Result<PacketSpec, BadInput> {
    field.only(PACKET)?;
    let mut packet = match (field.optional("ipHeader")?, field.optional("ipv6Header")?) {
        (Some(_), Some(second)) => {
            return Err(second.error(Problem::Conflict {
                what: "a packet has one IP header, and ipHeader is given, too".into(),
                remedy: "keep one of them".into(),
            }));
        }
        (Some(header), None) => ip_header(&header)?,
        (None, Some(header)) => ipv6_header(&header)?,
        (None, None) => PacketSpec::default(),
    };
    if let Some(header) = field.optional("transportHeader")? {
        packet.transport = transport(&header, packet.transport, packet.family)?;
    }
    Ok(packet)
}

fn ip_header(header: &Field<'_>) -> Result<PacketSpec, BadInput> {
    header.only(IP_HEADER)?;
    let mut packet = PacketSpec {
        family: Some(IpFamily::V4),
        ttl: positive(header, "ttl")?,
        ip_flags: header
            .optional("flags")?
            .map(|flags| flags.integer(0..=7))
            .transpose()?,
        ..PacketSpec::default()
    };
    if let Some(field) = header.optional("protocol")? {
        let protocol = Protocol(field.integer(0..=255)?);
        if protocol == Protocol::ICMPV6 {
            return Err(field.error(Problem::Conflict {
                what: "58 is ICMPv6, but the packet is IPv4".into(),
                remedy: "use 1 for ICMP, or ipv6Header instead of ipHeader".into(),
            }));
        }
        packet.transport = (protocol.0 != 0).then(|| TransportSpec::of(protocol));
    }
    Ok(packet)
}

fn ipv6_header(header: &Field<'_>) -> Result<PacketSpec, BadInput> {
    header.only(IPV6_HEADER)?;
    let mut packet = PacketSpec {
        family: Some(IpFamily::V6),
        ttl: positive(header, "hopLimit")?,
        ..PacketSpec::default()
    };
    if let Some(field) = header.optional("nextHeader")? {
        // 1 is what Antrea's own command line writes for ICMPv6; TransportSpec reads it so.
        let protocol = Protocol(field.integer(0..=255)?);
        packet.transport = (protocol.0 != 0).then(|| TransportSpec::of(protocol));
    }
    Ok(packet)
}

/// A TTL or hop limit. 0 means that none was asked for, as in Antrea: a packet can't be sent with it.
fn positive(header: &Field<'_>, key: &str) -> Result<Option<NonZeroU8>, BadInput> {
    Ok(byte(header, key)?.and_then(NonZeroU8::new))
}

/// The transport header, which must agree with the `protocol` of the IP header.
fn transport(
    header: &Field<'_>,
    protocol: Option<TransportSpec>,
    family: Option<IpFamily>,
) -> Result<Option<TransportSpec>, BadInput> {
    header.only(TRANSPORT_HEADER)?;
    let mut found: Option<(&str, TransportSpec)> = None;
    for &key in TRANSPORT_HEADER {
        let Some(field) = header.optional(key)? else {
            continue;
        };
        if let Some((first, _)) = found {
            return Err(field.error(Problem::Conflict {
                what: format!("a packet has one transport header, and {first} is given, too").into(),
                remedy: "keep one of them".into(),
            }));
        }
        let transport = transport_header(key, &field)?;
        check_agreement(&field, &transport, protocol.as_ref(), family)?;
        found = Some((key, transport));
    }
    Ok(found.map(|(_, transport)| transport).or(protocol))
}

fn transport_header(key: &str, field: &Field<'_>) -> Result<TransportSpec, BadInput> {
    Ok(match key {
        "tcp" => {
            field.only(TCP)?;
            TransportSpec::Tcp {
                source: port(field, "srcPort")?,
                destination: port(field, "dstPort")?,
                flags: byte(field, "flags")?.map(|flags| TcpFlagsMatch::exactly(TcpFlags(flags))),
            }
        }
        "udp" => {
            field.only(PORTS)?;
            TransportSpec::Udp {
                source: port(field, "srcPort")?,
                destination: port(field, "dstPort")?,
            }
        }
        "sctp" => {
            field.only(PORTS)?;
            TransportSpec::Sctp {
                source: port(field, "srcPort")?,
                destination: port(field, "dstPort")?,
            }
        }
        _ => {
            field.only(ICMP)?;
            TransportSpec::Icmp(IcmpSpec {
                icmp_type: byte(field, "type")?,
                code: byte(field, "code")?,
                id: word(field, "id")?,
                sequence: word(field, "sequence")?,
            })
        }
    })
}

fn check_agreement(
    field: &Field<'_>,
    transport: &TransportSpec,
    protocol: Option<&TransportSpec>,
    family: Option<IpFamily>,
) -> Result<(), BadInput> {
    let (family, header) = match family {
        Some(IpFamily::V6) => (IpFamily::V6, "ipv6Header.nextHeader"),
        _ => (IpFamily::V4, "ipHeader.protocol"),
    };
    let asked = protocol.map(|protocol| protocol.protocol(family));
    let given = transport.protocol(family);
    match asked {
        Some(asked) if asked != given => Err(field.error(Problem::Conflict {
            what: format!("{header} says {} ({asked}), this header {} ({given})", asked.0, given.0).into(),
            remedy: "make them agree".into(),
        })),
        _ => Ok(()),
    }
}

fn port(header: &Field<'_>, key: &str) -> Result<Option<NonZeroU16>, BadInput> {
    match header.optional(key)? {
        Some(field) => Ok(NonZeroU16::new(field.integer(1..=u16::MAX)?)),
        None => Ok(None),
    }
}

fn byte(header: &Field<'_>, key: &str) -> Result<Option<u8>, BadInput> {
    header
        .optional(key)?
        .map(|field| field.integer(0..=u8::MAX))
        .transpose()
}

fn word(header: &Field<'_>, key: &str) -> Result<Option<u16>, BadInput> {
    header
        .optional(key)?
        .map(|field| field.integer(0..=u16::MAX))
        .transpose()
}

const PACKET: &[&str] = &["ipHeader", "ipv6Header", "transportHeader"];
const IP_HEADER: &[&str] = &["protocol", "ttl", "flags"];
const IPV6_HEADER: &[&str] = &["nextHeader", "hopLimit"];
const TRANSPORT_HEADER: &[&str] = &["tcp", "udp", "icmp", "sctp"];
const TCP: &[&str] = &["srcPort", "dstPort", "flags"];
const PORTS: &[&str] = &["srcPort", "dstPort"];
const ICMP: &[&str] = &["id", "sequence", "type", "code"];
