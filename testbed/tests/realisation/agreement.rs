//! Flows and simulator agree about many packets.

use std::borrow::Borrow;
use std::net::IpAddr;
use std::path::Path;

use testbed::realisation::{GATEWAY_PORT, NodeRealisation, TABLES, TUNNEL_PORT, realise};
use traceflow_core::inventory::{Inventory, Owner};
use traceflow_core::names::ObjectName;
use traceflow_core::packet::{IpFamily, IpHeader};
use traceflow_core::plan::{Plan, Question};
use traceflow_sim::Cluster;

use crate::switch::Switch;
use crate::switches_are_installed;
use crate::traced::{Exit, Traced};
use crate::walk::{Step, answer, ingress_rule, packet, plan, predicted, traced};

/// Enough that each endpoint of a test's Service is chosen under one of them.
const SEEDS: u64 = 24;

/// A cluster in both worlds.
struct Worlds<S = Switch> {
    /// The same cluster, choosing endpoints by different seeds.
    clusters: Vec<Cluster>,
    nodes: Vec<NodeRealisation>,
    switch: S,
}

impl Worlds {
    /// The cluster of a file; nothing where there are no real switches to compare it with.
    fn of(name: &str) -> Option<Self> {
        if !switches_are_installed() {
            return None;
        }
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        Some(Self::new(|| Cluster::from_paths([&path]).unwrap()))
    }

    fn new(cluster: impl Fn() -> Cluster) -> Self {
        let clusters: Vec<Cluster> = (0..SEEDS).map(|seed| cluster().with_seed(seed)).collect();
        let nodes = realise(&clusters[0]).unwrap();
        let switch = Switch::start(nodes.len());
        switch.program(&nodes);
        Self {
            clusters,
            nodes,
            switch,
        }
    }
}

impl<S: Borrow<Switch>> Worlds<S> {
    fn cluster(&self) -> &Cluster {
        &self.clusters[0]
    }

    /// Every Pod sends each of these to each of these, and to each Pod.
    fn check_all(&self, destinations: &[&str], flows: &[&str]) -> usize {
        let cluster = self.cluster();
        let pods: Vec<String> = self
            .nodes
            .iter()
            .flat_map(|node| &node.pods)
            .map(|pod| pod.pod.to_string())
            .collect();
        let addresses = self
            .nodes
            .iter()
            .flat_map(|node| &node.pods)
            .flat_map(|pod| &pod.addresses);
        let services = cluster.service_objects().flat_map(|service| &service.cluster_ips);
        let gateways = self
            .nodes
            .iter()
            .flat_map(|node| &node.gateway.addresses)
            .map(|(address, _)| address);
        let nodes = self.nodes.iter().flat_map(|node| &node.addresses);
        let mut all: Vec<IpAddr> = destinations.iter().map(|text| text.parse().unwrap()).collect();
        all.extend(addresses.chain(services).chain(gateways).chain(nodes));
        let mut count = 0;
        for source in &pods {
            for &destination in &all {
                // Packets to itself never reach the network.
                let own = cluster.owner(destination) == Some(Owner::Pod(name(source)));
                for flow in flows_to(destination, if own { &[] } else { flows }) {
                    self.check(&plan(cluster, source, &destination.to_string(), &flow));
                    count += 1;
                }
            }
        }
        count
    }

    /// The switches do what the simulator predicts; of a Service's endpoints, either may choose any.
    fn check(&self, plan: &Plan) {
        let traced = traced(self.switch.borrow(), &self.nodes, plan);
        let mut predictions: Vec<Vec<Step>> = Vec::new();
        for cluster in &self.clusters {
            let predicted = predicted(cluster, &self.nodes, plan);
            if predicted == traced {
                return;
            }
            if !predictions.contains(&predicted) {
                predictions.push(predicted);
            }
        }
        panic!(
            "{:#?}\ntraced: {traced:#?}\npredicted one of: {predictions:#?}",
            packet(plan)
        );
    }
}

fn name(pod: &str) -> ObjectName {
    let (namespace, name) = pod.split_once('/').unwrap();
    ObjectName::new(namespace, name)
}

pub(crate) fn flows_to(destination: IpAddr, flows: &[&str]) -> Vec<String> {
    let flows = flows.iter().map(|flow| match (IpFamily::of(destination), *flow) {
        (IpFamily::V6, "icmp") => "icmp6".to_owned(),
        (IpFamily::V6, flow) => format!("ipv6,{flow}"),
        (IpFamily::V4, flow) => flow.to_owned(),
    });
    flows.collect()
}

const OUTSIDE: [&str; 2] = ["192.0.2.1", "2001:db8::1"];

#[test]
fn flows_of_the_demo_do_what_is_predicted() {
    let Some(worlds) = Worlds::of("../examples/demo/cluster.yaml") else {
        return;
    };
    let destinations = ["192.0.2.1", "172.16.5.200", "172.16.3.200"];
    let flows = ["tcp,tcp_dst=80", "tcp,tcp_dst=81", "udp,udp_dst=80", "icmp"];
    assert!(worlds.check_all(&destinations, &flows) > 100);
}

#[test]
fn flows_of_policies_do_what_is_predicted() {
    let Some(worlds) = Worlds::of("tests/realisation/clusters/policies.yaml") else {
        return;
    };
    let unheld = ["10.1.0.200", "10.2.0.200", "10.3.0.3", "fd00:1::200", "fd00:2::200"];
    let destinations = [&OUTSIDE[..], &unheld].concat();
    let flows = [
        "tcp,tcp_dst=80",
        "tcp,tcp_dst=81",
        "tcp,tcp_dst=79",
        "tcp,tcp_dst=8080",
        "tcp,tcp_dst=8101",
        "udp,udp_dst=53",
        "udp,udp_dst=80",
        "sctp,sctp_dst=9",
        "sctp,sctp_dst=10",
        "icmp",
        "tcp,tcp_dst=80,nw_ttl=2",
    ];
    assert!(worlds.check_all(&destinations, &flows) > 2000);
}

#[test]
fn flows_of_services_do_what_is_predicted() {
    let Some(worlds) = Worlds::of("tests/realisation/clusters/services.yaml") else {
        return;
    };
    for source_port in [40000, 40001, 40002, 40003] {
        let flows = [
            format!("tcp,tcp_dst=80,tcp_src={source_port}"),
            format!("udp,udp_dst=53,udp_src={source_port}"),
            format!("tcp,tcp_dst=8080,tcp_src={source_port}"),
            "icmp".to_owned(),
        ];
        let flows: Vec<&str> = flows.iter().map(String::as_str).collect();
        worlds.check_all(&OUTSIDE, &flows);
    }
}

#[test]
fn flows_of_ipv6_alone_do_what_is_predicted() {
    let Some(worlds) = Worlds::of("tests/realisation/clusters/v6.yaml") else {
        return;
    };
    let destinations = ["2001:db8::1", "fd00:1::200", "fd00:2::200"];
    worlds.check_all(
        &destinations,
        &["tcp,tcp_dst=80", "tcp,tcp_dst=81", "udp,udp_dst=80", "icmp"],
    );
}

#[test]
fn a_packet_whose_ttl_ends_on_the_way_to_another_node_is_dropped_where_it_is_predicted() {
    let Some(worlds) = Worlds::of("tests/realisation/clusters/policies.yaml") else {
        return;
    };
    for (destination, ttl) in [
        ("10.3.0.2", 1),
        ("10.2.0.2", 1),
        ("fd00:3::2", 1),
        ("fd00:2::2", 1),
        ("10.3.0.2", 2),
    ] {
        let flow = flows_to(destination.parse().unwrap(), &[&format!("tcp,tcp_dst=80,nw_ttl={ttl}")]);
        worlds.check(&plan(worlds.cluster(), "free", destination, &flow[0]));
    }
}

#[test]
fn a_packet_with_anothers_address_is_dropped_by_the_spoof_guard() {
    let Some(worlds) = Worlds::of("../examples/demo/cluster.yaml") else {
        return;
    };
    let honest = plan(worlds.cluster(), "pod1", "pod3", "tcp,tcp_dst=80");
    for change in 0..2 {
        let mut plan = honest.clone();
        let Question::Inject { packet, .. } = &mut plan.question else {
            panic!()
        };
        match (&mut packet.ip, change) {
            (IpHeader::V4(header), 0) => header.source = "172.16.5.12".parse().unwrap(),
            _ => packet.source_mac.0[5] ^= 1,
        }
        worlds.check(&plan);
    }
}

/// Policies judge connections, not packets: nobody may send to or from some of these on their own.
#[test]
fn answers_pass_whatever_policies_say() {
    let Some(worlds) = Worlds::of("../examples/demo/cluster.yaml") else {
        return;
    };
    for destination in ["pod2", "pod3"] {
        let plan = plan(worlds.cluster(), "pod1", destination, "tcp,tcp_dst=80");
        let bridge = usize::from(destination == "pod3");
        let (asked, answering) = (&worlds.nodes[0].pods[0], &worlds.nodes[bridge]);
        let port = answering.pods.iter().find(|pod| &*pod.pod.name == destination).unwrap();
        let first_hop = if bridge == 0 { asked.mac } else { answering.gateway.mac };
        let exit = answer(&worlds.switch, bridge, packet(&plan), port.port, (port.mac, first_hop));
        let expected = if bridge == 0 { asked.port } else { TUNNEL_PORT };
        assert_eq!(exit, Exit::Port(expected));
    }
}

/// "If the traffic source is the pod's local node" (the API's text), whoever else is kept out.
#[test]
fn a_closed_pod_takes_what_its_own_node_sends() {
    let Some(worlds) = Worlds::of("tests/realisation/clusters/policies.yaml") else {
        return;
    };
    let (bridge, node) = (1, &worlds.nodes[1]);
    let locked = node.pods.iter().find(|pod| &*pod.pod.name == "locked").unwrap();
    let exit = |source: &str| {
        let (network, protocol) = if source.contains(':') {
            ("ipv6", "tcp6")
        } else {
            ("nw", "tcp")
        };
        let family = IpFamily::of(source.parse().unwrap());
        let mut addresses = locked.addresses.iter();
        let destination = addresses.find(|&&address| IpFamily::of(address) == family).unwrap();
        let flow = format!(
            "in_port={GATEWAY_PORT},{protocol},dl_src={},dl_dst={},{network}_src={source},{network}_dst={destination},nw_ttl=64,\
             tcp_src=40000,tcp_dst=10250",
            node.gateway.mac, locked.mac
        );
        Traced::read(&worlds.switch.trace(bridge, &flow, "trk,new"), GATEWAY_PORT).exit
    };
    for own in ["10.2.0.1", "192.168.1.2", "fd00:2::1", "fd00:192::2"] {
        assert_eq!(exit(own), Exit::Port(locked.port), "{own}");
    }
    let closed = TABLES.iter().find(|(name, _)| *name == "IngressDefaultRule").unwrap().1;
    for stranger in ["192.168.1.1", "192.0.2.1", "fd00:192::1"] {
        assert_eq!(exit(stranger), Exit::Table(closed), "{stranger}");
    }
}

#[test]
fn of_the_rules_of_one_policy_that_allow_a_packet_the_first_is_hit() {
    let policy = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: generous}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress:
  - ports: [{port: 81}]
  - from: [{ipBlock: {cidr: 10.0.0.0/8}}]
    ports: [{port: 80}]
  - from: [{podSelector: {}}]
  - {}";
    if !switches_are_installed() {
        return;
    }
    let builder = Cluster::builder()
        .node("a")
        .pod("client", "a")
        .pod("web", "a")
        .label("app", "web");
    let worlds = Worlds::new(|| builder.clone().yaml(policy).build().unwrap());
    for (port, expected) in [(80, 1), (81, 0), (82, 2)] {
        let plan = plan(worlds.cluster(), "client", "web", &format!("tcp,tcp_dst={port}"));
        worlds.check(&plan);
        assert_eq!(
            ingress_rule(&worlds.switch, &worlds.nodes, &plan),
            worlds.nodes[0].rules[expected].id
        );
    }
}

const NAMES: [&str; 3] = ["web", "db", "client"];

/// A policy that means something more often than not.
fn any_policy(random: &mut fastrand::Rng, number: usize) -> String {
    let labels = |random: &mut fastrand::Rng| match random.u8(..4) {
        0 => "{}".to_owned(),
        _ => format!("{{matchLabels: {{app: {}}}}}", random.choice(NAMES).unwrap()),
    };
    let peer = |random: &mut fastrand::Rng| match random.u8(..6) {
        0 => "{ipBlock: {cidr: 10.244.0.0/16, except: [10.244.1.0/24, 10.244.0.3/32]}}".to_owned(),
        1 => format!(
            "{{ipBlock: {{cidr: {}}}}}",
            random.choice(["0.0.0.0/0", "10.244.1.0/31", "192.0.2.0/24"]).unwrap()
        ),
        2 => format!("{{namespaceSelector: {{}}, podSelector: {}}}", labels(random)),
        _ => format!("{{podSelector: {}}}", labels(random)),
    };
    let port = |random: &mut fastrand::Rng| {
        let ports = [
            "{port: 80}",
            "{port: 79, endPort: 81}",
            "{protocol: UDP}",
            "{port: http}",
            "{}",
            "{protocol: UDP, port: 53}",
        ];
        (*random.choice(&ports).unwrap()).to_owned()
    };
    let list = |random: &mut fastrand::Rng, item: &dyn Fn(&mut fastrand::Rng) -> String| {
        let items: Vec<String> = (0..random.usize(..3)).map(|_| item(random)).collect();
        format!("[{}]", items.join(", "))
    };
    let rules = |random: &mut fastrand::Rng, peers: &str| {
        list(random, &|random| {
            format!("{{{peers}: {}, ports: {}}}", list(random, &peer), list(random, &port))
        })
    };
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p{number}}}\n\
         spec: {{podSelector: {}, policyTypes: [{}], ingress: {}, egress: {}}}",
        labels(random),
        random.choice(["Ingress", "Egress", "Ingress, Egress"]).unwrap(),
        rules(random, "from"),
        rules(random, "to"),
    )
}

#[test]
fn flows_of_any_policies_do_what_is_predicted() {
    if !switches_are_installed() {
        return;
    }
    let switch = Switch::start(2);
    for seed in 0..12 {
        let random = &mut fastrand::Rng::with_seed(seed);
        let builder = Cluster::builder().node("a").node("b");
        let builder = (0..5).fold(builder, |builder, number| {
            let (app, node) = (NAMES[number % 3], random.choice(["a", "b"]).unwrap());
            let builder = builder.pod(&format!("pod-{number}"), node).label("app", app);
            builder.container_port("http", 80 + (number % 2) as u16)
        });
        let builder = (0..4).fold(builder, |builder, number| builder.yaml(&any_policy(random, number)));
        let cluster = builder.build().unwrap();
        let nodes = realise(&cluster).unwrap();
        switch.program(&nodes);
        let worlds = Worlds {
            clusters: vec![cluster],
            nodes,
            switch: &switch,
        };
        worlds.check_all(
            &["192.0.2.1"],
            &["tcp,tcp_dst=80", "tcp,tcp_dst=81", "udp,udp_dst=53", "icmp"],
        );
    }
}

/// Egresses of a node here, of the other one, of none, under a node's own address; one of both families.
const EGRESSES: &str = "
apiVersion: crd.antrea.io/v1beta1
kind: Egress
metadata: {name: db}
spec: {appliedTo: {podSelector: {matchLabels: {app: db}}}, egressIPs: [172.18.0.100, 'fd00:172:18::100']}
status: {egressNode: b}
---
apiVersion: crd.antrea.io/v1beta1
kind: Egress
metadata: {name: own}
spec: {appliedTo: {podSelector: {matchLabels: {app: own}}}, egressIP: 172.18.0.2}
---
apiVersion: crd.antrea.io/v1beta1
kind: Egress
metadata: {name: second}
spec: {appliedTo: {podSelector: {matchLabels: {app: second}}}, egressIP: 172.18.0.101}
status: {egressNode: b}
---
apiVersion: crd.antrea.io/v1beta1
kind: Egress
metadata: {name: homeless}
spec: {appliedTo: {podSelector: {matchLabels: {app: lost}}}, egressIP: 172.18.0.102}
";

#[test]
fn flows_of_egresses_do_what_is_predicted() {
    if !switches_are_installed() {
        return;
    }
    let mut builder = Cluster::builder();
    for (node, number) in [("a", 2), ("b", 3), ("c", 4)] {
        builder = builder.node(node).address(&format!("172.18.0.{number}"));
        builder = builder.address(&format!("fd00:172:18::{number}"));
        builder = builder.pod_cidr(&format!("10.244.{number}.0/24"));
        builder = builder.pod_cidr(&format!("fd00:10:{number}::/64"));
    }
    for app in ["db", "own", "second", "lost", "none"] {
        for node in ["a", "b", "c"] {
            builder = builder.pod(&format!("{app}-{node}"), node).label("app", app);
        }
    }
    let builder = builder.service("shop", 80).selects("app", "db").yaml(EGRESSES);
    let worlds = Worlds::new(|| builder.clone().build().unwrap());
    let destinations = [&OUTSIDE[..], &["172.18.0.102"]].concat();
    let asked = worlds.check_all(&destinations, &["tcp,tcp_dst=80", "udp,udp_dst=53", "icmp"]);
    assert!(asked > 1000, "{asked}");
}

/// One of Antrea's policies that means something more often than not.
fn any_antrea_policy(random: &mut fastrand::Rng, number: usize) -> String {
    fn pick<'a>(random: &mut fastrand::Rng, choices: &[&'a str]) -> &'a str {
        random.choice(choices).unwrap()
    }
    let selectors = [
        "podSelector: {}",
        "podSelector: {matchLabels: {app: web}}",
        "podSelector: {matchLabels: {app: db}}",
        "podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [client]}]}",
        "group: webs",
    ];
    let peers = [
        "{podSelector: {matchLabels: {app: client}}}",
        "{podSelector: {matchLabels: {app: web}}, namespaceSelector: {matchLabels: {env: prod}}}",
        "{namespaces: {match: Self}}",
        "{namespaces: {sameLabels: [env]}, podSelector: {}}",
        "{group: clients}",
        "{group: outside}",
        "{ipBlock: {cidr: 10.244.0.0/24, except: [10.244.0.3/32]}}",
        "{ipBlock: {cidr: 0.0.0.0/0}}",
    ];
    let traffics = [
        "",
        "",
        ", ports: [{port: 80}]",
        ", ports: [{port: http}]",
        ", ports: [{protocol: UDP}]",
        ", ports: [{port: 79, endPort: 80}, {protocol: UDP, port: 53}]",
        ", ports: [{port: 81, sourcePort: 32768, sourceEndPort: 60000}]",
        ", protocols: [{icmp: {icmpType: 8, icmpCode: 0}}]",
        ", protocols: [{icmp: {icmpType: 13}}]",
    ];
    let tier = pick(random, &["emergency", "platform", "application", "baseline"]);
    let actions: &[&str] = match tier {
        "baseline" => &["Allow", "Drop", "Reject"],
        _ => &["Allow", "Drop", "Reject", "Pass"],
    };
    let rules = |random: &mut fastrand::Rng, direction: &str, word: &str| {
        let rules: Vec<String> = (0..random.usize(..3))
            .map(|place| {
                let who: Vec<&str> = (0..random.usize(..3)).map(|_| pick(random, &peers)).collect();
                let action = pick(random, actions);
                let traffic = pick(random, &traffics);
                let who = who.join(", ");
                format!("{{name: {direction}-{place}, action: {action}, {word}: [{who}]{traffic}}}")
            })
            .collect();
        rules.join(", ")
    };
    let selector = pick(random, &selectors);
    let priority = random.u8(1..4);
    let (ingress, egress) = (rules(random, "in", "from"), rules(random, "out", "to"));
    format!(
        "apiVersion: crd.antrea.io/v1beta1\nkind: ClusterNetworkPolicy\nmetadata: {{name: a{number}}}\n\
         spec: {{tier: {tier}, priority: {priority}, appliedTo: [{{{selector}}}], ingress: [{ingress}], egress: [{egress}]}}"
    )
}

/// Groups that Antrea's policies call.
const GROUPS: &str = "
apiVersion: crd.antrea.io/v1beta1
kind: ClusterGroup
metadata: {name: webs}
spec: {serviceReference: {namespace: default, name: shop}}
---
apiVersion: crd.antrea.io/v1beta1
kind: ClusterGroup
metadata: {name: clients}
spec: {podSelector: {matchLabels: {app: client}}}
---
apiVersion: crd.antrea.io/v1beta1
kind: ClusterGroup
metadata: {name: outside}
spec: {ipBlocks: [{cidr: 192.0.2.0/24}]}
";

#[test]
fn flows_of_any_of_antreas_policies_do_what_is_predicted() {
    if !switches_are_installed() {
        return;
    }
    let switch = Switch::start(2);
    for seed in 0..24 {
        let random = &mut fastrand::Rng::with_seed(seed);
        let builder = Cluster::builder()
            .node("a")
            .node("b")
            .namespace("prod")
            .label("env", "prod")
            .namespace("stage")
            .label("env", "prod");
        let builder = (0..6).fold(builder, |builder, number| {
            let (app, node) = (NAMES[number % 3], random.choice(["a", "b"]).unwrap());
            let namespace = random.choice(["default", "prod", "stage"]).unwrap();
            let builder = builder
                .pod(&format!("{namespace}/pod-{number}"), node)
                .label("app", app);
            builder.container_port("http", 80 + (number % 2) as u16)
        });
        let builder = builder.service("shop", 80).selects("app", "web").yaml(GROUPS);
        let builder = (0..4).fold(builder, |builder, number| {
            builder.yaml(&any_antrea_policy(random, number))
        });
        let builder = builder.yaml(&any_policy(random, 0));
        let clusters: Vec<Cluster> = (0..SEEDS)
            .map(|seed| builder.clone().build().unwrap().with_seed(seed))
            .collect();
        let nodes = realise(&clusters[0]).unwrap();
        switch.program(&nodes);
        let worlds = Worlds {
            clusters,
            nodes,
            switch: &switch,
        };
        worlds.check_all(
            &["192.0.2.1"],
            &["tcp,tcp_dst=80", "tcp,tcp_dst=81", "udp,udp_dst=53", "icmp"],
        );
    }
}
