//! A cluster of a hundred thousand Pods: its manifests, and what loading it, asking it and changing it costs.

mod manifests;
mod memory;
mod questions;
mod yaml;

use std::time::Duration;

pub use manifests::{Format, Manifests, Size};
pub use memory::Memory;
pub use questions::{Ends, Questions};

/// How long something took, many times over.
#[derive(Debug, Clone)]
pub struct Times(Vec<Duration>);

impl Times {
    /// In whatever order they were measured; there must be one at least.
    pub fn new(mut times: Vec<Duration>) -> Self {
        assert!(!times.is_empty(), "nothing was measured");
        times.sort();
        Self(times)
    }

    /// Half of them are no longer.
    pub fn median(&self) -> Duration {
        self.at_most(50)
    }

    /// So many of a hundred are no longer.
    pub fn at_most(&self, percent: usize) -> Duration {
        self.0[(self.0.len() * percent / 100).min(self.0.len() - 1)]
    }
}
