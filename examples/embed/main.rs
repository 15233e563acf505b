//! What a controller does with traceflow: it asks many questions at once, shows progress, and acts on the answers.
//!
//!     cargo run -p examples --example embed
//!
//! The network is simulated, so that it runs everywhere; with datapaths of real switches nothing else changes.

use std::error::Error;
use std::sync::Arc;

use futures_util::future::join_all;
use traceflow_core::observation::DropReason;
use traceflow_core::plan::Plan;
use traceflow_core::spec::CommandLine;
use traceflow_core::trace::{Trace, Verdict};
use traceflow_core::tracer::Tracer;
use traceflow_sim::{Cluster, SimNetwork};

const CLUSTER: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: only-the-front, namespace: default}
spec:
  podSelector: {matchLabels: {role: database}}
  ingress:
  - from: [{podSelector: {matchLabels: {role: front}}}]
    ports: [{port: 5432}]
";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    for (pod, trace) in who_reaches_the_database().await? {
        match &trace.verdict {
            Verdict::Delivered { .. } => println!("{pod} reaches the database"),
            Verdict::Dropped {
                reason: Some(DropReason::DefaultIsolation { policies }),
                ..
            } => {
                println!("{pod} doesn't: it would need a rule in {}", policies[0]);
            }
            other => println!("{pod}: {other}"),
        }
    }
    Ok(())
}

/// One trace a Pod, all at once.
async fn who_reaches_the_database() -> Result<Vec<(&'static str, Trace)>, Box<dyn Error>> {
    let cluster = Cluster::builder()
        .node("a")
        .node("b")
        .pod("front", "a")
        .label("role", "front")
        .pod("batch", "a")
        .pod("db", "b")
        .label("role", "database")
        .yaml(CLUSTER)
        .build()?;
    let network = SimNetwork::new(cluster);
    let inventory = Arc::clone(network.cluster());
    let tracer = Tracer::builder(inventory.clone())
        .datapaths(network.datapaths())
        .start();

    let mut random = fastrand::Rng::new();
    let mut running = Vec::new();
    for pod in ["front", "batch"] {
        let question = CommandLine {
            source: Some(pod),
            destination: Some("db"),
            flow: Some("tcp,tcp_dst=5432"),
            ..CommandLine::default()
        };
        let plan = Plan::resolve(&question.spec(&*inventory)?, &*inventory, &mut random)?;
        let mut tracing = tracer.trace(plan);
        running.push(async move {
            while let Some(news) = tracing.progress().await {
                eprintln!("{pod}: {news}");
            }
            Ok::<_, traceflow_core::Error>((pod, tracing.await?))
        });
    }
    let answers = join_all(running).await.into_iter().collect::<Result<_, _>>()?;
    // Nothing of ours stays on any node.
    tracer.close().await?;
    assert_eq!(network.leftovers(), [""; 0]);
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_the_front_reaches_the_database() -> Result<(), Box<dyn Error>> {
        let answers = who_reaches_the_database().await?;
        let delivered = |trace: &Trace| matches!(trace.verdict, Verdict::Delivered { .. });
        let reached: Vec<_> = answers.iter().map(|(pod, trace)| (*pod, delivered(trace))).collect();
        assert_eq!(reached, [("front", true), ("batch", false)]);
        Ok(())
    }
}
