//! Putting the packet out.

use super::{Flow, RealisationError, Site};
use crate::realisation::flow::{Category, HIGH, NORMAL};
use crate::realisation::mark::Mark;
use crate::realisation::table::Table;

/// Above the flow that puts out by another port.
const TO_ITSELF: u16 = 205;

pub(super) fn flows(site: &Site<'_>) -> Result<Vec<Flow>, RealisationError> {
    let output = |priority, category| Flow::new(Table::Output, priority, category).mark(Mark::OUTPUT_TO_PORT);
    let hairpin = output(HIGH, Category::Service).mark(Mark::HAIRPIN_CONNECTION);
    let mut flows = vec![hairpin.action("IN_PORT")];
    // A switch puts nothing out where it came in unless it is told to. Antrea isn't told: no Pod sends to itself, but a
    // packet that is put in may.
    let to_itself = site.pods.iter().map(|pod| {
        let flow = output(TO_ITSELF, Category::PodConnectivity).in_port(pod.port);
        flow.mark(Mark::target_port(pod.port)).action("IN_PORT")
    });
    flows.extend(to_itself);
    flows.push(output(NORMAL, Category::PodConnectivity).action("output:NXM_NX_REG1[]"));
    flows.push(Flow::drop_miss(Table::Output));
    Ok(flows)
}
