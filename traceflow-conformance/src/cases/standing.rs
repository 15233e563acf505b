//! Attach and detach: what stands as long as tracing is on.

use std::collections::BTreeSet;

use crate::case::{Failure, ensure, succeeds};
use crate::trial::Trial;

pub(super) async fn every_datapath_has_a_node_of_its_own(trial: Trial) -> Result<(), Failure> {
    let mut seen = BTreeSet::new();
    for datapath in &trial.network().datapaths {
        let node = datapath.node();
        let known = trial.network().inventory.node(node).is_some();
        ensure(known, format!("the inventory to know node {node}"), "that it doesn't")?;
        ensure(seen.insert(node), "each node once", format_args!("{node} twice"))?;
    }
    trial.home().map(drop)
}

pub(super) async fn a_fresh_node_holds_nothing_of_ours(trial: Trial) -> Result<(), Failure> {
    trial.ensure_left(&[], "on a fresh network").await
}

pub(super) async fn attach_twice_is_attach_once(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let once = trial.leftovers().await?;
    trial.attach().await?;
    trial.ensure_left(&once, "after a second attach").await
}

pub(super) async fn detach_takes_away_what_attach_put(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    trial.detach().await?;
    trial.ensure_left(&[], "after detach").await
}

pub(super) async fn detach_twice_is_detach_once(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    trial.detach().await?;
    trial.detach().await?;
    trial.ensure_left(&[], "after a second detach").await
}

pub(super) async fn a_detached_node_can_be_attached_again(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let first = trial.leftovers().await?;
    trial.detach().await?;
    trial.attach().await?;
    trial.ensure_left(&first, "after attach, detach and attach").await?;
    if !trial.claims()?.inject {
        return Ok(());
    }
    let mut watch = trial.watch();
    let (probe, packet) = trial.inject_over(&trial.network().same_node).await?;
    watch.follow(&probe, &packet).await.map(drop)
}

pub(super) async fn capabilities_stay_as_they_are(trial: Trial) -> Result<(), Failure> {
    let before = trial.claims()?.clone();
    trial.attach().await?;
    for probe in trial.probes().await? {
        trial.install(&probe).await?;
        ensure(
            *trial.claims()? == before,
            format!("{before:?}"),
            format_args!("{:?}", trial.claims()?),
        )?;
        trial.remove(&probe).await?;
    }
    trial.detach().await?;
    ensure(
        *trial.claims()? == before,
        format!("{before:?}"),
        format_args!("{:?}", trial.claims()?),
    )
}

pub(super) async fn what_stands_does_not_grow(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let before = trial.leftovers().await?;
    let mut watch = trial.watch();
    for _ in 0..20 {
        let (probe, packet) = trial.inject_over(&trial.network().same_node).await?;
        watch.follow(&probe, &packet).await?;
        trial.remove(&probe).await?;
    }
    trial.ensure_left(&before, "after twenty traces").await
}

pub(super) async fn a_dead_tracers_orphans_are_swept(trial: Trial) -> Result<(), Failure> {
    let Some(open) = &trial.network().successor else {
        return Err(Failure::new("a successor", "none"));
    };
    trial.attach().await?;
    if let Some(probe) = trial.probes().await?.pop() {
        trial.install(&probe).await?;
    }
    if trial.claims()?.inject && trial.claims()?.marks > 1 {
        // Packets leave other things behind than probes do: connection tracking and affinity entries.
        let journey = &trial.network().same_node;
        let packet = trial.packet(journey)?;
        let probe = trial.injected(trial.mark().await?, journey, &packet);
        trial.inject(&probe, &packet).await?;
    }
    for dead in &trial.network().datapaths {
        let heir = open(dead.node());
        succeeds("attach", heir.attach().await)?;
        succeeds("detach", heir.detach().await)?;
        let left = succeeds("leftovers", heir.leftovers().await)?;
        ensure(
            left.is_empty(),
            "the heir's attach and detach to leave nothing",
            format_args!("{left:?}"),
        )?;
    }
    Ok(())
}
