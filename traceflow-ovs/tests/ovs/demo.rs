//! The six traces of the demo, on real switches as on the simulator.

use std::collections::BTreeSet;

use testbed::fabric::Form;
use traceflow_core::trace::Predictor;

use crate::support::{World, lines, path};

#[tokio::test(flavor = "multi_thread")]
async fn injected_traces_are_those_of_the_simulator() {
    let world = World::demo(Form::Rootless);
    let tracer = world.tracer();
    for manifest in ["tf-pod1-to-pod2", "tf-pod1-to-pod2-icmp", "tf-pod1-to-pod3"] {
        let plan = world.plan_of(manifest);
        let predicted = world.cluster.predict(&plan).unwrap();
        let trace = tracer.trace(plan).await.unwrap();
        let expected = lines(predicted.hops.iter().map(|hop| (&hop.node, &hop.observations)));
        assert_eq!(path(&trace), expected, "{manifest}: {}", trace.verdict);
        assert_eq!(trace.verdict, predicted.verdict, "{manifest}");
        assert_eq!(trace.finding, None, "{manifest}");
    }
    tracer.close().await.unwrap();
    assert_eq!(world.leftovers().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_the_service_ends_at_one_of_its_endpoints() {
    let world = World::demo(Form::Rootless);
    let tracer = world.tracer();
    let mut ends = BTreeSet::new();
    for _ in 0..32 {
        let trace = tracer.trace(world.plan("pod1", "tf-destination", "tcp")).await.unwrap();
        let chosen = path(&trace)
            .into_iter()
            .find(|line| line.contains(" LB Forwarded "))
            .unwrap();
        let pod = chosen.split(' ').nth(3).unwrap().to_owned();
        let node = if pod == "default/pod2" { "9sf7n" } else { "qpqbg" };
        assert!(trace.verdict.to_string().ends_with(node), "{chosen}: {}", trace.verdict);
        ends.insert(pod);
    }
    assert_eq!(ends.len(), 2, "the hash of 32 source ports reaches both: {ends:?}");
    tracer.close().await.unwrap();
    assert_eq!(world.leftovers().await, Vec::<String>::new());
}
