//! What is not claimed is refused, and a refusal leaves nothing.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use traceflow_core::datapath::{Capabilities, Datapath, DatapathError};
use traceflow_core::names::ObjectName;
use traceflow_core::packet::{IpFamily, IpHeader, Ipv4Header, Ipv6Header, Packet, Protocol, Transport};

use crate::case::{Failure, ensure};
use crate::network::Journey;
use crate::trial::Trial;

pub(super) async fn injecting_is_refused_unclaimed(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let packet = trial.packet(&trial.network().same_node)?;
    for datapath in lacking(&trial, |can| can.inject) {
        refuses_to_inject(&trial, datapath, &packet).await?;
    }
    Ok(())
}

pub(super) async fn real_traffic_is_refused_unclaimed(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let packet = trial.packet(&trial.network().same_node)?;
    for datapath in lacking(&trial, |can| can.live) {
        refuses_to_watch(&trial, datapath, &packet, false).await?;
    }
    Ok(())
}

pub(super) async fn dropped_only_is_refused_unclaimed(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let packet = trial.packet(&trial.network().same_node)?;
    for datapath in lacking(&trial, |can| can.dropped_only) {
        refuses_to_watch(&trial, datapath, &packet, true).await?;
    }
    Ok(())
}

pub(super) async fn ipv4_is_refused_unclaimed(trial: Trial) -> Result<(), Failure> {
    let header = IpHeader::V4(Ipv4Header {
        source: Ipv4Addr::new(192, 0, 2, 1),
        destination: Ipv4Addr::new(192, 0, 2, 2),
        ttl: 64,
        dscp: 0,
        flags: 2,
        identification: 0,
    });
    family_is_refused(&trial, IpFamily::V4, header).await
}

pub(super) async fn ipv6_is_refused_unclaimed(trial: Trial) -> Result<(), Failure> {
    let header = IpHeader::V6(Ipv6Header {
        source: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
        destination: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2),
        hop_limit: 64,
        dscp: 0,
        flow_label: 0,
    });
    family_is_refused(&trial, IpFamily::V6, header).await
}

pub(super) async fn a_protocol_is_refused_unclaimed(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let journey = &trial.network().same_node;
    let usual = trial.packet(journey)?;
    let family = IpFamily::of(usual.ip.source());
    let candidates = [
        Protocol::TCP,
        Protocol::UDP,
        Protocol::ICMP,
        Protocol::SCTP,
        Protocol(253),
    ];
    for protocol in candidates {
        let packet = trial.packet_of(journey, family, protocol)?;
        for datapath in lacking(&trial, |can| can.handles_protocol(packet.protocol())) {
            refuses_packet(&trial, datapath, &packet).await?;
        }
    }
    Ok(())
}

pub(super) async fn a_strange_pod_is_refused(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let before = trial.leftovers().await?;
    let packet = trial.packet(&trial.network().same_node)?;
    let strange = Journey {
        from: ObjectName::new("nowhere", "nobody"),
        ..trial.network().same_node.clone()
    };
    let probe = trial.injected(trial.mark().await?, &strange, &packet);
    let outcome = trial.home()?.inject(&probe, &packet).await;
    ensure(
        outcome.is_err(),
        "injecting at a Pod that isn't here to fail",
        format_args!("{outcome:?}"),
    )?;
    trial.remove(&probe).await?;
    trial.ensure_left(&before, "after a refusal").await
}

async fn family_is_refused(trial: &Trial, family: IpFamily, ip: IpHeader) -> Result<(), Failure> {
    trial.attach().await?;
    let usual = trial.packet(&trial.network().same_node)?;
    let ported = usual.transport.ports().is_some();
    let transport = if ported {
        usual.transport.clone()
    } else {
        Transport::Other(Protocol(253))
    };
    let packet = Packet { ip, transport, ..usual };
    for datapath in lacking(trial, |can| can.handles_family(family)) {
        refuses_packet(trial, datapath, &packet).await?;
    }
    Ok(())
}

/// Refuses `packet` in every way that it could otherwise be asked for.
async fn refuses_packet(trial: &Trial, datapath: &Arc<dyn Datapath>, packet: &Packet) -> Result<(), Failure> {
    if datapath.capabilities().inject {
        refuses_to_inject(trial, datapath, packet).await?;
    }
    if datapath.capabilities().live {
        refuses_to_watch(trial, datapath, packet, false).await?;
    }
    Ok(())
}

async fn refuses_to_inject(trial: &Trial, datapath: &Arc<dyn Datapath>, packet: &Packet) -> Result<(), Failure> {
    let before = trial.leftovers().await?;
    let probe = trial.injected(trial.mark().await?, &trial.network().same_node, packet);
    ensure_unsupported("inject", &datapath.inject(&probe, packet).await)?;
    trial.ensure_left(&before, "after a refusal").await
}

async fn refuses_to_watch(
    trial: &Trial,
    datapath: &Arc<dyn Datapath>,
    packet: &Packet,
    dropped_only: bool,
) -> Result<(), Failure> {
    let before = trial.leftovers().await?;
    let probe = trial.live(trial.mark().await?, packet, dropped_only);
    ensure_unsupported("install", &datapath.install(&probe).await)?;
    trial.ensure_left(&before, "after a refusal").await
}

fn ensure_unsupported(call: &str, outcome: &Result<(), DatapathError>) -> Result<(), Failure> {
    let unsupported = matches!(outcome, Err(DatapathError::Unsupported(_)));
    ensure(
        unsupported,
        format!("{call} to be refused as unsupported"),
        format_args!("{outcome:?}"),
    )
}

fn lacking(trial: &Trial, claim: impl Fn(&Capabilities) -> bool) -> Vec<&Arc<dyn Datapath>> {
    let datapaths = trial.network().datapaths.iter();
    datapaths.filter(|datapath| !claim(datapath.capabilities())).collect()
}
