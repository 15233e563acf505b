//! Whole traces where the path matters: which nodes are touched for it, and whose packet is on it.

use std::collections::BTreeSet;

use traceflow_core::names::NodeName;
use traceflow_core::observation::DropReason;
use traceflow_core::plan::Plan;
use traceflow_core::trace::Verdict;
use traceflow_core::tracer::Tracer;

use super::asking::{answer, armed, close, ensure_verdict, given, no_answer, words};
use crate::case::{Failure, Stop, ensure, succeeds};
use crate::trial::{Trial, with_ttl};

pub(super) async fn a_live_trace_touches_its_path_only(trial: Trial) -> Result<(), Stop> {
    let plan = trial.following(&trial.network().same_node, false)?;
    let (tracer, path) = narrowed(&trial, &plan)?;
    let off_path = off_path(&trial, &path);
    let mut tracing = tracer.trace(plan);
    let watching: BTreeSet<_> = armed(&mut tracing).await?.into_iter().collect();
    ensure(
        watching == path,
        format!("the nodes {path:?} to watch"),
        format_args!("{watching:?}"),
    )?;
    ensure_untouched(&trial, &off_path).await?;
    let trace = tracing.await.map_err(|error| no_answer(&error))?;
    ensure_untouched(&trial, &off_path).await?;
    let expected = format!("to name {off_path:?} as not watched");
    ensure_verdict(&trace, &expected, |verdict| match verdict {
        Verdict::Unanswered(silence) => off_path.iter().all(|node| silence.not_watched.contains(node)),
        _ => false,
    })?;
    Ok(close(&trial, tracer).await?)
}

pub(super) async fn an_injected_trace_touches_its_path_only(trial: Trial) -> Result<(), Stop> {
    let plan = trial.injecting(&trial.network().same_node)?;
    let (tracer, path) = narrowed(&trial, &plan)?;
    let trace = tracer.trace(plan).await.map_err(|error| no_answer(&error))?;
    ensure_untouched(&trial, &off_path(&trial, &path)).await?;
    ensure_verdict(&trace, "delivered", |verdict| {
        matches!(verdict, Verdict::Delivered { .. })
    })?;
    Ok(close(&trial, tracer).await?)
}

pub(super) async fn a_packet_is_told_from_others_on_both_nodes(trial: Trial) -> Result<(), Stop> {
    let (near, far) = (&trial.network().same_node, given(trial.network().cross_node.as_ref())?);
    let first = trial.packet(far)?;
    let tracer = trial.tracer();
    let mut tracing = tracer.trace(trial.following_sender(&first)?);
    armed(&mut tracing).await?;
    trial.send(far, &first).await?;
    for journey in [near, far, near, far] {
        trial.send(journey, &trial.packet(journey)?).await?;
    }
    let trace = tracing.await.map_err(|error| no_answer(&error))?;
    close(&trial, tracer).await?;
    let Some(captured) = &trace.captured else {
        return Err(Stop::Skipped("it captures no packets".to_owned()));
    };
    let (from, to) = (first.ip.source(), first.ip.destination());
    ensure(
        (captured.source, captured.destination) == (from, to),
        format!("the first packet, from {from} to {to}"),
        format_args!("{captured:?}"),
    )?;
    let two = matches!(&trace.hops[..], [one, other] if one.node != other.node && !other.after_gap);
    let delivered = matches!(trace.verdict, Verdict::Delivered { .. });
    Ok(ensure(
        two && delivered,
        "the first packet's whole path, over two nodes",
        words(&trace),
    )?)
}

pub(super) async fn an_expired_ttl_is_answered(trial: Trial) -> Result<(), Failure> {
    let journey = given(trial.network().routed.as_ref())?;
    let packet = with_ttl(&trial.packet(journey)?, 1);
    let trace = answer(&trial, trial.injecting_packet(journey, packet)?).await?;
    ensure_verdict(&trace, "dropped, as the TTL expired", |verdict| match verdict {
        Verdict::Dropped { reason, .. } | Verdict::Rejected { reason, .. } => *reason == Some(DropReason::TtlExpired),
        _ => false,
    })
}

/// A tracer that watches the predicted path only, and the nodes of that.
fn narrowed(trial: &Trial, plan: &Plan) -> Result<(Tracer, BTreeSet<NodeName>), Stop> {
    let Some(predictor) = trial.network().predictor.clone() else {
        return Err(Stop::Skipped("there is no predictor".to_owned()));
    };
    let predicted = predictor.predict(plan).map_err(|why| Stop::Skipped(why.to_string()))?;
    let path = predicted.hops.into_iter().map(|hop| hop.node).collect();
    Ok((trial.predicting_tracer(predictor), path))
}

fn off_path(trial: &Trial, path: &BTreeSet<NodeName>) -> BTreeSet<NodeName> {
    let all = trial.network().datapaths.iter().map(|datapath| datapath.node());
    all.filter(|node| !path.contains(*node)).cloned().collect()
}

async fn ensure_untouched(trial: &Trial, nodes: &BTreeSet<NodeName>) -> Result<(), Failure> {
    for datapath in &trial.network().datapaths {
        if nodes.contains(datapath.node()) {
            let left = succeeds("leftovers", datapath.leftovers().await)?;
            let expected = format!("nothing on node {}, where the packet doesn't pass", datapath.node());
            ensure(left.is_empty(), expected, format_args!("{left:?}"))?;
        }
    }
    Ok(())
}
