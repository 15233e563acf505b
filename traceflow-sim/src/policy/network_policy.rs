//! The NetworkPolicy object, with its defaults filled in.

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
    /// The rules of one direction; `None` if the policy is not about it.
    pub fn rules(&self, direction: Direction) -> Option<&[Rule]> {
        match direction {
            Direction::Ingress => self.ingress.as_deref(),
            Direction::Egress => self.egress.as_deref(),
        }
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
