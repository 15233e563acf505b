//! A trace as a self-contained SVG.
//!
//! First everything gets its place ([`layout`]), as rectangles and texts with measured extents; then it is written
//! down ([`draw`]). Tests check the places: no two boxes or texts meet, and every text lies inside its box.

mod draw;
mod face;
mod geometry;
mod layout;

#[cfg(test)]
mod tests;

use super::graph::Graph;
use crate::trace::Trace;

/// The trace as an SVG document, 800 pixels wide: one lane per node, a box per observation.
///
/// It needs no other file, can stand inside an HTML page as it is, follows the reader's light or dark scheme, and names
/// itself for screen readers. A drop is an octagon with a cross and the word `Dropped`; where the packet was lost sight
/// of, the line is dashed. What had to be shortened shows its whole text when pointed at.
///
/// ```
/// use traceflow_core::render::svg;
///
/// # use std::sync::Arc;
/// # use traceflow_core::plan::Plan;
/// # use traceflow_core::spec::CommandLine;
/// # use traceflow_core::trace::{Predictor, Trace};
/// # let cluster = traceflow_sim::Cluster::builder().node("n").pod("a", "n").pod("b", "n").build()?;
/// # let asked = CommandLine { source: Some("a"), destination: Some("b"), flow: Some("tcp,tcp_src=40000,tcp_dst=80"), ..Default::default() };
/// # let plan = Arc::new(Plan::resolve(&asked.spec(&cluster)?, &cluster, &mut fastrand::Rng::with_seed(1))?);
/// # let trace = Trace::predicted(plan.clone(), cluster.predict(&plan)?);
/// let picture = svg(&trace);
/// assert!(picture.starts_with("<svg ") && picture.contains("Delivered"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn svg(trace: &Trace) -> String {
    let graph = Graph::new(trace);
    draw::document(&layout::Picture::new(&graph))
}
