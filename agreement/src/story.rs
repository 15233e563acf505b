//! What a teller says about a packet, in words that all tellers have.

use std::fmt;
use std::net::IpAddr;

use testbed::realisation::NodeRealisation;
use traceflow_core::names::NodeName;
use traceflow_core::observation::{Action, Component, ComponentInfo, DropReason, Observation};
use traceflow_core::plan::{Plan, Question};
use traceflow_core::trace::{Hop, Verdict};

/// The path of a packet, node by node, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Story {
    /// The nodes, in the order in which the packet came to them.
    pub steps: Vec<Step>,
    /// How the path ended on the last of them.
    pub end: String,
}

/// What one node did.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    /// The node.
    pub node: String,
    /// Where a Service sent the packet.
    pub endpoint: Option<IpAddr>,
    /// The rule that let it out.
    pub egress: Option<String>,
    /// The rule that let it in.
    pub ingress: Option<String>,
}

impl Story {
    /// The story of a path as a tracer or a predictor shows it.
    pub fn of(hops: &[Hop], verdict: &Verdict, plan: &Plan, nodes: &[NodeRealisation]) -> Self {
        let steps: Vec<Step> = hops.iter().map(step).collect();
        let asked = match &plan.question {
            Question::Inject { packet, .. } => Some(packet.ip.destination()),
            Question::Live { .. } => None,
        };
        let destination = steps.iter().rev().find_map(|step| step.endpoint).or(asked);
        let last = hops.last().and_then(|hop| Some((&hop.node, hop.observations.last()?)));
        Self {
            end: match (verdict, last) {
                (Verdict::Unanswered(_), _) | (_, None) => verdict.to_string(),
                (_, Some((node, last))) => end(last, node, destination, nodes),
            },
            steps,
        }
    }

    /// The node where two stories part: it does something else, or sends the packet elsewhere. None if they are one.
    pub fn parting<'a>(&'a self, other: &Self) -> Option<&'a str> {
        if self == other {
            return None;
        }
        let same = self
            .steps
            .iter()
            .zip(&other.steps)
            .take_while(|(one, other)| one == other);
        let same = same.count();
        let place = match (self.steps.get(same), other.steps.get(same)) {
            (Some(one), Some(other)) if one.node == other.node => same,
            _ => same.saturating_sub(1),
        };
        self.steps.get(place).map(|step| &*step.node)
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Step {
            node,
            endpoint,
            egress,
            ingress,
        } in &self.steps
        {
            write!(f, "{node}")?;
            if let Some(endpoint) = endpoint {
                write!(f, ", to {endpoint}")?;
            }
            if let Some(rule) = egress {
                write!(f, ", out by {rule}")?;
            }
            if let Some(rule) = ingress {
                write!(f, ", in by {rule}")?;
            }
            f.write_str("; ")?;
        }
        f.write_str(&self.end)
    }
}

/// A rule, by its policy and its name.
pub(crate) fn rule_text(policy: impl fmt::Display, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{policy} rule {name}"),
        None => policy.to_string(),
    }
}

fn step(hop: &Hop) -> Step {
    let rule = |info: ComponentInfo| {
        let is_allowed =
            |seen: &&Observation| seen.component_info.as_ref() == Some(&info) && seen.action == Action::Forwarded;
        let allowed = hop.observations.iter().find(is_allowed)?;
        let policy = allowed.network_policy.as_ref()?;
        Some(rule_text(policy, allowed.network_policy_rule.as_deref()))
    };
    Step {
        node: hop.node.to_string(),
        endpoint: hop.observations.iter().find_map(|seen| seen.translated_dst_ip),
        egress: rule(ComponentInfo::EgressRule),
        ingress: rule(ComponentInfo::IngressRule),
    }
}

fn end(last: &Observation, node: &NodeName, destination: Option<IpAddr>, nodes: &[NodeRealisation]) -> String {
    let verb = match last.action {
        Action::Delivered => {
            let pods = nodes
                .iter()
                .filter(|known| known.name == *node)
                .flat_map(|node| &node.pods);
            let pod = pods
                .into_iter()
                .find(|pod| destination.is_some_and(|address| pod.addresses.contains(&address)));
            return pod.map_or_else(|| BY_GATEWAY.to_owned(), |pod| format!("to Pod {}", pod.pod));
        }
        Action::ForwardedOutOfNetwork => return BY_GATEWAY.to_owned(),
        Action::Rejected => "rejected",
        Action::Dropped => "dropped",
        _ => return last.action.to_string(),
    };
    if let Some(DropReason::PolicyRule { policy, rule }) = &last.reason {
        return format!("{verb} by {}", rule_text(policy, rule.as_deref()));
    }
    let place = match (&last.component, last.component_info.as_ref(), last.reason.as_ref()) {
        (Component::Lb, ..) if last.action == Action::Rejected => return NO_ENDPOINTS.to_owned(),
        (Component::SpoofGuard, ..) => "SpoofGuard",
        (Component::Conntrack, ..) => "ConntrackState",
        (Component::Egress, ..) => "EgressMark",
        (Component::Lb, ..) => "ServiceLB",
        (_, Some(ComponentInfo::EgressDefaultRule), _) => "EgressDefaultRule",
        (_, Some(ComponentInfo::IngressDefaultRule), _) => "IngressDefaultRule",
        (Component::Routing, _, Some(DropReason::TtlExpired)) => "L3DecTTL",
        (Component::Routing, _, Some(DropReason::UnknownDestination)) => "Output",
        _ => return format!("{verb}: {last:?}"),
    };
    format!("{verb} in {place}")
}

/// The end of what is for the node itself, or for outside: the switch doesn't tell them apart.
pub(crate) const BY_GATEWAY: &str = "by the gateway";
/// The end of what is for a Service that has no endpoint.
pub(crate) const NO_ENDPOINTS: &str = "rejected in EndpointDNAT";
