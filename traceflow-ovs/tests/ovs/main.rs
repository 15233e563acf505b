//! The backend on real switches: rootless ones everywhere, with namespaces and real Pods where the tests run as root.

#![expect(
    clippy::unwrap_used,
    reason = "a fabric of ours that doesn't work should stop the test"
)]

mod antrea_policies;
mod bounds;
mod carrier;
mod conformance;
mod crowd;
mod demo;
mod documented;
mod egress;
mod ends;
mod faults;
mod neighbours;
mod policed;
mod ports;
mod punts;
mod put_out;
mod receipts;
mod services;
mod soak;
mod stateless;
mod strangers;
mod support;
mod traffic;
mod undisturbed;
