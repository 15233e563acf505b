//! Asking a [`Tracer`] and judging its answer; shared by the groups that try whole traces.

use traceflow_core::Error;
use traceflow_core::names::NodeName;
use traceflow_core::observation::{Action, Component};
use traceflow_core::plan::Plan;
use traceflow_core::session::Progress;
use traceflow_core::trace::{Hop, Trace, Verdict};
use traceflow_core::tracer::{Tracer, Tracing};

use crate::case::{Failure, ensure};
use crate::network::Journey;
use crate::trial::Trial;

/// The answer to `plan`, of a tracer of its own.
pub(super) async fn answer(trial: &Trial, plan: Plan) -> Result<Trace, Failure> {
    let tracer = trial.tracer();
    let trace = tracer.trace(plan).await.map_err(|error| no_answer(&error))?;
    close(trial, tracer).await?;
    Ok(trace)
}

/// Arms a live trace, has one matching packet sent, and waits for the answer.
pub(super) async fn follow_real(trial: &Trial, journey: &Journey, dropped_only: bool) -> Result<Trace, Failure> {
    let (tracer, packet) = (trial.tracer(), trial.packet(journey)?);
    let mut tracing = tracer.trace(trial.following_packet(&packet, dropped_only)?);
    armed(&mut tracing).await?;
    trial.send(journey, &packet).await?;
    let trace = tracing.await.map_err(|error| no_answer(&error))?;
    close(trial, tracer).await?;
    Ok(trace)
}

/// Waits until the trace is armed; says on which nodes.
pub(super) async fn armed(tracing: &mut Tracing) -> Result<Vec<NodeName>, Failure> {
    let mut news = Vec::new();
    while let Some(progress) = tracing.progress().await {
        if let Progress::Armed { nodes } = progress {
            return Ok(nodes);
        }
        news.push(progress);
    }
    Err(Failure::new("the trace to be armed", format!("{news:?} and its end")))
}

/// Closes the tracer, which must leave nothing on any node.
pub(super) async fn close(trial: &Trial, tracer: Tracer) -> Result<(), Failure> {
    let closed = tracer.close().await;
    closed.map_err(|error| Failure::new("the tracer to close", error.to_string()))?;
    trial.ensure_left(&[], "after the tracer was closed").await?;
    // The next tracer can't know which marks this one's datapaths still remember.
    tokio::time::sleep(trial.claims()?.mark_memory).await;
    Ok(())
}

pub(super) fn ensure_verdict(
    trace: &Trace,
    expected: &str,
    holds: impl FnOnce(&Verdict) -> bool,
) -> Result<(), Failure> {
    ensure(holds(&trace.verdict), format!("the answer {expected}"), words(trace))
}

pub(super) fn no_answer(error: &Error) -> Failure {
    Failure::new("an answer", error.to_string())
}

/// What tells two paths apart, without times and details that only an observer knows.
pub(super) fn outline(hops: &[Hop]) -> Vec<(&str, Vec<Step<'_>>)> {
    hops.iter().map(|hop| (hop.node.as_str(), steps(hop))).collect()
}

/// Where something was done, and what.
pub(super) type Step<'a> = (&'a Component, &'a Action);

fn steps(hop: &Hop) -> Vec<Step<'_>> {
    let steps = hop.observations.iter().map(|seen| (&seen.component, &seen.action));
    steps.collect()
}

pub(super) fn words(trace: &Trace) -> String {
    format!("{}, by {:?}", trace.verdict, outline(&trace.hops))
}

pub(super) fn given(journey: Option<&Journey>) -> Result<&Journey, Failure> {
    journey.ok_or_else(|| Failure::new("a way for this case", "none"))
}

/// A plan of each kind that is claimed.
pub(super) fn every_kind(trial: &Trial) -> Result<Vec<Plan>, Failure> {
    let (can, journey) = (trial.claims()?, &trial.network().same_node);
    let injecting = can.inject.then(|| trial.injecting(journey));
    let following = can.live.then(|| trial.following(journey, false));
    injecting.into_iter().chain(following).collect()
}
