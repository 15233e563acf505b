//! The six traces of the demo, on real switches as on the simulator.

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
    }
    tracer.close().await.unwrap();
    assert_eq!(world.leftovers().await, Vec::<String>::new());
}
