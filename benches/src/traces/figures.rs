//! What many traces took, as a few numbers.

use std::time::Duration;

/// What one contestant took in one scenario, all its turns together.
#[derive(Debug, Default)]
pub struct Figures {
    times: Vec<Duration>,
    elapsed: Duration,
}

/// What a contestant took in one turn.
pub(crate) struct Turn {
    /// Of each trace.
    pub(crate) times: Vec<Duration>,
    /// Of all of them, one beside the other.
    pub(crate) elapsed: Duration,
}

impl Figures {
    pub(super) fn add(&mut self, turn: Turn) {
        self.times.extend(turn.times);
        self.times.sort_unstable();
        self.elapsed += turn.elapsed;
    }

    /// How long a trace takes that as many are quicker than as slower, in microseconds.
    pub fn median(&self) -> f64 {
        self.quantile(50)
    }

    /// How long it takes where only one in ten is quicker, in microseconds: the machine left it alone.
    pub fn quick(&self) -> f64 {
        self.quantile(10)
    }

    /// How long it takes where only one in a hundred is slower, in microseconds.
    pub fn slow(&self) -> f64 {
        self.quantile(99)
    }

    /// Traces in a second.
    pub fn throughput(&self) -> f64 {
        self.times.len() as f64 / self.elapsed.as_secs_f64()
    }

    fn quantile(&self, percent: usize) -> f64 {
        let time = self.times.get(self.times.len() * percent / 100);
        time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_all_turns_together() {
        let mut figures = Figures::default();
        for milliseconds in [3, 1, 2] {
            let time = Duration::from_millis(milliseconds);
            figures.add(Turn {
                times: vec![time],
                elapsed: time,
            });
        }
        assert_eq!(figures.quick(), 1_000.0);
        assert_eq!(figures.median(), 2_000.0);
        assert_eq!(figures.slow(), 3_000.0);
        assert_eq!(figures.throughput(), 500.0);
    }
}
