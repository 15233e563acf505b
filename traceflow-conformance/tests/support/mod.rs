//! A small network that keeps every promise, and wrappers that break one each.

mod broken;
mod fabric;

pub(crate) use broken::{Broken, Flaw};
pub(crate) use fabric::{Fabric, everything};
