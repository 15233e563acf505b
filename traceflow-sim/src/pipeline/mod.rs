//! One node's handling of one packet, as a list of stages.
//!
//! [`pass`] walks a packet through one node and returns what was observed there and where the packet goes next. It
//! reads the cluster and the node's memory and changes neither; what the packet would leave behind is part of the
//! answer, so predicting and sending are the same walk.

mod classification;
mod conntrack;
mod egress;
mod load_balancer;
mod memory;
mod network_policy;
mod output;
mod packet;
mod routing;
mod spoof_guard;

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::time::Instant;

use traceflow_core::observation::{Action, Component, DropReason, Observation};
use traceflow_core::packet::{CapturedPacket, MacAddress};

use crate::cluster::{Cluster, NodeId, PodId, ServiceId};
use crate::policy::{Access, Decision};

pub(crate) use load_balancer::choosable;
pub(crate) use memory::{AffinityKey, Connection, Learned, NodeMemory, Owner, Planter, TracerId, after};
pub(crate) use packet::Tuple;

/// The stages of a node's pipeline, in the order in which a packet passes them. A stage that doesn't concern the
/// packet lets it through without an observation.
const STAGES: [Stage; 12] = [
    classification::classify,
    spoof_guard::check_source,
    conntrack::look_up,
    load_balancer::choose_endpoint,
    network_policy::apply_egress_rules,
    network_policy::apply_egress_default,
    routing::find_exit,
    load_balancer::translate_source,
    egress::take_egress,
    network_policy::apply_ingress_rules,
    network_policy::apply_ingress_default,
    output::put_out,
];

/// One stage: it continues, or ends the packet's way through this node.
type Stage = fn(&mut Passage<'_>) -> ControlFlow<Outcome>;

/// How a packet came to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// By the port of a Pod; with the source MAC address of the frame, where it is known to differ from the Pod's.
    Pod { pod: PodId, mac: Option<MacAddress> },
    /// By the gateway port: from the node itself, or from outside.
    Gateway,
    /// From another node, by tunnel or route.
    Peer,
}

/// Where a packet goes from a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// To a Pod of this node.
    ToPod(PodId),
    /// To this node itself.
    ToNode,
    /// To another node, by tunnel or route.
    ToPeer(NodeId),
    /// Out of the observed network.
    Outside,
    /// Nowhere.
    Dropped,
    /// Nowhere, and the sender is told.
    Rejected,
}

/// What a node did with a packet.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) observations: Vec<Observation>,
    /// The packet as it was at the last observation.
    pub(crate) packet: CapturedPacket,
    pub(crate) outcome: Outcome,
    /// What the node will remember of it.
    pub(crate) learned: Learned,
    /// Whether the packet belongs to a connection that the node knew.
    pub(crate) tracked: bool,
    /// What policies denied, where that is [noted](Entering::lenient).
    pub(crate) blocked: Vec<Blocked>,
    /// What policies were asked, where that is [noted](Entering::noting).
    pub(crate) asked: Vec<Access>,
}

/// What policies of a Pod denied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Blocked {
    pub(crate) pod: PodId,
    pub(crate) access: Access,
}

/// A packet about to enter a node.
#[derive(Debug, Clone)]
pub(crate) struct Entering<'a> {
    pub(crate) node: NodeId,
    pub(crate) arrival: Arrival,
    pub(crate) packet: CapturedPacket,
    /// What the node remembers, and the time; `None` for a node that has seen nothing yet.
    pub(crate) memory: Option<(&'a NodeMemory, Instant)>,
    /// Whether it passes as the first packet of its flow, whatever the node remembers of its connection.
    pub(crate) as_first: bool,
    /// The endpoint that a Service is to choose; `None` leaves it to the Service.
    pub(crate) endpoint: Option<IpAddr>,
    /// Whether what policies deny is noted and goes on.
    pub(crate) lenient: bool,
    /// Whether what policies are asked is noted.
    pub(crate) noting: bool,
}

/// Walks a packet through one node.
pub(crate) fn pass(cluster: &Cluster, entering: Entering<'_>) -> Passed {
    let mut passage = Passage::new(cluster, entering);
    let outcome = STAGES
        .iter()
        .try_for_each(|stage| stage(&mut passage))
        .break_value()
        .unwrap_or(Outcome::Outside);
    passage.finish(outcome)
}

/// A packet on its way through the stages of one node.
struct Passage<'a> {
    cluster: &'a Cluster,
    entering: Entering<'a>,
    packet: CapturedPacket,
    /// The packet's addresses and ports as it came in.
    original: Tuple,
    /// It belongs to a connection that the node knows; such packets pass the policies.
    tracked: bool,
    /// A Service led it back to its sender.
    hairpin: bool,
    /// The source that it gets if it passes the sender's policies, so that answers come by here.
    new_source: Option<IpAddr>,
    /// The endpoint choice that a Service with affinity will remember.
    affinity: Option<(AffinityKey, load_balancer::Chosen)>,
    exit: Option<routing::Exit>,
    decision: Decision,
    blocked: Vec<Blocked>,
    asked: Vec<Access>,
    observations: Vec<Observation>,
}

impl<'a> Passage<'a> {
    fn new(cluster: &'a Cluster, entering: Entering<'a>) -> Self {
        Self {
            cluster,
            packet: entering.packet.clone(),
            original: Tuple::of(&entering.packet),
            entering,
            tracked: false,
            hairpin: false,
            new_source: None,
            affinity: None,
            exit: None,
            decision: Decision::NotIsolated,
            blocked: Vec::new(),
            asked: Vec::new(),
            // SpoofGuard, LB, a rule in each direction, Output.
            observations: Vec::with_capacity(5),
        }
    }

    fn observe(&mut self, observation: Observation) {
        self.observations.push(observation);
    }

    fn drop_at(&mut self, component: Component, reason: DropReason) -> ControlFlow<Outcome> {
        self.observe(Observation::new(component, Action::Dropped).because(reason));
        ControlFlow::Break(Outcome::Dropped)
    }

    /// Whether the address is one of the node's own.
    fn is_own_node(&self, address: IpAddr) -> bool {
        self.cluster.is_own_address(self.entering.node, address)
    }

    fn finish(self, outcome: Outcome) -> Passed {
        let forwarded = !matches!(outcome, Outcome::Dropped | Outcome::Rejected);
        let connection = (forwarded && !self.tracked).then(|| Connection {
            original: self.original,
            translated: Tuple::of(&self.packet),
        });
        Passed {
            observations: self.observations,
            packet: self.packet,
            outcome,
            learned: Learned {
                connection,
                affinity: self.affinity,
            },
            tracked: self.tracked,
            blocked: self.blocked,
            asked: self.asked,
        }
    }
}
