//! The cluster answers names and addresses.

use std::collections::BTreeSet;
use std::net::IpAddr;

use traceflow_core::inventory::{
    Direction, EgressEntry, Inventory, NodeEntry, Owner, PodEntry, ServiceEntry, ServicePort, Surroundings,
};
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::observation::PolicyRef;
use traceflow_core::packet::{IpFamily, Protocol};

use super::endpoints::Backends;
use super::{Cluster, Holder};
use crate::policy;

impl Inventory for Cluster {
    fn pod(&self, name: &ObjectName) -> Option<PodEntry> {
        let record = self.pod_record(self.pod_id(name)?);
        Some(PodEntry {
            name: record.pod.name.clone(),
            node: record.pod.node.clone(),
            addresses: record.pod.addresses.clone(),
            mac: record.mac,
            host_network: record.pod.host_network,
            phase: record.pod.phase.clone(),
        })
    }

    fn service(&self, name: &ObjectName) -> Option<ServiceEntry> {
        let service = &self.service_record(*self.service_names.get(name)?).service;
        Some(ServiceEntry {
            name: service.name.clone(),
            cluster_ips: service.cluster_ips.clone(),
            ports: service.ports.iter().map(entry).collect(),
        })
    }

    fn owner(&self, address: IpAddr) -> Option<Owner> {
        Some(match self.holder(address)? {
            Holder::Pod(pod) => Owner::Pod(self.pod_record(pod).pod.name.clone()),
            Holder::Service(service) => Owner::Service(self.service_record(service).service.name.clone()),
            Holder::Node(node) => Owner::Node(self.node_record(node).node.name.clone()),
            Holder::Gateway(node) => Owner::Gateway(self.node_record(node).node.name.clone()),
        })
    }

    fn node(&self, name: &NodeName) -> Option<NodeEntry> {
        let record = self.node_record(self.node_id(name)?);
        Some(NodeEntry {
            name: record.node.name.clone(),
            addresses: record.node.addresses.clone(),
            gateway_mac: record.gateway_mac,
        })
    }

    fn nodes(&self) -> Vec<NodeName> {
        self.nodes.iter().map(|record| record.node.name.clone()).collect()
    }

    fn endpoint_nodes(&self, service: &ObjectName) -> Option<BTreeSet<NodeName>> {
        let backends = &self.service_named(service)?.backends;
        let nodes = backends.iter().flat_map(Backends::nodes);
        Some(nodes.map(|node| self.node_record(node).node.name.clone()).collect())
    }
}

impl Surroundings for Cluster {
    fn isolating(&self, pod: &ObjectName, direction: Direction) -> Vec<PolicyRef> {
        let direction = match direction {
            Direction::Ingress => policy::Direction::Ingress,
            Direction::Egress => policy::Direction::Egress,
        };
        Self::isolating(self, pod, direction)
    }

    fn is_pod_range(&self, address: IpAddr) -> bool {
        self.node_of_range(address).is_some()
    }

    fn egress(&self, pod: &ObjectName, family: IpFamily) -> Option<EgressEntry> {
        let (record, address) = self.egress_of(self.pod_id(pod)?, family)?;
        Some(EgressEntry {
            name: record.egress.name.clone(),
            address,
            node: record.node.map(|node| self.node_record(node).node.name.clone()),
        })
    }

    fn node_port(&self, protocol: Protocol, port: u16) -> Option<ObjectName> {
        let (service, _) = self.node_ports.get(&(protocol, port))?;
        Some(self.service_record(*service).service.name.clone())
    }

    fn endpoint(&self, service: &ObjectName, address: IpAddr, port: u16) -> Option<ObjectName> {
        let ports = self.service_named(service)?.backends.iter();
        let mut backends = ports.flat_map(|backends| backends.of(IpFamily::of(address)));
        let backend = backends.find(|backend| (backend.address, backend.port) == (address, port))?;
        backend.pod_name.clone()
    }
}

fn entry(port: &crate::model::ServicePort) -> ServicePort {
    ServicePort {
        protocol: port.protocol,
        port: port.port,
        name: port.name.clone(),
    }
}
