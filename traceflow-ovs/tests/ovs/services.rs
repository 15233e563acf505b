//! What injected traces tell of Services on switches.

use testbed::fabric::Form;
use traceflow_core::names::ObjectName;
use traceflow_core::observation::{Component, Observation};
use traceflow_core::trace::{Predictor, Trace};
use traceflow_sim::Cluster;

use crate::support::World;

fn load_balanced(trace: &Trace) -> &Observation {
    let mut seen = trace.hops.iter().flat_map(|hop| &hop.observations);
    seen.find(|seen| seen.component == Component::Lb).unwrap()
}

/// A Service with one endpoint, of the node's own network.
fn cluster() -> Cluster {
    let node = Cluster::builder()
        .node("one")
        .pod_cidr("10.0.1.0/24")
        .address("192.168.77.1");
    node.pod("client", "one")
        .pod("agent", "one")
        .host_network()
        .label("app", "agent")
        .pod("web", "one")
        .label("app", "web")
        .service("names", 53)
        .selects("app", "agent")
        .service("shop", 80)
        .selects("app", "web")
        .build()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_of_the_nodes_own_network_is_told_by_its_pod() {
    let world = World::of(cluster(), Form::Rootless);
    let tracer = world.tracer();
    let plan = world.plan("client", "names", "tcp,tcp_dst=53");
    let predicted = world.cluster.predict(&plan).unwrap();
    let trace = tracer.trace(plan).await.unwrap();
    assert_eq!(load_balanced(&trace).pod, Some(ObjectName::new("default", "agent")));
    assert_eq!((&trace.verdict, &trace.finding), (&predicted.verdict, &None));
    tracer.close().await.unwrap();
}

/// The userspace datapath calls such a connection established as soon as it was committed.
#[tokio::test(flavor = "multi_thread")]
async fn a_bare_ack_is_nobody_elses_and_leaves_no_connection() {
    let world = World::of(cluster(), Form::Rootless);
    let tracer = world.tracer();
    let plan = world.plan("client", "shop", "tcp,tcp_src=40002,tcp_dst=80,tcp_flags=0x10");
    let trace = tracer.trace(plan).await.unwrap();
    let remarks = trace.hops.iter().flat_map(|hop| &hop.observations);
    let remarks: Vec<_> = remarks.filter_map(|seen| seen.remark.as_ref()).collect();
    assert!(remarks.is_empty(), "{remarks:?}");
    assert!(!world.conntrack().contains("sport=40002"), "{}", world.conntrack());
    tracer.close().await.unwrap();
    assert_eq!(world.leftovers().await, Vec::<String>::new());
}
