//! Reads the policies. What Antrea's admission refuses is refused with its place, unknown fields too.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use traceflow_core::input::{BadInput, Field, Problem, Value};
use traceflow_core::names::ObjectName;
use traceflow_core::observation::PolicyRef;

use super::{
    AntreaPeer, AntreaPolicy, AntreaRule, AppliedTo, BASELINE_TIER, DEFAULT_TIER, GroupName, PeerNamespaces, Priority,
    Reading, RuleAction, RuleTraffic,
};
use crate::policy::{Direction, IpBlock, LabelSelector, PolicyPort};

/// The first field that is valid and not modelled.
#[derive(Debug, Default)]
pub(crate) struct Beyond(Option<Arc<str>>);

impl Beyond {
    /// Takes note of those of these fields that are there.
    pub(crate) fn note_any(&mut self, parent: &Field<'_>, keys: &[&str]) -> Result<(), BadInput> {
        for key in keys {
            if let Some(field) = parent.optional(key)? {
                self.note(&field);
            }
        }
        Ok(())
    }

    fn note(&mut self, field: &Field<'_>) {
        self.0.get_or_insert_with(|| field.path().into());
    }

    pub(crate) fn reading<T>(self, object: T) -> Reading<T> {
        match self.0 {
            None => Reading::Modelled(object),
            Some(field) => Reading::Beyond(field),
        }
    }
}

impl AntreaPolicy {
    /// Reads the policy `name` from its whole object; `metadata` is left to the caller.
    pub(crate) fn read(name: PolicyRef, object: &Field<'_>) -> Result<Reading<Self>, BadInput> {
        object.only(&["apiVersion", "kind", "metadata", "spec", "status"])?;
        let spec = object.required("spec")?;
        spec.only(&["tier", "priority", "appliedTo", "ingress", "egress"])?;
        let mut reader = Reader {
            namespace: name.namespace.clone(),
            beyond: Beyond::default(),
        };
        let policy = Self {
            tier: match spec.optional("tier")? {
                Some(tier) => text(&tier)?,
                None => DEFAULT_TIER.into(),
            },
            priority: read_priority(&spec.required("priority")?)?,
            applied_to: reader.applied_to(&spec)?,
            ingress: reader.rules(&spec, "ingress", "from")?,
            egress: reader.rules(&spec, "egress", "to")?,
            name,
        };
        check_applied_to(&policy, &spec)?;
        check_rules(&policy, &spec)?;
        Ok(reader.beyond.reading(policy))
    }
}

impl AntreaRule {
    /// Reads an entry of `ingress` or `egress` of this policy.
    pub(crate) fn read(policy: &PolicyRef, direction: Direction, rule: &Field<'_>) -> Result<Self, BadInput> {
        let mut reader = Reader {
            namespace: policy.namespace.clone(),
            beyond: Beyond::default(),
        };
        reader.rule(
            rule,
            match direction {
                Direction::Ingress => "from",
                Direction::Egress => "to",
            },
        )
    }
}

/// Either the policy or each of its rules says whom it applies to.
fn check_applied_to(policy: &AntreaPolicy, spec: &Field<'_>) -> Result<(), BadInput> {
    let in_spec = spec.items("appliedTo")?.len() > 0;
    for direction in ["ingress", "egress"] {
        for rule in spec.items(direction)? {
            let in_rule = rule.items("appliedTo")?.len() > 0;
            match (in_spec, in_rule) {
                (true, true) => {
                    return Err(rule.required("appliedTo")?.error(Problem::Conflict {
                        what: "the policy says already whom it applies to".into(),
                        remedy: "keep appliedTo in spec, or in every rule".into(),
                    }));
                }
                (false, false) => {
                    return Err(rule.missing(
                        "appliedTo",
                        "say whom it applies to, here and in every rule, or in spec",
                    ));
                }
                _ => {}
            }
        }
    }
    let has_rules = !policy.ingress.is_empty() || !policy.egress.is_empty();
    if !in_spec && !has_rules {
        return Err(spec.missing("appliedTo", "say whom the policy applies to"));
    }
    Ok(())
}

fn check_rules(policy: &AntreaPolicy, spec: &Field<'_>) -> Result<(), BadInput> {
    let mut names = BTreeSet::new();
    for (direction, rules) in [("ingress", &policy.ingress), ("egress", &policy.egress)] {
        for (field, rule) in spec.items(direction)?.zip(rules) {
            if let Some(name) = &rule.name
                && !names.insert(name)
            {
                return Err(field.required("name")?.error(Problem::Conflict {
                    what: format!("another rule is called {name}").into(),
                    remedy: "give each rule of a policy its own name".into(),
                }));
            }
            if rule.action == RuleAction::Pass && &*policy.tier == BASELINE_TIER {
                return Err(field.required("action")?.error(Problem::Conflict {
                    what: "nothing comes after the tier baseline that a packet could pass to".into(),
                    remedy: "use Allow, Drop or Reject, or another tier".into(),
                }));
            }
        }
    }
    Ok(())
}

fn read_priority(field: &Field<'_>) -> Result<Priority, BadInput> {
    let value = match field.node().value {
        Value::Integer(value) => Some(value as f64),
        Value::Float(value) => Some(value),
        _ => return Err(field.wrong_type("a number from 1 to 10000")),
    };
    value
        .and_then(Priority::new)
        .ok_or_else(|| field.invalid("a number from 1 to 10000"))
}

/// Reads the rules of one policy.
struct Reader {
    /// The policy's; `None` if it is cluster-wide.
    namespace: Option<Arc<str>>,
    beyond: Beyond,
}

impl Reader {
    fn rules(&mut self, spec: &Field<'_>, direction: &str, peers: &'static str) -> Result<Vec<AntreaRule>, BadInput> {
        let rules = spec.items(direction)?;
        rules.map(|rule| self.rule(&rule, peers)).collect()
    }

    fn rule(&mut self, rule: &Field<'_>, peers: &'static str) -> Result<AntreaRule, BadInput> {
        const INGRESS: &[&str] = &[
            "action",
            "ports",
            "protocols",
            "l7Protocols",
            "from",
            "name",
            "enableLogging",
            "logLabel",
            "appliedTo",
        ];
        const EGRESS: &[&str] = &[
            "action",
            "ports",
            "protocols",
            "l7Protocols",
            "to",
            "toServices",
            "name",
            "enableLogging",
            "logLabel",
            "appliedTo",
        ];
        rule.only(if peers == "from" { INGRESS } else { EGRESS })?;
        self.beyond.note_any(rule, &["l7Protocols", "toServices"])?;
        Ok(AntreaRule {
            name: rule.optional("name")?.map(|name| text(&name)).transpose()?,
            action: read_action(&rule.required("action")?)?,
            peers: rule
                .items(peers)?
                .map(|peer| self.peer(&peer))
                .collect::<Result<_, _>>()?,
            traffic: self.traffic(rule)?,
            applied_to: self.applied_to(rule)?,
        })
    }

    fn traffic(&mut self, rule: &Field<'_>) -> Result<Vec<RuleTraffic>, BadInput> {
        let mut traffic = Vec::new();
        for port in rule.items("ports")? {
            traffic.push(read_port(&port)?);
        }
        for protocol in rule.items("protocols")? {
            protocol.only(&["icmp", "igmp"])?;
            self.beyond.note_any(&protocol, &["igmp"])?;
            if let Some(icmp) = protocol.optional("icmp")? {
                icmp.only(&["icmpType", "icmpCode"])?;
                let number = |key: &str| icmp.optional(key)?.map(|field| field.integer(0..=u8::MAX)).transpose();
                traffic.push(RuleTraffic::Icmp {
                    icmp_type: number("icmpType")?,
                    code: number("icmpCode")?,
                });
            } else if protocol.optional("igmp")?.is_none() {
                return Err(protocol.missing("icmp", "say which protocol: icmp: {}"));
            }
        }
        Ok(traffic)
    }

    fn applied_to(&mut self, parent: &Field<'_>) -> Result<Vec<AppliedTo>, BadInput> {
        let entries = parent.items("appliedTo")?;
        entries.map(|entry| self.applied_to_entry(&entry)).collect()
    }

    fn applied_to_entry(&mut self, entry: &Field<'_>) -> Result<AppliedTo, BadInput> {
        const OTHERS: &[&str] = &["externalEntitySelector", "service", "nodeSelector"];
        entry.only(&[
            "podSelector",
            "namespaceSelector",
            "group",
            "externalEntitySelector",
            "serviceAccount",
            "service",
            "nodeSelector",
        ])?;
        self.beyond.note_any(entry, OTHERS)?;
        if let Some(account) = self.service_account(entry)? {
            return Ok(AppliedTo::ServiceAccount(account));
        }
        let (pods, namespaces) = self.selectors(entry)?;
        match (self.group(entry)?, pods, namespaces) {
            (Some(group), None, None) => Ok(AppliedTo::Group(group)),
            (Some(_), ..) => Err(group_beside_selectors(entry)?),
            (None, None, None) if !has_any(entry, OTHERS)? => Err(entry.error(Problem::Invalid {
                found: "an entry that selects nobody is not valid".to_owned(),
                expected: "podSelector, namespaceSelector, group or serviceAccount".into(),
            })),
            (None, pods, namespaces) => Ok(AppliedTo::Pods {
                namespaces: match &self.namespace {
                    None => Some(namespaces.unwrap_or_default()),
                    // A namespaced policy applies to Pods of its own namespace.
                    Some(_) => None,
                },
                pods: pods.unwrap_or_default(),
            }),
        }
    }

    fn peer(&mut self, peer: &Field<'_>) -> Result<AntreaPeer, BadInput> {
        const OTHERS: &[&str] = &["externalEntitySelector", "fqdn", "nodeSelector"];
        peer.only(&[
            "ipBlock",
            "podSelector",
            "namespaceSelector",
            "namespaces",
            "group",
            "externalEntitySelector",
            "fqdn",
            "serviceAccount",
            "nodeSelector",
            "scope",
        ])?;
        self.beyond.note_any(peer, OTHERS)?;
        if let Some(account) = self.service_account(peer)? {
            return Ok(AntreaPeer::ServiceAccount(account));
        }
        self.scope(peer)?;
        let pods = read_selector(peer, "podSelector")?;
        let namespaces = self.peer_namespaces(peer)?;
        let has_selectors = pods.is_some() || namespaces.is_some();
        let block = peer.optional("ipBlock")?;
        match (block, self.group(peer)?) {
            (Some(block), None) if !has_selectors => Ok(AntreaPeer::IpBlock(IpBlock::read(&block)?)),
            (None, Some(group)) if !has_selectors => Ok(AntreaPeer::Group(group)),
            (None, None) if has_selectors || has_any(peer, OTHERS)? => Ok(AntreaPeer::Pods {
                namespaces: namespaces.unwrap_or_else(|| match self.namespace {
                    Some(_) => PeerNamespaces::Own,
                    None => PeerNamespaces::Selected(LabelSelector::default()),
                }),
                pods: pods.unwrap_or_default(),
            }),
            (None, None) => Err(peer.error(Problem::Invalid {
                found: "a peer that names nobody is not valid".to_owned(),
                expected: "podSelector, namespaceSelector, namespaces, group, serviceAccount or ipBlock".into(),
            })),
            (Some(block), _) => Err(block.error(Problem::Conflict {
                what: "ipBlock can't stand beside another way to name the peer".into(),
                remedy: "make them two peers".into(),
            })),
            (None, Some(_)) => Err(group_beside_selectors(peer)?),
        }
    }

    /// Other clusters of a set are not modelled.
    fn scope(&mut self, peer: &Field<'_>) -> Result<(), BadInput> {
        let Some(scope) = peer.optional("scope")? else {
            return Ok(());
        };
        match &*scope.string()? {
            "Cluster" => {}
            "ClusterSet" => self.beyond.note(&scope),
            _ => return Err(scope.invalid("Cluster or ClusterSet")),
        }
        Ok(())
    }

    fn peer_namespaces(&self, peer: &Field<'_>) -> Result<Option<PeerNamespaces>, BadInput> {
        let selector = read_selector(peer, "namespaceSelector")?;
        let Some(namespaces) = peer.optional("namespaces")? else {
            return Ok(selector.map(PeerNamespaces::Selected));
        };
        if selector.is_some() {
            return Err(namespaces.error(Problem::Conflict {
                what: "namespaces can't stand beside namespaceSelector".into(),
                remedy: "keep one of them".into(),
            }));
        }
        if self.namespace.is_some() {
            return Err(namespaces.error(Problem::Conflict {
                what: "namespaces is for ClusterNetworkPolicies".into(),
                remedy: "use namespaceSelector; without it the policy's own namespace is meant".into(),
            }));
        }
        namespaces.only(&["match", "sameLabels"])?;
        let labels = namespaces.items("sameLabels")?.map(|label| text(&label));
        let labels = labels.collect::<Result<Vec<_>, _>>()?;
        match (namespaces.optional("match")?, labels.is_empty()) {
            (Some(matched), true) if &*matched.string()? == "Self" => Ok(Some(PeerNamespaces::OfSubject)),
            (Some(matched), true) => Err(matched.invalid("Self")),
            (None, false) => Ok(Some(PeerNamespaces::SameLabels(labels))),
            _ => Err(namespaces.error(Problem::Conflict {
                what: "one of match and sameLabels must be there".into(),
                remedy: "write match: Self, or sameLabels with at least one label key".into(),
            })),
        }
    }

    fn selectors(&self, entry: &Field<'_>) -> Result<(Option<LabelSelector>, Option<LabelSelector>), BadInput> {
        let namespaces = read_selector(entry, "namespaceSelector")?;
        if namespaces.is_some() && self.namespace.is_some() {
            return Err(entry.required("namespaceSelector")?.error(Problem::Conflict {
                what: "a policy with a namespace applies to Pods of its own namespace".into(),
                remedy: "remove namespaceSelector, or make it a ClusterNetworkPolicy".into(),
            }));
        }
        Ok((read_selector(entry, "podSelector")?, namespaces))
    }

    /// "It cannot be used with any other fields" (Antrea's page on policies).
    fn service_account(&self, entry: &Field<'_>) -> Result<Option<ObjectName>, BadInput> {
        let Some(account) = entry.optional("serviceAccount")? else {
            return Ok(None);
        };
        if self.namespace.is_some() {
            return Err(account.error(Problem::Conflict {
                what: "serviceAccount is for ClusterNetworkPolicies".into(),
                remedy: "use podSelector".into(),
            }));
        }
        if entry.only(&["serviceAccount"]).is_err() {
            return Err(account.error(Problem::Conflict {
                what: "serviceAccount can't stand beside anything else".into(),
                remedy: "make them two entries".into(),
            }));
        }
        Ok(Some(namespaced_name(&account)?))
    }

    /// A namespaced policy names groups of its own namespace, a cluster-wide one ClusterGroups.
    fn group(&self, parent: &Field<'_>) -> Result<Option<GroupName>, BadInput> {
        let group = parent.optional("group")?.map(|group| text(&group)).transpose()?;
        Ok(group.map(|name| GroupName {
            namespace: self.namespace.clone(),
            name,
        }))
    }
}

fn has_any(parent: &Field<'_>, keys: &[&str]) -> Result<bool, BadInput> {
    for key in keys {
        if parent.optional(key)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn group_beside_selectors(entry: &Field<'_>) -> Result<BadInput, BadInput> {
    Ok(entry.required("group")?.error(Problem::Conflict {
        what: "group can't stand beside a selector".into(),
        remedy: "make them two entries".into(),
    }))
}

fn read_action(field: &Field<'_>) -> Result<RuleAction, BadInput> {
    match &*field.string()? {
        "Allow" => Ok(RuleAction::Allow),
        "Drop" => Ok(RuleAction::Drop),
        "Reject" => Ok(RuleAction::Reject),
        "Pass" => Ok(RuleAction::Pass),
        _ => Err(field.invalid("Allow, Drop, Reject or Pass")),
    }
}

fn read_port(port: &Field<'_>) -> Result<RuleTraffic, BadInput> {
    port.only(&["protocol", "port", "endPort", "sourcePort", "sourceEndPort"])?;
    Ok(RuleTraffic::Ports {
        to: PolicyPort::read_fields(port)?,
        from: read_source_ports(port)?,
    })
}

fn read_source_ports(port: &Field<'_>) -> Result<Option<RangeInclusive<u16>>, BadInput> {
    let last = port.optional("sourceEndPort")?;
    let Some(first) = port.optional("sourcePort")? else {
        return match last {
            None => Ok(None),
            Some(last) => Err(last.error(Problem::Conflict {
                what: "sourceEndPort needs a sourcePort".into(),
                remedy: "add sourcePort, the first of the range".into(),
            })),
        };
    };
    let first = first.integer(0..=u16::MAX)?;
    let last = last.map_or(Ok(first), |last| last.integer(first..=u16::MAX))?;
    Ok(Some(first..=last))
}

pub(crate) fn read_selector(parent: &Field<'_>, key: &str) -> Result<Option<LabelSelector>, BadInput> {
    let selector = parent.optional(key)?;
    selector.map(|selector| LabelSelector::read(&selector)).transpose()
}

/// A string that says something.
pub(super) fn text(field: &Field<'_>) -> Result<Arc<str>, BadInput> {
    let text = field.string()?;
    if text.is_empty() {
        return Err(field.invalid("a name"));
    }
    Ok(text)
}

pub(super) fn namespaced_name(field: &Field<'_>) -> Result<ObjectName, BadInput> {
    field.only(&["namespace", "name"])?;
    let namespace = text(&field.required("namespace")?)?;
    Ok(ObjectName::new(namespace, text(&field.required("name")?)?))
}
