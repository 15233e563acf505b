//! The network that is asked: the cluster's objects, and what carries the packets.

use std::sync::Arc;

use traceflow_core::input::BadInput;
use traceflow_core::inventory::Inventory;
use traceflow_core::plan::Plan;
use traceflow_core::session::Watch;
use traceflow_core::spec::TraceSpec;
use traceflow_core::tracer::Tracer;
use traceflow_sim::{Cluster, Unmodelled};

use crate::args::{NetworkArgs, WayArgs};
use crate::datapaths::Datapaths;
use crate::failure::Failure;

/// The cluster, and what carries the packets in it.
pub(crate) struct Network {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) datapaths: Datapaths,
    pub(crate) predict: bool,
    pub(crate) watch: Watch,
    random: fastrand::Rng,
    pub(crate) seed: u64,
}

impl Network {
    /// Reads the cluster, and what is said about its datapaths.
    pub(crate) fn load(args: &NetworkArgs, way: &WayArgs) -> Result<Self, Failure> {
        let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
        let cluster = Arc::new(Cluster::from_paths(&args.cluster)?.with_seed(seed));
        if let Some(warning) = left_out(cluster.unmodelled()) {
            eprintln!("warning: {warning}");
        }
        Ok(Self {
            datapaths: Datapaths::load(args, way, &cluster, seed)?,
            cluster,
            predict: way.predict,
            watch: if way.all_nodes { Watch::All } else { Watch::Path },
            random: fastrand::Rng::with_seed(seed),
            seed,
        })
    }

    /// Who is who in it.
    pub(crate) fn inventory(&self) -> &dyn Inventory {
        &*self.cluster
    }

    /// Resolves a question.
    pub(crate) fn plan(&mut self, spec: &TraceSpec) -> Result<Plan, BadInput> {
        Plan::resolve(spec, &*self.cluster, &mut self.random)
    }

    /// A tracer over all its nodes. Needs the datapaths' runtime.
    pub(crate) async fn tracer(&self) -> Result<Tracer, Failure> {
        let datapaths = self.datapaths.open().await?;
        let tracer = Tracer::builder(Arc::clone(&self.cluster) as Arc<dyn Inventory>)
            .predictor(self.datapaths.predictor())
            .datapaths(datapaths)
            .seed(self.seed);
        Ok(tracer.start())
    }
}

/// What to say about objects that decide about packets in a real cluster and don't in the simulated one.
fn left_out(unmodelled: &[Unmodelled]) -> Option<String> {
    let decides = |object: &&Unmodelled| {
        object.kind.ends_with("NetworkPolicy") || matches!(&*object.kind, "Egress" | "ClusterGroup" | "Group")
    };
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

#[cfg(test)]
mod tests {
    use traceflow_core::input::Text;
    use traceflow_sim::Objects;

    use super::*;

    #[test]
    fn policies_that_are_not_modelled_are_named() {
        let mut objects = Objects::default();
        let mut read = |kind: &str, name: &str| {
            let text = format!("{{apiVersion: v1alpha1, kind: {kind}, metadata: {{name: {name}}}}}");
            objects.read(&Text::new("cluster", text)).unwrap();
            left_out(objects.unmodelled())
        };
        assert_eq!(read("Traceflow", "tf"), None);
        let first = read("AdminNetworkPolicy", "a").unwrap();
        assert!(first.ends_with(": AdminNetworkPolicy default/a (v1alpha1)"), "{first}");
        for name in ["b", "c", "d", "e"] {
            read("AdminNetworkPolicy", name);
        }
        let all = read("Egress", "out").unwrap();
        assert!(all.ends_with(", 3 more") && !all.contains("default/d"), "{all}");
    }
}
