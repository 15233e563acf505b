//! What a live probe matches by beyond addresses and ports: each field with a packet that has it and one that hasn't.

use traceflow_core::datapath::{DatapathError, Probe, ProbeKind};
use traceflow_core::packet::{IpFamily, Packet, Protocol, TcpFlags, Transport};
use traceflow_core::plan::{FlowMatch, TcpFlagsMatch};

use crate::case::{Failure, Stop};
use crate::network::{Destination, Journey};
use crate::trial::{Trial, answer_to, matching, with_dscp, with_tcp_flags};

pub(super) async fn dscp_is_matched(trial: Trial) -> Result<(), Stop> {
    let journey = &trial.network().same_node;
    let miss = trial.packet(journey)?;
    let hit = with_dscp(&trial.packet(journey)?, EXPEDITED_FORWARDING);
    let wanted = FlowMatch {
        dscp: Some(EXPEDITED_FORWARDING),
        ..of_any_connection(&hit)
    };
    takes_only(&trial, wanted, &miss, &hit).await
}

/// A DSCP that is not 0, RFC 3246.
const EXPEDITED_FORWARDING: u8 = 46;

pub(super) async fn tcp_flags_are_matched_under_their_mask(trial: Trial) -> Result<(), Stop> {
    let journey = &trial.network().same_node;
    let family = IpFamily::of(trial.packet(journey)?.ip.source());
    let tcp = |flags| Ok::<_, Failure>(with_tcp_flags(&trial.packet_of(journey, family, Protocol::TCP)?, flags));
    let (miss, hit) = (tcp(TcpFlags::ACK)?, tcp(TcpFlags(TcpFlags::SYN.0 | TcpFlags::ECE.0))?);
    let wanted = FlowMatch {
        tcp_flags: Some(TcpFlagsMatch::new(TcpFlags::SYN, TcpFlags::ACK)),
        ..of_any_connection(&hit)
    };
    takes_only(&trial, wanted, &miss, &hit).await
}

pub(super) async fn icmp_type_and_code_are_matched(trial: Trial) -> Result<(), Stop> {
    let journey = &trial.network().same_node;
    let family = IpFamily::of(trial.packet(journey)?.ip.source());
    let hit = trial.packet_of(journey, family, Protocol::ICMP)?;
    let (Transport::Icmp(echo) | Transport::Icmpv6(echo)) = hit.transport else {
        return Err(Failure::new("an echo request", format!("{hit:?}")).into());
    };
    let mut miss = hit.clone();
    if let Transport::Icmp(header) | Transport::Icmpv6(header) = &mut miss.transport {
        header.code ^= 1;
    }
    let wanted = FlowMatch {
        icmp_type: Some(echo.icmp_type),
        icmp_code: Some(echo.code),
        ..of_any_connection(&hit)
    };
    takes_only(&trial, wanted, &miss, &hit).await
}

pub(super) async fn new_only_takes_the_first_packet_of_a_connection(trial: Trial) -> Result<(), Stop> {
    let journey = &trial.network().same_node;
    let old = begun(&trial, journey).await?;
    let new = trial.packet(journey)?;
    let wanted = FlowMatch {
        new_only: true,
        ..of_any_connection(&new)
    };
    takes_only(&trial, wanted, &going_on(&old), &new).await
}

pub(super) async fn a_connection_that_began_before_is_followed(trial: Trial) -> Result<(), Stop> {
    let journey = &trial.network().same_node;
    let old = begun(&trial, journey).await?;
    let other = trial.packet(journey)?;
    takes_only(&trial, matching(&old), &other, &going_on(&old)).await
}

/// Follows what is `wanted`, while first `miss` and then `hit` is sent: the second alone may be reported.
async fn takes_only(trial: &Trial, wanted: FlowMatch, miss: &Packet, hit: &Packet) -> Result<(), Stop> {
    trial.attach().await?;
    let journey = &trial.network().same_node;
    let mut watch = trial.watch();
    let probe = arm(trial, wanted).await?;
    trial.send(journey, miss).await?;
    watch
        .ensure_quiet("silence about a packet that lacks what is matched")
        .await?;
    trial.send(journey, hit).await?;
    watch.follow_live(&probe).await?;
    Ok(())
}

/// Installs a probe on every node. A datapath whose marks are in a field can't match that field, and says so.
async fn arm(trial: &Trial, matching: FlowMatch) -> Result<Probe, Stop> {
    let kind = ProbeKind::Live {
        matching,
        dropped_only: false,
    };
    let probe = trial.probe(trial.mark().await?, kind, trial.suite().limit);
    match trial.home()?.install(&probe).await {
        Err(DatapathError::Unsupported(words)) => Err(Stop::Skipped(format!("it says that it can't {words}"))),
        _ => Ok(trial.install(&probe).await.map(|()| probe)?),
    }
}

/// The first packet of a connection that both ends have spoken on.
async fn begun(trial: &Trial, journey: &Journey) -> Result<Packet, Stop> {
    let first = trial.packet(journey)?;
    let Destination::Pod(far) = &journey.to else {
        return Err(Stop::Skipped("the way doesn't end at a Pod".to_owned()));
    };
    if let Transport::Other(protocol) = first.transport {
        return Err(Stop::Skipped(format!("{protocol} has no connections")));
    }
    trial.send(journey, &first).await?;
    let back = Journey::between(far.clone(), journey.from.clone());
    trial.send(&back, &answer_to(&first)?).await?;
    Ok(first)
}

/// A later packet of the connection that `first` began.
fn going_on(first: &Packet) -> Packet {
    with_tcp_flags(first, TcpFlags::ACK)
}

/// What matches `packet` and its like of other connections.
fn of_any_connection(packet: &Packet) -> FlowMatch {
    FlowMatch {
        source_port: None,
        ..matching(packet)
    }
}
