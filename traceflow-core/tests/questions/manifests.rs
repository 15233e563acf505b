//! Wrong Traceflow manifests: mistakes that are seen without a cluster.

use traceflow_core::input::Text;
use traceflow_core::spec::Manifest;

use crate::world::MANIFEST;

/// What is wrong; the part of [`MANIFEST`] that is replaced, and by what; the message.
type Case = (&'static str, &'static str, &'static str, &'static str);

/// Replaces the manifest as a whole.
const WHOLE: &str = MANIFEST;
/// Replaces `spec`.
const SPEC: &str = MANIFEST.split_at(71).1;

#[test]
fn each_mistake_in_a_manifest_gets_its_message_and_place() {
    assert!(SPEC.starts_with("spec:"));
    for (what, from, to, message) in CASES {
        assert!(MANIFEST.contains(from), "{what}: the manifest has no {from:?}");
        let text = Text::new("tf.yaml", MANIFEST.replacen(from, to, 1));
        match Manifest::read(&text) {
            Ok(_) => panic!("{what}: accepted"),
            Err(mistake) => assert_eq!(mistake.to_string(), *message, "{what}"),
        }
    }
}

const CASES: &[Case] = &[
    (
        "an empty file",
        WHOLE,
        "",
        "tf.yaml:1:1: the input is empty; it needs a Traceflow object",
    ),
    (
        "a file with comments only",
        WHOLE,
        "# later\n---\n",
        "tf.yaml:1:1: the input is empty; it needs a Traceflow object",
    ),
    (
        "a List without items",
        WHOLE,
        "apiVersion: v1\nkind: List\nitems: []\n",
        "tf.yaml:1:1: the input is empty; it needs a Traceflow object",
    ),
    (
        "tabs for indentation",
        "  name: tf",
        "\tname: tf",
        "tf.yaml:4:2: metadata: this is neither YAML nor JSON: tabs disallowed within this context (block indentation); use spaces instead of tabs",
    ),
    (
        "a quote that is not closed",
        "name: tf",
        "name: \"tf",
        "tf.yaml:5:1: metadata.name: this is neither YAML nor JSON: invalid indentation in multiline quoted scalar; close the quote",
    ),
    (
        "a colon within a plain value",
        "name: tf",
        "name: a: b",
        "tf.yaml:4:10: metadata: this is neither YAML nor JSON: mapping values are not allowed in this context; check the indentation, and put a value with a colon in quotes",
    ),
    (
        "an alias without an anchor",
        "name: tf",
        "name: *tf",
        "tf.yaml:4:9: metadata.name: this is neither YAML nor JSON: while parsing node, found unknown anchor; put the value in quotes if it begins with *",
    ),
    (
        "a key that stands twice",
        "    pod: pod1\n",
        "    pod: pod1\n    pod: pod3\n",
        "tf.yaml:9:5: spec.source.pod: the key stands twice, first at 8:5; remove one",
    ),
    (
        "a document that is a list",
        WHOLE,
        "- kind: Traceflow\n",
        "tf.yaml:1:1: this is a list; use a mapping",
    ),
    (
        "a document that is a word",
        WHOLE,
        "Traceflow\n",
        "tf.yaml:1:1: \"Traceflow\" is a string; use a mapping",
    ),
    (
        "another kind",
        "kind: Traceflow",
        "kind: Pod",
        "tf.yaml:2:1: kind: \"Pod\" is not valid; use Traceflow",
    ),
    (
        "an object of the cluster",
        WHOLE,
        "apiVersion: v1\nkind: Pod\nmetadata: {name: pod1}\nstatus: {}\nspec: {containers: []}\n",
        "tf.yaml:2:1: kind: \"Pod\" is not valid; use Traceflow",
    ),
    (
        "a List of another version",
        WHOLE,
        "apiVersion: v2\nkind: List\nitems: []\n",
        "tf.yaml:1:1: apiVersion: \"v2\" is not valid; use v1",
    ),
    (
        "a List without version",
        WHOLE,
        "kind: List\nitems: []\n",
        "tf.yaml:1:1: apiVersion: is missing; add apiVersion: v1",
    ),
    (
        "no kind",
        "kind: Traceflow\n",
        "",
        "tf.yaml:1:1: kind: is missing; add kind: Traceflow",
    ),
    (
        "no apiVersion",
        "apiVersion: crd.antrea.io/v1beta1\n",
        "",
        "tf.yaml:1:1: apiVersion: is missing; add apiVersion: crd.antrea.io/v1beta1",
    ),
    (
        "an apiVersion that never was",
        "v1beta1",
        "v1",
        "tf.yaml:1:1: apiVersion: \"crd.antrea.io/v1\" is not valid; use crd.antrea.io/v1beta1, crd.antrea.io/v1alpha1 or ops.antrea.tanzu.vmware.com/v1alpha1",
    ),
    (
        "no metadata",
        "metadata:\n  name: tf\n",
        "",
        "tf.yaml:1:1: metadata: is missing; add it with the Traceflow's name",
    ),
    (
        "no name",
        "  name: tf",
        "  labels: {app: a}",
        "tf.yaml:3:1: metadata.name: is missing; name the Traceflow",
    ),
    (
        "a name that Kubernetes refuses",
        "name: tf",
        "name: TF_1",
        "tf.yaml:4:3: metadata.name: \"TF_1\" is not valid; use a name of lower-case letters, digits, '-' and '.', without its namespace",
    ),
    (
        "a name with an empty part",
        "name: tf",
        "name: a..b",
        "tf.yaml:4:3: metadata.name: \"a..b\" is not valid; use a name of lower-case letters, digits, '-' and '.', without its namespace",
    ),
    (
        "a name that is a number",
        "name: tf",
        "name: 7",
        "tf.yaml:4:3: metadata.name: 7 is an integer; use a string, in quotes",
    ),
    (
        "a label that is not a string",
        "  name: tf",
        "  name: tf\n  labels: {run: 1}",
        "tf.yaml:5:12: metadata.labels.run: 1 is an integer; use a string, in quotes",
    ),
    (
        "a misspelt field of metadata",
        "  name: tf",
        "  name: tf\n  label: {}",
        "tf.yaml:5:3: metadata.label: there is no such field; did you mean labels?",
    ),
    (
        "a field that the object does not have",
        "spec:",
        "data: 1\nspec:",
        "tf.yaml:5:1: data: there is no such field; use apiVersion, kind, metadata, spec or status",
    ),
    (
        "a misspelt field of the spec",
        "  source:",
        "  sourc:",
        "tf.yaml:6:3: spec.sourc: there is no such field; did you mean source?",
    ),
    (
        "a field in the wrong case",
        "dstPort: 80",
        "dstport: 80",
        "tf.yaml:17:9: spec.packet.transportHeader.tcp.dstport: there is no such field; did you mean dstPort?",
    ),
    (
        "a field that stands one level too high",
        "    ipHeader:\n      protocol: 6",
        "    protocol: 6",
        "tf.yaml:13:5: spec.packet.protocol: there is no such field; use ipHeader, ipv6Header or transportHeader",
    ),
    (
        "no spec",
        SPEC,
        "",
        "tf.yaml:1:1: spec: is missing; add the question: source and destination",
    ),
    (
        "a spec that is a list",
        SPEC,
        "spec: []\n",
        "tf.yaml:5:1: spec: this is a list; use a mapping",
    ),
    (
        "no source",
        "  source:\n    namespace: default\n    pod: pod1\n",
        "",
        "tf.yaml:5:1: spec.source: is missing; name the Pod that sends",
    ),
    (
        "a source without a Pod",
        "    pod: pod1\n",
        "",
        "tf.yaml:6:3: spec.source.pod: is missing; add the Pod's name, or remove the namespace",
    ),
    (
        "a source without a namespace",
        "    namespace: default\n    pod: pod1",
        "    pod: pod1",
        "tf.yaml:6:3: spec.source.namespace: is missing; add the namespace of the Pod that sends",
    ),
    (
        "a source with pod and ip",
        "    pod: pod1\n",
        "    pod: pod1\n    ip: 10.0.0.1\n",
        "tf.yaml:9:5: spec.source.ip: pod is given, too; keep one of them",
    ),
    (
        "an address as the source of an injected packet",
        "    namespace: default\n    pod: pod1\n",
        "    ip: 10.0.0.1\n",
        "tf.yaml:7:5: spec.source.ip: a packet can only be injected at a Pod; name a Pod, or trace live traffic (liveTraffic, -L)",
    ),
    (
        "a Service as source",
        "    pod: pod1\n",
        "    service: web\n",
        "tf.yaml:8:5: spec.source.service: there is no such field; use namespace, pod or ip",
    ),
    (
        "a namespace within a Pod's name",
        "pod: pod1",
        "pod: default/pod1",
        "tf.yaml:8:5: spec.source.pod: \"default/pod1\" is not valid; use a name of lower-case letters, digits, '-' and '.', without its namespace",
    ),
    (
        "no destination",
        "  destination:\n    namespace: default\n    pod: pod2\n",
        "",
        "tf.yaml:5:1: spec.destination: is missing; name a Pod, a Service or an IP address",
    ),
    (
        "a destination with pod and service",
        "    pod: pod2\n",
        "    pod: pod2\n    service: web\n",
        "tf.yaml:12:5: spec.destination.service: pod is given, too; keep one of them",
    ),
    (
        "an address with a namespace",
        "    pod: pod2\n",
        "    ip: 10.0.0.1\n",
        "tf.yaml:10:5: spec.destination.namespace: an IP address has no namespace; remove it, or name a Pod instead of ip",
    ),
    (
        "an address that is none",
        "    namespace: default\n    pod: pod2\n",
        "    ip: 10.0.0.256\n",
        "tf.yaml:10:5: spec.destination.ip: \"10.0.0.256\" is not valid; use an IPv4 or IPv6 address such as 10.0.0.1 or fd00::1",
    ),
    (
        "an address with a prefix length",
        "    namespace: default\n    pod: pod2\n",
        "    ip: 10.0.0.0/24\n",
        "tf.yaml:10:5: spec.destination.ip: \"10.0.0.0/24\" is not valid; use an IPv4 or IPv6 address such as 10.0.0.1 or fd00::1",
    ),
    (
        "an address that is a number",
        "    namespace: default\n    pod: pod2\n",
        "    ip: 10.1\n",
        "tf.yaml:10:5: spec.destination.ip: 10.1 is a number with a fraction; use a string, in quotes",
    ),
    (
        "the broadcast address",
        "    namespace: default\n    pod: pod2\n",
        "    ip: 255.255.255.255\n",
        "tf.yaml:10:5: spec.destination.ip: 255.255.255.255 is not the address of one host on the network; use a unicast address",
    ),
    (
        "a multicast address",
        "    namespace: default\n    pod: pod2\n",
        "    ip: 224.0.0.1\n",
        "tf.yaml:10:5: spec.destination.ip: 224.0.0.1 is not the address of one host on the network; use a unicast address",
    ),
    (
        "an IPv6 address under an IPv4 header",
        "    namespace: default\n    pod: pod2\n",
        "    ip: fd00::7\n",
        "tf.yaml:10:5: spec.destination.ip: fd00::7 is an IPv6 address, but the packet is IPv4; use one family for both",
    ),
    (
        "droppedOnly without liveTraffic",
        "  packet:",
        "  droppedOnly: true\n  packet:",
        "tf.yaml:12:3: spec.droppedOnly: only live traffic can be narrowed to what is dropped; set liveTraffic (-L) too, or remove this",
    ),
    (
        "a boolean that is a string",
        "  packet:",
        "  liveTraffic: \"true\"\n  packet:",
        "tf.yaml:12:3: spec.liveTraffic: \"true\" is a string; use true or false, without quotes",
    ),
    (
        "a timeout of zero",
        "  packet:",
        "  timeout: 0\n  packet:",
        "tf.yaml:12:3: spec.timeout: 0 is out of range; use 1 to 300",
    ),
    (
        "a timeout beyond the greatest",
        "  packet:",
        "  timeout: 301\n  packet:",
        "tf.yaml:12:3: spec.timeout: 301 is out of range; use 1 to 300",
    ),
    (
        "a timeout with a unit",
        "  packet:",
        "  timeout: 20s\n  packet:",
        "tf.yaml:12:3: spec.timeout: \"20s\" is a string; use an integer",
    ),
    (
        "a timeout with a fraction",
        "  packet:",
        "  timeout: 1.5\n  packet:",
        "tf.yaml:12:3: spec.timeout: 1.5 is a number with a fraction; use an integer",
    ),
    (
        "a number in quotes",
        "dstPort: 80",
        "dstPort: \"80\"",
        "tf.yaml:17:9: spec.packet.transportHeader.tcp.dstPort: \"80\" is a string; use an integer, without quotes",
    ),
    (
        "port 0",
        "dstPort: 80",
        "dstPort: 0",
        "tf.yaml:17:9: spec.packet.transportHeader.tcp.dstPort: 0 is out of range; use 1 to 65535",
    ),
    (
        "a port beyond 16 bits",
        "dstPort: 80",
        "dstPort: 65616",
        "tf.yaml:17:9: spec.packet.transportHeader.tcp.dstPort: 65616 is out of range; use 1 to 65535",
    ),
    (
        "a number beyond 64 bits",
        "dstPort: 80",
        "dstPort: 99999999999999999999",
        "tf.yaml:17:9: spec.packet.transportHeader.tcp.dstPort: 100000000000000000000 is out of range; use 1 to 65535",
    ),
    (
        "a negative port",
        "dstPort: 80",
        "srcPort: -1\n        dstPort: 80",
        "tf.yaml:17:9: spec.packet.transportHeader.tcp.srcPort: -1 is out of range; use 1 to 65535",
    ),
    (
        "a TTL beyond 8 bits",
        "protocol: 6",
        "protocol: 6\n      ttl: 300",
        "tf.yaml:15:7: spec.packet.ipHeader.ttl: 300 is out of range; use 0 to 255",
    ),
    (
        "fragmentation flags beyond 3 bits",
        "protocol: 6",
        "protocol: 6\n      flags: 8",
        "tf.yaml:15:7: spec.packet.ipHeader.flags: 8 is out of range; use 0 to 7",
    ),
    (
        "a protocol beyond 8 bits",
        "protocol: 6",
        "protocol: 256",
        "tf.yaml:14:7: spec.packet.ipHeader.protocol: 256 is out of range; use 0 to 255",
    ),
    (
        "TCP flags beyond 8 bits",
        "dstPort: 80",
        "dstPort: 80\n        flags: 256",
        "tf.yaml:18:9: spec.packet.transportHeader.tcp.flags: 256 is out of range; use 0 to 255",
    ),
    (
        "a hop limit that Antrea would truncate",
        "    ipHeader:\n      protocol: 6",
        "    ipv6Header:\n      hopLimit: 256",
        "tf.yaml:14:7: spec.packet.ipv6Header.hopLimit: 256 is out of range; use 0 to 255",
    ),
    (
        "a next header that Antrea would truncate",
        "    ipHeader:\n      protocol: 6",
        "    ipv6Header:\n      nextHeader: 262",
        "tf.yaml:14:7: spec.packet.ipv6Header.nextHeader: 262 is out of range; use 0 to 255",
    ),
    (
        "an extension header as protocol",
        "    ipHeader:\n      protocol: 6\n    transportHeader:\n      tcp:\n        dstPort: 80",
        "    ipv6Header:\n      nextHeader: 43",
        "tf.yaml:14:7: spec.packet.ipv6Header.nextHeader: 43 is an IPv6 extension header, not a transport protocol; use the number of the protocol behind it",
    ),
    (
        "an ICMP id beyond 16 bits",
        "      protocol: 6\n    transportHeader:\n      tcp:\n        dstPort: 80",
        "      protocol: 1\n    transportHeader:\n      icmp:\n        id: 65536",
        "tf.yaml:17:9: spec.packet.transportHeader.icmp.id: 65536 is out of range; use 0 to 65535",
    ),
    (
        "an ICMP type beyond 8 bits",
        "      protocol: 6\n    transportHeader:\n      tcp:\n        dstPort: 80",
        "      protocol: 1\n    transportHeader:\n      icmp:\n        type: 256",
        "tf.yaml:17:9: spec.packet.transportHeader.icmp.type: 256 is out of range; use 0 to 255",
    ),
    (
        "two IP headers",
        "    ipHeader:\n      protocol: 6",
        "    ipHeader:\n      protocol: 6\n    ipv6Header: {}",
        "tf.yaml:15:5: spec.packet.ipv6Header: a packet has one IP header, and ipHeader is given, too; keep one of them",
    ),
    (
        "two transport headers",
        "        dstPort: 80",
        "        dstPort: 80\n      udp:\n        dstPort: 53",
        "tf.yaml:18:7: spec.packet.transportHeader.udp: a packet has one transport header, and tcp is given, too; keep one of them",
    ),
    (
        "a protocol that contradicts the header",
        "protocol: 6",
        "protocol: 17",
        "tf.yaml:16:7: spec.packet.transportHeader.tcp: ipHeader.protocol says 17 (UDP), this header 6 (TCP); make them agree",
    ),
    (
        "ICMPv6 under an IPv4 header",
        "protocol: 6",
        "protocol: 58",
        "tf.yaml:14:7: spec.packet.ipHeader.protocol: 58 is ICMPv6, but the packet is IPv4; use 1 for ICMP, or ipv6Header instead of ipHeader",
    ),
    (
        "a port of ICMP",
        "      tcp:\n        dstPort: 80",
        "      icmp:\n        dstPort: 80",
        "tf.yaml:17:9: spec.packet.transportHeader.icmp.dstPort: there is no such field; use id, sequence, type or code",
    ),
    (
        "TCP to a Pod without a port",
        "dstPort: 80",
        "srcPort: 80",
        "tf.yaml:16:7: spec.packet.transportHeader.tcp.dstPort: is missing; add the port that the packet goes to; only of a Service the first is taken",
    ),
    (
        "TCP by number to a Pod without a port",
        "    transportHeader:\n      tcp:\n        dstPort: 80\n",
        "",
        "tf.yaml:12:3: spec.packet.transportHeader.tcp.dstPort: is missing; add the port that the packet goes to; only of a Service the first is taken",
    ),
    (
        "live traffic between no Pods",
        "  source:\n    namespace: default\n    pod: pod1\n  destination:\n    namespace: default\n    pod: pod2\n  packet:\n    ipHeader:\n      protocol: 6\n    transportHeader:\n      tcp:\n        dstPort: 80\n",
        "  liveTraffic: true\n  destination:\n    ip: 10.0.0.1\n",
        "tf.yaml:5:1: spec.source.pod: is missing; name a Pod here or as destination: at least one end must be a Pod",
    ),
    (
        "live traffic chosen by ICMP id",
        "  packet:\n    ipHeader:\n      protocol: 6\n    transportHeader:\n      tcp:\n        dstPort: 80\n",
        "  packet: {transportHeader: {icmp: {id: 2}}}\n  liveTraffic: true\n",
        "tf.yaml:12:37: spec.packet.transportHeader.icmp.id: live traffic can't be chosen by the ICMP identifier; remove it",
    ),
    (
        "live traffic chosen by ICMP sequence",
        "  packet:\n    ipHeader:\n      protocol: 6\n    transportHeader:\n      tcp:\n        dstPort: 80\n",
        "  packet: {transportHeader: {icmp: {sequence: 2}}}\n  liveTraffic: true\n",
        "tf.yaml:12:37: spec.packet.transportHeader.icmp.sequence: live traffic can't be chosen by the ICMP sequence number; remove it",
    ),
    (
        "a mistake in JSON",
        WHOLE,
        "{\"apiVersion\": \"crd.antrea.io/v1beta1\", \"kind\": \"Traceflow\",\n \"metadata\": {\"name\": \"tf\"},\n \"spec\": {\"timeout\": true}}\n",
        "tf.yaml:3:11: spec.timeout: true is a boolean; use an integer",
    ),
    (
        "a mistake in the second document",
        "        dstPort: 80\n",
        "        dstPort: 80\n---\nkind: Traceflow\n",
        "tf.yaml:19:1: apiVersion: is missing; add apiVersion: crd.antrea.io/v1beta1",
    ),
    (
        "a mistake in an item of a List",
        WHOLE,
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: crd.antrea.io/v1beta1\n  kind: Traceflow\n  metadata: {name: a}\n  spec: {timeout: 900}\n",
        "tf.yaml:7:10: items[0].spec.timeout: 900 is out of range; use 1 to 300",
    ),
];
