//! Connection tracking and address translation.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Action, NO_TABLE, Nicira, nicira};
use crate::field::{Field, Subfield};
use crate::wire::{DecodeError, Problem, Reader, Writer};

/// Sends the packet through connection tracking (`NXAST_CT`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Conntrack {
    /// Whether the connection is to be remembered.
    pub commit: bool,
    /// Whether a connection in the other direction is to be forgotten for it.
    pub force: bool,
    /// Which table the packet goes on in, tracked; without one it goes on here, untracked.
    pub table: Option<u8>,
    /// Which of the separate sets of connections.
    pub zone: Zone,
    /// The port of the application protocol whose further connections are to be expected, 21 for FTP; 0 for none.
    pub alg: u16,
    /// What is done to the connection: [`Action::Nat`], and set-field or move into `ct_mark` and `ct_label`.
    pub actions: Vec<Action>,
}

/// A zone of connection tracking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Zone {
    /// This one.
    Number(u16),
    /// The one whose number stands there.
    Field(Subfield),
}

impl Default for Zone {
    fn default() -> Self {
        Self::Number(0)
    }
}

const COMMIT: u16 = 1;
const FORCE: u16 = 2;

impl Conntrack {
    pub(super) fn decode(body: &mut Reader<'_>, depth: u8) -> Result<Self, DecodeError> {
        let flags = body.u16("conntrack flags")?;
        let zone = Zone::decode(body)?;
        let table = body.u8("conntrack table")?;
        body.skip(3)?;
        let alg = body.u16("conntrack alg")?;
        let actions = Action::decode_nested(body.clone(), depth + 1)?;
        let table = (table != NO_TABLE).then_some(table);
        Ok(Self {
            commit: flags & COMMIT != 0,
            force: flags & FORCE != 0,
            table,
            zone,
            alg,
            actions,
        })
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        nicira(writer, Nicira::Conntrack, |writer| {
            writer.u16(if self.commit { COMMIT } else { 0 } | if self.force { FORCE } else { 0 });
            self.zone.encode(writer);
            writer.u8(self.table.unwrap_or(NO_TABLE));
            writer.zeros(3);
            writer.u16(self.alg);
            Action::encode_list(&self.actions, writer);
        });
    }
}

impl Zone {
    fn decode(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut source = body.part(4, "zone's field")?;
        let number = body.u16("zone")?;
        if source.clone().u32("zone's field")? == 0 {
            return Ok(Self::Number(number));
        }
        Ok(Self::Field(Subfield::from_range(Field::decode(&mut source)?, number)))
    }

    fn encode(self, writer: &mut Writer<'_>) {
        match self {
            Self::Number(zone) => {
                writer.u32(0);
                writer.u16(zone);
            }
            Self::Field(source) if source.field.experimenter().is_some() || source.field == Field::new(0, 0) => {
                writer.unsupported("a zone from such a field");
            }
            Self::Field(source) => {
                source.field.encode(writer);
                source.encode_range(writer);
            }
        }
    }
}

/// Address translation of a connection (`NXAST_NAT`). Without a direction: what the connection has had before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Nat {
    /// In which direction, and how the port is chosen.
    pub flags: NatFlags,
    /// The first or only address.
    pub address: Option<IpAddr>,
    /// The last address; of the family of the first.
    pub last_address: Option<IpAddr>,
    /// The first or only port.
    pub port: Option<u16>,
    /// The last port.
    pub last_port: Option<u16>,
}

/// Bits of [`Nat`], `NX_NAT_F_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct NatFlags(pub u16);

impl NatFlags {
    /// Translates the source.
    pub const SOURCE: Self = Self(1);
    /// Translates the destination.
    pub const DESTINATION: Self = Self(2);
    /// The same address for the same client after a restart.
    pub const PERSISTENT: Self = Self(4);
    /// The port is chosen by a hash.
    pub const HASH: Self = Self(8);
    /// The port is chosen at random.
    pub const RANDOM: Self = Self(16);

    /// Whether all bits of `other` are set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// `NX_NAT_RANGE_*`: which parts follow, in this order.
mod present {
    pub(super) const IPV4: u16 = 1;
    pub(super) const LAST_IPV4: u16 = 2;
    pub(super) const IPV6: u16 = 4;
    pub(super) const LAST_IPV6: u16 = 8;
    pub(super) const PORT: u16 = 16;
    pub(super) const LAST_PORT: u16 = 32;
}

impl Nat {
    /// Translates the destination to `address`, and to `port` if there is one.
    pub fn to_destination(address: IpAddr, port: Option<u16>) -> Self {
        Self {
            flags: NatFlags::DESTINATION,
            address: Some(address),
            port,
            ..Self::default()
        }
    }

    /// Translates the source to `address`.
    pub fn to_source(address: IpAddr) -> Self {
        Self {
            flags: NatFlags::SOURCE,
            address: Some(address),
            ..Self::default()
        }
    }

    pub(super) fn decode(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        body.skip(2)?;
        let flags = NatFlags(body.u16("NAT flags")?);
        let start = body.clone();
        let parts = body.u16("NAT range")?;
        let both = present::IPV4 | present::LAST_IPV4;
        if parts & both != 0 && parts & (present::IPV6 | present::LAST_IPV6) != 0 {
            return Err(start.error("NAT range", Problem::Value(parts.into())));
        }
        let mut nat = Self {
            flags,
            ..Self::default()
        };
        if parts & present::IPV4 != 0 {
            nat.address = Some(Ipv4Addr::from(body.u32("NAT address")?).into());
        }
        if parts & present::LAST_IPV4 != 0 {
            nat.last_address = Some(Ipv4Addr::from(body.u32("last NAT address")?).into());
        }
        if parts & present::IPV6 != 0 {
            nat.address = Some(Ipv6Addr::from(body.array::<16>("NAT address")?).into());
        }
        if parts & present::LAST_IPV6 != 0 {
            nat.last_address = Some(Ipv6Addr::from(body.array::<16>("last NAT address")?).into());
        }
        if parts & present::PORT != 0 {
            nat.port = Some(body.u16("NAT port")?);
        }
        if parts & present::LAST_PORT != 0 {
            nat.last_port = Some(body.u16("last NAT port")?);
        }
        Ok(nat)
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        if let (Some(first), Some(last)) = (self.address, self.last_address)
            && first.is_ipv4() != last.is_ipv4()
        {
            writer.unsupported("a NAT range over both IP versions");
        }
        nicira(writer, Nicira::Nat, |writer| {
            writer.zeros(2);
            writer.u16(self.flags.0);
            writer.u16(self.parts());
            for address in self.address.into_iter().chain(self.last_address) {
                match address {
                    IpAddr::V4(address) => writer.bytes(&address.octets()),
                    IpAddr::V6(address) => writer.bytes(&address.octets()),
                }
            }
            for port in self.port.into_iter().chain(self.last_port) {
                writer.u16(port);
            }
        });
    }

    fn parts(&self) -> u16 {
        let family = |address: Option<IpAddr>, ipv4: u16, ipv6: u16| match address {
            Some(IpAddr::V4(_)) => ipv4,
            Some(IpAddr::V6(_)) => ipv6,
            None => 0,
        };
        family(self.address, present::IPV4, present::IPV6)
            | family(self.last_address, present::LAST_IPV4, present::LAST_IPV6)
            | if self.port.is_some() { present::PORT } else { 0 }
            | if self.last_port.is_some() {
                present::LAST_PORT
            } else {
                0
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Version;
    use crate::action::SetField;
    use crate::action::testing::check;

    #[test]
    fn conntrack_with_nat_and_a_mark_is_what_open_vswitch_writes() {
        let conntrack = Conntrack {
            commit: true,
            table: Some(7),
            zone: Zone::Number(65520),
            actions: vec![
                Action::Nat(Nat::to_destination("10.10.2.11".parse().unwrap(), Some(8080))),
                Action::SetField(SetField::new(Field::NXM_NX_CT_MARK, 1)),
            ],
            ..Conntrack::default()
        };
        check(
            Version::V1_5,
            "ffff004000002320 0023 0001 00000000 fff0 07 000000 0000 \
             ffff001800002320 0024 0000 0002 0011 0a0a020b 1f90 0000 00190010 0001d604 00000001 00000000",
            Action::Conntrack(Box::new(conntrack)),
            "ct(commit,table=7,zone=65520,nat(dst=10.10.2.11:8080),exec(set_field:0x1->ct_mark))",
        );
    }

    #[test]
    fn a_zone_can_come_from_a_register() {
        let zone = Zone::Field(Subfield::new(Field::register(6), 0, 16));
        check(
            Version::V1_3,
            "ffff001800002320 0023 0000 00010c04 000f 05 000000 0000",
            Action::Conntrack(Box::new(Conntrack {
                zone,
                table: Some(5),
                ..Conntrack::default()
            })),
            "ct(table=5,zone=NXM_NX_REG6[0..15])",
        );
    }

    #[test]
    fn ipv6_ranges_are_put_in_brackets() {
        let nat = Nat {
            flags: NatFlags(NatFlags::SOURCE.0 | NatFlags::RANDOM.0),
            address: Some("fd00::1".parse().unwrap()),
            last_address: Some("fd00::2".parse().unwrap()),
            port: Some(1),
            last_port: Some(9),
        };
        assert_eq!(Action::Nat(nat).to_string(), "nat(src=[fd00::1]-[fd00::2]:1-9,random)");
    }

    #[test]
    fn a_range_over_both_ip_versions_is_refused() {
        let bytes = crate::testing::hex("ffff001800002320002400000001 0005 0a000001 00000000");
        assert!(Action::decode_list(Reader::new(&bytes)).is_err());
    }
}
