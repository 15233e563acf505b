//! What a trace on switches says that it changed, and that it is undone.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use testbed::fabric::Form;
use traceflow_core::datapath::{Datapath, DatapathError, Mark, Probe, ProbeKind, Report, TraceId};
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::packet::Packet;
use traceflow_core::receipt::{Change, Changed, Fate, NodeReceipt};
use traceflow_core::session::Progress;
use traceflow_core::trace::Trace;
use traceflow_ovs::OvsDatapath;
use traceflow_sim::Cluster;

use crate::crowd::{injected, live};
use crate::support::World;

/// Two nodes with both families; a Service whose clients stay with their endpoint, and a Pod that nobody may reach.
fn cluster() -> Cluster {
    let mut builder = Cluster::builder();
    for (node, range) in [("one", 1), ("two", 2)] {
        builder = builder.node(node).pod_cidr(&format!("10.0.{range}.0/24"));
        builder = builder.pod_cidr(&format!("fd00:{range}::/64"));
    }
    builder
        .pod("client", "one")
        .pod("remote", "two")
        .label("app", "web")
        .pod("closed", "one")
        .label("app", "closed")
        .service("web", 80)
        .selects("app", "web")
        .affinity(Duration::from_secs(60))
        .yaml(
            "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: closed},
              spec: {podSelector: {matchLabels: {app: closed}}, policyTypes: [Ingress]}}",
        )
        .build()
        .unwrap()
}

/// What was changed, node by node; what is undone is just named.
fn changes(trace: &Trace) -> Vec<(String, Vec<String>)> {
    let line = |Change { what, fate }: &Change| match fate {
        Fate::Undone => what.to_string(),
        fate => format!("{what} {fate}"),
    };
    let node = |node: &NodeReceipt| (node.node.to_string(), node.changes.iter().map(line).collect());
    trace.receipt.nodes.iter().map(node).collect()
}

fn on(node: &str, changes: &[&str]) -> (String, Vec<String>) {
    (
        node.to_owned(),
        changes.iter().map(|&change| change.to_owned()).collect(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_injected_packets_began_is_told_and_gone() {
    let world = World::of(cluster(), Form::Rootless);
    let tracer = world.tracer();
    let trace = async |to, flow| tracer.trace(world.plan("client", to, flow)).await.unwrap();

    let across = trace("remote", "tcp,tcp_src=40000,tcp_dst=80").await;
    let entry = "connection tracking entry TCP 10.0.1.2:40000 -> 10.0.2.2:80 in zone 65520";
    assert_eq!(
        changes(&across),
        [on("one", &[entry]), on("two", &[entry])],
        "{}",
        across.verdict
    );
    assert!(across.receipt.is_clean());

    let to_service = trace("web", "tcp,tcp_src=40001,tcp_dst=80").await;
    let entries = [
        "connection tracking entry TCP 10.0.1.2:40001 -> 10.96.0.10:80 in zone 65520",
        "connection tracking entry TCP 10.0.1.2:40001 -> 10.0.2.2:80 in zone 65520",
    ];
    let expected = [on("one", &entries[..1]), on("two", &entries[1..])];
    assert_eq!(changes(&to_service), expected, "the client's affinity is not begun");

    let ping = trace("closed", "icmp").await;
    assert_eq!(
        changes(&ping),
        [on("one", &[])],
        "dropped before anything is remembered"
    );
    assert_eq!(ping.receipt.to_string(), "nothing was changed");

    let conntrack = world.conntrack();
    assert!(!conntrack.contains("sport=4000"), "{conntrack}");
    tracer.close().await.unwrap();
    assert_eq!(world.leftovers().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_the_switch_can_not_be_told_to_forget_is_said_to_expire() {
    let world = World::of(cluster(), Form::Rootless);
    let tracer = world.tracer();
    let trace = tracer.trace(world.plan("client", "remote", "icmp6")).await.unwrap();
    let entry = "connection tracking entry ICMPv6 fd00:1::2 -> fd00:2::2 in zone 65510 goes by itself within 60 s, as Open \
                 vSwitch 3.1 would abort if it were told to forget an ICMPv6 entry";
    assert_eq!(
        changes(&trace),
        [on("one", &[entry]), on("two", &[entry])],
        "{}",
        trace.verdict
    );
    assert!(!trace.receipt.is_clean());
    assert!(world.conntrack().contains("icmpv6,"), "it is as was said");
    tracer.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_flows_of_a_live_trace_are_told_and_gone() {
    let world = World::of(cluster(), Form::Rootless);
    let tracer = world.tracer();
    let standing = tracer
        .trace(world.plan("client", "remote", "udp,udp_dst=1"))
        .await
        .unwrap();
    assert!(standing.receipt.is_clean());
    let before = world.leftovers().await;
    let mut tracing = tracer.trace(live(&world, "remote", "udp,udp_dst=53"));
    while !matches!(tracing.progress().await, Some(Progress::Armed { .. })) {}
    let put = world.leftovers().await.len() - before.len();
    let sent = injected(&world.plan("client", "remote", "udp,udp_src=9,udp_dst=53"));
    world.send(&ObjectName::new("default", "client"), &sent).unwrap();
    let trace = tracing.await.unwrap();
    let flows = trace.receipt.nodes.iter().flat_map(|node| &node.changes);
    let flows = flows.map(|change| match change.what {
        Changed::Flows { count } => count,
        _ => panic!("what a Pod sends is not the trace's: {change:?}"),
    });
    assert!(trace.receipt.is_clean());
    assert_eq!(flows.sum::<u64>() as usize, put, "{}", trace.receipt);
    assert_eq!(world.leftovers().await, before);
    tracer.close().await.unwrap();
}

/// Every node is attached; a packet of the client to the other node, and its probe.
async fn ready(world: &World) -> (Probe, Packet) {
    for datapath in &world.datapaths {
        datapath.attach().await.unwrap();
    }
    let packet = injected(&world.plan("client", "remote", "tcp,tcp_src=40002,tcp_dst=80"));
    let probe = Probe {
        trace: TraceId(1),
        mark: Mark(1),
        kind: ProbeKind::Injected {
            pod: ObjectName::new("default", "client"),
            packet: packet.clone(),
        },
        lifetime: Duration::from_secs(60),
    };
    (probe, packet)
}

fn on_node<'a>(world: &'a World, node: &str) -> &'a OvsDatapath {
    let node = NodeName::from(node);
    let found = world.datapaths.iter().find(|datapath| *datapath.node() == node);
    found.unwrap()
}

/// On one thread nothing is heard of the packet before the removal begins.
#[tokio::test]
async fn what_a_removal_that_was_dropped_half_way_undid_is_told_by_the_next() {
    let world = World::of(cluster(), Form::Rootless);
    let one = on_node(&world, "one");
    let (probe, packet) = ready(&world).await;
    one.inject(&probe, &packet).await.unwrap();
    assert!(one.remove(&probe).now_or_never().is_none(), "it waits for the switch");
    let told = one.remove(&probe).await.unwrap().changes;
    let entry = "connection tracking entry TCP 10.0.1.2:40002 -> 10.0.2.2:80 in zone";
    assert!(!told.is_empty());
    for Change { what, fate } in &told {
        assert!(what.to_string().starts_with(entry), "{what}");
        assert_eq!(*fate, Fate::Undone);
    }
    assert_eq!(one.remove(&probe).await.unwrap().changes, [], "once");
}

#[tokio::test]
async fn nothing_is_told_as_undone_by_a_switch_that_is_out_of_reach() {
    let world = World::of(cluster(), Form::Rootless);
    let one = on_node(&world, "one");
    let (probe, packet) = ready(&world).await;
    let mut reports = one.reports();
    one.inject(&probe, &packet).await.unwrap();
    while !matches!(reports.next().await, Some(Report::Seen(_))) {}
    world.kill(one.node()).unwrap();
    while one.leftovers().await.is_ok() {}
    let told = one.remove(&probe).await;
    assert!(matches!(told, Err(DatapathError::Unavailable(_))), "{told:?}");
}
