//! Questions that are right in themselves, but not in this cluster.

use traceflow_core::input::Text;
use traceflow_core::spec::Manifest;

use crate::world::{MANIFEST, World};

/// What is wrong; what replaces `spec`, in lines; the message.
type Case = (&'static str, &'static str, &'static str);

#[test]
fn what_the_cluster_lacks_is_bad_input_with_its_place() {
    for (what, spec, message) in CASES {
        let start = MANIFEST.find("spec:").unwrap();
        let text = Text::new("tf.yaml", format!("{}spec:{spec}\n", &MANIFEST[..start]));
        let manifests = Manifest::read(&text).unwrap_or_else(|mistake| panic!("{what}: {mistake}"));
        match manifests[0].plan(&World, &mut fastrand::Rng::with_seed(1)) {
            Ok(_) => panic!("{what}: accepted"),
            Err(mistake) => assert_eq!(mistake.to_string(), *message, "{what}"),
        }
    }
}

const CASES: &[Case] = &[
    (
        "a source that is not there",
        "
  source: {namespace: default, pod: pod9}
  destination: {namespace: default, pod: pod2}",
        "tf.yaml:6:32: spec.source.pod: Pod default/pod9 is not in the cluster; check its name and namespace",
    ),
    (
        "a source in another namespace",
        "
  source: {namespace: web, pod: pod1}
  destination: {namespace: default, pod: pod2}",
        "tf.yaml:6:28: spec.source.pod: Pod web/pod1 is not in the cluster; check its name and namespace",
    ),
    (
        "a destination Pod that is not there",
        "
  source: {namespace: default, pod: pod1}
  destination: {namespace: default, pod: pod9}",
        "tf.yaml:7:37: spec.destination.pod: Pod default/pod9 is not in the cluster; check its name and namespace",
    ),
    (
        "a Service that is not there",
        "
  source: {namespace: default, pod: pod1}
  destination: {namespace: default, service: web9}",
        "tf.yaml:7:37: spec.destination.service: Service default/web9 is not in the cluster; check its name and namespace",
    ),
    (
        "a source on its node's network",
        "
  source: {namespace: default, pod: host}
  destination: {namespace: default, pod: pod2}",
        "tf.yaml:6:32: spec.source.pod: Pod default/host uses its node's network, so it has no port to inject at; choose a Pod without hostNetwork",
    ),
    (
        "a source that waits for a node",
        "
  source: {namespace: default, pod: pending}
  destination: {namespace: default, pod: pod2}",
        "tf.yaml:6:32: spec.source.pod: Pod default/pending is Pending, not Running; wait for it, or choose another",
    ),
    (
        "a destination that has ended",
        "
  source: {namespace: default, pod: pod1}
  destination: {namespace: default, pod: done}",
        "tf.yaml:7:37: spec.destination.pod: Pod default/done has ended (Succeeded); choose a Pod that is Running",
    ),
    (
        "a Pod without an address",
        "
  source: {namespace: default, pod: bare}
  destination: {namespace: default, pod: pod2}",
        "tf.yaml:6:32: spec.source.pod: Pod default/bare has no address; wait until it has one, or look at its node",
    ),
    (
        "a Pod on a node that is not there",
        "
  source: {namespace: default, pod: lost}
  destination: {namespace: default, pod: pod2}",
        "tf.yaml:6:32: spec.source.pod: Pod default/lost is on node gone, which is not in the cluster; add the Node, or correct the Pod's nodeName",
    ),
    (
        "a running Pod without a node",
        "
  source: {namespace: default, pod: homeless}
  destination: {namespace: default, pod: pod2}",
        "tf.yaml:6:32: spec.source.pod: Pod default/homeless is not on a node yet; wait until it is scheduled",
    ),
    (
        "a Pod whose MAC address nobody knows",
        "
  source: {namespace: default, pod: stranger}
  destination: {namespace: default, pod: pod2}",
        "tf.yaml:6:32: spec.source.pod: the MAC address of Pod default/stranger is not known; choose another Pod, or look at its node",
    ),
    (
        "a Pod without an address of the family",
        "
  source: {namespace: default, pod: four}
  destination: {namespace: default, pod: pod2}
  packet: {ipv6Header: {}}",
        "tf.yaml:6:32: spec.source.pod: Pod default/four has no IPv6 address; choose another, or ask for the other address family",
    ),
    (
        "ends without a common family",
        "
  source: {namespace: default, pod: four}
  destination: {namespace: default, pod: six}",
        "tf.yaml:7:37: spec.destination.pod: Pod default/four has only IPv4, Pod default/six has only IPv6; choose ends of one address family",
    ),
    (
        "an address of a family that the source lacks",
        "
  source: {namespace: default, pod: four}
  destination: {ip: fd00:2::6}",
        "tf.yaml:7:17: spec.destination.ip: Pod default/four has only IPv4, fd00:2::6 has only IPv6; choose ends of one address family",
    ),
    (
        "a headless Service",
        "
  source: {namespace: default, pod: pod1}
  destination: {namespace: default, service: headless}",
        "tf.yaml:7:37: spec.destination.service: Service default/headless has no cluster address of its own; name one of its Pods instead",
    ),
    (
        "a Service without ports",
        "
  source: {namespace: default, pod: pod1}
  destination: {namespace: default, service: portless}",
        "tf.yaml:7:37: spec.destination.service: Service default/portless has no ports; say which port the packet goes to",
    ),
    (
        "a Service without a port of the protocol",
        "
  source: {namespace: default, pod: pod1}
  destination: {namespace: default, service: dns}
  packet: {transportHeader: {tcp: {}}}",
        "tf.yaml:7:37: spec.destination.service: Service default/dns has no TCP port; use UDP 53, or say which port the packet goes to",
    ),
    (
        "a Service without an address of the family",
        "
  source: {namespace: default, pod: pod1}
  destination: {namespace: default, service: dns}
  packet: {ipv6Header: {}}",
        "tf.yaml:7:37: spec.destination.service: Service default/dns has no IPv6 address; choose another, or ask for the other address family",
    ),
    (
        "a Pod that sends to itself",
        "
  source: {namespace: default, pod: pod1}
  destination: {namespace: default, pod: pod1}",
        "tf.yaml:7:37: spec.destination.pod: a Pod's packets to itself never reach the network; choose another destination",
    ),
    (
        "a live source that is not there",
        "
  source: {namespace: default, pod: pod9}
  liveTraffic: true",
        "tf.yaml:6:32: spec.source.pod: Pod default/pod9 is not in the cluster; check its name and namespace",
    ),
];
