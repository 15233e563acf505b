//! What the policies say about one packet in one direction.

use std::net::IpAddr;
use std::sync::Arc;

use traceflow_core::observation::PolicyRef;
use traceflow_core::packet::Protocol;

use super::antrea::{AntreaRule, BoundRule, Candidate, RuleAction};
use super::index::{PodId, PolicyIndex};
use super::indexed_pod::IndexedPod;
use super::{NetworkPolicy, PolicyPeer, Rule};
use crate::model::ContainerPort;

/// Which way traffic goes, seen from the Pod that is isolated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To the Pod.
    Ingress,
    /// From the Pod.
    Egress,
}

/// The first packet of a connection, as the policies of one of its ends see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Which end is asked about: the destination's ingress or the source's egress.
    pub direction: Direction,
    /// The Pod at that end.
    pub pod: PodId,
    /// The other end.
    pub peer: Peer,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The source port; `None` if the protocol has none or the packet doesn't show it.
    pub source_port: Option<u16>,
    /// The destination port, after any translation; `None` if the protocol has none or the packet doesn't show it.
    pub destination_port: Option<u16>,
    /// Type and code of ICMP or ICMPv6; `None` for another protocol, or if the packet doesn't show it.
    pub icmp: Option<(u8, u8)>,
}

/// The other end of [`Access`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Whoever has this address: the Pod that the index knows by it, else a node or something outside.
    Address(IpAddr),
    /// The Pod itself, at this address, to which one of its Services has led it back. Policies on its way out have a say about
    /// that, as in Antrea; Kubernetes leaves it open (kubernetes-sigs/network-policy-api#343).
    ItselfByService(IpAddr),
    /// The node on which the Pod itself runs, by any of its addresses.
    OwnNode(IpAddr),
}

impl Peer {
    /// The address of the other end.
    pub fn address(self) -> IpAddr {
        match self {
            Self::Address(address) | Self::ItselfByService(address) | Self::OwnNode(address) => address,
        }
    }
}

/// What the policies say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Allowed: no policy isolates the Pod in this direction, and none of Antrea's decides about this access.
    NotIsolated,
    /// Allowed: policies select the Pod, but none can forbid this access.
    Exempt(Exempt),
    /// Allowed by a rule. Where rules of several Kubernetes policies allow it, this is the first rule of the first policy
    /// by name.
    Allowed {
        /// The policy that the rule belongs to.
        policy: PolicyRef,
        /// The rule's place in the policy's `ingress` or `egress`, from 0.
        rule: usize,
        /// The rule's name, where rules have names.
        rule_name: Option<Arc<str>>,
    },
    /// Allowed: a rule of one of Antrea's policies passed it on, and nothing that is asked later decided.
    Passed {
        /// The policy that the rule belongs to.
        policy: PolicyRef,
        /// The rule's place in the policy's `ingress` or `egress`, from 0.
        rule: usize,
        /// The rule's name, if it has one.
        rule_name: Option<Arc<str>>,
    },
    /// Denied by a rule of one of Antrea's policies.
    Denied {
        /// The policy that the rule belongs to.
        policy: PolicyRef,
        /// The rule's place in the policy's `ingress` or `egress`, from 0.
        rule: usize,
        /// The rule's name, if it has one.
        rule_name: Option<Arc<str>>,
        /// Whether the sender is told.
        denial: Denial,
    },
    /// Denied: policies isolate the Pod, and none of their rules allows the access.
    Isolated {
        /// The policies that isolate it in this direction, in the order of their names.
        policies: Arc<[PolicyRef]>,
    },
}

/// How a rule denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Denial {
    /// Without a word.
    Drop,
    /// With a TCP reset or an ICMP error to the sender.
    Reject,
}

/// Access that no policy can forbid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exempt {
    /// From the Pod to itself.
    Itself,
    /// To the Pod from the node that it runs on.
    OwnNode,
}

impl Decision {
    /// Whether the packet may pass.
    pub fn allows(&self) -> bool {
        !matches!(self, Self::Isolated { .. } | Self::Denied { .. })
    }
}

impl PolicyIndex {
    /// What the policies say about `traffic`; [`Decision::NotIsolated`] if there is no such Pod.
    ///
    /// Antrea's policies are asked first, then Kubernetes', then those of Antrea's tier `baseline`.
    ///
    /// The cost depends on the policies that select the Pod, not on how many there are. Nothing is allocated unless
    /// the answer is [`Decision::Isolated`].
    pub fn decide(&self, access: &Access) -> Decision {
        let asked = match self.ask(access) {
            Ok(asked) => asked,
            Err(decided) => return decided,
        };
        let (tiers, baseline) = asked.antrea_rules();
        let first = asked.decided_by(tiers);
        if let Some(decision) = &first
            && !matches!(decision, Decision::Passed { .. })
        {
            return decision.clone();
        }
        let policies = asked.subject.policies(access.direction);
        if policies.is_empty() {
            let last = asked.decided_by(baseline);
            return last.or(first).unwrap_or(Decision::NotIsolated);
        }
        let allowed = policies.iter().find_map(|policy| asked.allowed_by(policy));
        allowed.unwrap_or_else(|| isolated_by(policies))
    }

    /// Everything that took part in what [`decide`](Self::decide) says, in order: the rule of Antrea's that passed the packet
    /// on, where one did, then what decided.
    pub fn deciding(&self, access: &Access) -> Vec<Decision> {
        let last = self.decide(access);
        let passed = self.ask(access).ok().and_then(|asked| {
            let (tiers, _) = asked.antrea_rules();
            asked.decided_by(tiers)
        });
        let passed = passed.filter(|first| matches!(first, Decision::Passed { .. }) && *first != last);
        passed.into_iter().chain([last]).collect()
    }

    /// What denies `traffic`, and what would if that were taken away, and so on; empty if it is allowed. The first is what
    /// [`decide`](Self::decide) says.
    pub fn denials(&self, access: &Access) -> Vec<Decision> {
        let Ok(asked) = self.ask(access) else {
            return Vec::new();
        };
        let (tiers, baseline) = asked.antrea_rules();
        let (mut denials, ending) = asked.denied_by(tiers);
        if ending == Some(RuleAction::Allow) {
            return denials;
        }
        let policies = asked.subject.policies(access.direction);
        if policies.is_empty() {
            denials.extend(asked.denied_by(baseline).0);
        } else if !policies.iter().any(|policy| asked.allowed_by(policy).is_some()) {
            denials.push(isolated_by(policies));
        }
        denials
    }

    /// The question made ready for the policies of its Pod; the answer at once where none of them has a say.
    fn ask<'a>(&'a self, access: &'a Access) -> Result<Asked<'a>, Decision> {
        let Some(subject) = self.pod(access.pod) else {
            return Err(Decision::NotIsolated);
        };
        let direction = access.direction;
        if subject.policies(direction).is_empty() && subject.antrea_rules(direction).is_empty() {
            return Err(Decision::NotIsolated);
        }
        let peer = self.resolve(access.peer);
        if let Some(exempt) = exempt(access, &peer) {
            return Err(Decision::Exempt(exempt));
        }
        let declared: &[ContainerPort] = match direction {
            Direction::Ingress => subject.ports(),
            Direction::Egress => peer.pod.map_or(&[], |(_, pod)| pod.ports()),
        };
        Ok(Asked {
            index: self,
            access,
            subject,
            peer,
            declared,
        })
    }

    fn resolve(&self, peer: Peer) -> ResolvedPeer<'_> {
        match peer {
            Peer::Address(address) | Peer::ItselfByService(address) => ResolvedPeer {
                address,
                pod: self.pod_at(address).and_then(|id| self.pod(id).map(|pod| (id, pod))),
            },
            Peer::OwnNode(address) => ResolvedPeer { address, pod: None },
        }
    }
}

struct ResolvedPeer<'a> {
    address: IpAddr,
    pod: Option<(PodId, &'a IndexedPod)>,
}

/// "A pod cannot block access to itself" (the Network Policies page of the documentation), and ingress is allowed "if
/// the traffic source is the pod's local node" (the API's text).
fn exempt(access: &Access, peer: &ResolvedPeer<'_>) -> Option<Exempt> {
    match (access.peer, access.direction) {
        (Peer::ItselfByService(_), Direction::Egress) => None,
        (Peer::OwnNode(_), Direction::Ingress) => Some(Exempt::OwnNode),
        _ => {
            let is_itself = peer.pod.is_some_and(|(id, _)| id == access.pod);
            is_itself.then_some(Exempt::Itself)
        }
    }
}

fn isolated_by(policies: &[Arc<NetworkPolicy>]) -> Decision {
    let names = policies.iter().map(|policy| PolicyRef::kubernetes(policy.name.clone()));
    Decision::Isolated {
        policies: names.collect(),
    }
}

/// Everything that a rule looks at.
struct Asked<'a> {
    index: &'a PolicyIndex,
    access: &'a Access,
    /// The Pod whose policies are asked.
    subject: &'a IndexedPod,
    peer: ResolvedPeer<'a>,
    /// The ports that the destination Pod declares.
    declared: &'a [ContainerPort],
}

impl<'a> Asked<'a> {
    /// Antrea's rules for the Pod: those that are asked before the Kubernetes policies, and those of the tier `baseline`.
    fn antrea_rules(&self) -> (&'a [BoundRule], &'a [BoundRule]) {
        let rules = self.subject.antrea_rules(self.access.direction);
        rules.split_at(rules.partition_point(|bound| !bound.baseline))
    }

    /// The decision of the policy's first rule that allows the access.
    fn allowed_by(&self, policy: &NetworkPolicy) -> Option<Decision> {
        let rule = policy
            .rules(self.access.direction)?
            .iter()
            .position(|rule| self.matches_ports(rule) && self.matches_peers(rule, policy))?;
        Some(Decision::Allowed {
            policy: PolicyRef::kubernetes(policy.name.clone()),
            rule,
            rule_name: None,
        })
    }

    /// The decision of the first of Antrea's rules that matches.
    fn decided_by(&self, rules: &[BoundRule]) -> Option<Decision> {
        let bound = rules.iter().find(|bound| self.matches_bound(bound))?;
        Some(self.decision_of(bound))
    }

    /// All rules that deny the access one after the other, up to one that ends that, and what it does.
    fn denied_by(&self, rules: &[BoundRule]) -> (Vec<Decision>, Option<RuleAction>) {
        let mut denials = Vec::new();
        for bound in rules.iter().filter(|bound| self.matches_bound(bound)) {
            match bound.rule(self.access.direction).action {
                RuleAction::Drop | RuleAction::Reject => denials.push(self.decision_of(bound)),
                ending => return (denials, Some(ending)),
            }
        }
        (denials, None)
    }

    fn decision_of(&self, bound: &BoundRule) -> Decision {
        let AntreaRule { name, action, .. } = bound.rule(self.access.direction);
        let (policy, rule, rule_name) = (bound.policy.name.clone(), bound.place, name.clone());
        let denial = match action {
            RuleAction::Pass => {
                return Decision::Passed {
                    policy,
                    rule,
                    rule_name,
                };
            }
            RuleAction::Allow => {
                return Decision::Allowed {
                    policy,
                    rule,
                    rule_name,
                };
            }
            RuleAction::Drop => Denial::Drop,
            RuleAction::Reject => Denial::Reject,
        };
        Decision::Denied {
            policy,
            rule,
            rule_name,
            denial,
        }
    }

    fn matches_bound(&self, bound: &BoundRule) -> bool {
        let rule = bound.rule(self.access.direction);
        let candidate = Candidate {
            address: Some(self.peer.address),
            pod: self.peer.pod.map(|(_, pod)| pod),
        };
        let is_peer = |peer| {
            self.index
                .antrea()
                .is_peer(peer, &bound.policy, self.subject, candidate)
        };
        let covers = |traffic: &super::antrea::RuleTraffic| traffic.covers(self.access, self.declared);
        (rule.traffic.is_empty() || rule.traffic.iter().any(covers))
            && (rule.peers.is_empty() || rule.peers.iter().any(is_peer))
    }

    fn matches_ports(&self, rule: &Rule) -> bool {
        let Access {
            protocol,
            destination_port,
            ..
        } = *self.access;
        rule.ports.is_empty()
            || rule
                .ports
                .iter()
                .any(|port| port.opens(protocol, destination_port, self.declared))
    }

    fn matches_peers(&self, rule: &Rule, policy: &NetworkPolicy) -> bool {
        rule.peers.is_empty() || rule.peers.iter().any(|peer| self.matches_peer(peer, policy))
    }

    fn matches_peer(&self, peer: &PolicyPeer, policy: &NetworkPolicy) -> bool {
        match peer {
            PolicyPeer::IpBlock(block) => block.contains(self.peer.address),
            PolicyPeer::Pods { .. } => self.peer.pod.is_some_and(|(_, pod)| pod.is_selected_by(peer, policy)),
        }
    }
}
