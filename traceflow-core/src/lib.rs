//! Ask what the network did with one packet, and why.

pub mod datapath;
pub mod error;
pub mod fanout;
pub mod input;
pub mod inventory;
pub mod mark;
#[cfg(feature = "mock")]
pub mod mock;
pub mod names;
pub mod observation;
pub mod packet;
pub mod plan;
pub mod render;
pub mod session;
pub mod spec;
pub mod trace;
pub mod tracer;

pub use error::Error;
