//! `testbed up`: has a supervisor start everything, and waits until that is done.

use std::io::Read;
use std::process::{Command, ExitCode, Stdio};

use crate::args::UpArgs;
use crate::failure::Failure;
use crate::supervise::READY;

/// Returns when the testbed is ready, or has said why it isn't.
pub(crate) fn up(args: &UpArgs) -> Result<ExitCode, Failure> {
    let program = std::env::current_exe().map_err(Failure::system("find this program"))?;
    let mut command = Command::new(program);
    command.arg("supervise").arg("--state").arg(&args.state);
    for path in &args.cluster {
        command.arg("--cluster").arg(path);
    }
    command.args(args.rootless.then_some("--rootless"));
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut supervisor = command.spawn().map_err(Failure::system("start the supervisor"))?;

    // It closes its end when it is ready, and at its death.
    let mut said = String::new();
    if let Some(mut stdout) = supervisor.stdout.take() {
        let _ = stdout.read_to_string(&mut said);
    }
    if said == READY {
        return Ok(ExitCode::SUCCESS);
    }
    let status = supervisor.wait().map_err(Failure::system("wait for the supervisor"))?;
    // It has said why on our standard error, unless it was killed.
    match status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(code) if code != 0 => Ok(ExitCode::from(code)),
        _ => Err(Failure::Usage(format!("the supervisor has ended, {status}"))),
    }
}
