//! Groups, by which policies call the same Pods and addresses in many places.

use std::fmt;
use std::sync::Arc;

use traceflow_core::input::{BadInput, Field, Problem};
use traceflow_core::names::ObjectName;

use super::Reading;
use super::read::{Beyond, namespaced_name, read_selector, text};
use crate::policy::{IpBlock, LabelSelector};

/// The name of a `ClusterGroup` or of a `Group`, printed `web` or `shop/web`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupName {
    /// The namespace of a `Group`; `None` for a `ClusterGroup`.
    pub namespace: Option<Arc<str>>,
    /// `metadata.name`.
    pub name: Arc<str>,
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// A `ClusterGroup` or a `Group`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Which one it is.
    pub name: GroupName,
    /// Who belongs to it.
    pub members: GroupMembers,
}

/// Who belongs to a [`Group`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupMembers {
    /// `podSelector`, `namespaceSelector`: Pods by their labels and their namespace's.
    Pods {
        /// `None` is the group's own namespace; a `ClusterGroup` without selector has all.
        namespaces: Option<LabelSelector>,
        /// All Pods where it is not given.
        pods: LabelSelector,
    },
    /// `ipBlocks`: addresses.
    Addresses(Vec<IpBlock>),
    /// `serviceReference`: the Pods that this Service's selector selects.
    Service(ObjectName),
    /// `childGroups`: the members of these groups; none at all if one of them has child groups too, as Antrea follows one
    /// level of them.
    Groups(Vec<GroupName>),
}

impl Group {
    /// Reads a group from its whole object, which must obey Antrea's rules.
    pub(crate) fn read(name: GroupName, object: &Field<'_>) -> Result<Reading<Self>, BadInput> {
        object.only(&["apiVersion", "kind", "metadata", "spec", "status"])?;
        let spec = object.required("spec")?;
        let mut beyond = Beyond::default();
        let members = GroupMembers::read(&name, &spec, &mut beyond)?;
        Ok(beyond.reading(Self { name, members }))
    }
}

impl GroupMembers {
    fn read(group: &GroupName, spec: &Field<'_>, beyond: &mut Beyond) -> Result<Self, BadInput> {
        spec.only(&[
            "podSelector",
            "namespaceSelector",
            "ipBlocks",
            "serviceReference",
            "childGroups",
            "externalEntitySelector",
            "nodeSelector",
        ])?;
        beyond.note_any(spec, &["externalEntitySelector", "nodeSelector"])?;
        let pods = read_selector(spec, "podSelector")?;
        let namespaces = read_selector(spec, "namespaceSelector")?;
        let blocks = spec.items("ipBlocks")?;
        let blocks = blocks
            .map(|block| IpBlock::read(&block))
            .collect::<Result<Vec<_>, _>>()?;
        let service = spec.optional("serviceReference")?;
        let service = service.map(|service| namespaced_name(&service)).transpose()?;
        let children = spec
            .items("childGroups")?
            .map(|child| Ok(child_of(group, text(&child)?)));
        let children = children.collect::<Result<Vec<_>, BadInput>>()?;
        let kinds = [
            pods.is_some() || namespaces.is_some(),
            !blocks.is_empty(),
            service.is_some(),
            !children.is_empty(),
        ];
        if kinds.iter().filter(|given| **given).count() > 1 {
            return Err(spec.error(Problem::Conflict {
                what: "a group has members of one kind".into(),
                remedy: "keep the selectors, ipBlocks, serviceReference or childGroups; or make a group of each, and \
                         one with those as childGroups"
                    .into(),
            }));
        }
        Ok(match service {
            Some(service) => Self::Service(service),
            None if !blocks.is_empty() => Self::Addresses(blocks),
            None if !children.is_empty() => Self::Groups(children),
            // A group that says nothing at all has no members.
            None if pods.is_none() && namespaces.is_none() => Self::Addresses(Vec::new()),
            None => Self::Pods {
                namespaces: match (&group.namespace, namespaces) {
                    (None, None) => Some(LabelSelector::default()),
                    (_, namespaces) => namespaces,
                },
                pods: pods.unwrap_or_default(),
            },
        })
    }
}

/// A child is of its parent's kind, and in its namespace.
fn child_of(group: &GroupName, name: Arc<str>) -> GroupName {
    GroupName {
        namespace: group.namespace.clone(),
        name,
    }
}
