//! `testbed down`: ends a testbed and removes what it left, also one that has crashed.

use std::fs;
use std::io::{self, ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use testbed::fabric::Fabric;

use crate::failure::Failure;
use crate::state;

/// Nothing to end is no error: it is what was asked for.
pub(crate) fn down(state: &Path) -> Result<ExitCode, Failure> {
    if Fabric::is_up(state) && ask(state).is_ok() {
        return Ok(ExitCode::SUCCESS);
    }
    // Gone, still starting, or deaf.
    if state::control_socket(state).exists() {
        match fs::remove_file(state::nodes_file(state)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Failure::system(format!(
                    "remove {}",
                    state::nodes_file(state).display()
                ))(error));
            }
            _ => {}
        }
    }
    Fabric::sweep(state)?;
    Ok(ExitCode::SUCCESS)
}

/// Asks the supervisor to end everything, and waits for its end.
fn ask(state: &Path) -> io::Result<()> {
    let mut stream = UnixStream::connect(state::control_socket(state))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.read_to_end(&mut Vec::new()).map(|_| ())
}
