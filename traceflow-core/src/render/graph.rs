//! A trace as lanes, boxes and links: what the pictures have in common, before any of them is drawn.

use std::fmt;

use super::wording::{self, visible};
use crate::observation::{Action, Observation};
use crate::trace::{Hop, Trace, Verdict};

/// A trace, ready to be drawn. All text is safe to show; escaping for the format is the drawer's.
pub(super) struct Graph {
    /// What was asked.
    pub(super) question: String,
    /// How the answer was found.
    pub(super) mode: String,
    /// How it ended.
    pub(super) verdict: String,
    pub(super) outcome: Outcome,
    /// In path order: one lane per visit to a node.
    pub(super) lanes: Vec<Lane>,
    /// Causes of silence, choices, the captured packet, notes.
    pub(super) remarks: Vec<Remark>,
}

/// A line below the picture.
pub(super) struct Remark {
    pub(super) label: &'static str,
    pub(super) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The packet got where it was going, or out of sight on its way there.
    Passed,
    /// Dropped or rejected.
    Stopped,
    Unanswered,
}

pub(super) struct Lane {
    /// The node's name.
    pub(super) node: String,
    pub(super) steps: Vec<Step>,
}

/// One observation, or one that was expected.
pub(super) struct Step {
    /// How the packet came here from the step before; `None` for the first.
    pub(super) link: Option<Link>,
    pub(super) fate: Fate,
    /// The part of the pipeline: `NetworkPolicy`.
    pub(super) component: String,
    /// The place within it: `EgressRule`; may be empty.
    pub(super) info: String,
    /// What was done.
    pub(super) action: String,
    pub(super) details: Vec<String>,
    /// How the packet left for another node, if it is known.
    departure: Option<String>,
}

/// The way from one step to the next.
pub(super) struct Link {
    pub(super) kind: LinkKind,
    /// What is known about the way; empty within a node.
    pub(super) label: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkKind {
    /// The packet was seen on both ends.
    Seen,
    /// The packet was lost sight of in between.
    Lost,
    /// The packet was predicted to go on like this, and wasn't seen to.
    Predicted,
}

/// What a step means for the packet; each has a shape of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes on.
    Passes,
    Delivered,
    LeftNetwork,
    Dropped,
    Rejected,
    /// It was not seen here.
    Unseen,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.label, self.text)
    }
}

impl Graph {
    /// What was asked and how the answer was found, in one line.
    pub(super) fn title(&self) -> String {
        format!("{} ({})", self.question, self.mode)
    }

    pub(super) fn new(trace: &Trace) -> Self {
        let shown = |text: String| visible(&text).into_owned();
        let mut lanes = Lanes::default();
        trace.hops.iter().for_each(|hop| lanes.seen(hop));
        lanes.unseen(trace);
        Self {
            // An arrow of one character doesn't break in two at the end of a line.
            question: shown(wording::question(&trace.plan).replace(" -> ", " → ")),
            mode: shown(wording::mode(trace)),
            verdict: shown(wording::verdict(trace)),
            outcome: match trace.verdict {
                Verdict::Delivered { .. } | Verdict::LeftNetwork { .. } | Verdict::NoneDropped { .. } => {
                    Outcome::Passed
                }
                Verdict::Dropped { .. } | Verdict::Rejected { .. } => Outcome::Stopped,
                Verdict::Unanswered(_) => Outcome::Unanswered,
            },
            lanes: lanes.0,
            remarks: remarks(trace),
        }
    }
}

#[derive(Default)]
struct Lanes(Vec<Lane>);

impl Lanes {
    fn seen(&mut self, hop: &Hop) {
        for (i, observation) in hop.observations.iter().enumerate() {
            let kind = if hop.after_gap && i == 0 {
                LinkKind::Lost
            } else {
                LinkKind::Seen
            };
            self.push(&hop.node.to_string(), kind, Step::seen(observation));
        }
    }

    /// What was predicted behind the last thing seen; without a prediction, the node that should have reported next.
    fn unseen(&mut self, trace: &Trace) {
        let silence = match &trace.verdict {
            Verdict::Unanswered(silence) => Some(silence),
            _ => None,
        };
        let mut kind = if silence.is_some() {
            LinkKind::Lost
        } else {
            LinkKind::Predicted
        };
        for hop in &trace.unseen {
            for observation in &hop.observations {
                self.push(&hop.node.to_string(), kind, Step::unseen(observation));
                kind = LinkKind::Predicted;
            }
        }
        if let (true, Some(node)) = (
            trace.unseen.is_empty(),
            silence.and_then(|silence| silence.expected_next.as_ref()),
        ) {
            self.push(&node.to_string(), LinkKind::Lost, Step::expected());
        }
    }

    fn push(&mut self, node: &str, kind: LinkKind, mut step: Step) {
        let node = visible(node).into_owned();
        let last = self.0.last_mut();
        step.link = last.as_ref().map(|last| Link {
            kind,
            label: link_label(kind, last, node != last.node),
        });
        match last {
            Some(lane) if lane.node == node => lane.steps.push(step),
            _ => self.0.push(Lane {
                node,
                steps: vec![step],
            }),
        }
    }
}

impl Step {
    /// Component and place within it.
    pub(super) fn place(&self) -> String {
        format!("{} {}", self.component, self.info).trim_end().to_owned()
    }

    fn seen(observation: &Observation) -> Self {
        Self {
            fate: match observation.action {
                Action::Delivered => Fate::Delivered,
                Action::Dropped => Fate::Dropped,
                Action::Rejected => Fate::Rejected,
                Action::ForwardedOutOfNetwork => Fate::LeftNetwork,
                _ => Fate::Passes,
            },
            ..Self::unseen(observation)
        }
    }

    fn unseen(observation: &Observation) -> Self {
        let shown = |text: String| visible(&text).into_owned();
        Self {
            link: None,
            fate: Fate::Unseen,
            component: shown(observation.component.to_string()),
            info: shown(
                observation
                    .component_info
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
            ),
            action: shown(observation.action.to_string()),
            details: wording::details(observation).into_iter().map(shown).collect(),
            departure: observation.tunnel_dst_ip.map(|address| format!("tunnel to {address}")),
        }
    }

    fn expected() -> Self {
        Self {
            link: None,
            fate: Fate::Unseen,
            component: "expected here".to_owned(),
            info: String::new(),
            action: "not seen".to_owned(),
            details: Vec::new(),
            departure: None,
        }
    }
}

fn link_label(kind: LinkKind, from: &Lane, to_another_node: bool) -> String {
    let departure = || from.steps.last().and_then(|step| step.departure.clone());
    match kind {
        LinkKind::Lost => "lost sight of the packet".to_owned(),
        LinkKind::Predicted if to_another_node => "predicted, not seen".to_owned(),
        LinkKind::Seen if to_another_node => departure().unwrap_or_default(),
        LinkKind::Seen | LinkKind::Predicted => String::new(),
    }
}

fn remarks(trace: &Trace) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let mut add = |label, text: String| {
        let text = visible(&text).into_owned();
        remarks.push(Remark { label, text });
    };
    trace
        .finding
        .iter()
        .for_each(|finding| add("Unlike the model", finding.to_string()));
    if let Verdict::Unanswered(silence) = &trace.verdict {
        silence
            .expected_next
            .iter()
            .for_each(|node| add("Expected next", node.to_string()));
        silence
            .causes
            .iter()
            .for_each(|cause| add("Likely cause", cause.to_string()));
        if !silence.not_watched.is_empty() {
            add("Not watched", wording::listed(&silence.not_watched));
        }
    }
    trace
        .captured
        .iter()
        .for_each(|packet| add("Captured", wording::packet(packet)));
    trace
        .plan
        .choices
        .iter()
        .for_each(|choice| add("Chosen", choice.to_string()));
    // On a picture, only what somebody has to know of.
    if !trace.receipt.is_clean() {
        add("Receipt", trace.receipt.to_string());
    }
    trace.notes.iter().for_each(|note| add("Note", note.clone()));
    remarks
}
