//! The program `traceflow`: asks what the network did with a packet, and prints the answer.
//!
//! ```text
//! traceflow trace --cluster examples/demo -S pod1 -D pod3 -f tcp,tcp_dst=80
//! traceflow run --cluster examples/demo examples/demo/tf-pod1-to-svc.yaml -o yaml
//! ```
//!
//! It reads arguments and files, and leaves every decision to the library; `--help` of each command teaches the rest.
//! Answers go to standard output, progress and errors to standard error. The exit status is 0 if the question was
//! answered, be the packet delivered or dropped, 1 if an expectation of `check` is not met, 2 for bad input, 3 if there is no answer, 128 and more if a signal ended
//! it.

mod args;
mod ask;
mod check;
mod datapaths;
mod decode;
mod failure;
mod files;
mod many;
mod matrix;
mod network;
mod output;
mod progress;
mod question;
mod signals;
mod simulation;
mod sweep;
mod switches;
mod tables;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command, NetworkArgs, OutputArgs, WayArgs};
use failure::Failure;
use network::Network;
use question::Question;
use tables::Tables;
use traceflow_reach::check::Status;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(args) => answer(&args.network, &args.way, &args.output, None, |network| {
            question::from_files(&args.files, network)
        }),
        Command::Trace(args) => answer(
            &args.network,
            &args.way,
            &args.output,
            args.tables.as_deref(),
            |network| question::from_command_line(&args, network).map(|question| vec![question]),
        ),
        Command::Sweep(args) => sweep::run(&args).map(exit_code),
        Command::Matrix(args) => matrix::run(&args).map(exit_code),
        Command::Check(args) => check::run(&args).map(|status| {
            ExitCode::from(match status {
                Status::Met => ANSWERED,
                Status::Unmet => NOT_MET,
                Status::Unanswered => NO_ANSWER,
            })
        }),
        Command::Decode(args) => {
            decode::run(&args).map(|whole| ExitCode::from(if whole { ANSWERED } else { failure::BAD_INPUT }))
        }
    };
    match outcome {
        Ok(exit) => exit,
        Err(failure) => {
            failure.print();
            ExitCode::from(failure.exit_status())
        }
    }
}

/// Reads everything, and only when all of it is right, asks.
fn answer(
    network: &NetworkArgs,
    way: &WayArgs,
    output: &OutputArgs,
    tables: Option<&str>,
    questions: impl FnOnce(&mut Network) -> Result<Vec<Question>, Failure>,
) -> Result<ExitCode, Failure> {
    let mut network = Network::load(network, way)?;
    let questions = questions(&mut network)?;
    output::check(output, &questions)?;
    let tables = tables
        .map(|node| Tables::prepare(node, &mut network, output, &questions))
        .transpose()?;
    let answers = ask::all(&network, questions)?;
    output::print(output, &answers, &network.cluster)?;
    let shown = match &tables {
        Some(tables) => tables.print(&network, &answers)?,
        None => true,
    };
    Ok(exit_code(shown && answers.iter().all(ask::Answer::is_known)))
}

fn exit_code(answered: bool) -> ExitCode {
    ExitCode::from(if answered { ANSWERED } else { NO_ANSWER })
}

/// Delivered or dropped alike.
const ANSWERED: u8 = 0;
/// An expectation of `check`.
const NOT_MET: u8 = 1;
const NO_ANSWER: u8 = 3;
