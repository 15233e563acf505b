//! Whole traces, through the [`Tracer`](traceflow_core::tracer::Tracer): each gets its answer and leaves nothing.

use std::sync::Arc;

use futures_util::future::join_all;
use traceflow_core::Error;
use traceflow_core::plan::Plan;
use traceflow_core::session::Progress;
use traceflow_core::trace::{Cause, Mode, Verdict};

use super::asking::{answer, armed, close, ensure_verdict, every_kind, follow_real, given, no_answer, outline, words};
use crate::case::{Failure, Stop, ensure};
use crate::trial::Trial;

pub(super) async fn a_delivered_packet_is_answered(trial: Trial) -> Result<(), Failure> {
    let trace = answer(&trial, trial.injecting(&trial.network().same_node)?).await?;
    let node = trial.home()?.node().clone();
    ensure_verdict(&trace, &format!("delivered on {node}"), |verdict| {
        *verdict == Verdict::Delivered { node }
    })?;
    ensure(
        trace.mode == Mode::Injected,
        "an injected packet's trace",
        format_args!("{:?}", trace.mode),
    )
}

pub(super) async fn a_packet_is_followed_over_two_nodes(trial: Trial) -> Result<(), Failure> {
    let journey = given(trial.network().cross_node.as_ref())?;
    let trace = answer(&trial, trial.injecting(journey)?).await?;
    ensure_verdict(&trace, "delivered", |verdict| {
        matches!(verdict, Verdict::Delivered { .. })
    })?;
    let (first, gaps) = (
        trial.start_of(journey)?.node(),
        trace.hops.iter().any(|hop| hop.after_gap),
    );
    let two = matches!(&trace.hops[..], [one, other] if one.node == *first && other.node != *first);
    ensure(
        two && !gaps,
        format!("{first} and another node, without a gap"),
        words(&trace),
    )
}

pub(super) async fn a_drop_is_answered_with_its_reason(trial: Trial) -> Result<(), Failure> {
    let trace = answer(&trial, trial.injecting(given(trial.network().dropped.as_ref())?)?).await?;
    ensure_verdict(&trace, "dropped or rejected", is_drop)?;
    let end = trace.hops.last().and_then(|hop| hop.observations.last());
    let explained = end.is_some_and(|end| end.reason.is_some() || end.network_policy.is_some());
    ensure(explained, "a reason or a policy", words(&trace))
}

pub(super) async fn a_packet_that_leaves_is_answered(trial: Trial) -> Result<(), Failure> {
    let trace = answer(&trial, trial.injecting(given(trial.network().outside.as_ref())?)?).await?;
    ensure_verdict(&trace, "sent out of the network", |verdict| {
        matches!(verdict, Verdict::LeftNetwork { .. })
    })
}

pub(super) async fn a_hundred_at_once_are_each_answered(trial: Trial) -> Result<(), Failure> {
    let tracer = trial.tracer();
    let mut plans = Vec::new();
    for _ in 0..100 {
        plans.push(Arc::new(trial.injecting(&trial.network().same_node)?));
    }
    let answers = join_all(plans.iter().map(|plan| tracer.trace(plan.clone()))).await;
    for (plan, answer) in plans.iter().zip(answers) {
        let trace = answer.map_err(|error| no_answer(&error))?;
        ensure_verdict(&trace, "delivered", |verdict| {
            matches!(verdict, Verdict::Delivered { .. })
        })?;
        ensure(trace.plan == *plan, "the answer to one's own question", "another's")?;
    }
    close(&trial, tracer).await
}

pub(super) async fn a_cancelled_trace_leaves_nothing(trial: Trial) -> Result<(), Failure> {
    for news in 0..4 {
        for plan in every_kind(&trial)? {
            let tracer = trial.tracer();
            let mut tracing = tracer.trace(plan);
            for _ in 0..news {
                // A live trace has no more news than that it is armed.
                let _ = tokio::time::timeout(trial.suite().quiet, tracing.progress()).await;
            }
            drop(tracing);
            close(&trial, tracer).await?;
        }
    }
    Ok(())
}

pub(super) async fn marks_come_home(trial: Trial) -> Result<(), Failure> {
    let (tracer, marks) = (trial.tracer(), trial.claims()?.marks);
    for _ in 0..=marks {
        let mut tracing = tracer.trace(trial.following(&trial.network().same_node, false)?);
        armed(&mut tracing).await?;
    }
    close(&trial, tracer).await
}

pub(super) async fn who_finds_no_mark_waits_for_its_turn(trial: Trial) -> Result<(), Failure> {
    let (tracer, marks) = (trial.tracer(), trial.claims()?.marks);
    let mut running = Vec::new();
    for _ in 0..marks {
        let mut tracing = tracer.trace(trial.following(&trial.network().same_node, false)?);
        armed(&mut tracing).await?;
        running.push(tracing);
    }
    let mut waiting = Vec::new();
    for position in 1..=2 {
        let mut tracing = tracer.trace(trial.following(&trial.network().same_node, false)?);
        let news = tracing.progress().await;
        let queued = Some(Progress::Queued { position });
        ensure(
            news == queued,
            format!("place {position} in the queue"),
            format_args!("{news:?}"),
        )?;
        waiting.push(tracing);
    }
    running.pop();
    armed(&mut waiting[0]).await?;
    drop((running, waiting));
    close(&trial, tracer).await
}

pub(super) async fn prediction_and_observation_agree(trial: Trial) -> Result<(), Stop> {
    let network = trial.network().clone();
    let Some(predictor) = &network.predictor else {
        return Err(Stop::Skipped("there is no predictor".to_owned()));
    };
    let journeys = [
        Some(&network.same_node),
        network.cross_node.as_ref(),
        network.dropped.as_ref(),
        network.outside.as_ref(),
    ];
    for journey in journeys.into_iter().flatten() {
        let plan = trial.injecting(journey)?;
        let predicted = match predictor.predict(&plan) {
            Ok(predicted) => predicted,
            Err(why) => return Err(Stop::Skipped(why.to_string())),
        };
        let trace = answer(&trial, plan).await?;
        let expected = format!("{}, by {:?}", predicted.verdict, outline(&predicted.hops));
        let same = trace.verdict == predicted.verdict && outline(&trace.hops) == outline(&predicted.hops);
        ensure(same, expected, words(&trace))?;
    }
    Ok(())
}

pub(super) async fn real_traffic_is_answered(trial: Trial) -> Result<(), Failure> {
    let trace = follow_real(&trial, &trial.network().same_node, false).await?;
    ensure_verdict(&trace, "delivered", |verdict| {
        matches!(verdict, Verdict::Delivered { .. })
    })?;
    ensure(
        trace.mode == Mode::Live,
        "a live trace",
        format_args!("{:?}", trace.mode),
    )
}

pub(super) async fn a_real_drop_is_answered(trial: Trial) -> Result<(), Failure> {
    let trace = follow_real(&trial, given(trial.network().dropped.as_ref())?, true).await?;
    ensure_verdict(&trace, "dropped or rejected", is_drop)
}

pub(super) async fn packets_that_pass_are_told_when_none_is_dropped(trial: Trial) -> Result<(), Failure> {
    let trace = follow_real(&trial, &trial.network().same_node, true).await?;
    let passed = Verdict::NoneDropped { passed: 1 };
    ensure_verdict(&trace, &passed.to_string(), |verdict| *verdict == passed)
}

pub(super) async fn silence_is_answered_with_its_cause(trial: Trial) -> Result<(), Failure> {
    let trace = answer(&trial, trial.following(&trial.network().same_node, false)?).await?;
    ensure_verdict(&trace, "that no traffic matched", |verdict| match verdict {
        Verdict::Unanswered(silence) => silence.causes.contains(&Cause::NoMatchingTraffic),
        _ => false,
    })
}

pub(super) async fn injecting_is_refused_untouched(trial: Trial) -> Result<(), Failure> {
    refused_untouched(&trial, trial.injecting(&trial.network().same_node)?).await
}

pub(super) async fn following_is_refused_untouched(trial: Trial) -> Result<(), Failure> {
    refused_untouched(&trial, trial.following(&trial.network().same_node, false)?).await
}

async fn refused_untouched(trial: &Trial, plan: Plan) -> Result<(), Failure> {
    let tracer = trial.tracer();
    let refused = tracer.trace(plan).await;
    let unsupported = matches!(refused, Err(Error::Unsupported { .. }));
    ensure(
        unsupported,
        "the trace to be refused as unsupported",
        format_args!("{refused:?}"),
    )?;
    trial.ensure_left(&[], "after a trace was refused").await?;
    close(trial, tracer).await
}

fn is_drop(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Dropped { .. } | Verdict::Rejected { .. })
}
