//! Who waits for which answer.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::oneshot;
use traceflow_core::datapath::DatapathError;
use traceflow_openflow::message::{ErrorMessage, Message};

/// Who waits for what.
#[derive(Default)]
pub(super) struct Calls {
    /// By the number of every message that was sent for it.
    by_xid: HashMap<u32, u64>,
    calls: HashMap<u64, Waiting>,
    last: u64,
}

struct Waiting {
    call: Call,
    xids: Vec<u32>,
    /// The first thing that went wrong.
    error: Option<DatapathError>,
}

pub(super) enum Call {
    /// Ends with the reply to the last of its messages.
    Perform(oneshot::Sender<Result<(), DatapathError>>),
    Ask(oneshot::Sender<Result<Message, DatapathError>>),
}

impl Calls {
    pub(super) fn put(&mut self, xids: &[u32], call: Call) {
        self.last += 1;
        self.by_xid.extend(xids.iter().map(|&xid| (xid, self.last)));
        let waiting = Waiting {
            call,
            xids: xids.to_vec(),
            error: None,
        };
        self.calls.insert(self.last, waiting);
    }

    pub(super) fn answer(&mut self, xid: u32, message: Message) {
        let Some(waiting) = self.end(xid) else { return };
        match (waiting.call, waiting.error) {
            (Call::Perform(done), error) => drop(done.send(error.map_or(Ok(()), Err))),
            (Call::Ask(answer), None) => drop(answer.send(Ok(message))),
            (Call::Ask(answer), Some(error)) => drop(answer.send(Err(error))),
        }
    }

    pub(super) fn refuse(&mut self, xid: u32, error: ErrorMessage) {
        let Some(waiting) = self.by_xid.get(&xid).and_then(|call| self.calls.get_mut(call)) else {
            tracing::warn!(%error, "the switch refused what nobody waits for");
            return;
        };
        waiting
            .error
            .get_or_insert_with(|| DatapathError::Refused(error.to_string().into()));
        // A question has no other answer; for the rest the barrier is still to come.
        if matches!(waiting.call, Call::Ask(_)) || waiting.xids.last() == Some(&xid) {
            self.answer(xid, Message::BarrierReply);
        }
    }

    /// The reply came, and can't be read.
    pub(super) fn give_up(&mut self, xid: u32, error: &dyn std::error::Error) {
        tracing::warn!(%error, "a message of the switch can't be read");
        let Some(waiting) = self.by_xid.get(&xid).and_then(|call| self.calls.get_mut(call)) else {
            return;
        };
        let words = format!("the switch's answer can't be read: {error}");
        waiting
            .error
            .get_or_insert_with(|| DatapathError::Refused(words.into()));
        self.answer(xid, Message::BarrierReply);
    }

    fn end(&mut self, xid: u32) -> Option<Waiting> {
        let call = self.by_xid.get(&xid)?;
        let waiting = self.calls.remove(call)?;
        for xid in &waiting.xids {
            self.by_xid.remove(xid);
        }
        Some(waiting)
    }

    pub(super) fn fail_all(&mut self, reason: &Arc<str>) {
        let error = || DatapathError::Unavailable(reason.clone());
        self.by_xid.clear();
        for (_, waiting) in self.calls.drain() {
            match waiting.call {
                Call::Perform(done) => drop(done.send(Err(error()))),
                Call::Ask(answer) => drop(answer.send(Err(error()))),
            }
        }
    }
}
