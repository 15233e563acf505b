//! A manifest without mistakes, and the cluster that it is planned on.

use std::net::IpAddr;

use traceflow_core::inventory::{Inventory, NodeEntry, Owner, PodEntry, ServiceEntry, ServicePort};
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::packet::{MacAddress, Protocol};

/// A manifest without mistakes, for the tests to make one in.
pub(crate) const MANIFEST: &str = "\
apiVersion: crd.antrea.io/v1beta1
kind: Traceflow
metadata:
  name: tf
spec:
  source:
    namespace: default
    pod: pod1
  destination:
    namespace: default
    pod: pod2
  packet:
    ipHeader:
      protocol: 6
    transportHeader:
      tcp:
        dstPort: 80
";

/// The Pods of the cluster: name, node, phase, last byte of the MAC address (0: none, on its node's network), addresses.
const PODS: &[(&str, &str, &str, u8, &[&str])] = &[
    ("pod1", "a", "Running", 1, &["10.0.1.1", "fd00:1::1"]),
    ("pod2", "a", "Running", 2, &["10.0.1.2", "fd00:1::2"]),
    ("pod3", "b", "Running", 3, &["10.0.2.3", "fd00:2::3"]),
    ("four", "b", "Running", 4, &["10.0.2.4"]),
    ("six", "b", "Running", 6, &["fd00:2::6"]),
    ("host", "a", "Running", 0, &["192.168.0.1"]),
    ("pending", "a", "Pending", 7, &[]),
    ("done", "a", "Succeeded", 8, &[]),
    ("bare", "a", "Running", 9, &[]),
    ("lost", "gone", "Running", 10, &["10.0.9.1"]),
    ("homeless", "", "Running", 11, &["10.0.9.2"]),
    ("stranger", "a", "Running", 0, &["10.0.1.9"]),
    ("both", "b", "Running", 12, &["10.0.2.12"]),
];

/// The Services of the cluster: name, cluster addresses, ports.
const SERVICES: &[(&str, &[&str], Ports)] = &[
    (
        "web",
        &["10.96.0.1", "fd00:96::1"],
        &[(Protocol::TCP, 80), (Protocol::UDP, 53)],
    ),
    ("dns", &["10.96.0.2"], &[(Protocol::UDP, 53)]),
    ("headless", &[], &[(Protocol::TCP, 80)]),
    ("portless", &["10.96.0.4"], &[]),
    ("both", &["10.96.0.5"], &[(Protocol::TCP, 80)]),
];

type Ports = &'static [(Protocol, u16)];

/// The cluster of these tests.
pub(crate) struct World;

impl Inventory for World {
    fn pod(&self, name: &ObjectName) -> Option<PodEntry> {
        let (_, node, phase, mac, addresses) = PODS.iter().find(|pod| *name == ObjectName::new("default", pod.0))?;
        Some(PodEntry {
            name: name.clone(),
            node: (!node.is_empty()).then(|| NodeName::new(*node)),
            addresses: parsed(addresses),
            mac: (*mac > 0).then(|| mac_of(*mac)),
            host_network: &*name.name == "host",
            phase: (*phase).into(),
        })
    }

    fn service(&self, name: &ObjectName) -> Option<ServiceEntry> {
        let (_, addresses, ports) = SERVICES
            .iter()
            .find(|service| *name == ObjectName::new("default", service.0))?;
        let port = |&(protocol, port): &(Protocol, u16)| ServicePort {
            protocol,
            port,
            name: None,
        };
        Some(ServiceEntry {
            name: name.clone(),
            cluster_ips: parsed(addresses),
            ports: ports.iter().map(port).collect(),
        })
    }

    fn owner(&self, address: IpAddr) -> Option<Owner> {
        let address = address.to_string();
        let pod = PODS.iter().find(|pod| pod.4.contains(&&*address));
        pod.map(|pod| Owner::Pod(ObjectName::new("default", pod.0)))
    }

    fn node(&self, name: &NodeName) -> Option<NodeEntry> {
        self.nodes().contains(name).then(|| NodeEntry {
            name: name.clone(),
            addresses: Vec::new(),
            gateway_mac: gateway_of(name.as_str()),
        })
    }

    fn nodes(&self) -> Vec<NodeName> {
        vec!["a".into(), "b".into()]
    }
}

fn parsed(addresses: &[&str]) -> Vec<IpAddr> {
    let parse = |address: &&str| address.parse().expect("the tables above hold addresses");
    addresses.iter().map(parse).collect()
}

/// The MAC address of the Pod with this last byte.
pub(crate) fn mac_of(last: u8) -> MacAddress {
    MacAddress([2, 0, 0, 0, 0, last])
}

/// The MAC address of a node's gateway.
pub(crate) fn gateway_of(node: &str) -> MacAddress {
    MacAddress([2, 0xff, 0, 0, 0, node.as_bytes()[0]])
}
