//! A matrix for programs.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use traceflow_core::trace::Mode;

use super::csv::direction;
use crate::matrix::{Cell, Matrix, Outcome};

/// The matrix as JSON: `mode`, `from`, `to`, `ports`, `tally`, `notes`, and under `cells` an object for each question, each
/// with all that is said of it. What a cell has no word for is left out.
///
/// ```
/// use traceflow_reach::{Grid, render};
/// use traceflow_sim::Cluster;
///
/// let cluster = Cluster::builder().node("a").pod("client", "a").pod("web", "a").build()?;
/// let grid = Grid::resolve(&cluster, &["client".parse()?], &["web".parse()?], "tcp/80".parse()?)?;
/// let json: serde_json::Value = serde_json::from_str(&render::json(&grid.predict(&cluster, |_| ())))?;
/// assert_eq!(json["cells"][0]["outcome"], "delivered");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn json(matrix: &Matrix) -> String {
    let mut text = serde_json::to_string_pretty(&Page(matrix)).expect("it has no keys but strings");
    text.push('\n');
    text
}

struct Page<'a>(&'a Matrix);

impl Serialize for Page<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let matrix = self.0;
        let (grid, tally) = (matrix.grid(), matrix.tally());
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("mode", mode(matrix.mode()))?;
        map.serialize_entry("from", &grid.senders().map(ToString::to_string).collect::<Vec<_>>())?;
        map.serialize_entry("to", &grid.targets().map(ToString::to_string).collect::<Vec<_>>())?;
        map.serialize_entry(
            "ports",
            &grid.ports().iter().map(ToString::to_string).collect::<Vec<_>>(),
        )?;
        let counts = Outcome::ALL.map(|outcome| (outcome.word(), tally.of(outcome)));
        map.serialize_entry("tally", &std::collections::BTreeMap::from(counts))?;
        map.serialize_entry("notes", &matrix.notes().map(|(note, _)| note).collect::<Vec<_>>())?;
        map.serialize_entry("cells", &Cells(matrix))?;
        map.end()
    }
}

/// How the answers were found, in one word.
pub(crate) fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Predicted => "predicted",
        Mode::Injected => "injected",
        Mode::Live => "live",
    }
}

struct Cells<'a>(&'a Matrix);

impl Serialize for Cells<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.cells().map(OneCell))
    }
}

/// One question with its answer, as all JSON of ours has it.
pub(crate) struct OneCell<'a>(pub(crate) Cell<'a>);

impl Serialize for OneCell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let cell = &self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("from", &cell.sender.to_string())?;
        map.serialize_entry("to", &cell.target.to_string())?;
        map.serialize_entry("port", &cell.port.to_string())?;
        map.serialize_entry("outcome", cell.outcome.word())?;
        if let Some(reason) = cell.reason {
            let policies: Vec<String> = reason.policies().iter().map(ToString::to_string).collect();
            if reason.direction().is_some() {
                map.serialize_entry("direction", direction(reason.direction()))?;
            }
            if !policies.is_empty() {
                map.serialize_entry("policies", &policies)?;
            }
            if let Some(rule) = reason.rule() {
                map.serialize_entry("rule", &**rule)?;
            }
            map.serialize_entry("reason", &reason.to_string())?;
        }
        if let Some(finding) = cell.unlike_the_model {
            map.serialize_entry("unlikeModel", finding)?;
        }
        map.end()
    }
}
