//! Very many traces, of all kinds mixed, to see that none is lost.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::ours::Ours;
use super::world::World;
use super::{Failure, SCENARIOS};

/// What came of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Many {
    /// How many were answered as they should be.
    pub answered: usize,
    /// Of how many the first packet was lost.
    pub tried_again: usize,
    /// How many say that reports were lost.
    pub with_losses: usize,
    /// How long it took.
    pub elapsed: Duration,
}

/// Traces so many packets, so many at a time, on switches that it starts.
///
/// # Errors
/// If the switches don't start, or a trace doesn't end as it should.
pub fn many(traces: usize, at_once: usize) -> Result<Many, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let world = World::start()?;
    let packets = SCENARIOS
        .iter()
        .map(|&scenario| world.packets(scenario))
        .collect::<Result<Vec<_>, _>>()?;
    let ours = runtime.block_on(async { Ours::open(&world) })?;
    let traced = ours.clone();
    let came_of_it = runtime.block_on(async {
        let traces = async move {
            let begun = Instant::now();
            let all = stream::iter(0..traces)
                .map(|number| traced.answer(&packets[number % packets.len()]))
                .buffer_unordered(at_once);
            let told = all.try_fold(Many::default(), async |mut many, (_, trace)| {
                many.answered += 1;
                many.tried_again += usize::from(trace.attempts > 1);
                many.with_losses += usize::from(trace.notes.iter().any(|note| note.contains("lost")));
                Ok(many)
            });
            let elapsed = |many| Many {
                elapsed: begun.elapsed(),
                ..many
            };
            told.await.map(elapsed)
        };
        tokio::spawn(traces).await?
    })?;
    runtime.block_on(ours.close())?;
    Ok(came_of_it)
}
