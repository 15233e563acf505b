//! What a trace found out, as the answer that the caller gets.

use std::collections::BTreeSet;
use std::time::Duration;

use super::attempt::Attempt;
use super::by_node::ByNode;
use super::listening::best_number;
use super::single::Setup;
use super::work::{Removal, Stage, Work};
use crate::names::NodeName;
use crate::plan::Question;
use crate::receipt::{NodeReceipt, Receipt, Unconfirmed};
use crate::trace::finding::difference;
use crate::trace::path::Path;
use crate::trace::silence::{Evidence, Troubles, silence};
use crate::trace::unseen::{chose_otherwise, unseen};
use crate::trace::verdict::ending;
use crate::trace::{Finding, Hop, Mode, Trace, Unpredictable, Verdict};

/// Everything that a session knows at its end.
pub(super) struct Findings<'a> {
    pub(super) setup: &'a Setup,
    pub(super) start: Option<&'a NodeName>,
    pub(super) lifetime: Duration,
    pub(super) work: &'a ByNode<Work>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) troubles: &'a Troubles,
    pub(super) matched: Option<u64>,
}

impl Findings<'_> {
    /// The nodes where the packet could have been without anybody's knowledge.
    fn not_watched(&self) -> BTreeSet<NodeName> {
        let reach = &self.setup.scope.reach;
        let without_datapath = self.setup.inventory.nodes();
        let without_datapath = without_datapath.iter().filter(|node| reach.find(node).is_none());
        let idle = |node: &&NodeName| {
            let stage = self.work.get(node).map(|work| work.stage);
            matches!(stage, None | Some(Stage::Bystander | Stage::LeftOut))
        };
        let idle = reach.within.iter().map(|watched| &watched.node).filter(idle);
        let never = reach.beyond.iter().chain(without_datapath).chain(idle);
        let seen = |node: &NodeName| self.work.get(node).is_some_and(|work| work.seen);
        never.filter(|node| !seen(node)).cloned().collect()
    }
}

pub(super) fn answer(mut findings: Findings<'_>) -> Trace {
    let number = best_number(&findings.attempts);
    let path = number.map_or_else(Path::default, |number| findings.attempts[number].take_path());
    let best = number.map(|number| &findings.attempts[number]);
    let live = matches!(findings.setup.plan.question, Question::Live { .. });
    let captured = best.filter(|_| live).and_then(|best| best.captured(&path));
    let verdict = verdict(&findings, &path);
    let mut trace = Trace {
        plan: findings.setup.plan.clone(),
        mode: if live { Mode::Live } else { Mode::Injected },
        unseen: predicted_but_unseen(&findings, &path, &verdict),
        finding: None,
        verdict,
        captured: captured.and_then(|sighting| sighting.packet.clone()),
        established: best.is_some_and(Attempt::established),
        attempts: if live { 0 } else { findings.attempts.len() as u8 },
        receipt: receipt(&findings),
        notes: notes(&findings, best, &path),
        hops: path.hops,
    };
    trace.finding = finding(&findings, &trace);
    trace
}

fn verdict(findings: &Findings<'_>, path: &Path) -> Verdict {
    if let Some(verdict) = ending(&path.hops).filter(|_| path.has_end()) {
        return verdict;
    }
    let matched = findings.matched.unwrap_or(0);
    let troubles = troubles_with_failed_removals(findings);
    if dropped_only(findings) && matched > 0 && !troubles.any() {
        return Verdict::NoneDropped { passed: matched };
    }
    let prediction = findings.setup.predicted();
    Verdict::Unanswered(Box::new(silence(&Evidence {
        path,
        start: findings.start,
        live: matches!(findings.setup.plan.question, Question::Live { .. }),
        dropped_only: dropped_only(findings),
        matched,
        not_watched: &findings.not_watched(),
        troubles: &troubles,
        prediction: prediction.filter(|prediction| !chose_otherwise(prediction, &path.hops)),
    })))
}

/// A node that can't be cleaned up may well have been silent for the same reason.
fn troubles_with_failed_removals(findings: &Findings<'_>) -> Troubles {
    let mut troubles = findings.troubles.clone();
    for (node, work) in findings.work.iter() {
        if let Some(Removal::GivenUp(error)) = &work.removal {
            let error = || error.to_string().into();
            troubles.failed.entry(node.clone()).or_insert_with(error);
        }
    }
    troubles
}

fn dropped_only(findings: &Findings<'_>) -> bool {
    matches!(findings.setup.plan.question, Question::Live { dropped_only: true, .. })
}

/// Where only drops were asked for, the way to the drop isn't missing.
fn predicted_but_unseen(findings: &Findings<'_>, path: &Path, verdict: &Verdict) -> Vec<Hop> {
    match findings.setup.predicted() {
        Some(prediction) if !dropped_only(findings) => unseen(prediction, path, verdict),
        _ => Vec::new(),
    }
}

/// Where the Service chose another endpoint than predicted, there is nothing to compare with yet; of a connection that began
/// before the prediction says nothing; and that no drop was seen says nothing of a node that wasn't watched.
fn finding(findings: &Findings<'_>, trace: &Trace) -> Option<Box<Finding>> {
    let prediction = findings.setup.predicted()?;
    if matches!(trace.verdict, Verdict::NoneDropped { .. })
        && let Some(end) = prediction.hops.last()
        && findings.not_watched().contains(&end.node)
    {
        return None;
    }
    if trace.established || chose_otherwise(prediction, &trace.hops) {
        return None;
    }
    difference(prediction, trace)
}

fn receipt(findings: &Findings<'_>) -> Receipt {
    let node = |(node, work): (&NodeName, &Work)| {
        let removal = work.removal.as_ref()?;
        let mut receipt = NodeReceipt::new(node.clone());
        match removal {
            Removal::Done(changes) => receipt.changes.clone_from(changes),
            Removal::GivenUp(error) => {
                receipt.unconfirmed = Some(Unconfirmed {
                    error: error.to_string().into(),
                    within: findings.lifetime,
                });
            }
            // There is no answer before the last removal is over.
            Removal::Running(..) | Removal::Pausing(..) => {}
        }
        Some(receipt)
    };
    Receipt {
        nodes: findings.work.iter().filter_map(node).collect(),
    }
}

/// What else the reader must know, the weightiest first.
fn notes(findings: &Findings<'_>, best: Option<&Attempt>, path: &Path) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(second) = findings.attempts.get(1)
        && best.is_some_and(|best| best.nonce == second.nonce)
    {
        notes.push("the first packet was not seen to its end; this is the second".to_owned());
    }
    notes.extend(troubles(findings.troubles));
    if best.is_some_and(Attempt::established) {
        notes.push(ESTABLISHED.to_owned());
    }
    let overflow: u64 = findings.attempts.iter().map(|attempt| attempt.overflow).sum();
    if overflow > 0 {
        notes.push(format!("{overflow} more sightings were too many to keep"));
    }
    let live = matches!(findings.setup.plan.question, Question::Live { .. });
    if live || !path.complete {
        notes.extend(findings.setup.unpredictable().map(no_prediction));
        let not_watched = findings.not_watched();
        if !not_watched.is_empty() {
            notes.push(format!("not watched: {}", list(&not_watched)));
        }
    }
    notes
}

const ESTABLISHED: &str = "the packet is of a connection that began before; policies and Services were asked about its first packet, not about this one";

fn troubles(troubles: &Troubles) -> impl Iterator<Item = String> {
    let Troubles {
        failed,
        restarted,
        lost,
    } = troubles;
    let failed = failed
        .iter()
        .map(|(node, error)| format!("node {node} failed: {error}"));
    let restarted = restarted
        .iter()
        .map(|node| format!("the datapath of node {node} restarted"));
    let lost = lost
        .iter()
        .map(|(node, count)| format!("node {node} lost about {count} reports"));
    failed.chain(restarted).chain(lost)
}

fn no_prediction(reason: &Unpredictable) -> String {
    format!("the path could not be predicted: {reason}")
}

/// A large cluster's nodes would drown the answer.
const MOST_NAMES: usize = 10;

fn list(nodes: &BTreeSet<NodeName>) -> String {
    let names: Vec<&str> = nodes.iter().take(MOST_NAMES).map(NodeName::as_str).collect();
    match nodes.len() - names.len() {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}
