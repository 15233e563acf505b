//! Live probes: real traffic that matches, and no other.

use std::net::IpAddr;

use tokio::time::{sleep, timeout};
use traceflow_core::datapath::{Capabilities, Probe, ProbeKind};
use traceflow_core::observation::Action;
use traceflow_core::packet::{IpFamily, Packet, Protocol, TcpFlags, Transport};
use traceflow_core::plan::{FlowMatch, TcpFlagsMatch};

use crate::case::{Failure, ensure};
use crate::network::Destination;
use crate::trial::{Trial, matching, observations, words};

pub(super) async fn the_first_matching_packet_is_reported(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let journey = &trial.network().same_node;
    for family in trial.families()? {
        let protocol = trial.packet(journey)?.protocol();
        let packet = trial.packet_of(journey, family, protocol)?;
        let mut watch = trial.watch();
        let probe = arm(&trial, &packet, false).await?;
        trial.send(journey, &packet).await?;
        let seen = watch.follow_live(&probe).await?;
        let delivered = observations(&seen).iter().any(|seen| seen.action == Action::Delivered);
        ensure(delivered, "the packet to be reported as Delivered", words(&seen))?;
        trial.remove(&probe).await?;
    }
    Ok(())
}

pub(super) async fn a_matching_packet_is_followed_to_another_node(trial: Trial) -> Result<(), Failure> {
    let Some(journey) = &trial.network().cross_node else {
        return Err(Failure::new("a way to another node", "none"));
    };
    trial.attach().await?;
    let packet = trial.packet(journey)?;
    let mut watch = trial.watch();
    let probe = arm(&trial, &packet, false).await?;
    trial.send(journey, &packet).await?;
    let seen = watch.follow_live(&probe).await?;
    let first = trial.start_of(journey)?.node();
    let both =
        seen.iter().any(|sighting| sighting.node == *first) && seen.iter().any(|sighting| sighting.node != *first);
    ensure(both, "reports from both nodes", words(&seen))
}

pub(super) async fn other_packets_are_not_reported(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let (journey, can) = (&trial.network().same_node, trial.claims()?);
    let usual = trial.packet(journey)?;
    missed_by(&trial, &usual, near_misses(&usual, can)).await?;
    if can.handles_protocol(Protocol::ICMP) {
        let echo = trial.packet_of(journey, IpFamily::of(usual.ip.source()), Protocol::ICMP)?;
        missed_by(&trial, &echo, near_misses(&echo, can)).await?;
    }
    Ok(())
}

/// Installs a probe for each of `misses` and sends `packet`, which none of them may report.
async fn missed_by(trial: &Trial, packet: &Packet, misses: Vec<(&str, FlowMatch)>) -> Result<(), Failure> {
    for (differs_in, matching) in misses {
        let mut watch = trial.watch();
        let kind = ProbeKind::Live {
            matching,
            dropped_only: false,
        };
        let probe = trial.probe(trial.mark().await?, kind, trial.suite().limit);
        trial.install(&probe).await?;
        trial.send(&trial.network().same_node, packet).await?;
        let expected = format!("silence about a packet that differs in its {differs_in}");
        watch.ensure_quiet(&expected).await?;
        trial.remove(&probe).await?;
    }
    Ok(())
}

pub(super) async fn nothing_is_reported_unasked(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let journey = &trial.network().same_node;
    let mut watch = trial.watch();
    trial.send(journey, &trial.packet(journey)?).await?;
    watch.ensure_quiet("silence about traffic that nobody asked for").await
}

pub(super) async fn nothing_is_reported_after_remove(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let journey = &trial.network().same_node;
    let packet = trial.packet(journey)?;
    let mut watch = trial.watch();
    let probe = arm(&trial, &packet, false).await?;
    trial.send(journey, &packet).await?;
    watch.follow_live(&probe).await?;
    trial.remove(&probe).await?;
    watch.rest().await;
    trial.send(journey, &packet).await?;
    watch.ensure_quiet("silence after remove").await
}

pub(super) async fn a_followed_packet_still_arrives(trial: Trial) -> Result<(), Failure> {
    let journey = &trial.network().same_node;
    let (Some(workloads), Destination::Pod(pod)) = (&trial.network().workloads, &journey.to) else {
        return Err(Failure::new("workloads and a way to a Pod", "neither"));
    };
    trial.attach().await?;
    let packet = trial.packet(journey)?;
    let probe = arm(&trial, &packet, false).await?;
    let before = workloads.received(pod).await;
    trial.send(journey, &packet).await?;
    let arrived = timeout(trial.suite().patience, async {
        while workloads.received(pod).await == before {
            sleep(trial.suite().quiet).await;
        }
    });
    let arrived = arrived.await.is_ok();
    trial.remove(&probe).await?;
    ensure(arrived, format!("Pod {pod} to be handed the packet"), "nothing handed")
}

pub(super) async fn two_probes_tell_their_packets_apart(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let journey = &trial.network().same_node;
    let packets = [trial.packet(journey)?, trial.packet(journey)?];
    let mut watch = trial.watch();
    let mut probes = Vec::new();
    for packet in &packets {
        probes.push(arm(&trial, packet, false).await?);
    }
    for (packet, probe) in packets.iter().zip(&probes) {
        trial.send(journey, packet).await?;
        let seen = watch.follow_live(probe).await?;
        let own = seen.iter().all(|sighting| sighting.mark == probe.mark);
        ensure(own, format!("reports under mark {} only", probe.mark), words(&seen))?;
    }
    Ok(())
}

pub(super) async fn dropped_only_reports_a_drop(trial: Trial) -> Result<(), Failure> {
    let Some(journey) = &trial.network().dropped else {
        return Err(Failure::new("a way that drops", "none"));
    };
    trial.attach().await?;
    let packet = trial.packet(journey)?;
    let mut watch = trial.watch();
    let probe = arm(&trial, &packet, true).await?;
    trial.send(journey, &packet).await?;
    let seen = watch.follow_live(&probe).await?;
    let dropped = |action: &Action| matches!(action, Action::Dropped | Action::Rejected);
    let drop_seen = observations(&seen).iter().any(|seen| dropped(&seen.action));
    ensure(drop_seen, "the drop to be reported", words(&seen))
}

pub(super) async fn dropped_only_lets_others_pass_in_silence(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let journey = &trial.network().same_node;
    let packet = trial.packet(journey)?;
    let mut watch = trial.watch();
    arm(&trial, &packet, true).await?;
    trial.send(journey, &packet).await?;
    watch.ensure_quiet("silence about a packet that is not dropped").await
}

pub(super) async fn matches_are_counted(trial: Trial) -> Result<(), Failure> {
    let matched = count_of_three(&trial).await?;
    ensure(
        matched == Some(3),
        "3 matches to be counted",
        format_args!("{matched:?}"),
    )
}

pub(super) async fn matches_are_not_counted_unclaimed(trial: Trial) -> Result<(), Failure> {
    let matched = count_of_three(&trial).await?;
    ensure(
        matched.is_none(),
        "no count, as none is claimed",
        format_args!("{matched:?}"),
    )
}

/// Sends three packets that match and one that doesn't; what `remove` says of them.
async fn count_of_three(trial: &Trial) -> Result<Option<u64>, Failure> {
    trial.attach().await?;
    let journey = &trial.network().same_node;
    let (packet, other) = (trial.packet(journey)?, trial.packet(journey)?);
    let mut watch = trial.watch();
    let probe = arm(trial, &packet, trial.claims()?.dropped_only).await?;
    for packet in [&packet, &packet, &other, &packet] {
        trial.send(journey, packet).await?;
    }
    watch.rest().await;
    trial.remove(&probe).await
}

/// Installs a live probe for `packet` on every node.
async fn arm(trial: &Trial, packet: &Packet, dropped_only: bool) -> Result<Probe, Failure> {
    let probe = trial.live(trial.mark().await?, packet, dropped_only);
    trial.install(&probe).await?;
    Ok(probe)
}

/// What matches all of `packet` but one field, with the field's name.
fn near_misses(packet: &Packet, can: &Capabilities) -> Vec<(&'static str, FlowMatch)> {
    let exact = matching(packet);
    let elsewhere = Some(unused(packet.ip.source()));
    let mut misses = vec![
        (
            "source",
            FlowMatch {
                source: elsewhere,
                ..exact
            },
        ),
        (
            "destination",
            FlowMatch {
                destination: elsewhere,
                ..exact
            },
        ),
        (
            "DSCP",
            FlowMatch {
                dscp: Some(46),
                ..exact
            },
        ),
    ];
    if let Transport::Icmp(echo) | Transport::Icmpv6(echo) = packet.transport {
        let (icmp_type, icmp_code) = (Some(echo.icmp_type ^ 1), Some(echo.code ^ 1));
        misses.push(("ICMP type", FlowMatch { icmp_type, ..exact }));
        misses.push(("ICMP code", FlowMatch { icmp_code, ..exact }));
    }
    let Some((source, destination)) = packet.transport.ports() else {
        return misses;
    };
    let (source_port, destination_port) = (Some(source ^ 1), Some(destination ^ 1));
    misses.push(("source port", FlowMatch { source_port, ..exact }));
    misses.push((
        "destination port",
        FlowMatch {
            destination_port,
            ..exact
        },
    ));
    let others = [Protocol::TCP, Protocol::UDP, Protocol::SCTP].into_iter();
    let mut others = others.filter(|&other| other != packet.protocol() && can.handles_protocol(other));
    if let Some(other) = others.next() {
        misses.push((
            "protocol",
            FlowMatch {
                protocol: Some(other),
                ..exact
            },
        ));
    }
    if packet.protocol() == Protocol::TCP {
        let tcp_flags = Some(TcpFlagsMatch::exactly(TcpFlags::RST));
        misses.push(("TCP flags", FlowMatch { tcp_flags, ..exact }));
    }
    misses
}

/// An address that no Pod has: one of those reserved for documentation.
fn unused(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::from([192, 0, 2, 77]),
        IpAddr::V6(_) => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 77]),
    }
}
