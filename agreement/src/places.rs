//! In which tables something was done with a packet that traces tell of, node by node.

use std::fmt;

use testbed::realisation::TABLES;
use traceflow_core::observation::{Action, Component, ComponentInfo, DropReason, Observation, PolicyKind};
use traceflow_core::trace::Hop;

/// The tables of a path, in the order in which a packet passes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places(Vec<Place>);

/// One table of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    node: String,
    /// Its name; several where the teller leaves open which of them it was.
    any_of: Vec<&'static str>,
}

impl Places {
    /// The tables that the observations of a path name.
    ///
    /// Of a rule of Antrea's an observation doesn't tell the tier: those of the tier `baseline` have another table.
    pub fn of(hops: &[Hop]) -> Self {
        let mut places = Self::default();
        for hop in hops {
            places.push(&hop.node.to_string(), hop.observations.iter().map(named).collect());
        }
        places
    }

    /// Adds the tables of the next node: each by its names, in any order.
    pub(crate) fn push(&mut self, node: &str, mut tables: Vec<&[&'static str]>) {
        let number = |names: &&[&str]| {
            let first = names.first();
            first.and_then(|first| TABLES.iter().position(|(name, _)| name == first))
        };
        tables.sort_by_key(number);
        tables.dedup();
        self.0.extend(tables.into_iter().map(|names| Place {
            node: node.to_owned(),
            any_of: names.to_vec(),
        }));
    }

    /// Whether both may be the same tables.
    pub fn agree(&self, other: &Self) -> bool {
        let may_be_same = |(one, other): (&Place, &Place)| {
            one.node == other.node && one.any_of.iter().any(|name| other.any_of.contains(name))
        };
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(may_be_same)
    }
}

impl fmt::Display for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Place { node, any_of }) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{node} {}", any_of.join(" or "))?;
        }
        Ok(())
    }
}

/// The name of a table by its number.
pub(crate) fn table_name(number: u8) -> &'static str {
    let found = TABLES.iter().find(|(_, known)| *known == number);
    found.map_or("a table of nobody", |(name, _)| name)
}

fn named(seen: &Observation) -> &'static [&'static str] {
    match (&seen.component, &seen.action, seen.component_info.as_ref()) {
        (Component::SpoofGuard, ..) => &["SpoofGuard"],
        (Component::Conntrack, ..) => &["ConntrackState"],
        (Component::Lb, Action::Dropped, _) => &["ServiceLB"],
        (Component::Lb, ..) => &["EndpointDNAT"],
        (Component::Egress, ..) => &["EgressMark"],
        (Component::Routing, ..) if seen.reason == Some(DropReason::TtlExpired) => &["L3DecTTL"],
        (Component::Routing, ..) => &["Output"],
        (_, _, Some(ComponentInfo::Classification)) => &["Classifier"],
        (_, _, Some(ComponentInfo::EgressRule)) if is_kubernetes(seen) => &["EgressRule"],
        (_, _, Some(ComponentInfo::EgressRule)) => &["AntreaPolicyEgressRule", "EgressDefaultRule"],
        (_, _, Some(ComponentInfo::EgressDefaultRule)) => &["EgressDefaultRule"],
        (_, _, Some(ComponentInfo::EgressMetric)) => &["EgressMetric"],
        (_, _, Some(ComponentInfo::IngressRule)) if is_kubernetes(seen) => &["IngressRule"],
        (_, _, Some(ComponentInfo::IngressRule)) => &["AntreaPolicyIngressRule", "IngressDefaultRule"],
        (_, _, Some(ComponentInfo::IngressDefaultRule)) => &["IngressDefaultRule"],
        (_, _, Some(ComponentInfo::IngressMetric)) => &["IngressMetric"],
        (_, _, Some(ComponentInfo::Output)) => &["Output"],
        _ => &["a table of nobody"],
    }
}

fn is_kubernetes(seen: &Observation) -> bool {
    let policy = seen.network_policy.as_ref();
    policy.is_some_and(|policy| policy.kind == PolicyKind::K8sNetworkPolicy)
}

#[cfg(test)]
mod tests {
    use traceflow_core::names::ObjectName;
    use traceflow_core::observation::PolicyRef;

    use super::*;

    fn on_node_a(tables: &[&'static [&'static str]]) -> Places {
        let mut places = Places::default();
        places.push("node-a", tables.to_vec());
        places
    }

    #[test]
    fn a_rule_is_in_the_table_of_its_policys_kind() {
        let rule = Observation::new(Component::NetworkPolicy, Action::Forwarded).at(ComponentInfo::IngressRule);
        let mut of_kubernetes = rule.clone();
        of_kubernetes.network_policy = Some(PolicyRef::kubernetes(ObjectName::new("default", "web")));
        assert_eq!(named(&of_kubernetes), ["IngressRule"]);
        let of_antrea = PolicyRef {
            kind: PolicyKind::AntreaNetworkPolicy,
            ..of_kubernetes.network_policy.unwrap()
        };
        let mut seen = rule;
        seen.network_policy = Some(of_antrea);
        assert_eq!(named(&seen), ["AntreaPolicyIngressRule", "IngressDefaultRule"]);
    }

    #[test]
    fn tables_are_put_in_the_order_of_the_pipeline() {
        let places = on_node_a(&[&["IngressMetric"], &["EgressMark"], &["SpoofGuard"], &["EgressMark"]]);
        assert_eq!(
            places.to_string(),
            "node-a SpoofGuard, node-a EgressMark, node-a IngressMetric"
        );
    }

    #[test]
    fn what_is_left_open_agrees_with_each_that_it_may_be() {
        let open = on_node_a(&[&["AntreaPolicyEgressRule", "EgressDefaultRule"], &["Output"]]);
        assert!(open.agree(&on_node_a(&[&["EgressDefaultRule"], &["Output"]])));
        for other in [
            on_node_a(&[&["EgressRule"], &["Output"]]),
            on_node_a(&[&["Output"]]),
            on_node_a(&[&["EgressDefaultRule"], &["Output"], &["ServiceLB"]]),
        ] {
            assert!(!open.agree(&other), "{other}");
        }
        let mut elsewhere = Places::default();
        elsewhere.push("node-b", vec![&["EgressDefaultRule"], &["Output"]]);
        assert!(!open.agree(&elsewhere));
    }
}
