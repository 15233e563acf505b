//! What a trace answers when something breaks under it, and what is left then: nothing.
//!
//! A fault happens at a stage of a trace by the order of events, never by the clock. Each answer names what happened.

mod overload;
mod policy;
mod proxy;
mod scene;
mod staged;
mod table;
