//! DSCP as the carrier: what becomes of the packets' own DSCP.

use std::time::Duration;

use testbed::fabric::{Form, PodLink};
use traceflow_core::names::ObjectName;
use traceflow_core::packet::{IpHeader, MacAddress, Packet, TcpFlags};
use traceflow_core::plan::Plan;
use traceflow_core::session::Progress;
use traceflow_core::spec::CommandLine;
use traceflow_core::trace::Trace;
use traceflow_ovs::layout::Carrier;
use traceflow_sim::Cluster;

use crate::support::World;

#[tokio::test(flavor = "multi_thread")]
async fn the_dscp_of_a_followed_packet_is_put_back_where_it_is_known_else_cleared() {
    let world = demo();
    let (trace, arrived) = follow(&world, "tcp,tcp_dst=80,ip_dscp=10", 10).await;
    assert_eq!(arrived, 10);
    let remark = remark(&trace);
    assert!(remark.contains("put back to what it was"), "{remark}");

    let (trace, arrived) = follow(&world, "tcp,tcp_dst=80", 10).await;
    assert_eq!(arrived, 0);
    assert!(self::remark(&trace).contains("cleared, as nobody knows"), "{trace:?}");
    assert_eq!(world.leftovers().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_injected_packet_shows_the_dscp_that_was_asked_for_on_its_first_node() {
    let world = demo();
    let tracer = world.tracer();
    let trace = tracer
        .trace(world.plan("pod1", "pod3", "tcp,tcp_dst=80,ip_dscp=20"))
        .await
        .unwrap();
    assert!(trace.verdict.to_string().starts_with("delivered"), "{}", trace.verdict);
    let remark = remark(&trace);
    assert!(remark.contains("handed over"), "{remark}");
    tracer.close().await.unwrap();
    assert_eq!(world.leftovers().await, Vec::<String>::new());
}

fn demo() -> World {
    let cluster = Cluster::from_paths(["../examples/demo/cluster.yaml"]).unwrap();
    World::with_carrier(cluster, Form::Rootless, Carrier::Dscp)
}

/// What the second node remarks.
fn remark(trace: &Trace) -> &str {
    trace.hops[1].observations[0].remark.as_deref().unwrap_or_default()
}

/// Follows a packet from pod1 to pod3 that pod1 sends with this DSCP, and says with which one it arrives.
async fn follow(world: &World, flow: &str, dscp: u8) -> (Trace, u8) {
    let asked = CommandLine {
        source: Some("pod1"),
        destination: Some("pod3"),
        flow: Some(flow),
        live_traffic: true,
        ..CommandLine::default()
    };
    let spec = asked.spec(&*world.cluster).unwrap();
    let plan = Plan::resolve(&spec, &*world.cluster, &mut fastrand::Rng::new()).unwrap();
    let tracer = world.tracer();
    let mut link = world.fabric().pod_link(&ObjectName::new("default", "pod3")).unwrap();
    let mut tracing = tracer.trace(plan);
    while !matches!(tracing.progress().await.unwrap(), Progress::Armed { .. }) {}
    world.send(&ObjectName::new("default", "pod1"), &packet(dscp)).unwrap();
    let trace = tracing.await.unwrap();
    assert!(trace.verdict.to_string().starts_with("delivered"), "{}", trace.verdict);
    tracer.close().await.unwrap();
    let arrived = tokio::task::spawn_blocking(move || dscp_of_next(&mut link))
        .await
        .unwrap();
    (trace, arrived)
}

fn packet(dscp: u8) -> Packet {
    let gateway = MacAddress([0x0a, 0x58, 172, 16, 5, 1]);
    let mut packet = Packet::ethernet(MacAddress([0x0a, 0x58, 172, 16, 5, 11]), gateway)
        .ipv4([172, 16, 5, 11].into(), [172, 16, 3, 8].into())
        .tcp(fastrand::u16(20_000..), 80, TcpFlags::SYN)
        .unwrap();
    if let IpHeader::V4(header) = &mut packet.ip {
        header.dscp = dscp;
    }
    packet
}

/// Of the next IPv4 frame.
fn dscp_of_next(link: &mut PodLink) -> u8 {
    loop {
        let frame = link.receive(Duration::from_secs(10)).unwrap().unwrap();
        if frame[12..14] == [0x08, 0x00] {
            return frame[15] >> 2;
        }
    }
}
