//! What of the cluster is not modelled and may decide about a packet.

use std::sync::Arc;

use traceflow_core::inventory::Owner;
use traceflow_core::plan::Plan;

use super::Cluster;
use crate::objects::Unmodelled;

impl Cluster {
    /// The objects that aren't modelled and may decide about the packet of this plan: policies of other kinds, unless they
    /// are of a namespace that neither end is in, groups, and, for packets that leave the cluster, Egresses.
    pub(crate) fn left_out(&self, plan: &Plan) -> Vec<Arc<str>> {
        let bears = self.unmodelled.iter().filter(|object| self.may_decide(object, plan));
        bears.map(|object| object.to_string().into()).collect()
    }

    fn may_decide(&self, object: &Unmodelled, plan: &Plan) -> bool {
        if &*object.kind == "Egress" {
            let destination = plan.destination.as_ref();
            return destination.is_none_or(|destination| self.holder(destination.address).is_none());
        }
        let is_policy = object.kind.ends_with("NetworkPolicy");
        let is_wide = ["Cluster", "Global", "Admin", "BaselineAdmin", "CiliumClusterwide"]
            .iter()
            .any(|prefix| object.kind.starts_with(prefix));
        let is_group = matches!(&*object.kind, "ClusterGroup" | "Group");
        is_group || (is_policy && (is_wide || self.is_of_an_end(object, plan)))
    }

    /// Whether one of the packet's ends is in the object's namespace, or isn't known.
    fn is_of_an_end(&self, object: &Unmodelled, plan: &Plan) -> bool {
        let Some(name) = &object.name else { return true };
        [&plan.source, &plan.destination]
            .into_iter()
            .any(|end| match end.as_ref().map(|end| &end.owner) {
                Some(Some(Owner::Pod(pod) | Owner::Service(pod))) => pod.namespace == name.namespace,
                Some(_) => false,
                None => true,
            })
    }
}
