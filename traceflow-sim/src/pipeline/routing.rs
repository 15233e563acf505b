//! Finds where the packet leaves this node, and decrements the TTL of what is routed between nodes.

use std::net::IpAddr;
use std::ops::ControlFlow;

use traceflow_core::observation::{Component, DropReason};
use traceflow_core::packet::IpFamily;

use super::{Arrival, Outcome, Passage};
use crate::cluster::{Holder, NodeId, PodId};

/// Where a packet leaves a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// By the port of a Pod.
    Pod(PodId),
    /// By the gateway port, to the node itself.
    Node,
    /// To another node, as the traffic mode has it.
    Peer(NodeId),
    /// By the tunnel to the node that has an Egress address, to which the tunnel leads.
    EgressNode { node: NodeId, address: IpAddr },
    /// By the gateway port, out of the observed network.
    Outside,
}

/// Sets the exit. A node is a router to what comes from or goes to another machine, so the TTL drops by one there; Pods
/// of one node, and a Pod and its own node, are neighbours.
pub(super) fn find_exit(passage: &mut Passage<'_>) -> ControlFlow<Outcome> {
    let from_elsewhere = passage.entering.arrival == Arrival::Peer;
    let exit = match exit(passage) {
        Ok(Exit::Peer(_)) if from_elsewhere => Err(DropReason::UnknownDestination),
        exit => exit,
    };
    match exit {
        Ok(exit) => {
            passage.exit = Some(exit);
            let neighbours = matches!(exit, Exit::Pod(_) | Exit::Node) && !from_elsewhere;
            if neighbours {
                return ControlFlow::Continue(());
            }
            decrement_ttl(passage)?;
            // Without a tunnel the node's own kernel is one more router on the way out.
            match exit {
                Exit::Peer(node) if passage.cluster.tunnel_end(passage.entering.node, node).is_none() => {
                    decrement_ttl(passage)
                }
                _ => ControlFlow::Continue(()),
            }
        }
        Err(reason) => passage.drop_at(Component::Routing, reason),
    }
}

fn decrement_ttl(passage: &mut Passage<'_>) -> ControlFlow<Outcome> {
    if passage.packet.ttl <= 1 {
        return passage.drop_at(Component::Routing, DropReason::TtlExpired);
    }
    passage.packet.ttl -= 1;
    ControlFlow::Continue(())
}

fn exit(passage: &Passage<'_>) -> Result<Exit, DropReason> {
    let node = passage.entering.node;
    let destination = passage.packet.destination;
    match passage.cluster.holder(destination) {
        Some(Holder::Pod(pod)) => match passage.cluster.pod_record(pod).node {
            Some(home) if home == node => Ok(Exit::Pod(pod)),
            Some(home) => Ok(Exit::Peer(home)),
            None => Err(DropReason::UnknownDestination),
        },
        Some(Holder::Gateway(home)) if home == node => Ok(Exit::Node),
        Some(Holder::Gateway(home)) => Ok(Exit::Peer(home)),
        Some(Holder::Node(home)) if home == node => Ok(Exit::Node),
        Some(Holder::Node(_)) => Ok(Exit::Outside),
        Some(Holder::Service(_)) => Err(DropReason::NoRoute),
        None => unheld(passage, node, destination),
    }
}

/// An address that nobody in the cluster holds: another node's range is that node's to answer for.
fn unheld(passage: &Passage<'_>, node: NodeId, destination: IpAddr) -> Result<Exit, DropReason> {
    match passage.cluster.node_of_range(destination) {
        Some(home) if home == node => Err(DropReason::UnknownDestination),
        Some(home) => Ok(Exit::Peer(home)),
        None if !leads_outside(destination) => Err(DropReason::NoRoute),
        None if passage.cluster.has_family(node, IpFamily::of(destination)) => Ok(Exit::Outside),
        None => Err(DropReason::NoRoute),
    }
}

/// Whether a router may forward to the address at all.
fn leads_outside(destination: IpAddr) -> bool {
    let link_local = match destination {
        IpAddr::V4(address) => address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !(link_local || destination.is_loopback() || destination.is_unspecified() || destination.is_multicast())
}
