//! Chooses a Service's endpoint and translates the destination.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use traceflow_core::observation::{Action, Component, DropReason, Observation};
use traceflow_core::packet::{CapturedPacket, IpFamily};

use super::packet::{rewrite_destination, rewrite_source};
use super::{AffinityKey, Arrival, Outcome, Passage, Tuple};
use crate::cluster::{Backend, Cluster, Holder, NodeId, ServiceId};

/// The endpoint that a client of a Service with affinity stays with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chosen {
    address: IpAddr,
    port: u16,
    /// `sessionAffinityConfig.clientIP.timeoutSeconds`.
    pub(super) remembered_for: Duration,
}

/// Translates a packet to a Service's address to one of its endpoints. Packets of known connections were translated
/// before, with their connection; a headless Service has no address.
pub(super) fn choose_endpoint(passage: &mut Passage<'_>) -> ControlFlow<Outcome> {
    if passage.tracked || passage.entering.arrival == Arrival::Peer {
        return ControlFlow::Continue(());
    }
    let Some(Holder::Service(service)) = passage.cluster.holder(passage.packet.destination) else {
        return ControlFlow::Continue(());
    };
    let record = passage.cluster.service_record(service);
    let Some(port) = listening_port(passage.cluster, &passage.original, service) else {
        let service = record.service.name.clone();
        return passage.drop_at(Component::Lb, DropReason::NoServicePort { service });
    };
    match choice(passage, service, port) {
        Some(backend) => {
            remember(passage, service, port, backend);
            translate(passage, backend);
            ControlFlow::Continue(())
        }
        None => refuse(passage, service, port),
    }
}

/// The endpoints that a packet to a Service may be given on a node; none if it is for no Service.
pub(crate) fn choosable<'a>(
    cluster: &'a Cluster,
    node: NodeId,
    packet: &CapturedPacket,
) -> impl Iterator<Item = &'a Backend> + use<'a> {
    let service = match cluster.holder(packet.destination) {
        Some(Holder::Service(service)) => Some(service),
        _ => None,
    };
    let family = IpFamily::of(packet.destination);
    let port = service.and_then(|service| Some((service, listening_port(cluster, &Tuple::of(packet), service)?)));
    port.into_iter()
        .flat_map(move |(service, port)| usable(cluster, node, service, port, family))
}

fn listening_port(cluster: &Cluster, tuple: &Tuple, service: ServiceId) -> Option<usize> {
    let wanted = (tuple.protocol, tuple.destination_port);
    let ports = &cluster.service_record(service).service.ports;
    ports.iter().position(|port| (port.protocol, port.port) == wanted)
}

/// The endpoints of a Service's port that a node may use.
fn usable(
    cluster: &Cluster,
    node: NodeId,
    service: ServiceId,
    port: usize,
    family: IpFamily,
) -> impl Iterator<Item = &Backend> {
    let record = cluster.service_record(service);
    let only_on = record.service.local_only.then_some(node);
    let backends = record.backends[port].of(family).iter();
    backends.filter(move |backend| only_on.is_none() || backend.node == only_on)
}

/// The endpoint that is asked for, the one that the client stays with, or one by hash: the same tuple and seed choose the
/// same endpoint always.
fn choice<'a>(passage: &Passage<'a>, service: ServiceId, port: usize) -> Option<&'a Backend> {
    let (cluster, family) = (passage.cluster, IpFamily::of(passage.packet.destination));
    let usable = || usable(cluster, passage.entering.node, service, port, family);
    if let Some(asked) = passage.entering.endpoint {
        return usable().find(|backend| backend.address == asked);
    }
    if let Some(kept) = kept_endpoint(passage, service, port) {
        let stays = |backend: &&Backend| (backend.address, backend.port) == (kept.address, kept.port);
        if let Some(backend) = usable().find(stays) {
            return Some(backend);
        }
    }
    let index = (hash(cluster.seed, &passage.original) as usize).checked_rem(usable().count())?;
    usable().nth(index)
}

fn kept_endpoint(passage: &Passage<'_>, service: ServiceId, port: usize) -> Option<Chosen> {
    let (memory, now) = passage.entering.memory?;
    memory.chosen(&affinity_key(passage, service, port), now).copied()
}

fn affinity_key(passage: &Passage<'_>, service: ServiceId, port: usize) -> AffinityKey {
    AffinityKey {
        service,
        port,
        client: passage.packet.source,
    }
}

fn remember(passage: &mut Passage<'_>, service: ServiceId, port: usize, backend: &Backend) {
    let Some(remembered_for) = passage.cluster.service_record(service).service.affinity else {
        return;
    };
    let chosen = Chosen {
        address: backend.address,
        port: backend.port,
        remembered_for,
    };
    passage.affinity = Some((affinity_key(passage, service, port), chosen));
}

fn translate(passage: &mut Passage<'_>, backend: &Backend) {
    let mut seen = Observation::new(Component::Lb, Action::Forwarded);
    seen.pod.clone_from(&backend.pod_name);
    seen.translated_dst_ip = Some(backend.address);
    // A Pod that is its own endpoint would answer itself directly; the node's address makes the answer come back here.
    if backend.address == passage.packet.source
        && let Some(gateway) = passage
            .cluster
            .gateway(passage.entering.node, IpFamily::of(backend.address))
    {
        seen.translated_src_ip = Some(gateway);
        passage.hairpin = true;
        rewrite_source(&mut passage.packet, gateway, passage.original.source_port);
    }
    rewrite_destination(&mut passage.packet, backend.address, backend.port);
    passage.observe(seen);
}

/// A Service without any ready endpoint rejects; one that only lacks endpoints on this node drops, so that the sender
/// tries another address (KEP-2086).
fn refuse(passage: &mut Passage<'_>, service: ServiceId, port: usize) -> ControlFlow<Outcome> {
    let record = passage.cluster.service_record(service);
    let reason = DropReason::NoEndpoints {
        service: record.service.name.clone(),
    };
    if !record.backends[port]
        .of(IpFamily::of(passage.packet.destination))
        .is_empty()
    {
        return passage.drop_at(Component::Lb, reason);
    }
    passage.observe(Observation::new(Component::Lb, Action::Rejected).because(reason));
    ControlFlow::Break(Outcome::Rejected)
}

fn hash(seed: u64, tuple: &Tuple) -> u64 {
    let ports = (u64::from(tuple.source_port) << 16) | u64::from(tuple.destination_port);
    let numbers = [
        fold(tuple.source),
        fold(tuple.destination),
        (u64::from(tuple.protocol.0) << 32) | ports,
    ];
    // fastrand's generator is a strong mixer, and stable over its versions' patch releases.
    numbers
        .into_iter()
        .fold(seed, |state, number| fastrand::Rng::with_seed(state ^ number).u64(..))
}

fn fold(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            (bits >> 64) as u64 ^ (bits as u64).rotate_left(32)
        }
    }
}
