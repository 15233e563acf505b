//! Waiting for the switch's flow cache, once for all who wait at the same time.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

/// Each wait covers everybody who asked before it began; who asks later needs the next one.
#[derive(Debug, Default)]
pub(crate) struct Settling {
    asked: AtomicU64,
    /// Who asked as the so-manieth or before is covered. Held while a wait is under way.
    covered: Mutex<u64>,
}

impl Settling {
    /// Returns when a `wait` is over that began after this call.
    pub(crate) async fn settle<F: Future<Output = ()>>(&self, wait: impl FnOnce() -> F) {
        let mine = self.asked.fetch_add(1, Ordering::AcqRel) + 1;
        let mut covered = self.covered.lock().await;
        if *covered >= mine {
            return;
        }
        let covers = self.asked.load(Ordering::Acquire);
        wait().await;
        *covered = covers;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join_all;
    use tokio::time::{Instant, sleep};

    use super::*;

    const WAIT: Duration = Duration::from_millis(500);

    #[tokio::test(start_paused = true)]
    async fn a_hundred_who_ask_at_once_wait_twice_at_most() {
        let (settling, begun) = (Settling::default(), AtomicU64::new(0));
        let wait = || {
            begun.fetch_add(1, Ordering::Relaxed);
            sleep(WAIT)
        };
        let start = Instant::now();
        join_all((0..100).map(|_| settling.settle(wait))).await;
        assert!(begun.load(Ordering::Relaxed) <= 2);
        assert!(start.elapsed() <= 2 * WAIT);
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_during_a_wait_is_not_served_by_it() {
        let settling = Settling::default();
        let start = Instant::now();
        let late = async {
            sleep(WAIT / 2).await;
            settling.settle(|| sleep(WAIT)).await;
            start.elapsed()
        };
        let (_, late) = tokio::join!(settling.settle(|| sleep(WAIT)), late);
        assert_eq!(late, 2 * WAIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_dropped_covers_nobody() {
        let settling = Settling::default();
        let dropped = tokio::time::timeout(WAIT / 2, settling.settle(|| sleep(WAIT)));
        assert!(dropped.await.is_err());
        let start = Instant::now();
        settling.settle(|| sleep(WAIT)).await;
        assert_eq!(start.elapsed(), WAIT);
    }
}
