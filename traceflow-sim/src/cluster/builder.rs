//! Clusters in a few lines of code.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use traceflow_core::input::{BadInput, Problem, Text};
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::packet::Protocol;

use super::Cluster;
use crate::model::{
    ContainerPort, Egress, EndpointSlice, Labels, Namespace, Node, Pod, Service, ServicePort, TargetPort, TrafficMode,
};
use crate::objects::{DEFAULT_NAMESPACE, Objects, Origin, Placed};
use crate::policy::NetworkPolicy;
use crate::policy::antrea::{AntreaPolicy, Group, Tier};

/// Builds a [`Cluster`] object by object. What is left open is filled in deterministically: nodes get ranges 10.244.0.0/24,
/// 10.244.1.0/24 and so on and addresses from 172.18.0.2 on, Pods the addresses from the third of their node's range on,
/// Services those from 10.96.0.10 on, each in the order of their names.
///
/// Methods such as [`label`](Self::label) are about the object that was added last. Names are `namespace/name`, or `name` for
/// the namespace `default`. A mistake is kept and returned by [`build`](Self::build).
///
/// ```
/// use traceflow_sim::Cluster;
///
/// let cluster = Cluster::builder()
///     .node("a")
///     .pod("client", "a")
///     .pod("shop/web-1", "a").label("app", "web").container_port("http", 8080)
///     .service("shop/web", 80).selects("app", "web").target_port("http")
///     .yaml(
///         "apiVersion: networking.k8s.io/v1
/// kind: NetworkPolicy
/// metadata: {name: closed, namespace: shop}
/// spec: {podSelector: {}}",
///     )
///     .build()?;
/// # Ok::<(), traceflow_core::input::BadInput>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct ClusterBuilder {
    objects: Objects,
    last: Option<Last>,
    mistake: Option<BadInput>,
    seed: u64,
}

/// An object of any kind that the simulator knows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Object {
    /// A `Node`.
    Node(Node),
    /// A `Namespace`.
    Namespace(Namespace),
    /// A `Pod`.
    Pod(Pod),
    /// A `Service`.
    Service(Service),
    /// An `EndpointSlice`.
    EndpointSlice(EndpointSlice),
    /// A `NetworkPolicy` of `networking.k8s.io/v1`.
    NetworkPolicy(NetworkPolicy),
    /// A `ClusterNetworkPolicy` or `NetworkPolicy` of `crd.antrea.io/v1beta1`.
    AntreaPolicy(AntreaPolicy),
    /// A `Tier`.
    Tier(Tier),
    /// A `ClusterGroup` or `Group`.
    Group(Group),
    /// An `Egress`.
    Egress(Egress),
}

macro_rules! from_kinds {
    ($($kind:ident),*) => {$(
        impl From<$kind> for Object {
            fn from(object: $kind) -> Self {
                Self::$kind(object)
            }
        }
    )*};
}
from_kinds!(
    Node,
    Namespace,
    Pod,
    Service,
    EndpointSlice,
    NetworkPolicy,
    AntreaPolicy,
    Tier,
    Group,
    Egress
);

/// The kind of the object that was added last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Node,
    Namespace,
    Pod,
    Service,
    Other,
}

impl ClusterBuilder {
    pub(super) fn of(objects: Objects) -> Self {
        Self {
            objects,
            ..Self::default()
        }
    }

    pub(super) fn into_objects(self) -> Objects {
        self.objects
    }

    /// Adds a node.
    #[must_use]
    pub fn node(self, name: &str) -> Self {
        self.object(Node {
            name: name.into(),
            labels: Labels::new(),
            addresses: Vec::new(),
            pod_cidrs: Vec::new(),
        })
    }

    /// Adds a namespace. Namespaces that objects name exist without it, without labels of their own.
    #[must_use]
    pub fn namespace(self, name: &str) -> Self {
        self.object(Namespace {
            name: name.into(),
            labels: Labels::new(),
        })
    }

    /// Adds a running, ready Pod on a node.
    #[must_use]
    pub fn pod(self, name: &str, node: &str) -> Self {
        self.object(Pod {
            name: object_name(name),
            labels: Labels::new(),
            node: Some(NodeName::from(node)),
            addresses: Vec::new(),
            host_addresses: Vec::new(),
            host_network: false,
            phase: "Running".into(),
            ready: true,
            terminating: false,
            service_account: Pod::DEFAULT_SERVICE_ACCOUNT.into(),
            ports: Vec::new(),
        })
    }

    /// Adds a Service that offers a TCP port without a name. [`selects`](Self::selects) says who serves it.
    #[must_use]
    pub fn service(self, name: &str, port: u16) -> Self {
        self.object(Service {
            name: object_name(name),
            cluster_ips: Vec::new(),
            external_ips: Vec::new(),
            headless: false,
            ports: vec![ServicePort {
                name: None,
                protocol: Protocol::TCP,
                port,
                target: TargetPort::Number(port),
                node_port: None,
            }],
            selector: Labels::new(),
            affinity: None,
            local_only: false,
            external_local_only: false,
            publish_not_ready: false,
        })
    }

    /// Adds an object with everything that it holds.
    #[must_use]
    pub fn object(mut self, object: impl Into<Object>) -> Self {
        let objects = &mut self.objects;
        self.last = Some(match object.into() {
            Object::Node(node) => push(&mut objects.nodes, format!("Node {}", node.name), node, Last::Node),
            Object::Namespace(namespace) => {
                let called = format!("Namespace {}", namespace.name);
                push(&mut objects.namespaces, called, namespace, Last::Namespace)
            }
            Object::Pod(pod) => push(&mut objects.pods, format!("Pod {}", pod.name), pod, Last::Pod),
            Object::Service(service) => push(
                &mut objects.services,
                format!("Service {}", service.name),
                service,
                Last::Service,
            ),
            Object::EndpointSlice(slice) => {
                let called = format!("EndpointSlice {}", slice.name);
                push(&mut objects.endpoint_slices, called, slice, Last::Other)
            }
            Object::NetworkPolicy(policy) => {
                let called = format!("NetworkPolicy {}", policy.name);
                push(&mut objects.policies, called, policy, Last::Other)
            }
            Object::AntreaPolicy(policy) => {
                let called = policy.name.to_string();
                push(&mut objects.antrea_policies, called, policy, Last::Other)
            }
            Object::Egress(egress) => push(
                &mut objects.egresses,
                format!("Egress {}", egress.name),
                egress,
                Last::Other,
            ),
            Object::Tier(tier) => push(&mut objects.tiers, format!("Tier {}", tier.name), tier, Last::Other),
            Object::Group(group) => push(&mut objects.groups, format!("group {}", group.name), group, Last::Other),
        });
        self
    }

    /// Adds the Kubernetes objects of a text; messages call it `yaml`.
    #[must_use]
    pub fn yaml(mut self, text: &str) -> Self {
        let read = self.objects.read(&Text::new("yaml", text));
        self.last = None;
        self.note(read)
    }

    /// Gives the last node, namespace or Pod a label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        let labels = match self.last {
            Some(Last::Node) => self.objects.nodes.last_mut().map(|node| &mut node.object.labels),
            Some(Last::Namespace) => self
                .objects
                .namespaces
                .last_mut()
                .map(|namespace| &mut namespace.object.labels),
            Some(Last::Pod) => self.objects.pods.last_mut().map(|pod| &mut pod.object.labels),
            _ => None,
        };
        let added = labels.map(|labels| labels.insert(key.into(), value.into()));
        self.require("label", added, "a node, namespace or Pod")
    }

    /// Gives the last node, Pod or Service an address; once per family.
    #[must_use]
    pub fn address(mut self, address: &str) -> Self {
        let Ok(address) = address.parse::<IpAddr>() else {
            return self.invalid("address", address, "an IPv4 or IPv6 address");
        };
        let addresses = match self.last {
            Some(Last::Node) => self.objects.nodes.last_mut().map(|node| &mut node.object.addresses),
            Some(Last::Pod) => self.objects.pods.last_mut().map(|pod| &mut pod.object.addresses),
            Some(Last::Service) => self
                .objects
                .services
                .last_mut()
                .map(|service| &mut service.object.cluster_ips),
            _ => None,
        };
        let added = addresses.map(|addresses| addresses.push(address));
        self.require("address", added, "a node, Pod or Service")
    }

    /// Gives the last node a range for its Pods; once per family.
    #[must_use]
    pub fn pod_cidr(mut self, range: &str) -> Self {
        let Ok(range) = range.parse::<IpNet>() else {
            return self.invalid("pod_cidr", range, "an address range such as 10.244.1.0/24");
        };
        let node = self.last_node();
        let added = node.map(|node| node.pod_cidrs.push(range.trunc()));
        self.require("pod_cidr", added, "a node")
    }

    /// The last Pod shares its node's network.
    #[must_use]
    pub fn host_network(mut self) -> Self {
        let changed = self.last_pod().map(|pod| pod.host_network = true);
        self.require("host_network", changed, "a Pod")
    }

    /// The last Pod runs as this ServiceAccount of its namespace.
    #[must_use]
    pub fn service_account(mut self, name: &str) -> Self {
        let changed = self.last_pod().map(|pod| pod.service_account = name.into());
        self.require("service_account", changed, "a Pod")
    }

    /// The last Pod is not ready.
    #[must_use]
    pub fn not_ready(mut self) -> Self {
        let changed = self.last_pod().map(|pod| pod.ready = false);
        self.require("not_ready", changed, "a Pod")
    }

    /// The last Pod is in this phase: `Pending`, `Succeeded`, `Failed` or `Unknown`.
    #[must_use]
    pub fn phase(mut self, phase: &str) -> Self {
        let changed = self.last_pod().map(|pod| pod.phase = phase.into());
        self.require("phase", changed, "a Pod")
    }

    /// The last Pod declares a TCP port by name.
    #[must_use]
    pub fn container_port(mut self, name: &str, port: u16) -> Self {
        let added = self.last_pod().map(|pod| {
            pod.ports.push(ContainerPort {
                name: Some(name.into()),
                protocol: Protocol::TCP,
                port,
            });
        });
        self.require("container_port", added, "a Pod")
    }

    /// Pods with this label serve the last Service.
    #[must_use]
    pub fn selects(mut self, key: &str, value: &str) -> Self {
        let added = self
            .last_service()
            .map(|service| service.selector.insert(key.into(), value.into()));
        self.require("selects", added, "a Service")
    }

    /// All ports of the last Service lead to the container port of this name.
    #[must_use]
    pub fn target_port(mut self, name: &str) -> Self {
        let name: Arc<str> = name.into();
        let changed = self.last_service().map(|service| {
            for port in &mut service.ports {
                port.target = TargetPort::Name(name.clone());
            }
        });
        self.require("target_port", changed, "a Service")
    }

    /// The last Service offers one more port.
    #[must_use]
    pub fn service_port(mut self, port: ServicePort) -> Self {
        let added = self.last_service().map(|service| service.ports.push(port));
        self.require("service_port", added, "a Service")
    }

    /// The last Service is reached from outside at this address, too.
    #[must_use]
    pub fn external_ip(mut self, address: &str) -> Self {
        let Ok(address) = address.parse::<IpAddr>() else {
            return self.invalid("external_ip", address, "an IPv4 or IPv6 address");
        };
        let added = self.last_service().map(|service| service.external_ips.push(address));
        self.require("external_ip", added, "a Service")
    }

    /// Clients of the last Service stay with their endpoint for this long.
    #[must_use]
    pub fn affinity(mut self, timeout: Duration) -> Self {
        let changed = self.last_service().map(|service| service.affinity = Some(timeout));
        self.require("affinity", changed, "a Service")
    }

    /// The last Service has no address.
    #[must_use]
    pub fn headless(mut self) -> Self {
        let changed = self.last_service().map(|service| service.headless = true);
        self.require("headless", changed, "a Service")
    }

    /// Packets go from node to node so.
    #[must_use]
    pub fn traffic_mode(mut self, mode: TrafficMode) -> Self {
        self.objects.mode = Some(mode);
        self
    }

    /// Chooses Service endpoints by this seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The cluster.
    ///
    /// # Errors
    /// The first mistake that was made, or the first place where the objects don't fit together.
    pub fn build(self) -> Result<Cluster, BadInput> {
        match self.mistake {
            Some(mistake) => Err(mistake),
            None => Ok(Cluster::new(self.objects)?.with_seed(self.seed)),
        }
    }

    fn last_node(&mut self) -> Option<&mut Node> {
        let is_last = self.last == Some(Last::Node);
        self.objects
            .nodes
            .last_mut()
            .filter(|_| is_last)
            .map(|node| &mut node.object)
    }

    fn last_pod(&mut self) -> Option<&mut Pod> {
        let is_last = self.last == Some(Last::Pod);
        self.objects
            .pods
            .last_mut()
            .filter(|_| is_last)
            .map(|pod| &mut pod.object)
    }

    fn last_service(&mut self) -> Option<&mut Service> {
        let is_last = self.last == Some(Last::Service);
        self.objects
            .services
            .last_mut()
            .filter(|_| is_last)
            .map(|service| &mut service.object)
    }

    fn require<T>(self, method: &str, done: Option<T>, object: &'static str) -> Self {
        match done {
            Some(_) => self,
            None => self.note(Err(BadInput::new(
                method,
                Problem::Conflict {
                    what: format!("the object added last is not {object}").into(),
                    remedy: format!("call it right after adding {object}").into(),
                },
            ))),
        }
    }

    fn invalid(self, method: &str, found: &str, expected: &'static str) -> Self {
        self.note(Err(BadInput::new(
            method,
            Problem::Invalid {
                found: format!("{found:?} is not valid"),
                expected: expected.into(),
            },
        )))
    }

    fn note(mut self, result: Result<(), BadInput>) -> Self {
        self.mistake = self.mistake.or_else(|| result.err());
        self
    }
}

fn push<T>(list: &mut Vec<Placed<T>>, called: String, object: T, kind: Last) -> Last {
    list.push(Placed {
        object,
        origin: Origin::Code(called),
    });
    kind
}

fn object_name(name: &str) -> ObjectName {
    let (namespace, name) = name.split_once('/').unwrap_or((DEFAULT_NAMESPACE, name));
    ObjectName::new(namespace, name)
}
