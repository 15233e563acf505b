//! Prints what a matrix takes: `cargo build --release -p traceflow-cli && cargo run --release -p benches --bin matrix [-- --quick] [--json FILE]`. On
//! switches it is the program that is measured, from its start to its end.
//!
//! Exit status 1 if a target is missed or the switches say something else than the simulator, 2 if something could not be
//! measured.

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use benches::matrix::{PORTS, Switches, differences, manifests, predicted};
use benches::report::{Report, Target};
use benches::traces::Failure;
use traceflow_reach::IN_FLIGHT;
use traceflow_sim::Cluster;

fn main() -> ExitCode {
    let turns = if std::env::args().any(|argument| argument == "--quick") {
        1
    } else {
        TURNS
    };
    match measure(turns) {
        Ok(exit) => exit,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

const TURNS: usize = 9;

/// What 200 by 200 Pods may take on the simulator.
const SIMULATED_AT_MOST: Duration = Duration::from_secs(1);

/// What 40 by 40 Pods may take on real switches.
const TRACED_AT_MOST: Duration = Duration::from_secs(3);

fn measure(turns: usize) -> Result<ExitCode, Failure> {
    let mut report = Report::new("matrices");
    println!("every Pod to every Pod, {PORTS}");
    println!(
        "{:<34} {:>8} {:>10} {:>10} {:>10}",
        "", "packets", "median ms", "worst ms", "packets/s"
    );
    let big = Cluster::from_yaml(&manifests(10, 200))?;
    let simulated = row(
        &mut report,
        "simulated, 200 by 200",
        turns,
        Some(SIMULATED_AT_MOST),
        || {
            let (time, matrix) = predicted(&big)?;
            Ok((time, matrix.tally().asked(), ()))
        },
    );
    simulated?;
    let switches = Switches::start(&manifests(2, 40))?;
    let (_, model) = switches.asked(None)?;
    for in_flight in [IN_FLIGHT, NonZeroUsize::MIN] {
        let name = format!("two switches, 40 by 40, {in_flight} in flight");
        let at_most = (in_flight == IN_FLIGHT).then_some(TRACED_AT_MOST);
        let real = row(&mut report, &name, turns, at_most, || {
            let (time, real) = switches.asked(Some(in_flight))?;
            let asked = real
                .lines()
                .skip(1)
                .filter(|line| !line.contains(",not-asked,"))
                .count();
            Ok((time, asked, real))
        })?;
        let differences = differences(&model, &real);
        let unlike = format!("{name}: packets unlike the simulator's");
        report.add(&unlike, differences.len() as f64, "", Target::AtMost(0.0));
        for (model, real) in differences.iter().take(10) {
            println!("  {model}\n  {real}");
        }
    }
    Ok(report.finish())
}

/// Measures in turns, and prints; returns the last answer.
fn row<T>(
    report: &mut Report,
    name: &str,
    turns: usize,
    at_most: Option<Duration>,
    mut ask: impl FnMut() -> Result<(Duration, usize, T), Failure>,
) -> Result<T, Failure> {
    let (first, packets, mut answer) = ask()?;
    let mut times = vec![first];
    for _ in 1..turns {
        let (time, _, next) = ask()?;
        times.push(time);
        answer = next;
    }
    times.sort_unstable();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    println!(
        "{name:<36} {packets:>8} {:>10.1} {:>10.1} {:>10.0}",
        milliseconds(median),
        milliseconds(worst),
        packets as f64 / median.as_secs_f64(),
    );
    let target = at_most.map_or(Target::None, |most| Target::AtMost(milliseconds(most)));
    report.add(&format!("{name}: median"), milliseconds(median), "ms", target);
    Ok(answer)
}
