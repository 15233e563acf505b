//! Very many traces at a time: live ones, hundreds of them armed, each of which catches its packet and no other; injected ones, all
//! of which are answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use testbed::fabric::Form;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use traceflow_core::packet::{Packet, Transport};
use traceflow_core::plan::{Plan, Question};
use traceflow_core::session::Progress;
use traceflow_core::spec::CommandLine;
use traceflow_core::trace::{Predictor, Trace, Verdict};
use traceflow_core::tracer::Tracer;

use crate::support::{World, lines, number, path};
use crate::traffic::Traffic;

/// How many; `TRACEFLOW_CROWD` says otherwise.
const TRACES: usize = 300;

/// How many at a time.
const ARMED: usize = 200;

/// How many of them are sent packets at a time: each has at most six reports of one node on their way then, and of those
/// answered just before at most four more; a switch queues 100 for a connection and drops what comes then.
const MET: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn each_of_very_many_live_traces_catches_exactly_its_packet() {
    let count = number("TRACEFLOW_CROWD", TRACES);
    let world = Arc::new(World::of(crate::strangers::cluster(), Form::Rootless));
    let tracer = world.tracer();
    let traffic = Arc::new(Traffic::new(&world, "client", &["server", "remote"]));
    let met = Semaphore::new(MET);
    let over = Arc::new(AtomicBool::new(false));
    let noise = spawn_blocking({
        let (world, traffic, over) = (world.clone(), traffic.clone(), over.clone());
        move || make_noise(&world, &traffic, &over)
    });
    let began = Instant::now();
    let caught = stream::iter(0..count)
        .map(|number| catch(&world, &tracer, &traffic, &met, number))
        .buffer_unordered(ARMED);
    let wrong: Vec<String> = caught.filter_map(|result| async { result.err() }).collect().await;
    let took = began.elapsed();
    over.store(true, Ordering::SeqCst);
    noise.await.unwrap();
    let traffic = Arc::into_inner(traffic).unwrap();
    let packets = spawn_blocking(|| traffic.end()).await.unwrap();
    println!(
        "{count} live traces in {took:?}, up to {ARMED} armed at a time, {packets} packets, {} wrong",
        wrong.len()
    );
    assert_eq!(wrong, [""; 0]);
    tracer.close().await.unwrap();
    assert_eq!(world.leftovers().await, Vec::<String>::new());
}

/// More than a switch would answer within the time that a node has for one: most of them wait for a place.
#[tokio::test]
async fn thousands_of_injected_traces_at_once_are_all_answered() {
    let count = number("TRACEFLOW_AT_ONCE", AT_ONCE);
    let world = World::of(crate::strangers::cluster(), Form::Rootless);
    let tracer = world.tracer();
    let ask = |number: usize| {
        let to = ["server", "remote"][number % 2];
        tracer.trace(world.plan("client", to, &format!("tcp,tcp_src={},tcp_dst=80", 10_000 + number)))
    };
    let running: Vec<_> = (0..count).map(ask).collect();
    let began = Instant::now();
    let traces = join_all(running).await;
    println!("{count} injected traces at once in {:?}", began.elapsed());
    let lost = |trace: &Trace| trace.notes.iter().any(|note| note.contains("lost"));
    let wrong = traces.into_iter().filter_map(|trace| match trace {
        Ok(trace) if !lost(&trace) && matches!(trace.verdict, Verdict::Delivered { .. }) => None,
        other => Some(format!("{other:?}")),
    });
    assert_eq!(wrong.collect::<Vec<_>>(), [""; 0]);
    tracer.close().await.unwrap();
    assert_eq!(world.leftovers().await, Vec::<String>::new());
}

/// How many at once; `TRACEFLOW_AT_ONCE` says otherwise.
const AT_ONCE: usize = 3_000;

/// Packets of the same Pods that no trace asks for.
fn make_noise(world: &World, traffic: &Traffic, over: &AtomicBool) {
    let packets = ["server", "remote"].map(|to| injected(&world.plan("client", to, "udp,udp_src=900,udp_dst=53")));
    while !over.load(Ordering::SeqCst) {
        for packet in &packets {
            traffic.send(packet);
        }
    }
}

/// Arms a trace for a connection of its own, and sends packets like its packet, its packet, and more of the same.
async fn catch(
    world: &Arc<World>,
    tracer: &Tracer,
    traffic: &Arc<Traffic>,
    met: &Semaphore,
    number: usize,
) -> Result<(), String> {
    let to = ["server", "remote"][number % 2];
    let protocol = ["udp", "tcp"][number / 2 % 2];
    let source = 10_000 + number;
    let flow =
        |source: usize, destination: u16| format!("{protocol},{protocol}_src={source},{protocol}_dst={destination}");
    let plan = Arc::new(live(world, to, &flow(source, 80)));
    let mut tracing = tracer.trace(plan.clone());
    let armed = loop {
        match tracing.progress().await {
            Some(Progress::Armed { nodes }) => break nodes.len(),
            Some(_) => {}
            None => return Err(format!("{number}: {:?}", tracing.await)),
        }
    };
    let packet = |source, destination| injected(&world.plan("client", to, &flow(source, destination)));
    let like_it = [packet(source, 81), packet(source + 30_000, 80)];
    let its = packet(source, 80);
    let traffic = traffic.clone();
    let until_answered = met.acquire().await.map_err(|error| error.to_string())?;
    let first = spawn_blocking(move || {
        for packet in &like_it {
            traffic.send(packet);
        }
        let first = traffic.send(&its);
        traffic.send(&its);
        traffic.send(&its);
        first
    });
    let first = first.await.map_err(|error| error.to_string())?;
    let trace = tracing.await.map_err(|error| format!("{number}: {error}"))?;
    drop(until_answered);
    let right = world.cluster.predict(&plan).unwrap();
    let right_path = lines(right.hops.iter().map(|hop| (&hop.node, &hop.observations)));
    let caught = trace.captured.as_ref();
    let identity = (
        caught.and_then(|packet| packet.nonce),
        caught.and_then(|packet| packet.identification),
    );
    let expected = (Some(first), Some(first.0 as u16));
    let agrees = (path(&trace), &trace.verdict, identity) == (right_path, &right.verdict, expected);
    if agrees && trace.finding.is_none() && armed == trace.hops.len() {
        return Ok(());
    }
    Err(format!(
        "{number}, armed on {armed}: {identity:x?} instead of {expected:x?}, {} {:?} {:?}",
        trace.verdict,
        path(&trace),
        trace.notes
    ))
}

pub(crate) fn live(world: &World, to: &str, flow: &str) -> Plan {
    let asked = CommandLine {
        source: Some("client"),
        destination: Some(to),
        flow: Some(flow),
        live_traffic: true,
        ..CommandLine::default()
    };
    let spec = asked.spec(&*world.cluster).unwrap();
    Plan::resolve(&spec, &*world.cluster, &mut fastrand::Rng::new()).unwrap()
}

/// The packet that the plan would inject, as a Pod sends it.
pub(crate) fn injected(plan: &Plan) -> Packet {
    let Question::Inject { packet, .. } = &plan.question else {
        unreachable!("it was asked for so")
    };
    assert!(!matches!(packet.transport, Transport::Sctp { .. }));
    packet.clone()
}
