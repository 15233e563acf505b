//! Injected packets: seen to the end, known by their nonces, handed to nobody.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use traceflow_core::datapath::Sighting;
use traceflow_core::names::NodeName;
use traceflow_core::observation::{Action, DropReason, Observation};
use traceflow_core::packet::{CapturedPacket, IpFamily, Protocol};

use crate::case::{Failure, Stop, ensure};
use crate::network::{Destination, Journey};
use crate::trial::{Trial, ends_path, is_of, observations, with_nonce, with_ttl, words};

pub(super) async fn a_packet_is_reported_with_its_nonce(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let mut watch = trial.watch();
    let (probe, packet) = trial.inject_over(&trial.network().same_node).await?;
    let seen = watch.follow(&probe, &packet).await?;
    let named = seen.iter().all(|sighting| sighting.nonce == Some(packet.nonce));
    ensure(
        named,
        format!("all reports to carry nonce {}", packet.nonce),
        words(&seen),
    )
}

pub(super) async fn no_nonce_is_reported_unclaimed(trial: Trial) -> Result<(), Failure> {
    let seen = inject_and_follow(&trial, &trial.network().same_node).await?;
    let unnamed = seen.iter().all(|sighting| sighting.nonce.is_none());
    ensure(unnamed, "no nonces, as none are claimed", words(&seen))
}

pub(super) async fn a_sighting_names_its_node_and_mark(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    for journey in same_and_cross(&trial) {
        let mut watch = trial.watch();
        let (probe, packet) = trial.inject_over(&journey).await?;
        let seen = watch.follow(&probe, &packet).await?;
        let nodes: Vec<_> = trial
            .network()
            .datapaths
            .iter()
            .map(|datapath| datapath.node())
            .collect();
        let named = |sighting: &Sighting| sighting.mark == probe.mark && nodes.contains(&&sighting.node);
        let expected = format!("mark {} and one of the nodes {nodes:?}", probe.mark);
        ensure(seen.iter().all(named), expected, words(&seen))?;
        let first = trial.start_of(&journey)?.node();
        let from_first = seen.iter().any(|sighting| sighting.node == *first);
        ensure(from_first, format!("a report from node {first}"), words(&seen))?;
        trial.remove(&probe).await?;
    }
    Ok(())
}

pub(super) async fn a_packet_is_followed_to_its_end(trial: Trial) -> Result<(), Failure> {
    let seen = inject_and_follow(&trial, &trial.network().same_node).await?;
    ensure_end(&seen, "Delivered", |end| end.action == Action::Delivered)?;
    ensure_nodes(&seen, &[trial.home()?.node()])
}

pub(super) async fn nothing_follows_the_end_of_the_path(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    for journey in same_and_cross(&trial) {
        let mut watch = trial.watch();
        let (probe, packet) = trial.inject_over(&journey).await?;
        let seen = watch.follow(&probe, &packet).await?;
        let ends = path_ends(&seen);
        let expected = "one end of the path, as the last observation of its node";
        ensure(ends == [true], expected, words(&seen))?;
        trial.remove(&probe).await?;
    }
    Ok(())
}

pub(super) async fn a_packet_is_followed_to_another_node(trial: Trial) -> Result<(), Failure> {
    let journey = given(&trial.network().cross_node, "a way to another node")?;
    let last = trial.end_of(&journey)?;
    let seen = inject_and_follow(&trial, &journey).await?;
    ensure_end(&seen, "Delivered", |end| end.action == Action::Delivered)?;
    ensure_nodes(&seen, &[trial.start_of(&journey)?.node(), &last])
}

pub(super) async fn a_drop_is_reported_with_its_reason(trial: Trial) -> Result<(), Failure> {
    let journey = given(&trial.network().dropped, "a way that drops")?;
    let seen = inject_and_follow(&trial, &journey).await?;
    ensure_end(&seen, "Dropped or Rejected, with a reason or a policy", |end| {
        let explained = end.reason.is_some() || end.network_policy.is_some();
        matches!(end.action, Action::Dropped | Action::Rejected) && explained
    })
}

pub(super) async fn a_packet_is_followed_to_the_outside(trial: Trial) -> Result<(), Failure> {
    let journey = given(&trial.network().outside, "a way to the outside")?;
    let seen = inject_and_follow(&trial, &journey).await?;
    ensure_end(&seen, "ForwardedOutOfNetwork", |end| {
        end.action == Action::ForwardedOutOfNetwork
    })
}

pub(super) async fn an_expired_ttl_is_told(trial: Trial) -> Result<(), Failure> {
    let journey = given(&trial.network().routed, "a way on which the TTL drops")?;
    trial.attach().await?;
    let mut watch = trial.watch();
    let packet = with_ttl(&trial.packet(&journey)?, 1);
    let probe = trial.inject_packet(&journey, &packet).await?;
    let seen = watch.follow(&probe, &packet).await?;
    ensure_end(&seen, "Dropped or Rejected, as the TTL expired", |end| {
        matches!(end.action, Action::Dropped | Action::Rejected) && end.reason == Some(DropReason::TtlExpired)
    })
}

pub(super) async fn a_packet_is_not_handed_to_the_pod(trial: Trial) -> Result<(), Failure> {
    let journey = &trial.network().same_node;
    let (Some(workloads), Destination::Pod(pod)) = (&trial.network().workloads, &journey.to) else {
        return Err(Failure::new("workloads and a way to a Pod", "neither"));
    };
    let before = workloads.received(pod).await;
    inject_and_follow(&trial, journey).await?;
    let after = workloads.received(pod).await;
    ensure(
        after == before,
        format!("Pod {pod} to be handed nothing"),
        format_args!("{} packets", after - before),
    )
}

pub(super) async fn the_standing_watch_needs_no_install(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let journey = &trial.network().same_node;
    let mut watch = trial.watch();
    let packet = trial.packet(journey)?;
    let probe = trial.injected(trial.mark().await?, journey, &packet);
    trial.inject(&probe, &packet).await?;
    watch.follow(&probe, &packet).await.map(drop)
}

pub(super) async fn an_installed_probe_is_seen(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let journey = &trial.network().same_node;
    let mut watch = trial.watch();
    let packet = trial.packet(journey)?;
    let probe = trial.injected(trial.mark().await?, journey, &packet);
    trial.install(&probe).await?;
    trial.inject(&probe, &packet).await?;
    watch.follow(&probe, &packet).await.map(drop)
}

pub(super) async fn attempts_of_one_probe_are_told_apart(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let mut watch = trial.watch();
    let (probe, first) = trial.inject_over(&trial.network().same_node).await?;
    watch.follow(&probe, &first).await?;
    let second = with_nonce(&first, first.nonce.0 ^ 1);
    trial.inject(&probe, &second).await?;
    let seen = watch.follow(&probe, &second).await?;
    let named = seen.iter().all(|sighting| sighting.nonce == Some(second.nonce));
    ensure(
        named,
        format!("only the second attempt's nonce {}", second.nonce),
        words(&seen),
    )
}

pub(super) async fn a_hundred_packets_at_once_keep_their_nonces(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let journey = &trial.network().same_node;
    let model = trial.packet(journey)?;
    let probe = trial.injected(trial.mark().await?, journey, &model);
    trial.ready(&probe).await?;
    let packets: Vec<_> = (1..=100).map(|nonce| with_nonce(&model, nonce)).collect();
    let mut watch = trial.watch();
    let injected = join_all(packets.iter().map(|packet| trial.inject(&probe, packet))).await;
    injected.into_iter().collect::<Result<(), Failure>>()?;
    let all_ended = |seen: &[Sighting]| {
        let ended: BTreeSet<_> = seen
            .iter()
            .filter(|sighting| ends_path(sighting))
            .map(|end| end.nonce)
            .collect();
        packets.iter().all(|packet| ended.contains(&Some(packet.nonce)))
    };
    let seen = watch
        .until("each of a hundred packets to be reported to its end", all_ended)
        .await?;
    let strange = |sighting: &&Sighting| !packets.iter().any(|packet| sighting.nonce == Some(packet.nonce));
    let strangers: Vec<_> = seen.iter().filter(strange).cloned().collect();
    ensure(strangers.is_empty(), "no nonce but the hundred", words(&strangers))
}

pub(super) async fn timestamps_do_not_run_backwards(trial: Trial) -> Result<(), Failure> {
    let earlier = inject_and_follow(&trial, &trial.network().same_node).await?;
    let later = inject_and_follow(&trial, &trial.network().same_node).await?;
    let last = earlier.iter().map(|sighting| sighting.timestamp).max();
    let first = later.iter().map(|sighting| sighting.timestamp).min();
    ensure(
        first >= last,
        format!("no time before {last:?}"),
        format_args!("{first:?}"),
    )
}

pub(super) async fn a_captured_packet_is_the_injected_one(trial: Trial) -> Result<(), Stop> {
    trial.attach().await?;
    let mut watch = trial.watch();
    let (probe, packet) = trial.inject_over(&trial.network().same_node).await?;
    let seen = watch.follow(&probe, &packet).await?;
    let captured: Vec<_> = seen.iter().filter_map(|sighting| sighting.packet.as_ref()).collect();
    if captured.is_empty() {
        return Err(Stop::Skipped("it captures no packets".to_owned()));
    }
    let is_ours = |captured: &CapturedPacket| {
        captured.source == packet.ip.source()
            && captured.destination == packet.ip.destination()
            && captured.protocol == packet.protocol()
            && captured.nonce.is_none_or(|nonce| nonce == packet.nonce)
    };
    let expected = format!("only captures of {packet:?}");
    Ok(ensure(
        captured.iter().all(|captured| is_ours(captured)),
        expected,
        format_args!("{captured:?}"),
    )?)
}

pub(super) async fn ipv4_is_followed(trial: Trial) -> Result<(), Failure> {
    let protocol = trial.packet(&trial.network().same_node)?.protocol();
    follow_one(&trial, IpFamily::V4, protocol).await
}

pub(super) async fn ipv6_is_followed(trial: Trial) -> Result<(), Failure> {
    let protocol = trial.packet(&trial.network().same_node)?.protocol();
    follow_one(&trial, IpFamily::V6, protocol).await
}

pub(super) async fn tcp_is_followed(trial: Trial) -> Result<(), Failure> {
    follow_in_each_family(&trial, Protocol::TCP).await
}

pub(super) async fn udp_is_followed(trial: Trial) -> Result<(), Failure> {
    follow_in_each_family(&trial, Protocol::UDP).await
}

pub(super) async fn icmp_is_followed(trial: Trial) -> Result<(), Failure> {
    follow_in_each_family(&trial, Protocol::ICMP).await
}

pub(super) async fn sctp_is_followed(trial: Trial) -> Result<(), Failure> {
    follow_in_each_family(&trial, Protocol::SCTP).await
}

pub(super) async fn any_protocol_is_followed(trial: Trial) -> Result<(), Failure> {
    follow_in_each_family(&trial, Protocol(253)).await // for experiments, RFC 3692
}

/// For each observation that ends the path, whether it is the last of its node.
fn path_ends(seen: &[Sighting]) -> Vec<bool> {
    let nodes: BTreeSet<_> = seen.iter().map(|sighting| &sighting.node).collect();
    let per_node = nodes.into_iter().flat_map(|node| {
        let here: Vec<_> = seen.iter().filter(|sighting| sighting.node == *node).cloned().collect();
        let all = observations(&here);
        let ends = all.iter().enumerate().filter(|(_, seen)| seen.action.ends_path());
        ends.map(|(place, _)| place + 1 == all.len()).collect::<Vec<_>>()
    });
    per_node.collect()
}

async fn follow_in_each_family(trial: &Trial, protocol: Protocol) -> Result<(), Failure> {
    for family in trial.families()? {
        follow_one(trial, family, protocol).await?;
    }
    Ok(())
}

async fn follow_one(trial: &Trial, family: IpFamily, protocol: Protocol) -> Result<(), Failure> {
    trial.attach().await?;
    let journey = &trial.network().same_node;
    let packet = trial.packet_of(journey, family, protocol)?;
    let mut watch = trial.watch();
    let probe = trial.inject_packet(journey, &packet).await?;
    let seen = watch.follow(&probe, &packet).await?;
    ensure_end(&seen, "Delivered", |end| end.action == Action::Delivered)?;
    trial.remove(&probe).await.map(drop)
}

pub(super) async fn inject_and_follow(trial: &Trial, journey: &Journey) -> Result<Vec<Sighting>, Failure> {
    trial.attach().await?;
    let mut watch = trial.watch();
    let (probe, packet) = trial.inject_over(journey).await?;
    let mut seen = watch.follow(&probe, &packet).await?;
    trial.remove(&probe).await?;
    seen.retain(|sighting| is_of(sighting, &probe, &packet));
    Ok(seen)
}

fn same_and_cross(trial: &Trial) -> Vec<Journey> {
    let network = trial.network();
    let all = [Some(&network.same_node), network.cross_node.as_ref()];
    all.into_iter().flatten().cloned().collect()
}

fn given(journey: &Option<Journey>, what: &str) -> Result<Journey, Failure> {
    journey.clone().ok_or_else(|| Failure::new(what, "none"))
}

fn ensure_end(seen: &[Sighting], expected: &str, holds: impl Fn(&Observation) -> bool) -> Result<(), Failure> {
    let all = observations(seen);
    let end = all.iter().find(|seen| seen.action.ends_path());
    ensure(
        end.is_some_and(holds),
        format!("the path to end with {expected}"),
        words(seen),
    )
}

fn ensure_nodes(seen: &[Sighting], nodes: &[&NodeName]) -> Result<(), Failure> {
    let reported: BTreeSet<_> = seen.iter().map(|sighting| &sighting.node).collect();
    let expected = format!("reports from {nodes:?} and no other node");
    ensure(reported == nodes.iter().copied().collect(), expected, words(seen))
}
