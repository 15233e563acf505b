//! A matrix for spreadsheets.

use traceflow_core::inventory::Direction;

use crate::matrix::Matrix;
use crate::words::visible;

const HEADINGS: [&str; 9] = [
    "from",
    "to",
    "port",
    "outcome",
    "direction",
    "policy",
    "rule",
    "reason",
    "unlike_model",
];

/// The matrix as comma-separated values (RFC 4180), a line for each question. Several policies that isolate a Pod stand in one
/// field with blanks between them.
///
/// ```
/// use traceflow_reach::{Grid, render};
/// use traceflow_sim::Cluster;
///
/// let cluster = Cluster::builder().node("a").pod("client", "a").pod("web", "a").build()?;
/// let grid = Grid::resolve(&cluster, &["client".parse()?], &["web".parse()?], "tcp/80".parse()?)?;
/// assert_eq!(
///     render::csv(&grid.predict(&cluster, |_| ())),
///     "from,to,port,outcome,direction,policy,rule,reason,unlike_model\ndefault/client,default/web,tcp/80,delivered,,,,,\n"
/// );
/// # Ok::<(), traceflow_core::input::BadInput>(())
/// ```
pub fn csv(matrix: &Matrix) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut write = |fields: [&str; 9]| {
        writer
            .write_record(fields)
            .expect("memory takes it, and all lines are of one length");
    };
    write(HEADINGS);
    for cell in matrix.cells() {
        let policies = cell.reason.map_or(&[][..], |reason| reason.policies());
        let policies: Vec<String> = policies.iter().map(ToString::to_string).collect();
        let reason = cell.reason.map(ToString::to_string).unwrap_or_default();
        write([
            &cell.sender.to_string(),
            &cell.target.to_string(),
            &cell.port.to_string(),
            cell.outcome.word(),
            direction(cell.reason.and_then(|reason| reason.direction())),
            &visible(&policies.join(" ")),
            &visible(cell.reason.and_then(|reason| reason.rule()).map_or("", |rule| rule)),
            &visible(&reason),
            &visible(cell.unlike_the_model.unwrap_or_default()),
        ]);
    }
    let bytes = writer.into_inner().expect("memory takes it");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The word for whose policies it was.
pub(super) fn direction(direction: Option<Direction>) -> &'static str {
    match direction {
        Some(Direction::Egress) => "egress",
        Some(Direction::Ingress) => "ingress",
        None => "",
    }
}
