//! What was measured, as a table for people and, on request, as JSON for programs.

use std::fs;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::Comparison;

/// The figures of one program, in one run.
#[derive(Debug)]
pub struct Report {
    section: &'static str,
    figures: Vec<Value>,
    all_met: bool,
}

/// What a figure is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// It is no more than this.
    AtMost(f64),
    /// It is no less than this.
    AtLeast(f64),
    /// None is set.
    None,
}

impl Target {
    fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtMost(most) => figure <= most,
            Self::AtLeast(least) => figure >= least,
            Self::None => true,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtMost(most) => format!("at most {most}"),
            Self::AtLeast(least) => format!("at least {least}"),
            Self::None => String::new(),
        }
    }
}

impl Report {
    /// Nothing is measured yet.
    pub fn new(section: &'static str) -> Self {
        println!("== {section}");
        Self {
            section,
            figures: Vec::new(),
            all_met: true,
        }
    }

    /// A figure, which is printed at once: `what` is measured in `unit`.
    pub fn add(&mut self, what: &str, figure: f64, unit: &str, target: Target) {
        let met = target.is_met(figure);
        println!("{what:<86} {figure:>12.2} {unit:<10} {}{}", target.text(), missed(met));
        self.note(
            json!({"what": what, "unit": unit, "figure": figure, "target": target.text(), "met": met}),
            met,
        );
    }

    /// Ours beside a peer's, both in nanoseconds.
    pub fn add_comparison(&mut self, comparison: &Comparison, ours: f64, peer: f64) {
        let target = comparison.at_most.map_or(Target::None, Target::AtMost);
        self.add_ratio(comparison.ours.name, ours, comparison.peer.name, peer, "ns", target);
    }

    /// Ours beside a peer's; the target is about how many times the peer's ours is.
    pub fn add_ratio(&mut self, ours: &str, figure: f64, peer: &str, beside: f64, unit: &str, target: Target) {
        let ratio = figure / beside;
        let met = target.is_met(ratio);
        println!(
            "{ours:<58} {figure:>10.1} {peer:<46} {beside:>10.1} {unit:<8} {ratio:>8.2} times  {}{}",
            target.text(),
            missed(met),
        );
        let figures = json!({
            "ours": ours, "peer": peer, "unit": unit, "figure": figure, "beside": beside, "ratio": ratio,
            "target": target.text(), "met": met,
        });
        self.note(figures, met);
    }

    fn note(&mut self, figure: Value, met: bool) {
        self.figures.push(figure);
        self.all_met &= met;
    }

    /// Writes the figures to the file after `--json`, if that was said, and returns what the program exits with: 1 if a target
    /// was missed, 2 if the file can't be written.
    pub fn finish(self) -> ExitCode {
        let mut words = std::env::args().skip_while(|word| word != "--json").skip(1);
        if let Some(path) = words.next() {
            let whole = json!({"section": self.section, "figures": self.figures, "met": self.all_met});
            if let Err(error) = fs::write(&path, format!("{whole:#}\n")) {
                eprintln!("can't write {path}: {error}");
                return ExitCode::from(2);
            }
        }
        if self.all_met {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

fn missed(met: bool) -> &'static str {
    if met { "" } else { "  MISSED" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_held_against_its_target() {
        assert!(Target::AtMost(2.0).is_met(2.0) && !Target::AtMost(2.0).is_met(2.1));
        assert!(Target::AtLeast(0.8).is_met(0.8) && !Target::AtLeast(0.8).is_met(0.7));
        assert!(!Target::AtMost(2.0).is_met(f64::NAN), "what wasn't measured isn't met");
        let mut report = Report::new("a test");
        report.add("one", 1.0, "ns", Target::AtMost(2.0));
        assert!(report.all_met);
        report.add_ratio("ours", 3.0, "theirs", 1.0, "ns", Target::AtMost(2.0));
        assert!(!report.all_met);
        assert_eq!((report.figures.len(), &report.figures[1]["ratio"]), (2, &json!(3.0)));
    }
}
