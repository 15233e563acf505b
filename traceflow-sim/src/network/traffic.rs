//! What workloads send.

use std::str::FromStr;

use traceflow_core::input::{BadInput, Problem};
use traceflow_core::packet::{IcmpHeader, IpFamily, TcpFlags, Transport};
use traceflow_core::spec::{IcmpSpec, PacketSpec, TransportSpec};
use traceflow_core::trace::Prediction;

use super::answer::answer;
use super::flight::{Flight, Landed, Sender};
use super::party::Party;
use super::{Fabric, lock};
use crate::cluster::Cluster;
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
/// assert_eq!("client -> web".parse::<Traffic>().unwrap_err().to_string(), "flow: is missing; say what is sent, such as tcp,tcp_dst=80");
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

impl FromStr for Traffic {
    type Err = BadInput;

    fn from_str(text: &str) -> Result<Self, BadInput> {
        let Some((source, rest)) = text.split_once("->") else {
            let expected = "SOURCE->DESTINATION FLOW, such as pod1->pod3 tcp,tcp_dst=80";
            return Err(invalid(text, expected));
        };
        let rest = rest.trim();
        let (destination, flow) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        if flow.is_empty() {
            let remedy = "say what is sent, such as tcp,tcp_dst=80".into();
            return Err(BadInput::new("flow", Problem::Missing { remedy }));
        }
        let (source, destination): (Party, Party) = (source.trim().parse()?, destination.parse()?);
        Ok(Self::new(source, destination, flow.parse()?))
    }
}

pub(super) fn invalid(found: &str, expected: &'static str) -> BadInput {
    let found = format!("{:?} is not valid", found.chars().take(64).collect::<String>());
    let expected = expected.into();
    BadInput::new("", Problem::Invalid { found, expected })
}
