//! `testbed exec`: becomes a command inside a Pod.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use testbed::fabric::Fabric;

use crate::args::ExecArgs;
use crate::failure::Failure;
use crate::state;

/// Returns only if the command can't be run.
pub(crate) fn exec(args: &ExecArgs) -> Result<ExitCode, Failure> {
    if !Fabric::is_up(&args.state) {
        return Err(Failure::NotUp(args.state.clone()));
    }
    let pods = state::read_pods(&args.state).map_err(Failure::system("read which Pods there are"))?;
    let name = if args.pod.contains('/') {
        args.pod.clone()
    } else {
        format!("default/{}", args.pod)
    };
    let Some((_, place)) = pods.iter().find(|(pod, _)| *pod == name) else {
        let known = pods.iter().map(|(pod, _)| pod.as_str()).collect::<Vec<_>>().join(", ");
        return Err(Failure::Usage(format!("no Pod is named {name}; there are: {known}")));
    };
    if place.is_empty() {
        return Err(Failure::Usage(format!(
            "Pod {name} is only a port of a rootless testbed: nothing can run in it"
        )));
    }
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={place}")).arg("--").args(&args.command);
    Err(Failure::system("run `nsenter` (util-linux has it)")(command.exec()))
}
