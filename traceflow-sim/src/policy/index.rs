//! The policies of a cluster, ordered by the Pods that they select.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use traceflow_core::names::ObjectName;
use traceflow_core::observation::PolicyRef;

use super::NetworkPolicy;
use super::antrea::{AntreaPolicy, AntreaStore, AppliedTo, Group, GroupName, Tier, TierPriorities};
use super::indexed_pod::IndexedPod;
use crate::model::{Labels, Namespace, Pod, Service};

/// The label that every namespace carries, with its own name as value.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// By which the index knows a Pod: small, and good for as long as the Pod is in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PodId(u32);

/// The policies of a cluster and the Pods that they are about, ready to [`decide`](Self::decide).
///
/// Pods, namespaces and policies come and go one by one and in any order. A change costs what its own namespace
/// holds: a Pod is compared with the policies there, a policy with the Pods there. Peers are matched by their labels
/// when a packet asks, so nothing that is kept per rule grows with the cluster. Antrea's policies reach over namespaces:
/// one that comes or goes costs a look at the Pods of those that it can apply to, and a Pod one at each of them.
///
/// ```
/// use std::net::IpAddr;
/// use traceflow_core::names::ObjectName;
/// use traceflow_core::packet::Protocol;
/// use traceflow_sim::model::Pod;
/// use traceflow_sim::policy::{Decision, Direction, LabelSelector, NetworkPolicy, Peer, PolicyIndex, Access};
///
/// let mut index = PolicyIndex::default();
/// let web = index.insert_pod(Pod {
///     name: ObjectName::new("default", "web"),
///     labels: [("app".into(), "web".into())].into(),
///     node: None,
///     addresses: vec![IpAddr::from([10, 0, 0, 2])],
///     host_addresses: Vec::new(),
///     host_network: false,
///     phase: "Running".into(),
///     ready: true,
///     terminating: false,
///     service_account: Pod::DEFAULT_SERVICE_ACCOUNT.into(),
///     ports: vec![],
/// });
/// index.insert_policy(NetworkPolicy {
///     name: ObjectName::new("default", "nothing-in"),
///     pod_selector: LabelSelector::default(),
///     ingress: Some(vec![]),
///     egress: None,
/// });
/// let syn = Access {
///     direction: Direction::Ingress,
///     pod: web,
///     peer: Peer::Address(IpAddr::from([192, 0, 2, 1])),
///     protocol: Protocol::TCP,
///     source_port: Some(40_000),
///     destination_port: Some(80),
///     icmp: None,
/// };
/// assert!(matches!(index.decide(&syn), Decision::Isolated { .. }));
/// assert_eq!(index.decide(&Access { direction: Direction::Egress, ..syn }), Decision::NotIsolated);
/// ```
#[derive(Debug, Clone, Default)]
pub struct PolicyIndex {
    /// By [`PodId`]; `None` is a free place.
    pods: Vec<Option<IndexedPod>>,
    free: Vec<PodId>,
    names: HashMap<ObjectName, PodId>,
    /// The Pods that selectors can select, by each of their addresses.
    addresses: HashMap<IpAddr, PodId>,
    namespaces: HashMap<Arc<str>, NamespaceEntry>,
    antrea: AntreaStore,
}

impl PolicyIndex {
    /// Adds a Pod, or puts it in the place of the one of the same name, whose id it takes over. An address that another
    /// Pod has goes over to this one.
    pub fn insert_pod(&mut self, pod: impl Into<Arc<Pod>>) -> PodId {
        let pod = pod.into();
        self.remove_pod(&pod.name);
        let id = self.free.pop().unwrap_or_else(|| self.grow());
        self.names.insert(pod.name.clone(), id);
        let namespace = self.namespace_entry(&pod.name.namespace);
        namespace.pods.insert(id);
        let namespace = &self.namespaces[&pod.name.namespace];
        let labels = Arc::clone(&namespace.labels);
        let indexed = IndexedPod::new(pod, labels, namespace.policies.values(), &self.antrea);
        if indexed.is_selectable() {
            self.addresses
                .extend(indexed.addresses().iter().map(|&address| (address, id)));
        }
        self.pods[id.0 as usize] = Some(indexed);
        id
    }

    /// Takes a Pod out. Its id may be given to another Pod afterwards.
    pub fn remove_pod(&mut self, name: &ObjectName) {
        let Some(id) = self.names.remove(name) else { return };
        let Some(indexed) = self.pods[id.0 as usize].take() else {
            return;
        };
        self.free.push(id);
        for address in indexed.addresses() {
            if self.addresses.get(address) == Some(&id) {
                self.addresses.remove(address);
            }
        }
        self.change_namespace(&name.namespace, |namespace| {
            namespace.pods.remove(&id);
        });
    }

    /// Adds a namespace, or changes its labels. The label `kubernetes.io/metadata.name` is always there.
    ///
    /// A namespace that was never added has that label alone.
    pub fn insert_namespace(&mut self, namespace: &Namespace) {
        let mut labels = namespace.labels.clone();
        labels.insert(NAME_LABEL.into(), Arc::clone(&namespace.name));
        self.namespace_entry(&namespace.name).declared = true;
        self.relabel(&namespace.name, labels);
    }

    /// Takes a namespace out. Pods and policies that are still in it stay, and see it as one that was never added.
    pub fn remove_namespace(&mut self, name: &Arc<str>) {
        self.relabel(name, implied_labels(name));
        self.change_namespace(name, |namespace| namespace.declared = false);
    }

    /// Adds a policy, or puts it in the place of the one of the same name.
    pub fn insert_policy(&mut self, policy: impl Into<Arc<NetworkPolicy>>) {
        let policy = policy.into();
        self.remove_policy(&policy.name);
        let namespace = self.namespace_entry(&policy.name.namespace);
        namespace
            .policies
            .insert(Arc::clone(&policy.name.name), Arc::clone(&policy));
        let pods: Vec<PodId> = namespace.pods.iter().copied().collect();
        for id in pods {
            if let Some(pod) = &mut self.pods[id.0 as usize] {
                pod.add_policy(&policy);
            }
        }
    }

    /// Takes a policy out.
    pub fn remove_policy(&mut self, name: &ObjectName) {
        let mut pods = Vec::new();
        self.change_namespace(&name.namespace, |namespace| {
            if namespace.policies.remove(&name.name).is_some() {
                pods.extend(namespace.pods.iter().copied());
            }
        });
        for id in pods {
            if let Some(pod) = &mut self.pods[id.0 as usize] {
                pod.drop_policy(&name.name);
            }
        }
    }

    /// Adds one of Antrea's policies, or puts it in the place of the one of the same name.
    pub fn insert_antrea_policy(&mut self, policy: impl Into<Arc<AntreaPolicy>>) {
        let policy = policy.into();
        self.remove_antrea_policy(&policy.name);
        self.antrea.insert_policy(Arc::clone(&policy));
        for id in self.within_reach(&policy) {
            if let Some(pod) = &mut self.pods[id.0 as usize] {
                pod.add_antrea_policy(&policy, &self.antrea);
            }
        }
    }

    /// Takes one of Antrea's policies out.
    pub fn remove_antrea_policy(&mut self, name: &PolicyRef) {
        let Some(policy) = self.antrea.remove_policy(name) else {
            return;
        };
        for id in self.within_reach(&policy) {
            if let Some(pod) = &mut self.pods[id.0 as usize] {
                pod.drop_antrea_policy(name);
            }
        }
    }

    /// Adds a tier, or changes its priority.
    pub fn insert_tier(&mut self, tier: &Tier) {
        self.antrea.insert_tier(tier);
        self.bind_all();
    }

    /// Adds a group, or puts it in the place of the one of the same name.
    pub fn insert_group(&mut self, group: Group) {
        self.antrea.insert_group(group);
        self.bind_all();
    }

    /// Takes a group out. Rules that name it apply to nobody, and let nobody in, by that name.
    pub fn remove_group(&mut self, name: &GroupName) {
        self.antrea.remove_group(name);
        self.bind_all();
    }

    /// Takes note of a Service's selector, for groups that refer to the Service.
    pub fn insert_service(&mut self, service: &Service) {
        self.antrea.insert_service(&service.name, &service.selector);
        self.bind_for_service(&service.name);
    }

    /// Forgets a Service. A group that refers to it has no members.
    pub fn remove_service(&mut self, name: &ObjectName) {
        self.antrea.remove_service(name);
        self.bind_for_service(name);
    }

    /// The id of the Pod of this name.
    pub fn pod_id(&self, name: &ObjectName) -> Option<PodId> {
        self.names.get(name).copied()
    }

    /// The policies, in the order of their namespaces and names.
    pub fn policies(&self) -> impl Iterator<Item = &Arc<NetworkPolicy>> {
        let mut policies: Vec<_> = self
            .namespaces
            .values()
            .flat_map(|namespace| namespace.policies.values())
            .collect();
        policies.sort_by(|one, other| one.name.cmp(&other.name));
        policies.into_iter()
    }

    /// Antrea's policies, in the order of their kinds, namespaces and names.
    pub fn antrea_policies(&self) -> impl Iterator<Item = &Arc<AntreaPolicy>> {
        self.antrea.policies().into_iter()
    }

    /// The tiers of Antrea's policies.
    pub fn tiers(&self) -> &TierPriorities {
        self.antrea.tiers()
    }

    /// The groups of Antrea's policies, in no order.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &Group> {
        self.antrea.groups()
    }

    pub(crate) fn group(&self, name: &GroupName) -> Option<&Group> {
        self.antrea.group(name)
    }

    pub(crate) fn policy(&self, name: &ObjectName) -> Option<&Arc<NetworkPolicy>> {
        self.namespaces.get(&name.namespace)?.policies.get(&name.name)
    }

    pub(crate) fn antrea_policy(&self, name: &PolicyRef) -> Option<&Arc<AntreaPolicy>> {
        self.antrea.policy(name)
    }

    /// Whether the namespace was added itself, and not only something in it.
    pub(crate) fn has_namespace(&self, name: &str) -> bool {
        self.namespaces.get(name).is_some_and(|namespace| namespace.declared)
    }

    /// The namespaces that were added, in no order.
    pub(crate) fn declared_namespaces(&self) -> impl Iterator<Item = Namespace> {
        let declared = self.namespaces.iter().filter(|(_, namespace)| namespace.declared);
        declared.map(|(name, namespace)| Namespace {
            name: Arc::clone(name),
            labels: Labels::clone(&namespace.labels),
        })
    }

    pub(super) fn antrea(&self) -> &AntreaStore {
        &self.antrea
    }

    pub(super) fn pods(&self) -> impl Iterator<Item = &IndexedPod> {
        self.pods.iter().flatten()
    }

    pub(super) fn pod(&self, id: PodId) -> Option<&IndexedPod> {
        self.pods.get(id.0 as usize)?.as_ref()
    }

    /// The Pod that selectors see behind this address.
    pub(super) fn pod_at(&self, address: IpAddr) -> Option<PodId> {
        self.addresses.get(&address).copied()
    }
}

impl PolicyIndex {
    /// After a change that can alter whom any of Antrea's policies applies to.
    fn bind_all(&mut self) {
        if self.antrea.has_policies() {
            for pod in self.pods.iter_mut().flatten() {
                pod.bind(&self.antrea);
            }
        }
    }

    /// After a change of a Service: groups that refer to it have members in its own namespace only.
    fn bind_for_service(&mut self, name: &ObjectName) {
        if !self.antrea.has_policies() || !self.antrea.refers_to(name) {
            return;
        }
        let pods = self.namespaces.get(&name.namespace).into_iter();
        for id in pods.flat_map(|namespace| &namespace.pods) {
            if let Some(pod) = &mut self.pods[id.0 as usize] {
                pod.bind(&self.antrea);
            }
        }
    }

    /// The Pods of all namespaces in which one of Antrea's policies can apply to any.
    fn within_reach(&self, policy: &AntreaPolicy) -> Vec<PodId> {
        let rules = policy.ingress.iter().chain(&policy.egress);
        let subjects = rules.flat_map(|rule| &rule.applied_to).chain(&policy.applied_to);
        let own = |subject: &AppliedTo| match subject {
            AppliedTo::Pods { namespaces: None, .. } => policy.name.namespace.clone(),
            AppliedTo::ServiceAccount(account) => Some(account.namespace.clone()),
            AppliedTo::Pods { .. } | AppliedTo::Group(_) => None,
        };
        let named: Option<BTreeSet<Arc<str>>> = subjects.clone().map(own).collect();
        let reached: Vec<&NamespaceEntry> = match named {
            Some(names) => names.iter().filter_map(|name| self.namespaces.get(name)).collect(),
            None => {
                let may_apply = |labels: &Labels, subject: &AppliedTo| match subject {
                    AppliedTo::Pods {
                        namespaces: Some(selector),
                        ..
                    } => selector.selects(labels),
                    _ => true,
                };
                let all = self.namespaces.values();
                all.filter(|namespace| subjects.clone().any(|subject| may_apply(&namespace.labels, subject)))
                    .collect()
            }
        };
        reached
            .into_iter()
            .flat_map(|namespace| &namespace.pods)
            .copied()
            .collect()
    }

    fn grow(&mut self) -> PodId {
        let id = u32::try_from(self.pods.len()).expect("fewer than 2^32 Pods fit in memory");
        self.pods.push(None);
        PodId(id)
    }

    fn namespace_entry(&mut self, name: &Arc<str>) -> &mut NamespaceEntry {
        self.namespaces
            .entry(Arc::clone(name))
            .or_insert_with(|| NamespaceEntry::implied(name))
    }

    /// Changes a namespace that is there, and forgets it if nothing is left in it.
    fn change_namespace(&mut self, name: &Arc<str>, change: impl FnOnce(&mut NamespaceEntry)) {
        let Some(namespace) = self.namespaces.get_mut(name) else {
            return;
        };
        change(namespace);
        if namespace.is_unused() {
            self.namespaces.remove(name);
        }
    }

    fn relabel(&mut self, name: &Arc<str>, labels: Labels) {
        let labels = Arc::new(labels);
        let Some(namespace) = self.namespaces.get_mut(name) else {
            return;
        };
        for id in &namespace.pods {
            if let Some(pod) = &mut self.pods[id.0 as usize] {
                pod.relabel_namespace(&labels);
                pod.bind(&self.antrea);
            }
        }
        namespace.labels = labels;
    }
}

/// What is in one namespace.
#[derive(Debug, Clone)]
struct NamespaceEntry {
    labels: Arc<Labels>,
    /// Whether the namespace itself was added, and not only something in it.
    declared: bool,
    pods: BTreeSet<PodId>,
    policies: BTreeMap<Arc<str>, Arc<NetworkPolicy>>,
}

impl NamespaceEntry {
    fn implied(name: &Arc<str>) -> Self {
        Self {
            labels: Arc::new(implied_labels(name)),
            declared: false,
            pods: BTreeSet::new(),
            policies: BTreeMap::new(),
        }
    }

    fn is_unused(&self) -> bool {
        !self.declared && self.pods.is_empty() && self.policies.is_empty()
    }
}

fn implied_labels(namespace: &Arc<str>) -> Labels {
    Labels::from([(NAME_LABEL.into(), Arc::clone(namespace))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Direction, LabelSelector};

    fn pod(name: &str, address: [u8; 4]) -> Pod {
        Pod {
            name: ObjectName::new("team", name),
            labels: Labels::new(),
            node: None,
            addresses: vec![IpAddr::from(address)],
            host_addresses: Vec::new(),
            host_network: false,
            phase: "Running".into(),
            ready: true,
            terminating: false,
            service_account: Pod::DEFAULT_SERVICE_ACCOUNT.into(),
            ports: Vec::new(),
        }
    }

    fn policy(name: &str) -> NetworkPolicy {
        NetworkPolicy {
            name: ObjectName::new("team", name),
            pod_selector: LabelSelector::default(),
            ingress: Some(Vec::new()),
            egress: None,
        }
    }

    #[test]
    fn a_namespace_keeps_its_labels_while_nothing_is_in_it() {
        let mut index = PolicyIndex::default();
        index.insert_namespace(&Namespace {
            name: "team".into(),
            labels: Labels::from([("env".into(), "prod".into())]),
        });
        let first = index.insert_pod(pod("a", [10, 0, 0, 1]));
        index.remove_pod(&ObjectName::new("team", "a"));
        assert!(index.pod(first).is_none());
        let second = index.insert_pod(pod("b", [10, 0, 0, 1]));
        let labels = index.pod(second).unwrap().namespace_labels();
        assert_eq!(labels.get("env").map(|value| &**value), Some("prod"));
        assert_eq!(labels.get(NAME_LABEL).map(|value| &**value), Some("team"));
    }

    #[test]
    fn nothing_is_left_of_a_namespace_whose_content_was_removed() {
        let mut index = PolicyIndex::default();
        index.insert_pod(pod("a", [10, 0, 0, 1]));
        index.insert_policy(policy("p"));
        index.remove_pod(&ObjectName::new("team", "a"));
        index.remove_policy(&ObjectName::new("team", "p"));
        assert!(index.namespaces.is_empty());
        assert!(index.names.is_empty() && index.addresses.is_empty());
    }

    #[test]
    fn a_replaced_pod_keeps_its_id() {
        let mut index = PolicyIndex::default();
        let first = index.insert_pod(pod("a", [10, 0, 0, 1]));
        index.insert_pod(pod("b", [10, 0, 0, 2]));
        assert_eq!(index.insert_pod(pod("a", [10, 0, 0, 3])), first);
        assert_eq!(index.pod_at([10, 0, 0, 1].into()), None);
        assert_eq!(index.pod_at([10, 0, 0, 3].into()), Some(first));
    }

    #[test]
    fn an_address_stays_with_the_pod_that_it_went_over_to() {
        let mut index = PolicyIndex::default();
        index.insert_pod(pod("old", [10, 0, 0, 1]));
        let new = index.insert_pod(pod("new", [10, 0, 0, 1]));
        index.remove_pod(&ObjectName::new("team", "old"));
        assert_eq!(index.pod_at([10, 0, 0, 1].into()), Some(new));
    }

    #[test]
    fn removing_what_is_not_there_changes_nothing() {
        let mut index = PolicyIndex::default();
        let id = index.insert_pod(pod("a", [10, 0, 0, 1]));
        index.insert_policy(policy("p"));
        index.remove_pod(&ObjectName::new("other", "a"));
        index.remove_policy(&ObjectName::new("team", "q"));
        index.remove_namespace(&"other".into());
        assert_eq!(index.pod(id).unwrap().policies(Direction::Ingress).len(), 1);
    }
}
