//! Which pipeline a packet goes through.

use super::{Flow, RealisationError, Site};
use crate::realisation::flow::{Category, NORMAL};
use crate::realisation::table::Table;

pub(super) fn flows(site: &Site<'_>) -> Result<Vec<Flow>, RealisationError> {
    let root = || Flow::new(Table::PipelineRootClassifier, NORMAL, Category::Default);
    let mut flows = vec![root().field("arp").goto(Table::ARPSpoofGuard)];
    let families = site.families.iter();
    flows.extend(families.map(|&family| root().family(family).goto(Table::Classifier)));
    flows.push(Flow::drop_miss(Table::PipelineRootClassifier));
    Ok(flows)
}
