//! The network that is asked: the cluster's objects, and what carries the packets.

use std::sync::Arc;

use traceflow_core::input::BadInput;
use traceflow_core::inventory::Inventory;
use traceflow_core::plan::Plan;
use traceflow_core::session::Watch;
use traceflow_core::spec::TraceSpec;
use traceflow_core::tracer::Tracer;
use traceflow_sim::{Cluster, Settings, SimNetwork, Traffic, Unmodelled};

use crate::args::NetworkArgs;
use crate::failure::Failure;

/// The simulated network, with what is to happen on it.
pub(crate) struct Network {
    pub(crate) sim: SimNetwork,
    /// What the workloads send once every live trace is armed.
    pub(crate) traffic: Vec<Traffic>,
    pub(crate) predict: bool,
    pub(crate) watch: Watch,
    random: fastrand::Rng,
    seed: u64,
}

impl Network {
    /// Reads the cluster and checks the traffic.
    pub(crate) fn load(args: &NetworkArgs) -> Result<Self, Failure> {
        let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
        let cluster = Arc::new(Cluster::from_paths(&args.cluster)?.with_seed(seed));
        if let Some(warning) = left_out(cluster.unmodelled()) {
            eprintln!("warning: {warning}");
        }
        let traffic = args
            .send
            .iter()
            .map(|text| traffic(text, &cluster))
            .collect::<Result<_, _>>()?;
        let settings = Settings {
            seed,
            ..Settings::default()
        };
        Ok(Self {
            sim: SimNetwork::with_settings(cluster, settings),
            traffic,
            predict: args.predict,
            watch: if args.all_nodes { Watch::All } else { Watch::Path },
            random: fastrand::Rng::with_seed(seed),
            seed,
        })
    }

    /// Who is who in it.
    pub(crate) fn inventory(&self) -> &dyn Inventory {
        &**self.sim.cluster()
    }

    /// Resolves a question.
    pub(crate) fn plan(&mut self, spec: &TraceSpec) -> Result<Plan, BadInput> {
        Plan::resolve(spec, &**self.sim.cluster(), &mut self.random)
    }

    /// A tracer over all its nodes. Needs a runtime.
    pub(crate) fn tracer(&self) -> Tracer {
        Tracer::builder(Arc::clone(self.sim.cluster()) as Arc<dyn Inventory>)
            .predictor(Arc::new(self.sim.clone()))
            .datapaths(self.sim.datapaths())
            .seed(self.seed)
            .start()
    }
}

/// What to say about objects that decide about packets in a real cluster and don't in the simulated one.
fn left_out(unmodelled: &[Unmodelled]) -> Option<String> {
    let decides = |object: &&Unmodelled| object.kind.ends_with("NetworkPolicy") || &*object.kind == "Egress";
    let mut named: Vec<String> = unmodelled.iter().filter(decides).map(Unmodelled::to_string).collect();
    let more = named.len().saturating_sub(NAMED);
    named.truncate(NAMED);
    if more > 0 {
        named.push(format!("{more} more"));
    }
    let what = "not part of the simulated network, so that the answer may be another one on the real one";
    (!named.is_empty()).then(|| format!("{what}: {}", named.join(", ")))
}

/// How many of the objects that are left out are named.
const NAMED: usize = 3;

/// Reads what `--send` says, and sends it over a network that nobody watches to see that it can be sent at all.
fn traffic(text: &str, cluster: &Arc<Cluster>) -> Result<Traffic, Failure> {
    let wrong = |reason: &dyn std::fmt::Display| {
        Failure::Usage(format!(
            "--send '{text}': {reason}; write 'SRC->DST FLOW', such as 'pod1->pod3 tcp,tcp_dst=80'"
        ))
    };
    let traffic: Traffic = text.parse().map_err(|error| wrong(&error))?;
    SimNetwork::new(Arc::clone(cluster))
        .send(&traffic)
        .map_err(|error| wrong(&error))?;
    Ok(traffic)
}

#[cfg(test)]
mod tests {
    use traceflow_core::input::Text;
    use traceflow_sim::Objects;

    use super::*;

    #[test]
    fn policies_that_are_not_modelled_are_named() {
        let mut objects = Objects::default();
        let mut read = |kind: &str, name: &str| {
            let text = format!("{{apiVersion: crd.antrea.io/v1beta1, kind: {kind}, metadata: {{name: {name}}}}}");
            objects.read(&Text::new("cluster", text)).unwrap();
            left_out(objects.unmodelled())
        };
        assert_eq!(read("Traceflow", "tf"), None);
        let first = read("ClusterNetworkPolicy", "a").unwrap();
        assert!(
            first.ends_with(": ClusterNetworkPolicy default/a (crd.antrea.io/v1beta1)"),
            "{first}"
        );
        for name in ["b", "c", "d", "e"] {
            read("ClusterNetworkPolicy", name);
        }
        let all = read("Egress", "out").unwrap();
        assert!(all.ends_with(", 3 more") && !all.contains("default/d"), "{all}");
    }
}
