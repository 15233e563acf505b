//! Prints what traceflow's hot paths cost beside their peers: `cargo run --release -p benches [-- --instructions]`.
//!
//! Exit status 1 if a target is missed, 2 if something could not be measured.

use std::process::ExitCode;

use benches::callgrind::{self, CallgrindError};
use benches::measure::measure;
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
    println!();
    let ratios_met = print_ratios(&costs);
    println!();
    let limits_met = print_limits(&costs);
    if ratios_met && limits_met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
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

/// Whether all targets are met.
fn print_ratios(costs: &[Cost]) -> bool {
    println!("{:<58} {:<46} {:>6} {:>7}", "ours", "peer", "ratio", "at most");
    let mut all_met = true;
    for comparison in COMPARISONS {
        let ratio = nanoseconds(costs, comparison.ours) / nanoseconds(costs, comparison.peer);
        let missed = comparison.at_most.is_some_and(|most| ratio > most);
        all_met &= !missed;
        println!(
            "{:<58} {:<46} {ratio:>6.2} {:>7}{}",
            comparison.ours.name,
            comparison.peer.name,
            comparison
                .at_most
                .map_or_else(|| "-".into(), |most| format!("{most:.2}")),
            if missed { " missed" } else { "" },
        );
    }
    all_met
}

/// Whether all limits are kept.
fn print_limits(costs: &[Cost]) -> bool {
    println!("{:<58} {:>10} {:>10}", "ours", "ns", "at most");
    let mut all_met = true;
    for limit in LIMITS {
        let nanoseconds = nanoseconds(costs, limit.operation);
        let missed = nanoseconds > limit.at_most;
        all_met &= !missed;
        println!(
            "{:<58} {nanoseconds:>10.0} {:>10.0}{}",
            limit.operation.name,
            limit.at_most,
            if missed { " missed" } else { "" },
        );
    }
    all_met
}

fn nanoseconds(costs: &[Cost], operation: &Operation) -> f64 {
    costs
        .iter()
        .find(|cost| cost.operation.name == operation.name)
        .map_or(f64::NAN, |cost| cost.nanoseconds)
}
