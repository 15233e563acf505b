//! Short commands: run to their end, and turned into an error if that isn't a good one.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::process::{Command, Output, Stdio};
use std::thread;

use super::error::FabricError;

/// Runs the command with this text on its standard input, and gives what it prints.
pub(crate) fn run(command: &mut Command, input: &str) -> Result<String, FabricError> {
    let output = output(command, input).map_err(|source| not_run(command, source))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(FabricError::Command {
        command: line(command),
        status: output.status.to_string(),
        message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

/// What a command that can't even be started says.
pub(crate) fn not_run(command: &Command, source: io::Error) -> FabricError {
    let program = command.get_program().to_string_lossy().into_owned();
    if source.kind() != io::ErrorKind::NotFound {
        return FabricError::system(format!("run `{program}`"))(source);
    }
    let package = match &*program {
        "ip" => "iproute2",
        "ethtool" => "ethtool",
        "setpriv" | "nsenter" => "util-linux",
        "ovs-vswitchd" | "ovs-vsctl" => "openvswitch-switch",
        _ => "openvswitch-common",
    };
    FabricError::Missing {
        program,
        package,
        source,
    }
}

fn output(command: &mut Command, input: &str) -> io::Result<Output> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let stdin = child.stdin.take();
    thread::scope(|scope| {
        // A command may write before it has read everything, so both pipes are served at once. One that doesn't read
        // to the end says why by its status.
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input.as_bytes())));
        child.wait_with_output()
    })
}

/// The command as a user would type it, cut where it gets long.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line = words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST_LINE) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

const LONGEST_LINE: usize = 400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_says_which_and_what_it_wrote() {
        let error = run(Command::new("sh").args(["-c", "cat >&2; exit 3"]), "no such bridge\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`sh -c cat >&2; exit 3` failed, exit status: 3: no such bridge"
        );
    }

    #[test]
    fn a_missing_program_names_its_package() {
        let error = not_run(&Command::new("ethtool"), io::ErrorKind::NotFound.into());
        assert_eq!(error.to_string(), "`ethtool` can't be run (ethtool has it)");
    }
}
