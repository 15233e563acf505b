//! Putting the packet out.

use super::{Flow, RealisationError, Site};
use crate::realisation::flow::{Category, HIGH, NORMAL};
use crate::realisation::mark::Mark;
use crate::realisation::table::Table;

pub(super) fn flows(_: &Site<'_>) -> Result<Vec<Flow>, RealisationError> {
    let output = |priority, category| Flow::new(Table::Output, priority, category).mark(Mark::OUTPUT_TO_PORT);
    let hairpin = output(HIGH, Category::Service).mark(Mark::HAIRPIN_CONNECTION);
    let found = output(NORMAL, Category::PodConnectivity);
    Ok(vec![
        // A switch puts nothing out where it came in unless it is told to.
        hairpin.action("IN_PORT"),
        found.action("output:NXM_NX_REG1[]"),
        Flow::drop_miss(Table::Output),
    ])
}
