//! Prints what traceflow's hot paths cost beside their peers: `cargo run --release -p benches --bin ratios [-- --instructions] [--json FILE]`.
//!
//! Exit status 1 if a target is missed, 2 if something could not be measured.

use std::process::ExitCode;

use benches::callgrind::{self, CallgrindError};
use benches::measure::measure;
use benches::report::{Report, Target};
use benches::{COMPARISONS, LIMITS, Operation, operations};

fn main() -> ExitCode {
    if callgrind::answer_as_child() {
        return ExitCode::SUCCESS;
    }
    let costs = match measured(std::env::args().any(|argument| argument == "--instructions")) {
        Ok(costs) => costs,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    print_costs(&costs);
    let mut report = Report::new("packets, OpenFlow messages and predictions");
    for comparison in COMPARISONS {
        let (ours, peer) = (
            nanoseconds(&costs, comparison.ours),
            nanoseconds(&costs, comparison.peer),
        );
        report.add_comparison(comparison, ours, peer);
    }
    for limit in LIMITS {
        let taken = nanoseconds(&costs, limit.operation);
        report.add(limit.operation.name, taken, "ns", Target::AtMost(limit.at_most));
    }
    report.finish()
}

/// What one operation costs.
struct Cost {
    operation: &'static Operation,
    nanoseconds: f64,
    instructions: Option<f64>,
}

fn measured(with_instructions: bool) -> Result<Vec<Cost>, CallgrindError> {
    let operations = operations();
    let times = measure(&operations);
    operations
        .into_iter()
        .zip(times)
        .map(|(operation, nanoseconds)| {
            Ok(Cost {
                operation,
                nanoseconds: nanoseconds.0,
                instructions: if with_instructions {
                    Some(callgrind::instructions(operation)?)
                } else {
                    None
                },
            })
        })
        .collect()
}

fn print_costs(costs: &[Cost]) {
    println!("{:<58} {:>10} {:>13}", "operation", "ns", "instructions");
    for cost in costs {
        let instructions = cost
            .instructions
            .map_or_else(|| "-".into(), |count| format!("{count:.0}"));
        println!(
            "{:<58} {:>10.1} {:>13}",
            cost.operation.name, cost.nanoseconds, instructions
        );
    }
}

fn nanoseconds(costs: &[Cost], operation: &Operation) -> f64 {
    costs
        .iter()
        .find(|cost| cost.operation.name == operation.name)
        .map_or(f64::NAN, |cost| cost.nanoseconds)
}
