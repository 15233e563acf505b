//! Chooses a Service's endpoint and translates the destination.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use traceflow_core::observation::{Action, Component, DropReason, Observation};
use traceflow_core::packet::{CapturedPacket, IpFamily, Protocol};

use super::packet::{rewrite_destination, rewrite_source};
use super::{AffinityKey, Arrival, Outcome, Passage, Tuple};
use crate::cluster::{Backend, Cluster, Holder, NodeId, ServiceId};

/// The endpoint that a client of a Service with affinity stays with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(super) address: IpAddr,
    port: u16,
    /// `sessionAffinityConfig.clientIP.timeoutSeconds`.
    pub(super) remembered_for: Duration,
}

/// Translates a packet to a Service to one of its endpoints. Packets of known connections were translated before, with
/// their connection; a headless Service has no address.
pub(super) fn choose_endpoint(passage: &mut Passage<'_>) -> ControlFlow<Outcome> {
    if passage.tracked {
        return ControlFlow::Continue(());
    }
    let (cluster, node, arrival) = (passage.cluster, passage.entering.node, passage.entering.arrival);
    let offer = match addressed(cluster, node, arrival, &passage.original) {
        Addressed::Offer(offer) => offer,
        Addressed::NoService => return ControlFlow::Continue(()),
        Addressed::NoPort(service) => {
            let service = cluster.service_record(service).service.name.clone();
            return passage.drop_at(Component::Lb, DropReason::NoServicePort { service });
        }
    };
    match choice(passage, &offer) {
        Some(backend) => {
            remember(passage, &offer, backend);
            translate(passage, &offer, backend);
            ControlFlow::Continue(())
        }
        None => refuse(passage, &offer),
    }
}

/// What a packet to a Service finds on a node.
enum Addressed {
    /// It isn't for a Service, or another node has chosen before.
    NoService,
    /// The Service doesn't listen on that port.
    NoPort(ServiceId),
    Offer(Offer),
}

/// A Service's port, as it is reached on a node.
struct Offer {
    service: ServiceId,
    port: usize,
    /// Only endpoints on this node are used.
    only_on: Option<NodeId>,
    /// It is reached from outside of the cluster, by one of its external addresses or a node port.
    from_outside: bool,
}

/// A Service is reached by its own addresses, by its external ones, and by node ports at the addresses of the node where the
/// packet is. `externalTrafficPolicy` is about what comes from outside only.
fn addressed(cluster: &Cluster, node: NodeId, arrival: Arrival, tuple: &Tuple) -> Addressed {
    let wanted = (tuple.protocol, tuple.destination_port);
    let (service, port, external) = match cluster.holder(tuple.destination).filter(|_| arrival != Arrival::Peer) {
        Some(Holder::Service(service)) => {
            let object = &cluster.service_record(service).service;
            let port = object
                .ports
                .iter()
                .position(|port| (port.protocol, port.port) == wanted);
            let Some(port) = port else {
                return Addressed::NoPort(service);
            };
            (service, port, object.external_ips.contains(&tuple.destination))
        }
        Some(Holder::Node(own)) if own == node => {
            match at_node_port(cluster, wanted, IpFamily::of(tuple.destination)) {
                Some((service, port)) => (service, port, true),
                None => return Addressed::NoService,
            }
        }
        _ => return Addressed::NoService,
    };
    let object = &cluster.service_record(service).service;
    let from_outside = external && arrival == Arrival::Gateway && cluster.holder(tuple.source).is_none();
    let local = match external {
        true => from_outside && object.external_local_only,
        false => object.local_only,
    };
    Addressed::Offer(Offer {
        service,
        port,
        only_on: local.then_some(node),
        from_outside,
    })
}

/// The Service whose node port this is, in a family that it has.
fn at_node_port(cluster: &Cluster, wanted: (Protocol, u16), family: IpFamily) -> Option<(ServiceId, usize)> {
    let &(service, port) = cluster.node_ports.get(&wanted)?;
    let mut addresses = cluster.service_record(service).service.cluster_ips.iter();
    addresses
        .any(|address| IpFamily::of(*address) == family)
        .then_some((service, port))
}

/// The endpoints that a packet to a Service may be given on a node; none if it is for no Service.
pub(crate) fn choosable<'a>(
    cluster: &'a Cluster,
    node: NodeId,
    arrival: Arrival,
    packet: &CapturedPacket,
) -> impl Iterator<Item = &'a Backend> + use<'a> {
    let family = IpFamily::of(packet.destination);
    let offer = match addressed(cluster, node, arrival, &Tuple::of(packet)) {
        Addressed::Offer(offer) => Some(offer),
        Addressed::NoService | Addressed::NoPort(_) => None,
    };
    offer.into_iter().flat_map(move |offer| usable(cluster, &offer, family))
}

/// The endpoints of a Service's port that may be used.
fn usable<'a>(cluster: &'a Cluster, offer: &Offer, family: IpFamily) -> impl Iterator<Item = &'a Backend> + use<'a> {
    let only_on = offer.only_on;
    let backends = cluster.service_record(offer.service).backends[offer.port]
        .of(family)
        .iter();
    backends.filter(move |backend| only_on.is_none() || backend.node == only_on)
}

/// The endpoint that is asked for, the one that the client stays with, or one by hash: the same tuple and seed choose the
/// same endpoint always.
fn choice<'a>(passage: &Passage<'a>, offer: &Offer) -> Option<&'a Backend> {
    let (cluster, family) = (passage.cluster, IpFamily::of(passage.packet.destination));
    let usable = || usable(cluster, offer, family);
    if let Some(asked) = passage.entering.endpoint {
        return usable().find(|backend| backend.address == asked);
    }
    if let Some(kept) = kept_endpoint(passage, offer) {
        let stays = |backend: &&Backend| (backend.address, backend.port) == (kept.address, kept.port);
        if let Some(backend) = usable().find(stays) {
            return Some(backend);
        }
    }
    let index = (hash(cluster.seed, &passage.original) as usize).checked_rem(usable().count())?;
    usable().nth(index)
}

fn kept_endpoint(passage: &Passage<'_>, offer: &Offer) -> Option<Chosen> {
    let (memory, now) = passage.entering.memory?;
    memory.chosen(&affinity_key(passage, offer), now).copied()
}

fn affinity_key(passage: &Passage<'_>, offer: &Offer) -> AffinityKey {
    AffinityKey {
        service: offer.service,
        port: offer.port,
        client: passage.packet.source,
    }
}

fn remember(passage: &mut Passage<'_>, offer: &Offer, backend: &Backend) {
    let Some(remembered_for) = passage.cluster.service_record(offer.service).service.affinity else {
        return;
    };
    let chosen = Chosen {
        address: backend.address,
        port: backend.port,
        remembered_for,
    };
    passage.affinity = Some((affinity_key(passage, offer), chosen));
}

fn translate(passage: &mut Passage<'_>, offer: &Offer, backend: &Backend) {
    let mut seen = Observation::new(Component::Lb, Action::Forwarded);
    seen.pod.clone_from(&backend.pod_name);
    seen.translated_dst_ip = Some(backend.address);
    let node = passage.entering.node;
    let is_itself = backend.address == passage.packet.source;
    // An answer must come back here to be translated back: a Pod that is its own endpoint would answer itself directly,
    // and an endpoint on another node whoever asked from outside.
    let answers_elsewhere = offer.from_outside && backend.node != Some(node);
    if is_itself || answers_elsewhere {
        passage.hairpin = is_itself;
        passage.new_source = passage.cluster.gateway(node, IpFamily::of(backend.address));
    }
    rewrite_destination(&mut passage.packet, backend.address, backend.port);
    passage.observe(seen);
}

/// Translates the source of what is to come back, once the sender's policies have let it pass.
pub(super) fn translate_source(passage: &mut Passage<'_>) -> ControlFlow<Outcome> {
    if let Some(source) = passage.new_source.take() {
        rewrite_source(&mut passage.packet, source, passage.original.source_port);
        let balanced = passage.observations.iter_mut().rev();
        let balanced = balanced.filter(|seen| seen.component == Component::Lb);
        balanced.take(1).for_each(|seen| seen.translated_src_ip = Some(source));
    }
    ControlFlow::Continue(())
}

/// A Service without any ready endpoint rejects; one that only lacks endpoints on this node drops, so that the sender
/// tries another address (KEP-2086).
fn refuse(passage: &mut Passage<'_>, offer: &Offer) -> ControlFlow<Outcome> {
    let record = passage.cluster.service_record(offer.service);
    let service = record.service.name.clone();
    let family = IpFamily::of(passage.packet.destination);
    if !record.backends[offer.port].of(family).is_empty() {
        return passage.drop_at(Component::Lb, DropReason::NoLocalEndpoints { service });
    }
    let reason = DropReason::NoEndpoints { service };
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
