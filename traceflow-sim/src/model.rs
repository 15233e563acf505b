//! The Kubernetes objects of the simulated cluster, as far as they decide a packet's path.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::packet::Protocol;

/// `metadata.labels`.
pub type Labels = BTreeMap<Arc<str>, Arc<str>>;

/// A `Namespace`. Kubernetes gives each the label `kubernetes.io/metadata.name`; loading adds it where it is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// `metadata.name`.
    pub name: Arc<str>,
    /// `metadata.labels`.
    pub labels: Labels,
}

/// A `Pod`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Namespace and name.
    pub name: ObjectName,
    /// `metadata.labels`.
    pub labels: Labels,
    /// `spec.nodeName`.
    pub node: Option<NodeName>,
    /// `status.podIPs`, at most one per family.
    pub addresses: Vec<IpAddr>,
    /// `spec.hostNetwork`.
    pub host_network: bool,
    /// `status.phase`.
    pub phase: Arc<str>,
    /// Whether its condition `Ready` is true.
    pub ready: bool,
    /// `spec.containers[].ports[]` of all its containers (and of init containers that keep running).
    pub ports: Vec<ContainerPort>,
}

/// A port that a container declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerPort {
    /// Its name, by which Services and policies may call it.
    pub name: Option<Arc<str>>,
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// The port number.
    pub port: u16,
}
