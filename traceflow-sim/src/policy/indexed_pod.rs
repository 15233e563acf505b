//! A Pod as the index keeps it.

use std::net::IpAddr;
use std::sync::Arc;

use traceflow_core::observation::PolicyRef;

use super::antrea::{AntreaPolicy, AntreaStore, BoundRule};
use super::{Direction, NetworkPolicy, PolicyPeer};
use crate::model::{ContainerPort, Labels, Pod};

/// A Pod with the policies that select it.
#[derive(Debug, Clone)]
pub(super) struct IndexedPod {
    pod: Arc<Pod>,
    namespace_labels: Arc<Labels>,
    /// The policies that isolate it in ingress, in the order of their names.
    ingress: Vec<Arc<NetworkPolicy>>,
    /// The same for egress.
    egress: Vec<Arc<NetworkPolicy>>,
    /// The rules of Antrea's policies that apply to it in ingress, in the order in which they are asked.
    antrea_ingress: Vec<BoundRule>,
    /// The same for egress.
    antrea_egress: Vec<BoundRule>,
}

impl IndexedPod {
    /// The Pod, with those policies of its namespace that select it, and with the rules of Antrea's that apply to it.
    pub(super) fn new<'a>(
        pod: Arc<Pod>,
        namespace_labels: Arc<Labels>,
        policies: impl IntoIterator<Item = &'a Arc<NetworkPolicy>>,
        antrea: &AntreaStore,
    ) -> Self {
        let mut indexed = Self {
            pod,
            namespace_labels,
            ingress: Vec::new(),
            egress: Vec::new(),
            antrea_ingress: Vec::new(),
            antrea_egress: Vec::new(),
        };
        for policy in policies {
            indexed.add_policy(policy);
        }
        indexed.bind(antrea);
        indexed
    }

    /// Whether selectors can select it: it has a network of its own and has not finished.
    pub(super) fn is_selectable(&self) -> bool {
        !self.pod.host_network && self.pod.is_alive()
    }

    /// Whether a peer of this policy selects it by its labels; the caller knows that it is selectable.
    pub(super) fn is_selected_by(&self, peer: &PolicyPeer, policy: &NetworkPolicy) -> bool {
        let PolicyPeer::Pods { namespaces, pods } = peer else {
            return false;
        };
        let in_namespace = match namespaces {
            Some(selector) => selector.selects(self.namespace_labels()),
            None => self.pod.name.namespace == policy.name.namespace,
        };
        in_namespace && pods.selects(&self.pod.labels)
    }

    pub(super) fn object(&self) -> &Pod {
        &self.pod
    }

    pub(super) fn addresses(&self) -> &[IpAddr] {
        &self.pod.addresses
    }

    pub(super) fn relabel_namespace(&mut self, labels: &Arc<Labels>) {
        self.namespace_labels = Arc::clone(labels);
    }

    pub(super) fn namespace_labels(&self) -> &Labels {
        &self.namespace_labels
    }

    pub(super) fn ports(&self) -> &[ContainerPort] {
        &self.pod.ports
    }

    /// The policies that isolate it in this direction, in the order of their names.
    pub(super) fn policies(&self, direction: Direction) -> &[Arc<NetworkPolicy>] {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }

    /// Takes note of a policy of its own namespace, if it selects the Pod. The policy must not be known yet.
    pub(super) fn add_policy(&mut self, policy: &Arc<NetworkPolicy>) {
        if !self.is_selectable() || !policy.pod_selector.selects(&self.pod.labels) {
            return;
        }
        for (direction, policies) in [
            (Direction::Ingress, &mut self.ingress),
            (Direction::Egress, &mut self.egress),
        ] {
            if policy.rules(direction).is_some() {
                let place = policies.partition_point(|other| other.name < policy.name);
                policies.insert(place, Arc::clone(policy));
            }
        }
    }

    /// Forgets the policy of this name in its own namespace.
    pub(super) fn drop_policy(&mut self, name: &Arc<str>) {
        for policies in [&mut self.ingress, &mut self.egress] {
            policies.retain(|policy| policy.name.name != *name);
        }
    }

    /// The rules of Antrea's policies that apply to it in this direction, in the order in which they are asked.
    pub(super) fn antrea_rules(&self, direction: Direction) -> &[BoundRule] {
        match direction {
            Direction::Ingress => &self.antrea_ingress,
            Direction::Egress => &self.antrea_egress,
        }
    }

    /// Finds all rules of Antrea's that apply to it, anew.
    pub(super) fn bind(&mut self, antrea: &AntreaStore) {
        self.antrea_ingress = antrea.rules_for(self, Direction::Ingress);
        self.antrea_egress = antrea.rules_for(self, Direction::Egress);
    }

    /// Takes note of the rules of one of Antrea's policies that apply to it. The policy must not be known yet.
    pub(super) fn add_antrea_policy(&mut self, policy: &Arc<AntreaPolicy>, antrea: &AntreaStore) {
        if !self.is_selectable() {
            return;
        }
        let mut ingress = std::mem::take(&mut self.antrea_ingress);
        antrea.add_rules(&mut ingress, policy, self, Direction::Ingress);
        self.antrea_ingress = ingress;
        let mut egress = std::mem::take(&mut self.antrea_egress);
        antrea.add_rules(&mut egress, policy, self, Direction::Egress);
        self.antrea_egress = egress;
    }

    /// Forgets one of Antrea's policies.
    pub(super) fn drop_antrea_policy(&mut self, name: &PolicyRef) {
        for rules in [&mut self.antrea_ingress, &mut self.antrea_egress] {
            rules.retain(|bound| bound.policy.name != *name);
        }
    }
}
