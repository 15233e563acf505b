//! Traffic between the very Pods and ports that are traced: all of it arrives as it was sent, and none of it is taken for
//! a packet of ours.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use futures_util::StreamExt;
use testbed::fabric::Form;
use tokio::task::spawn_blocking;
use traceflow_core::datapath::{Datapath, Report};
use traceflow_core::packet::{IpHeader, Nonce, Packet, Transport};
use traceflow_core::trace::{Predictor, Verdict};
use traceflow_core::tracer::Tracer;
use traceflow_ovs::layout::Carrier;
use traceflow_sim::Cluster;

use crate::crowd::{injected, live};
use crate::support::{World, lines, number, path};
use crate::traffic::{Traffic, is_traffic};

/// How many packets of each DSCP value; `TRACEFLOW_STRANGERS` says otherwise.
const PACKETS: usize = 300;

/// The source ports of the traffic, some of which traces use too.
const PORTS: std::ops::Range<u16> = 20_000..20_032;

/// One client, and a server on each of two nodes.
pub(crate) fn cluster() -> Cluster {
    let mut builder = Cluster::builder();
    for (node, range) in [("one", 1), ("two", 2)] {
        builder = builder.node(node).pod_cidr(&format!("10.0.{range}.0/24"));
    }
    for (pod, node) in [("client", "one"), ("server", "one"), ("remote", "two")] {
        builder = builder.pod(pod, node);
    }
    builder.build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn traffic_of_every_dscp_between_traced_pods_arrives_and_is_nobodys_trace() {
    strangers_are_left_alone(Carrier::TunnelId).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn traffic_with_the_very_dscp_of_a_mark_arrives_and_is_nobodys_trace() {
    strangers_are_left_alone(Carrier::Dscp).await;
}

async fn strangers_are_left_alone(carrier: Carrier) {
    let each = number("TRACEFLOW_STRANGERS", PACKETS);
    let world = Arc::new(World::with_carrier(cluster(), Form::Rootless, carrier));
    let tracer = Arc::new(world.tracer());
    let taken = watch_for_strangers(&world);
    let traffic = Traffic::new(&world, "client", &["server", "remote"]);
    // By that carrier an injected packet can't be told from a stranger before it is handed over.
    traffic.others_may_arrive(carrier == Carrier::Dscp);
    let over = Arc::new(AtomicBool::new(false));
    let counts: [Arc<AtomicUsize>; 2] = Default::default();
    let injecting = tokio::spawn(keep_injecting(
        world.clone(),
        tracer.clone(),
        over.clone(),
        counts[0].clone(),
    ));
    // That carrier takes the DSCP of the packets that live traces follow.
    let no_more_listening = match carrier {
        Carrier::Dscp => Arc::new(AtomicBool::new(true)),
        _ => over.clone(),
    };
    let listening = tokio::spawn(keep_listening(
        world.clone(),
        tracer.clone(),
        no_more_listening,
        counts[1].clone(),
    ));
    let began = Instant::now();
    let sending = world.clone();
    let arrived = spawn_blocking(move || {
        send_every_dscp(&sending, &traffic, each);
        traffic.end()
    });
    let arrived = arrived.await.unwrap();
    let took = began.elapsed();
    over.store(true, Ordering::SeqCst);
    let wrong = [injecting.await.unwrap(), listening.await.unwrap()].concat();
    println!(
        "{arrived} packets, {each} of each DSCP, in {took:?}, all arrived as sent; meanwhile {} injected and {} live traces, {} wrong",
        counts[0].load(Ordering::SeqCst),
        counts[1].load(Ordering::SeqCst),
        wrong.len()
    );
    assert_eq!(arrived, 64 * each as u64);
    assert_eq!(wrong, [""; 0]);
    // What comes from another node with the DSCP and the addresses of a mark is reported by that carrier, and known by its
    // nonce for a stranger: no trace has it in its answer.
    if carrier == Carrier::TunnelId {
        assert_eq!(
            taken.load(Ordering::SeqCst),
            0,
            "strangers were taken for injected packets"
        );
    }
    Arc::into_inner(tracer).unwrap().close().await.unwrap();
    assert_eq!(world.leftovers().await, Vec::<String>::new());
}

fn send_every_dscp(world: &World, traffic: &Traffic, each: usize) {
    let mut packets = ["server", "remote"].map(|to| injected(&world.plan("client", to, "udp,udp_src=1,udp_dst=53")));
    for round in 0..each {
        for dscp in 0..64 {
            let packet = &mut packets[(round + dscp) % 2];
            change(
                packet,
                dscp as u8,
                PORTS.start + ((round * 64 + dscp) % PORTS.len()) as u16,
            );
            traffic.send(packet);
        }
    }
}

fn change(packet: &mut Packet, new_dscp: u8, port: u16) {
    if let IpHeader::V4(header) = &mut packet.ip {
        header.dscp = new_dscp;
    }
    if let Transport::Udp { source, .. } = &mut packet.transport {
        *source = port;
    }
}

/// Counts reports that name a stranger as an injected packet.
fn watch_for_strangers(world: &World) -> Arc<AtomicUsize> {
    let taken = Arc::<AtomicUsize>::default();
    for datapath in &world.datapaths {
        let (mut reports, taken) = (datapath.reports(), taken.clone());
        tokio::spawn(async move {
            while let Some(report) = reports.next().await {
                let stranger = |nonce: Nonce| is_traffic(nonce);
                if matches!(report, Report::Seen(sighting) if sighting.nonce.is_some_and(stranger)) {
                    taken.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
    }
    taken
}

/// Injected traces between the same Pods and to the same port, some of the very same connection.
async fn keep_injecting(
    world: Arc<World>,
    tracer: Arc<Tracer>,
    over: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    while !over.load(Ordering::SeqCst) {
        let number = count.fetch_add(1, Ordering::SeqCst);
        let to = ["server", "remote"][number % 2];
        let port = [PORTS.start, 30_000][number / 2 % 2] + (number / 4 % 32) as u16;
        let plan = world.plan("client", to, &format!("udp,udp_src={port},udp_dst=53"));
        let right = world.cluster.predict(&plan).unwrap();
        let right_path = lines(right.hops.iter().map(|hop| (&hop.node, &hop.observations)));
        match tracer.trace(plan).await {
            Ok(trace) if trace.verdict == right.verdict && path(&trace) == right_path => {}
            other => wrong.push(format!("injected from port {port} to {to}: {other:?}")),
        }
    }
    wrong
}

/// Live traces of the traffic itself.
async fn keep_listening(
    world: Arc<World>,
    tracer: Arc<Tracer>,
    over: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut caught = HashSet::new();
    while !over.load(Ordering::SeqCst) {
        let number = count.load(Ordering::SeqCst);
        let to = ["server", "remote"][number % 2];
        let port = PORTS.start + (number % PORTS.len()) as u16;
        let mut plan = live(&world, to, &format!("udp,udp_src={port},udp_dst=53"));
        plan.timeout = std::time::Duration::from_secs(2);
        let right = world.cluster.predict(&plan).unwrap();
        let right_path = lines(right.hops.iter().map(|hop| (&hop.node, &hop.observations)));
        match tracer.trace(plan).await {
            Ok(trace) if trace.verdict == right.verdict && path(&trace) == right_path => {
                let nonce = trace.captured.and_then(|packet| packet.nonce);
                if !nonce.is_some_and(|nonce| is_traffic(nonce) && caught.insert(nonce)) {
                    wrong.push(format!("live from port {port} to {to}: caught {nonce:x?}"));
                }
            }
            // The traffic may have ended meanwhile.
            Ok(trace) if over.load(Ordering::SeqCst) && matches!(trace.verdict, Verdict::Unanswered(_)) => break,
            other => wrong.push(format!("live from port {port} to {to}: {other:?}")),
        }
        count.fetch_add(1, Ordering::SeqCst);
    }
    wrong
}
