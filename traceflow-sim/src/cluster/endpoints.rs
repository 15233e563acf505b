//! Which endpoints a Service port leads to.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use traceflow_core::names::ObjectName;
use traceflow_core::packet::IpFamily;

use super::{NodeId, PodRecord};
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

/// What endpoints are found in.
pub(super) struct Sources<'a> {
    /// EndpointSlices by the Service that they belong to.
    slices: HashMap<(&'a str, &'a str), Vec<&'a EndpointSlice>>,
    pods: &'a [PodRecord],
    /// Places in `pods`, by namespace.
    by_namespace: HashMap<&'a str, Vec<usize>>,
    locate: &'a dyn Fn(&Endpoint) -> Whereabouts,
}

/// Whose and where a listed endpoint is.
pub(super) struct Whereabouts {
    pub(super) node: Option<NodeId>,
    pub(super) pod: Option<ObjectName>,
}

impl<'a> Sources<'a> {
    pub(super) fn new(
        slices: impl Iterator<Item = &'a EndpointSlice>,
        pods: &'a [PodRecord],
        locate: &'a dyn Fn(&Endpoint) -> Whereabouts,
    ) -> Self {
        let mut sources = Self {
            slices: HashMap::new(),
            pods,
            by_namespace: HashMap::new(),
            locate,
        };
        for slice in slices {
            if let Some(service) = &slice.service {
                let key = (&*slice.name.namespace, &**service);
                sources.slices.entry(key).or_default().push(slice);
            }
        }
        for (index, record) in pods.iter().enumerate() {
            let namespace = &*record.pod.name.namespace;
            sources.by_namespace.entry(namespace).or_default().push(index);
        }
        sources
    }

    /// The endpoints of each port. EndpointSlices that name the Service count alone; without any, its selector does.
    pub(super) fn backends(&self, service: &Service) -> Vec<Backends> {
        let name = (&*service.name.namespace, &*service.name.name);
        let of_port = |port: &ServicePort| match self.slices.get(&name) {
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
        let Whereabouts { node, pod } = (self.locate)(endpoint);
        Backend {
            address: endpoint.address,
            port,
            node,
            pod_name: pod,
        }
    }

    fn selected(&self, service: &Service, port: &ServicePort) -> Backends {
        let in_namespace = self.by_namespace.get(&*service.name.namespace);
        let records = in_namespace.into_iter().flatten().map(|&index| &self.pods[index]);
        let chosen = records
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

fn selects(service: &Service, pod: &Pod) -> bool {
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
