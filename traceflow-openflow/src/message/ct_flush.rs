//! `NXT_CT_FLUSH` and `NXT_CT_FLUSH_ZONE`: forgetting tracked connections.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use super::Body;
use crate::Version;
use crate::wire::{DecodeError, Property, Reader, Writer};

/// Forgets all connections of a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CtFlushZone {
    /// The zone.
    pub zone: u16,
}

impl Body for CtFlushZone {
    fn decode(reader: &mut Reader<'_>, _version: Version) -> Result<Self, DecodeError> {
        reader.skip(6)?;
        Ok(Self {
            zone: reader.u16("zone")?,
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        writer.zeros(6);
        writer.u16(self.zone);
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " zone_id={}", self.zone)
    }
}

/// Forgets the connections that match. Known to Open vSwitch from 3.1 on.
///
/// With all of one tuple it finds the connection at once; with a part of one it looks at every connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct CtFlush {
    /// The IP protocol; 0 for any.
    pub protocol: u8,
    /// The packets that began the connection.
    pub original: Option<Tuple>,
    /// The packets that answer.
    pub reply: Option<Tuple>,
    /// The zone; all of them if there is none.
    pub zone: Option<u16>,
    /// Properties that this crate doesn't know, as they came.
    pub unknown: Vec<Property>,
}

/// One direction of a connection; what is not there is not compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Tuple {
    /// From which address.
    pub source: Option<IpAddr>,
    /// To which address.
    pub destination: Option<IpAddr>,
    /// From which port.
    pub source_port: Option<u16>,
    /// To which port.
    pub destination_port: Option<u16>,
    /// The echo's identifier.
    pub icmp_id: Option<u16>,
    /// The ICMP type.
    pub icmp_type: Option<u8>,
    /// The ICMP code.
    pub icmp_code: Option<u8>,
}

/// `nx_ct_flush_tlv_type`
const ORIGINAL: u16 = 0;
const REPLY: u16 = 1;
const ZONE: u16 = 2;

/// `nx_ct_flush_tuple_tlv_type`
const SOURCE: u16 = 0;
const DESTINATION: u16 = 1;
const SOURCE_PORT: u16 = 2;
const DESTINATION_PORT: u16 = 3;
const ICMP_ID: u16 = 4;
const ICMP_TYPE: u16 = 5;
const ICMP_CODE: u16 = 6;

impl Body for CtFlush {
    fn decode(reader: &mut Reader<'_>, _version: Version) -> Result<Self, DecodeError> {
        let mut flush = Self {
            protocol: reader.u8("protocol")?,
            ..Self::default()
        };
        reader.skip(7)?;
        while !reader.is_empty() {
            let (kind, mut body) = reader.property("flush property")?;
            match kind {
                ORIGINAL => flush.original = Some(Tuple::decode(body)?),
                REPLY => flush.reply = Some(Tuple::decode(body)?),
                ZONE => flush.zone = Some(body.u16("zone")?),
                _ => flush.unknown.push(Property::new(kind, body)),
            }
        }
        Ok(flush)
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        writer.u8(self.protocol);
        writer.zeros(7);
        for (kind, tuple) in [(ORIGINAL, &self.original), (REPLY, &self.reply)] {
            if let Some(tuple) = tuple {
                writer.property(kind, "a tuple", |writer| tuple.encode(writer));
            }
        }
        if let Some(zone) = self.zone {
            writer.property_u16(ZONE, zone);
        }
        Property::encode_all(&self.unknown, writer);
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(zone) = self.zone {
            write!(f, " zone={zone}")?;
        }
        let protocol = (self.protocol != 0).then(|| format!("ct_nw_proto={}", self.protocol));
        let original = self.original.unwrap_or_default().parts().into_iter().chain(protocol);
        let original: Vec<String> = original.collect();
        if !original.is_empty() || self.reply.is_some() {
            write!(f, " '{}'", original.join(","))?;
        }
        if let Some(reply) = &self.reply {
            write!(f, " '{}'", reply.parts().join(","))?;
        }
        Property::describe_all(&self.unknown, f)
    }
}

impl Tuple {
    fn decode(mut body: Reader<'_>) -> Result<Self, DecodeError> {
        let mut tuple = Self::default();
        body.skip(4)?;
        while !body.is_empty() {
            let (kind, mut part) = body.property("part of a tuple")?;
            match kind {
                SOURCE => tuple.source = Some(decode_address(&mut part)?),
                DESTINATION => tuple.destination = Some(decode_address(&mut part)?),
                SOURCE_PORT => tuple.source_port = Some(part.u16("source port")?),
                DESTINATION_PORT => tuple.destination_port = Some(part.u16("destination port")?),
                ICMP_ID => tuple.icmp_id = Some(part.u16("ICMP identifier")?),
                ICMP_TYPE => tuple.icmp_type = Some(part.u8("ICMP type")?),
                ICMP_CODE => tuple.icmp_code = Some(part.u8("ICMP code")?),
                _ => {}
            }
        }
        Ok(tuple)
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        writer.zeros(4);
        for (kind, address) in [(SOURCE, self.source), (DESTINATION, self.destination)] {
            if let Some(address) = address {
                writer.property(kind, "an address", |writer| encode_address(address, writer));
            }
        }
        let numbers = [
            (SOURCE_PORT, self.source_port),
            (DESTINATION_PORT, self.destination_port),
            (ICMP_ID, self.icmp_id),
        ];
        for (kind, number) in numbers {
            if let Some(number) = number {
                writer.property_u16(kind, number);
            }
        }
        for (kind, number) in [(ICMP_TYPE, self.icmp_type), (ICMP_CODE, self.icmp_code)] {
            if let Some(number) = number {
                writer.property(kind, "part of a tuple", |writer| writer.u8(number));
            }
        }
    }
}

impl Tuple {
    /// What is compared, in the words of ovs-ofctl.
    fn parts(&self) -> Vec<String> {
        let address = |ipv4: &str, ipv6: &str, address: Option<IpAddr>| {
            address.map(|address| format!("{}={address}", if address.is_ipv4() { ipv4 } else { ipv6 }))
        };
        let number = |name: &str, number: Option<u16>| number.map(|number| format!("{name}={number}"));
        let parts = [
            address("ct_nw_src", "ct_ipv6_src", self.source),
            address("ct_nw_dst", "ct_ipv6_dst", self.destination),
            number("ct_tp_src", self.source_port),
            number("ct_tp_dst", self.destination_port),
            number("icmp_id", self.icmp_id),
            number("icmp_type", self.icmp_type.map(Into::into)),
            number("icmp_code", self.icmp_code.map(Into::into)),
        ];
        parts.into_iter().flatten().collect()
    }
}

/// IPv4 addresses stand in IPv6 ones (`::ffff:10.0.0.1`).
fn decode_address(part: &mut Reader<'_>) -> Result<IpAddr, DecodeError> {
    Ok(Ipv6Addr::from(part.array::<16>("address")?).to_canonical())
}

fn encode_address(address: IpAddr, writer: &mut Writer<'_>) {
    let address = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    writer.bytes(&address.octets());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use crate::message::testing::check;

    /// From `ovs-ofctl -O OpenFlow15 ct-flush`.
    #[test]
    fn addresses_of_both_versions_take_sixteen_bytes() {
        let original = Tuple {
            source: Some("10.10.1.11".parse().unwrap()),
            destination_port: Some(80),
            ..Tuple::default()
        };
        let flush = CtFlush {
            protocol: 6,
            original: Some(original),
            zone: Some(65520),
            ..CtFlush::default()
        };
        check(
            Version::V1_5,
            "0604004800000002 0000232000000020 0600000000000000 \
             0000002800000000 0000001400000000000000000000ffff0a0a010b00000000 0003000800500000 \
             00020008fff00000",
            Message::CtFlush(flush),
        );
    }
}
