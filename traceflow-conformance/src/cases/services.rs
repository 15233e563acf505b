//! Calls of a Service: which endpoint was chosen is told, each time.

use futures_util::future::join_all;
use traceflow_core::inventory::PodEntry;
use traceflow_core::observation::{Component, Observation};
use traceflow_core::trace::{Trace, Verdict};

use super::asking::{answer, close, ensure_verdict, follow_real, no_answer};
use super::injected::inject_and_follow;
use crate::case::{Failure, ensure};
use crate::network::ServiceCall;
use crate::trial::{Trial, ends_path, observations};

pub(super) async fn the_endpoint_is_told(trial: Trial) -> Result<(), Failure> {
    let call = given(&trial)?;
    // More than one connection, as each may get another endpoint.
    for _ in 0..8 {
        let seen = inject_and_follow(&trial, &call.journey()).await?;
        let endpoint = endpoint(&trial, &call, &observations(&seen))?;
        let last = seen.iter().find(|sighting| ends_path(sighting));
        let arrived = last.is_some_and(|last| Some(&last.node) == endpoint.node.as_ref());
        ensure(
            arrived,
            format!("the packet to arrive at {}", endpoint.name),
            format_args!("{last:?}"),
        )?;
    }
    Ok(())
}

pub(super) async fn a_call_is_answered(trial: Trial) -> Result<(), Failure> {
    let call = given(&trial)?;
    let trace = answer(&trial, trial.injecting(&call.journey())?).await?;
    ensure_call(&trial, &call, &trace)
}

pub(super) async fn one_connection_is_traced_again_and_again(trial: Trial) -> Result<(), Failure> {
    let call = given(&trial)?;
    let (tracer, plan) = (trial.tracer(), trial.injecting(&call.journey())?);
    for _ in 0..3 {
        let trace = tracer.trace(plan.clone()).await;
        ensure_call(&trial, &call, &trace.map_err(|error| no_answer(&error))?)?;
    }
    for trace in join_all((0..3).map(|_| tracer.trace(plan.clone()))).await {
        ensure_call(&trial, &call, &trace.map_err(|error| no_answer(&error))?)?;
    }
    close(&trial, tracer).await
}

pub(super) async fn a_real_call_is_answered(trial: Trial) -> Result<(), Failure> {
    let call = given(&trial)?;
    let trace = follow_real(&trial, &call.journey(), false).await?;
    ensure_call(&trial, &call, &trace)
}

fn given(trial: &Trial) -> Result<ServiceCall, Failure> {
    let call = trial.network().service.clone();
    call.ok_or_else(|| Failure::new("a Service", "none"))
}

/// Fails unless the answer names the endpoint, and says that the packet was delivered there.
fn ensure_call(trial: &Trial, call: &ServiceCall, trace: &Trace) -> Result<(), Failure> {
    let all: Vec<_> = trace.hops.iter().flat_map(|hop| hop.observations.clone()).collect();
    let endpoint = endpoint(trial, call, &all)?;
    let expected = format!("delivered to {}", endpoint.name);
    ensure_verdict(trace, &expected, |verdict| match verdict {
        Verdict::Delivered { node } => Some(node) == endpoint.node.as_ref(),
        _ => false,
    })
}

/// The endpoint that the load balancer chose: the one observation of it says which.
fn endpoint(trial: &Trial, call: &ServiceCall, seen: &[Observation]) -> Result<PodEntry, Failure> {
    let choices: Vec<_> = seen.iter().filter(|seen| seen.component == Component::Lb).collect();
    let of_one = |pod: &PodEntry| match choices[..] {
        [choice] => match (&choice.pod, choice.translated_dst_ip) {
            (Some(name), _) => *name == pod.name,
            (None, Some(address)) => pod.addresses.contains(&address),
            (None, None) => false,
        },
        _ => false,
    };
    let mut endpoints = call
        .endpoints
        .iter()
        .filter_map(|name| trial.network().inventory.pod(name));
    endpoints.find(of_one).ok_or_else(|| {
        let expected = format!("one observation of the load balancer, with one of {:?}", call.endpoints);
        Failure::new(expected, format!("{choices:?}"))
    })
}
