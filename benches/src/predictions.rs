//! Traces of the demo, predicted by the simulated network.

use std::hint::black_box;

use traceflow_core::input::Text;
use traceflow_core::plan::Plan;
use traceflow_core::spec::Manifest;
use traceflow_core::trace::Predictor;
use traceflow_sim::Cluster;

use crate::{Operation, Rounds};

pub(crate) static TO_POD: Operation = Operation {
    name: "traceflow: predict the demo's trace to a Pod",
    prepare: || predict(include_str!("../../examples/demo/tf-pod1-to-pod2.yaml")),
};

pub(crate) static TO_OTHER_NODE: Operation = Operation {
    name: "traceflow: predict the demo's trace to another node",
    prepare: || predict(include_str!("../../examples/demo/tf-pod1-to-pod3.yaml")),
};

pub(crate) static TO_SERVICE: Operation = Operation {
    name: "traceflow: predict the demo's trace to a Service",
    prepare: || predict(include_str!("../../examples/demo/tf-pod1-to-svc.yaml")),
};

fn predict(manifest: &str) -> Rounds {
    let cluster = Cluster::from_yaml(include_str!("../../examples/demo/cluster.yaml")).expect("the demo is good input");
    let plan = plan(&cluster, manifest);
    Box::new(move |times| {
        for _ in 0..times {
            let _ = black_box(cluster.predict(black_box(&plan)));
        }
    })
}

fn plan(cluster: &Cluster, manifest: &str) -> Plan {
    let manifests = Manifest::read(&Text::new("demo", manifest)).expect("the demo is good input");
    manifests[0]
        .plan(cluster, &mut fastrand::Rng::with_seed(0))
        .expect("the demo's names are in its cluster")
}

#[cfg(test)]
mod tests {
    use super::*;
    use traceflow_core::trace::Verdict;

    #[test]
    fn the_demos_traces_are_predicted_to_arrive() {
        let cluster = Cluster::from_yaml(include_str!("../../examples/demo/cluster.yaml")).unwrap();
        for manifest in [
            include_str!("../../examples/demo/tf-pod1-to-pod2.yaml"),
            include_str!("../../examples/demo/tf-pod1-to-pod3.yaml"),
            include_str!("../../examples/demo/tf-pod1-to-svc.yaml"),
        ] {
            let verdict = cluster.predict(&plan(&cluster, manifest)).unwrap().verdict;
            assert!(matches!(verdict, Verdict::Delivered { .. }), "{verdict:?}");
        }
    }
}
