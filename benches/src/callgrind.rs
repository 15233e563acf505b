//! Instruction counts, which don't depend on what else the machine does.
//!
//! A program run under callgrind counts all its instructions, from start to end. So each operation runs in a process
//! of its own, once many times and once not at all; the difference is the operation's.

use std::env;
use std::fmt;
use std::io;
use std::process::Command;

use crate::{Operation, operations};

/// The instructions of one operation.
///
/// # Errors
/// [`CallgrindError`] if valgrind can't be run or says something unexpected.
pub fn instructions(operation: &Operation) -> Result<f64, CallgrindError> {
    let many = count(operation, TIMES)?;
    let none = count(operation, 0)?;
    Ok((many.saturating_sub(none)) as f64 / TIMES as f64)
}

/// If this process was started by [`instructions`], does what it was started for.
pub fn answer_as_child() -> bool {
    let arguments: Vec<String> = env::args().collect();
    let [_, word, name, times] = arguments.as_slice() else {
        return false;
    };
    if word != CHILD {
        return false;
    }
    let times = times.parse().unwrap_or(0);
    for operation in operations().into_iter().filter(|operation| operation.name == name) {
        (operation.prepare)()(times);
    }
    true
}

/// Why there is no instruction count.
#[derive(Debug)]
pub enum CallgrindError {
    /// valgrind didn't start; it is probably not installed.
    Start(io::Error),
    /// Its output has no instruction count.
    Output(String),
}

impl fmt::Display for CallgrindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(_) => f.write_str("valgrind could not be started"),
            Self::Output(output) => write!(f, "valgrind printed no instruction count: {output}"),
        }
    }
}

impl std::error::Error for CallgrindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Start(error) => Some(error),
            Self::Output(_) => None,
        }
    }
}

const TIMES: u64 = 1_000;

/// The first argument of the processes that are counted.
const CHILD: &str = "run-under-callgrind";

fn count(operation: &Operation, times: u64) -> Result<u64, CallgrindError> {
    let program = env::current_exe().map_err(CallgrindError::Start)?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([CHILD, operation.name, &times.to_string()])
        .output()
        .map_err(CallgrindError::Start)?;
    let report = String::from_utf8_lossy(&output.stderr);
    collected(&report).ok_or_else(|| CallgrindError::Output(report.into_owned()))
}

/// The count in `==123== Collected : 456`.
fn collected(report: &str) -> Option<u64> {
    let line = report.lines().find(|line| line.contains("Collected"))?;
    line.rsplit(':').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_read_from_callgrinds_report() {
        let report = "==7== Events    : Ir\n==7== Collected : 164938\n==7==\n";
        assert_eq!(collected(report), Some(164_938));
    }
}
