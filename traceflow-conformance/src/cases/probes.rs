//! Install and remove: nothing of a probe outlives it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};
use traceflow_core::datapath::{Datapath, DatapathError, Probe};
use traceflow_core::receipt::{Change, Fate};

use crate::case::{Failure, ensure, succeeds};
use crate::trial::Trial;

pub(super) async fn a_probe_leaves_nothing(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let before = trial.leftovers().await?;
    for probe in trial.probes().await? {
        trial.install(&probe).await?;
        trial.remove(&probe).await?;
        trial.ensure_left(&before, "after install and remove").await?;
    }
    Ok(())
}

pub(super) async fn remove_works_for_what_was_never_installed(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let before = trial.leftovers().await?;
    for probe in trial.probes().await? {
        trial.remove(&probe).await?;
    }
    trial
        .ensure_left(&before, "after the removal of what was never there")
        .await
}

pub(super) async fn remove_twice_is_remove_once(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let before = trial.leftovers().await?;
    for probe in trial.probes().await? {
        trial.install(&probe).await?;
        trial.remove(&probe).await?;
        trial.remove(&probe).await?;
    }
    trial.ensure_left(&before, "after a second remove").await
}

pub(super) async fn install_twice_leaves_nothing(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let before = trial.leftovers().await?;
    for probe in trial.probes().await? {
        trial.install(&probe).await?;
        trial.install(&probe).await?;
        trial.remove(&probe).await?;
    }
    trial.ensure_left(&before, "after two installs and one remove").await
}

pub(super) async fn an_interrupted_install_leaves_nothing(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let before = trial.leftovers().await?;
    for polls in 0..POLLS {
        for probe in trial.probes().await? {
            for datapath in &trial.network().datapaths {
                interrupt(datapath.install(&probe), polls).await;
            }
            trial.remove(&probe).await?;
            trial
                .ensure_left(
                    &before,
                    &format!("after an install dropped at poll {polls}, and remove"),
                )
                .await?;
        }
    }
    Ok(())
}

pub(super) async fn an_interrupted_inject_leaves_nothing(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let before = trial.leftovers().await?;
    let journey = &trial.network().same_node;
    for polls in 0..POLLS {
        let packet = trial.packet(journey)?;
        let probe = trial.injected(trial.mark().await?, journey, &packet);
        trial.ready(&probe).await?;
        interrupt(trial.home()?.inject(&probe, &packet), polls).await;
        trial.remove(&probe).await?;
        trial
            .ensure_left(&before, &format!("after an inject dropped at poll {polls}, and remove"))
            .await?;
    }
    Ok(())
}

pub(super) async fn an_interrupted_remove_is_finished_by_the_next(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let before = trial.leftovers().await?;
    for polls in 0..POLLS {
        for probe in trial.probes().await? {
            trial.install(&probe).await?;
            for datapath in &trial.network().datapaths {
                interrupt(datapath.remove(&probe), polls).await;
            }
            trial.remove(&probe).await?;
            trial
                .ensure_left(&before, &format!("after a remove dropped at poll {polls}, and another"))
                .await?;
        }
    }
    Ok(())
}

pub(super) async fn a_forgotten_probe_goes_by_itself(trial: Trial) -> Result<(), Failure> {
    let lifetime = Duration::from_secs(2);
    trial.attach().await?;
    let before = trial.leftovers().await?;
    for model in trial.probes().await? {
        let probe = trial.probe(model.mark, model.kind, lifetime);
        trial.install(&probe).await?;
        let gone = timeout(lifetime + trial.suite().patience, async {
            sleep(lifetime).await;
            while trial.leftovers().await? != before {
                sleep(trial.suite().quiet).await;
            }
            Ok(())
        });
        match gone.await {
            Ok(result) => result?,
            Err(_) => {
                trial
                    .ensure_left(&before, &format!("after the probe's lifetime of {lifetime:?}"))
                    .await?
            }
        }
    }
    Ok(())
}

pub(super) async fn what_a_probe_changed_is_told(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    for probe in trial.probes().await? {
        for datapath in &trial.network().datapaths {
            let before = lines(datapath).await?;
            succeeds("install", datapath.install(&probe).await)?;
            let put = lines(datapath).await? != before;
            let told = succeeds("remove", datapath.remove(&probe).await)?.changes;
            ensure_told(put, &told)?;
            let again = succeeds("a second remove", datapath.remove(&probe).await)?.changes;
            ensure(
                again.is_empty(),
                "a second remove to tell of no changes",
                told_of(&again),
            )?;
        }
    }
    Ok(())
}

pub(super) async fn what_a_dropped_remove_did_not_tell_the_next_tells(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    for polls in 0..POLLS {
        for probe in trial.probes().await? {
            for datapath in &trial.network().datapaths {
                let before = lines(datapath).await?;
                succeeds("install", datapath.install(&probe).await)?;
                let put = lines(datapath).await? != before;
                let first = interrupt(datapath.remove(&probe), polls).await;
                let mut told = first.map_or_else(Vec::new, |removed| removed.changes);
                told.extend(succeeds("the next remove", datapath.remove(&probe).await)?.changes);
                ensure_told(put, &told)?;
            }
        }
    }
    Ok(())
}

fn ensure_told(put: bool, told: &[Change]) -> Result<(), Failure> {
    let expected = match put {
        true => "remove to tell of the changes that install made",
        false => "remove to tell of no changes, as install made none",
    };
    ensure(told.is_empty() != put, expected, told_of(told))?;
    let undone = told.iter().all(|change| change.fate == Fate::Undone);
    ensure(
        undone,
        "everything that install put in place to be undone",
        told_of(told),
    )
}

fn told_of(changes: &[Change]) -> String {
    let changes = changes.iter().map(|Change { what, fate }| format!("{what}, {fate}"));
    match changes.collect::<Vec<_>>() {
        none if none.is_empty() => "none told of".to_owned(),
        some => some.join("; "),
    }
}

async fn lines(datapath: &Arc<dyn Datapath>) -> Result<Vec<String>, Failure> {
    succeeds("leftovers", datapath.leftovers().await)
}

pub(super) async fn many_probes_come_and_go_at_once(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let before = trial.leftovers().await?;
    let mut probes = Vec::new();
    for _ in 0..trial.claims()?.marks.min(16) / 2 {
        probes.extend(trial.probes().await?);
    }
    let outcomes = join_all(probes.iter().map(|probe| come_and_go(&trial, probe))).await;
    outcomes.into_iter().collect::<Result<(), Failure>>()?;
    trial
        .ensure_left(&before, &format!("after {} probes at once", probes.len()))
        .await
}

async fn come_and_go(trial: &Trial, probe: &Probe) -> Result<(), Failure> {
    trial.install(probe).await?;
    yield_now().await;
    trial.remove(probe).await.map(drop)
}

/// At how many points a call is dropped: before it did anything, and after each of its first steps.
const POLLS: u32 = 4;

/// Polls `call` so many times, then drops it. What it said, if it was over by then and went well.
async fn interrupt<T>(call: impl Future<Output = Result<T, DatapathError>>, polls: u32) -> Option<T> {
    let mut call = Box::pin(call);
    for _ in 0..polls {
        if let Some(over) = call.as_mut().now_or_never() {
            return over.ok();
        }
        yield_now().await;
    }
    None
}
