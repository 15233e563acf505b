//! Objects into a [`Cluster`].

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use traceflow_core::input::BadInput;
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::packet::MacAddress;

use super::links::Links;
use super::{
    Cluster, EgressRecord, Holder, NodeId, NodeRecord, PodId, PodRecord, ServiceId, ServiceRecord, check, completion,
    set_aside,
};
use crate::model::{Egress, Node, Pod, Service};
use crate::objects::{Objects, Origin, Placed};
use crate::policy::{self, PolicyIndex};

pub(super) fn compile(mut objects: Objects) -> Result<Cluster, BadInput> {
    check::check(&objects)?;
    let set_aside = set_aside::set_aside(&mut objects);
    completion::complete(&mut objects)?;
    let mut cluster = Cluster {
        seed: 0,
        mode: objects.mode.unwrap_or_default(),
        nodes: Vec::new(),
        pods: Vec::new(),
        services: Vec::new(),
        node_ports: HashMap::new(),
        egresses: Vec::new(),
        node_names: HashMap::new(),
        pod_names: HashMap::new(),
        service_names: HashMap::new(),
        holders: HashMap::new(),
        ranges: Vec::new(),
        policies: PolicyIndex::default(),
        links: Links::default(),
        unmodelled: objects.unmodelled().to_vec(),
        read_as_unmodelled: objects.unmodelled().len(),
        set_aside,
    };
    cluster.list_set_aside();
    add_namespaces_and_policies(&mut cluster, &mut objects);
    add_nodes(&mut cluster, std::mem::take(&mut objects.nodes))?;
    add_pods(&mut cluster, std::mem::take(&mut objects.pods))?;
    add_egresses(&mut cluster, std::mem::take(&mut objects.egresses))?;
    add_gateways(&mut cluster);
    add_services(&mut cluster, objects)?;
    Ok(cluster)
}

fn add_namespaces_and_policies(cluster: &mut Cluster, objects: &mut Objects) {
    for namespace in &objects.namespaces {
        cluster.policies.insert_namespace(&namespace.object);
    }
    for policy in std::mem::take(&mut objects.policies) {
        cluster.policies.insert_policy(policy.object);
    }
    // Whom Antrea's policies apply to depends on these, so they come first.
    for tier in &objects.tiers {
        cluster.policies.insert_tier(&tier.object);
    }
    for group in std::mem::take(&mut objects.groups) {
        cluster.policies.insert_group(group.object);
    }
    for service in &objects.services {
        cluster.policies.insert_service(&service.object);
    }
    for policy in std::mem::take(&mut objects.antrea_policies) {
        cluster.policies.insert_antrea_policy(policy.object);
    }
}

fn add_nodes(cluster: &mut Cluster, nodes: Vec<Placed<Node>>) -> Result<(), BadInput> {
    for (index, Placed { object: node, origin }) in (0..).zip(nodes) {
        let id = NodeId(index);
        cluster.node_names.insert(node.name.clone(), id);
        cluster.ranges.extend(node.pod_cidrs.iter().map(|&range| (range, id)));
        let addresses = node.addresses.clone();
        cluster.links.give(addresses.iter().copied());
        cluster.nodes.push(NodeRecord {
            gateways: Vec::new(),
            gateway_mac: MacAddress([0; 6]),
            node,
        });
        hold(cluster, &addresses, Holder::Node(id), &origin)?;
    }
    cluster.ranges.sort_by_key(|(range, _)| range.network());
    Ok(())
}

fn add_pods(cluster: &mut Cluster, pods: Vec<Placed<Pod>>) -> Result<(), BadInput> {
    for (index, Placed { object: pod, origin }) in (0..).zip(pods) {
        let id = PodId(index);
        let pod = Arc::new(pod);
        cluster.pod_names.insert(pod.name.clone(), id);
        cluster.links.put_pod(&pod.name, id);
        cluster.links.give(given_by(&pod));
        let record = record_of(cluster, Arc::clone(&pod));
        cluster.pods.push(record);
        hold(cluster, held_by(&pod), Holder::Pod(id), &origin)?;
    }
    Ok(())
}

pub(super) fn record_of(cluster: &mut Cluster, pod: Arc<Pod>) -> PodRecord {
    PodRecord {
        node: pod.node.as_ref().and_then(|name| cluster.node_id(name)),
        mac: pod
            .addresses
            .first()
            .filter(|_| !pod.host_network)
            .map(|&address| mac_of(address)),
        policy_id: cluster.policies.insert_pod(Arc::clone(&pod)),
        pod,
        egress: None,
    }
}

/// A Pod on the host's network has its node's addresses; one that ended may have left its own to another.
pub(super) fn held_by(pod: &Pod) -> &[IpAddr] {
    if pod.is_alive() && !pod.host_network {
        &pod.addresses
    } else {
        &[]
    }
}

/// The addresses that its object names, which are given to nobody else.
pub(super) fn given_by(pod: &Pod) -> impl Iterator<Item = IpAddr> {
    pod.addresses.iter().chain(&pod.host_addresses).copied()
}

/// The addresses of an Egress are its node's, beside the node's own. Antrea leaves open which of several Egresses applies to
/// a Pod; here it is the first by name.
fn add_egresses(cluster: &mut Cluster, mut egresses: Vec<Placed<Egress>>) -> Result<(), BadInput> {
    egresses.sort_by(|one, other| one.object.name.cmp(&other.object.name));
    for Placed { object: egress, origin } in egresses {
        let named = egress
            .node
            .as_ref()
            .map(|name| named_node(cluster, name, &origin))
            .transpose()?;
        let holding = egress
            .addresses
            .iter()
            .find_map(|&address| match cluster.holder(address) {
                Some(Holder::Node(node)) => Some(node),
                _ => None,
            });
        let node = named.or(holding);
        for &address in &egress.addresses {
            match (node, cluster.holder(address)) {
                // Several Egresses may share an address, and it may be the node's own.
                (Some(node), Some(Holder::Node(holder))) if holder == node => {}
                (Some(node), _) => hold(cluster, &[address], Holder::Node(node), &origin)?,
                (None, _) => {}
            }
        }
        cluster.egresses.push(EgressRecord { egress, node });
    }
    for place in 0..cluster.pods.len() {
        cluster.pods[place].egress = egress_of(cluster, cluster.pods[place].policy_id);
    }
    Ok(())
}

/// The place of the Egress that applies to the Pod.
pub(super) fn egress_of(cluster: &Cluster, pod: policy::PodId) -> Option<usize> {
    cluster.egresses.iter().position(|EgressRecord { egress, .. }| {
        !egress.addresses.is_empty() && cluster.policies.is_selected(pod, &egress.namespaces, &egress.pods)
    })
}

fn named_node(cluster: &Cluster, name: &NodeName, origin: &Origin) -> Result<NodeId, BadInput> {
    let found = cluster.node_id(name);
    found.ok_or_else(|| check::no_node(name, "status.egressNode", origin))
}

/// A gateway has the first address of each range, or the first behind it that isn't a Pod's: not every CNI keeps the
/// first one free.
fn add_gateways(cluster: &mut Cluster) {
    for index in 0..cluster.nodes.len() {
        let id = NodeId(index as u32);
        let gateways = gateways_of(cluster, id, |address| !cluster.holders.contains_key(&address));
        set_gateways(cluster, id, gateways);
    }
}

pub(super) fn gateways_of(cluster: &Cluster, node: NodeId, is_free: impl Fn(IpAddr) -> bool) -> Vec<IpAddr> {
    let ranges = cluster.node_record(node).node.pod_cidrs.iter();
    ranges
        .filter_map(|range| completion::gateway_of(range, &is_free))
        .collect()
}

/// Gives a node's gateway port its addresses, instead of those that it has.
pub(super) fn set_gateways(cluster: &mut Cluster, node: NodeId, gateways: Vec<IpAddr>) {
    let record = &mut cluster.nodes[node.0 as usize];
    for address in &record.gateways {
        if cluster.holders.get(address) == Some(&Holder::Gateway(node)) {
            cluster.holders.remove(address);
        }
    }
    let held = gateways.iter().map(|&address| (address, Holder::Gateway(node)));
    cluster.holders.extend(held);
    let first = gateways.first().or_else(|| record.node.addresses.first());
    record.gateway_mac = first.map_or(MacAddress([0x02, 0, 0, 0, 0, 1]), |&address| mac_of(address));
    record.gateways = gateways;
}

fn add_services(cluster: &mut Cluster, objects: Objects) -> Result<(), BadInput> {
    for slice in objects.endpoint_slices {
        cluster.links.put_slice(slice.object);
    }
    for (
        index,
        Placed {
            object: service,
            origin,
        },
    ) in (0..).zip(objects.services)
    {
        let id = ServiceId(index);
        check::node_ports_apart(cluster, &service, &origin)?;
        let addresses = addresses_of(&service);
        let backends = cluster.backends_of(&service);
        cluster.links.give(addresses.iter().copied());
        add_names(cluster, id, &service);
        cluster.services.push(ServiceRecord { service, backends });
        hold(cluster, &addresses, Holder::Service(id), &origin)?;
    }
    Ok(())
}

pub(super) fn addresses_of(service: &Service) -> Vec<IpAddr> {
    [&service.cluster_ips[..], &service.external_ips].concat()
}

/// Whatever leads to a Service but its addresses.
pub(super) fn add_names(cluster: &mut Cluster, id: ServiceId, service: &Service) {
    cluster.service_names.insert(service.name.clone(), id);
    cluster.links.put_service(&service.name, id);
    for (place, port) in service.ports.iter().enumerate() {
        if let Some(number) = port.node_port {
            cluster.node_ports.insert((port.protocol, number), (id, place));
        }
    }
}

fn hold(cluster: &mut Cluster, addresses: &[IpAddr], holder: Holder, origin: &Origin) -> Result<(), BadInput> {
    for &address in addresses {
        if let Some(first) = cluster.holders.insert(address, holder) {
            return Err(check::address_twice(address, origin, &name_of(cluster, first)));
        }
    }
    Ok(())
}

pub(super) fn name_of(cluster: &Cluster, holder: Holder) -> String {
    let node = |id| -> &NodeName { &cluster.node_record(id).node.name };
    let object = |kind: &str, name: &ObjectName| format!("{kind} {name}");
    match holder {
        Holder::Pod(pod) => object("Pod", &cluster.pod_record(pod).pod.name),
        Holder::Service(service) => object("Service", &cluster.service_record(service).service.name),
        Holder::Node(id) => format!("node {}", node(id)),
        Holder::Gateway(id) => format!("the gateway of node {}", node(id)),
    }
}

/// As many CNI plug-ins do it: `0a:58` and an IPv4 address; of an IPv6 address its last four bytes.
fn mac_of(address: IpAddr) -> MacAddress {
    let [a, b, c, d] = match address {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(address) => (address.to_bits() as u32).to_be_bytes(),
    };
    MacAddress([0x0a, 0x58, a, b, c, d])
}
