//! Nodes, namespaces and Pods: what the switches' ports are made of, and stays while everything else changes.

use super::objects::{Kind, Object, Objects};

/// The IP families of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Families {
    /// IPv4 alone.
    V4,
    /// IPv6 alone.
    V6,
    /// Both; a Pod may have one of them only.
    Both,
}

/// What stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// How many nodes there are.
    pub nodes: usize,
    /// Their families.
    pub families: Families,
    /// The Pods.
    pub pods: Vec<PodPlace>,
}

/// A Pod, with all of it that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodPlace {
    namespace: &'static str,
    name: String,
    node: usize,
    pub(super) host_network: bool,
    pub(super) addresses: Vec<String>,
    ports: &'static str,
}

/// The values of the label `app`.
pub(super) const APPS: [&str; 3] = ["web", "db", "client"];
/// With the value of its label `env`.
pub(super) const NAMESPACES: [(&str, &str); 3] = [("default", "test"), ("prod", "live"), ("stage", "live")];

const PORTS: [&str; 4] = [
    "[{name: http, containerPort: 80}]",
    "[{name: http, containerPort: 8080}, {name: dns, protocol: UDP, containerPort: 53}]",
    "[{name: dns, protocol: UDP, containerPort: 5353}, {containerPort: 81}]",
    "[]",
];

impl Topology {
    /// One to three nodes with two to six Pods.
    pub fn any(random: &mut fastrand::Rng) -> Self {
        let nodes = random.usize(1..=3);
        let families = match random.u8(..6) {
            0 => Families::V6,
            1..=2 => Families::V4,
            _ => Families::Both,
        };
        let pods = (0..random.usize(2..=6)).map(|number| pod(random, number, nodes, families));
        Self {
            nodes,
            families,
            pods: pods.collect(),
        }
    }

    /// The addresses that nodes, gateways and nobody have, and such outside.
    pub(super) fn other_addresses(&self) -> Vec<String> {
        let mut addresses = Vec::new();
        let (four, six) = (self.families != Families::V6, self.families != Families::V4);
        for node in 1..=self.nodes {
            if four {
                addresses.extend(["1", "200"].map(|host| format!("10.{node}.0.{host}")));
                addresses.push(format!("192.168.77.{node}"));
            }
            if six {
                addresses.extend(["1", "200"].map(|host| format!("fd00:{node}::{host}")));
                addresses.push(format!("fd00:77::{node}"));
            }
        }
        addresses.extend(four.then(|| "192.0.2.1".to_owned()));
        addresses.extend(six.then(|| "2001:db8::1".to_owned()));
        addresses
    }

    /// The nodes' own addresses.
    pub(super) fn node_addresses(&self) -> Vec<String> {
        let (four, six) = (self.families != Families::V6, self.families != Families::V4);
        let of_node = |node: usize| {
            let addresses = [
                four.then(|| format!("192.168.77.{node}")),
                six.then(|| format!("fd00:77::{node}")),
            ];
            addresses.into_iter().flatten()
        };
        (1..=self.nodes).flat_map(of_node).collect()
    }

    /// The names of the Pods that have a port on a switch, with their addresses.
    pub(super) fn senders(&self) -> impl Iterator<Item = (String, &[String])> {
        let own = self.pods.iter().filter(|pod| !pod.host_network);
        own.map(|pod| (format!("{}/{}", pod.namespace, pod.name), &*pod.addresses))
    }

    /// The nodes, namespaces and Pods, with labels of chance.
    pub(super) fn objects(&self, random: &mut fastrand::Rng) -> Objects {
        let mut objects = Objects::default();
        for node in 1..=self.nodes {
            objects.put(self.node(node));
        }
        for (name, env) in NAMESPACES {
            objects.put(fixed(
                name,
                format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{env: {env}}}}}"),
            ));
        }
        for pod in &self.pods {
            objects.put(pod.labelled(random));
        }
        objects
    }

    /// Gives one of the Pods other labels.
    pub(super) fn relabel(&self, objects: &mut Objects, random: &mut fastrand::Rng) -> Option<String> {
        let pod = random.choice(&self.pods)?.labelled(random);
        let done = format!("relabel {}", pod.name);
        objects.put(pod);
        Some(done)
    }

    fn node(&self, number: usize) -> Object {
        let ranges = [format!("10.{number}.0.0/24"), format!("\"fd00:{number}::/64\"")];
        let addresses = [format!("192.168.77.{number}"), format!("\"fd00:77::{number}\"")];
        let of_family = |[four, six]: [String; 2]| match self.families {
            Families::V4 => vec![four],
            Families::V6 => vec![six],
            Families::Both => vec![four, six],
        };
        let addresses = of_family(addresses).into_iter();
        let addresses = addresses.map(|address| format!("{{type: InternalIP, address: {address}}}"));
        fixed(
            &format!("node n{number}"),
            format!(
                "apiVersion: v1\nkind: Node\nmetadata: {{name: n{number}}}\nspec: {{podCIDRs: [{}]}}\nstatus: {{addresses: [{}]}}",
                of_family(ranges).join(", "),
                addresses.collect::<Vec<_>>().join(", "),
            ),
        )
    }
}

fn fixed(name: &str, text: String) -> Object {
    Object {
        kind: Kind::Fixed,
        name: name.to_owned(),
        number: 0,
        text,
    }
}

fn pod(random: &mut fastrand::Rng, number: usize, nodes: usize, families: Families) -> PodPlace {
    let node = random.usize(1..=nodes);
    // The first can always send.
    let host_network = number > 0 && random.u8(..12) == 0;
    let (four, six) = match host_network {
        true => (format!("192.168.77.{node}"), format!("fd00:77::{node}")),
        false => (
            format!("10.{node}.0.{}", 10 + number),
            format!("fd00:{node}::{}", 10 + number),
        ),
    };
    let addresses = match (families, random.u8(..8)) {
        (Families::V4, _) => vec![four],
        (Families::V6, _) => vec![six],
        (Families::Both, 0) if !host_network => vec![four],
        (Families::Both, 1) if !host_network => vec![six],
        (Families::Both, _) => vec![four, six],
    };
    let namespaces = ["default", "default", "prod", "stage"];
    PodPlace {
        namespace: random.choice(namespaces).unwrap_or("default"),
        name: format!("pod-{number}"),
        node,
        host_network,
        addresses,
        ports: random.choice(PORTS).unwrap_or("[]"),
    }
}

impl PodPlace {
    fn labelled(&self, random: &mut fastrand::Rng) -> Object {
        let Self {
            namespace,
            name,
            node,
            host_network,
            ports,
            ..
        } = self;
        let app = random.choice(APPS).unwrap_or("web");
        let tier = random.choice(["front", "back"]).unwrap_or("front");
        let addresses = self.addresses.iter().map(|address| format!("{{ip: \"{address}\"}}"));
        let addresses = addresses.collect::<Vec<_>>().join(", ");
        Object {
            kind: Kind::Pod,
            name: format!("Pod {namespace}/{name}"),
            number: 0,
            text: format!(
                "apiVersion: v1\nkind: Pod\n\
                 metadata: {{name: {name}, namespace: {namespace}, labels: {{app: {app}, tier: {tier}, name: {name}}}}}\n\
                 spec: {{nodeName: n{node}, hostNetwork: {host_network}, containers: [{{name: c, ports: {ports}}}]}}\n\
                 status: {{phase: Running, podIPs: [{addresses}]}}"
            ),
        }
    }
}
