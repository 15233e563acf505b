//! `ovn-trace`, which predicts as we do: for OVN's logical network. Its databases, the program that fills them and `ovn-trace` itself
//! run in a folder of their own, with the bench's client and server on one logical switch.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::control::Line;
use crate::traces::Failure;

/// OVN's programs at work.
#[derive(Debug)]
pub(crate) struct Ovn {
    folder: TempDir,
    daemons: Vec<Child>,
}

/// Where packages put the schemas of the two databases.
const SCHEMAS: &str = "/usr/share/ovn";

/// The packet of the bench, in OVN's words.
const PACKET: &str = "inport==\"client\" && eth.src==0a:58:0a:00:01:0a && eth.dst==0a:58:0a:00:01:0b && ip4.src==10.0.1.10 && \
                      ip4.dst==10.0.1.11 && ip.ttl==64 && tcp && tcp.src==40000 && tcp.dst==80";

/// A switch with client and server, and the policy that lets the one reach the other.
const NETWORK: &[&str] = &[
    "init",
    "--",
    "ls-add",
    "switch",
    "--",
    "lsp-add",
    "switch",
    "client",
    "--",
    "lsp-set-addresses",
    "client",
    "0a:58:0a:00:01:0a 10.0.1.10",
    "--",
    "lsp-add",
    "switch",
    "server",
    "--",
    "lsp-set-addresses",
    "server",
    "0a:58:0a:00:01:0b 10.0.1.11",
    "--",
    "acl-add",
    "switch",
    "to-lport",
    "1000",
    "outport == \"server\" && ip4.src == 10.0.1.10 && tcp.dst == 80",
    "allow-related",
    "--",
    "acl-add",
    "switch",
    "to-lport",
    "900",
    "outport == \"server\" && ip4",
    "drop",
];

/// How long a program may take to begin its work.
const PATIENCE: Duration = Duration::from_secs(10);

impl Ovn {
    /// Whether everything that it takes is installed.
    pub(crate) fn is_installed() -> bool {
        let runs = |program: &str| {
            let version = Command::new(program).arg("--version").stdout(Stdio::null()).status();
            version.is_ok_and(|status| status.success())
        };
        Path::new(SCHEMAS).join("ovn-nb.ovsschema").exists()
            && ["ovn-nbctl", "ovn-northd", "ovn-trace"].into_iter().all(runs)
    }

    /// Starts it all, with the network in place.
    pub(crate) fn start() -> Result<Self, Failure> {
        let mut ovn = Self {
            folder: tempfile::tempdir()?,
            daemons: Vec::new(),
        };
        for database in ["nb", "sb"] {
            let file = ovn.path(&format!("{database}.db"));
            let schema = format!("{SCHEMAS}/ovn-{database}.ovsschema");
            done(Command::new("ovsdb-tool").arg("create").arg(&file).arg(schema))?;
            let remote = format!("--remote=punix:{}", ovn.path(&format!("{database}.sock")).display());
            let control = ovn.control(database);
            ovn.run(Command::new("ovsdb-server").args([remote, control]).arg(file))?;
        }
        for database in ["nb.sock", "sb.sock"] {
            wait_for(&ovn.path(database))?;
        }
        let databases = [
            format!("--ovnnb-db={}", ovn.socket("nb")),
            format!("--ovnsb-db={}", ovn.socket("sb")),
            ovn.control("northd"),
        ];
        ovn.run(Command::new("ovn-northd").args(databases))?;
        let northbound = format!("--db={}", ovn.socket("nb"));
        done(
            Command::new("ovn-nbctl")
                .args([&*northbound, "--timeout=10", "--wait=sb"])
                .args(NETWORK),
        )?;
        let southbound = format!("--db={}", ovn.socket("sb"));
        // It answers over a socket only if it is a daemon; it is told to end when this is dropped.
        done(Command::new("ovn-trace").args([southbound, ovn.control("trace"), ovn.pidfile(), "--detach".to_owned()]))?;
        Ok(ovn)
    }

    /// A connection to the `ovn-trace` that runs, with the question.
    pub(crate) fn line(&self) -> Result<Line, Failure> {
        let mut line = Line::open(&self.path("trace.ctl"), "trace", &["switch", PACKET])?;
        let said = String::from_utf8_lossy(line.ask()?).into_owned();
        if !said.contains("output to \\\"server\\\"") {
            return Err(format!("ovn-trace says {said}").into());
        }
        Ok(line)
    }

    /// The same question to an `ovn-trace` of its own, as one would type it.
    pub(crate) fn typed(&self) -> Result<(), Failure> {
        done(Command::new("ovn-trace").args([&*format!("--db={}", self.socket("sb")), "switch", PACKET]))
    }

    fn run(&mut self, command: &mut Command) -> io::Result<()> {
        self.daemons
            .push(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn socket(&self, database: &str) -> String {
        format!("unix:{}", self.path(&format!("{database}.sock")).display())
    }

    fn control(&self, name: &str) -> String {
        format!("--unixctl={}", self.path(&format!("{name}.ctl")).display())
    }

    fn pidfile(&self) -> String {
        format!("--pidfile={}", self.path("trace.pid").display())
    }
}

impl Drop for Ovn {
    fn drop(&mut self) {
        if let Ok(mut trace) = Line::open(&self.path("trace.ctl"), "exit", &[]) {
            let _ = trace.ask();
        }
        for daemon in self.daemons.iter_mut().rev() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

fn done(command: &mut Command) -> Result<(), Failure> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}: {said}", command.get_program().display()).into())
}

fn wait_for(path: &Path) -> Result<(), Failure> {
    let begun = Instant::now();
    while !path.exists() {
        if begun.elapsed() > PATIENCE {
            return Err(format!("{} isn't there", path.display()).into());
        }
        thread::yield_now();
    }
    Ok(())
}
