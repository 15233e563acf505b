//! Walks a packet through the whole cluster without sending it.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use traceflow_core::names::NodeName;
use traceflow_core::observation::Observation;
use traceflow_core::packet::{CapturedPacket, IcmpHeader, Protocol, TcpFlags, Transport};
use traceflow_core::plan::{FlowMatch, Plan, Question};
use traceflow_core::trace::{Hop, Prediction, Predictor, Unpredictable, Verdict};

use crate::cluster::{Cluster, Holder, NodeId};
use crate::pipeline::{Arrival, Entering, NodeMemory, Outcome, Passed, choosable, pass};
use crate::wire::WirePacket;

/// The path in a network that has seen no packet before; timestamps are the time of asking.
impl Predictor for Cluster {
    fn predict(&self, plan: &Plan) -> Result<Prediction, Unpredictable> {
        let entry = Entry::of(self, plan)?;
        let left_out = self.left_out(plan);
        Ok(follow(self, entry, SystemTime::now(), |_| None).leaving_out(left_out))
    }

    fn predict_choosing(&self, plan: &Plan, endpoint: IpAddr) -> Result<Option<Prediction>, Unpredictable> {
        let entry = Entry::choosing(self, plan, endpoint)?;
        let left_out = self.left_out(plan);
        Ok(entry.map(|entry| follow(self, entry, SystemTime::now(), |_| None).leaving_out(left_out)))
    }
}

/// Where and as what a packet enters the network.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) node: NodeId,
    pub(crate) arrival: Arrival,
    pub(crate) packet: CapturedPacket,
    /// The endpoint that a Service is to choose; `None` leaves it to the model.
    pub(crate) endpoint: Option<IpAddr>,
    /// Whether it goes on where policies deny it.
    pub(crate) lenient: bool,
    /// Whether what policies are asked about it is noted.
    pub(crate) noting: bool,
}

impl Entry {
    /// The same, where the Service that the packet is for chooses this endpoint; `None` if it can't.
    pub(crate) fn choosing(cluster: &Cluster, plan: &Plan, endpoint: IpAddr) -> Result<Option<Self>, Unpredictable> {
        let entry = Self::of(cluster, plan)?;
        let can_choose =
            choosable(cluster, entry.node, entry.arrival, &entry.packet).any(|backend| backend.address == endpoint);
        Ok(can_choose.then_some(Self {
            endpoint: Some(endpoint),
            ..entry
        }))
    }

    pub(crate) fn of(cluster: &Cluster, plan: &Plan) -> Result<Self, Unpredictable> {
        match &plan.question {
            Question::Inject { pod, packet, .. } => {
                let pod = cluster.pod_id(pod).ok_or_else(|| open("no such Pod is in the model"))?;
                let node = cluster
                    .pod_record(pod)
                    .node
                    .ok_or_else(|| open("the source Pod has no node"))?;
                let mac = Some(packet.source_mac);
                Ok(Self {
                    node,
                    arrival: Arrival::Pod { pod, mac },
                    packet: CapturedPacket::from(packet),
                    endpoint: None,
                    lenient: false,
                    noting: false,
                })
            }
            Question::Live { matching, .. } => Self::of_live(cluster, plan, matching),
        }
    }

    /// Real traffic that is no answer: what the match leaves open must not matter.
    fn of_live(cluster: &Cluster, plan: &Plan, matching: &FlowMatch) -> Result<Self, Unpredictable> {
        let source = plan.source.as_ref().ok_or_else(|| open("the source is left open"))?;
        let destination = plan
            .destination
            .as_ref()
            .ok_or_else(|| open("the destination is left open"))?;
        let packet = WirePacket {
            source: source.address,
            destination: destination.address,
            ttl: WirePacket::TTL,
            dscp: matching.dscp.unwrap_or(0),
            ip_flags: None,
            identification: 0,
            transport: transport(matching)?,
            sequence: 0,
        };
        let (node, arrival) = Self::place(cluster, source.address, destination.address)
            .ok_or_else(|| open("the model doesn't say where the packet enters"))?;
        let packet = packet.captured();
        // The source port matters to a Service that has several endpoints to choose from, and to nothing else.
        if matching.source_port.is_none() && choosable(cluster, node, arrival, &packet).nth(1).is_some() {
            return Err(open(
                "the source port is left open, and the Service chooses its endpoint by it",
            ));
        }
        Ok(Self {
            node,
            arrival,
            packet,
            endpoint: None,
            lenient: false,
            noting: false,
        })
    }

    /// The node where a packet with these addresses enters, and how: what comes from outside enters at the node of the
    /// Pod that it is for, else at the first node.
    pub(crate) fn place(cluster: &Cluster, source: IpAddr, destination: IpAddr) -> Option<(NodeId, Arrival)> {
        match cluster.holder(source) {
            Some(Holder::Pod(pod)) => {
                let node = cluster.pod_record(pod).node?;
                Some((node, Arrival::Pod { pod, mac: None }))
            }
            Some(Holder::Node(node) | Holder::Gateway(node)) => Some((node, Arrival::Gateway)),
            Some(Holder::Service(_)) => None,
            None => {
                let node = match cluster.holder(destination) {
                    Some(Holder::Pod(pod)) => cluster.pod_record(pod).node?,
                    Some(Holder::Node(node) | Holder::Gateway(node)) => node,
                    _ => NodeId(0),
                };
                Some((node, Arrival::Gateway))
            }
        }
    }
}

/// Follows a packet from node to node; `memory` is what a node remembers.
pub(crate) fn follow<'a>(
    cluster: &Cluster,
    entry: Entry,
    now: SystemTime,
    memory: impl Fn(NodeId) -> Option<(&'a NodeMemory, Instant)>,
) -> Prediction {
    walk(cluster, entry, now, memory, |_, _| ())
}

/// The same, and shows what each node did.
pub(crate) fn walk<'a>(
    cluster: &Cluster,
    entry: Entry,
    now: SystemTime,
    memory: impl Fn(NodeId) -> Option<(&'a NodeMemory, Instant)>,
    mut show: impl FnMut(NodeId, &Passed),
) -> Prediction {
    let mut hops = Vec::with_capacity(2);
    let Entry {
        mut node,
        mut arrival,
        mut packet,
        endpoint,
        lenient,
        noting,
    } = entry;
    loop {
        let mut passed = pass(
            cluster,
            Entering {
                node,
                arrival,
                packet,
                memory: memory(node),
                as_first: true,
                endpoint,
                lenient,
                noting,
            },
        );
        show(node, &passed);
        // Predictions are kept for as long as their traces run, and there may be many.
        passed.observations.shrink_to_fit();
        let name = &cluster.node_record(node).node.name;
        let next = next(name, passed.outcome, passed.observations.last());
        hops.push(Hop {
            node: name.clone(),
            timestamp: now,
            observations: passed.observations,
            after_gap: false,
        });
        match next {
            ControlFlow::Continue(next) => (node, arrival, packet) = (next, Arrival::Peer, passed.packet),
            ControlFlow::Break(verdict) => return Prediction::new(hops, verdict),
        }
    }
}

/// The next node, or how the path ends with what this one did.
pub(crate) fn next(node: &NodeName, outcome: Outcome, last: Option<&Observation>) -> ControlFlow<Verdict, NodeId> {
    let node = node.clone();
    let reason = || last.and_then(|observation| observation.reason.clone());
    ControlFlow::Break(match outcome {
        Outcome::ToPeer(next) => return ControlFlow::Continue(next),
        Outcome::ToPod(_) | Outcome::ToNode => Verdict::Delivered { node },
        Outcome::Outside => Verdict::LeftNetwork { node },
        Outcome::Dropped => Verdict::Dropped { node, reason: reason() },
        Outcome::Rejected => Verdict::Rejected { node, reason: reason() },
    })
}

fn transport(matching: &FlowMatch) -> Result<Transport, Unpredictable> {
    let protocol = matching.protocol.ok_or_else(|| open("the protocol is left open"))?;
    let ports = || {
        let to = matching.destination_port;
        let to = to.ok_or_else(|| open("the destination port is left open"))?;
        Ok((matching.source_port.unwrap_or(ANY_SOURCE_PORT), to))
    };
    Ok(match protocol {
        Protocol::TCP => {
            let (source, destination) = ports()?;
            let flags = matching.tcp_flags.map_or(TcpFlags::SYN, |flags| flags.set());
            Transport::Tcp {
                source,
                destination,
                flags,
            }
        }
        Protocol::UDP => {
            let (source, destination) = ports()?;
            Transport::Udp { source, destination }
        }
        Protocol::SCTP => {
            let (source, destination) = ports()?;
            Transport::Sctp { source, destination }
        }
        Protocol::ICMP => Transport::Icmp(icmp(matching, 8)),
        Protocol::ICMPV6 => Transport::Icmpv6(icmp(matching, 128)),
        other => Transport::Other(other),
    })
}

fn icmp(matching: &FlowMatch, echo_request: u8) -> IcmpHeader {
    IcmpHeader {
        icmp_type: matching.icmp_type.unwrap_or(echo_request),
        code: matching.icmp_code.unwrap_or(0),
        id: 0,
        sequence: 0,
    }
}

/// The first of Linux' `net.ipv4.ip_local_port_range`.
const ANY_SOURCE_PORT: u16 = 32768;

fn open(phrase: &str) -> Unpredictable {
    Unpredictable(Arc::from(phrase))
}
