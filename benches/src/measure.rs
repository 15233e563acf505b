//! Wall-clock time, fit for ratios on a machine that does other things too.
//!
//! All operations take turns in short slices, so that what disturbs one disturbs the others. The slice that counts is the slowest of the fastest tenth: less work than the
//! operation needs is never done, and a busy machine still leaves one slice in ten alone.

use std::time::{Duration, Instant};

use crate::{Operation, Rounds};

/// How long one operation takes, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub struct Nanoseconds(pub f64);

/// What each operation takes, in their order. All of them together take some seconds.
pub fn measure(operations: &[&Operation]) -> Vec<Nanoseconds> {
    let mut subjects: Vec<Subject> = operations.iter().map(|operation| Subject::of(operation)).collect();
    for _ in 0..SLICES {
        for subject in &mut subjects {
            subject.measure_slice();
        }
    }
    subjects
        .into_iter()
        .map(|subject| Nanoseconds(undisturbed(subject.slices)))
        .collect()
}

const SLICES: usize = 401;
const SLICE: Duration = Duration::from_micros(500);

struct Subject {
    rounds: Rounds,
    /// How often the operation can be done in a slice.
    times: u64,
    /// Nanoseconds per operation, one for each slice.
    slices: Vec<f64>,
}

impl Subject {
    fn of(operation: &Operation) -> Self {
        let mut subject = Self {
            rounds: (operation.prepare)(),
            times: 1,
            slices: Vec::with_capacity(SLICES),
        };
        while subject.elapsed() < SLICE {
            subject.times *= 2;
        }
        subject
    }

    fn measure_slice(&mut self) {
        let elapsed = self.elapsed();
        self.slices.push(elapsed.as_nanos() as f64 / self.times as f64);
    }

    fn elapsed(&mut self) -> Duration {
        let start = Instant::now();
        (self.rounds)(self.times);
        start.elapsed()
    }
}

fn undisturbed(mut slices: Vec<f64>) -> f64 {
    slices.sort_by(f64::total_cmp);
    slices[slices.len() / 10]
}
