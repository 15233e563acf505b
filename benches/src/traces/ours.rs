//! Our tracer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use traceflow_core::datapath::Datapath;
use traceflow_core::trace::{Trace, Verdict};
use traceflow_core::tracer::Tracer;
use traceflow_ovs::Instance;

use super::Failure;
use super::figures::Turn;
use super::world::{Packets, SourcePorts, World};

#[derive(Clone)]
pub(crate) struct Ours {
    tracer: Arc<Tracer>,
    sources: Arc<SourcePorts>,
}

impl Ours {
    pub(crate) fn open(world: &World) -> Result<Self, Failure> {
        let datapaths = world.datapaths(Instance::new(0))?.into_iter();
        let tracer = Tracer::builder(world.cluster.clone())
            .predictor(world.cluster.clone())
            .datapaths(datapaths.map(|datapath| datapath as Arc<dyn Datapath>))
            .start();
        Ok(Self {
            tracer: Arc::new(tracer),
            sources: world.sources.clone(),
        })
    }

    /// In a task, as a program would that has other things to do: what wakes a runtime's outermost future goes by the
    /// system.
    pub(crate) async fn trace(&self, packets: &Packets, in_flight: usize, traces: usize) -> Result<Turn, Failure> {
        let (ours, packets) = (self.clone(), packets.clone());
        tokio::spawn(async move { ours.turn(&packets, in_flight, traces).await }).await?
    }

    async fn turn(&self, packets: &Packets, in_flight: usize, traces: usize) -> Result<Turn, Failure> {
        let begun = Instant::now();
        let times = stream::iter(0..traces)
            .map(|_| self.one(packets))
            .buffer_unordered(in_flight)
            .try_collect()
            .await?;
        Ok(Turn {
            times,
            elapsed: begun.elapsed(),
        })
    }

    async fn one(&self, packets: &Packets) -> Result<Duration, Failure> {
        self.answer(packets).await.map(|(time, _)| time)
    }

    /// How long a trace took, and its answer.
    pub(super) async fn answer(&self, packets: &Packets) -> Result<(Duration, Trace), Failure> {
        let plan = packets.plan(self.sources.next());
        let begun = Instant::now();
        let trace = self.tracer.trace(plan).await?;
        let time = begun.elapsed();
        match trace.verdict {
            Verdict::Unanswered(_) => Err(format!("a trace was not answered: {}", trace.verdict).into()),
            _ if trace.hops.len() != packets.nodes => Err(format!("a trace has {} hops", trace.hops.len()).into()),
            _ => Ok((time, trace)),
        }
    }

    pub(crate) async fn close(self) -> Result<(), Failure> {
        let tracer = Arc::try_unwrap(self.tracer).map_err(|_| "a turn isn't over")?;
        Ok(tracer.close().await?)
    }
}
