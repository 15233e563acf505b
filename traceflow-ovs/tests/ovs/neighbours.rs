//! Others on the same switches: another tracer at work, and real connections of the traced 5-tuple.

use testbed::fabric::Form;
use traceflow_core::datapath::Datapath;
use traceflow_core::names::ObjectName;
use traceflow_core::packet::{MacAddress, Packet, TcpFlags};
use traceflow_core::tracer::Tracer;
use traceflow_ovs::Instance;

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
    let world = World::demo(Form::Rootless);
    let (client, server) = (ObjectName::new("default", "pod1"), ObjectName::new("default", "pod2"));
    let packet = |from: u8, to: u8, source, destination, flags| {
        Packet::ethernet(
            MacAddress([0x0a, 0x58, 172, 16, 5, from]),
            MacAddress([0x0a, 0x58, 172, 16, 5, to]),
        )
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
    assert!(remark.contains("a connection of real traffic"), "{trace:?}");
    let tracked = world.conntrack();
    assert!(tracked.contains("sport=40000"), "{tracked}");
}

async fn until(mut holds: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(std::time::Duration::from_secs(10), async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    });
    waited.await.unwrap();
}
