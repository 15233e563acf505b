//! The rules of the cluster's policies, with their numbers.

use traceflow_core::observation::PolicyRef;
use traceflow_sim::Cluster;
use traceflow_sim::policy::{Direction, NetworkPolicy, Rule};

use super::{RealisationError, RuleId, RuleNumbers};

/// A rule and what it is known by.
#[derive(Debug, Clone)]
pub(super) struct NumberedRule<'a> {
    pub(super) number: u32,
    pub(super) policy: &'a NetworkPolicy,
    pub(super) direction: Direction,
    pub(super) rule: &'a Rule,
}

impl NumberedRule<'_> {
    pub(super) fn id(&self) -> RuleId {
        RuleId {
            id: self.number,
            policy: PolicyRef::kubernetes(self.policy.name.clone()),
            rule: None,
        }
    }
}

/// All rules, in the order in which they are tried: by namespace and name of the policy, then by place.
pub(super) fn number<'a>(
    cluster: &'a Cluster,
    numbers: &mut RuleNumbers,
) -> Result<Vec<NumberedRule<'a>>, RealisationError> {
    let mut numbered = Vec::new();
    for policy in cluster.policies().policies() {
        for direction in [Direction::Ingress, Direction::Egress] {
            for (index, rule) in policy.rules(direction).unwrap_or_default().iter().enumerate() {
                let place = (policy.name.clone(), direction, index);
                numbered.push(NumberedRule {
                    number: numbers.number(place, rule)?,
                    policy,
                    direction,
                    rule,
                });
            }
        }
    }
    Ok(numbered)
}
