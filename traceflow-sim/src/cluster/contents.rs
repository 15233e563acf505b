//! The cluster as whoever builds the same network elsewhere reads it: its objects, with what they left open filled in,
//! and what follows from them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::observation::PolicyRef;
use traceflow_core::packet::IpFamily;

use super::{Backend, Cluster};
use crate::model::{Node, Pod, Service};
use crate::policy::{Direction, PolicyIndex};

/// An endpoint that a Service's port leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceEndpoint {
    /// Its address.
    pub address: IpAddr,
    /// The port on it.
    pub port: u16,
    /// The node it is on; `None` outside the cluster.
    pub node: Option<NodeName>,
    /// The Pod behind it; `None` for an address that an EndpointSlice lists without one.
    pub pod: Option<ObjectName>,
}

impl Cluster {
    /// The nodes in the order of their names, with their addresses and ranges.
    ///
    /// ```
    /// use traceflow_sim::Cluster;
    ///
    /// let cluster = Cluster::builder().node("a").pod("web", "a").build()?;
    /// let node = cluster.node_objects().next().expect("there is one");
    /// assert_eq!(node.pod_cidrs, ["10.244.0.0/24".parse()?]);
    /// let pod = cluster.pod_objects().next().expect("there is one");
    /// assert_eq!(pod.addresses, ["10.244.0.2".parse::<std::net::IpAddr>()?]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn node_objects(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().map(|record| &record.node)
    }

    /// The addresses of a node's gateway port, each with the range of Pods that it is the gateway of.
    pub fn gateways(&self, node: &NodeName) -> Vec<(IpAddr, IpNet)> {
        let Some(id) = self.node_id(node) else {
            return Vec::new();
        };
        let record = self.node_record(id);
        let range_of = |address| record.node.pod_cidrs.iter().find(|range| range.contains(address));
        let gateways = record.gateways.iter();
        gateways
            .filter_map(|address| Some((*address, *range_of(address)?)))
            .collect()
    }

    /// The addresses that a node has for Egresses, in their order. Its own may be among them.
    ///
    /// ```
    /// use traceflow_sim::Cluster;
    ///
    /// let egress = "apiVersion: crd.antrea.io/v1beta1
    /// kind: Egress
    /// metadata: {name: out}
    /// spec: {appliedTo: {podSelector: {}}, egressIP: 172.18.0.100}
    /// status: {egressNode: a}";
    /// let cluster = Cluster::builder().node("a").node("b").yaml(egress).build()?;
    /// assert_eq!(cluster.egress_addresses(&"a".into()), ["172.18.0.100".parse::<std::net::IpAddr>()?]);
    /// assert!(cluster.egress_addresses(&"b".into()).is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn egress_addresses(&self, node: &NodeName) -> Vec<IpAddr> {
        let Some(id) = self.node_id(node) else {
            return Vec::new();
        };
        let here = self.egresses.iter().filter(|record| record.node == Some(id));
        let addresses: BTreeSet<IpAddr> = here
            .flat_map(|record| record.egress.addresses.iter().copied())
            .collect();
        addresses.into_iter().collect()
    }

    /// The Pods in the order of their names, those that ended and those on their host's network too. Their MAC
    /// addresses are the [`Inventory`](traceflow_core::inventory::Inventory)'s to tell.
    pub fn pod_objects(&self) -> impl Iterator<Item = &Pod> {
        let mut pods: Vec<&Pod> = self.pods.iter().map(|record| &*record.pod).collect();
        pods.sort_by(|one, other| one.name.cmp(&other.name));
        pods.into_iter()
    }

    /// The Services in the order of their names.
    pub fn service_objects(&self) -> impl Iterator<Item = &Service> {
        let mut services: Vec<&Service> = self.services.iter().map(|record| &record.service).collect();
        services.sort_by(|one, other| one.name.cmp(&other.name));
        services.into_iter()
    }

    /// The endpoints that take the traffic of a Service's port, given by its place in `spec.ports`: the ready ones, else
    /// those that still serve while they terminate, in the order of their addresses. `internalTrafficPolicy` is not
    /// applied, for it depends on the sender's node.
    ///
    /// ```
    /// use traceflow_core::names::ObjectName;
    /// use traceflow_core::packet::IpFamily;
    /// use traceflow_sim::Cluster;
    ///
    /// let cluster = Cluster::builder()
    ///     .node("a")
    ///     .pod("web", "a").label("app", "web")
    ///     .service("web", 80).selects("app", "web")
    ///     .build()?;
    /// let endpoints = cluster.service_endpoints(&ObjectName::new("default", "web"), 0, IpFamily::V4);
    /// assert_eq!(endpoints[0].pod, Some(ObjectName::new("default", "web")));
    /// # Ok::<(), traceflow_core::input::BadInput>(())
    /// ```
    pub fn service_endpoints(&self, service: &ObjectName, port: usize, family: IpFamily) -> Vec<ServiceEndpoint> {
        let backends = self.service_named(service).and_then(|record| record.backends.get(port));
        let of_family = backends.map_or(&[][..], |backends| backends.of(family));
        of_family.iter().map(|backend| self.service_endpoint(backend)).collect()
    }

    /// The policies, and whom they select.
    pub fn policies(&self) -> &PolicyIndex {
        &self.policies
    }

    /// The policies that isolate a Pod in this direction, in the order of their names: those that explain why a packet
    /// was dropped that no rule allowed.
    ///
    /// ```
    /// use traceflow_core::names::ObjectName;
    /// use traceflow_sim::Cluster;
    /// use traceflow_sim::policy::Direction;
    ///
    /// let closed = "apiVersion: networking.k8s.io/v1
    /// kind: NetworkPolicy
    /// metadata: {name: closed}
    /// spec: {podSelector: {}}";
    /// let cluster = Cluster::builder().node("a").pod("web", "a").yaml(closed).build()?;
    /// let web = ObjectName::new("default", "web");
    /// let isolating = cluster.isolating(&web, Direction::Ingress);
    /// assert_eq!(isolating[0].to_string(), "K8sNetworkPolicy:default/closed");
    /// assert!(cluster.isolating(&web, Direction::Egress).is_empty());
    /// # Ok::<(), traceflow_core::input::BadInput>(())
    /// ```
    pub fn isolating(&self, pod: &ObjectName, direction: Direction) -> Vec<PolicyRef> {
        let isolating = self
            .policies
            .pod_id(pod)
            .map(|pod| self.policies.isolating(pod, direction));
        let policies = isolating.into_iter().flatten();
        policies
            .map(|policy| PolicyRef::kubernetes(policy.name.clone()))
            .collect()
    }

    fn service_endpoint(&self, backend: &Backend) -> ServiceEndpoint {
        let node = backend.node.map(|node| self.node_record(node).node.name.clone());
        ServiceEndpoint {
            address: backend.address,
            port: backend.port,
            node,
            pod: backend.pod_name.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gateway_address_comes_with_its_own_range() {
        let cluster = Cluster::builder()
            .node("a")
            .pod_cidr("10.1.0.0/24")
            .pod_cidr("fd00:1::/64")
            .build()
            .unwrap();
        let expected: Vec<(IpAddr, IpNet)> = vec![
            ("10.1.0.1".parse().unwrap(), "10.1.0.0/24".parse().unwrap()),
            ("fd00:1::1".parse().unwrap(), "fd00:1::/64".parse().unwrap()),
        ];
        assert_eq!(cluster.gateways(&"a".into()), expected);
        assert_eq!(cluster.gateways(&"elsewhere".into()), []);
    }

    #[test]
    fn endpoints_are_those_in_use_with_their_nodes() {
        let cluster = Cluster::builder()
            .node("a")
            .node("b")
            .pod("web-1", "a")
            .label("app", "web")
            .pod("web-2", "b")
            .label("app", "web")
            .not_ready()
            .service("web", 80)
            .selects("app", "web")
            .build()
            .unwrap();
        let web = ObjectName::new("default", "web");
        let endpoints = cluster.service_endpoints(&web, 0, IpFamily::V4);
        let nodes: Vec<_> = endpoints.iter().map(|endpoint| endpoint.node.clone()).collect();
        assert_eq!(nodes, [Some("a".into())]);
        assert_eq!(cluster.service_endpoints(&web, 0, IpFamily::V6), []);
        assert_eq!(cluster.service_endpoints(&web, 1, IpFamily::V4), []);
    }

    #[test]
    fn a_pod_that_is_not_there_is_isolated_by_nobody() {
        let cluster = Cluster::builder().node("a").build().unwrap();
        let nobody = ObjectName::new("default", "nobody");
        assert_eq!(cluster.isolating(&nobody, Direction::Ingress), []);
    }
}
