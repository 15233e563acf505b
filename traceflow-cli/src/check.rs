//! `traceflow check`: expectations held against the network.

use traceflow_reach::check::{self, Checks, Coverage, Questions, Report, Status};

use crate::args::{CheckArgs, CheckFormat, PaceArgs, WayArgs};
use crate::datapaths::Datapaths;
use crate::failure::Failure;
use crate::files::read_text;
use crate::many;
use crate::network::Network;
use crate::output;
use crate::progress::Progress;

/// Reads all expectations, asks what they are about, and prints which are met; the worst that came of one.
pub(crate) fn run(args: &CheckArgs) -> Result<Status, Failure> {
    look_at(args)?;
    let network = Network::load(&args.network, &WayArgs::default())?;
    let mut checks: Option<Checks> = None;
    for file in &args.files {
        let read = Checks::read(&read_text(file)?)?;
        checks = Some(match checks {
            Some(checks) => checks.and(read),
            None => read,
        });
    }
    let Some(checks) = checks else {
        return Err(Failure::Usage("no file of expectations is given".to_owned()));
    };
    let questions = checks.resolve(&network.cluster)?;
    let questions = questions.with_seed(network.seed).with_timeout(args.pace.timeout);
    let report = ask(&network, questions, &args.pace)?;
    let coverage = Coverage::of(&report);
    output::write(&match args.output {
        CheckFormat::Table => check::table(&report, &coverage, args.untouched, output::style(args.color)),
        CheckFormat::Junit => check::junit(&report, &coverage),
        CheckFormat::Json => check::json(&report, &coverage),
    })?;
    Ok(report.status())
}

fn look_at(args: &CheckArgs) -> Result<(), Failure> {
    if args.untouched && args.output != CheckFormat::Table {
        let what = "--untouched is for people to read, and -o json says it anyway; drop it, or take -o table";
        return Err(Failure::Usage(what.to_owned()));
    }
    Ok(())
}

/// On the simulated network everything is predicted.
fn ask(network: &Network, questions: Questions, pace: &PaceArgs) -> Result<Report, Failure> {
    let mut progress = Progress::of(questions.askable());
    match &network.datapaths {
        Datapaths::Simulated(_) => Ok(questions.predict(&*network.cluster, |count| progress.answered(count))),
        Datapaths::Switches(_) => {
            let in_flight = pace.in_flight;
            many::traced(network, move |tracer| async move {
                questions
                    .trace(&tracer, in_flight, |count| progress.answered(count))
                    .await
            })
        }
    }
}
