//! Whom the policies are about, for who applies them elsewhere than in [`decide`](PolicyIndex::decide).

use std::net::IpAddr;
use std::sync::Arc;

use super::antrea::{AntreaPeer, AntreaPolicy, Candidate};
use super::index::{PodId, PolicyIndex};
use super::indexed_pod::IndexedPod;
use super::{Direction, IpBlock, LabelSelector, NetworkPolicy, PolicyPeer};
use crate::model::Pod;

impl PolicyIndex {
    /// The Pods that a policy of the index isolates in this direction, in the order of their names.
    ///
    /// ```
    /// use traceflow_sim::Cluster;
    /// use traceflow_sim::policy::Direction;
    ///
    /// let policy = "apiVersion: networking.k8s.io/v1
    /// kind: NetworkPolicy
    /// metadata: {name: web-from-clients}
    /// spec:
    ///   podSelector: {matchLabels: {app: web}}
    ///   ingress:
    ///   - from: [{podSelector: {matchLabels: {app: client}}}]";
    /// let cluster = Cluster::builder()
    ///     .node("a")
    ///     .pod("client", "a").label("app", "client")
    ///     .pod("web", "a").label("app", "web")
    ///     .yaml(policy)
    ///     .build()?;
    /// let policies = cluster.policies();
    /// let policy = policies.policies().next().expect("there is one");
    /// let subjects = policies.subjects(policy, Direction::Ingress);
    /// assert_eq!(subjects[0].name.to_string(), "default/web");
    /// let peer = &policy.rules(Direction::Ingress).expect("it is about ingress")[0].peers[0];
    /// assert_eq!(policies.selected(policy, peer)[0].name.to_string(), "default/client");
    /// # Ok::<(), traceflow_core::input::BadInput>(())
    /// ```
    pub fn subjects(&self, policy: &NetworkPolicy, direction: Direction) -> Vec<&Pod> {
        self.pods_that(|pod| pod.policies(direction).iter().any(|known| known.name == policy.name))
    }

    /// The Pods that a peer of a policy selects, in the order of their names; none for an `ipBlock`, which is about
    /// addresses.
    pub fn selected(&self, policy: &NetworkPolicy, peer: &PolicyPeer) -> Vec<&Pod> {
        self.pods_that(|pod| pod.is_selectable() && pod.is_selected_by(peer, policy))
    }

    /// The Pods that a rule of one of Antrea's policies applies to, in the order of their names; the rule is given by its
    /// place in the policy's `ingress` or `egress`.
    pub fn antrea_subjects(&self, policy: &AntreaPolicy, direction: Direction, place: usize) -> Vec<&Pod> {
        self.pods_that(|pod| {
            let mut rules = pod.antrea_rules(direction).iter();
            rules.any(|bound| bound.policy.name == policy.name && bound.place == place)
        })
    }

    /// Whom a peer of one of Antrea's policies names, where the rule is applied to `subject`: the Pods in the order of
    /// their names, and the addresses.
    pub fn antrea_peers<'a>(
        &'a self,
        policy: &AntreaPolicy,
        peer: &'a AntreaPeer,
        subject: PodId,
    ) -> (Vec<&'a Pod>, Vec<&'a IpBlock>) {
        let Some(subject) = self.pod(subject) else {
            return (Vec::new(), Vec::new());
        };
        let pods = self.pods_that(|pod| {
            let candidate = Candidate {
                address: None,
                pod: Some(pod),
            };
            pod.is_selectable() && self.antrea().is_peer(peer, policy, subject, candidate)
        });
        (pods, self.antrea().blocks(peer))
    }

    /// The rules of Antrea's policies that apply to a Pod, in the order in which they are asked: each as its policy and its
    /// place in the policy's `ingress` or `egress`.
    pub fn antrea_rules_of(
        &self,
        pod: PodId,
        direction: Direction,
    ) -> impl Iterator<Item = (&Arc<AntreaPolicy>, usize)> {
        let rules = self.pod(pod).map_or(&[][..], |pod| pod.antrea_rules(direction));
        rules.iter().map(|bound| (&bound.policy, bound.place))
    }

    /// Whether selectors select this Pod: one for its namespace's labels, and one for its own.
    pub fn is_selected(&self, pod: PodId, namespaces: &LabelSelector, pods: &LabelSelector) -> bool {
        self.pod(pod).is_some_and(|pod| {
            pod.is_selectable() && namespaces.selects(pod.namespace_labels()) && pods.selects(&pod.object().labels)
        })
    }

    /// The Pod of this id.
    pub fn object(&self, pod: PodId) -> Option<&Pod> {
        self.pod(pod).map(IndexedPod::object)
    }

    /// The Pod that selectors see behind an address.
    pub fn selectable_at(&self, address: IpAddr) -> Option<&Pod> {
        self.pod_at(address).and_then(|pod| self.object(pod))
    }

    /// The Pods that selectors can select, in the order of their names: those with a network of their own that have not
    /// finished.
    pub fn selectable(&self) -> Vec<&Pod> {
        self.pods_that(IndexedPod::is_selectable)
    }

    /// The policies that isolate a Pod in this direction, in the order of their names.
    pub fn isolating(&self, pod: PodId, direction: Direction) -> &[Arc<NetworkPolicy>] {
        self.pod(pod).map_or(&[], |pod| pod.policies(direction))
    }

    fn pods_that(&self, holds: impl Fn(&IndexedPod) -> bool) -> Vec<&Pod> {
        let mut pods: Vec<&Pod> = self.pods().filter(|pod| holds(pod)).map(IndexedPod::object).collect();
        pods.sort_by(|one, other| one.name.cmp(&other.name));
        pods
    }
}

#[cfg(test)]
mod tests {
    use crate::Cluster;
    use crate::policy::{Direction, LabelSelector, NetworkPolicy, PolicyPeer};
    use traceflow_core::names::ObjectName;

    #[test]
    fn nobody_on_the_hosts_network_and_nobody_finished_is_selected() {
        let policy = NetworkPolicy {
            name: ObjectName::new("default", "all"),
            pod_selector: LabelSelector::default(),
            ingress: Some(Vec::new()),
            egress: None,
        };
        let everybody = PolicyPeer::Pods {
            namespaces: Some(LabelSelector::default()),
            pods: LabelSelector::default(),
        };
        let cluster = Cluster::builder()
            .node("a")
            .pod("other/b", "a")
            .pod("a", "a")
            .pod("host", "a")
            .host_network()
            .pod("done", "a")
            .phase("Succeeded")
            .object(policy.clone())
            .build()
            .unwrap();
        let policies = cluster.policies();
        let names =
            |pods: Vec<&crate::model::Pod>| -> Vec<String> { pods.iter().map(|pod| pod.name.to_string()).collect() };
        assert_eq!(names(policies.selectable()), ["default/a", "other/b"]);
        assert_eq!(names(policies.selected(&policy, &everybody)), ["default/a", "other/b"]);
        assert_eq!(names(policies.subjects(&policy, Direction::Ingress)), ["default/a"]);
        assert!(policies.subjects(&policy, Direction::Egress).is_empty());
    }
}
