//! Which endpoints a Service port leads to.

use std::net::IpAddr;
use std::sync::Arc;

use traceflow_core::names::ObjectName;
use traceflow_core::packet::IpFamily;

use super::{Cluster, Holder, NodeId};
use crate::model::{Endpoint, EndpointPort, EndpointSlice, Pod, Service, ServicePort, TargetPort};

/// The endpoints of one Service port, those that take traffic only.
#[derive(Debug, Default)]
pub(crate) struct Backends {
    v4: Vec<Backend>,
    v6: Vec<Backend>,
}

/// One endpoint of one Service port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Backend {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) node: Option<NodeId>,
    /// The Pod behind it; `None` for an address that an EndpointSlice lists without one.
    pub(crate) pod_name: Option<ObjectName>,
}

impl Backends {
    pub(crate) fn of(&self, family: IpFamily) -> &[Backend] {
        match family {
            IpFamily::V4 => &self.v4,
            IpFamily::V6 => &self.v6,
        }
    }

    /// The nodes of them all; one comes as often as it has endpoints.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.v4.iter().chain(&self.v6).filter_map(|backend| backend.node)
    }

    fn new(candidates: impl Iterator<Item = Candidate>) -> Self {
        let (v4, v6) = candidates.partition(|candidate: &Candidate| candidate.backend.address.is_ipv4());
        Self {
            v4: in_use(v4),
            v6: in_use(v6),
        }
    }
}

/// An endpoint that may take traffic.
struct Candidate {
    backend: Backend,
    /// Otherwise it terminates, and still serves.
    ready: bool,
}

/// Those that are ready; if none is, those that terminate and still serve (KEP-1669).
fn in_use(candidates: Vec<Candidate>) -> Vec<Backend> {
    let any_ready = candidates.iter().any(|candidate| candidate.ready);
    let in_use = candidates.into_iter().filter(|candidate| candidate.ready == any_ready);
    let mut backends: Vec<Backend> = in_use.map(|candidate| candidate.backend).collect();
    backends.sort_by_key(|backend| (backend.address, backend.port));
    backends.dedup_by_key(|backend| (backend.address, backend.port));
    backends
}

/// Whose and where a listed endpoint is.
struct Whereabouts {
    node: Option<NodeId>,
    pod: Option<ObjectName>,
}

impl Cluster {
    /// The endpoints of each port of a Service. EndpointSlices that name the Service count alone; without any, its
    /// selector does.
    pub(super) fn backends_of(&self, service: &Service) -> Vec<Backends> {
        let slices = self.links.slices_of(&service.name);
        let of_port = |port: &ServicePort| match &slices {
            Some(slices) => self.listed(service, port, slices),
            None if service.selector.is_empty() => Backends::default(),
            None => self.selected(service, port),
        };
        service.ports.iter().map(of_port).collect()
    }

    fn listed(&self, service: &Service, port: &ServicePort, slices: &[&EndpointSlice]) -> Backends {
        let listed = slices
            .iter()
            .filter_map(|slice| Some((slice, listed_port(port, &slice.ports)?)))
            .flat_map(|(slice, number)| slice.endpoints.iter().map(move |endpoint| (endpoint, number)));
        Backends::new(listed.filter_map(|(endpoint, port)| {
            let ready = endpoint.ready || service.publish_not_ready;
            let candidate = ready || (endpoint.serving && endpoint.terminating);
            candidate.then(|| Candidate {
                backend: self.listed_backend(endpoint, port),
                ready,
            })
        }))
    }

    fn listed_backend(&self, endpoint: &Endpoint, port: u16) -> Backend {
        let Whereabouts { node, pod } = self.whereabouts(endpoint);
        Backend {
            address: endpoint.address,
            port,
            node,
            pod_name: pod,
        }
    }

    /// The Pod and node of a listed endpoint: as the slice says, else whoever has its address.
    fn whereabouts(&self, endpoint: &Endpoint) -> Whereabouts {
        let holder = self.holder(endpoint.address);
        let listed = endpoint.pod.as_ref().and_then(|name| self.pod_id(name));
        let pod = listed.or(match holder {
            Some(Holder::Pod(pod)) => Some(pod),
            _ => None,
        });
        let named = endpoint.node.as_ref().and_then(|name| self.node_id(name));
        let node_of_pod = pod.and_then(|pod| self.pod_record(pod).node);
        Whereabouts {
            node: named.or(node_of_pod).or(match holder {
                Some(Holder::Node(node)) => Some(node),
                _ => None,
            }),
            pod: endpoint
                .pod
                .clone()
                .or_else(|| pod.map(|pod| self.pod_record(pod).pod.name.clone())),
        }
    }

    fn selected(&self, service: &Service, port: &ServicePort) -> Backends {
        let in_namespace = self.links.pods_in(&service.name.namespace);
        let chosen = in_namespace
            .map(|pod| self.pod_record(pod))
            .filter(|record| selects(service, &record.pod))
            .filter_map(|record| Some((record, target_port(&port.target, port, &record.pod)?)));
        Backends::new(chosen.flat_map(|(record, port)| {
            record.pod.addresses.iter().map(move |&address| Candidate {
                backend: Backend {
                    address,
                    port,
                    node: record.node,
                    pod_name: Some(record.pod.name.clone()),
                },
                ready: service.publish_not_ready || !record.pod.terminating,
            })
        }))
    }
}

/// Whether the Pod serves the Service by its selector.
pub(super) fn selects(service: &Service, pod: &Pod) -> bool {
    let matches = |(key, value): (&Arc<str>, &Arc<str>)| pod.labels.get(key) == Some(value);
    pod.is_alive() && (pod.ready || service.publish_not_ready) && service.selector.iter().all(matches)
}

fn target_port(target: &TargetPort, port: &ServicePort, pod: &Pod) -> Option<u16> {
    match target {
        TargetPort::Number(number) => Some(*number),
        TargetPort::Name(name) => {
            let named = |declared: &&crate::model::ContainerPort| {
                declared.name.as_ref() == Some(name) && declared.protocol == port.protocol
            };
            pod.ports.iter().find(named).map(|declared| declared.port)
        }
    }
}

/// The number of the slice's port that serves the Service's port, which go by the same name.
fn listed_port(port: &ServicePort, listed: &[EndpointPort]) -> Option<u16> {
    let text = |name: &Option<Arc<str>>| name.clone().unwrap_or_default();
    let serves =
        |candidate: &&EndpointPort| text(&candidate.name) == text(&port.name) && candidate.protocol == port.protocol;
    let found = listed.iter().find(serves)?;
    Some(found.port.unwrap_or(port.port))
}
