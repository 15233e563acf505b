//! How far many packets are: a bar where somebody looks, a line now and then where nobody does.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What is told on standard error while packets are answered.
pub(crate) struct Progress {
    shown: Shown,
    total: usize,
}

enum Shown {
    Bar(ProgressBar),
    Lines { next: Instant },
}

/// How often a line is written where standard error is no terminal.
const PAUSE: Duration = Duration::from_secs(10);

impl Progress {
    /// Nothing of so many is answered yet.
    pub(crate) fn of(total: usize) -> Self {
        let shown = if io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{wide_bar} {pos} of {len}, {per_sec:.0}, {eta} to go");
            Shown::Bar(bar.with_style(style.expect("the template is right")))
        } else {
            Shown::Lines {
                next: Instant::now() + PAUSE,
            }
        };
        Self { shown, total }
    }

    /// So many are answered by now.
    pub(crate) fn answered(&mut self, count: usize) {
        // A prediction takes less than looking at the clock.
        if !count.is_multiple_of(EVERY) {
            return;
        }
        match &mut self.shown {
            Shown::Bar(bar) => bar.set_position(count as u64),
            Shown::Lines { next } => {
                let now = Instant::now();
                if now >= *next {
                    *next = now + PAUSE;
                    eprintln!("{count} of {} answered", self.total);
                }
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

/// How many answers pass before the next is told.
const EVERY: usize = 16;
