//! The Kubernetes objects of the simulated cluster, as far as they decide a packet's path.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::packet::Protocol;

use crate::policy::LabelSelector;

/// `metadata.labels`.
pub type Labels = BTreeMap<Arc<str>, Arc<str>>;

/// A `Node`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// `metadata.name`.
    pub name: NodeName,
    /// `metadata.labels`.
    pub labels: Labels,
    /// `status.addresses` of type `InternalIP`, at most one per family: its own address and its end of every tunnel.
    pub addresses: Vec<IpAddr>,
    /// `spec.podCIDRs`, at most one per family. The first host address of each is the node's gateway.
    pub pod_cidrs: Vec<IpNet>,
}

/// How packets of Pods go from node to node: Antrea's `trafficEncapMode` and `trafficEncryptionMode`.
///
/// | mode | between nodes | what the sender's node reports |
/// |---|---|---|
/// | `Encap` | Geneve tunnel | Forwarded, with the tunnel's other end |
/// | `NoEncap` | routed by the gateway | Forwarded, without one |
/// | `Hybrid` | routed in one subnet, else by tunnel | one or the other |
/// | `WireGuard` | by the gateway into an encrypted tunnel | Forwarded, with the other node's address |
///
/// What leaves the cluster is ForwardedOutOfNetwork in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TrafficMode {
    /// `encap`: by tunnel, always.
    #[default]
    Encap,
    /// `noEncap`: the network between the nodes knows where Pods are.
    NoEncap,
    /// `hybrid`: as `NoEncap` between nodes of one subnet, as `Encap` between others. What a subnet is stands in no object: a
    /// /24 of IPv4, a /64 of IPv6.
    Hybrid,
    /// `encap` with `trafficEncryptionMode: wireGuard`.
    WireGuard,
}

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
    /// `status.hostIPs`, at most one per family: its node's addresses, for want of a `Node` object that says them.
    pub host_addresses: Vec<IpAddr>,
    /// `spec.hostNetwork`.
    pub host_network: bool,
    /// `status.phase`.
    pub phase: Arc<str>,
    /// Whether its condition `Ready` is true.
    pub ready: bool,
    /// Whether it was told to go: `metadata.deletionTimestamp` is set.
    pub terminating: bool,
    /// `spec.serviceAccountName`: in its own namespace, `default` where nothing is said.
    pub service_account: Arc<str>,
    /// `spec.containers[].ports[]` of all its containers (and of init containers that keep running).
    pub ports: Vec<ContainerPort>,
}

impl Pod {
    /// The account of Pods that name none.
    pub const DEFAULT_SERVICE_ACCOUNT: &str = "default";

    /// Whether it holds its addresses: a Pod that ended has given them back.
    pub fn is_alive(&self) -> bool {
        !matches!(&*self.phase, "Succeeded" | "Failed")
    }
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

/// Antrea's `Egress` (`crd.antrea.io/v1beta1`): what its Pods send out of the cluster leaves by one node, under one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Egress {
    /// `metadata.name`.
    pub name: Arc<str>,
    /// `spec.appliedTo.namespaceSelector`; all namespaces where it is not given.
    pub namespaces: LabelSelector,
    /// `spec.appliedTo.podSelector`; all Pods where it is not given.
    pub pods: LabelSelector,
    /// `spec.egressIP` or `egressIPs`, else what was assigned (`status.egressIP`); at most one per family.
    pub addresses: Vec<IpAddr>,
    /// The node that has the addresses (`status.egressNode`); where it isn't said, the node whose own address it is.
    pub node: Option<NodeName>,
}

/// A `Service`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Namespace and name.
    pub name: ObjectName,
    /// `spec.clusterIPs`, at most one per family.
    pub cluster_ips: Vec<IpAddr>,
    /// `spec.externalIPs` and the addresses of its load balancer (`status.loadBalancer.ingress[].ip`).
    pub external_ips: Vec<IpAddr>,
    /// `spec.clusterIP: None` or `type: ExternalName`: it has no address of its own, and never gets one.
    pub headless: bool,
    /// `spec.ports`, in their order.
    pub ports: Vec<ServicePort>,
    /// `spec.selector`; empty if endpoints come from EndpointSlices alone.
    pub selector: Labels,
    /// `spec.sessionAffinity: ClientIP`, with `sessionAffinityConfig.clientIP.timeoutSeconds`; `None` for no affinity.
    pub affinity: Option<Duration>,
    /// `spec.internalTrafficPolicy: Local`: only endpoints on the sender's node are used.
    pub local_only: bool,
    /// `spec.externalTrafficPolicy: Local`: for what comes from outside to one of its external addresses or to a node port,
    /// only endpoints on the node where it comes in are used. What Pods send there is none of that: for them it is the same
    /// as the cluster's own address, without `internalTrafficPolicy`.
    pub external_local_only: bool,
    /// `spec.publishNotReadyAddresses`.
    pub publish_not_ready: bool,
}

/// A port that a Service offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    /// Its name; a Service with several ports must name them.
    pub name: Option<Arc<str>>,
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// `port`.
    pub port: u16,
    /// `targetPort`; the same number as `port` where it was left out.
    pub target: TargetPort,
    /// `nodePort`: the port of every node that leads here too; `None` if there is none.
    pub node_port: Option<u16>,
}

/// Where a Service port leads to on the endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetPort {
    /// This number on every endpoint.
    Number(u16),
    /// The container port of this name, which may be another number on every Pod.
    Name(Arc<str>),
}

/// An `EndpointSlice` (`discovery.k8s.io/v1`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointSlice {
    /// Namespace and name.
    pub name: ObjectName,
    /// The Service it belongs to, by its label `kubernetes.io/service-name`.
    pub service: Option<Arc<str>>,
    /// `endpoints`.
    pub endpoints: Vec<Endpoint>,
    /// `ports`; matched with a Service's ports by name.
    pub ports: Vec<EndpointPort>,
}

/// One endpoint of an EndpointSlice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The first of `addresses`; Kubernetes defines no meaning for the others.
    pub address: IpAddr,
    /// `conditions.ready`; absent means true.
    pub ready: bool,
    /// `conditions.serving`; absent means the same as `ready`.
    pub serving: bool,
    /// `conditions.terminating`; absent means false.
    pub terminating: bool,
    /// `targetRef`, where it is a Pod.
    pub pod: Option<ObjectName>,
    /// `nodeName`.
    pub node: Option<NodeName>,
}

/// One port of an EndpointSlice, for all its endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointPort {
    /// The name of the Service port that it serves; `None` for a Service with one port without name.
    pub name: Option<Arc<str>>,
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// The port number; `None` means every port.
    pub port: Option<u16>,
}
