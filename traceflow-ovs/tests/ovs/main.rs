//! The backend on real switches: rootless ones everywhere, with namespaces and real Pods where the tests run as root.

#![expect(
    clippy::unwrap_used,
    reason = "a fabric of ours that doesn't work should stop the test"
)]

mod bounds;
mod carrier;
mod conformance;
mod demo;
mod documented;
mod faults;
mod neighbours;
mod punts;
mod stateless;
mod support;
