//! A cluster that was changed is the one that would be loaded.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, proptest};
use traceflow_core::input::{BadInput, Text};
use traceflow_core::inventory::{Inventory, Surroundings};
use traceflow_core::names::ObjectName;
use traceflow_core::packet::{IpFamily, Protocol};
use traceflow_core::plan::Plan;
use traceflow_core::spec::CommandLine;
use traceflow_core::trace::Predictor;
use traceflow_sim::policy::Direction;
use traceflow_sim::{Cluster, LiveCluster, Object, Objects, Reference};

/// One object in YAML, by what is drawn; small, so that names, labels and addresses meet.
fn manifest(kind: u8, [name, one, two, three]: [u8; 4]) -> String {
    let pick = |from: &[&'static str], drawn: u8| from[drawn as usize % from.len()];
    let space = pick(&["x", "y"], name);
    let app = pick(&["web", "db"], one);
    let namespace_selector = pick(
        &[
            "",
            "namespaceSelector: {matchLabels: {env: prod}}, ",
            "namespaceSelector: {}, ",
        ],
        two,
    );
    match kind % 16 {
        0..=4 => {
            let node = pick(&["nodeName: a, ", "nodeName: b, ", "nodeName: a, ", "", "nodeName: c, "], two);
            let host = if three % 7 == 0 { "hostNetwork: true, " } else { "" };
            let phase = pick(&["Running", "Running", "Running", "Pending", "Succeeded"], three);
            let ip = match (one / 2) % 8 {
                0..=2 => String::new(),
                last => format!("podIP: 10.1.{}.{}, ", two % 2, last - 2),
            };
            let ready = pick(&["True", "True", "False"], three / 5);
            format!(
                "{{apiVersion: v1, kind: Pod, metadata: {{name: p{}, namespace: {space}, labels: {{app: {app}}}}}, \
                 spec: {{{node}{host}containers: [{{ports: [{{name: http, containerPort: 8080}}]}}]}}, status: {{phase: \
                 {phase}, {ip}conditions: [{{type: Ready, status: \"{ready}\"}}]}}}}",
                name / 2 % 4
            )
        }
        5 | 6 => {
            let ip = match two % 6 {
                0..=2 => String::new(),
                3 => "clusterIP: 10.1.0.3, ".to_owned(),
                last => format!("clusterIP: 10.96.0.{last}, "),
            };
            let node_port = if three % 3 == 0 {
                format!(", nodePort: {}", 30_000 + u16::from(three % 2))
            } else {
                String::new()
            };
            format!(
                "{{apiVersion: v1, kind: Service, metadata: {{name: s{}, namespace: {space}}}, spec: {{type: NodePort, \
                 {ip}selector: {{app: {app}}}, ports: [{{port: 80, targetPort: http{node_port}}}]}}}}",
                name / 2 % 2
            )
        }
        7 => format!(
            "{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: e{}, namespace: {space}, labels: \
             {{kubernetes.io/service-name: s{}}}}}, addressType: IPv4, endpoints: [{{addresses: [10.1.{}.{}]{}}}], \
             ports: [{{port: 8080}}]}}",
            name / 2 % 2,
            one % 2,
            two % 2,
            1 + three % 5,
            if one % 3 == 0 {
                format!(", targetRef: {{kind: Pod, name: p{}, namespace: {space}}}", three % 4)
            } else {
                String::new()
            },
        ),
        8 | 9 => format!(
            "{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: n{}, namespace: {space}}}, spec: \
             {{podSelector: {{matchLabels: {{app: {app}}}}}, policyTypes: [{}], ingress: [{{from: \
             [{{{namespace_selector}podSelector: {{matchLabels: {{app: {}}}}}}}]}}]}}}}",
            name / 2 % 3,
            pick(&["Ingress", "Ingress, Egress"], three),
            pick(&["web", "db"], three / 2),
        ),
        10 => format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: {space}, labels: {{env: {}}}}}}}",
            pick(&["prod", "test"], one)
        ),
        11 => format!(
            "{{apiVersion: crd.antrea.io/v1beta1, kind: NetworkPolicy, metadata: {{name: a{}, namespace: {space}}}, spec: \
             {{priority: {}, tier: {}, appliedTo: [{}], ingress: [{{action: {}, from: \
             [{{{namespace_selector}podSelector: {{matchLabels: {{app: db}}}}}}]}}]}}}}",
            name / 2 % 2,
            1 + one % 5,
            pick(&["application", "mine", "nobodys"], one),
            pick(&["podSelector: {}", "group: g0", "podSelector: {matchLabels: {app: web}}"], two),
            pick(&["Drop", "Allow", "Reject", "Pass"], three),
        )
        .replace("[podSelector: {}]", "[{podSelector: {}}]")
        .replace("[group: g0]", "[{group: g0}]")
        .replace("[podSelector: {matchLabels: {app: web}}]", "[{podSelector: {matchLabels: {app: web}}}]"),
        12 => format!(
            "{{apiVersion: crd.antrea.io/v1beta1, kind: ClusterNetworkPolicy, metadata: {{name: c{}}}, spec: {{priority: \
             {}, tier: securityops, appliedTo: [{}], ingress: [{{action: {}, from: [{{podSelector: {{matchLabels: {{app: \
             {app}}}}}}}]}}]}}}}",
            name % 2,
            1 + one % 5,
            pick(
                &[
                    "{group: cg}",
                    "{namespaceSelector: {matchLabels: {env: prod}}}",
                    "{podSelector: {matchLabels: {app: web}}}",
                ],
                two
            ),
            pick(&["Drop", "Allow", "Reject"], three),
        ),
        13 => {
            let members = pick(
                &[
                    "serviceReference: {name: s0, namespace: x}",
                    "podSelector: {matchLabels: {app: web}}",
                    "podSelector: {}, namespaceSelector: {matchLabels: {env: prod}}",
                ],
                one,
            );
            let (kind, metadata) = if two % 2 == 0 {
                ("ClusterGroup", "name: cg".to_owned())
            } else {
                ("Group", format!("name: g0, namespace: {space}"))
            };
            format!("{{apiVersion: crd.antrea.io/v1beta1, kind: {kind}, metadata: {{{metadata}}}, spec: {{{members}}}}}")
        }
        14 => format!(
            "{{apiVersion: crd.antrea.io/v1beta1, kind: Egress, metadata: {{name: out{}}}, spec: {{appliedTo: \
             {{{namespace_selector}podSelector: {{matchLabels: {{app: {app}}}}}}}, egressIP: {}}}, status: {{egressNode: \
             {}}}}}",
            name % 2,
            pick(&["172.18.0.100", "10.1.0.4"], three),
            pick(&["a", "b"], one),
        ),
        _ => match two % 3 {
            0 => "{apiVersion: crd.antrea.io/v1beta1, kind: Tier, metadata: {name: mine}, spec: {priority: 60}}".to_owned(),
            1 => "{apiVersion: v1, kind: Node, metadata: {name: c}, spec: {podCIDR: 10.1.2.0/28}}".to_owned(),
            _ => format!(
                "{{apiVersion: v1, kind: Pod, metadata: {{name: six, namespace: {space}}}, spec: {{nodeName: a}}, status: \
                 {{phase: Running, podIP: 'fd00::{}'}}}}",
                three % 3 + 5
            ),
        },
    }
}

fn object(kind: u8, drawn: [u8; 4]) -> Object {
    let manifest = manifest(kind, drawn);
    let mut objects = Objects::default();
    let read = objects.read(&Text::new("edit", manifest.clone()));
    read.unwrap_or_else(|error| panic!("{manifest}\n{error}"));
    objects.into_objects().pop().unwrap()
}

/// All objects of a cluster, completed as they are there, by what they are called.
#[derive(Clone, Default)]
struct Model(BTreeMap<String, Object>);

impl Model {
    fn put(&mut self, object: Object) {
        self.0.insert(object.reference().to_string(), object);
    }

    fn load(&self) -> Result<Cluster, BadInput> {
        let builder = Cluster::builder().seed(7);
        self.0
            .values()
            .cloned()
            .fold(builder, |builder, object| builder.object(object))
            .build()
    }

    fn complete(&mut self, cluster: &Cluster) {
        for node in cluster.node_objects() {
            self.put(node.clone().into());
        }
        for pod in cluster.pod_objects() {
            self.put(pod.clone().into());
        }
        for service in cluster.service_objects() {
            self.put(service.clone().into());
        }
    }
}

fn start() -> Cluster {
    let builder = Cluster::builder().seed(7);
    let builder = builder
        .node("a")
        .pod_cidr("10.1.0.0/28")
        .node("b")
        .pod_cidr("10.1.1.0/28");
    builder.build().unwrap()
}

/// Everything that a cluster says about itself and about packets.
fn said(cluster: &Cluster) -> String {
    let mut said = String::new();
    let mut say = |what: &dyn std::fmt::Debug| writeln!(said, "{what:?}").unwrap();
    let pods: Vec<ObjectName> = cluster.pod_objects().map(|pod| pod.name.clone()).collect();
    let services: Vec<ObjectName> = cluster.service_objects().map(|service| service.name.clone()).collect();
    say(&cluster.node_objects().collect::<Vec<_>>());
    say(&cluster.pod_objects().collect::<Vec<_>>());
    say(&cluster.service_objects().collect::<Vec<_>>());
    say(&cluster.unmodelled());
    for node in cluster.nodes() {
        say(&(
            cluster.node(&node),
            cluster.gateways(&node),
            cluster.egress_addresses(&node),
        ));
    }
    for last in 0..16 {
        for address in [
            [10, 1, 0, last],
            [10, 1, 1, last],
            [10, 96, 0, last],
            [172, 18, 0, last],
        ] {
            say(&cluster.owner(IpAddr::from(address)));
        }
    }
    for number in 30_000..30_002 {
        say(&cluster.node_port(Protocol::TCP, number));
    }
    for service in &services {
        say(&(cluster.service(service), cluster.endpoint_nodes(service)));
        for family in [IpFamily::V4, IpFamily::V6] {
            say(&cluster.service_endpoints(service, 0, family));
        }
    }
    let policies = cluster.policies();
    for pod in &pods {
        say(&(cluster.pod(pod), cluster.egress(pod, IpFamily::V4)));
        for direction in [Direction::Ingress, Direction::Egress] {
            say(&cluster.isolating(pod, direction));
            let id = policies.pod_id(pod).unwrap();
            say(&policies.antrea_rules_of(id, direction).collect::<Vec<_>>());
        }
    }
    for source in &pods {
        for destination in pods.iter().chain(&services).map(ObjectName::to_string) {
            say(&predicted(cluster, &source.to_string(), &destination));
        }
        say(&predicted(cluster, &source.to_string(), "192.0.2.1"));
    }
    said
}

fn predicted(cluster: &Cluster, source: &str, destination: &str) -> Result<String, String> {
    let line = CommandLine {
        source: Some(source),
        destination: Some(destination),
        flow: Some("tcp,tcp_dst=80"),
        ..CommandLine::default()
    };
    let spec = line.spec(cluster).map_err(|error| error.to_string())?;
    let plan = Plan::resolve(&spec, cluster, &mut fastrand::Rng::with_seed(3)).map_err(|error| error.to_string())?;
    let prediction = cluster.predict(&plan).map_err(|error| error.to_string())?;
    let hops: Vec<_> = prediction
        .hops
        .iter()
        .map(|hop| (&hop.node, &hop.observations))
        .collect();
    Ok(format!("{:?} {hops:?} {:?}", prediction.verdict, prediction.left_out))
}

/// Changes a cluster, and compares it after each change with one that is loaded.
fn check(edits: Vec<(u8, [u8; 4])>) {
    let mut cluster = start();
    let mut model = Model::default();
    model.complete(&cluster);
    for (kind, drawn) in edits {
        let object = object(kind, drawn);
        let reference = object.reference();
        let mut next = model.clone();
        let edited = if kind >= 180 {
            let known = next.0.remove(&reference.to_string()).is_some();
            let edited = cluster.remove(&reference);
            if !known {
                assert!(edited.is_err(), "{reference} isn't there");
                continue;
            }
            edited
        } else {
            next.put(object.clone());
            cluster.put(object.clone())
        };
        match next.load() {
            Ok(loaded) => {
                edited.unwrap_or_else(|error| panic!("{object:?} can be loaded: {error}"));
                next.complete(&loaded);
                model = next;
            }
            Err(error) => {
                edited.expect_err(&format!("{object:?} can't be loaded: {error}"));
            }
        }
        let loaded = model.load().unwrap();
        assert_eq!(said(&cluster), said(&loaded), "after {object:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_cluster_answers_as_one_that_is_loaded(edits in vec((any::<u8>(), any::<[u8; 4]>()), 1..40)) {
        check(edits);
    }
}

#[test]
fn a_change_that_is_wrong_says_what_is_and_changes_nothing() {
    let mut cluster = Cluster::builder().node("a").node("b").pod("web", "a").build().unwrap();
    let before = said(&cluster);
    let web = cluster.pod_objects().next().unwrap().clone();
    let mut lost = web;
    lost.node = Some("c".into());
    let error = cluster.put(lost).unwrap_err().to_string();
    assert_eq!(
        error,
        "Pod default/web: spec.nodeName: Node c is not in the cluster; add the Node object, or correct the name"
    );
    let missing = Reference::Pod(ObjectName::new("default", "db"));
    let error = cluster.remove(&missing).unwrap_err().to_string();
    assert_eq!(
        error,
        "Pod default/db: Pod default/db is not in the cluster; there is nothing to remove; correct the name"
    );
    assert!(cluster.remove(&Reference::Node("a".into())).is_err(), "a Pod is on it");
    assert_eq!(said(&cluster), before);
}

#[test]
fn each_change_that_is_made_is_a_version_of_its_own() {
    let live = LiveCluster::new(Cluster::builder().node("a").pod("web", "a").build().unwrap());
    let pod = live.with(|cluster| cluster.pod_objects().next().unwrap().clone());
    let versions =
        [live.put(pod), live.remove(&Reference::Node("b".into()))].map(|made| (made.is_ok(), live.version()));
    assert_eq!(versions, [(true, Some(1)), (false, Some(1))]);
}

#[test]
fn a_service_that_has_one_node_port_twice_is_refused_loaded_or_put() {
    let mut cluster = Cluster::builder().node("a").service("web", 80).build().unwrap();
    let mut service = cluster.service_objects().next().unwrap().clone();
    service.ports[0].node_port = Some(30_000);
    service.ports.push(service.ports[0].clone());
    let expected = "Service default/web has the TCP node port 30000 too; give each its own";
    let put = cluster.put(service.clone()).unwrap_err().to_string();
    let loaded = Cluster::builder().node("a").object(service).build().unwrap_err();
    assert!(put.ends_with(expected), "{put}");
    assert_eq!(loaded.to_string(), put);
}
