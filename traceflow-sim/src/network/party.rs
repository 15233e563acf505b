//! The ends of what workloads send.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use traceflow_core::input::BadInput;
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::packet::IpFamily;

use super::traffic::invalid;
use crate::cluster::Cluster;
use crate::objects::DEFAULT_NAMESPACE;

/// One end of [`Traffic`](super::Traffic).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Party {
    /// The Pod of this name; if there is none, as a destination, the Service.
    Named(ObjectName),
    /// The node itself.
    Node(NodeName),
    /// Whoever has this address, outside the cluster too.
    Address(IpAddr),
}

impl FromStr for Party {
    type Err = BadInput;

    /// A Pod's or Service's name, with or without namespace, or an address.
    fn from_str(text: &str) -> Result<Self, BadInput> {
        let name = |text: &str| {
            !text.is_empty()
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))
        };
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        let (namespace, object) = text.split_once('/').unwrap_or((DEFAULT_NAMESPACE, text));
        if name(namespace) && name(object) {
            return Ok(Self::Named(ObjectName::new(namespace, object)));
        }
        Err(invalid(text, "a Pod, namespace/Pod or address"))
    }
}

impl Party {
    pub(super) fn exists(&self, cluster: &Cluster) -> bool {
        match self {
            Self::Named(name) => cluster.pod_id(name).is_some() || cluster.service_named(name).is_some(),
            Self::Node(name) => cluster.node_id(name).is_some(),
            Self::Address(_) => true,
        }
    }

    pub(super) fn address(&self, cluster: &Cluster, family: IpFamily) -> Option<IpAddr> {
        let addresses: &[IpAddr] = match self {
            Self::Address(address) => std::slice::from_ref(address),
            Self::Node(name) => &cluster.node_record(cluster.node_id(name)?).node.addresses,
            Self::Named(name) => match cluster.pod_id(name).map(|pod| &cluster.pod_record(pod).pod) {
                Some(pod) if pod.is_alive() => &pod.addresses,
                Some(_) => &[],
                None => &cluster.service_named(name)?.service.cluster_ips,
            },
        };
        addresses
            .iter()
            .copied()
            .find(|&address| IpFamily::of(address) == family)
    }
}

impl From<&str> for Party {
    /// An address, or a Pod's or Service's name, with or without namespace.
    fn from(text: &str) -> Self {
        if let Ok(address) = text.parse() {
            return Self::Address(address);
        }
        let (namespace, name) = text.split_once('/').unwrap_or((DEFAULT_NAMESPACE, text));
        Self::Named(ObjectName::new(namespace, name))
    }
}

impl From<ObjectName> for Party {
    fn from(name: ObjectName) -> Self {
        Self::Named(name)
    }
}

impl From<NodeName> for Party {
    fn from(name: NodeName) -> Self {
        Self::Node(name)
    }
}

impl From<IpAddr> for Party {
    fn from(address: IpAddr) -> Self {
        Self::Address(address)
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => name.fmt(f),
            Self::Node(name) => write!(f, "node {name}"),
            Self::Address(address) => address.fmt(f),
        }
    }
}
