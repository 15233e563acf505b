//! Fabrics of real switches.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod cluster;
mod root;
mod rootless;

use std::process::Command;

/// Whether there are real switches to test with; says so if not.
fn switches_are_installed() -> bool {
    let installed = Command::new("ovs-vswitchd").arg("--version").output().is_ok();
    if !installed {
        println!("skipped: ovs-vswitchd isn't installed (Debian: openvswitch-switch)");
    }
    installed
}
