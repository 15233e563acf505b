//! The rules of the cluster's policies, with their numbers.

use std::collections::BTreeSet;
use std::sync::Arc;

use ipnet::IpNet;
use traceflow_core::observation::PolicyRef;
use traceflow_sim::Cluster;
use traceflow_sim::model::Pod;
use traceflow_sim::policy::antrea::{
    AntreaPeer, AntreaPolicy, AntreaRule, BASELINE_TIER, PeerNamespaces, RuleAction, RuleTraffic,
};
use traceflow_sim::policy::{Direction, IpBlock, NetworkPolicy, PolicyPeer, Rule};

use super::rule_numbers::{Content, Place};
use super::{RealisationError, RuleId, RuleNumbers};

/// A rule and what it is known by.
#[derive(Debug, Clone)]
pub(super) struct NumberedRule<'a> {
    pub(super) number: u32,
    pub(super) direction: Direction,
    text: Text<'a>,
}

/// The rule as it is written.
#[derive(Debug, Clone)]
enum Text<'a> {
    Kubernetes {
        policy: &'a NetworkPolicy,
        rule: &'a Rule,
    },
    Antrea {
        policy: &'a AntreaPolicy,
        place: usize,
        rule: &'a AntreaRule,
        /// The rule is applied to Pods of this namespace only: who its peers are depends on it.
        namespace: Option<Arc<str>>,
    },
}

/// Among which others a rule is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Antrea's policies, first.
    Antrea,
    /// Kubernetes' policies.
    Kubernetes,
    /// Those of Antrea's tier `baseline`, for Pods that no Kubernetes policy isolates.
    Baseline,
}

impl<'a> NumberedRule<'a> {
    pub(super) fn id(&self) -> RuleId {
        let (policy, rule) = match &self.text {
            Text::Kubernetes { policy, .. } => (PolicyRef::kubernetes(policy.name.clone()), None),
            Text::Antrea { policy, rule, .. } => (policy.name.clone(), rule.name.clone()),
        };
        RuleId {
            id: self.number,
            policy,
            rule: rule.map(|name| name.to_string()),
        }
    }

    pub(super) fn turn(&self) -> Turn {
        match &self.text {
            Text::Kubernetes { .. } => Turn::Kubernetes,
            Text::Antrea { policy, .. } if &*policy.tier == BASELINE_TIER => Turn::Baseline,
            Text::Antrea { .. } => Turn::Antrea,
        }
    }

    pub(super) fn action(&self) -> RuleAction {
        match &self.text {
            Text::Kubernetes { .. } => RuleAction::Allow,
            Text::Antrea { rule, .. } => rule.action,
        }
    }

    /// The Pods that it applies to, in the order of their names.
    pub(super) fn subjects(&self, cluster: &'a Cluster) -> Vec<&'a Pod> {
        match &self.text {
            Text::Kubernetes { policy, .. } => cluster.policies().subjects(policy, self.direction),
            Text::Antrea {
                policy,
                place,
                namespace,
                ..
            } => {
                let mut subjects = cluster.policies().antrea_subjects(policy, self.direction, *place);
                subjects.retain(|pod| {
                    namespace
                        .as_ref()
                        .is_none_or(|namespace| pod.name.namespace == *namespace)
                });
                subjects
            }
        }
    }

    /// The addresses of its peers, where it is applied to `subject`; `None` is everybody.
    pub(super) fn networks(&self, cluster: &Cluster, subject: &Pod) -> Option<Vec<IpNet>> {
        match &self.text {
            Text::Kubernetes { policy, rule } => {
                let of_peer = |peer| kubernetes_networks(cluster, policy, peer);
                (!rule.peers.is_empty()).then(|| rule.peers.iter().flat_map(of_peer).collect())
            }
            Text::Antrea { policy, rule, .. } => {
                let of_peer = |peer| antrea_networks(cluster, policy, peer, subject);
                (!rule.peers.is_empty()).then(|| rule.peers.iter().flat_map(of_peer).collect())
            }
        }
    }

    /// The traffic that it is about; empty is all.
    pub(super) fn traffic(&self) -> Vec<RuleTraffic> {
        match &self.text {
            Text::Kubernetes { rule, .. } => {
                let ports = rule.ports.iter().cloned();
                ports.map(|to| RuleTraffic::Ports { to, from: None }).collect()
            }
            Text::Antrea { rule, .. } => rule.traffic.clone(),
        }
    }
}

fn kubernetes_networks(cluster: &Cluster, policy: &NetworkPolicy, peer: &PolicyPeer) -> Vec<IpNet> {
    match peer {
        PolicyPeer::IpBlock(block) => parts(block),
        PolicyPeer::Pods { .. } => addresses(cluster.policies().selected(policy, peer)),
    }
}

fn antrea_networks(cluster: &Cluster, policy: &AntreaPolicy, peer: &AntreaPeer, subject: &Pod) -> Vec<IpNet> {
    let policies = cluster.policies();
    let Some(subject) = policies.pod_id(&subject.name) else {
        return Vec::new();
    };
    let (pods, blocks) = policies.antrea_peers(policy, peer, subject);
    let mut networks = addresses(pods);
    networks.extend(blocks.into_iter().flat_map(parts));
    networks
}

fn addresses(pods: Vec<&Pod>) -> Vec<IpNet> {
    let addresses = pods.into_iter().flat_map(|pod| &pod.addresses);
    addresses.map(|&address| IpNet::from(address)).collect()
}

/// The block without its exceptions, as networks.
fn parts(block: &IpBlock) -> Vec<IpNet> {
    let mut parts = Vec::new();
    let mut open = vec![block.cidr().trunc()];
    while let Some(network) = open.pop() {
        if block.except().iter().any(|except| except.contains(&network)) {
            continue;
        }
        match block.except().iter().any(|except| network.contains(except)) {
            true => open.extend(halves(network)),
            false => parts.push(network),
        }
    }
    parts
}

fn halves(network: IpNet) -> impl Iterator<Item = IpNet> {
    let halves = network.subnets(network.prefix_len() + 1);
    halves.into_iter().flatten()
}

/// All rules, those of each turn in the order in which they are asked. Kubernetes' rules are tried by namespace and name of
/// the policy, then by place.
pub(super) fn number<'a>(
    cluster: &'a Cluster,
    numbers: &mut RuleNumbers,
) -> Result<Vec<NumberedRule<'a>>, RealisationError> {
    let mut numbered = Vec::new();
    for policy in cluster.policies().policies() {
        for direction in [Direction::Ingress, Direction::Egress] {
            for (index, rule) in policy.rules(direction).unwrap_or_default().iter().enumerate() {
                let place = Place {
                    policy: PolicyRef::kubernetes(policy.name.clone()),
                    direction,
                    index,
                    namespace: None,
                };
                numbered.push(NumberedRule {
                    number: numbers.number(place, Content::Kubernetes(rule.clone()))?,
                    direction,
                    text: Text::Kubernetes { policy, rule },
                });
            }
        }
    }
    for policy in antrea_policies(cluster) {
        for direction in [Direction::Ingress, Direction::Egress] {
            for (index, rule) in policy.rules(direction).iter().enumerate() {
                for namespace in namespaces(cluster, policy, direction, index) {
                    let place = Place {
                        policy: policy.name.clone(),
                        direction,
                        index,
                        namespace: namespace.clone(),
                    };
                    numbered.push(NumberedRule {
                        number: numbers.number(place, Content::Antrea(rule.clone()))?,
                        direction,
                        text: Text::Antrea {
                            policy,
                            place: index,
                            rule,
                            namespace,
                        },
                    });
                }
            }
        }
    }
    Ok(numbered)
}

/// Antrea's policies in the order in which they are asked.
fn antrea_policies(cluster: &Cluster) -> Vec<&AntreaPolicy> {
    let policies = cluster.policies();
    let mut ordered: Vec<&AntreaPolicy> = policies.antrea_policies().map(|policy| &**policy).collect();
    // They come by kind, namespace and name, and that order is kept among equals.
    ordered.sort_by_key(|policy| (policies.tiers().of(&policy.tier), policy.priority));
    ordered
}

/// The namespaces for each of which a rule is a rule of its own; one without name for all of them, where the peers are the
/// same for all its subjects.
fn namespaces(cluster: &Cluster, policy: &AntreaPolicy, direction: Direction, place: usize) -> Vec<Option<Arc<str>>> {
    let depends = policy.rules(direction)[place].peers.iter().any(|peer| {
        matches!(
            peer,
            AntreaPeer::Pods {
                namespaces: PeerNamespaces::OfSubject | PeerNamespaces::SameLabels(_),
                ..
            }
        )
    });
    if !depends {
        return vec![None];
    }
    let subjects = cluster.policies().antrea_subjects(policy, direction, place);
    let namespaces: BTreeSet<Arc<str>> = subjects.into_iter().map(|pod| pod.name.namespace.clone()).collect();
    namespaces.into_iter().map(Some).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_without_its_exceptions_is_a_list_of_networks() {
        let network = |text: &str| -> IpNet { text.parse().unwrap() };
        let block = |cidr, except: &[&str]| {
            let except = except.iter().map(|text| network(text)).collect();
            let mut parts = parts(&IpBlock::new(network(cidr), except).unwrap());
            parts.sort();
            parts.iter().map(IpNet::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(block("10.0.0.0/8", &[]), "10.0.0.0/8");
        assert_eq!(block("10.0.0.0/30", &["10.0.0.1/32"]), "10.0.0.0/32 10.0.0.2/31");
        assert_eq!(block("10.0.0.0/24", &["10.0.0.0/25", "10.0.0.128/25"]), "");
        let parts = block("::/0", &["fd00::1/128"]);
        assert_eq!(parts.split(' ').count(), 128);
    }
}
