//! What workloads send.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use traceflow_core::input::{BadInput, Problem};
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::packet::{CapturedPacket, CapturedTransport, IcmpHeader, IpFamily, Protocol, TcpFlags, Transport};
use traceflow_core::spec::{IcmpSpec, PacketSpec, TransportSpec};
use traceflow_core::trace::Prediction;

use super::Fabric;
use super::flight::{Flight, Landed, Sender};
use super::lock;
use crate::cluster::{Cluster, NodeId};
use crate::objects::DEFAULT_NAMESPACE;
use crate::pipeline::{Arrival, Outcome, ports};
use crate::predict::Entry;
use crate::wire::WirePacket;

/// A packet that a workload sends. What is left open is as Linux has it: a SYN, an echo request, TTL 64, don't fragment, a
/// random source port.
///
/// As text it is `SOURCE->DESTINATION FLOW`; the ends are Pods, for the destination Services too, or addresses, the flow
/// is in ovs-ofctl's syntax:
///
/// ```
/// use traceflow_sim::{Party, Traffic};
///
/// let request: Traffic = "default/client->10.96.0.10 udp,udp_dst=53".parse()?;
/// assert_eq!(request.destination, Party::Address("10.96.0.10".parse()?));
/// assert_eq!("client -> web".parse::<Traffic>().unwrap_err().to_string(), "is missing; say what is sent, such as tcp,tcp_dst=80");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traffic {
    /// Who sends.
    pub source: Party,
    /// To whom.
    pub destination: Party,
    /// What.
    pub packet: PacketSpec,
    /// Whether the receiver answers if it arrives.
    pub answered: bool,
}

/// One end of [`Traffic`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Party {
    /// The Pod of this name; if there is none, as a destination, the Service.
    Named(ObjectName),
    /// The node itself.
    Node(NodeName),
    /// Whoever has this address, outside the cluster too.
    Address(IpAddr),
}

/// What became of [`Traffic`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    /// The path of the packet that was sent.
    pub request: Prediction,
    /// The path of the answer, if there was one.
    pub answer: Option<Prediction>,
}

/// Why a packet can't be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Nobody has this name.
    #[error("{0} is not in the cluster")]
    Unknown(Party),
    /// It has no address of the family, so it can't take part; a Pod that isn't running has none at all.
    #[error("{party} has no {family} address")]
    NoAddress {
        /// Who.
        party: Party,
        /// The family of the packet.
        family: IpFamily,
    },
    /// The packet leaves open what the sender must know.
    #[error("the packet has no {0}")]
    Open(&'static str),
    /// A Service doesn't send.
    #[error("{0} is not a workload")]
    NotAWorkload(Party),
}

impl Traffic {
    /// A packet as `packet` says, answered if it arrives.
    pub fn new(source: impl Into<Party>, destination: impl Into<Party>, packet: PacketSpec) -> Self {
        Self {
            source: source.into(),
            destination: destination.into(),
            packet,
            answered: true,
        }
    }

    /// The same, but nobody answers.
    #[must_use]
    pub fn unanswered(mut self) -> Self {
        self.answered = false;
        self
    }

    pub(super) fn send(&self, fabric: &Fabric) -> Result<Fate, SendError> {
        let cluster = &fabric.cluster;
        let packet = self.built(fabric)?;
        let (node, arrival) = Entry::place(cluster, packet.source, packet.destination)
            .ok_or_else(|| SendError::NotAWorkload(self.source.clone()))?;
        tracing::debug!(source = %self.source, destination = %self.destination, "send");
        let flight = Flight {
            fabric,
            sender: Sender::Workload,
        };
        let Landed { path, end } = flight.fly(node, arrival, packet.captured());
        let answer = end
            .filter(|_| self.answered)
            .and_then(|(node, outcome, arrived)| answer(fabric, node, outcome, &arrived))
            .map(|(node, arrival, packet)| flight.fly(node, arrival, packet).path);
        Ok(Fate { request: path, answer })
    }

    fn built(&self, fabric: &Fabric) -> Result<WirePacket, SendError> {
        let cluster = &fabric.cluster;
        let families = self.families(cluster)?;
        let (source, destination) = families
            .into_iter()
            .find_map(|family| {
                let source = self.source.address(cluster, family)?;
                Some((source, self.destination.address(cluster, family)?))
            })
            .ok_or_else(|| self.no_address(cluster))?;
        let mut random = lock(&fabric.random);
        let transport = self.transport(IpFamily::of(source), &mut random)?;
        Ok(WirePacket {
            source,
            destination,
            ttl: self.packet.ttl().map_or(WirePacket::TTL, |ttl| ttl.get()),
            dscp: self.packet.dscp().unwrap_or(0),
            ip_flags: self.packet.ip_flags(),
            identification: random.u16(1..),
            transport,
            sequence: random.u32(..),
        })
    }

    /// The families to try: IPv4 first, unless the packet says otherwise.
    fn families(&self, cluster: &Cluster) -> Result<Vec<IpFamily>, SendError> {
        for party in [&self.source, &self.destination] {
            if !party.exists(cluster) {
                return Err(SendError::Unknown(party.clone()));
            }
        }
        Ok(match self.packet.family() {
            Some(family) => vec![family],
            None => vec![IpFamily::V4, IpFamily::V6],
        })
    }

    fn no_address(&self, cluster: &Cluster) -> SendError {
        let family = self.packet.family().unwrap_or(IpFamily::V4);
        let lacks = |party: &&Party| party.address(cluster, family).is_none();
        let party = [&self.source, &self.destination].into_iter().find(lacks);
        SendError::NoAddress {
            party: party.unwrap_or(&self.destination).clone(),
            family,
        }
    }

    fn transport(&self, family: IpFamily, random: &mut fastrand::Rng) -> Result<Transport, SendError> {
        let spec = self.packet.transport().ok_or(SendError::Open("protocol"))?;
        // Linux' net.ipv4.ip_local_port_range.
        let source = |random: &mut fastrand::Rng| random.u16(32768..=60999);
        let (from, to) = spec.ports().unwrap_or_default();
        let from = from.map_or_else(|| source(random), std::num::NonZero::get);
        let to = to
            .map(std::num::NonZero::get)
            .ok_or(SendError::Open("destination port"));
        Ok(match *spec {
            TransportSpec::Tcp { flags, .. } => Transport::Tcp {
                source: from,
                destination: to?,
                flags: flags.map_or(TcpFlags::SYN, |flags| flags.set()),
            },
            TransportSpec::Udp { .. } => Transport::Udp {
                source: from,
                destination: to?,
            },
            TransportSpec::Sctp { .. } => Transport::Sctp {
                source: from,
                destination: to?,
            },
            TransportSpec::Icmp(header) => icmp(header, family, random),
            TransportSpec::Other { protocol, .. } => Transport::Other(protocol),
        })
    }
}

fn icmp(spec: IcmpSpec, family: IpFamily, random: &mut fastrand::Rng) -> Transport {
    let (echo_request, wrap): (u8, fn(IcmpHeader) -> Transport) = match family {
        IpFamily::V4 => (8, Transport::Icmp),
        IpFamily::V6 => (128, Transport::Icmpv6),
    };
    wrap(IcmpHeader {
        icmp_type: spec.icmp_type.unwrap_or(echo_request),
        code: spec.code.unwrap_or(0),
        id: spec.id.unwrap_or_else(|| random.u16(1..)),
        sequence: spec.sequence.unwrap_or(1),
    })
}

/// What whoever got the packet sends back, and where that enters.
fn answer(
    fabric: &Fabric,
    node: NodeId,
    outcome: Outcome,
    arrived: &CapturedPacket,
) -> Option<(NodeId, Arrival, CapturedPacket)> {
    let arrival = match outcome {
        Outcome::ToPod(pod) => Arrival::Pod { pod, mac: None },
        // From the node itself, or from outside by the node that the packet left by.
        Outcome::ToNode | Outcome::Outside => Arrival::Gateway,
        Outcome::ToTunnel(_) | Outcome::Dropped | Outcome::Rejected => return None,
    };
    let mut random = lock(&fabric.random);
    let packet = WirePacket {
        source: arrived.destination,
        destination: arrived.source,
        ttl: WirePacket::TTL,
        dscp: arrived.dscp,
        ip_flags: None,
        identification: random.u16(1..),
        transport: answering_transport(arrived)?,
        sequence: random.u32(..),
    };
    Some((node, arrival, packet.captured()))
}

fn answering_transport(arrived: &CapturedPacket) -> Option<Transport> {
    let swapped = ports(&arrived.transport).map(|(source, destination)| (destination, source));
    let (source, destination) = swapped.unwrap_or_default();
    match &arrived.transport {
        CapturedTransport::Tcp { flags, .. } => {
            let opens = flags.is_some_and(|flags| flags.contains(TcpFlags::SYN));
            let syn = if opens { TcpFlags::SYN.0 } else { 0 };
            Some(Transport::Tcp {
                source,
                destination,
                flags: TcpFlags(syn | TcpFlags::ACK.0),
            })
        }
        CapturedTransport::Udp { .. } => Some(Transport::Udp { source, destination }),
        CapturedTransport::Sctp { .. } => Some(Transport::Sctp { source, destination }),
        CapturedTransport::Icmp(header) => match (arrived.protocol, header.icmp_type) {
            (Protocol::ICMP, 8) => Some(Transport::Icmp(IcmpHeader {
                icmp_type: 0,
                ..*header
            })),
            (Protocol::ICMPV6, 128) => Some(Transport::Icmpv6(IcmpHeader {
                icmp_type: 129,
                ..*header
            })),
            _ => None,
        },
        _ => None,
    }
}

impl FromStr for Traffic {
    type Err = BadInput;

    fn from_str(text: &str) -> Result<Self, BadInput> {
        let (ends, flow) = match text.split_once("->") {
            Some((source, rest)) => {
                let rest = rest.trim_start();
                let (destination, flow) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                ((source.trim(), destination), flow.trim())
            }
            None => {
                return Err(invalid(
                    text,
                    "SOURCE->DESTINATION FLOW, such as pod1->pod3 tcp,tcp_dst=80",
                ));
            }
        };
        if flow.is_empty() {
            let remedy = "say what is sent, such as tcp,tcp_dst=80".into();
            return Err(BadInput::new("", Problem::Missing { remedy }));
        }
        Ok(Self::new(party(ends.0)?, party(ends.1)?, flow.parse()?))
    }
}

fn party(text: &str) -> Result<Party, BadInput> {
    let name = |text: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))
    };
    if let Ok(address) = text.parse() {
        return Ok(Party::Address(address));
    }
    let (namespace, object) = text.split_once('/').unwrap_or((DEFAULT_NAMESPACE, text));
    if name(namespace) && name(object) {
        return Ok(Party::Named(ObjectName::new(namespace, object)));
    }
    Err(invalid(text, "a Pod, namespace/Pod or address"))
}

fn invalid(found: &str, expected: &'static str) -> BadInput {
    let found = format!("{:?} is not valid", found.chars().take(64).collect::<String>());
    let expected = expected.into();
    BadInput::new("", Problem::Invalid { found, expected })
}

impl Party {
    fn exists(&self, cluster: &Cluster) -> bool {
        match self {
            Self::Named(name) => cluster.pod_id(name).is_some() || cluster.service_named(name).is_some(),
            Self::Node(name) => cluster.node_id(name).is_some(),
            Self::Address(_) => true,
        }
    }

    fn address(&self, cluster: &Cluster, family: IpFamily) -> Option<IpAddr> {
        let addresses: &[IpAddr] = match self {
            Self::Address(address) => std::slice::from_ref(address),
            Self::Node(name) => &cluster.node_record(cluster.node_id(name)?).node.addresses,
            Self::Named(name) => match cluster.pod_id(name).map(|pod| &cluster.pod_record(pod).pod) {
                Some(pod) if pod.is_alive() => &pod.addresses,
                Some(_) => &[],
                None => &cluster.service_named(name)?.service.cluster_ips,
            },
        };
        addresses
            .iter()
            .copied()
            .find(|&address| IpFamily::of(address) == family)
    }
}

impl From<&str> for Party {
    /// An address, or a Pod's or Service's name, with or without namespace.
    fn from(text: &str) -> Self {
        if let Ok(address) = text.parse() {
            return Self::Address(address);
        }
        let (namespace, name) = text.split_once('/').unwrap_or((DEFAULT_NAMESPACE, text));
        Self::Named(ObjectName::new(namespace, name))
    }
}

impl From<ObjectName> for Party {
    fn from(name: ObjectName) -> Self {
        Self::Named(name)
    }
}

impl From<NodeName> for Party {
    fn from(name: NodeName) -> Self {
        Self::Node(name)
    }
}

impl From<IpAddr> for Party {
    fn from(address: IpAddr) -> Self {
        Self::Address(address)
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => name.fmt(f),
            Self::Node(name) => write!(f, "node {name}"),
            Self::Address(address) => address.fmt(f),
        }
    }
}
