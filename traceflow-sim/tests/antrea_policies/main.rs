//! Antrea's own policies: read from objects, put in order, and asked.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod errors;
mod index;
mod oracle;
mod semantics;
mod unmodelled;
mod world;
