//! Numbers for commands, so that each result finds back to what it is the result of.

use std::collections::{HashMap, VecDeque};

use super::{Command, Order, OrderId};

/// The orders that were given and have no result yet.
#[derive(Debug, Default)]
pub(super) struct Orders {
    last: u64,
    queue: VecDeque<Order>,
    pending: HashMap<OrderId, Command>,
    abandoned: VecDeque<OrderId>,
}

impl Orders {
    /// Gives an order in the place of `supersedes`, if that has no result yet.
    pub(super) fn give(&mut self, command: Command, supersedes: Option<OrderId>) -> OrderId {
        self.last += 1;
        let id = OrderId(self.last);
        let supersedes = supersedes.filter(|earlier| self.pending.remove(earlier).is_some());
        self.pending.insert(id, command.clone());
        self.queue.push_back(Order {
            id,
            supersedes,
            command,
        });
        id
    }

    /// What this is the result of; `None` if nobody waits for it any more.
    pub(super) fn take(&mut self, id: OrderId) -> Option<Command> {
        self.pending.remove(&id)
    }

    /// Nobody waits for its result any more, if it has none yet.
    pub(super) fn abandon(&mut self, id: OrderId) {
        if self.pending.remove(&id).is_some() {
            self.abandoned.push_back(id);
        }
    }

    pub(super) fn poll_abandoned(&mut self) -> Option<OrderId> {
        self.abandoned.pop_front()
    }

    /// How many have no result yet, or are still to be handed out or called back.
    pub(super) fn len(&self) -> usize {
        self.pending.len() + self.queue.len() + self.abandoned.len()
    }

    pub(super) fn poll(&mut self) -> Option<Order> {
        self.queue.pop_front()
    }
}
