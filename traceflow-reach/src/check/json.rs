//! A report for programs.

use serde_json::{Value, json};

use super::coverage::{Coverage, word};
use super::report::{Judgement, Report};
use crate::render::OneCell;

/// The report as JSON: `met`, `mode`, `expectations` (each with its `status`, `asked`, `offences` and `unanswered`) and
/// `coverage`.
pub fn json(report: &Report, coverage: &Coverage) -> String {
    let page = json!({
        "met": report.is_met(),
        "mode": crate::render::mode(report.mode()),
        "expectations": report.judgements().iter().map(expectation).collect::<Vec<_>>(),
        "coverage": covered(coverage),
    });
    let mut text = serde_json::to_string_pretty(&page).expect("it has no keys but strings");
    text.push('\n');
    text
}

fn expectation(judgement: &Judgement<'_>) -> Value {
    let offences = judgement.offences.iter().map(|offence| {
        json!({
            "expected": offence.expected.word(),
            "what": offence.what,
            "packet": OneCell(offence.cell),
        })
    });
    json!({
        "name": judgement.name,
        "file": judgement.file,
        "status": judgement.status.word(),
        "asked": judgement.asked,
        "offences": offences.collect::<Vec<_>>(),
        "unanswered": judgement.unanswered.iter().map(|cell| json!(OneCell(*cell))).collect::<Vec<_>>(),
    })
}

fn covered(coverage: &Coverage) -> Value {
    let rules = coverage.rules.iter().map(|rule| {
        json!({
            "policy": rule.policy.to_string(),
            "direction": word(rule.direction),
            "place": rule.place,
            "name": rule.name.as_deref(),
            "exercised": rule.exercised,
        })
    });
    let isolations = coverage.isolations.iter().map(|isolation| {
        json!({
            "policy": isolation.policy.to_string(),
            "direction": word(isolation.direction),
            "exercised": isolation.exercised,
        })
    });
    json!({
        "rulesExercised": coverage.rules_exercised(),
        "rules": rules.collect::<Vec<_>>(),
        "isolationsExercised": coverage.isolations_exercised(),
        "isolations": isolations.collect::<Vec<_>>(),
    })
}
