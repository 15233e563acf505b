//! What silence can mean where the end wasn't seen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::names::NodeName;
use crate::trace::path::{Exit, Path};
use crate::trace::{Cause, Prediction, Silence, Verdict};

/// What went wrong on the nodes while the trace ran.
#[derive(Debug, Clone, Default)]
pub(crate) struct Troubles {
    pub(crate) failed: BTreeMap<NodeName, Arc<str>>,
    pub(crate) restarted: BTreeSet<NodeName>,
    /// How many reports each node lost, about.
    pub(crate) lost: BTreeMap<NodeName, u64>,
}

impl Troubles {
    /// Whether anything went wrong, so that something may have been missed.
    pub(crate) fn any(&self) -> bool {
        !(self.failed.is_empty() && self.restarted.is_empty() && self.lost.is_empty())
    }
}

/// Everything that can explain silence.
#[derive(Debug)]
pub(crate) struct Evidence<'a> {
    pub(crate) path: &'a Path,
    /// The node where the packet should have been seen first, if there is one such.
    pub(crate) start: Option<&'a NodeName>,
    pub(crate) live: bool,
    /// Only a drop was asked for.
    pub(crate) dropped_only: bool,
    /// Real packets that matched, as far as the datapaths count them.
    pub(crate) matched: u64,
    pub(crate) not_watched: &'a BTreeSet<NodeName>,
    pub(crate) troubles: &'a Troubles,
    pub(crate) prediction: Option<&'a Prediction>,
}

/// What is known when the end wasn't seen: always with a cause.
pub(crate) fn silence(evidence: &Evidence<'_>) -> Silence {
    let last_hop = evidence.path.hops.last();
    let expected_next = expected_next(evidence);
    let mut causes = Causes::default();
    if evidence.live && last_hop.is_none() && evidence.matched == 0 {
        causes.of_no_traffic(evidence);
    } else if evidence.dropped_only && last_hop.is_none() && evidence.troubles.any() {
        causes.of_all_nodes(evidence.troubles);
    } else {
        causes.of_loss(evidence, last_hop.map(|hop| &hop.node), expected_next.as_ref());
    }
    causes.of_all_nodes(evidence.troubles);
    Silence {
        last_seen: last_hop.and_then(|hop| Some((hop.node.clone(), hop.observations.last()?.clone()))),
        expected_next,
        causes: causes.0,
        not_watched: evidence.not_watched.iter().cloned().collect(),
    }
}

/// The node that should have reported next: by the packet's own tunnel, else by the prediction, else the start.
fn expected_next(evidence: &Evidence<'_>) -> Option<NodeName> {
    let predicted = || {
        evidence
            .prediction
            .map(|prediction| prediction.hops.iter().map(|hop| &hop.node))
    };
    match (&evidence.path.exit, evidence.path.hops.last()) {
        (Some(Exit::To(node)), _) => Some(node.clone()),
        (Some(Exit::Onwards), Some(last)) => predicted()?.skip_while(|node| **node != last.node).nth(1).cloned(),
        (Some(Exit::Unseen), Some(last)) => Some(last.node.clone()),
        _ => evidence.start.or_else(|| predicted()?.next()).cloned(),
    }
}

/// The causes found so far, the likeliest first, each once.
#[derive(Debug, Default)]
struct Causes(Vec<Cause>);

impl Causes {
    fn of_no_traffic(&mut self, evidence: &Evidence<'_>) {
        if let Some(start) = evidence.start {
            self.of_node(start, evidence.troubles);
        }
        self.add(Cause::NoMatchingTraffic);
    }

    /// The packet was there and went out of sight: at `last` or on the way to `next`.
    fn of_loss(&mut self, evidence: &Evidence<'_>, last: Option<&NodeName>, next: Option<&NodeName>) {
        match next {
            Some(next) if evidence.not_watched.contains(next) => {
                self.of_node(next, evidence.troubles);
                self.add(Cause::NotWatched {
                    node: Some(next.clone()),
                });
            }
            Some(next) => self.of_silent_node(evidence, last, next),
            None => self.add(Cause::NotWatched { node: None }),
        }
        if let Some(last) = last {
            self.of_node(last, evidence.troubles);
        }
    }

    fn of_silent_node(&mut self, evidence: &Evidence<'_>, last: Option<&NodeName>, next: &NodeName) {
        self.of_node(next, evidence.troubles);
        // A drop is reported where it happens: a node that says nothing at all has most likely never had the packet.
        if let Some(last) = last.filter(|last| *last != next) {
            self.add(Cause::LostBetween {
                from: last.clone(),
                to: next.clone(),
            });
        }
        if let Some(cause) = predicted_end(evidence.prediction, next) {
            self.add(cause);
        }
        self.add(Cause::LostInside { node: next.clone() });
    }

    fn of_node(&mut self, node: &NodeName, troubles: &Troubles) {
        if let Some(error) = troubles.failed.get(node) {
            self.add(Cause::NodeFailed {
                node: node.clone(),
                error: error.clone(),
            });
        }
        if troubles.restarted.contains(node) {
            self.add(Cause::DatapathRestarted { node: node.clone() });
        }
        if let Some(&count) = troubles.lost.get(node) {
            self.add(Cause::ReportsLost {
                node: node.clone(),
                count,
            });
        }
    }

    fn of_all_nodes(&mut self, troubles: &Troubles) {
        let nodes = troubles
            .failed
            .keys()
            .chain(&troubles.restarted)
            .chain(troubles.lost.keys());
        for node in nodes {
            self.of_node(node, troubles);
        }
    }

    fn add(&mut self, cause: Cause) {
        if !self.0.contains(&cause) {
            self.0.push(cause);
        }
    }
}

/// The end that the model of the network has the packet come to on this very node, where that is a drop.
fn predicted_end(prediction: Option<&Prediction>, on: &NodeName) -> Option<Cause> {
    let verdict = &prediction?.verdict;
    match verdict {
        Verdict::Dropped { node, .. } | Verdict::Rejected { node, .. } if node == on => Some(Cause::PredictedEnd {
            verdict: Box::new(verdict.clone()),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::observation::{Action, Component, ComponentInfo, DropReason, Observation};
    use crate::trace::Hop;

    fn hop(node: &str, observations: Vec<Observation>) -> Hop {
        Hop {
            node: node.into(),
            timestamp: SystemTime::UNIX_EPOCH,
            observations,
            after_gap: false,
        }
    }

    fn forwarded() -> Observation {
        Observation::new(Component::Forwarding, Action::Forwarded).at(ComponentInfo::Output)
    }

    fn dropped() -> Observation {
        Observation::new(Component::Routing, Action::Dropped).because(DropReason::NoRoute)
    }

    struct Case {
        path: Path,
        live: bool,
        matched: u64,
        not_watched: BTreeSet<NodeName>,
        troubles: Troubles,
        prediction: Option<Prediction>,
    }

    impl Case {
        fn seen_on_n1(exit: Exit) -> Self {
            Self {
                path: Path {
                    hops: vec![hop("n1", vec![forwarded()])],
                    exit: Some(exit),
                    complete: false,
                },
                ..Self::never_seen()
            }
        }

        fn never_seen() -> Self {
            Self {
                path: Path {
                    hops: Vec::new(),
                    exit: None,
                    complete: false,
                },
                live: false,
                matched: 0,
                not_watched: BTreeSet::new(),
                troubles: Troubles::default(),
                prediction: None,
            }
        }

        fn causes(&self) -> Vec<String> {
            let start = "n1".into();
            let silence = silence(&Evidence {
                path: &self.path,
                start: Some(&start),
                live: self.live,
                dropped_only: false,
                matched: self.matched,
                not_watched: &self.not_watched,
                troubles: &self.troubles,
                prediction: self.prediction.as_ref(),
            });
            silence.causes.iter().map(ToString::to_string).collect()
        }
    }

    #[test]
    fn silence_after_a_tunnel_blames_the_way_then_the_far_node() {
        let case = Case::seen_on_n1(Exit::To("n2".into()));
        assert_eq!(
            case.causes(),
            [
                "the packet or its mark was lost between n1 and n2 (tunnel, wire or a firewall on it)",
                "node n2 lost the packet before any watched point saw it",
            ]
        );
    }

    #[test]
    fn a_known_trouble_of_the_next_node_comes_first() {
        let mut case = Case::seen_on_n1(Exit::To("n2".into()));
        case.troubles.restarted.insert("n2".into());
        case.troubles.lost.insert("n3".into(), 4);
        let causes = case.causes();
        assert_eq!(causes[0], "the datapath of node n2 restarted during the trace");
        assert_eq!(causes.last().unwrap(), "node n3 lost 4 reports during the trace");
    }

    #[test]
    fn a_node_that_was_not_watched_is_the_cause_of_silence_from_it() {
        let mut case = Case::seen_on_n1(Exit::To("n2".into()));
        case.not_watched.insert("n2".into());
        assert_eq!(case.causes(), ["the packet went on to n2, which was not watched"]);
    }

    #[test]
    fn a_predicted_drop_on_the_silent_node_comes_after_the_way_there() {
        let mut case = Case::seen_on_n1(Exit::To("n2".into()));
        case.prediction = Some(Prediction::new(
            vec![hop("n1", vec![forwarded()]), hop("n2", vec![dropped()])],
            Verdict::Dropped {
                node: "n2".into(),
                reason: Some(DropReason::NoRoute),
            },
        ));
        assert_eq!(
            case.causes(),
            [
                "the packet or its mark was lost between n1 and n2 (tunnel, wire or a firewall on it)",
                "the model of the network has it dropped on n2: there is no route to the destination",
                "node n2 lost the packet before any watched point saw it",
            ]
        );
    }

    #[test]
    fn an_injected_packet_that_nobody_saw_was_lost_at_its_start() {
        let causes = Case::never_seen().causes();
        assert_eq!(causes, ["node n1 lost the packet before any watched point saw it"]);
    }

    #[test]
    fn a_live_trace_that_saw_nothing_had_no_traffic_unless_packets_were_counted() {
        let mut case = Case::never_seen();
        case.live = true;
        assert_eq!(case.causes(), ["no real packet matched while the trace was armed"]);
        case.matched = 3;
        assert_eq!(
            case.causes(),
            ["node n1 lost the packet before any watched point saw it"]
        );
    }
}
