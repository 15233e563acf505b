//! What a testbed that is up leaves in its directory for the other commands.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use testbed::fabric::Fabric;

/// For traceflow: where the switches are.
pub(crate) fn nodes_file(state: &Path) -> PathBuf {
    state.join("nodes.yaml")
}

/// Who connects here asks for the end.
pub(crate) fn control_socket(state: &Path) -> PathBuf {
    state.join("fabric/control")
}

/// The Pods, with the place of each one's network namespace, or nothing in a rootless testbed.
pub(crate) fn write_pods(fabric: &Fabric, state: &Path) -> io::Result<()> {
    let lines = fabric.pods().map(|port| {
        let place = fabric.namespace_of(&port.pod).unwrap_or_default();
        format!("{} {place}\n", port.pod)
    });
    fs::write(pods_file(state), lines.collect::<String>())
}

/// The same, read.
pub(crate) fn read_pods(state: &Path) -> io::Result<Vec<(String, String)>> {
    let text = fs::read_to_string(pods_file(state))?;
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    Ok(lines.map(|(pod, place)| (pod.to_owned(), place.to_owned())).collect())
}

fn pods_file(state: &Path) -> PathBuf {
    state.join("fabric/pods")
}
