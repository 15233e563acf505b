//! The prediction laid beside what was observed, and the first point where they part.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::names::NodeName;
use crate::observation::{Action, Component, ComponentInfo, DropReason, Observation, PolicyKind};
use crate::plan::Question;
use crate::trace::{Cause, Hop, Prediction, Predictor, Trace, Verdict};

/// The first point where the network did something else than the model of it says: where to look, and for what.
///
/// Points that a datapath doesn't report are no difference, nor is which of several Kubernetes policies is named as having
/// allowed a packet, nor which of a Service's endpoints was chosen: then the prediction is made anew for that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The node where the paths part.
    pub node: NodeName,
    /// What the model has there; `None` if it has the packet nowhere near.
    pub expected: Option<Observation>,
    /// What was seen instead; `None` if nothing was.
    pub observed: Option<Observation>,
    /// What the model leaves out and may well be the reason ([`Prediction::left_out`]).
    pub left_out: Arc<[Arc<str>]>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = &self.node;
        match (&self.expected, &self.observed) {
            (Some(expected), None) => write!(
                f,
                "{node} should have {}; nothing was seen of it there",
                Should(expected)
            ),
            (None, Some(observed)) => write!(
                f,
                "{node} {}, and by the model it should not have come there",
                Did(observed)
            ),
            (Some(expected), Some(observed)) => {
                write!(
                    f,
                    "{node} should have {}; it {} instead",
                    Should(expected),
                    Did(observed)
                )?;
                f.write_str(hint(expected, observed))
            }
            (None, None) => write!(f, "{node} differs from the model"),
        }?;
        if let [first, more @ ..] = &*self.left_out {
            write!(f, " (the model leaves out {first}")?;
            more.iter().try_for_each(|object| write!(f, ", {object}"))?;
            f.write_str(", which may be why)")?;
        }
        Ok(())
    }
}

/// Where to look first.
fn hint(expected: &Observation, observed: &Observation) -> &'static str {
    let by_policy = |seen: &Observation| seen.component == Component::NetworkPolicy;
    match (is_denial(expected), is_denial(observed)) {
        (true, false) if by_policy(expected) => ": the policy is not realised there?",
        (false, true) if by_policy(observed) => ": is a policy left over there, or missing in the model?",
        (true, true) if by_policy(expected) || by_policy(observed) => {
            ": are the policies realised there in this order?"
        }
        _ if expected.component == Component::Lb => ": is the Service realised there?",
        _ if expected.component == Component::Egress => ": is the Egress realised there?",
        _ => "",
    }
}

/// `dropped it, for …` after "should have".
struct Should<'a>(&'a Observation);

impl fmt::Display for Should<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_deed(f, self.0)
    }
}

/// The same after the node's name.
struct Did<'a>(&'a Observation);

impl fmt::Display for Did<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_deed(f, self.0)
    }
}

fn write_deed(f: &mut fmt::Formatter<'_>, seen: &Observation) -> fmt::Result {
    match (&seen.action, &seen.component) {
        (Action::Dropped, _) => write_denial(f, "dropped it", seen),
        (Action::Rejected, _) => write_denial(f, "rejected it", seen),
        (Action::Delivered, _) => f.write_str("delivered it"),
        (Action::Received, _) => f.write_str("received it"),
        (Action::ForwardedOutOfNetwork, _) => f.write_str("sent it out of the network"),
        (Action::Forwarded, Component::NetworkPolicy) => {
            f.write_str("let it pass")?;
            let rule = seen.network_policy_rule.as_ref();
            match (&seen.network_policy, rule) {
                (Some(policy), Some(rule)) => write!(f, " by rule {rule} of {policy}"),
                (Some(policy), None) => write!(f, " by a rule of {policy}"),
                (None, _) => Ok(()),
            }
        }
        (Action::Forwarded, Component::Lb) => match (&seen.pod, seen.translated_dst_ip) {
            (Some(pod), Some(address)) => write!(f, "sent it to the Service's endpoint {pod} ({address})"),
            (None, Some(address)) => write!(f, "sent it to the Service's endpoint {address}"),
            _ => f.write_str("sent it to one of the Service's endpoints"),
        },
        (Action::Forwarded, Component::Forwarding) => match seen.tunnel_dst_ip {
            Some(address) => write!(f, "sent it on by the tunnel to {address}"),
            None => f.write_str("sent it on without a tunnel"),
        },
        (Action::ForwardedToEgressNode, _) => {
            f.write_str("sent it to the node of its Egress address")?;
            write_egress(f, seen)
        }
        (Action::MarkedForSnat, _) => {
            f.write_str("marked it to leave under its Egress address")?;
            write_egress(f, seen)
        }
        (action, component) => write!(f, "reported {component} {action}"),
    }
}

fn write_egress(f: &mut fmt::Formatter<'_>, seen: &Observation) -> fmt::Result {
    let known = [
        seen.egress_ip.map(|address| address.to_string()),
        seen.egress_node.as_ref().map(|node| format!("on {node}")),
    ];
    let known: Vec<String> = known.into_iter().flatten().collect();
    if known.is_empty() {
        Ok(())
    } else {
        write!(f, " ({})", known.join(" "))
    }
}

fn write_denial(f: &mut fmt::Formatter<'_>, verb: &str, seen: &Observation) -> fmt::Result {
    match &seen.reason {
        Some(reason) => write!(f, "{verb} ({reason})"),
        None => write!(f, "{verb} in {}", seen.component),
    }
}

/// The first difference between a prediction and what was seen, as far as the two can be compared.
pub(crate) fn difference(prediction: &Prediction, trace: &Trace) -> Option<Box<Finding>> {
    let parting = match trace.verdict {
        Verdict::NoneDropped { .. } => not_dropped(prediction),
        _ => first_difference(prediction, trace),
    };
    parting.map(|(node, expected, observed)| {
        Box::new(Finding {
            node,
            expected,
            observed,
            left_out: Arc::clone(&prediction.left_out),
        })
    })
}

type Parting = (NodeName, Option<Observation>, Option<Observation>);

/// A drop that was predicted and didn't happen, where only drops are reported.
fn not_dropped(prediction: &Prediction) -> Option<Parting> {
    let hop = prediction.hops.last()?;
    let end = hop.observations.last().filter(|end| is_denial(end))?;
    Some((hop.node.clone(), Some(end.clone()), None))
}

fn first_difference(prediction: &Prediction, trace: &Trace) -> Option<Parting> {
    let mut seen = &trace.hops[..];
    let mut expected = from_where_it_was_seen(prediction, trace);
    while let Some((predicted, later)) = expected.split_first() {
        expected = later;
        let Some((hop, rest)) = seen.split_first() else {
            let first = predicted.observations.first();
            return silence_speaks(trace).then(|| (predicted.node.clone(), first.cloned(), None));
        };
        if hop.node != predicted.node {
            if hop.after_gap {
                continue;
            }
            return Some((hop.node.clone(), None, hop.observations.first().cloned()));
        }
        seen = rest;
        if let Some((expected, observed)) = within(predicted, hop, rest.is_empty(), &trace.verdict) {
            return Some((hop.node.clone(), expected, observed));
        }
    }
    let hop = seen.first()?;
    Some((hop.node.clone(), None, hop.observations.first().cloned()))
}

/// Where only drops are reported, the way to one is not missing.
fn from_where_it_was_seen<'a>(prediction: &'a Prediction, trace: &Trace) -> &'a [Hop] {
    let drops_only = matches!(trace.plan.question, Question::Live { dropped_only: true, .. });
    match trace.hops.first().filter(|_| drops_only) {
        Some(first) => {
            let place = prediction.hops.iter().position(|hop| hop.node == first.node);
            place.map_or(&[], |place| &prediction.hops[place..])
        }
        None => &prediction.hops,
    }
}

/// Whether everything that could have reported did, so that silence says something about the network.
fn silence_speaks(trace: &Trace) -> bool {
    let Verdict::Unanswered(silence) = &trace.verdict else {
        return false;
    };
    let excuses = |cause: &Cause| {
        matches!(
            cause,
            Cause::NoMatchingTraffic
                | Cause::NodeFailed { .. }
                | Cause::DatapathRestarted { .. }
                | Cause::ReportsLost { .. }
                | Cause::NotWatched { .. }
        )
    };
    silence.not_watched.is_empty() && !silence.causes.iter().any(excuses)
}

/// What one node did otherwise.
fn within(
    predicted: &Hop,
    hop: &Hop,
    is_last: bool,
    verdict: &Verdict,
) -> Option<(Option<Observation>, Option<Observation>)> {
    let (end, seen) = (predicted.observations.last()?, hop.observations.last()?);
    if let Some(parted) = rules_that_differ(predicted, hop).or_else(|| egress_that_differs(predicted, hop)) {
        return Some(parted);
    }
    let unanswered = matches!(verdict, Verdict::Unanswered(_));
    let turned = || (!is_denial(seen)).then(|| turn_that_differs(predicted, hop)).flatten();
    if same_fate(end, seen) && turned().is_none() {
        // By the tunnel or by another way: the one that nobody saw it come out of was the wrong one.
        let astray = is_last && unanswered && end.tunnel_dst_ip.is_some() != seen.tunnel_dst_ip.is_some();
        return astray.then(|| (Some(end.clone()), Some(seen.clone())));
    }
    // Lost sight of in the middle of the node: what is missing is not what was done otherwise.
    let cut_off = is_last && !ends_hop(seen) && unanswered;
    if cut_off {
        return Some((Some(end.clone()), None));
    }
    if let Some((expected, observed)) = turned() {
        let or = |turn: Option<Observation>, last: &Observation| Some(turn.unwrap_or_else(|| last.clone()));
        return Some((or(expected, end), or(observed, seen)));
    }
    let expected = match (is_denial(end), is_denial(seen)) {
        (false, true) => counterpart(&predicted.observations, seen).unwrap_or(end),
        _ => end,
    };
    Some((Some(expected.clone()), Some(seen.clone())))
}

/// A Service's choice, or an Egress, that only one of the two has.
fn turn_that_differs(predicted: &Hop, hop: &Hop) -> Option<(Option<Observation>, Option<Observation>)> {
    let turns: [fn(&Observation) -> bool; 2] = [
        |seen| endpoint(seen).is_some(),
        |seen| seen.component == Component::Egress && !is_denial(seen),
    ];
    turns.into_iter().find_map(|is_turn| {
        let turn = |hop: &Hop| hop.observations.iter().find(|seen| is_turn(seen)).cloned();
        let (expected, observed) = (turn(predicted), turn(hop));
        (expected.is_some() != observed.is_some()).then_some((expected, observed))
    })
}

/// Rules that let the packet pass, where an order says which one it must be: Kubernetes' policies have none.
fn rules_that_differ(predicted: &Hop, hop: &Hop) -> Option<(Option<Observation>, Option<Observation>)> {
    let passing = |seen: &&Observation| {
        seen.component == Component::NetworkPolicy && seen.action == Action::Forwarded && seen.network_policy.is_some()
    };
    predicted.observations.iter().filter(passing).find_map(|expected| {
        let mut others = hop.observations.iter().filter(passing);
        let seen = others.find(|seen| seen.component_info == expected.component_info)?;
        let ordered = is_ordered(expected) || is_ordered(seen);
        let other_policy = expected.network_policy != seen.network_policy;
        let other_rule = known_and_other(&expected.network_policy_rule, &seen.network_policy_rule);
        (ordered && (other_policy || other_rule)).then(|| (Some(expected.clone()), Some(seen.clone())))
    })
}

/// The Egress by which the packet leaves, at another node or under another address.
fn egress_that_differs(predicted: &Hop, hop: &Hop) -> Option<(Option<Observation>, Option<Observation>)> {
    let of = |hop: &Hop| {
        hop.observations
            .iter()
            .find(|seen| seen.component == Component::Egress)
            .cloned()
    };
    let (expected, seen) = (of(predicted)?, of(hop)?);
    let differs = known_and_other(&expected.egress_ip, &seen.egress_ip)
        || known_and_other(&expected.egress_node, &seen.egress_node);
    differs.then_some((Some(expected), Some(seen)))
}

fn is_ordered(seen: &Observation) -> bool {
    let policy = seen.network_policy.as_ref();
    policy.is_some_and(|policy| policy.kind != PolicyKind::K8sNetworkPolicy)
}

/// What the model has in the place of a denial that it doesn't have.
fn counterpart<'a>(predicted: &'a [Observation], denial: &Observation) -> Option<&'a Observation> {
    let egress = |info: &Option<ComponentInfo>| {
        let words = [
            ComponentInfo::EgressRule,
            ComponentInfo::EgressDefaultRule,
            ComponentInfo::EgressMetric,
        ];
        info.as_ref().is_some_and(|info| words.contains(info))
    };
    predicted.iter().find(|expected| {
        expected.component == denial.component
            && match expected.component {
                Component::NetworkPolicy => egress(&expected.component_info) == egress(&denial.component_info),
                _ => expected.component_info == denial.component_info,
            }
    })
}

fn is_denial(seen: &Observation) -> bool {
    matches!(seen.action, Action::Dropped | Action::Rejected)
}

/// Whether nothing more is to be expected on this node.
fn ends_hop(seen: &Observation) -> bool {
    seen.action.ends_path() || seen.component_info == Some(ComponentInfo::Output)
}

/// Whether two nodes let go of the packet alike; what one of them doesn't know is no difference.
fn same_fate(one: &Observation, other: &Observation) -> bool {
    let same_place = one.component == other.component
        && one.component_info == other.component_info
        && one.action == other.action
        && !known_and_other(&one.tunnel_dst_ip, &other.tunnel_dst_ip);
    let same_rule = !known_and_other(&one.network_policy, &other.network_policy)
        && !known_and_other(&one.network_policy_rule, &other.network_policy_rule);
    same_place && (!is_denial(one) || (same_rule && same_reason(one.reason.as_ref(), other.reason.as_ref())))
}

fn known_and_other<T: PartialEq>(one: &Option<T>, other: &Option<T>) -> bool {
    matches!((one, other), (Some(one), Some(other)) if one != other)
}

fn same_reason(one: Option<&DropReason>, other: Option<&DropReason>) -> bool {
    match (one, other) {
        (None, _) | (_, None) | (Some(DropReason::Other(_)), _) | (_, Some(DropReason::Other(_))) => true,
        (Some(one), Some(other)) => std::mem::discriminant(one) == std::mem::discriminant(other),
    }
}

/// The endpoint that a Service chose.
pub(crate) fn endpoint(seen: &Observation) -> Option<IpAddr> {
    seen.translated_dst_ip.filter(|_| seen.component == Component::Lb)
}

/// Where a Service chose.
pub(super) fn chosen(hops: &[Hop]) -> Option<&Observation> {
    let mut observations = hops.iter().flat_map(|hop| &hop.observations);
    observations.find(|seen| endpoint(seen).is_some())
}

/// Asks the model again, where the answer depends on what the network chose, or where the network may have changed since
/// the first prediction: what fits either is no finding. How another choice would have gone can only be asked now, which says
/// nothing if the model is no longer that of `version`.
pub(crate) fn look_again(trace: &mut Trace, predictor: &dyn Predictor, version: Option<u64>) {
    let choice = trace.chosen_endpoint();
    if trace.established || (trace.finding.is_none() && choice.is_none()) {
        return;
    }
    let Ok(prediction) = predictor.predict(&trace.plan) else {
        return;
    };
    let predicted = chosen(&prediction.hops).and_then(endpoint);
    match choice.filter(|choice| predicted.is_some_and(|predicted| predicted != *choice)) {
        None if trace.finding.is_some() => {
            trace.finding = difference(&prediction, trace);
        }
        None => {}
        Some(_) if predictor.version() != version => trace.finding = None,
        Some(endpoint) => match predictor.predict_choosing(&trace.plan, endpoint) {
            Ok(Some(prediction)) => trace.finding = difference(&prediction, trace),
            Ok(None) => trace.finding = other_endpoint(&prediction, trace),
            Err(_) => {}
        },
    }
}

/// The Service chose what is none of its endpoints.
fn other_endpoint(prediction: &Prediction, trace: &Trace) -> Option<Box<Finding>> {
    let chooses = |hop: &&Hop| hop.observations.iter().any(|seen| endpoint(seen).is_some());
    let hop = trace.hops.iter().find(chooses)?;
    Some(Box::new(Finding {
        node: hop.node.clone(),
        expected: chosen(&prediction.hops).cloned(),
        observed: chosen(&trace.hops).cloned(),
        left_out: Arc::clone(&prediction.left_out),
    }))
}
