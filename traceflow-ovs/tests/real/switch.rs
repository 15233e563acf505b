//! A rootless Open vSwitch of a test's own, in a folder of its own, gone with the test.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use traceflow_ovs::address::Address;

/// Longer than anything takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Switch {
    // Dropped in this order: first the processes, then their folder.
    vswitchd: Server,
    _ovsdb: Server,
    folder: TempDir,
}

impl Switch {
    /// A running switch without bridges; none, with a word why, where Open vSwitch isn't installed.
    pub(crate) fn start() -> Option<Self> {
        if Command::new("ovs-vswitchd")
            .arg("--version")
            .stdout(Stdio::null())
            .status()
            .is_err()
        {
            println!("skipped: ovs-vswitchd is not on this machine (apt-get install openvswitch-switch)");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("conf.db");
        run(Command::new("ovsdb-tool")
            .arg("create")
            .arg(&database)
            .arg("/usr/share/openvswitch/vswitch.ovsschema"));
        let ovsdb = start_ovsdb(folder.path());
        run(Command::new("ovs-vsctl")
            .arg(format!("--db=unix:{}/db.sock", folder.path().display()))
            .args(["--no-wait", "init"]));
        let vswitchd = start_vswitchd(folder.path());
        Some(Self {
            vswitchd,
            _ovsdb: ovsdb,
            folder,
        })
    }

    /// `ovs-vsctl` with these words; returns once the switch has done it.
    pub(crate) fn vsctl(&self, words: &str) {
        let mut command = Command::new("ovs-vsctl");
        command
            .arg(format!("--db={}", self.database()))
            .arg("--timeout=30")
            .args(words.split_whitespace());
        run(&mut command);
    }

    /// `ovs-ofctl -O OpenFlow15 COMMAND BRIDGE WORD`.
    pub(crate) fn ofctl(&self, command: &str, bridge: &str, word: &str) {
        let bridge = format!("unix:{}", self.path(&format!("{bridge}.mgmt")).display());
        run(Command::new("ovs-ofctl").args(["-O", "OpenFlow15", command, &bridge, word]));
    }

    /// Where the switch's control socket is.
    pub(crate) fn unixctl(&self) -> Address {
        Address::from(self.path("vswitchd.ctl").as_path())
    }

    /// Where its database is.
    pub(crate) fn database(&self) -> Address {
        Address::from(self.path("db.sock").as_path())
    }

    /// Kills the switch and starts another with the same database.
    pub(crate) fn restart(&mut self) {
        self.vswitchd.end();
        self.vswitchd = start_vswitchd(self.folder.path());
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn start_ovsdb(folder: &Path) -> Server {
    let path = |name: &str| folder.join(name).display().to_string();
    Server::start(
        "ovsdb-server",
        folder,
        &[
            path("conf.db"),
            format!("--remote=punix:{}", path("db.sock")),
            format!("--unixctl={}", path("ovsdb.ctl")),
        ],
    )
}

fn start_vswitchd(folder: &Path) -> Server {
    let path = |name: &str| folder.join(name).display().to_string();
    let database = format!("unix:{}", path("db.sock"));
    let unixctl = format!("--unixctl={}", path("vswitchd.ctl"));
    let rootless = ["--enable-dummy", "--disable-system", "--disable-system-route"].map(str::to_owned);
    Server::start(
        "ovs-vswitchd",
        folder,
        &[&[database, unixctl], rootless.as_slice()].concat(),
    )
}

struct Server(Child);

impl Server {
    /// Returns once the process says that it runs: its sockets are open by then. It dies with the thread that called.
    fn start(program: &str, folder: &Path, arguments: &[String]) -> Self {
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", program])
            .args(arguments)
            .args(["-vconsole:info", "--no-chdir"]);
        for folder_of in ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"] {
            command.env(folder_of, folder);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut server = Self(command.spawn().unwrap());
        let mut log = BufReader::new(server.0.stderr.take().unwrap()).lines();
        let greeting = format!("{program} (Open vSwitch)");
        let said: Vec<String> = log
            .by_ref()
            .map_while(Result::ok)
            .take_while(|line| !line.contains(&greeting))
            .collect();
        assert!(server.0.try_wait().unwrap().is_none(), "{program} ended: {said:#?}");
        // Whoever doesn't read on stops the process once the pipe is full.
        thread::spawn(move || log.for_each(drop));
        server
    }

    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
