//! Others on the same switches: another tracer at work, and real connections of the traced 5-tuple.

use testbed::fabric::Form;
use traceflow_core::datapath::Datapath;
use traceflow_core::names::ObjectName;
use traceflow_core::packet::{MacAddress, Packet, TcpFlags};
use traceflow_core::tracer::Tracer;
use traceflow_ovs::address::Address;
use traceflow_ovs::{Instance, LAST_INSTANCE, free_instance};
use traceflow_sim::Cluster;

use crate::support::World;

#[tokio::test(flavor = "multi_thread")]
async fn two_tracers_at_once_answer_as_if_each_were_alone() {
    let world = World::demo(Form::Rootless);
    let one = world.tracer();
    let other = world.reopened(Instance::new(1));
    let datapaths = other
        .iter()
        .map(|datapath| datapath.clone() as std::sync::Arc<dyn Datapath>);
    let two = Tracer::builder(world.cluster.clone()).datapaths(datapaths).start();
    for _ in 0..20 {
        let asked = || world.plan("pod1", "pod3", "tcp,tcp_dst=80");
        let (first, second) = tokio::join!(one.trace(asked()), two.trace(asked()));
        assert_eq!(first.unwrap().verdict.to_string(), second.unwrap().verdict.to_string());
    }
    two.close().await.unwrap();
    // What the second has taken away was its own.
    let last = one.trace(world.plan("pod1", "pod3", "tcp,tcp_dst=80")).await.unwrap();
    assert!(last.verdict.to_string().starts_with("delivered"), "{}", last.verdict);
    assert_eq!(last.notes, Vec::<String>::new());
    one.close().await.unwrap();
    assert_eq!(world.leftovers().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_connection_of_the_same_5_tuple_is_told_and_left_alone() {
    // pod1 may call pod2 at TCP 80 only; what pod2 sends back may be anything of that connection.
    let world = World::demo(Form::Rootless);
    let (client, server) = (ObjectName::new("default", "pod1"), ObjectName::new("default", "pod2"));
    let packet = |from: u8, to: u8, source, destination, flags| {
        Packet::ethernet(mac(from), mac(to))
            .ipv4([172, 16, 5, from].into(), [172, 16, 5, to].into())
            .tcp(source, destination, flags)
            .unwrap()
    };
    let handed = |pod: &ObjectName| world.fabric().received(pod).unwrap();
    let (at_server, at_client) = (handed(&server), handed(&client));
    world.send(&client, &packet(11, 12, 40_000, 80, TcpFlags::SYN)).unwrap();
    until(|| handed(&server) > at_server).await;
    let answer = TcpFlags(TcpFlags::SYN.0 | TcpFlags::ACK.0);
    world.send(&server, &packet(12, 11, 80, 40_000, answer)).unwrap();
    until(|| handed(&client) > at_client).await;

    let tracer = world.tracer();
    let plan = world.plan("pod1", "pod2", "tcp,tcp_src=40000,tcp_dst=80,tcp_flags=16");
    let trace = tracer.trace(plan).await.unwrap();
    tracer.close().await.unwrap();
    let remark = trace.hops[0].observations[0].remark.as_deref().unwrap_or_default();
    assert!(
        remark.contains("an open connection, whose sequence numbers"),
        "{trace:?}"
    );
    assert!(trace.established && trace.finding.is_none(), "{trace:?}");
    let tracked = world.conntrack();
    assert!(tracked.contains("sport=40000"), "{tracked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_datagram_of_an_answered_flow_passes_as_part_of_it() {
    let cluster = Cluster::builder()
        .node("a")
        .pod_cidr("172.16.5.0/24")
        .pod("pod1", "a")
        .address("172.16.5.11");
    let world = World::of(
        cluster.pod("pod2", "a").address("172.16.5.12").build().unwrap(),
        Form::Rootless,
    );
    let (client, server) = (ObjectName::new("default", "pod1"), ObjectName::new("default", "pod2"));
    let packet = |from: u8, to: u8, source, destination| {
        Packet::ethernet(mac(from), mac(to))
            .ipv4([172, 16, 5, from].into(), [172, 16, 5, to].into())
            .udp(source, destination)
            .unwrap()
    };
    let handed = |pod: &ObjectName| world.fabric().received(pod).unwrap();
    let (at_server, at_client) = (handed(&server), handed(&client));
    world.send(&client, &packet(11, 12, 40_000, 53)).unwrap();
    until(|| handed(&server) > at_server).await;
    world.send(&server, &packet(12, 11, 53, 40_000)).unwrap();
    until(|| handed(&client) > at_client).await;

    let tracer = world.tracer();
    let trace = tracer
        .trace(world.plan("pod1", "pod2", "udp,udp_src=40000,udp_dst=53"))
        .await
        .unwrap();
    tracer.close().await.unwrap();
    assert_eq!(trace.verdict.to_string(), "delivered on a");
    let remark = trace.hops[0].observations[0].remark.as_deref().unwrap_or_default();
    assert!(
        remark.contains("a connection of real traffic, which was left alone"),
        "{trace:?}"
    );
    let tracked = world.conntrack();
    assert!(tracked.contains("sport=40000"), "{tracked}");
}

/// As the simulator gives them to Pods of these addresses.
fn mac(last: u8) -> MacAddress {
    MacAddress([0x0a, 0x58, 172, 16, 5, last])
}

async fn until(mut holds: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(std::time::Duration::from_secs(10), async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    });
    waited.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_takes_nobodys_place() {
    let world = World::demo(Form::Rootless);
    let addresses: Vec<Address> = world
        .fabric()
        .nodes()
        .map(|node| Address::from(&*node.openflow))
        .collect();
    let mut tracers = Vec::new();
    for _ in 0..=LAST_INSTANCE {
        let instance = free_instance(&addresses).await.unwrap();
        let datapath = world.reopened(instance).remove(0);
        datapath.attach().await.unwrap();
        tracers.push((instance.number(), datapath));
    }
    tracers.sort_by_key(|(number, _)| *number);
    let numbers: Vec<u8> = tracers.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (0..=LAST_INSTANCE).collect::<Vec<_>>());
    assert_eq!(free_instance(&addresses).await, None);
    tracers[7].1.detach().await.unwrap();
    assert_eq!(free_instance(&addresses).await.map(Instance::number), Some(7));
}
