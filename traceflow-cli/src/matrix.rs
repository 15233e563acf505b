//! `traceflow matrix`: who reaches whom.

use std::sync::Arc;

use traceflow_core::input::{BadInput, Place, Text};
use traceflow_reach::{Grid, Matrix, Outcome, Ports, Selector, render};

use crate::args::{MatrixArgs, MatrixFormat, PaceArgs, WayArgs};
use crate::datapaths::Datapaths;
use crate::failure::Failure;
use crate::many;
use crate::network::Network;
use crate::output;
use crate::progress::Progress;

/// Asks about every pair and prints the answers; whether all of them are known.
pub(crate) fn run(args: &MatrixArgs) -> Result<bool, Failure> {
    check(args)?;
    let from = selectors("--from", &args.from)?;
    let to = selectors("--to", &args.to)?;
    let ports: Ports = read("--ports", &args.ports)?;
    let network = Network::load(&args.network, &WayArgs::default())?;
    let grid = Grid::resolve(&network.cluster, &from, &to, ports).map_err(of_an_argument)?;
    let grid = grid.with_seed(network.seed).with_timeout(args.pace.timeout);
    let matrix = ask(&network, grid, &args.pace)?;
    output::write(&match args.output {
        MatrixFormat::Table => render::table(&matrix, output::style(args.color), args.denials),
        MatrixFormat::Csv => render::csv(&matrix),
        MatrixFormat::Json => render::json(&matrix),
    })?;
    Ok(matrix.tally().of(Outcome::Unanswered) == 0)
}

fn check(args: &MatrixArgs) -> Result<(), Failure> {
    if args.denials && args.output != MatrixFormat::Table {
        let what = "--denials is for people to read, and -o csv and -o json say it anyway; drop it, or take -o table";
        return Err(Failure::Usage(what.to_owned()));
    }
    Ok(())
}

/// On the simulated network everything is predicted: a packet over it would say the same, and take longer.
fn ask(network: &Network, grid: Grid, pace: &PaceArgs) -> Result<Matrix, Failure> {
    let mut progress = Progress::of(grid.askable().count());
    match &network.datapaths {
        Datapaths::Simulated(_) => Ok(grid.predict(&*network.cluster, |count| progress.answered(count))),
        Datapaths::Switches(_) => {
            let (grid, in_flight) = (Arc::new(grid), pace.in_flight);
            many::traced(network, |tracer| async move {
                grid.trace(&tracer, in_flight, |count| progress.answered(count)).await
            })
        }
    }
}

fn selectors(argument: &str, texts: &[String]) -> Result<Vec<Selector>, BadInput> {
    texts.iter().map(|text| read(argument, text)).collect()
}

/// Reads what an argument says; its mistakes are called by the argument.
fn read<T: std::str::FromStr<Err = BadInput>>(argument: &str, text: &str) -> Result<T, BadInput> {
    text.parse().map_err(|mistake: BadInput| {
        let place = mistake.place().unwrap_or(Place::START);
        BadInput::new(mistake.field(), mistake.problem().clone()).at(&Text::new(argument, text), place)
    })
}

/// A mistake in the field `from` is one in `--from`.
fn of_an_argument(mistake: BadInput) -> BadInput {
    BadInput::new(format!("--{}", mistake.field()), mistake.problem().clone())
}
