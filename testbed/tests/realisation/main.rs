//! What the realisation's flows make real switches do, next to what the simulator says.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod agreement;
mod frames;
mod golden;
mod switch;
mod traced;
mod walk;

use std::process::Command;

/// Whether there are real switches to test with; says so if not.
fn switches_are_installed() -> bool {
    let installed = Command::new("ovs-vswitchd").arg("--version").output().is_ok();
    if !installed {
        println!("skipped: ovs-vswitchd isn't installed (Debian: openvswitch-switch)");
    }
    installed
}
