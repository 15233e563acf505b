//! Deadlines from durations that others chose.

use std::time::{Duration, Instant};

/// The moment that long from now. Durations of plans and capabilities come from outside, and an instant can overflow.
pub(super) fn later(now: Instant, duration: Duration) -> Instant {
    now + duration.min(FOR_EVER)
}

const FOR_EVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
