//! The process that `up` leaves behind: owns the fabric until somebody asks for its end.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::ExitCode;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{dup2_stderr, dup2_stdout, setsid};
use testbed::fabric::{Fabric, Form, Settings};
use testbed::realisation::realise;
use traceflow_sim::Cluster;

use crate::args::UpArgs;
use crate::failure::Failure;
use crate::state;

/// Starts everything, says so, and waits.
pub(crate) fn supervise(args: &UpArgs) -> Result<ExitCode, Failure> {
    let nodes = realise(&Cluster::from_paths(&args.cluster)?)?;
    let settings = Settings {
        form: if args.rootless { Form::Rootless } else { Form::Root },
        directory: Some(args.state.clone()),
    };
    let fabric = Fabric::start(nodes, settings)?;
    let home = args.state.canonicalize();
    let home = home.map_err(Failure::system(format!("open {}", args.state.display())))?;
    let control = announce(&fabric, &home).map_err(Failure::system(format!("write to {}", home.display())))?;
    detach().map_err(Failure::system("leave the terminal"))?;
    let asked = wait(&control, &fabric);
    let _ = fs::remove_file(state::nodes_file(&home));
    drop(fabric);
    // Whoever asked waits for the end of this process, which closes it.
    std::mem::forget(asked);
    Ok(ExitCode::SUCCESS)
}

fn announce(fabric: &Fabric, home: &Path) -> io::Result<UnixListener> {
    let control = UnixListener::bind(state::control_socket(home))?;
    state::write_pods(fabric, home)?;
    fs::write(state::nodes_file(home), fabric.nodes_file())?;
    Ok(control)
}

/// Says that all is ready, and lets go of everything that is the caller's.
fn detach() -> io::Result<()> {
    // Not the leader of a group, for whoever started us is another process.
    setsid()?;
    std::env::set_current_dir("/")?;
    io::stdout().write_all(READY.as_bytes())?;
    io::stdout().flush()?;
    let nothing = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stderr(&nothing)?;
    dup2_stdout(&nothing)?;
    Ok(())
}

/// Until somebody connects.
fn wait(control: &UnixListener, fabric: &Fabric) -> io::Result<UnixStream> {
    loop {
        let mut waited = [PollFd::new(control.as_fd(), PollFlags::POLLIN)];
        if let Ok(0) = poll(&mut waited, PollTimeout::from(REFRESH_MILLISECONDS)) {
            // A switch that was killed has no use for it.
            let _ = fabric.refresh_neighbours();
        } else if waited[0].any() == Some(true) {
            return control.accept().map(|(stream, _)| stream);
        }
    }
}

/// What a supervisor says when everything is up.
pub(crate) const READY: &str = "ready\n";
/// Switches forget neighbours that they haven't used for an hour.
const REFRESH_MILLISECONDS: u16 = 60_000;
