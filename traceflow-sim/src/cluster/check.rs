//! Checks that the objects fit together.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::hash::Hash;

use ipnet::IpNet;
use traceflow_core::input::{BadInput, Problem};
use traceflow_core::names::NodeName;

use super::Cluster;
use crate::model::Service;
use crate::objects::{Objects, Origin, Placed};
use crate::policy::antrea::{AntreaPolicy, TierPriorities};

/// Names are there once, references lead somewhere, and the nodes' ranges are apart.
pub(super) fn check(objects: &Objects) -> Result<(), BadInput> {
    once("Node", &objects.nodes, |node| &node.name)?;
    once("Namespace", &objects.namespaces, |namespace| &namespace.name)?;
    once("Pod", &objects.pods, |pod| &pod.name)?;
    once("Service", &objects.services, |service| &service.name)?;
    once("EndpointSlice", &objects.endpoint_slices, |slice| &slice.name)?;
    once("NetworkPolicy", &objects.policies, |policy| &policy.name)?;
    once("Antrea policy", &objects.antrea_policies, |policy| &policy.name)?;
    once("Tier", &objects.tiers, |tier| &tier.name)?;
    once("group", &objects.groups, |group| &group.name)?;
    once("Egress", &objects.egresses, |egress| &egress.name)?;
    check_tiers(objects)?;
    check_nodes_of_pods(objects)?;
    check_ranges(objects)
}

/// No two tiers share a priority, and policies stand in tiers that are there.
fn check_tiers(objects: &Objects) -> Result<(), BadInput> {
    let mut tiers = TierPriorities::default();
    for Placed { object: tier, origin } in &objects.tiers {
        if let Some(other) = tiers.named_by(tier.priority).filter(|other| **other != tier.name) {
            return Err(origin.error(
                "spec.priority",
                Problem::Conflict {
                    what: format!("tier {other} has the priority {} too", tier.priority).into(),
                    remedy: "give each tier its own".into(),
                },
            ));
        }
        tiers.insert(tier);
    }
    objects
        .antrea_policies
        .iter()
        .try_for_each(|policy| check_tier(&policy.object, &tiers, &policy.origin))
}

pub(super) fn check_tier(policy: &AntreaPolicy, tiers: &TierPriorities, origin: &Origin) -> Result<(), BadInput> {
    if tiers.of(&policy.tier).is_some() {
        return Ok(());
    }
    Err(origin.error(
        "spec.tier",
        Problem::NotFound {
            kind: "Tier",
            name: policy.tier.to_string(),
            remedy: format!("add the Tier object, or use one of {}", tiers.names().join(", ")).into(),
        },
    ))
}

/// Two owners of one address.
pub(super) fn address_twice(address: impl Display, origin: &Origin, holder: &str) -> BadInput {
    origin.error(
        &address_field(origin),
        Problem::Conflict {
            what: format!("{holder} has the address {address} too").into(),
            remedy: "give each its own".into(),
        },
    )
}

/// The field that holds an object's address: whichever of them was noted.
fn address_field(origin: &Origin) -> String {
    let known = [
        "status.podIP",
        "spec.clusterIP",
        "status.addresses",
        "egressIP",
        "externalIPs",
    ];
    let noted = known.into_iter().find(|field| origin.has(field));
    noted.unwrap_or("address").to_owned()
}

fn once<T, N: Display + Eq + Hash>(kind: &str, objects: &[Placed<T>], name: impl Fn(&T) -> &N) -> Result<(), BadInput> {
    let mut seen: HashMap<&N, &Origin> = HashMap::with_capacity(objects.len());
    for Placed { object, origin } in objects {
        match seen.entry(name(object)) {
            Entry::Vacant(entry) => {
                entry.insert(origin);
            }
            Entry::Occupied(first) => {
                let (name, first) = (first.key(), first.get());
                return Err(origin.error(
                    "metadata.name",
                    Problem::Conflict {
                        what: format!("{kind} {name} is there twice, first at {first}").into(),
                        remedy: "remove one".into(),
                    },
                ));
            }
        }
    }
    Ok(())
}

/// Where no Node object is given, the nodes are those that the Pods name.
fn check_nodes_of_pods(objects: &Objects) -> Result<(), BadInput> {
    if objects.nodes.is_empty() {
        return Ok(());
    }
    let known: HashSet<_> = objects.nodes.iter().map(|node| &node.object.name).collect();
    for Placed { object: pod, origin } in &objects.pods {
        if let Some(node) = pod.node.as_ref().filter(|node| pod.is_alive() && !known.contains(node)) {
            return Err(no_node(node, "spec.nodeName", origin));
        }
    }
    Ok(())
}

/// A node that this field of an object names isn't there.
pub(super) fn no_node(name: &NodeName, field: &str, origin: &Origin) -> BadInput {
    origin.error(
        field,
        Problem::NotFound {
            kind: "Node",
            name: name.to_string(),
            remedy: "add the Node object, or correct the name".into(),
        },
    )
}

/// No other Service of the cluster has a node port of this one, and no two of its ports share one.
pub(super) fn node_ports_apart(cluster: &Cluster, service: &Service, origin: &Origin) -> Result<(), BadInput> {
    let mut own = HashSet::new();
    for port in &service.ports {
        let Some(number) = port.node_port else { continue };
        let key = (port.protocol, number);
        let holder = cluster.node_ports.get(&key);
        let holder = holder.map(|(id, _)| &cluster.service_record(*id).service.name);
        let other = holder.filter(|name| **name != service.name);
        let other = other.or_else(|| (!own.insert(key)).then_some(&service.name));
        if let Some(other) = other {
            return Err(origin.error(
                "metadata.name",
                Problem::Conflict {
                    what: format!("Service {other} has the {} node port {number} too", port.protocol).into(),
                    remedy: "give each its own".into(),
                },
            ));
        }
    }
    Ok(())
}

fn check_ranges(objects: &Objects) -> Result<(), BadInput> {
    let of_node = |node: &'_ Placed<crate::model::Node>| node.object.pod_cidrs.clone();
    let mut ranges: Vec<(IpNet, &Placed<_>)> = Vec::new();
    for node in &objects.nodes {
        ranges.extend(of_node(node).into_iter().map(|range| (range, node)));
    }
    // Ranges nest or are apart, so an overlap shows between neighbours in this order.
    ranges.sort_by_key(|(range, _)| *range);
    for pair in ranges.windows(2) {
        let [(first, one), (second, other)] = pair else {
            continue;
        };
        if first.contains(second) {
            return Err(other.origin.error(
                "spec.podCIDR",
                Problem::Conflict {
                    what: format!("podCIDR {second} overlaps {first} of node {}", one.object.name).into(),
                    remedy: "give each node a range of its own".into(),
                },
            ));
        }
    }
    Ok(())
}
