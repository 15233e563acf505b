//! The manifests of a cluster of any size, always the same ones.

use std::fs::{File, create_dir_all};
use std::io::{self, BufWriter, Write};
use std::net::Ipv4Addr;
use std::path::Path;

use serde_json::{Value, json};

use super::yaml;

/// How large a cluster is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// How many nodes, each with a range of 62 addresses for its Pods.
    pub nodes: u32,
    /// How many Pods. Fifty share a namespace, ten an app.
    pub pods: u32,
    /// How many Services, one for each app of as many apps as there are; one in ten lists its endpoints.
    pub services: u32,
    /// How many policies; one in a hundred is one of Antrea's.
    pub policies: u32,
}

impl Size {
    /// The one that the targets are about.
    pub const LARGE: Self = Self::of_pods(100_000);

    /// With so many Pods, and as much of everything else as each of them has in the large one.
    pub const fn of_pods(pods: u32) -> Self {
        Self {
            nodes: pods.div_ceil(20),
            pods,
            services: pods / 10,
            policies: pods / 5,
        }
    }

    /// How many namespaces it has.
    pub const fn namespaces(&self) -> u32 {
        self.pods.div_ceil(PODS_PER_NAMESPACE)
    }
}

/// How manifests are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A thousand documents a file.
    Yaml,
    /// A `List` of a thousand objects a file, as `kubectl get -o json` prints it.
    Json,
}

impl Format {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Yaml, Self::Json];

    /// What its files' names end with.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::Json => "json",
        }
    }
}

/// The manifests of a cluster; which labels and peers they have hangs on the seed.
#[derive(Debug, Clone, Copy)]
pub struct Manifests {
    /// How many there are.
    pub size: Size,
    /// By which choices are made.
    pub seed: u64,
}

const PODS_PER_NAMESPACE: u32 = 50;
const PODS_PER_APP: u32 = 10;
const APPS: u32 = PODS_PER_NAMESPACE / PODS_PER_APP;
const OBJECTS_PER_FILE: usize = 1000;
const ENVIRONMENTS: [&str; 3] = ["production", "staging", "development"];
const TIERS: [&str; 3] = ["web", "backend", "data"];
/// So many of Antrea's policies are the whole cluster's.
const CLUSTER_WIDE: u32 = 20;

impl Manifests {
    /// All objects in one text.
    pub fn text(&self, format: Format) -> String {
        let objects: Vec<Value> = self.objects().collect();
        text(&objects, format)
    }

    /// Writes them as files of a thousand objects into a folder, and says how many bytes those of the Pods are.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, format: Format, folder: &Path) -> io::Result<u64> {
        create_dir_all(folder)?;
        let mut objects = self.objects();
        let mut of_pods = 0;
        for number in 0.. {
            let some: Vec<Value> = objects.by_ref().take(OBJECTS_PER_FILE).collect();
            if some.is_empty() {
                break;
            }
            let path = folder.join(format!("{number:04}.{}", format.extension()));
            BufWriter::new(File::create(path)?).write_all(text(&some, format).as_bytes())?;
            let pods: Vec<Value> = some.into_iter().filter(|object| object["kind"] == "Pod").collect();
            if !pods.is_empty() {
                of_pods += text(&pods, format).len() as u64;
            }
        }
        Ok(of_pods)
    }

    /// Every object once.
    pub fn objects(&self) -> impl Iterator<Item = Value> {
        let Size {
            nodes,
            pods,
            services,
            policies,
        } = self.size;
        let manifests = *self;
        let nodes = (0..nodes).map(node);
        let namespaces = (0..self.size.namespaces()).map(namespace_object);
        let pods = (0..pods).map(move |number| manifests.pod(number));
        let services = (0..services).map(move |number| manifests.service(number));
        let slices = (0..self.size.services)
            .step_by(10)
            .map(move |number| manifests.endpoint_slice(number));
        let policies = (0..policies).map(move |number| manifests.policy(number));
        nodes
            .chain(namespaces)
            .chain(pods)
            .chain(services)
            .chain(slices)
            .chain(policies)
    }

    fn pod(&self, number: u32) -> Value {
        let app = app_of(number);
        let mut random = self.random(number, 1);
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": pod(number),
                "namespace": namespace_of(number),
                "labels": {
                    "app": app_name(app),
                    "tier": TIERS[app as usize % TIERS.len()],
                    "version": format!("v{}", random.u8(1..4)),
                },
            },
            "spec": {
                "nodeName": node_name(number % self.size.nodes),
                "containers": [{
                    "name": "main",
                    "image": format!("registry.example/{}", app_name(app)),
                    "ports": [{"name": "http", "containerPort": 8080}],
                }],
            },
            "status": {
                "phase": "Running",
                "podIP": self.address(number).to_string(),
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        })
    }

    fn service(&self, number: u32) -> Value {
        let (namespace, app) = self.place(number);
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": service(number), "namespace": namespace_name(namespace)},
            "spec": {
                "clusterIP": Ipv4Addr::from_bits(FIRST_SERVICE.to_bits() + number).to_string(),
                "selector": {"app": app_name(app)},
                "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
            },
        })
    }

    fn endpoint_slice(&self, number: u32) -> Value {
        let (namespace, app) = self.place(number);
        let first = namespace * PODS_PER_NAMESPACE + app;
        let pods = (first..self.size.pods.min((namespace + 1) * PODS_PER_NAMESPACE)).step_by(APPS as usize);
        let endpoints: Vec<Value> = pods
            .map(|number| {
                json!({
                    "addresses": [self.address(number).to_string()],
                    "nodeName": node_name(number % self.size.nodes),
                    "targetRef": {"kind": "Pod", "name": pod(number), "namespace": namespace_of(number)},
                })
            })
            .collect();
        json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": format!("{}-1", service(number)),
                "namespace": namespace_name(namespace),
                "labels": {"kubernetes.io/service-name": service(number)},
            },
            "addressType": "IPv4",
            "endpoints": endpoints,
            "ports": [{"name": "http", "port": 8080}],
        })
    }

    fn policy(&self, number: u32) -> Value {
        if number < CLUSTER_WIDE {
            self.cluster_wide(number)
        } else if number.is_multiple_of(100) {
            self.antrea(number)
        } else if (number / self.size.namespaces()).is_multiple_of(2) {
            self.ingress(number)
        } else {
            self.egress(number)
        }
    }

    /// Lets another app of the namespace in, and namespaces of one kind.
    fn ingress(&self, number: u32) -> Value {
        let (namespace, app) = self.place(number);
        let mut random = self.random(number, 2);
        json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": format!("in-{number}"), "namespace": namespace_name(namespace)},
            "spec": {
                "podSelector": {"matchLabels": {"app": app_name(app)}},
                "policyTypes": ["Ingress"],
                "ingress": [
                    {"from": [{"podSelector": {"matchLabels": {"app": app_name(random.u32(0..APPS))}}}]},
                    {
                        "from": [{
                            "namespaceSelector": {"matchLabels": {"env": random.choice(ENVIRONMENTS)}},
                            "podSelector": {"matchExpressions": [
                                {"key": "tier", "operator": "In", "values": [random.choice(TIERS)]},
                            ]},
                        }],
                        "ports": [{"port": 8080}, {"port": "http"}],
                    },
                ],
            },
        })
    }

    /// Lets Pods go to names, to the cluster's Pods but some, and to one range outside.
    fn egress(&self, number: u32) -> Value {
        let (namespace, app) = self.place(number);
        let range = format!("10.{}.0.0/16", self.random(number, 3).u8(128..150));
        json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": format!("out-{number}"), "namespace": namespace_name(namespace)},
            "spec": {
                "podSelector": {"matchLabels": {"app": app_name(app)}},
                "policyTypes": ["Egress"],
                "egress": [
                    {"ports": [{"port": 53, "protocol": "UDP"}]},
                    {"to": [
                        {"ipBlock": {"cidr": "10.128.0.0/9", "except": [range]}},
                        {"ipBlock": {"cidr": "203.0.113.0/24"}},
                    ]},
                ],
            },
        })
    }

    /// Drops what comes from the data Pods of a namespace.
    fn antrea(&self, number: u32) -> Value {
        let (namespace, app) = self.place(number);
        json!({
            "apiVersion": "crd.antrea.io/v1beta1",
            "kind": "NetworkPolicy",
            "metadata": {"name": format!("antrea-{number}"), "namespace": namespace_name(namespace)},
            "spec": {
                "priority": 5,
                "tier": "application",
                "appliedTo": [{"podSelector": {"matchLabels": {"app": app_name(app)}}}],
                "ingress": [{"action": "Drop", "from": [{"podSelector": {"matchLabels": {"tier": "data"}}}]}],
            },
        })
    }

    /// Refuses a port to one version of an app in every namespace of a kind.
    fn cluster_wide(&self, number: u32) -> Value {
        let environment = ENVIRONMENTS[number as usize % ENVIRONMENTS.len()];
        json!({
            "apiVersion": "crd.antrea.io/v1beta1",
            "kind": "ClusterNetworkPolicy",
            "metadata": {"name": format!("all-{number}")},
            "spec": {
                "priority": number + 1,
                "tier": "securityops",
                "appliedTo": [{
                    "namespaceSelector": {"matchLabels": {"env": environment}},
                    "podSelector": {"matchLabels": {"app": app_name(number % APPS), "version": "v1"}},
                }],
                "ingress": [{
                    "action": "Reject",
                    "from": [{"ipBlock": {"cidr": "198.51.100.0/24"}}],
                    "ports": [{"protocol": "TCP", "port": 9000 + number}],
                }],
            },
        })
    }

    /// The namespace and app that the Service or policy of this number is about.
    fn place(&self, number: u32) -> (u32, u32) {
        let namespaces = self.size.namespaces();
        (number % namespaces, number / namespaces % APPS)
    }

    /// The addresses of a node's Pods follow one another from the third of its range on.
    fn address(&self, number: u32) -> Ipv4Addr {
        let nodes = self.size.nodes;
        Ipv4Addr::from_bits(range_of(number % nodes).to_bits() + 2 + number / nodes)
    }

    fn random(&self, number: u32, purpose: u64) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.seed ^ (u64::from(number) << 8) ^ purpose)
    }
}

const FIRST_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);

fn text(objects: &[Value], format: Format) -> String {
    match format {
        Format::Json => json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string(),
        Format::Yaml => {
            let mut text = String::new();
            for object in objects {
                yaml::write(&mut text, object);
            }
            text
        }
    }
}

fn node(number: u32) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node_name(number)},
        "spec": {"podCIDR": format!("{}/26", range_of(number))},
        "status": {"addresses": [{
            "type": "InternalIP",
            "address": Ipv4Addr::from_bits(Ipv4Addr::new(172, 20, 0, 1).to_bits() + number).to_string(),
        }]},
    })
}

fn namespace_object(number: u32) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": namespace_name(number),
            "labels": {"env": ENVIRONMENTS[number as usize % ENVIRONMENTS.len()], "team": format!("team-{}", number / 7)},
        },
    })
}

fn range_of(node: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 128, 0, 0).to_bits() + node * 64)
}

fn node_name(number: u32) -> String {
    format!("node-{number:04}")
}

fn namespace_name(number: u32) -> String {
    format!("space-{number:04}")
}

fn namespace_of(pod: u32) -> String {
    namespace_name(pod / PODS_PER_NAMESPACE)
}

fn app_of(pod: u32) -> u32 {
    pod % APPS
}

fn app_name(app: u32) -> String {
    format!("app-{app}")
}

fn pod(number: u32) -> String {
    format!("{}-{number:06}", app_name(app_of(number)))
}

fn service(number: u32) -> String {
    format!("service-{number}")
}

impl Manifests {
    /// The name of a Pod.
    pub(super) fn pod_name(&self, number: u32) -> String {
        format!("{}/{}", namespace_of(number), pod(number))
    }

    /// The name of a Service.
    pub(super) fn service_name(&self, number: u32) -> String {
        format!("{}/{}", namespace_name(self.place(number).0), service(number))
    }
}

#[cfg(test)]
mod tests {
    use traceflow_sim::Cluster;

    use super::*;

    const SMALL: Manifests = Manifests {
        size: Size::of_pods(1000),
        seed: 1,
    };

    #[test]
    fn a_pod_takes_at_most_600_bytes_in_either_format() {
        let folder = std::env::temp_dir().join(format!("traceflow-manifests-{}", std::process::id()));
        for format in Format::ALL {
            let bytes = SMALL.write(format, &folder).unwrap();
            assert!(bytes <= 600 * 1000, "{format:?}: {bytes}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn both_formats_are_the_same_cluster_of_the_size_that_was_asked_for() {
        for format in Format::ALL {
            let cluster = Cluster::from_yaml(&SMALL.text(format)).unwrap();
            assert_eq!(cluster.node_objects().count(), 50);
            assert_eq!(cluster.pod_objects().count(), 1000);
            assert_eq!(cluster.service_objects().count(), 100);
            let policies = cluster.policies();
            assert_eq!(policies.policies().count() + policies.antrea_policies().count(), 200);
            assert!(cluster.unmodelled().is_empty(), "{:?}", cluster.unmodelled());
        }
    }
}
