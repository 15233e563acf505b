//! The program: `agreement --cases N --seed S [--real-traffic]`.

use std::path::PathBuf;
use std::process::ExitCode;

use agreement::mutation;
use agreement::run::{Disagreement, Report, Settings, run};
use clap::Parser;

/// Has prediction, traces, flow tables and real traffic tell what becomes of random packets in random clusters, and
/// compares what they say.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// How many packets.
    #[arg(long, default_value_t = 1000)]
    cases: usize,
    /// The same seed makes the same clusters, edits and packets.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Has real Pods send real packets too; needs root.
    #[arg(long)]
    real_traffic: bool,
    /// Seeds mistakes into a healthy network instead, and sees whether traces find them.
    #[arg(long)]
    mutations: bool,
    /// So many mistakes made at random, instead of the catalogue's.
    #[arg(long, requires = "mutations")]
    random: Option<usize>,
    /// Where disagreements are saved, a file each.
    #[arg(long, default_value = "agreement/regressions")]
    save: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.mutations {
        true => find_mistakes(&arguments).await,
        false => compare(&arguments).await,
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("agreement: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether all agreed.
async fn compare(arguments: &Arguments) -> Result<bool, String> {
    let settings = Settings {
        cases: arguments.cases,
        seed: arguments.seed,
        real_traffic: arguments.real_traffic,
    };
    let mut saved = 0;
    let report = run(settings, |so_far| {
        // At once: what comes later may fail.
        for found in &so_far.disagreements[saved..] {
            save(found, saved, arguments);
            saved += 1;
        }
        eprintln!(
            "{} cases, {:.0} a second, {} disagreements",
            so_far.cases,
            so_far.cases as f64 / so_far.took.as_secs_f64(),
            so_far.tally.disagreements()
        );
    })
    .await?;
    print(&report);
    Ok(report.tally.disagreements() == 0 && report.leftovers.is_empty())
}

fn print(report: &Report) {
    println!(
        "{} cases in {} clusters on {} fabrics, {:.0} s, {:.1} a second",
        report.cases,
        report.clusters,
        report.fabrics,
        report.took.as_secs_f64(),
        report.cases as f64 / report.took.as_secs_f64(),
    );
    print!("{}", report.tally);
    for line in &report.leftovers {
        println!("left on a switch: {line}");
    }
    for found in &report.disagreements {
        println!(
            "\n{}\nafter {} edits\n{}",
            found.text,
            found.edits.len(),
            found.case.write(&found.expected)
        );
    }
}

fn save(found: &Disagreement, number: usize, arguments: &Arguments) {
    let file = arguments.save.join(format!("seed-{}-{number}.yaml", arguments.seed));
    match std::fs::write(&file, found.case.write(&found.expected)) {
        Ok(()) => eprintln!("saved {}", file.display()),
        Err(error) => eprintln!("agreement: {}: {error}", file.display()),
    }
}

/// Whether all mistakes were found.
async fn find_mistakes(arguments: &Arguments) -> Result<bool, String> {
    let show = |row: &mutation::Row| {
        println!("{row}");
        row.wrong.iter().for_each(|wrong| println!("  {wrong}"));
    };
    let rows = match arguments.random {
        Some(count) => mutation::run_random(count, arguments.seed, show).await?,
        None => mutation::run(show).await?,
    };
    let changing = rows.iter().filter(|row| row.changed > 0).count();
    let wrong = rows.iter().filter(|row| !row.wrong.is_empty()).count();
    println!(
        "{} mistakes, {changing} of them change a packet's fate; {wrong} not found, or not at the right node",
        rows.len()
    );
    Ok(wrong == 0)
}
