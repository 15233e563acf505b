//! Prints how many questions are answered in a second, predicted and on a real switch, beside Open vSwitch's own
//! `ofproto/trace`: `cargo run --release -p benches --bin tracers [-- --quick] [--json FILE]`.
//!
//! Exit status 1 if a target is missed, 2 if something could not be measured.

use std::process::ExitCode;

use benches::report::Report;
use benches::tracers::{Amount, measure};

fn main() -> ExitCode {
    let quick = std::env::args().any(|word| word == "--quick");
    let mut report = Report::new("predictions and traces beside ofproto/trace");
    match measure(if quick { Amount::LITTLE } else { Amount::USUAL }, &mut report) {
        Ok(()) => report.finish(),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
