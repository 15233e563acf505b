//! Fabrics of real switches.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod cluster;
mod program;
mod root;
mod rootless;

use std::process::Command;

use testbed::fabric::Form;

/// Whether there are real switches to test with; says so if not.
fn switches_are_installed() -> bool {
    let installed = Command::new("ovs-vswitchd").arg("--version").output().is_ok();
    if !installed {
        println!("skipped: ovs-vswitchd isn't installed (Debian: openvswitch-switch)");
    }
    installed
}

/// Whether Pods can be real; says so if not.
fn pods_can_be_real() -> bool {
    let refused = Form::Root.check().err();
    if let Some(reason) = &refused {
        println!("skipped: {reason}");
    }
    refused.is_none()
}
