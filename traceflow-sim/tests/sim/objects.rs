//! Reading clusters: what is filled in, and what is wrong.

use expect_test::{Expect, expect};
use proptest::prelude::{any, prop};
use proptest::proptest;
use proptest::sample::Index;
use traceflow_core::input::Text;
use traceflow_core::inventory::Inventory;
use traceflow_sim::{Cluster, LoadError, Objects};

fn mistake(text: &str) -> String {
    Cluster::from_yaml(text).unwrap_err().to_string()
}

#[test]
fn wrong_objects_are_refused_with_the_place_and_what_would_be_right() {
    for (text, expected) in wrong_objects() {
        expected.assert_eq(&mistake(text));
    }
}

/// One of each kind.
fn wrong_objects() -> Vec<(&'static str, Expect)> {
    vec![
        (
            "# nothing\n",
            expect!["cluster:1:1: the input is empty; it needs Kubernetes objects"],
        ),
        ("[1, 2]", expect!["cluster:1:1: this is a list; use a mapping"]),
        (
            "kind: Pod",
            expect!["cluster:1:1: apiVersion: is missing; say which API it belongs to, such as apiVersion: v1"],
        ),
        (
            "apiVersion: v1\nmetadata: {name: a}",
            expect!["cluster:1:1: kind: is missing; say what the object is, such as kind: Pod"],
        ),
        (
            "{apiVersion: v1beta1, kind: Pod, metadata: {name: a}}",
            expect![[r#"cluster:1:2: apiVersion: "v1beta1" is not valid; use v1"#]],
        ),
        (
            "{apiVersion: discovery.k8s.io/v1beta1, kind: EndpointSlice, metadata: {name: a}}",
            expect![[r#"cluster:1:2: apiVersion: "discovery.k8s.io/v1beta1" is not valid; use discovery.k8s.io/v1"#]],
        ),
        (
            "{apiVersion: v1, kind: Pod}",
            expect!["cluster:1:1: metadata: is missing; add metadata"],
        ),
        (
            "{apiVersion: v1, kind: Pod, metadata: {labels: {}}}",
            expect!["cluster:1:29: metadata.name: is missing; add name"],
        ),
        (
            "{apiVersion: v1, kind: Pod, metadata: {name: a}, status: {podIP: 127.0.0.1}}",
            expect![[
                r#"cluster:1:59: status.podIP: "127.0.0.1" is not valid; use the address of one host on the network"#
            ]],
        ),
        (
            "{apiVersion: v1, kind: Pod, metadata: {name: a}, status: {podIP: 10.0.0.5, podIPs: [{ip: 10.0.0.6}]}}",
            expect![
                "cluster:1:59: status.podIP: this is 10.0.0.5, but podIPs begins with 10.0.0.6; make them agree, or remove one"
            ],
        ),
        (
            "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {clusterIP: None, clusterIPs: [10.96.0.6]}}",
            expect![
                "cluster:1:61: spec.clusterIP: this is None, but clusterIPs begins with 10.96.0.6; make them agree, or remove one"
            ],
        ),
        (
            "{apiVersion: v1, kind: Node, metadata: {name: a}, spec: {podCIDR: 0.0.0.0/0}}",
            expect![[
                r#"cluster:1:58: spec.podCIDR: "0.0.0.0/0" is not valid; use a range of addresses that hosts can have, such as 10.244.1.0/24"#
            ]],
        ),
        (
            "{apiVersion: v1, kind: Node, metadata: {name: a}, spec: {podCIDR: 10.0.0.0/24, podCIDRs: [10.0.1.0/24]}}",
            expect![
                "cluster:1:58: spec.podCIDR: this is 10.0.0.0/24, but podCIDRs begins with 10.0.1.0/24; make them agree, or remove one"
            ],
        ),
        (
            "{apiVersion: v1, kind: Pod, metadata: {name: a..b}}",
            expect![[
                r#"cluster:1:40: metadata.name: "a..b" is not valid; use a name: lower-case letters, digits, '-' and '.', with a letter or digit at both ends"#
            ]],
        ),
        (
            "{apiVersion: v1, kind: Pod, metadata: {name: Web_1}}",
            expect![[
                r#"cluster:1:40: metadata.name: "Web_1" is not valid; use a name: lower-case letters, digits, '-' and '.', with a letter or digit at both ends"#
            ]],
        ),
        (
            "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: 7}}",
            expect!["cluster:1:49: metadata.namespace: 7 is an integer; use a string, in quotes"],
        ),
        (
            "{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {app: 1}}}",
            expect!["cluster:1:58: metadata.labels.app: 1 is an integer; use a string, in quotes"],
        ),
        (
            "{apiVersion: v1, kind: PodList, items: 3}",
            expect!["cluster:1:33: items: 3 is an integer; use a list"],
        ),
        (
            "{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Pod, metadata: {}}]}",
            expect!["cluster:1:66: items[0].metadata.name: is missing; add name"],
        ),
        (
            "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {hostNetwork: maybe}}",
            expect![[r#"cluster:1:57: spec.hostNetwork: "maybe" is a string; use true or false, without quotes"#]],
        ),
        (
            "{apiVersion: v1, kind: Pod, metadata: {name: a}, status: {phase: Sleeping}}",
            expect![[
                r#"cluster:1:59: status.phase: "Sleeping" is not valid; use Pending, Running, Succeeded, Failed or Unknown"#
            ]],
        ),
        (
            "{apiVersion: v1, kind: Pod, metadata: {name: a}, status: {podIP: 10.0.0.256}}",
            expect![[r#"cluster:1:59: status.podIP: "10.0.0.256" is not valid; use an IPv4 or IPv6 address"#]],
        ),
        (
            "{apiVersion: v1, kind: Pod, metadata: {name: a}, status: {podIPs: [{ip: 10.0.0.1}, {ip: 10.0.0.2}]}}",
            expect!["cluster:1:85: status.podIPs[1].ip: there is a second one of IPv4; keep one per family"],
        ),
        (
            "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{ports: [{containerPort: 0}]}]}}",
            expect!["cluster:1:80: spec.containers[0].ports[0].containerPort: 0 is out of range; use 1 to 65535"],
        ),
        (
            "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{ports: [{containerPort: 80, protocol: ICMP}]}]}}",
            expect![[
                r#"cluster:1:99: spec.containers[0].ports[0].protocol: "ICMP" is not valid; use TCP, UDP or SCTP"#
            ]],
        ),
        (
            "{apiVersion: v1, kind: Node, metadata: {name: a}, spec: {podCIDR: 10.0.0.0}}",
            expect![[
                r#"cluster:1:58: spec.podCIDR: "10.0.0.0" is not valid; use an address range such as 10.244.1.0/24"#
            ]],
        ),
        (
            "{apiVersion: v1, kind: Node, metadata: {name: a}, spec: {podCIDRs: [10.0.0.0/31]}}",
            expect![[
                r#"cluster:1:69: spec.podCIDRs[0]: "10.0.0.0/31" is not valid; use a range of four addresses or more, such as 10.244.1.0/24"#
            ]],
        ),
        (
            "{apiVersion: v1, kind: Node, metadata: {name: a}, spec: {podCIDRs: [10.0.0.0/24, 10.1.0.0/24]}}",
            expect!["cluster:1:82: spec.podCIDRs[1]: there is a second one of IPv4; keep one per family"],
        ),
        (
            "{apiVersion: v1, kind: Service, metadata: {name: a}}",
            expect!["cluster:1:1: spec: is missing; add spec"],
        ),
        (
            "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {type: Magic}}",
            expect![[
                r#"cluster:1:61: spec.type: "Magic" is not valid; use ClusterIP, NodePort, LoadBalancer or ExternalName"#
            ]],
        ),
        (
            "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {clusterIP: none}}",
            expect![[r#"cluster:1:61: spec.clusterIP: "none" is not valid; use an IPv4 or IPv6 address"#]],
        ),
        (
            "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{}]}}",
            expect!["cluster:1:69: spec.ports[0].port: is missing; add port"],
        ),
        (
            "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 70000}]}}",
            expect!["cluster:1:70: spec.ports[0].port: 70000 is out of range; use 1 to 65535"],
        ),
        (
            "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 80}, {port: 81}]}}",
            expect!["cluster:1:69: spec.ports[0].name: is missing; name each port where a Service has several"],
        ),
        (
            "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{name: a, port: 80}, {name: b, port: 80}]}}",
            expect!["cluster:1:90: spec.ports[1]: TCP port 80 is there twice; keep one of them"],
        ),
        (
            "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 80, targetPort: '8080'}]}}",
            expect![[r#"cluster:1:80: spec.ports[0].targetPort: "8080" is not valid; use the number without quotes"#]],
        ),
        (
            "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 80, targetPort: true}]}}",
            expect![
                "cluster:1:80: spec.ports[0].targetPort: true is a boolean; use a port number or the name of a container port"
            ],
        ),
        (
            "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {sessionAffinity: Cookie}}",
            expect![[r#"cluster:1:61: spec.sessionAffinity: "Cookie" is not valid; use None or ClientIP"#]],
        ),
        (
            "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 0}}}}",
            expect![
                "cluster:1:123: spec.sessionAffinityConfig.clientIP.timeoutSeconds: 0 is out of range; use 1 to 86400"
            ],
        ),
        (
            "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {internalTrafficPolicy: Near}}",
            expect![[r#"cluster:1:61: spec.internalTrafficPolicy: "Near" is not valid; use Cluster or Local"#]],
        ),
        (
            "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a}, addressType: IPv5}",
            expect![[r#"cluster:1:77: addressType: "IPv5" is not valid; use IPv4, IPv6 or FQDN"#]],
        ),
        (
            "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a}, addressType: IPv4, endpoints: [{addresses: ['fd00::1']}]}",
            expect![[
                r#"cluster:1:121: endpoints[0].addresses[0]: "fd00::1" is not valid; use an IPv4 address, as addressType says"#
            ]],
        ),
        (
            "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a}, addressType: IPv4, endpoints: [{}]}",
            expect!["cluster:1:108: endpoints[0].addresses: is missing; list the endpoint's address"],
        ),
        // Objects that don't fit together.
        (
            TWO_PODS_OF_ONE_NAME,
            expect!["cluster:9:3: metadata.name: Pod default/web is there twice, first at cluster:2:1; remove one"],
        ),
        (
            TWO_PODS_WITH_ONE_ADDRESS,
            expect![
                "cluster:10:20: status.podIPs[0].ip: Pod default/web-1 has the address 10.0.0.2 too; give each its own"
            ],
        ),
        (
            TWO_SERVICES_WITH_ONE_ADDRESS,
            expect![
                "cluster:11:16: spec.clusterIPs[0]: Service default/web-1 has the address 10.96.0.2 too; give each its own"
            ],
        ),
        (
            TWO_NODES_WITH_ONE_ADDRESS,
            expect![
                "cluster:8:73: items[1].status.addresses[1].address: node a has the address 10.0.0.1 too; give each its own"
            ],
        ),
        (
            A_POD_ON_NO_NODE,
            expect![
                "cluster:10:3: spec.nodeName: Node c is not in the cluster; add the Node object, or correct the name"
            ],
        ),
        (
            RANGES_THAT_OVERLAP,
            expect![
                "cluster:10:8: spec.podCIDR: podCIDR 10.244.7.0/24 overlaps 10.244.0.0/16 of node a; give each node a range of its own"
            ],
        ),
        (
            MORE_PODS_THAN_ADDRESSES,
            expect![
                "cluster:13:12: metadata.name: podCIDR 10.244.0.0/30 of node a has no address left for it; give the node a larger podCIDR, or the Pod another node"
            ],
        ),
    ]
}

const TWO_PODS_OF_ONE_NAME: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web}
---
apiVersion: v1
kind: Pod
metadata:
  name: web
";

const TWO_PODS_WITH_ONE_ADDRESS: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web-1}
status: {podIP: 10.0.0.2}
---
apiVersion: v1
kind: Pod
metadata: {name: web-2}
status: {podIPs: [{ip: 10.0.0.2}]}
";

const TWO_SERVICES_WITH_ONE_ADDRESS: &str = "
apiVersion: v1
kind: Service
metadata: {name: web-1}
spec: {clusterIP: 10.96.0.2}
---
apiVersion: v1
kind: Service
metadata: {name: web-2}
spec:
  clusterIPs: [10.96.0.2]
";

const TWO_NODES_WITH_ONE_ADDRESS: &str = "
apiVersion: v1
kind: NodeList
items:
- metadata: {name: a}
  status: {addresses: [{type: InternalIP, address: 10.0.0.1}]}
- metadata: {name: b}
  status: {addresses: [{type: Hostname, address: b}, {type: InternalIP, address: 10.0.0.1}]}
";

const A_POD_ON_NO_NODE: &str = "
apiVersion: v1
kind: Node
metadata: {name: a}
---
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  nodeName: c
";

const RANGES_THAT_OVERLAP: &str = "
apiVersion: v1
kind: Node
metadata: {name: a}
spec: {podCIDR: 10.244.0.0/16}
---
apiVersion: v1
kind: Node
metadata: {name: b}
spec: {podCIDR: 10.244.7.0/24}
";

const MORE_PODS_THAN_ADDRESSES: &str = "
apiVersion: v1
kind: Node
metadata: {name: a}
spec: {podCIDR: 10.244.0.0/30}
---
apiVersion: v1
kind: Pod
metadata: {name: web-1}
---
apiVersion: v1
kind: Pod
metadata: {name: web-2}
";

#[test]
fn bare_manifests_are_filled_in_the_same_way_every_time() {
    let text = "
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Pod, metadata: {name: c}}
- {apiVersion: v1, kind: Pod, metadata: {name: a}}
- {apiVersion: v1, kind: Pod, metadata: {name: b}, spec: {hostNetwork: true}}
- {apiVersion: v1, kind: Pod, metadata: {name: waiting}, status: {phase: Pending}}
- {apiVersion: v1, kind: Service, metadata: {name: svc}, spec: {ports: [{port: 80}]}}
";
    expect![[r#"
        node-1 172.18.0.2
        node-2 172.18.0.3
        a node-1 10.244.0.2
        b node-2 172.18.0.3
        c node-1 10.244.0.3
        waiting - -
        svc 10.96.0.10
    "#]]
    .assert_eq(&summary(
        &Cluster::from_yaml(text).unwrap(),
        &["a", "b", "c", "waiting"],
        &["svc"],
    ));
}

#[test]
fn a_dump_of_pods_alone_says_enough() {
    let text = "
apiVersion: v1
kind: PodList
items:
- {metadata: {name: a}, spec: {nodeName: worker-2}, status: {phase: Running, podIP: 10.42.3.7, podIPs: [{ip: 10.42.3.7}, {ip: 'fd42::7'}]}}
- {metadata: {name: b}, spec: {nodeName: worker-1}}
- {metadata: {name: proxy}, spec: {nodeName: worker-2, hostNetwork: true}, status: {podIP: 192.168.7.2}}
- {metadata: {name: c}, spec: {nodeName: worker-3}, status: {hostIP: 192.168.7.3, hostIPs: [{ip: 192.168.7.3}, {ip: 'fd77::3'}]}}
";
    expect![[r#"
        worker-1 172.18.0.2 fd00:172:18::2
        worker-2 192.168.7.2 fd00:172:18::3
        worker-3 192.168.7.3 fd77::3
        a worker-2 10.42.3.7 fd42::7
        b worker-1 10.244.0.2 fd00:10:244::2
    "#]]
    .assert_eq(&summary(&Cluster::from_yaml(text).unwrap(), &["a", "b"], &[]));
}

fn summary(cluster: &Cluster, pods: &[&str], services: &[&str]) -> String {
    let list = |addresses: &[std::net::IpAddr]| match addresses {
        [] => "-".to_owned(),
        some => some.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
    };
    let nodes = cluster.nodes().into_iter().map(|name| {
        let node = cluster.node(&name).unwrap();
        format!("{name} {}\n", list(&node.addresses))
    });
    let pods = pods.iter().map(|name| {
        let pod = cluster.pod(&crate::support::name(name)).unwrap();
        let node = pod.node.map_or_else(|| "-".to_owned(), |node| node.to_string());
        format!("{name} {node} {}\n", list(&pod.addresses))
    });
    let services = services.iter().map(|name| {
        let service = cluster.service(&crate::support::name(name)).unwrap();
        format!("{name} {}\n", list(&service.cluster_ips))
    });
    nodes.chain(pods).chain(services).collect()
}

#[test]
fn an_address_of_a_pod_that_finished_may_be_anothers() {
    let text = TWO_PODS_WITH_ONE_ADDRESS.replace("podIP:", "phase: Succeeded, podIP:");
    assert!(Cluster::from_yaml(&text).is_ok());
}

#[test]
fn other_kinds_are_remembered() {
    let mut objects = Objects::default();
    let text = "{apiVersion: crd.antrea.io/v1beta1, kind: ExternalIPPool, metadata: {name: out}}";
    objects.read(&Text::new("pool.yaml", text)).unwrap();
    let cluster = Cluster::new(objects).unwrap();
    assert_eq!(
        cluster.unmodelled()[0].to_string(),
        "ExternalIPPool default/out (crd.antrea.io/v1beta1)"
    );
}

#[test]
fn other_kinds_may_be_as_they_like() {
    let text = "
{apiVersion: kustomize.config.k8s.io/v1beta1, kind: Kustomization, resources: [a.yaml]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: 'system:Anything'}}
---
{apiVersion: example.com/v1, kind: AllowList, metadata: {name: mine}}
";
    let cluster = Cluster::from_yaml(text).unwrap();
    let unmodelled: Vec<String> = cluster.unmodelled().iter().map(ToString::to_string).collect();
    assert_eq!(
        unmodelled,
        [
            "Kustomization (kustomize.config.k8s.io/v1beta1)",
            "ClusterRole default/system:Anything (rbac.authorization.k8s.io/v1)",
            "AllowList default/mine (example.com/v1)",
        ]
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Cluster::from_paths(["no/such/file.yaml"]).unwrap_err();
    assert!(matches!(error, LoadError::Unreadable { .. }));
    assert_eq!(error.to_string(), "can't read no/such/file.yaml");
}

#[test]
fn a_folder_without_objects_is_empty() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("empty");
    std::fs::create_dir_all(&folder).unwrap();
    let error = Cluster::from_paths([&folder]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{}:1:1: the input is empty; it needs Kubernetes objects",
            folder.display()
        )
    );
}

proptest! {
    #[test]
    fn a_damaged_cluster_is_an_error_or_a_cluster_but_never_a_panic(
        damage in prop::collection::vec((any::<Index>(), "[a-z0-9:/{}, \\-\n]{0,4}"), 1..6),
    ) {
        let whole = include_str!("../../../examples/demo/cluster.yaml");
        let damaged = damage.iter().fold(whole.to_owned(), |mut text, (place, patch)| {
            let start = place.index(text.len());
            let end = (start + patch.len()).min(text.len());
            text.replace_range(start..end, patch);
            text
        });
        let _ = Cluster::from_yaml(&damaged);
    }
}

#[test]
fn a_builder_keeps_the_first_mistake() {
    let said = |builder: traceflow_sim::ClusterBuilder| builder.build().unwrap_err().to_string();
    assert_eq!(
        said(Cluster::builder().node("a").headless()),
        "headless: the object added last is not a Service; call it right after adding a Service"
    );
    assert_eq!(
        said(Cluster::builder().node("a").pod("web", "b")),
        "Pod default/web: spec.nodeName: Node b is not in the cluster; add the Node object, or correct the name"
    );
    assert_eq!(
        said(Cluster::builder().node("a").address("10.0.0.300")),
        r#"address: "10.0.0.300" is not valid; use an IPv4 or IPv6 address"#
    );
    assert_eq!(
        said(
            Cluster::builder()
                .node("a")
                .address("10.0.0.1")
                .node("b")
                .address("10.0.0.1")
        ),
        "Node b: address: node a has the address 10.0.0.1 too; give each its own"
    );
}
