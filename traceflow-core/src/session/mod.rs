//! Traces as state machines: what happens goes in, what to do comes out. No I/O, no clock, no chance.
//!
//! [`Session`] is one trace; [`Sessions`] is all the traces over one set of nodes. Both take what happened through
//! `handle_*`, with the time, and hand out what is to be done through `poll_*`. A command that failed is something that
//! happened, so there is one way to clean up and every trace takes it: whatever was touched is removed before the trace
//! is over.
//!
//! [`Tracer`](crate::tracer::Tracer) drives them in one process; a controller with an agent on each node drives them
//! over the network; tests drive them in virtual time.

mod admission;
mod answer;
mod arming;
mod attempt;
mod by_node;
mod cleanup;
mod clock;
mod command;
mod conduct;
mod entrance;
mod identity;
mod listening;
mod nodes;
mod orders;
mod progress;
mod scope;
mod sessions;
mod single;
mod turns;
mod windows;
mod work;

pub use self::command::{Command, Order, OrderId, Task};
pub use self::progress::Progress;
pub use self::scope::{Reach, Scope, Watch, Watched};
pub use self::sessions::{Event, Request, Sessions};
pub use self::single::{ATTEMPTS, Session, Setup};
