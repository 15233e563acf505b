//! The program `testbed`: what its commands do, say and leave.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use serde_json::Value;
use tempfile::TempDir;

use crate::{pods_can_be_real, switches_are_installed};

#[test]
fn a_rootless_testbed_is_up_until_it_is_taken_down() {
    let Some(place) = place() else { return };
    let state = place.path().join("state");
    succeeds(&testbed("up", &state, &DEMO_ROOTLESS));
    let sockets = sockets(&state);
    assert_eq!(sockets.len(), 6);
    let mut connections = connected(&sockets);
    let again = testbed("up", &state, &DEMO_ROOTLESS);
    let path = state.display();
    fails(
        &again,
        2,
        &format!("error: a testbed is up in {path}; `testbed down --state {path}` ends it\n"),
    );

    succeeds(&testbed("down", &state, &[]));
    assert!(connections.iter_mut().all(ends), "a daemon lives on");
    assert!(!state.exists());
    succeeds(&testbed("down", &state, &[]));
}

#[test]
fn nothing_outlives_a_killed_supervisor_and_up_and_down_sweep_what_it_left() {
    let Some(place) = place() else { return };
    let state = place.path().join("state");
    for sweep in ["up", "down"] {
        succeeds(&testbed("up", &state, &DEMO_ROOTLESS));
        kill_supervisor(&state);
        assert!(state.join("nodes.yaml").exists(), "nobody had the time to remove it");
        let arguments: &[&str] = if sweep == "up" { &DEMO_ROOTLESS } else { &[] };
        succeeds(&testbed(sweep, &state, arguments));
        if sweep == "up" {
            assert_eq!(connected(&sockets(&state)).len(), 6);
            succeeds(&testbed("down", &state, &[]));
        }
        assert!(!state.join("nodes.yaml").exists());
        assert!(!state.join("fabric").exists());
    }
}

#[test]
fn a_directory_of_the_users_is_kept_with_what_is_in_it() {
    let Some(place) = place() else { return };
    let notes = place.path().join("notes");
    fs::write(&notes, "mine").unwrap();
    succeeds(&testbed("up", place.path(), &DEMO_ROOTLESS));
    succeeds(&testbed("down", place.path(), &[]));
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    assert!(notes.exists());
}

#[test]
fn a_command_runs_in_a_pod_and_its_exit_status_is_ours() {
    let Some(place) = place() else { return };
    if !pods_can_be_real() {
        return;
    }
    let state = place.path().join("state");
    succeeds(&testbed("up", &state, &DEMO));
    let addresses = testbed("exec", &state, &["default/pod3", "--", "ip", "-4", "address"]);
    assert!(text(&addresses.stdout).contains(" 172.16.3.8/24 "), "{addresses:?}");
    let script = "exec 3<>/dev/tcp/172.16.3.8/80 && head -n 1 <&3";
    let greeting = testbed("exec", &state, &["pod1", "--", "bash", "-c", script]);
    assert_eq!(text(&greeting.stdout), "default/pod3\n");
    assert_eq!(
        testbed("exec", &state, &["pod1", "--", "sh", "-c", "exit 7"])
            .status
            .code(),
        Some(7)
    );
    let unknown = testbed("exec", &state, &["shop/pod1", "--", "true"]);
    let pods = "default/pod1, default/pod2, default/pod3";
    fails(
        &unknown,
        2,
        &format!("error: no Pod is named shop/pod1; there are: {pods}\n"),
    );

    kill_supervisor(&state);
    let gone = testbed("exec", &state, &["pod1", "--", "true"]);
    fails(&gone, 2, &format!("error: no testbed is up in {}\n", state.display()));
    succeeds(&testbed("down", &state, &[]));
    assert!(!state.exists());
}

#[test]
fn who_is_not_root_is_told_of_the_rootless_form_and_can_use_it() {
    let Some(place) = place() else { return };
    if !geteuid().is_root() {
        println!("skipped: only root can become somebody else");
        return;
    }
    // Nobody may not look into the directory of the build, or of the sources.
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let (program, cluster) = (place.path().join("testbed"), place.path().join("cluster.yaml"));
    fs::copy(env!("CARGO_BIN_EXE_testbed"), &program).unwrap();
    fs::copy(root().join("examples/demo/cluster.yaml"), &cluster).unwrap();
    let state = place.path().join("state");
    let nobody = |command: &str, more: &[&str]| {
        let mut nobody = Command::new("setpriv");
        nobody
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(&program);
        nobody
            .arg(command)
            .arg("--state")
            .arg(&state)
            .args(more)
            .current_dir("/")
            .output()
            .unwrap()
    };
    let cluster = ["--cluster", cluster.to_str().unwrap()];
    let refused =
        "error: real Pods in network namespaces need root: run as root, or use the rootless form (--rootless)\n";
    fails(&nobody("up", &cluster), 2, refused);
    succeeds(&nobody("up", &[cluster[0], cluster[1], "--rootless"]));
    let port = nobody("exec", &["pod1", "--", "true"]);
    fails(
        &port,
        2,
        "error: Pod default/pod1 is only a port of a rootless testbed: nothing can run in it\n",
    );
    succeeds(&nobody("down", &[]));
    assert!(!state.exists());
}

#[test]
fn bad_input_is_refused_before_anything_is_made() {
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("state");
    let missing = testbed("up", &state, &["--cluster", "nowhere", "--rootless"]);
    fails(
        &missing,
        2,
        "error: can't read nowhere: No such file or directory (os error 2)\n",
    );
    let wrong = place.path().join("wrong.yaml");
    fs::write(&wrong, "apiVersion: v1\nkind: Pod\nmetadata: {name: [a]}\n").unwrap();
    let wrong = testbed("up", &state, &["--cluster", wrong.to_str().unwrap(), "--rootless"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("wrong.yaml:3:"), "{wrong:?}");
    assert!(!state.exists());
    let nothing = testbed("exec", &state, &["pod1", "--", "true"]);
    fails(
        &nothing,
        2,
        &format!("error: no testbed is up in {}\n", state.display()),
    );
}

const DEMO: [&str; 2] = ["--cluster", "examples/demo"];
const DEMO_ROOTLESS: [&str; 3] = ["--cluster", "examples/demo", "--rootless"];

/// Nothing, and the reason printed, on a machine without Open vSwitch.
fn place() -> Option<TempDir> {
    switches_are_installed().then(|| tempfile::tempdir().unwrap())
}

/// Runs the program in the repository's root.
fn testbed(command: &str, state: &Path, more: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_testbed"));
    program
        .arg(command)
        .arg("--state")
        .arg(state)
        .args(more)
        .current_dir(root())
        .output()
        .unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The sockets that nodes.yaml names.
fn sockets(state: &Path) -> Vec<PathBuf> {
    let nodes: Value = serde_saphyr::from_str(&fs::read_to_string(state.join("nodes.yaml")).unwrap()).unwrap();
    let sockets = nodes["nodes"].as_array().unwrap().iter().flat_map(|node| {
        let sockets = ["openflow", "unixctl", "ovsdb"].map(|key| node[key].as_str().unwrap());
        sockets.map(|socket| PathBuf::from(socket.strip_prefix("unix:").unwrap()))
    });
    sockets.collect()
}

fn connected(sockets: &[PathBuf]) -> Vec<UnixStream> {
    sockets
        .iter()
        .map(|socket| UnixStream::connect(socket).unwrap())
        .collect()
}

/// Waits until the other side is gone.
fn ends(connection: &mut UnixStream) -> bool {
    connection
        .set_read_timeout(Some(std::time::Duration::from_secs(20)))
        .unwrap();
    match connection.read_to_end(&mut Vec::new()) {
        Ok(_) => true,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

/// Kills the supervisor as `kill -9` does, and waits until it and every daemon are gone.
fn kill_supervisor(state: &Path) {
    let mut connections = connected(&sockets(state));
    let lock = state.join("testbed.lock");
    let owner = fs::read_to_string(&lock).unwrap();
    let supervisor = owner.split(' ').next().unwrap().parse().unwrap();
    kill(Pid::from_raw(supervisor), Signal::SIGKILL).unwrap();
    assert!(connections.iter_mut().all(ends), "a daemon outlives its supervisor");
    fs::File::open(lock).unwrap().lock().unwrap();
}

fn succeeds(output: &Output) {
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

fn fails(output: &Output, status: i32, message: &str) {
    assert_eq!(
        (output.status.code(), text(&output.stderr)),
        (Some(status), message.to_owned())
    );
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
