//! Values that several kinds hold.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use traceflow_core::input::{BadInput, Field, Problem};
use traceflow_core::packet::{IpFamily, Protocol};

use super::Origin;

/// The IPv4 or IPv6 address of one host; an IPv4 address written as IPv6 is the IPv4 address, as to the API server.
pub(super) fn address(field: &Field<'_>) -> Result<IpAddr, BadInput> {
    let address: IpAddr = field.parsed("an IPv4 or IPv6 address")?;
    let address = address.to_canonical();
    let is_broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
    if address.is_unspecified() || address.is_loopback() || address.is_multicast() || is_broadcast {
        return Err(field.invalid("the address of one host on the network"));
    }
    Ok(address)
}

/// Checks that `single`, the older field, says what the list of the newer one begins with.
pub(super) fn check_first<T: PartialEq + fmt::Display>(
    single: &Field<'_>,
    found: &T,
    list: &str,
    first: Option<&T>,
) -> Result<(), BadInput> {
    match first {
        Some(first) if first != found => Err(single.error(Problem::Conflict {
            what: format!("this is {found}, but {list} begins with {first}").into(),
            remedy: "make them agree, or remove one".into(),
        })),
        _ => Ok(()),
    }
}

/// `protocol`, TCP where it is not given.
pub(super) fn protocol(parent: &Field<'_>) -> Result<Protocol, BadInput> {
    let Some(field) = parent.optional("protocol")? else {
        return Ok(Protocol::TCP);
    };
    match &*field.string()? {
        "TCP" => Ok(Protocol::TCP),
        "UDP" => Ok(Protocol::UDP),
        "SCTP" => Ok(Protocol::SCTP),
        _ => Err(field.invalid("TCP, UDP or SCTP")),
    }
}

/// A port number.
pub(super) fn port(field: &Field<'_>) -> Result<u16, BadInput> {
    field.integer(1..=u16::MAX)
}

/// Adds a value of a kind that an object has at most one of per family, and remembers its place.
pub(super) fn push_one_per_family<T>(
    values: &mut Vec<T>,
    value: T,
    family: impl Fn(&T) -> IpFamily,
    field: &Field<'_>,
    origin: &mut Origin,
) -> Result<(), BadInput> {
    let added = family(&value);
    if values.iter().any(|known| family(known) == added) {
        return Err(field.error(Problem::Conflict {
            what: format!("there is a second one of {added}").into(),
            remedy: "keep one per family".into(),
        }));
    }
    origin.note(field);
    values.push(value);
    Ok(())
}
