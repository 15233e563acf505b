//! A trace as a Graphviz graph.

use std::fmt::Write as _;

use super::graph::{Fate, Graph, LinkKind, Outcome, Step};
use crate::trace::Trace;

/// The trace in Graphviz's DOT language: a cluster per node, drops as octagons, dashed edges where the packet was lost
/// sight of.
///
/// Draw it with `dot -Tsvg`.
///
/// ```
/// use traceflow_core::render::dot;
///
/// # use std::sync::Arc;
/// # use traceflow_core::plan::Plan;
/// # use traceflow_core::spec::CommandLine;
/// # use traceflow_core::trace::{Predictor, Trace};
/// # let cluster = traceflow_sim::Cluster::builder().node("n").pod("a", "n").pod("b", "n").build()?;
/// # let asked = CommandLine { source: Some("a"), destination: Some("b"), flow: Some("tcp,tcp_src=40000,tcp_dst=80"), ..Default::default() };
/// # let plan = Arc::new(Plan::resolve(&asked.spec(&cluster)?, &cluster, &mut fastrand::Rng::with_seed(1))?);
/// # let trace = Trace::predicted(plan.clone(), cluster.predict(&plan)?);
/// let graph = dot(&trace);
/// assert!(graph.starts_with("digraph "));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn dot(trace: &Trace) -> String {
    let graph = Graph::new(trace);
    let mut out = String::from("digraph traceflow {\n  rankdir=TB;\n");
    out.push_str("  graph [fontname=\"Helvetica\", labelloc=t, labeljust=l];\n");
    out.push_str("  node [fontname=\"Helvetica\", shape=box, style=rounded];\n");
    out.push_str("  edge [fontname=\"Helvetica\"];\n");
    let _ = writeln!(out, "  label={};", quoted(&wrapped(&graph.title())));
    clusters(&graph, &mut out);
    let _ = writeln!(
        out,
        "  verdict [label={}, {}];",
        quoted(&wrapped(&graph.verdict)),
        match graph.outcome {
            Outcome::Passed => "shape=box, style=\"bold\", color=\"#1a7f37\"",
            Outcome::Stopped => "shape=octagon, style=\"bold\", color=\"#cf222e\"",
            Outcome::Unanswered => "shape=note, style=\"dashed\", color=\"#9a6700\"",
        }
    );
    edges(&graph, &mut out);
    remarks(&graph, &mut out);
    out.push_str("}\n");
    out
}

fn clusters(graph: &Graph, out: &mut String) {
    for (l, lane) in graph.lanes.iter().enumerate() {
        let _ = writeln!(out, "  subgraph cluster_{l} {{\n    label={};", quoted(&[&lane.node]));
        for (s, step) in lane.steps.iter().enumerate() {
            let _ = writeln!(out, "    n{l}_{s} [label={}{}];", step_label(step), shape(step.fate));
        }
        out.push_str("  }\n");
    }
}

fn step_label(step: &Step) -> String {
    let place = step.place();
    let mut lines = vec![place.as_str(), step.action.as_str()];
    lines.extend(step.details.iter().flat_map(|detail| wrapped(detail)));
    quoted(&lines)
}

fn shape(fate: Fate) -> &'static str {
    match fate {
        Fate::Passes => "",
        Fate::Delivered => ", style=\"rounded,bold\", peripheries=2, color=\"#1a7f37\"",
        Fate::LeftNetwork => ", shape=cds, style=\"\", color=\"#0969da\"",
        Fate::Dropped | Fate::Rejected => ", shape=octagon, style=\"bold\", color=\"#cf222e\"",
        Fate::Unseen => ", style=\"rounded,dashed\", fontcolor=\"#57606a\"",
    }
}

fn edges(graph: &Graph, out: &mut String) {
    let mut before: Option<String> = None;
    for (l, lane) in graph.lanes.iter().enumerate() {
        for (s, step) in lane.steps.iter().enumerate() {
            let here = format!("n{l}_{s}");
            if let (Some(before), Some(link)) = (&before, &step.link) {
                let style = match link.kind {
                    LinkKind::Seen => "solid",
                    LinkKind::Lost | LinkKind::Predicted => "dashed",
                };
                let _ = writeln!(
                    out,
                    "  {before} -> {here} [style={style}, label={}];",
                    quoted(&[&link.label])
                );
            }
            before = Some(here);
        }
    }
    if let Some(last) = before {
        let _ = writeln!(out, "  {last} -> verdict [style=dotted, arrowhead=none];");
    }
}

fn remarks(graph: &Graph, out: &mut String) {
    if graph.remarks.is_empty() {
        return;
    }
    let remarks: Vec<String> = graph.remarks.iter().map(ToString::to_string).collect();
    let lines: Vec<&str> = remarks.iter().flat_map(|remark| wrapped(remark)).collect();
    let _ = writeln!(
        out,
        "  remarks [shape=note, style=\"\", label={}];",
        quoted_left(&lines)
    );
    out.push_str("  verdict -> remarks [style=dotted, arrowhead=none];\n");
}

/// Lines of up to 64 bytes, broken at spaces; a longer word has a line of its own.
fn wrapped(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while rest.len() > 64 {
        let spaces = || rest.match_indices(' ').map(|(at, _)| at);
        let Some(at) = spaces().take_while(|&at| at <= 64).last().or_else(|| spaces().next()) else {
            break;
        };
        lines.push(&rest[..at]);
        rest = &rest[at + 1..];
    }
    lines.push(rest);
    lines
}

/// A double-quoted ID of the DOT language, its lines centred.
fn quoted(lines: &[&str]) -> String {
    format!("\"{}\"", escaped(lines).join("\\n"))
}

/// The same, its lines at the left.
fn quoted_left(lines: &[&str]) -> String {
    format!("\"{}\\l\"", escaped(lines).join("\\l"))
}

fn escaped(lines: &[&str]) -> Vec<String> {
    let escaped = |line: &&str| line.replace('\\', "\\\\").replace('"', "\\\"");
    lines.iter().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn a_label_cannot_end_its_quotes() {
        assert_eq!(quoted(&[r#"a"b\c"#, "d\\"]), r#""a\"b\\c\nd\\""#);
    }

    #[test]
    fn hostile_names_stay_within_their_quotes() {
        for line in dot(&samples::hostile()).lines() {
            let unescaped = line.replace("\\\\", "").replace("\\\"", "");
            assert_eq!(unescaped.matches('"').count() % 2, 0, "{line}");
            let outside: String = unescaped.split('"').step_by(2).collect();
            assert!(!outside.contains("script") && !outside.contains("]; --"), "{line}");
        }
    }

    #[test]
    fn long_text_breaks_at_spaces_only() {
        let word = "w".repeat(70);
        assert_eq!(wrapped(&format!("a {word} b c")), ["a", word.as_str(), "b c"]);
        assert_eq!(wrapped(""), [""]);
    }
}
