//! The daemons of a node: children that die with us, and are ready when they answer on their sockets.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use traceflow_core::names::NodeName;

use super::command::not_run;
use super::error::FabricError;
use super::namespace::Namespace;

/// The thread that gives birth to every daemon of a fabric.
///
/// The kernel kills a child with its parent (`setpriv --pdeathsig`), and by parent it means the thread that made the
/// child: one that lives as long as the fabric.
#[derive(Debug)]
pub(crate) struct Keeper {
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

type Order = (Command, mpsc::Sender<(Command, io::Result<Child>)>);

impl Keeper {
    pub(crate) fn start() -> Result<Self, FabricError> {
        let (orders, received) = mpsc::channel::<Order>();
        let thread = thread::Builder::new()
            .name("testbed-keeper".to_owned())
            .spawn(move || {
                for (mut command, answer) in received {
                    let born = command.spawn();
                    // Who gave the order waits for the answer.
                    let _ = answer.send((command, born));
                }
            })
            .map_err(FabricError::system("start a thread"))?;
        Ok(Self {
            orders: Some(orders),
            thread: Some(thread),
        })
    }

    fn spawn(&self, command: Command) -> Result<Child, FabricError> {
        let (answer, answered) = mpsc::channel();
        if let Some(orders) = &self.orders {
            // If nobody takes the order, nobody answers.
            let _ = orders.send((command, answer));
        }
        match answered.recv() {
            Ok((_, Ok(child))) => Ok(child),
            Ok((command, Err(error))) => Err(not_run(&command, error)),
            Err(_) => Err(FabricError::Unsuitable(
                "the thread that starts daemons has ended".to_owned(),
            )),
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// How to start one.
#[derive(Debug)]
pub(crate) struct Birth<'a> {
    /// `ovs-vswitchd` or `ovsdb-server`.
    pub(crate) program: &'static str,
    pub(crate) node: &'a NodeName,
    /// Where its files are.
    pub(crate) directory: &'a Path,
    /// Where it runs, unless that is where we run.
    pub(crate) namespace: Option<&'a Namespace>,
    pub(crate) arguments: Vec<String>,
}

/// A running daemon, killed when dropped.
#[derive(Debug)]
pub(crate) struct Daemon {
    program: &'static str,
    node: NodeName,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts it; it isn't ready yet.
    pub(crate) fn start(birth: &Birth<'_>, keeper: &Keeper) -> Result<Self, FabricError> {
        let log = birth.directory.join(format!("{}.log", birth.program));
        let written = File::options().create(true).append(true).open(&log);
        let written = written.map_err(FabricError::system(format!("write {}", log.display())))?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if let Some(namespace) = birth.namespace {
            command.arg("nsenter").arg(namespace.option()).arg("--");
        }
        command.arg(birth.program).args(&birth.arguments);
        command.args(["-vconsole:info", "-vsyslog:off", "-vfile:off"]);
        for variable in ["OVS_RUNDIR", "OVS_DBDIR", "OVS_LOGDIR", "OVS_SYSCONFDIR"] {
            command.env(variable, birth.directory);
        }
        command
            .current_dir(birth.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(written);
        Ok(Self {
            program: birth.program,
            node: birth.node.clone(),
            child: keeper.spawn(command)?,
            log,
        })
    }

    /// Waits until somebody answers at this socket.
    pub(crate) fn wait_for(&mut self, socket: &Path) -> Result<(), FabricError> {
        let directory = socket.parent().unwrap_or(socket);
        // The watch comes before the first try, so that nothing can happen between them unseen.
        let watch = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)
            .and_then(|watch| watch.add_watch(directory, AddWatchFlags::IN_CREATE).map(|_| watch))
            .map_err(|error| FabricError::system(format!("watch {}", directory.display()))(error.into()))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Err(error) = UnixStream::connect(socket) else {
                return Ok(());
            };
            self.still_runs()?;
            if Instant::now() > deadline {
                return Err(self.error(format!("doesn't listen at {}: {error}", socket.display())));
            }
            // The file is there a moment before somebody listens at it, hence the short limit.
            let mut watched = [PollFd::new(watch.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut watched, PollTimeout::from(5u8));
            let _ = watch.read_events();
        }
    }

    /// An error if it has ended by itself.
    pub(crate) fn still_runs(&mut self) -> Result<(), FabricError> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.error(format!("has ended, {status}"))),
            Err(error) => Err(self.error(format!("can't be waited for: {error}"))),
        }
    }

    /// What is wrong with it, and the end of its log.
    pub(crate) fn error(&self, what: String) -> FabricError {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_TAIL)..]).into_owned();
        FabricError::Daemon {
            daemon: self.program,
            node: self.node.clone(),
            what,
            log,
        }
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const PATIENCE: Duration = Duration::from_secs(30);
const LOG_TAIL: usize = 2000;
