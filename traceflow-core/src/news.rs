//! The news of one trace on their way to its caller. A trace has few, most callers ask for none, and there may be ten
//! thousand traces: a channel that sets aside room for dozens would be most of what a trace takes.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use crate::session::Progress;

/// The two ends.
pub(crate) fn channel() -> (Teller, Listener) {
    let shared = Arc::<Mutex<News>>::default();
    (Teller(Arc::clone(&shared)), Listener(shared))
}

/// Where news come from. When it is dropped there will be no more.
#[derive(Debug)]
pub(crate) struct Teller(Arc<Mutex<News>>);

/// Where they go to.
#[derive(Debug)]
pub(crate) struct Listener(Arc<Mutex<News>>);

#[derive(Debug, Default)]
struct News {
    unread: VecDeque<Progress>,
    over: bool,
    reader: Option<Waker>,
}

impl Teller {
    pub(crate) fn tell(&self, progress: Progress) {
        let mut news = lock(&self.0);
        news.unread.push_back(progress);
        news.wake();
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        let mut news = lock(&self.0);
        news.over = true;
        news.wake();
    }
}

impl Listener {
    /// The next; `None` when there will be no more. Cancelling it loses nothing.
    pub(crate) async fn next(&self) -> Option<Progress> {
        poll_fn(|context| {
            let mut news = lock(&self.0);
            match news.unread.pop_front() {
                None if !news.over => {
                    news.reader = Some(context.waker().clone());
                    Poll::Pending
                }
                next => Poll::Ready(next),
            }
        })
        .await
    }
}

impl News {
    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// A panic elsewhere leaves the queue whole: each push and pop is complete in itself.
fn lock(news: &Mutex<News>) -> MutexGuard<'_, News> {
    news.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn news_come_in_their_order_and_then_none() {
        let (teller, listener) = channel();
        teller.tell(Progress::Retrying { attempt: 2 });
        assert_eq!(listener.next().await, Some(Progress::Retrying { attempt: 2 }));
        assert_eq!(listener.next().now_or_never(), None, "there may be more");
        let told = async {
            tokio::task::yield_now().await;
            teller.tell(Progress::CleaningUp);
            drop(teller);
        };
        let (next, ()) = tokio::join!(listener.next(), told);
        assert_eq!(next, Some(Progress::CleaningUp));
        assert_eq!(listener.next().await, None);
    }
}
