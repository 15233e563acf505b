//! Marks: what is reported under one never comes under another.

use futures_util::future::join_all;
use tokio::time::sleep;
use traceflow_core::datapath::{DatapathError, Mark, Probe, Sighting};
use traceflow_core::packet::Packet;

use crate::case::{FEW_MARKS, Failure, ensure};
use crate::trial::{Trial, ends_path, words};

pub(super) async fn two_marks_do_not_mix(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let mut watch = trial.watch();
    let pairs = inject_under_marks(&trial, 2).await?;
    let seen = watch.until("both packets to be reported", all_ended(&pairs)).await?;
    ensure_unmixed(&seen, &pairs)
}

pub(super) async fn removing_one_probe_leaves_the_other(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let pairs = inject_under_marks(&trial, 2).await?;
    let [(removed, _), (kept, packet)] = &pairs[..] else {
        return Err(Failure::new("two probes", pairs.len().to_string()));
    };
    let mut watch = trial.watch();
    watch.rest().await;
    trial.remove(removed).await?;
    let again = trial.packet(&trial.network().same_node)?;
    let again = Packet {
        nonce: again.nonce,
        ..packet.clone()
    };
    trial.inject(kept, &again).await?;
    watch.follow(kept, &again).await.map(drop)
}

pub(super) async fn all_claimed_marks_work_at_once(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let count = trial.claims()?.marks.min(FEW_MARKS);
    ensure(count > 0, "a claim to at least one mark", "none")?;
    let mut watch = trial.watch();
    let pairs = inject_under_marks(&trial, count).await?;
    let seen = watch
        .until("a packet under each mark to be reported", all_ended(&pairs))
        .await?;
    ensure_unmixed(&seen, &pairs)
}

pub(super) async fn one_mark_more_is_refused(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let journey = &trial.network().same_node;
    let count = trial.claims()?.marks;
    for mark in 1..=count {
        let probe = trial.live(Mark(mark), &trial.packet(journey)?, false);
        trial.install(&probe).await?;
    }
    let one_more = trial.live(Mark(count + 1), &trial.packet(journey)?, false);
    let refused = trial.home()?.install(&one_more).await;
    let expected = format!("mark {} of {count} to be refused", count + 1);
    let no = matches!(refused, Err(DatapathError::Refused(_) | DatapathError::Unsupported(_)));
    ensure(no, expected, format_args!("{refused:?}"))
}

pub(super) async fn a_mark_is_forgotten_in_time(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let journey = &trial.network().same_node;
    let mut watch = trial.watch();
    let (old, packet) = trial.inject_over(journey).await?;
    watch.follow(&old, &packet).await?;
    trial.remove(&old).await?;
    sleep(trial.claims()?.mark_memory).await;
    watch.rest().await;
    let packet = trial.packet(journey)?;
    let new = trial.injected(old.mark, journey, &packet);
    trial.ready(&new).await?;
    watch
        .ensure_quiet("nothing old under a mark that is used again")
        .await?;
    trial.inject(&new, &packet).await?;
    let seen = watch.follow(&new, &packet).await?;
    ensure_unmixed(&seen, &[(new, packet)])
}

/// Injects a packet under each of so many marks at once.
async fn inject_under_marks(trial: &Trial, count: u32) -> Result<Vec<(Probe, Packet)>, Failure> {
    let journey = &trial.network().same_node;
    let mut pairs = Vec::new();
    for _ in 0..count {
        let packet = trial.packet(journey)?;
        let probe = trial.injected(trial.mark().await?, journey, &packet);
        trial.ready(&probe).await?;
        pairs.push((probe, packet));
    }
    let injected = join_all(pairs.iter().map(|(probe, packet)| trial.inject(probe, packet))).await;
    injected.into_iter().collect::<Result<(), Failure>>()?;
    Ok(pairs)
}

fn all_ended(pairs: &[(Probe, Packet)]) -> impl Fn(&[Sighting]) -> bool {
    |seen| {
        let ended = |mark| seen.iter().any(|sighting| sighting.mark == mark && ends_path(sighting));
        pairs.iter().all(|(probe, _)| ended(probe.mark))
    }
}

/// Fails if a sighting has the mark of one packet and the nonce of another, or a mark of nobody's.
fn ensure_unmixed(seen: &[Sighting], pairs: &[(Probe, Packet)]) -> Result<(), Failure> {
    let fits = |sighting: &Sighting| {
        let owner = pairs.iter().find(|(probe, _)| probe.mark == sighting.mark);
        owner.is_some_and(|(_, packet)| sighting.nonce.is_none_or(|nonce| nonce == packet.nonce))
    };
    ensure(seen.iter().all(fits), "each nonce under its own mark", words(seen))
}
