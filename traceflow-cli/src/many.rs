//! Asking very many questions at once.

use std::future::Future;
use std::sync::Arc;

use traceflow_core::tracer::Tracer;

use crate::ask::close;
use crate::failure::Failure;
use crate::network::Network;
use crate::signals::Signals;

/// Has `ask` trace over the network's datapaths. Whatever ends it, everything that was put in place is removed first.
///
/// It runs in a task, which is quicker: what wakes a runtime's outermost future goes by the operating system.
pub(crate) fn traced<A, F, T>(network: &Network, ask: A) -> Result<T, Failure>
where
    A: FnOnce(Arc<Tracer>) -> F,
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let runtime = network.datapaths.runtime().map_err(Failure::Runtime)?;
    runtime.block_on(async {
        let mut signals = Signals::listen().map_err(Failure::Runtime)?;
        let tracer = Arc::new(network.tracer().await?);
        let mut asking = tokio::spawn(ask(Arc::clone(&tracer)));
        let outcome = tokio::select! {
            answered = &mut asking => answered.map_err(Failure::Panicked),
            signal = signals.next() => {
                // Its traces are cancelled with it, and only then nobody else has the tracer.
                asking.abort();
                let _ = (&mut asking).await;
                Err(Failure::Interrupted(signal))
            }
        };
        if let Some(tracer) = Arc::into_inner(tracer) {
            close(tracer, &mut signals).await;
        }
        outcome
    })
}
