//! Changes of a cluster, object by object, without compiling it anew.
//!
//! A change gives what [`compile`](super::compile) would make of the objects that the cluster has, completed as they are,
//! with that one changed. It first finds out all that can be wrong, and only then changes anything.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use traceflow_core::input::{BadInput, Problem};
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::observation::PolicyRef;
use traceflow_core::packet::IpFamily;

use super::compile::{
    add_names, addresses_of, egress_of, gateways_of, given_by, held_by, name_of, record_of, set_gateways,
};
use super::endpoints::selects;
use super::links::service_of;
use super::set_aside::{SetAside, beyond_namespace};
use super::{Cluster, ClusterBuilder, Holder, NodeId, Object, PodId, ServiceId, ServiceRecord, check, completion};
use crate::model::{EndpointSlice, Namespace, Pod, Service};
use crate::objects::{Objects, Origin};
use crate::policy::antrea::{AntreaPolicy, GroupName, Tier};

/// Which object is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reference {
    /// A `Node`.
    Node(NodeName),
    /// A `Namespace`.
    Namespace(Arc<str>),
    /// A `Pod`.
    Pod(ObjectName),
    /// A `Service`.
    Service(ObjectName),
    /// An `EndpointSlice`.
    EndpointSlice(ObjectName),
    /// A `NetworkPolicy` of `networking.k8s.io/v1`.
    NetworkPolicy(ObjectName),
    /// A `ClusterNetworkPolicy` or `NetworkPolicy` of `crd.antrea.io/v1beta1`.
    AntreaPolicy(PolicyRef),
    /// A `Tier`.
    Tier(Arc<str>),
    /// A `ClusterGroup` or `Group`.
    Group(GroupName),
    /// An `Egress`.
    Egress(Arc<str>),
}

/// As messages call the object: `Pod default/web`.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AntreaPolicy(name) => name.fmt(f),
            _ => write!(f, "{} {}", self.kind(), self.name()),
        }
    }
}

impl Reference {
    fn kind(&self) -> &'static str {
        match self {
            Self::Node(_) => "Node",
            Self::Namespace(_) => "Namespace",
            Self::Pod(_) => "Pod",
            Self::Service(_) => "Service",
            Self::EndpointSlice(_) => "EndpointSlice",
            Self::NetworkPolicy(_) => "NetworkPolicy",
            Self::AntreaPolicy(_) => "Antrea policy",
            Self::Tier(_) => "Tier",
            Self::Group(_) => "group",
            Self::Egress(_) => "Egress",
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Node(name) => name.to_string(),
            Self::Namespace(name) | Self::Tier(name) | Self::Egress(name) => name.to_string(),
            Self::Pod(name) | Self::Service(name) | Self::EndpointSlice(name) | Self::NetworkPolicy(name) => {
                name.to_string()
            }
            Self::AntreaPolicy(name) => name.to_string(),
            Self::Group(name) => name.to_string(),
        }
    }

    fn origin(&self) -> Origin {
        Origin::Code(self.to_string())
    }

    fn not_found(&self) -> BadInput {
        BadInput::new(
            self.to_string(),
            Problem::NotFound {
                kind: self.kind(),
                name: self.name(),
                remedy: "there is nothing to remove; correct the name".into(),
            },
        )
    }
}

impl Object {
    /// By which the object is known.
    pub fn reference(&self) -> Reference {
        match self {
            Self::Node(node) => Reference::Node(node.name.clone()),
            Self::Namespace(namespace) => Reference::Namespace(namespace.name.clone()),
            Self::Pod(pod) => Reference::Pod(pod.name.clone()),
            Self::Service(service) => Reference::Service(service.name.clone()),
            Self::EndpointSlice(slice) => Reference::EndpointSlice(slice.name.clone()),
            Self::NetworkPolicy(policy) => Reference::NetworkPolicy(policy.name.clone()),
            Self::AntreaPolicy(policy) => Reference::AntreaPolicy(policy.name.clone()),
            Self::Tier(tier) => Reference::Tier(tier.name.clone()),
            Self::Group(group) => Reference::Group(group.name.clone()),
            Self::Egress(egress) => Reference::Egress(egress.name.clone()),
        }
    }
}

impl Cluster {
    /// Adds an object, or puts it in the place of the one of its kind and name. What it leaves open is filled in as for
    /// the only such object of a cluster that is loaded; what was filled in for others stays.
    ///
    /// A Pod, a Service, an EndpointSlice, a namespace or a policy costs a look at its own namespace, a policy of Antrea's
    /// at the namespaces that it applies to. With objects of other kinds, and where an address of a family comes that the
    /// cluster didn't have, it is compiled anew.
    ///
    /// ```
    /// use traceflow_core::names::ObjectName;
    /// use traceflow_sim::model::Pod;
    /// use traceflow_sim::{Cluster, Reference};
    ///
    /// let mut cluster = Cluster::builder().node("a").pod("web", "a").build()?;
    /// let web = ObjectName::new("default", "web");
    /// let other = Pod { name: ObjectName::new("default", "other"), ..cluster.pod_objects().next().unwrap().clone() };
    /// assert_eq!(
    ///     cluster.put(other).unwrap_err().to_string(),
    ///     "Pod default/other: address: Pod default/web has the address 10.244.0.2 too; give each its own"
    /// );
    /// cluster.remove(&Reference::Pod(web))?;
    /// assert_eq!(cluster.pod_objects().count(), 0);
    /// # Ok::<(), traceflow_core::input::BadInput>(())
    /// ```
    ///
    /// # Errors
    /// What loading would say of the object among the others; the cluster is as it was then.
    pub fn put(&mut self, object: impl Into<Object>) -> Result<(), BadInput> {
        match object.into() {
            Object::Pod(pod) if self.has_families(given_by(&pod)) => self.put_pod(pod),
            Object::Service(service) if self.has_families(addresses_of(&service)) => self.put_service(service),
            Object::EndpointSlice(slice) => {
                self.put_slice(slice);
                Ok(())
            }
            Object::NetworkPolicy(policy) => {
                self.policies.insert_policy(policy);
                Ok(())
            }
            Object::AntreaPolicy(policy) => self.put_antrea_policy(policy),
            Object::Namespace(namespace) => {
                self.policies.insert_namespace(&namespace);
                self.choose_egresses_in(&namespace.name);
                Ok(())
            }
            other => self.compile_anew(|mut objects| {
                objects.remove(&other.reference());
                ClusterBuilder::of(objects).object(other)
            }),
        }
    }

    /// Takes an object out, at the cost that [`put`](Self::put) has.
    ///
    /// # Errors
    /// If it isn't there, or others need it; the cluster is as it was then.
    pub fn remove(&mut self, reference: &Reference) -> Result<(), BadInput> {
        let found = match reference {
            Reference::Pod(name) => self.pod_id(name).map(|id| self.remove_pod(id)),
            Reference::Service(name) => self.service_names.get(name).copied().map(|id| self.remove_service(id)),
            Reference::EndpointSlice(name) => self.links.drop_slice(name).map(|slice| {
                self.serve_again(service_of(&slice));
            }),
            Reference::NetworkPolicy(name) => {
                let found = self.policies.policy(name).map(|_| ());
                self.policies.remove_policy(name);
                found
            }
            Reference::AntreaPolicy(name) => self.forget_antrea_policy(name).then_some(()),
            Reference::Namespace(name) => self.policies.has_namespace(name).then(|| {
                self.policies.remove_namespace(name);
                self.choose_egresses_in(name);
            }),
            Reference::Node(_) | Reference::Tier(_) | Reference::Group(_) | Reference::Egress(_) => {
                let mut objects = self.objects();
                if objects.remove(reference) {
                    return self.compile_anew(|_| ClusterBuilder::of(objects));
                }
                None
            }
        };
        found.ok_or_else(|| reference.not_found())
    }

    fn has_families(&self, addresses: impl IntoIterator<Item = IpAddr>) -> bool {
        let ranges = self.nodes.first().map_or(&[][..], |first| &first.node.pod_cidrs);
        let known = |family| ranges.iter().any(|range| IpFamily::of(range.addr()) == family);
        addresses.into_iter().all(|address| known(IpFamily::of(address)))
    }
}

/// Pods.
impl Cluster {
    fn put_pod(&mut self, mut pod: Pod) -> Result<(), BadInput> {
        let origin = Reference::Pod(pod.name.clone()).origin();
        let old = self.pod_id(&pod.name);
        let unknown = pod.node.as_ref().filter(|name| self.node_id(name).is_none());
        if let Some(name) = unknown.filter(|_| pod.is_alive()) {
            return Err(check::no_node(name, "spec.nodeName", &origin));
        }
        self.complete_pod(&mut pod, old, &origin)?;
        let own = old.map(Holder::Pod);
        self.check_free(held_by(&pod), own, &origin)?;
        let gateways = self.gateways_with(held_by(&pod), own, &origin)?;
        let before = old.map(|id| Arc::clone(&self.pod_record(id).pod));
        let mut served = self.served_by(&pod);
        served.extend(before.iter().flat_map(|before| self.served_by(before)));
        if let Some(before) = &before {
            self.release(held_by(before));
            self.links.take_back(given_by(before));
        }
        let pod = Arc::new(pod);
        let id = old.unwrap_or(PodId(self.pods.len() as u32));
        self.release(held_by(&pod));
        let held = held_by(&pod).iter().map(|&address| (address, Holder::Pod(id)));
        self.holders.extend(held);
        self.links.give(given_by(&pod));
        let mut record = record_of(self, Arc::clone(&pod));
        record.egress = egress_of(self, record.policy_id);
        match old {
            Some(_) => self.pods[id.0 as usize] = record,
            None => {
                self.pods.push(record);
                self.pod_names.insert(pod.name.clone(), id);
                self.links.put_pod(&pod.name, id);
            }
        }
        for (node, addresses) in gateways {
            set_gateways(self, node, addresses);
        }
        self.serve_again(served);
        Ok(())
    }

    /// The last Pod takes over the id.
    fn remove_pod(&mut self, id: PodId) {
        let pod = Arc::clone(&self.pod_record(id).pod);
        let served = self.served_by(&pod);
        self.release(held_by(&pod));
        self.links.take_back(given_by(&pod));
        self.policies.remove_pod(&pod.name);
        self.pod_names.remove(&pod.name);
        self.links.drop_pod(&pod.name);
        self.pods.swap_remove(id.0 as usize);
        if let Some(moved) = self.pods.get(id.0 as usize).map(|record| Arc::clone(&record.pod)) {
            self.pod_names.insert(moved.name.clone(), id);
            self.links.put_pod(&moved.name, id);
            let held = held_by(&moved).iter().map(|&address| (address, Holder::Pod(id)));
            self.holders.extend(held);
        }
        for node in self.nodes_of(held_by(&pod)) {
            let gateways = gateways_of(self, node, |address| self.is_free_for_gateway(address, node));
            set_gateways(self, node, gateways);
        }
        self.serve_again(served);
    }

    /// Fills in what the Pod leaves open.
    fn complete_pod(&self, pod: &mut Pod, old: Option<PodId>, origin: &Origin) -> Result<(), BadInput> {
        if !completion::is_running(pod) {
            return Ok(());
        }
        let first = self.nodes.first().map(|record| &record.node.name);
        pod.node = pod.node.take().or_else(|| first.cloned());
        let node = pod.node.as_ref().and_then(|name| self.node_id(name));
        let Some(node) = node.filter(|_| pod.addresses.is_empty()) else {
            return Ok(());
        };
        let node = &self.node_record(node).node;
        if pod.host_network {
            pod.addresses.clone_from(&node.addresses);
            return Ok(());
        }
        let before: Vec<IpAddr> = old.map_or_else(Vec::new, |id| given_by(&self.pod_record(id).pod).collect());
        let named = pod.host_addresses.clone();
        let is_taken = |address| self.is_taken(address, &before, &named);
        for range in &node.pod_cidrs {
            let mut addresses = (2..).map_while(|number| completion::nth(range, number));
            let address = addresses.find(|&address| !is_taken(address));
            pod.addresses
                .push(address.ok_or_else(|| completion::full(node, range, origin))?);
        }
        Ok(())
    }

    /// Whether an address can't be given to a Pod or Service that leaves its own open, gives up those that it had
    /// before, and names these as others.
    fn is_taken(&self, address: IpAddr, before: &[IpAddr], named: &[IpAddr]) -> bool {
        let is_given = |address: IpAddr| {
            let own = before.iter().filter(|own| **own == address).count();
            named.contains(&address) || self.links.times_given(address) > own as u32
        };
        let reserved = || {
            let behind = self.ranges.partition_point(|(range, _)| range.network() <= address);
            let (range, _) = self.ranges.get(behind.checked_sub(1)?)?;
            completion::gateway_of(range, |address| !is_given(address))
        };
        is_given(address) || reserved() == Some(address)
    }

    /// Nobody but its owner holds any of the addresses. A gateway makes room.
    fn check_free(&self, addresses: &[IpAddr], own: Option<Holder>, origin: &Origin) -> Result<(), BadInput> {
        for (place, &address) in addresses.iter().enumerate() {
            let other = self.holder(address).filter(|&holder| Some(holder) != own);
            let other = other.filter(|holder| !matches!(holder, Holder::Gateway(_)));
            if let Some(other) = other {
                return Err(check::address_twice(address, origin, &name_of(self, other)));
            }
            if addresses[..place].contains(&address) {
                return Err(check::address_twice(address, origin, "it"));
            }
        }
        Ok(())
    }

    /// The gateways that move when a Pod has these addresses instead of its own.
    fn gateways_with(
        &self,
        held: &[IpAddr],
        own: Option<Holder>,
        origin: &Origin,
    ) -> Result<Vec<(NodeId, Vec<IpAddr>)>, BadInput> {
        let before = match own {
            Some(Holder::Pod(id)) => held_by(&self.pod_record(id).pod),
            _ => &[],
        };
        let mut moved = Vec::new();
        for node in self.nodes_of(held.iter().chain(before)) {
            let gateways = gateways_of(self, node, |address| {
                let is_free = self.is_free_for_gateway(address, node) || before.contains(&address);
                is_free && !held.contains(&address)
            });
            for &address in &gateways {
                if let Some(service @ Holder::Service(_)) = self.holder(address) {
                    return Err(check::address_twice(address, origin, &name_of(self, service)));
                }
            }
            moved.push((node, gateways));
        }
        Ok(moved)
    }

    /// Services come after gateways, which don't make room for them.
    fn is_free_for_gateway(&self, address: IpAddr, node: NodeId) -> bool {
        match self.holder(address) {
            None | Some(Holder::Service(_)) => true,
            holder => holder == Some(Holder::Gateway(node)),
        }
    }

    fn nodes_of<'a>(&self, addresses: impl IntoIterator<Item = &'a IpAddr>) -> BTreeSet<NodeId> {
        let addresses = addresses.into_iter();
        addresses.filter_map(|&address| self.node_of_range(address)).collect()
    }

    fn release(&mut self, addresses: &[IpAddr]) {
        for address in addresses {
            self.holders.remove(address);
        }
    }

    fn choose_egresses_in(&mut self, namespace: &str) {
        if self.egresses.is_empty() {
            return;
        }
        let pods: Vec<PodId> = self.links.pods_in(namespace).collect();
        for id in pods {
            self.pods[id.0 as usize].egress = egress_of(self, self.pod_record(id).policy_id);
        }
    }
}

/// Services and their endpoints.
impl Cluster {
    fn put_service(&mut self, mut service: Service) -> Result<(), BadInput> {
        let origin = Reference::Service(service.name.clone()).origin();
        let old = self.service_names.get(&service.name).copied();
        let before = old.map_or_else(Vec::new, |id| addresses_of(&self.service_record(id).service));
        check::node_ports_apart(self, &service, &origin)?;
        self.complete_service(&mut service, &before);
        let addresses = addresses_of(&service);
        self.check_free(&addresses, old.map(Holder::Service), &origin)?;
        for &address in &addresses {
            if let Some(gateway @ Holder::Gateway(_)) = self.holder(address) {
                return Err(check::address_twice(address, &origin, &name_of(self, gateway)));
            }
        }
        if let Some(id) = old {
            self.remove_service(id);
        }
        let id = ServiceId(self.services.len() as u32);
        self.policies.insert_service(&service);
        let held = addresses.iter().map(|&address| (address, Holder::Service(id)));
        self.holders.extend(held);
        self.links.give(addresses);
        add_names(self, id, &service);
        let backends = self.backends_of(&service);
        self.services.push(ServiceRecord { service, backends });
        Ok(())
    }

    fn complete_service(&self, service: &mut Service, before: &[IpAddr]) {
        if !service.cluster_ips.is_empty() || service.headless {
            return;
        }
        let ranges = self.nodes.first().map_or(&[][..], |first| &first.node.pod_cidrs);
        let families: BTreeSet<IpFamily> = ranges.iter().map(|range| IpFamily::of(range.addr())).collect();
        for family in families {
            let pool = completion::service_pool(family);
            let mut addresses = (10..).map_while(|number| completion::nth(&pool, number));
            let is_free = |address: &IpAddr| !self.is_taken(*address, before, &service.external_ips);
            service.cluster_ips.extend(addresses.find(is_free));
        }
    }

    /// The last Service takes over the id.
    fn remove_service(&mut self, id: ServiceId) {
        let service = self.services.swap_remove(id.0 as usize).service;
        let addresses = addresses_of(&service);
        self.release(&addresses);
        self.links.take_back(addresses);
        self.links.drop_service(&service.name);
        self.service_names.remove(&service.name);
        self.policies.remove_service(&service.name);
        for port in &service.ports {
            if let Some(number) = port.node_port {
                self.node_ports.remove(&(port.protocol, number));
            }
        }
        if let Some(moved) = self.services.get(id.0 as usize).map(|record| record.service.clone()) {
            add_names(self, id, &moved);
            let held = addresses_of(&moved).into_iter();
            self.holders.extend(held.map(|address| (address, Holder::Service(id))));
        }
    }

    fn put_slice(&mut self, slice: EndpointSlice) {
        let before = self.links.drop_slice(&slice.name);
        let services = [before.as_ref().and_then(service_of), service_of(&slice)];
        self.links.put_slice(slice);
        self.serve_again(services.into_iter().flatten());
    }

    /// The Services whose endpoints may be this Pod.
    fn served_by(&self, pod: &Pod) -> BTreeSet<ObjectName> {
        let mut services = self.links.services_listing(&pod.name, &pod.addresses);
        let in_namespace = self.links.services_in(&pod.name.namespace);
        let records = in_namespace.map(|id| &self.service_record(id).service);
        let selecting = records.filter(|service| !service.selector.is_empty() && selects(service, pod));
        services.extend(selecting.map(|service| service.name.clone()));
        services
    }

    /// Finds the endpoints of these Services again.
    fn serve_again(&mut self, services: impl IntoIterator<Item = ObjectName>) {
        for name in services {
            if let Some(&id) = self.service_names.get(&name) {
                let backends = self.backends_of(&self.service_record(id).service);
                self.services[id.0 as usize].backends = backends;
            }
        }
    }
}

/// Antrea's policies.
impl Cluster {
    fn put_antrea_policy(&mut self, policy: AntreaPolicy) -> Result<(), BadInput> {
        let origin = Reference::AntreaPolicy(policy.name.clone()).origin();
        check::check_tier(&policy, self.policies.tiers(), &origin)?;
        self.forget_antrea_policy(&policy.name);
        match beyond_namespace(&policy, |name| self.policies.group(name)) {
            Some(unmodelled) => {
                self.set_aside.push(SetAside { unmodelled, policy });
                self.list_set_aside();
            }
            None => self.policies.insert_antrea_policy(policy),
        }
        Ok(())
    }

    /// Whether it was there.
    fn forget_antrea_policy(&mut self, name: &PolicyRef) -> bool {
        let was_enforced = self.policies.antrea_policy(name).is_some();
        self.policies.remove_antrea_policy(name);
        let was_aside = self.set_aside.iter().any(|aside| aside.policy.name == *name);
        if was_aside {
            self.set_aside.retain(|aside| aside.policy.name != *name);
            self.list_set_aside();
        }
        was_enforced || was_aside
    }
}

/// All objects again.
impl Cluster {
    /// The objects, with what they left open filled in.
    pub(crate) fn objects(&self) -> Objects {
        let mut builder = ClusterBuilder::default();
        for record in &self.nodes {
            builder = builder.object(record.node.clone());
        }
        for namespace in self.policies.declared_namespaces() {
            builder = builder.object(namespace);
        }
        for pod in self.pod_objects() {
            builder = builder.object(pod.clone());
        }
        for service in self.service_objects() {
            builder = builder.object(service.clone());
        }
        for slice in self.links.slices() {
            builder = builder.object(slice.clone());
        }
        for policy in self.policies.policies() {
            builder = builder.object((**policy).clone());
        }
        let aside = self.set_aside.iter().map(|aside| &aside.policy);
        for policy in self.policies.antrea_policies().map(|policy| &**policy).chain(aside) {
            builder = builder.object(policy.clone());
        }
        let tiers = self.policies.tiers();
        for (name, priority) in tiers.iter() {
            builder = builder.object(Tier {
                name: Arc::clone(name),
                priority,
            });
        }
        for group in self.policies.groups() {
            builder = builder.object(group.clone());
        }
        for record in &self.egresses {
            builder = builder.object(Object::Egress(record.egress.clone()));
        }
        let mut objects = builder.into_objects();
        objects.mode = Some(self.mode);
        objects.unmodelled = self.unmodelled[..self.read_as_unmodelled].to_vec();
        objects
    }

    fn compile_anew(&mut self, change: impl FnOnce(Objects) -> ClusterBuilder) -> Result<(), BadInput> {
        *self = change(self.objects()).seed(self.seed).build()?;
        Ok(())
    }
}

impl Objects {
    /// Whether the object was there.
    fn remove(&mut self, reference: &Reference) -> bool {
        fn without<T>(list: &mut Vec<crate::objects::Placed<T>>, is_it: impl Fn(&T) -> bool) -> bool {
            let before = list.len();
            list.retain(|placed| !is_it(&placed.object));
            list.len() < before
        }
        match reference {
            Reference::Node(name) => without(&mut self.nodes, |node| node.name == *name),
            Reference::Namespace(name) => {
                without(&mut self.namespaces, |namespace: &Namespace| namespace.name == *name)
            }
            Reference::Pod(name) => without(&mut self.pods, |pod| pod.name == *name),
            Reference::Service(name) => without(&mut self.services, |service| service.name == *name),
            Reference::EndpointSlice(name) => without(&mut self.endpoint_slices, |slice| slice.name == *name),
            Reference::NetworkPolicy(name) => without(&mut self.policies, |policy| policy.name == *name),
            Reference::AntreaPolicy(name) => without(&mut self.antrea_policies, |policy| policy.name == *name),
            Reference::Tier(name) => without(&mut self.tiers, |tier| tier.name == *name),
            Reference::Group(name) => without(&mut self.groups, |group| group.name == *name),
            Reference::Egress(name) => without(&mut self.egresses, |egress| egress.name == *name),
        }
    }
}
