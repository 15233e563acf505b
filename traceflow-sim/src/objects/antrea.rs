//! Antrea's own kinds of objects (`crd.antrea.io`).

use std::sync::Arc;

use traceflow_core::input::{BadInput, Field};
use traceflow_core::names::ObjectName;
use traceflow_core::observation::PolicyRef;

use super::metadata::Metadata;
use super::{Objects, Origin, Placed, Unmodelled, egress};
use crate::policy::antrea::{AntreaPolicy, Group, GroupName, Reading, Tier};

pub(super) const API_GROUP: &str = "crd.antrea.io";

/// The version that today's Antrea serves.
pub(crate) const API_VERSION: &str = "crd.antrea.io/v1beta1";

impl Objects {
    pub(super) fn read_cluster_network_policy(
        &mut self,
        object: &Field<'_>,
        metadata: Metadata,
        origin: Origin,
    ) -> Result<(), BadInput> {
        let name = PolicyRef::antrea_cluster(metadata.name.name.clone());
        self.read_antrea_policy("ClusterNetworkPolicy", name, object, metadata, origin)
    }

    pub(super) fn read_antrea_network_policy(
        &mut self,
        object: &Field<'_>,
        metadata: Metadata,
        origin: Origin,
    ) -> Result<(), BadInput> {
        let name = PolicyRef::antrea(metadata.name.clone());
        self.read_antrea_policy("NetworkPolicy", name, object, metadata, origin)
    }

    fn read_antrea_policy(
        &mut self,
        kind: &str,
        name: PolicyRef,
        object: &Field<'_>,
        metadata: Metadata,
        mut origin: Origin,
    ) -> Result<(), BadInput> {
        if let Some(spec) = object.optional("spec")?
            && let Some(tier) = spec.optional("tier")?
        {
            origin.note(&tier);
        }
        match AntreaPolicy::read(name, object)? {
            Reading::Modelled(object) => self.antrea_policies.push(Placed { object, origin }),
            Reading::Beyond(field) => self.beyond(kind, metadata, field),
        }
        Ok(())
    }

    pub(super) fn read_tier(
        &mut self,
        object: &Field<'_>,
        metadata: Metadata,
        mut origin: Origin,
    ) -> Result<(), BadInput> {
        if let Some(spec) = object.optional("spec")?
            && let Some(priority) = spec.optional("priority")?
        {
            origin.note(&priority);
        }
        let object = Tier::read(metadata.name.name, object)?;
        self.tiers.push(Placed { object, origin });
        Ok(())
    }

    pub(super) fn read_cluster_group(
        &mut self,
        object: &Field<'_>,
        metadata: Metadata,
        origin: Origin,
    ) -> Result<(), BadInput> {
        let name = GroupName {
            namespace: None,
            name: metadata.name.name.clone(),
        };
        self.read_group_of("ClusterGroup", name, object, metadata, origin)
    }

    pub(super) fn read_group(
        &mut self,
        object: &Field<'_>,
        metadata: Metadata,
        origin: Origin,
    ) -> Result<(), BadInput> {
        let ObjectName { namespace, name } = metadata.name.clone();
        let name = GroupName {
            namespace: Some(namespace),
            name,
        };
        self.read_group_of("Group", name, object, metadata, origin)
    }

    fn read_group_of(
        &mut self,
        kind: &str,
        name: GroupName,
        object: &Field<'_>,
        metadata: Metadata,
        origin: Origin,
    ) -> Result<(), BadInput> {
        match Group::read(name, object)? {
            Reading::Modelled(object) => self.groups.push(Placed { object, origin }),
            Reading::Beyond(field) => self.beyond(kind, metadata, field),
        }
        Ok(())
    }

    pub(super) fn read_egress(
        &mut self,
        object: &Field<'_>,
        metadata: Metadata,
        mut origin: Origin,
    ) -> Result<(), BadInput> {
        match egress::read(object, &metadata, &mut origin)? {
            Reading::Modelled(object) => self.egresses.push(Placed { object, origin }),
            Reading::Beyond(field) => self.beyond("Egress", metadata, field),
        }
        Ok(())
    }

    /// An object of these kinds that says more than is modelled.
    fn beyond(&mut self, kind: &str, metadata: Metadata, field: Arc<str>) {
        self.unmodelled.push(Unmodelled {
            api_version: API_VERSION.into(),
            kind: kind.into(),
            name: Some(metadata.name),
            field: Some(field),
        });
    }
}
