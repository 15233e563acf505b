//! Prints what a trace on real switches takes beside a bare loop:
//! `cargo run --release -p benches --bin traces [-- --quick] [--multi-thread] [--many] [--json FILE]`.
//!
//! Exit status 1 if a target is missed, 2 if something could not be measured.

use std::process::ExitCode;

use benches::report::{Report, Target};
use benches::traces::{Amount, CONTESTANTS, Contestant, Failure, Round, many, measure};

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
        "{:<13} {:>9}  {:<22} {:>9} {:>9} {:>9} {:>9}",
        "to", "in flight", "who", "p10 us", "median us", "p99 us", "traces/s"
    );
    let mut report = Report::new("traces on real switches");
    let measured = measure(amount, |round| print(&round, &mut report));
    let measured = measured.and_then(|()| {
        if said("--many") {
            print_many(&mut report)
        } else {
            Ok(())
        }
    });
    println!("{} after", load());
    match measured {
        Ok(()) => report.finish(),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// How many times the bare loop's time one of our traces may take: on one node, and over two.
const SLOWEST: [f64; 2] = [1.3, 1.5];

/// How much of its throughput we reach at least, where many are in flight.
const LEAST: f64 = 0.8;

fn print(round: &Round, report: &mut Report) {
    let Round {
        scenario,
        in_flight,
        figures,
    } = round;
    for (contestant, figures) in CONTESTANTS.iter().zip(figures) {
        println!(
            "{:<13} {in_flight:>9}  {contestant:<22} {:>9.1} {:>9.1} {:>9.1} {:>9.0}",
            scenario.name,
            figures.quick(),
            figures.median(),
            figures.slow(),
            figures.throughput(),
        );
    }
    let [ours, bare @ ..] = figures;
    for (contestant, figures) in CONTESTANTS[1..].iter().zip(bare) {
        let counts = *contestant == Contestant::Bare;
        let name = format!("{}, {in_flight} in flight", scenario.name);
        let peer = contestant.to_string();
        if *in_flight == 1 {
            let most = Target::AtMost(SLOWEST[usize::from(scenario.crosses_nodes())]);
            let target = if counts { most } else { Target::None };
            report.add_ratio(&name, ours.median(), &peer, figures.median(), "us", target);
        } else {
            let target = if counts { Target::AtLeast(LEAST) } else { Target::None };
            report.add_ratio(
                &name,
                ours.throughput(),
                &peer,
                figures.throughput(),
                "a second",
                target,
            );
        }
    }
}

/// So many traces, so many at a time; none may be lost.
const MANY: [(usize, usize); 2] = [(100_000, 32), (10_000, 10_000)];

fn print_many(report: &mut Report) -> Result<(), Failure> {
    for (traces, at_once) in MANY {
        let many = many(traces, at_once)?;
        let name = format!("{traces} traces of all kinds, {at_once} at once");
        let answered = many.answered as f64;
        report.add(
            &format!("{name}: answered"),
            answered,
            "traces",
            Target::AtLeast(traces as f64),
        );
        let again = many.tried_again as f64;
        report.add(
            &format!("{name}: sent a second packet"),
            again,
            "traces",
            Target::AtMost(0.0),
        );
        let losses = many.with_losses as f64;
        report.add(
            &format!("{name}: with reports lost"),
            losses,
            "traces",
            Target::AtMost(0.0),
        );
        let a_second = answered / many.elapsed.as_secs_f64();
        report.add(&format!("{name}: throughput"), a_second, "a second", Target::None);
    }
    Ok(())
}

/// How busy the machine is.
fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!("load {}", load.split(' ').take(3).collect::<Vec<_>>().join(" "))
}
