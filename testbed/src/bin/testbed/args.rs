//! The words of the command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A cluster's nodes and Pods on real Open vSwitch.
#[derive(Debug, Parser)]
#[command(name = "testbed", version, arg_required_else_help = true, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a cluster's nodes and Pods, and return when they are ready
    Up(UpArgs),
    /// Run a command inside a Pod: real traffic
    Exec(ExecArgs),
    /// End everything and remove it, also after a crash
    Down(DownArgs),
    /// What `up` leaves behind
    #[command(hide = true)]
    Supervise(UpArgs),
}

/// The arguments of `testbed up`.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// The cluster's Kubernetes objects, as `kubectl get -o yaml` prints them: a file or a folder; may be repeated
    #[arg(long, value_name = "PATH", required = true)]
    pub(crate) cluster: Vec<PathBuf>,
    /// A directory for the testbed's files; nodes.yaml in it is what traceflow reads
    #[arg(long, value_name = "DIR")]
    pub(crate) state: PathBuf,
    /// Without root and without Pods of flesh and blood: each Pod is a port of its switch, and nothing can run in it
    #[arg(long)]
    pub(crate) rootless: bool,
}

/// The arguments of `testbed exec`.
#[derive(Debug, Args)]
pub(crate) struct ExecArgs {
    /// The directory that `testbed up` was given
    #[arg(long, value_name = "DIR")]
    pub(crate) state: PathBuf,
    /// The Pod: `pod` or `namespace/pod`
    #[arg(value_name = "POD")]
    pub(crate) pod: String,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// The arguments of `testbed down`.
#[derive(Debug, Args)]
pub(crate) struct DownArgs {
    /// The directory that `testbed up` was given
    #[arg(long, value_name = "DIR")]
    pub(crate) state: PathBuf,
}

// Lines of at most 80 columns, so that no terminal folds a command.

const AFTER_HELP: &str = "\
Try the demo cluster, as root:
  testbed up --cluster examples/demo --state /tmp/demo
  testbed exec --state /tmp/demo default/pod1 -- ip address
  testbed down --state /tmp/demo

Every container port that a Pod declares is listened on: TCP says
`namespace/pod` and then echoes, UDP echoes.

Exit status: 0 done; 1 the testbed failed; 2 bad input; `exec` exits as its
command does.";
