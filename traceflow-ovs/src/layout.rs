//! A CNI's pipeline on one switch, as far as tracing needs it: which table means what, where packets leave, which
//! registers are free, and where rule numbers stand.

use std::net::IpAddr;

use ipnet::IpNet;
use traceflow_core::datapath::Mark;
use traceflow_openflow::action::Action;
use traceflow_openflow::field::{Field, Subfield};
use traceflow_openflow::matching::Match;

use crate::instance::MARKS;

/// What a [`Pipeline`](crate::pipeline::Pipeline) has found on a switch. Tables are numbers here, ports too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The tables that are watched, in the order in which a packet passes them; at most [`MOST_STAGES`]. The first is
    /// where every packet begins.
    pub stages: Vec<Stage>,
    /// Where packets leave the pipeline, at most [`MOST_EXITS`]; of several that fit the first counts.
    pub exits: Vec<Exit>,
    /// Flows of the CNI that an injected packet must not reach.
    pub detours: Vec<Detour>,
    /// A table that nobody uses: how a packet's way ended is decided there.
    pub verdict_table: u8,
    /// A 32-bit register that nobody uses, for the mark.
    pub mark_register: u8,
    /// Another, which remembers the tables that the packet has passed.
    pub guard_register: u8,
    /// How the mark travels to another node.
    pub carrier: Carrier,
    /// The tunnel ports.
    pub tunnels: Vec<u32>,
    /// The gateway port: to the node itself and out of the network.
    pub gateway: Option<u32>,
    /// The ranges of Pods of other nodes that are reached by the gateway port, where nodes route (noEncap, hybrid).
    pub routed: Vec<IpNet>,
    /// The conntrack zones through which packets go.
    pub zones: Zones,
    /// Where the pipeline keeps what it knows about a packet.
    pub registers: Registers,
}

/// How many tables can be watched: each has a bit of the guard register, and the last two are taken.
pub const MOST_STAGES: usize = 30;

/// How many exits there can be: each has a priority of its own.
pub const MOST_EXITS: usize = 16;

/// A table that is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// What it does.
    pub role: Role,
    /// Its number.
    pub table: u8,
    /// Its name, as the CNI calls it.
    pub name: String,
    /// What it means if the packet passes none of the later ones.
    pub end: End,
    /// What packets have that went on from here in a way that the guard register doesn't show: through a group, which undoes
    /// what its buckets wrote, or through connection tracking, behind which another pass begins.
    pub unless: Option<Match>,
}

/// What it means if a table is the last that a packet passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The packet was dropped there.
    Dropped,
    /// Nothing: it goes on elsewhere, through connection tracking.
    GoesOn,
}

/// What a table does, in the words of the observations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Tells packets by the port that they came in by.
    Classification,
    /// Checks the source addresses.
    SpoofGuard,
    /// Looks connections up.
    Conntrack,
    /// Chooses a Service's endpoint.
    LoadBalancer,
    /// Applies the source's egress rules.
    EgressRule,
    /// Drops what no egress rule allows.
    EgressDefault,
    /// Carries out egress rules that deny.
    EgressMetric,
    /// Finds the next hop.
    Routing,
    /// Decrements the TTL.
    TtlDecrement,
    /// Finds the output port.
    Switching,
    /// Applies the destination's ingress rules.
    IngressRule,
    /// Drops what no ingress rule allows.
    IngressDefault,
    /// Carries out ingress rules that deny.
    IngressMetric,
    /// Chooses the address under which packets leave for the outside.
    Egress,
    /// Puts packets out.
    Output,
    /// Anything else.
    Other,
}

/// A place where packets leave the pipeline, by whatever flow of the CNI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// The stage, as an index of [`Layout::stages`].
    pub stage: usize,
    /// Which packets leave there.
    pub matching: Match,
    /// Where to.
    pub kind: ExitKind,
    /// Whose doing it is, for [`ExitKind::Diversion`].
    pub by: Option<String>,
    /// What is written before an injected packet goes on from here, so that nobody gets a copy of it.
    pub load: Vec<Action>,
}

/// Where a packet goes that leaves the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExitKind {
    /// By a tunnel, to another node.
    Tunnel,
    /// By the gateway port, to a Pod of another node to which this node is a router.
    Route,
    /// Out of another port, whose number stands in [`Registers::output_port`].
    Port,
    /// Out of a port behind which somebody looks at packets; what is let pass comes back as a packet of its own.
    Diversion,
    /// Back to whoever sent it, as a refusal: a Service without endpoints. The CNI's flow here tells its controller, which does
    /// it; where it tells nobody, the packet is lost.
    Refusal,
    /// To the CNI's own controller, which is to hear of a drop: the packet was dropped by the stage that it passed before.
    Denial,
    /// To the CNI's own controller as a copy, for its log; what becomes of the packet is told elsewhere.
    Copy,
}

/// Where an injected packet takes another way than the CNI's flow says, because that one would leave something behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detour {
    /// The table.
    pub table: u8,
    /// Which packets.
    pub matching: Match,
    /// What is done with them instead.
    pub actions: Vec<Action>,
}

/// How a mark travels from node to node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Carrier {
    /// In the tunnel's id (Geneve's and VXLAN's VNI, 24 bits), for CNIs that don't use it. Strangers can't carry it.
    #[default]
    TunnelId,
    /// In the packet's DSCP, where the tunnel's id is taken or there is no tunnel: 7 to 59 in steps of 4, none of Antrea's own. A stranger's
    /// packet may have the same value: it is handed over as it is and not reported as ours; and so an injected packet is
    /// handed over too, on its second node. Of real packets the DSCP is put back there if the question names it, else
    /// cleared.
    Dscp,
}

impl Carrier {
    /// How many marks it can carry.
    pub(crate) fn marks(self) -> u32 {
        match self {
            Self::TunnelId => MARKS,
            Self::Dscp => 14,
        }
    }

    /// The DSCP that stands for a mark, where that is how marks travel.
    pub(crate) fn dscp(self, mark: Mark) -> Option<u8> {
        (self == Self::Dscp).then(|| (3 + 4 * (mark.0 & 0xf)) as u8)
    }
}

/// The conntrack zones of a pipeline, the one that every packet passes first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Zones {
    /// Of IPv4.
    pub v4: Vec<u16>,
    /// Of IPv6.
    pub v6: Vec<u16>,
}

/// Where a pipeline keeps what it knows about a packet. What it doesn't keep is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Registers {
    /// The output port's number.
    pub output_port: Option<Subfield>,
    /// The number of the egress rule that allowed the packet.
    pub egress_rule: Option<Subfield>,
    /// The number of the ingress rule that allowed it.
    pub ingress_rule: Option<Subfield>,
    /// The number of the rule that denied it.
    pub denying_rule: Option<Subfield>,
    /// What is there if the rule that denied it also wants its sender told.
    pub refusing: Option<Condition>,
    /// Not 0 if the packet leaves for the outside under another address.
    pub snat_mark: Option<Subfield>,
    /// What is there if another node sees to that.
    pub remote_snat: Option<Condition>,
    /// The chosen endpoint's IPv4 address.
    pub endpoint_v4: Option<Subfield>,
    /// The chosen endpoint's IPv6 address.
    pub endpoint_v6: Option<Field>,
    /// What is there once an endpoint was chosen.
    pub endpoint_chosen: Option<Condition>,
}

/// Some bits of a field, and the value that they must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Condition {
    /// The bits.
    pub bits: Subfield,
    /// The value.
    pub value: u32,
}

impl Layout {
    /// Where the stage of this role stands, the first if there are several.
    pub fn stage(&self, role: Role) -> Option<usize> {
        self.stages.iter().position(|stage| stage.role == role)
    }

    /// The ports by which packets of other nodes come in.
    pub(crate) fn ways_in(&self) -> impl Iterator<Item = u32> {
        let gateway = self.gateway.filter(|_| !self.routed.is_empty());
        self.tunnels.iter().copied().chain(gateway)
    }

    /// Whether somebody with this address comes in by the gateway port from another node.
    pub(crate) fn is_routed(&self, address: IpAddr) -> bool {
        self.routed.iter().any(|range| range.contains(&address))
    }

    /// Whether packets pass connection tracking.
    pub fn is_stateful(&self) -> bool {
        !(self.zones.v4.is_empty() && self.zones.v6.is_empty())
    }
}
