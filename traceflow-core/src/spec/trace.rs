//! The question as a whole: between whom, which packet, injected or live, for how long.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::packet::{PacketSpec, TransportSpec};
use crate::input::{BadInput, Problem};
use crate::names::ObjectName;
use crate::packet::IpFamily;
use crate::plan::Choice;

/// How long a trace waits for its answer if nothing else was asked, as in Antrea.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(20);
/// The shortest timeout of the Traceflow resource.
pub const MIN_TIMEOUT: Duration = Duration::from_secs(1);
/// The longest timeout of the Traceflow resource.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(300);

/// A question that is right in itself. Whether the cluster has what it names is seen when it is planned.
///
/// ```
/// use traceflow_core::names::ObjectName;
/// use traceflow_core::spec::{Destination, Source, TraceSpec};
///
/// let spec = TraceSpec::builder()
///     .source(Source::Pod(ObjectName::new("default", "pod1")))
///     .destination(Destination::Service(ObjectName::new("default", "web")))
///     .packet("tcp,tcp_dst=80".parse()?)
///     .build()?;
/// assert_eq!(spec.timeout().as_secs(), 20);
/// # Ok::<(), traceflow_core::input::BadInput>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceSpec {
    ask: Ask,
    packet: PacketSpec,
    timeout: Duration,
    choices: Vec<Choice>,
}

/// The two ways to ask, and the ends that each needs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ask {
    /// Inject a packet at the source Pod.
    Inject {
        /// The Pod that sends.
        source: ObjectName,
        /// Where the packet goes.
        destination: Destination,
    },
    /// Follow real traffic. At least one end is a Pod.
    Live {
        /// Who sends; `None` is anybody.
        source: Option<Source>,
        /// Where the packet goes; `None` is anywhere.
        destination: Option<Destination>,
        /// Only a packet that is dropped counts.
        dropped_only: bool,
    },
}

/// Who sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A Pod.
    Pod(ObjectName),
    /// An address, in live traffic only.
    Address(IpAddr),
}

/// Where the packet goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A Pod.
    Pod(ObjectName),
    /// A Service, by its cluster address.
    Service(ObjectName),
    /// An address.
    Address(IpAddr),
}

impl TraceSpec {
    /// A question with nothing in it yet.
    pub fn builder() -> TraceSpecBuilder {
        TraceSpecBuilder::default()
    }

    /// Between whom, and injected or live.
    pub fn ask(&self) -> &Ask {
        &self.ask
    }

    /// The packet.
    pub fn packet(&self) -> &PacketSpec {
        &self.packet
    }

    /// How long to wait for the answer.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// What was left open and filled in while the question was read, such as a namespace.
    pub fn choices(&self) -> &[Choice] {
        &self.choices
    }
}

/// Collects a [`TraceSpec`]; [`build`](Self::build) checks it.
#[derive(Debug, Clone, Default)]
pub struct TraceSpecBuilder {
    source: Option<Source>,
    destination: Option<Destination>,
    packet: PacketSpec,
    live: bool,
    dropped_only: bool,
    timeout: Option<Duration>,
    choices: Vec<Choice>,
}

impl TraceSpecBuilder {
    /// Sets who sends.
    #[must_use]
    pub fn source(mut self, source: impl Into<Option<Source>>) -> Self {
        self.source = source.into();
        self
    }

    /// Sets where the packet goes.
    #[must_use]
    pub fn destination(mut self, destination: impl Into<Option<Destination>>) -> Self {
        self.destination = destination.into();
        self
    }

    /// Sets the packet.
    #[must_use]
    pub fn packet(mut self, packet: PacketSpec) -> Self {
        self.packet = packet;
        self
    }

    /// Whether real traffic is followed instead of an injected packet.
    #[must_use]
    pub fn live(mut self, live: bool) -> Self {
        self.live = live;
        self
    }

    /// Whether only a packet that is dropped counts.
    #[must_use]
    pub fn dropped_only(mut self, dropped_only: bool) -> Self {
        self.dropped_only = dropped_only;
        self
    }

    /// Sets how long to wait for the answer.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Notes something that was left open and filled in, to be shown with the result.
    #[must_use]
    pub fn choice(mut self, choice: Choice) -> Self {
        self.choices.push(choice);
        self
    }

    /// The question, if it is right in itself.
    ///
    /// # Errors
    /// With the field of a Traceflow manifest that is wrong, such as `spec.source.pod`.
    pub fn build(self) -> Result<TraceSpec, BadInput> {
        let timeout = self.timeout.unwrap_or(DEFAULT_TIMEOUT);
        check_timeout(timeout)?;
        self.check_family()?;
        if let Some(family) = self.packet.family {
            self.packet.check_protocol(family)?;
        }
        let (packet, choices) = (self.packet.clone(), self.choices.clone());
        let ask = if self.live {
            self.live_ask()?
        } else {
            self.injected_ask()?
        };
        Ok(TraceSpec {
            ask,
            packet,
            timeout,
            choices,
        })
    }

    fn injected_ask(self) -> Result<Ask, BadInput> {
        if self.dropped_only {
            return Err(conflict(
                "spec.droppedOnly",
                "only live traffic can be narrowed to what is dropped",
                "set liveTraffic (-L) too, or remove this",
            ));
        }
        let source = match self.source {
            Some(Source::Pod(name)) => name,
            Some(Source::Address(_)) => {
                return Err(unsupported(
                    "spec.source.ip",
                    "a packet can only be injected at a Pod",
                    "name a Pod, or trace live traffic (liveTraffic, -L)",
                ));
            }
            None => return Err(missing("spec.source", "name the Pod that sends")),
        };
        let destination = self
            .destination
            .ok_or_else(|| missing("spec.destination", "name a Pod, a Service or an IP address"))?;
        check_injectable(&self.packet, &destination)?;
        Ok(Ask::Inject { source, destination })
    }

    fn live_ask(self) -> Result<Ask, BadInput> {
        let a_pod =
            matches!(self.source, Some(Source::Pod(_))) || matches!(self.destination, Some(Destination::Pod(_)));
        if !a_pod {
            return Err(missing_pod());
        }
        check_matchable(&self.packet)?;
        Ok(Ask::Live {
            source: self.source,
            destination: self.destination,
            dropped_only: self.dropped_only,
        })
    }

    fn check_family(&self) -> Result<(), BadInput> {
        if let Some(Source::Address(address)) = self.source {
            check_address("spec.source.ip", address, self.packet.family)?;
        }
        if let Some(Destination::Address(address)) = self.destination {
            check_address("spec.destination.ip", address, self.packet.family)?;
        }
        Ok(())
    }
}

pub(super) fn check_timeout(timeout: Duration) -> Result<(), BadInput> {
    if (MIN_TIMEOUT..=MAX_TIMEOUT).contains(&timeout) {
        return Ok(());
    }
    let problem = Problem::OutOfRange {
        found: timeout.as_secs_f64().to_string(),
        least: 1,
        most: 300,
    };
    Err(BadInput::new("spec.timeout", problem))
}

fn check_address(field: &str, address: IpAddr, family: Option<IpFamily>) -> Result<(), BadInput> {
    let is_broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
    if address.is_unspecified() || address.is_loopback() || address.is_multicast() || is_broadcast {
        return Err(unsupported(
            field,
            format!("{address} is not the address of one host on the network"),
            "use a unicast address",
        ));
    }
    match family {
        Some(family) if family != IpFamily::of(address) => Err(conflict(
            field,
            format!(
                "{address} is an {} address, but the packet is {family}",
                IpFamily::of(address)
            ),
            "use one family for both",
        )),
        _ => Ok(()),
    }
}

/// An injected packet must say where it goes, and can't ask for what only a match can.
fn check_injectable(packet: &PacketSpec, destination: &Destination) -> Result<(), BadInput> {
    if packet.new_only {
        return Err(conflict(
            "spec.packet",
            "only live traffic can be narrowed to new connections",
            "trace live traffic (-L), or remove this",
        ));
    }
    let Some(transport) = packet
        .transport
        .as_ref()
        .filter(|transport| transport.lacks_destination_port())
    else {
        return Ok(());
    };
    match destination {
        Destination::Service(_) => Ok(()),
        Destination::Pod(_) | Destination::Address(_) => Err(transport.missing_destination_port()),
    }
}

/// What a switch can't match, and what changes on the way, can't be asked of live traffic.
fn check_matchable(packet: &PacketSpec) -> Result<(), BadInput> {
    let ip_header = match packet.family {
        Some(IpFamily::V6) => "spec.packet.ipv6Header.hopLimit",
        _ => "spec.packet.ipHeader.ttl",
    };
    let refused = if packet.ttl.is_some() {
        Some((ip_header, "the TTL"))
    } else if packet.ip_flags.is_some() {
        Some(("spec.packet.ipHeader.flags", "the fragmentation flags"))
    } else {
        match packet.transport {
            Some(TransportSpec::Icmp(header)) if header.id.is_some() => {
                Some(("spec.packet.transportHeader.icmp.id", "the ICMP identifier"))
            }
            Some(TransportSpec::Icmp(header)) if header.sequence.is_some() => {
                Some(("spec.packet.transportHeader.icmp.sequence", "the ICMP sequence number"))
            }
            _ => None,
        }
    };
    match refused {
        None => Ok(()),
        Some((field, what)) => Err(unsupported(
            field,
            format!("live traffic can't be chosen by {what}"),
            "remove it",
        )),
    }
}

/// Neither end is a Pod.
pub(crate) fn missing_pod() -> BadInput {
    missing(
        "spec.source.pod",
        "name a Pod here or as destination: at least one end must be a Pod",
    )
}

pub(super) fn missing(field: impl Into<String>, remedy: impl Into<Cow<'static, str>>) -> BadInput {
    let remedy = remedy.into();
    BadInput::new(field, Problem::Missing { remedy })
}

pub(super) fn conflict(field: &str, what: impl Into<Cow<'static, str>>, remedy: &'static str) -> BadInput {
    let (what, remedy) = (what.into(), remedy.into());
    BadInput::new(field, Problem::Conflict { what, remedy })
}

pub(super) fn unsupported(field: &str, what: impl Into<Cow<'static, str>>, remedy: &'static str) -> BadInput {
    let (what, remedy) = (what.into(), remedy.into());
    BadInput::new(field, Problem::Unsupported { what, remedy })
}
