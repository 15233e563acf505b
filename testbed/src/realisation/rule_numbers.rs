//! The numbers of policies' rules.

use std::collections::HashMap;
use std::sync::Arc;

use traceflow_core::observation::PolicyRef;
use traceflow_sim::policy::antrea::AntreaRule;
use traceflow_sim::policy::{Direction, Rule};

use super::RealisationError;

/// Numbers rules, and remembers the numbers while policies come and go: a rule keeps its number for as long as the
/// allocator lives, and no other rule ever gets it.
///
/// ```
/// use testbed::realisation::{RuleNumbers, realise_with};
/// use traceflow_sim::Cluster;
///
/// let cluster = Cluster::builder().node("a").pod("web", "a").build()?;
/// let mut numbers = RuleNumbers::default();
/// let before = realise_with(&cluster, &mut numbers)?;
/// let after = realise_with(&cluster, &mut numbers)?;
/// assert_eq!(before, after);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct RuleNumbers {
    last: u32,
    known: HashMap<Place, (Content, u32)>,
}

/// Where a rule stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) policy: PolicyRef,
    pub(super) direction: Direction,
    /// In the policy's rules of this direction.
    pub(super) index: usize,
    /// The namespace of the Pods that this part of the rule applies to, where that matters.
    pub(super) namespace: Option<Arc<str>>,
}

/// What a rule says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    Kubernetes(Rule),
    Antrea(AntreaRule),
}

impl RuleNumbers {
    /// The number of the rule at this place: the one it had, or a new one. A place with another rule in it than before is
    /// another rule.
    pub(super) fn number(&mut self, place: Place, rule: Content) -> Result<u32, RealisationError> {
        if let Some((known, number)) = self.known.get(&place)
            && *known == rule
        {
            return Ok(*number);
        }
        let number = self.last.checked_add(1).ok_or(RealisationError::NumbersExhausted)?;
        self.last = number;
        self.known.insert(place, (rule, number));
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use traceflow_core::names::ObjectName;
    use traceflow_core::packet::Protocol;
    use traceflow_sim::policy::{PolicyPort, PortSet};

    fn place(policy: &str, index: usize) -> Place {
        Place {
            policy: PolicyRef::kubernetes(ObjectName::new("default", policy)),
            direction: Direction::Ingress,
            index,
            namespace: None,
        }
    }

    fn open() -> Content {
        Content::Kubernetes(Rule::default())
    }

    #[test]
    fn a_changed_rule_is_another_rule_and_no_number_comes_back() {
        let mut numbers = RuleNumbers::default();
        let tcp = Content::Kubernetes(Rule {
            ports: vec![PolicyPort {
                protocol: Protocol::TCP,
                ports: PortSet::All,
            }],
            ..Rule::default()
        });
        assert_eq!(numbers.number(place("a", 0), open()).unwrap(), 1);
        assert_eq!(numbers.number(place("b", 0), open()).unwrap(), 2);
        assert_eq!(numbers.number(place("a", 0), open()).unwrap(), 1);
        assert_eq!(numbers.number(place("a", 0), tcp).unwrap(), 3);
        assert_eq!(numbers.number(place("a", 0), open()).unwrap(), 4);
        assert_eq!(numbers.number(place("b", 0), open()).unwrap(), 2);
    }

    #[test]
    fn policies_of_two_kinds_have_numbers_of_their_own() {
        let mut numbers = RuleNumbers::default();
        let of_antrea = Place {
            policy: PolicyRef::antrea(ObjectName::new("default", "a")),
            ..place("a", 0)
        };
        assert_eq!(numbers.number(place("a", 0), open()).unwrap(), 1);
        assert_eq!(numbers.number(of_antrea, open()).unwrap(), 2);
    }

    #[test]
    fn numbers_that_run_out_are_an_error() {
        let mut numbers = RuleNumbers {
            last: u32::MAX,
            ..RuleNumbers::default()
        };
        let full = numbers.number(place("a", 0), open());
        assert!(matches!(full, Err(RealisationError::NumbersExhausted)));
    }
}
