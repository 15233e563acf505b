//! Which destination ports a rule opens.

use std::ops::RangeInclusive;
use std::sync::Arc;

use traceflow_core::input::{BadInput, Field, Problem, Value};
use traceflow_core::packet::Protocol;

use super::format::{PORT_NAME, is_port_name};
use crate::model::ContainerPort;

/// One entry of a rule's `ports`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyPort {
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// The ports of that protocol.
    pub ports: PortSet,
}

/// The ports that one [`PolicyPort`] opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortSet {
    /// All of the protocol: `port` is not given.
    All,
    /// The numbers from `port` to `endPort`; one number where there is no `endPort`.
    Numbers(RangeInclusive<u16>),
    /// The ports that the destination Pod declares under this name for the protocol.
    Named(Arc<str>),
}

impl PolicyPort {
    /// Reads an entry of `ports`, which must obey the API server's rules.
    ///
    /// # Errors
    /// Its first mistake, with the place.
    pub fn read(entry: &Field<'_>) -> Result<Self, BadInput> {
        entry.only(&["protocol", "port", "endPort"])?;
        Self::read_fields(entry)
    }

    /// Reads those fields of an entry that both kinds of policies know.
    pub(super) fn read_fields(entry: &Field<'_>) -> Result<Self, BadInput> {
        let protocol = match entry.optional("protocol")? {
            Some(protocol) => read_protocol(&protocol)?,
            None => Protocol::TCP,
        };
        let ports = PortSet::read(entry)?;
        Ok(Self { protocol, ports })
    }

    /// Whether it opens `port` of `protocol`, where the destination Pod declares the ports `declared`. A packet whose
    /// port is not known, as in a later fragment, passes only where all ports are open.
    pub fn opens(&self, protocol: Protocol, port: Option<u16>, declared: &[ContainerPort]) -> bool {
        self.protocol == protocol
            && match (&self.ports, port) {
                (PortSet::All, _) => true,
                (_, None) => false,
                (PortSet::Numbers(numbers), Some(port)) => numbers.contains(&port),
                (PortSet::Named(name), Some(port)) => declared.iter().any(|candidate| {
                    candidate.name.as_ref() == Some(name) && candidate.protocol == protocol && candidate.port == port
                }),
            }
    }
}

impl PortSet {
    fn read(entry: &Field<'_>) -> Result<Self, BadInput> {
        let end = entry.optional("endPort")?;
        let Some(port) = entry.optional("port")? else {
            return match end {
                None => Ok(Self::All),
                Some(end) => Err(end.error(Problem::Conflict {
                    what: "endPort needs a port".into(),
                    remedy: "add port, the first of the range".into(),
                })),
            };
        };
        if let Value::String(name) = &port.node().value {
            return Self::read_name(&port, name, end.as_ref());
        }
        let first = read_number(&port)?;
        let last = match end {
            Some(end) => end.integer(first..=u16::MAX)?,
            None => first,
        };
        Ok(Self::Numbers(first..=last))
    }

    fn read_name(port: &Field<'_>, name: &Arc<str>, end: Option<&Field<'_>>) -> Result<Self, BadInput> {
        if name.parse::<u16>().is_ok() {
            return Err(port.invalid("the number without quotes"));
        }
        if !is_port_name(name) {
            return Err(port.invalid(PORT_NAME));
        }
        match end {
            None => Ok(Self::Named(Arc::clone(name))),
            Some(end) => Err(end.error(Problem::Conflict {
                what: "endPort needs a port number, and port is a name".into(),
                remedy: "make port a number, or remove endPort".into(),
            })),
        }
    }
}

fn read_number(port: &Field<'_>) -> Result<u16, BadInput> {
    match port.node().value {
        Value::Integer(_) => port.integer(1..=u16::MAX),
        _ => Err(port.wrong_type("a port number or the name of a container port")),
    }
}

fn read_protocol(field: &Field<'_>) -> Result<Protocol, BadInput> {
    match &*field.string()? {
        "TCP" => Ok(Protocol::TCP),
        "UDP" => Ok(Protocol::UDP),
        "SCTP" => Ok(Protocol::SCTP),
        _ => Err(field.invalid("TCP, UDP or SCTP")),
    }
}
