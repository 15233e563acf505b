//! The program `testbed`: a cluster's nodes and Pods on real Open vSwitch, to try traceflow out on.
//!
//! ```text
//! testbed up --cluster examples/demo --state /tmp/demo
//! testbed exec --state /tmp/demo pod1 -- ping -c 1 10.10.2.3
//! testbed down --state /tmp/demo
//! ```
//!
//! `up` leaves one process behind, of which everything else is a child: it is gone with it, however it ends.

mod args;
mod down;
mod exec;
mod failure;
mod state;
mod supervise;
mod up;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Up(args) => up::up(&args),
        Command::Exec(args) => exec::exec(&args),
        Command::Down(args) => down::down(&args.state),
        Command::Supervise(args) => supervise::supervise(&args),
    };
    outcome.unwrap_or_else(|failure| {
        failure.print();
        ExitCode::from(failure.exit_status())
    })
}
