//! The program as its users see it: arguments and files in; text, exit status and progress out.

mod bad_input;
mod check;
mod decode;
mod demo;
mod explain;
mod help;
mod live;
mod matrix;
mod output;
mod switches;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a run of the program left.
struct Run {
    exit: i32,
    out: String,
    err: String,
}

/// Runs `traceflow` in the repository's root, without anything on standard input.
fn traceflow(args: &[&str]) -> Run {
    traceflow_reading("", args)
}

/// `traceflow` in the repository's root, with pipes to it.
fn program() -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate is a folder of the workspace");
    let mut command = Command::new(env!("CARGO_BIN_EXE_traceflow"));
    command
        .current_dir(root)
        .env_remove("NO_COLOR")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs `traceflow` in the repository's root with `input` on standard input.
fn traceflow_reading(input: &str, args: &[&str]) -> Run {
    let mut child = program().args(args).spawn().expect("the program starts");
    // A program that doesn't read its input closes the pipe, which is its right.
    let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("the program ends");
    Run {
        exit: output.status.code().expect("no signal ended it"),
        out: String::from_utf8(output.stdout).expect("it prints text"),
        err: String::from_utf8(output.stderr).expect("it prints text"),
    }
}

/// Runs `traceflow` on the demo cluster.
fn on_demo(args: &[&str]) -> Run {
    let mut all = args.to_vec();
    all.extend(["--cluster", "examples/demo", "--seed", "1"]);
    traceflow(&all)
}
