//! Very many traces in a row while policies come and go: each is answered once, and rightly.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use futures_util::{StreamExt, stream};
use traceflow_core::packet::{Packet, Transport};
use traceflow_core::plan::{Plan, Question};
use traceflow_core::spec::CommandLine;
use traceflow_core::trace::Trace;
use traceflow_core::tracer::Tracer;

use crate::crowd::injected;
use crate::policed::{Answer, Policed, memory, policies};
use crate::traffic::Traffic;

/// How many; `TRACEFLOW_SOAK` says otherwise.
const TRACES: usize = 20_000;

/// How many at a time.
const IN_FLIGHT: usize = 1_000;

/// Between two edits of the policies.
const BETWEEN_EDITS: Duration = Duration::from_millis(100);

/// More than that isn't put down to chance, however many traces there are.
const GROWTH: u64 = 48 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn every_one_of_very_many_traces_is_answered_rightly_while_policies_come_and_go() {
    let count = crate::support::number("TRACEFLOW_SOAK", TRACES);
    let world = Policed::start();
    let journeys = Arc::new(journeys(&world));
    let tracer = world.tracer();
    let over = Arc::new(AtomicBool::new(false));
    let editor = tokio::spawn(keep_editing(world.clone(), over.clone()));
    let talk = tokio::task::spawn_blocking({
        let (world, over) = (world.clone(), over.clone());
        move || keep_talking(&world, &over)
    });
    let began = Instant::now();
    let mut tally = Tally::default();
    let warm_up = count / 4;
    let mut memory_before = (0, 0);
    let mut answers = stream::iter(0..count)
        .map(|number| ask(&world, &tracer, &journeys, number))
        .buffer_unordered(IN_FLIGHT);
    while let Some(answered) = answers.next().await {
        tally.take(&world, &journeys, answered);
        if tally.answered == warm_up {
            memory_before = (memory("self"), world.memory_of_switches());
        }
    }
    drop(answers);
    let took = began.elapsed();
    let memory_after = (memory("self"), world.memory_of_switches());
    over.store(true, Ordering::SeqCst);
    editor.await.unwrap();
    let talked = talk.await.unwrap();
    println!(
        "{count} traces in {took:?}, {:.0} a second, {} edits, {talked} packets of others, {} second packets, {} with the policies of another moment \
         named for an isolated Pod, {} wrong, {} lost; memory {} KiB to {} KiB, of the switches {} KiB to {} KiB",
        count as f64 / took.as_secs_f64(),
        world.history.settled(),
        tally.retried,
        tally.named_late,
        tally.wrong.len(),
        count - tally.answered,
        memory_before.0 >> 10,
        memory_after.0 >> 10,
        memory_before.1 >> 10,
        memory_after.1 >> 10,
    );
    assert_eq!(tally.wrong, [""; 0]);
    assert_eq!(
        (tally.answered, tally.ids.len()),
        (count, count),
        "each is answered once"
    );
    assert_eq!(world.connections_without("talker").await, Vec::<String>::new());
    tracer.close().await.unwrap();
    assert_eq!(world.leftovers().await, Vec::<String>::new());
    let grown = memory_after.0.saturating_sub(memory_before.0);
    assert!(grown < GROWTH, "{grown} bytes more after {count} traces");
}

/// Adds or removes a policy again and again.
async fn keep_editing(world: Arc<Policed>, over: Arc<AtomicBool>) {
    let policies = policies();
    let mut random = fastrand::Rng::with_seed(7);
    let mut in_force = BTreeSet::new();
    let mut time = tokio::time::interval(BETWEEN_EDITS);
    while !over.load(Ordering::SeqCst) {
        time.tick().await;
        let name = policies.keys().nth(random.usize(..policies.len())).unwrap();
        if !in_force.remove(name) {
            in_force.insert(name.clone());
        }
        let (world, in_force, policies) = (world.clone(), in_force.clone(), policies.clone());
        tokio::task::spawn_blocking(move || world.edit(&in_force, &policies))
            .await
            .unwrap();
    }
}

/// Real packets of Pods that no policy is about, each once the switches have room for it; each of a connection of its own, up to
/// some, then of one of these again. Says how many there were: all have arrived as they were sent.
fn keep_talking(world: &Policed, over: &AtomicBool) -> u64 {
    let traffic = Traffic::over(|pod| world.link(pod), "talker", &["listener"]);
    let packet = |port: u16| {
        let protocol = ["tcp", "udp"][usize::from(port % 2)];
        injected(&plan(
            world,
            "talker",
            "listener",
            &format!("{protocol},{protocol}_src={port},{protocol}_dst=80"),
        ))
    };
    let packets: Vec<Packet> = (20_000..20_500).map(packet).collect();
    for packet in packets.iter().cycle() {
        if over.load(Ordering::SeqCst) {
            break;
        }
        traffic.send(packet);
    }
    traffic.end()
}

fn plan(world: &Policed, source: &str, destination: &str, flow: &str) -> Plan {
    let asked = CommandLine {
        source: Some(source),
        destination: Some(destination),
        flow: Some(flow),
        ..CommandLine::default()
    };
    let spec = asked.spec(&*world.cluster).unwrap();
    Plan::resolve(&spec, &*world.cluster, &mut fastrand::Rng::with_seed(1)).unwrap()
}

/// One kind of packet between two ends; which one it was shows in the answer, as each end has policies of its own.
struct Journey {
    name: String,
    plan: Plan,
    /// With different source ports, where a Service chooses by them.
    variants: Vec<Arc<Plan>>,
}

fn journeys(world: &Policed) -> Vec<Journey> {
    let mut asked = Vec::new();
    for client in ["client-1", "client-2", "client-3"] {
        for server in [
            "server-1", "server-2", "server-3", "server-4", "closed-1", "closed-2", "open",
        ] {
            asked.push((client, server, "tcp,tcp_dst=80"));
        }
        asked.push((client, "server-1", "udp,udp_dst=53"));
        asked.push((client, "server-3", "icmp"));
        asked.push((client, "server-2", "tcp6,tcp_dst=80"));
        asked.push((client, "server-4", "udp6,udp_dst=53"));
        asked.push((client, "service", "tcp,tcp_dst=80"));
        asked.push((client, "service", "udp,udp_dst=53"));
        asked.push((client, "fd00:96::10", "tcp6,tcp_dst=80"));
    }
    let journey = |(source, destination, flow): (&str, &str, &str)| {
        let name = format!("{source} to {destination}, {flow}");
        let plan = plan(world, source, destination, flow);
        let chosen_for = if destination.starts_with("server") { 1 } else { 64 };
        let variants = (0..chosen_for).map(|port| Arc::new(told_apart_by(&plan, 2_000 + port)));
        Journey {
            name,
            variants: variants.collect(),
            plan,
        }
    };
    asked.into_iter().map(journey).collect()
}

/// The same packet of another connection.
fn told_apart_by(plan: &Plan, number: u16) -> Plan {
    let mut plan = plan.clone();
    if let Question::Inject { packet, .. } = &mut plan.question {
        match &mut packet.transport {
            Transport::Tcp { source, .. } | Transport::Udp { source, .. } => *source = number,
            Transport::Icmp(header) => header.id = number,
            other => unreachable!("{other:?} isn't asked for"),
        }
    }
    plan
}

/// A trace's answer, and what may have been in force.
struct Answered {
    number: usize,
    journey: usize,
    id: u64,
    plan: Arc<Plan>,
    trace: Result<Trace, traceflow_core::Error>,
    began: SystemTime,
    states: (usize, usize),
}

/// One trace in 16 shares its connection with others.
async fn ask(world: &Policed, tracer: &Tracer, journeys: &[Journey], number: usize) -> Answered {
    let (journey, round) = (number % journeys.len(), number / journeys.len());
    let port = if round % 16 == 0 {
        1_024 + round as u16 / 16 % 2
    } else {
        2_000 + (round % 60_000) as u16
    };
    let plan = Arc::new(told_apart_by(&journeys[journey].plan, port));
    let (began, first) = (SystemTime::now(), world.history.settled());
    let tracing = tracer.trace(plan.clone());
    let id = tracing.id().0;
    let trace = tracing.await;
    Answered {
        number,
        journey,
        id,
        plan,
        trace,
        began,
        states: (first, world.history.begun()),
    }
}

#[derive(Default)]
struct Tally {
    answered: usize,
    ids: HashSet<u64>,
    retried: usize,
    named_late: usize,
    wrong: Vec<String>,
}

impl Tally {
    fn take(&mut self, world: &Policed, journeys: &[Journey], answered: Answered) {
        self.answered += 1;
        self.ids.insert(answered.id);
        if let Err(what) = self.judge(world, journeys, &answered)
            && self.wrong.len() < 20
        {
            let name = &journeys[answered.journey].name;
            self.wrong.push(format!("{} ({name}): {what}", answered.number));
        }
    }

    fn judge(&mut self, world: &Policed, journeys: &[Journey], answered: &Answered) -> Result<(), String> {
        let trace = answered.trace.as_ref().map_err(|error| format!("{error:?}"))?;
        self.retried += usize::from(trace.attempts > 1);
        if !Arc::ptr_eq(&trace.plan, &answered.plan) {
            return Err("the answer is another trace's".to_owned());
        }
        let now = SystemTime::now();
        if trace
            .hops
            .iter()
            .any(|hop| !(answered.began..=now).contains(&hop.timestamp))
        {
            return Err(format!("seen before it began: {:?}", trace.hops));
        }
        let (first, last) = answered.states;
        if let Some(finding) = trace.finding.as_ref().filter(|_| first == last) {
            return Err(format!("unlike the model, and nothing was edited: {finding}"));
        }
        let answer = Answer::of(trace);
        let mut right = BTreeSet::new();
        for state in world.history.between(first, last) {
            right.extend(
                state
                    .answers(answered.journey, &journeys[answered.journey].variants)
                    .iter()
                    .cloned(),
            );
        }
        if right.contains(&answer) {
            return Ok(());
        }
        // The policies of another moment may be none, if there was one when none isolated the Pod.
        let names_fit = !answer.isolating.is_empty() || right.iter().any(|right| right.isolating.is_empty());
        if right.iter().any(|right| answer.agrees(right)) && last > first && names_fit {
            self.named_late += 1;
            return Ok(());
        }
        right.retain(|right| right.path.get(..2) == answer.path.get(..2));
        Err(format!(
            "{answer:?} {:?}; right is one of {right:?}, states {first} to {last}",
            trace.notes
        ))
    }
}
