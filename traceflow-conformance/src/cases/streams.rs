//! The streams of reports: all of them get all, and losses are told.

use std::collections::BTreeSet;

use tokio::time::sleep;
use traceflow_core::datapath::{Report, Sighting};
use traceflow_core::packet::Nonce;

use crate::case::{Failure, ensure};
use crate::trial::{Trial, is_of, with_nonce, words};

pub(super) async fn every_stream_gets_every_report(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let (mut one, mut other) = (trial.watch(), trial.watch());
    let (probe, packet) = trial.inject_over(&trial.network().same_node).await?;
    let first = one.follow(&probe, &packet).await?;
    let second = other.follow(&probe, &packet).await?;
    let same = first.len() == second.len() && first.iter().all(|sighting| second.contains(sighting));
    ensure(
        same,
        format!("the other stream to say {}", words(&first)),
        words(&second),
    )
}

pub(super) async fn a_stream_starts_when_it_is_opened(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let mut early = trial.watch();
    let (probe, before) = trial.inject_over(&trial.network().same_node).await?;
    early.follow(&probe, &before).await?;
    let mut late = trial.watch();
    late.ensure_quiet("a new stream to be empty").await?;
    let after = with_nonce(&before, before.nonce.0 ^ 1);
    trial.inject(&probe, &after).await?;
    early.follow(&probe, &after).await?;
    late.follow(&probe, &after).await.map(drop)
}

pub(super) async fn a_report_comes_once(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let mut watch = trial.watch();
    let (probe, packet) = trial.inject_over(&trial.network().same_node).await?;
    let mut seen = watch.follow(&probe, &packet).await?;
    seen.retain(|sighting| is_of(sighting, &probe, &packet));
    let place = |sighting: &Sighting| (sighting.node.clone(), sighting.step);
    let places: BTreeSet<_> = seen.iter().map(place).collect();
    ensure(
        places.len() == seen.len(),
        "each step of a node to be reported once",
        words(&seen),
    )
}

pub(super) async fn a_dropped_stream_stops_nobody(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let (dropped, mut kept) = (trial.watch(), trial.watch());
    drop(dropped);
    let (probe, packet) = trial.inject_over(&trial.network().same_node).await?;
    kept.follow(&probe, &packet).await.map(drop)
}

/// More than any stream need hold.
const FLOOD: u64 = 5000;

pub(super) async fn an_unread_stream_says_what_it_lost(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let journey = &trial.network().same_node;
    let mut unread = trial.watch();
    let model = trial.packet(journey)?;
    let probe = trial.injected(trial.mark().await?, journey, &model);
    trial.ready(&probe).await?;
    for nonce in 1..=FLOOD {
        trial.inject(&probe, &with_nonce(&model, nonce)).await?;
    }
    sleep(trial.suite().quiet).await;
    let reports = unread.rest_of_reports().await;
    let seen = |report: &Report| match report {
        Report::Seen(sighting) => sighting.nonce,
        _ => None,
    };
    let nonces: BTreeSet<Nonce> = reports.iter().filter_map(seen).collect();
    let oldest: BTreeSet<Nonce> = (1..).map(Nonce).take(nonces.len()).collect();
    ensure(
        nonces == oldest,
        "the oldest reports to be kept",
        format_args!("{} others", nonces.difference(&oldest).count()),
    )?;
    let told = reports
        .iter()
        .any(|report| matches!(report, Report::Lost { count } if *count > 0));
    let lost = FLOOD - nonces.len() as u64;
    ensure(
        told == (lost > 0),
        format!("{lost} losses to be told"),
        if told { "losses told" } else { "none told" },
    )
}
