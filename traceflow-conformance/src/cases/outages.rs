//! Nodes that restart, and nodes that are gone.

use tokio::time::timeout;
use traceflow_core::Error;
use traceflow_core::datapath::DatapathError;
use traceflow_core::names::NodeName;
use traceflow_core::plan::Plan;
use traceflow_core::trace::{Cause, Trace, Verdict};

use super::asking::{answer, armed, close, ensure_verdict, every_kind, given, no_answer};
use crate::case::{Failure, ensure, succeeds};
use crate::trial::{Trial, Watch};

pub(super) async fn a_restart_is_reported(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let mut watch = trial.watch();
    trial.restart(trial.home()?.node()).await?;
    watch.until_restarted().await
}

pub(super) async fn a_restart_leaves_nothing(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    if let Some(probe) = trial.probes().await?.pop() {
        trial.install(&probe).await?;
    }
    for datapath in &trial.network().datapaths {
        trial.restart(datapath.node()).await?;
    }
    trial.ensure_left(&[], "after all nodes restarted").await
}

pub(super) async fn a_restarted_node_works_as_before(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let before = trial.leftovers().await?;
    let mut watch = trial.watch();
    trial.restart(trial.home()?.node()).await?;
    watch.until_restarted().await?;
    trial.attach().await?;
    trial.ensure_left(&before, "after a restart and attach").await?;
    let (probe, packet) = trial.inject_over(&trial.network().same_node).await?;
    watch.follow(&probe, &packet).await.map(drop)
}

pub(super) async fn traces_go_on_after_a_restart(trial: Trial) -> Result<(), Failure> {
    let (tracer, journey) = (trial.tracer(), &trial.network().same_node);
    for restarts in 0..3 {
        if restarts > 0 {
            trial.restart(trial.home()?.node()).await?;
        }
        let trace = tracer.trace(trial.injecting(journey)?).await;
        let trace = trace.map_err(|error| no_answer(&error))?;
        let expected = format!("delivered, after {restarts} restarts");
        ensure_verdict(&trace, &expected, is_delivery)?;
    }
    close(&trial, tracer).await
}

pub(super) async fn a_live_trace_is_armed_again_after_a_restart(trial: Trial) -> Result<(), Failure> {
    let journey = &trial.network().same_node;
    let (tracer, packet) = (trial.tracer(), trial.packet(journey)?);
    let mut tracing = tracer.trace(trial.following_packet(&packet, false)?);
    armed(&mut tracing).await?;
    trial.restart(trial.home()?.node()).await?;
    // Nobody says when it is armed again, so there is traffic until it is: at the latest when the trace's time is over.
    let answer = loop {
        trial.send(journey, &packet).await?;
        if let Ok(answer) = timeout(trial.suite().quiet, &mut tracing).await {
            break answer;
        }
    };
    ensure_verdict(&answer.map_err(|error| no_answer(&error))?, "delivered", is_delivery)?;
    close(&trial, tracer).await
}

pub(super) async fn reports_end_with_their_node(trial: Trial) -> Result<(), Failure> {
    let home = trial.home()?;
    succeeds("attach", home.attach().await)?;
    let before = Watch::of(&**home, trial.suite());
    trial.kill(home.node()).await?;
    before.until_over("the reports of a node that is gone to end").await?;
    let after = Watch::of(&**home, trial.suite());
    after
        .until_over("a stream opened after the node's end to be over")
        .await
}

pub(super) async fn a_node_that_is_gone_is_unavailable(trial: Trial) -> Result<(), Failure> {
    trial.attach().await?;
    let (home, probes) = (trial.home()?, trial.probes().await?);
    trial.kill(home.node()).await?;
    ensure_unavailable("attach", home.attach().await)?;
    for probe in &probes {
        ensure_unavailable("install", home.install(probe).await)?;
        ensure_unavailable("remove", home.remove(probe).await)?;
    }
    ensure_unavailable("leftovers", home.leftovers().await)?;
    ensure_unavailable("detach", home.detach().await)
}

pub(super) async fn a_trace_from_a_node_that_is_gone_says_so(trial: Trial) -> Result<(), Failure> {
    let home = trial.home()?.node().clone();
    trial.kill(&home).await?;
    for plan in every_kind(&trial)? {
        let tracer = trial.tracer();
        let outcome = tracer.trace(plan).await;
        let said = matches!(&outcome, Err(Error::Unavailable { node, .. }) if *node == home);
        ensure(
            said,
            format!("that node {home} is unavailable"),
            format_args!("{outcome:?}"),
        )?;
        close(&trial, tracer).await?;
    }
    Ok(())
}

pub(super) async fn a_trace_to_a_node_that_is_gone_says_so(trial: Trial) -> Result<(), Failure> {
    let journey = given(trial.network().cross_node.as_ref())?;
    let far = trial.end_of(journey)?;
    trial.kill(&far).await?;
    let trace = answer(&trial, trial.injecting(journey)?).await?;
    ensure_blamed(&trace, &far)
}

pub(super) async fn a_live_trace_does_not_outlast_its_node(trial: Trial) -> Result<(), Failure> {
    let (home, limit) = (trial.home()?.node().clone(), trial.suite().limit);
    let tracer = trial.tracer();
    let patient = Plan {
        timeout: limit,
        ..trial.following(&trial.network().same_node, false)?
    };
    let mut tracing = tracer.trace(patient);
    armed(&mut tracing).await?;
    trial.kill(&home).await?;
    let Ok(answer) = timeout(limit / 2, tracing).await else {
        let expected = format!("an answer long before the trace's time of {limit:?} is over");
        return Err(Failure::new(expected, "none"));
    };
    let trace = answer.map_err(|error| no_answer(&error))?;
    ensure_blamed(&trace, &home)?;
    // What stood on the node can't be taken away any more, and the tracer says so; the others are clean.
    let _ = tracer.close().await;
    trial.ensure_left(&[], "on the other nodes").await
}

fn ensure_blamed(trace: &Trace, gone: &NodeName) -> Result<(), Failure> {
    let blames = |cause: &Cause| matches!(cause, Cause::NodeFailed { node, .. } if node == gone);
    let expected = format!("to name the failure of node {gone} as a cause");
    ensure_verdict(trace, &expected, |verdict| match verdict {
        Verdict::Unanswered(silence) => silence.causes.iter().any(blames),
        _ => false,
    })
}

fn is_delivery(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Delivered { .. })
}

fn ensure_unavailable<T>(call: &str, outcome: Result<T, DatapathError>) -> Result<(), Failure> {
    let seen = match outcome {
        Err(DatapathError::Unavailable(_)) => return Ok(()),
        Err(other) => other.to_string(),
        Ok(_) => "success".to_owned(),
    };
    Err(Failure::new(
        format!("{call} on a node that is gone to be unavailable"),
        seen,
    ))
}
