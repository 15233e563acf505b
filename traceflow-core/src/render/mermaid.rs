//! A trace as a Mermaid flowchart.

use std::fmt::Write as _;

use super::graph::{Fate, Graph, LinkKind, Outcome};
use crate::trace::Trace;

/// The trace as a Mermaid flowchart: a subgraph per node, drops as hexagons, dotted links where the packet was lost
/// sight of. GitHub and GitLab draw it from a code block marked `mermaid`.
///
/// ```
/// use traceflow_core::render::mermaid;
///
/// # use std::sync::Arc;
/// # use traceflow_core::plan::Plan;
/// # use traceflow_core::spec::CommandLine;
/// # use traceflow_core::trace::{Predictor, Trace};
/// # let cluster = traceflow_sim::Cluster::builder().node("n").pod("a", "n").pod("b", "n").build()?;
/// # let asked = CommandLine { source: Some("a"), destination: Some("b"), flow: Some("tcp,tcp_src=40000,tcp_dst=80"), ..Default::default() };
/// # let plan = Arc::new(Plan::resolve(&asked.spec(&cluster)?, &cluster, &mut fastrand::Rng::with_seed(1))?);
/// # let trace = Trace::predicted(plan.clone(), cluster.predict(&plan)?);
/// let block = format!("```mermaid\n{}```\n", mermaid(&trace));
/// assert!(block.contains("flowchart"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn mermaid(trace: &Trace) -> String {
    let graph = Graph::new(trace);
    let mut out = String::from("flowchart TD\n");
    let _ = writeln!(out, "  question[{}]", label(&[&graph.title()]));
    for (l, lane) in graph.lanes.iter().enumerate() {
        let _ = writeln!(out, "  subgraph lane{l}[{}]\n    direction TB", label(&[&lane.node]));
        for (s, step) in lane.steps.iter().enumerate() {
            let place = step.place();
            let mut lines = vec![place.as_str(), step.action.as_str()];
            lines.extend(step.details.iter().map(String::as_str));
            let (open, close, class) = shape(step.fate);
            let _ = writeln!(out, "    step{l}_{s}{open}{}{close}{class}", label(&lines));
        }
        out.push_str("  end\n");
    }
    let class = outcome_class(graph.outcome);
    let _ = writeln!(out, "  verdict[{}]:::{class}", label(&[&graph.verdict]));
    if !graph.remarks.is_empty() {
        let remarks: Vec<String> = graph.remarks.iter().map(ToString::to_string).collect();
        let lines: Vec<&str> = remarks.iter().map(String::as_str).collect();
        let _ = writeln!(out, "  remarks[{}]", label(&lines));
    }
    links(&graph, &mut out);
    for class in CLASSES {
        let _ = writeln!(out, "  classDef {class}");
    }
    out
}

const CLASSES: [&str; 4] = [
    "passed stroke:#1a7f37,stroke-width:2px",
    "stopped stroke:#cf222e,stroke-width:3px",
    "left stroke:#0969da,stroke-width:2px",
    "unseen stroke-dasharray:5 4",
];

fn outcome_class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::Stopped => "stopped",
        Outcome::Unanswered => "unseen",
    }
}

fn shape(fate: Fate) -> (&'static str, &'static str, &'static str) {
    match fate {
        Fate::Passes => ("[", "]", ""),
        Fate::Delivered => ("([", "])", ":::passed"),
        Fate::LeftNetwork => (">", "]", ":::left"),
        Fate::Dropped | Fate::Rejected => ("{{", "}}", ":::stopped"),
        Fate::Unseen => ("[", "]", ":::unseen"),
    }
}

fn links(graph: &Graph, out: &mut String) {
    let mut before = "question".to_owned();
    for (l, lane) in graph.lanes.iter().enumerate() {
        for (s, step) in lane.steps.iter().enumerate() {
            let here = format!("step{l}_{s}");
            let (arrow, text) = match &step.link {
                None => ("-->", ""),
                Some(link) if link.kind == LinkKind::Seen => ("-->", link.label.as_str()),
                Some(link) => ("-.->", link.label.as_str()),
            };
            let text = if text.is_empty() {
                String::new()
            } else {
                format!("|{}|", label(&[text]))
            };
            let _ = writeln!(out, "  {before} {arrow}{text} {here}");
            before = here;
        }
    }
    let _ = writeln!(out, "  {before} -.- verdict");
    if !graph.remarks.is_empty() {
        out.push_str("  verdict -.- remarks\n");
    }
}

/// A quoted label. What Mermaid, its Markdown or HTML could take for syntax is written as a numeric entity; so is a
/// first character that could begin a Markdown list.
fn label(lines: &[&str]) -> String {
    let mut text = String::from("\"");
    for (i, line) in lines.iter().enumerate() {
        if i > 0 {
            text.push_str("<br>");
        }
        for (at, character) in line.chars().enumerate() {
            let harmless = character.is_alphabetic()
                || (at > 0 && (character.is_alphanumeric() || " .,:/-()".contains(character)));
            if harmless {
                text.push(character);
            } else {
                let _ = write!(text, "#{};", u32::from(character));
            }
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn what_could_be_syntax_is_an_entity() {
        assert_eq!(label(&["a\"]<b>#1;`"]), "\"a#34;#93;#60;b#62;#35;1#59;#96;\"");
    }

    #[test]
    fn a_line_cannot_begin_a_markdown_list() {
        assert_eq!(label(&["1. one", "- two"]), "\"#49;. one<br>#45; two\"");
    }

    #[test]
    fn hostile_names_stay_within_their_label() {
        for line in mermaid(&samples::hostile()).lines() {
            assert!(matches!(line.matches('"').count(), 0 | 2), "{line}");
            assert!(!line.contains("<script") && !line.contains('`'), "{line}");
        }
    }
}
