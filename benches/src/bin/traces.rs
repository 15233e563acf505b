//! Prints what a trace on real switches takes beside a bare loop:
//! `cargo run --release -p benches --bin traces [-- --quick] [-- --multi-thread]`.
//!
//! Exit status 1 if a target is missed, 2 if something could not be measured.

use std::process::ExitCode;

use benches::traces::{Amount, CONTESTANTS, Contestant, Round, measure};

fn main() -> ExitCode {
    let said = |word: &str| std::env::args().any(|argument| argument == word);
    let amount = if said("--quick") { Amount::LITTLE } else { Amount::USUAL };
    let amount = Amount {
        multi_thread: said("--multi-thread"),
        ..amount
    };
    println!(
        "{} processors, {} before; ours on a runtime of {}",
        std::thread::available_parallelism().map_or(0, usize::from),
        load(),
        if amount.multi_thread {
            "several threads"
        } else {
            "one thread"
        },
    );
    println!(
        "{:<13} {:>9}  {:<22} {:>9} {:>9} {:>9} {:>9}  ours takes, and does",
        "to", "in flight", "who", "p10 us", "median us", "p99 us", "traces/s"
    );
    let mut all_met = true;
    let measured = measure(amount, |round| all_met &= print(&round));
    println!("{} after", load());
    match measured {
        Ok(()) if all_met => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// How many times the bare loop's time one of our traces may take.
const SLOWEST: f64 = 2.0;

/// How much of its throughput we reach at least, where many are in flight.
const LEAST: f64 = 0.5;

/// Whether the targets are met.
fn print(round: &Round) -> bool {
    let [ours, ..] = &round.figures;
    let mut met = true;
    for (contestant, figures) in CONTESTANTS.iter().zip(&round.figures) {
        let mut beside = String::new();
        if *contestant != Contestant::Ours {
            let slower = ours.median() / figures.median();
            let share = ours.throughput() / figures.throughput();
            let missed = if round.in_flight == 1 {
                slower > SLOWEST
            } else {
                share < LEAST
            };
            met &= !missed || *contestant == Contestant::BareForgetting;
            beside = format!(
                "{slower:.2} times as long, {share:.2} of it{}",
                if missed { ": missed" } else { "" }
            );
        }
        println!(
            "{:<13} {:>9}  {contestant:<22} {:>9.1} {:>9.1} {:>9.1} {:>9.0}  {beside}",
            round.scenario.name,
            round.in_flight,
            figures.quick(),
            figures.median(),
            figures.slow(),
            figures.throughput(),
        );
    }
    met
}

/// How busy the machine is.
fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!("load {}", load.split(' ').take(3).collect::<Vec<_>>().join(" "))
}
