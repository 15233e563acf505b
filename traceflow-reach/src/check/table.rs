//! A report for people.

use traceflow_core::render::Style;
use traceflow_core::trace::Mode;

use super::coverage::Coverage;
use super::report::{Judgement, Report, Status};
use crate::matrix::Cell;
use crate::render::page::{Page, Paint};
use crate::words::counted;

/// How many packets are named of each thing that is wrong.
const EXAMPLES: usize = 3;

/// The report as text: each expectation in a line, and under one that isn't met the first packets that did not end as
/// expected, with the rule behind them. With `untouched`, the rules that no packet exercised are listed.
pub fn table(report: &Report, coverage: &Coverage, untouched: bool, style: Style) -> String {
    let mut page = Page::new(style);
    let judgements = report.judgements();
    for judgement in &judgements {
        one(&mut page, judgement);
    }
    page.blank();
    page.painted_line(&summary(report, &judgements), Paint::Bold);
    covered(&mut page, coverage, report.mode());
    if untouched {
        list_untouched(&mut page, coverage);
    }
    for (note, count) in report.matrices().iter().flat_map(|matrix| matrix.notes()) {
        page.line(&format!("Note: {note} ({})", counted(count, "packet")));
    }
    page.out
}

fn one(page: &mut Page, judgement: &Judgement<'_>) {
    let (word, paint) = match judgement.status {
        Status::Met => ("ok    ", Paint::Green),
        Status::Unmet => ("FAILED", Paint::Red),
        Status::Unanswered => ("?     ", Paint::Yellow),
    };
    let mut about = counted(judgement.asked, "packet");
    if !judgement.offences.is_empty() {
        about.push_str(&format!(", {} not as expected", judgement.offences.len()));
    }
    if !judgement.unanswered.is_empty() {
        about.push_str(&format!(", {} without an answer", judgement.unanswered.len()));
    }
    page.painted_line(&format!("{word}  {} ({about})", judgement.name), paint);
    for line in details(judgement, EXAMPLES) {
        page.line(&format!("        {line}"));
    }
}

/// What was wrong, each with the first packets of which it is: at most so many of each.
pub(super) fn details(judgement: &Judgement<'_>, most: usize) -> Vec<String> {
    let mut groups: Vec<(String, Vec<&Cell<'_>>)> = Vec::new();
    for offence in &judgement.offences {
        put(&mut groups, offence.what.clone(), &offence.cell);
    }
    for cell in &judgement.unanswered {
        let why = cell.reason.map(ToString::to_string).unwrap_or_default();
        put(&mut groups, format!("no answer: {why}"), cell);
    }
    let mut lines = Vec::new();
    for (what, cells) in groups {
        lines.push(what);
        for cell in cells.iter().take(most) {
            lines.push(format!("  {} -> {} {}", cell.sender, cell.target, cell.port));
            lines.extend(
                cell.unlike_the_model
                    .map(|finding| format!("    unlike the model: {finding}")),
            );
        }
        if cells.len() > most {
            lines.push(format!("  and {} more", cells.len() - most));
        }
    }
    lines
}

/// Adds a packet to those of which the same is said.
fn put<'a, 'b>(groups: &mut Vec<(String, Vec<&'b Cell<'a>>)>, what: String, cell: &'b Cell<'a>) {
    match groups.iter_mut().find(|(known, _)| *known == what) {
        Some((_, cells)) => cells.push(cell),
        None => groups.push((what, vec![cell])),
    }
}

fn summary(report: &Report, judgements: &[Judgement<'_>]) -> String {
    let count = |status| judgements.iter().filter(|judgement| judgement.status == status).count();
    let packets: usize = judgements.iter().map(|judgement| judgement.asked).sum();
    let how = match report.mode() {
        Mode::Predicted => "predicted",
        _ => "sent",
    };
    let mut text = format!(
        "{} of {} met",
        count(Status::Met),
        counted(judgements.len(), "expectation")
    );
    for (status, words) in [(Status::Unmet, "not met"), (Status::Unanswered, "without an answer")] {
        if count(status) > 0 {
            text.push_str(&format!(", {} {words}", count(status)));
        }
    }
    text.push_str(&format!("; {} {how}", counted(packets, "packet")));
    text
}

fn covered(page: &mut Page, coverage: &Coverage, mode: Mode) {
    let (rules, isolations) = (coverage.rules.len(), coverage.isolations.len());
    let share = |part: usize, whole: usize| match (part * 100).checked_div(whole) {
        Some(percent) => format!(" ({percent} %)"),
        None => String::new(),
    };
    let exercised = coverage.rules_exercised();
    page.line(&format!(
        "Policy rules exercised: {exercised} of {rules}{}; default isolation: {} of {isolations}{}",
        share(exercised, rules),
        coverage.isolations_exercised(),
        share(coverage.isolations_exercised(), isolations),
    ));
    if mode != Mode::Predicted {
        page.line("  by the model of the network: switches don't tell a Kubernetes policy's rules apart");
    }
}

fn list_untouched(page: &mut Page, coverage: &Coverage) {
    let rules = coverage
        .rules
        .iter()
        .filter(|rule| !rule.exercised)
        .map(|rule| rule.label());
    let isolations = coverage.isolations.iter().filter(|isolation| !isolation.exercised);
    for label in rules.chain(isolations.map(|isolation| isolation.label())) {
        page.line(&format!("  untouched: {label}"));
    }
}
