//! The NetworkPolicy object, with its defaults filled in.

use traceflow_core::input::{BadInput, Field, Problem};
use traceflow_core::names::ObjectName;

use super::{Direction, IpBlock, LabelSelector, PolicyPort};

/// A `NetworkPolicy` of `networking.k8s.io/v1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkPolicy {
    /// Namespace and name.
    pub name: ObjectName,
    /// The Pods of its own namespace that it isolates.
    pub pod_selector: LabelSelector,
    /// What the Pods may receive; `None` if the policy is not about ingress, empty if they may receive nothing.
    pub ingress: Option<Vec<Rule>>,
    /// What the Pods may send; `None` if the policy is not about egress, empty if they may send nothing.
    pub egress: Option<Vec<Rule>>,
}

impl NetworkPolicy {
    /// Reads the policy `name` from its whole object; `metadata` is left to the caller.
    ///
    /// It obeys the API server's rules, and no field may be unknown: a misspelt `podSelector` would otherwise select
    /// every Pod.
    ///
    /// # Errors
    /// Its first mistake, with the place.
    pub fn read(name: ObjectName, object: &Field<'_>) -> Result<Self, BadInput> {
        object.only(&["apiVersion", "kind", "metadata", "spec", "status"])?;
        match object.optional("spec")? {
            Some(spec) => Self::read_spec(name, &spec),
            None => Ok(Self {
                name,
                pod_selector: LabelSelector::default(),
                ingress: Some(Vec::new()),
                egress: None,
            }),
        }
    }

    fn read_spec(name: ObjectName, spec: &Field<'_>) -> Result<Self, BadInput> {
        spec.only(&["podSelector", "policyTypes", "ingress", "egress"])?;
        let pod_selector = read_selector(spec, "podSelector")?.unwrap_or_default();
        let ingress = read_items(spec, "ingress", Rule::read_ingress)?;
        let egress = read_items(spec, "egress", Rule::read_egress)?;
        let types = PolicyTypes::read(spec)?.unwrap_or(PolicyTypes {
            ingress: true,
            egress: !egress.is_empty(),
        });
        Ok(Self {
            name,
            pod_selector,
            ingress: types.ingress.then_some(ingress),
            egress: types.egress.then_some(egress),
        })
    }

    /// The rules of one direction; `None` if the policy is not about it.
    pub fn rules(&self, direction: Direction) -> Option<&[Rule]> {
        match direction {
            Direction::Ingress => self.ingress.as_deref(),
            Direction::Egress => self.egress.as_deref(),
        }
    }
}

/// The directions that a policy is about.
struct PolicyTypes {
    ingress: bool,
    egress: bool,
}

impl PolicyTypes {
    /// `policyTypes`; `None` if it is not given, and an empty list counts as that.
    fn read(spec: &Field<'_>) -> Result<Option<Self>, BadInput> {
        let words = spec.items("policyTypes")?;
        if words.len() == 0 {
            return Ok(None);
        }
        if words.len() > 2 {
            return Err(spec.required("policyTypes")?.error(Problem::Conflict {
                what: "there are more than two policyTypes".into(),
                remedy: "name Ingress and Egress once each".into(),
            }));
        }
        let mut types = Self {
            ingress: false,
            egress: false,
        };
        for word in words {
            match &*word.string()? {
                "Ingress" => types.ingress = true,
                "Egress" => types.egress = true,
                _ => return Err(word.invalid("Ingress or Egress")),
            }
        }
        Ok(Some(types))
    }
}

/// One entry of `ingress` or `egress`: traffic that matches one of the peers and one of the ports is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rule {
    /// `from` or `to`; empty is every peer.
    pub peers: Vec<PolicyPeer>,
    /// `ports`; empty is every port and every protocol.
    pub ports: Vec<PolicyPort>,
}

impl Rule {
    /// Reads an entry of `ingress` or `egress`.
    pub(crate) fn read_for(direction: Direction, rule: &Field<'_>) -> Result<Self, BadInput> {
        match direction {
            Direction::Ingress => Self::read_ingress(rule),
            Direction::Egress => Self::read_egress(rule),
        }
    }

    fn read_ingress(rule: &Field<'_>) -> Result<Self, BadInput> {
        rule.only(&["from", "ports"])?;
        Self::read(rule, "from")
    }

    fn read_egress(rule: &Field<'_>) -> Result<Self, BadInput> {
        rule.only(&["to", "ports"])?;
        Self::read(rule, "to")
    }

    fn read(rule: &Field<'_>, peers: &str) -> Result<Self, BadInput> {
        Ok(Self {
            peers: read_items(rule, peers, PolicyPeer::read)?,
            ports: read_items(rule, "ports", PolicyPort::read)?,
        })
    }
}

/// One entry of `from` or `to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyPeer {
    /// Pods by their labels and their namespace's.
    Pods {
        /// `namespaceSelector`; `None` is the policy's own namespace.
        namespaces: Option<LabelSelector>,
        /// `podSelector`; all Pods where it is not given.
        pods: LabelSelector,
    },
    /// Addresses.
    IpBlock(IpBlock),
}

impl PolicyPeer {
    /// Reads an entry of `from` or `to`, which must obey the API server's rules.
    ///
    /// # Errors
    /// Its first mistake, with the place.
    pub fn read(peer: &Field<'_>) -> Result<Self, BadInput> {
        peer.only(&["podSelector", "namespaceSelector", "ipBlock"])?;
        let pods = read_selector(peer, "podSelector")?;
        let namespaces = read_selector(peer, "namespaceSelector")?;
        match (peer.optional("ipBlock")?, pods, namespaces) {
            (None, None, None) => Err(peer.error(Problem::Invalid {
                found: "a peer that names nobody is not valid".to_owned(),
                expected: "podSelector, namespaceSelector or ipBlock".into(),
            })),
            (None, pods, namespaces) => Ok(Self::Pods {
                namespaces,
                pods: pods.unwrap_or_default(),
            }),
            (Some(block), None, None) => IpBlock::read(&block).map(Self::IpBlock),
            (Some(block), ..) => Err(block.error(Problem::Conflict {
                what: "ipBlock can't stand beside a selector".into(),
                remedy: "make them two peers".into(),
            })),
        }
    }
}

fn read_selector(parent: &Field<'_>, key: &str) -> Result<Option<LabelSelector>, BadInput> {
    parent
        .optional(key)?
        .map(|selector| LabelSelector::read(&selector))
        .transpose()
}

fn read_items<T>(
    parent: &Field<'_>,
    key: &str,
    read: impl Fn(&Field<'_>) -> Result<T, BadInput>,
) -> Result<Vec<T>, BadInput> {
    parent.items(key)?.map(|item| read(&item)).collect()
}
