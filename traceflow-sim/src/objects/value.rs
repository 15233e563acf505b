//! Values that several kinds hold.

use std::net::IpAddr;

use traceflow_core::input::{BadInput, Field, Problem};
use traceflow_core::packet::{IpFamily, Protocol};

use super::Origin;

/// An IPv4 or IPv6 address.
pub(super) fn address(field: &Field<'_>) -> Result<IpAddr, BadInput> {
    field.parsed("an IPv4 or IPv6 address")
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
