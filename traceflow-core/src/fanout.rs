//! What a backend needs to keep the promises of [`Datapath::reports`](crate::datapath::Datapath::reports): every stream
//! gets every report, none waits for another, and a stream that isn't read loses the newest and says how many.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use futures_core::stream::BoxStream;
use futures_util::stream;

use crate::datapath::Report;

/// Copies each report to every stream that was opened before it.
///
/// Sending never blocks and never keeps more than `capacity` reports, and one count of losses, per stream. A stream
/// ends when the fan-out is dropped and all was read; a dropped stream costs nothing.
///
/// ```
/// use futures_util::StreamExt;
/// use traceflow_core::datapath::Report;
/// use traceflow_core::fanout::Fanout;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let fanout = Fanout::new(1024);
/// let (mut first, mut second) = (fanout.stream(), fanout.stream());
/// fanout.send(&Report::Restarted);
/// assert_eq!(first.next().await, Some(Report::Restarted));
/// assert_eq!(second.next().await, Some(Report::Restarted));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Fanout {
    capacity: usize,
    queues: Mutex<Vec<Weak<Mutex<Queue>>>>,
}

impl Fanout {
    /// A fan-out that keeps up to `capacity` unread reports per stream; at least one.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            queues: Mutex::default(),
        }
    }

    /// Hands `report` to every open stream.
    pub fn send(&self, report: &Report) {
        lock(&self.queues).retain(|queue| {
            let Some(queue) = queue.upgrade() else { return false };
            lock(&queue).push(report, self.capacity);
            true
        });
    }

    /// The reports from now on.
    pub fn stream(&self) -> BoxStream<'static, Report> {
        let queue = Arc::new(Mutex::new(Queue::default()));
        lock(&self.queues).push(Arc::downgrade(&queue));
        Box::pin(stream::poll_fn(move |context| lock(&queue).poll_next(context)))
    }
}

impl Drop for Fanout {
    fn drop(&mut self) {
        for queue in lock(&self.queues).iter().filter_map(Weak::upgrade) {
            lock(&queue).close();
        }
    }
}

/// The unread reports of one stream.
#[derive(Debug, Default)]
struct Queue {
    reports: VecDeque<Report>,
    /// How many were lost behind the last of `reports`.
    lost: u64,
    closed: bool,
    reader: Option<Waker>,
}

impl Queue {
    fn push(&mut self, report: &Report, capacity: usize) {
        if self.reports.len() >= capacity {
            self.lost += 1;
            return;
        }
        if self.lost > 0 {
            let count = std::mem::take(&mut self.lost);
            self.reports.push_back(Report::Lost { count });
        }
        self.reports.push_back(report.clone());
        self.wake();
    }

    fn poll_next(&mut self, context: &Context<'_>) -> Poll<Option<Report>> {
        if let Some(report) = self.reports.pop_front() {
            return Poll::Ready(Some(report));
        }
        if self.lost > 0 {
            let count = std::mem::take(&mut self.lost);
            return Poll::Ready(Some(Report::Lost { count }));
        }
        if self.closed {
            return Poll::Ready(None);
        }
        self.reader = Some(context.waker().clone());
        Poll::Pending
    }

    fn close(&mut self) {
        self.closed = true;
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// A panic elsewhere leaves these queues whole: each push and pop is complete in itself.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};

    use super::*;

    fn numbered(count: u64) -> Report {
        Report::Lost { count }
    }

    async fn unread(stream: &mut BoxStream<'static, Report>) -> Vec<Report> {
        let mut reports = Vec::new();
        while let Some(Some(report)) = stream.next().now_or_never() {
            reports.push(report);
        }
        reports
    }

    #[tokio::test]
    async fn every_stream_gets_every_report_from_its_opening_on() {
        let fanout = Fanout::new(8);
        let mut early = fanout.stream();
        fanout.send(&Report::Restarted);
        let mut late = fanout.stream();
        fanout.send(&numbered(7));
        assert_eq!(unread(&mut early).await, [Report::Restarted, numbered(7)]);
        assert_eq!(unread(&mut late).await, [numbered(7)]);
    }

    #[tokio::test]
    async fn an_unread_stream_loses_the_newest_and_says_how_many() {
        let fanout = Fanout::new(2);
        let (mut slow, mut quick) = (fanout.stream(), fanout.stream());
        for _ in 0..5 {
            fanout.send(&Report::Restarted);
            assert_eq!(
                unread(&mut quick).await,
                [Report::Restarted],
                "another's slowness costs nothing"
            );
        }
        let all = [Report::Restarted, Report::Restarted, Report::Lost { count: 3 }];
        assert_eq!(unread(&mut slow).await, all);
        fanout.send(&Report::Restarted);
        assert_eq!(unread(&mut slow).await, [Report::Restarted], "reading makes room");
    }

    #[tokio::test]
    async fn a_loss_stands_where_it_happened() {
        let fanout = Fanout::new(2);
        let mut stream = fanout.stream();
        for _ in 0..3 {
            fanout.send(&Report::Restarted);
        }
        let _ = stream.next().await;
        fanout.send(&Report::Restarted);
        let rest = [Report::Restarted, Report::Lost { count: 1 }, Report::Restarted];
        assert_eq!(unread(&mut stream).await, rest);
    }

    #[tokio::test]
    async fn a_waiting_reader_wakes_and_the_stream_ends_with_the_fanout() {
        let fanout = Fanout::new(2);
        let mut stream = fanout.stream();
        let reader = tokio::spawn(async move { (stream.next().await, stream.next().await) });
        tokio::task::yield_now().await;
        fanout.send(&Report::Restarted);
        drop(fanout);
        assert_eq!(reader.await.unwrap(), (Some(Report::Restarted), None));
    }

    #[tokio::test]
    async fn a_dropped_stream_is_forgotten() {
        let fanout = Fanout::new(2);
        drop(fanout.stream());
        fanout.send(&Report::Restarted);
        assert!(lock(&fanout.queues).is_empty());
    }
}
