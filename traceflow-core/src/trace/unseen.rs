//! What a prediction has and the path has not.

use std::net::IpAddr;

use crate::observation::{Component, Observation};
use crate::trace::path::Path;
use crate::trace::{Hop, Prediction, Verdict};

/// What the prediction has and the path has not, hop by hop, as far as the two can be compared.
///
/// A whole path to the predicted end misses nothing: points in between that a datapath doesn't report are no news.
pub(crate) fn unseen(prediction: &Prediction, path: &Path, verdict: &Verdict) -> Vec<Hop> {
    if path.complete && same_end(&prediction.verdict, verdict) {
        return Vec::new();
    }
    let comparable = if chose_otherwise(prediction, &path.hops) {
        up_to_choice(&prediction.hops)
    } else {
        prediction.hops.clone()
    };
    missing(&comparable, &path.hops)
}

/// Reasons may differ: a datapath may know less than the model.
fn same_end(predicted: &Verdict, verdict: &Verdict) -> bool {
    match (predicted, verdict) {
        (Verdict::Delivered { node: one }, Verdict::Delivered { node: other })
        | (Verdict::LeftNetwork { node: one }, Verdict::LeftNetwork { node: other }) => one == other,
        (
            Verdict::Dropped { node: one, reason },
            Verdict::Dropped {
                node: other,
                reason: seen,
            },
        )
        | (
            Verdict::Rejected { node: one, reason },
            Verdict::Rejected {
                node: other,
                reason: seen,
            },
        ) => one == other && (seen.is_none() || reason == seen),
        _ => false,
    }
}

/// Whether a Service chose another endpoint than predicted; what the prediction says of the way from there is of
/// another packet.
pub(crate) fn chose_otherwise(prediction: &Prediction, hops: &[Hop]) -> bool {
    match (endpoint(&prediction.hops), endpoint(hops)) {
        (Some(predicted), Some(chosen)) => predicted != chosen,
        _ => false,
    }
}

fn endpoint(hops: &[Hop]) -> Option<IpAddr> {
    let mut observations = hops.iter().flat_map(|hop| &hop.observations);
    observations.find_map(chosen_endpoint)
}

fn chosen_endpoint(observation: &Observation) -> Option<IpAddr> {
    observation
        .translated_dst_ip
        .filter(|_| observation.component == Component::Lb)
}

fn up_to_choice(hops: &[Hop]) -> Vec<Hop> {
    let chooses = |hop: &Hop| hop.observations.iter().position(|seen| chosen_endpoint(seen).is_some());
    let mut kept = Vec::new();
    for hop in hops {
        let choice = chooses(hop);
        let mut hop = hop.clone();
        hop.observations.truncate(choice.map_or(usize::MAX, |index| index + 1));
        kept.push(hop);
        if choice.is_some() {
            break;
        }
    }
    kept
}

fn missing(predicted: &[Hop], hops: &[Hop]) -> Vec<Hop> {
    let mut seen: Vec<Option<&Hop>> = hops.iter().map(Some).collect();
    let missing = predicted.iter().filter_map(|predicted| {
        let visit = seen
            .iter_mut()
            .find(|hop| hop.is_some_and(|hop| hop.node == predicted.node));
        let actual = visit.and_then(Option::take);
        let observations = missing_observations(predicted, actual);
        (!observations.is_empty()).then(|| Hop {
            observations,
            ..predicted.clone()
        })
    });
    missing.collect()
}

fn missing_observations(predicted: &Hop, actual: Option<&Hop>) -> Vec<Observation> {
    let mut left: Vec<&Observation> = actual.map_or_else(Vec::new, |hop| hop.observations.iter().collect());
    let missing = predicted.observations.iter().filter(|predicted| {
        match left.iter().position(|actual| same_point(predicted, actual)) {
            Some(index) => {
                left.remove(index);
                false
            }
            None => true,
        }
    });
    missing.cloned().collect()
}

/// Details may differ: a Service has several endpoints, and a datapath may know less than the model.
fn same_point(one: &Observation, other: &Observation) -> bool {
    one.component == other.component && one.component_info == other.component_info && one.action == other.action
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::observation::{Action, ComponentInfo, DropReason};
    use crate::trace::path::Exit;

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

    #[test]
    fn unseen_is_what_the_prediction_has_and_the_path_has_not() {
        let prediction = Prediction::new(
            vec![hop("n1", vec![forwarded(), forwarded()]), hop("n2", vec![dropped()])],
            Verdict::LeftNetwork { node: "n2".into() },
        );
        let path = path(vec![hop("n1", vec![forwarded()])], false);
        let unseen = unseen(&prediction, &path, &delivered_on("n1"));
        assert_eq!(unseen, [hop("n1", vec![forwarded()]), hop("n2", vec![dropped()])]);
    }

    fn path(hops: Vec<Hop>, complete: bool) -> Path {
        let exit = complete.then_some(Exit::End);
        Path { hops, exit, complete }
    }

    fn delivered() -> Observation {
        Observation::new(Component::Forwarding, Action::Delivered).at(ComponentInfo::Output)
    }

    fn delivered_on(node: &str) -> Verdict {
        Verdict::Delivered { node: node.into() }
    }

    fn chose(endpoint: u8) -> Observation {
        let mut chose = Observation::new(Component::Lb, Action::Forwarded);
        chose.translated_dst_ip = Some([10, 0, 0, endpoint].into());
        chose
    }

    /// To endpoint 2 on n2.
    fn predicted_service() -> Prediction {
        Prediction::new(
            vec![hop("n1", vec![chose(2), forwarded()]), hop("n2", vec![delivered()])],
            delivered_on("n2"),
        )
    }

    #[test]
    fn a_whole_path_to_the_predicted_end_misses_nothing() {
        let fewer_points = path(vec![hop("n1", vec![chose(2)]), hop("n2", vec![delivered()])], true);
        assert_eq!(unseen(&predicted_service(), &fewer_points, &delivered_on("n2")), []);
    }

    #[test]
    fn the_predicted_end_alone_misses_the_way_there() {
        let end_only = path(vec![hop("n2", vec![delivered()])], false);
        let unseen = unseen(&predicted_service(), &end_only, &delivered_on("n2"));
        assert_eq!(unseen, [hop("n1", vec![chose(2), forwarded()])]);
    }

    #[test]
    fn a_drop_for_another_reason_is_another_end() {
        let dropped_for = |reason| Verdict::Dropped {
            node: "n1".into(),
            reason,
        };
        let no_route = dropped_for(Some(DropReason::NoRoute));
        assert!(same_end(&no_route, &dropped_for(None)), "the datapath knows no reason");
        assert!(!same_end(&no_route, &dropped_for(Some(DropReason::TtlExpired))));
    }

    #[test]
    fn another_end_than_predicted_shows_what_was_not_reached() {
        let dropped_there = path(
            vec![hop("n1", vec![chose(2), forwarded()]), hop("n2", vec![dropped()])],
            true,
        );
        let verdict = Verdict::Dropped {
            node: "n2".into(),
            reason: Some(DropReason::NoRoute),
        };
        let unseen = unseen(&predicted_service(), &dropped_there, &verdict);
        assert_eq!(unseen, [hop("n2", vec![delivered()])]);
    }

    #[test]
    fn nothing_is_missed_on_the_way_to_an_endpoint_that_was_not_chosen() {
        let prediction = predicted_service();
        let elsewhere = path(
            vec![hop("n1", vec![chose(3), forwarded()]), hop("n3", vec![delivered()])],
            true,
        );
        assert_eq!(unseen(&prediction, &elsewhere, &delivered_on("n3")), []);
        let lost = path(vec![hop("n1", vec![chose(3), forwarded()])], false);
        assert_eq!(unseen(&prediction, &lost, &delivered_on("n3")), []);
        let same = path(vec![hop("n1", vec![chose(2), forwarded()])], false);
        let unseen = unseen(&prediction, &same, &delivered_on("n3"));
        assert_eq!(unseen, [hop("n2", vec![delivered()])]);
    }
}
