//! Manifests as Antrea's guide, its demo and `kubectl get -o yaml` have them.

use std::num::NonZeroU16;

use traceflow_core::input::Text;
use traceflow_core::names::ObjectName;
use traceflow_core::packet::{IpFamily, TcpFlags};
use traceflow_core::plan::TcpFlagsMatch;
use traceflow_core::spec::{ApiVersion, Ask, Destination, IcmpSpec, Manifest, Source, TransportSpec};

use crate::world::MANIFEST;

fn read(text: &str) -> Vec<Manifest> {
    Manifest::read(&Text::new("tf.yaml", text)).unwrap_or_else(|mistake| panic!("{mistake}"))
}

fn pod(name: &str) -> ObjectName {
    ObjectName::new("default", name)
}

/// As in Antrea's user guide, with its comments.
const GUIDE: &str = "\
apiVersion: ops.antrea.tanzu.vmware.com/v1alpha1
kind: Traceflow
metadata:
  name: tf-test
spec:
  source:
    namespace: default
    pod: tcp-sts-0
  destination:
    namespace: default
    pod: tcp-sts-2
#   ip: IP can also be marked as destination, but namespace/pod and ip are mutually exclusive.
  packet:
    ipHeader:
      protocol: 6 # Protocol here can be 6 (TCP), 17 (UDP) or 1 (ICMP), default value is 1 (ICMP)
    transportHeader:
      tcp:
        srcPort: 10000 # Source port needs to be set when Protocol is TCP/UDP.
        dstPort: 80 # Destination port needs to be set when Protocol is TCP/UDP.
";

#[test]
fn the_guides_manifest_is_read() {
    let manifests = read(GUIDE);
    let [manifest] = &manifests[..] else { panic!("not one") };
    assert_eq!(manifest.api_version(), ApiVersion::OpsV1Alpha1);
    assert_eq!(&**manifest.name(), "tf-test");
    assert_eq!(
        *manifest.spec().ask(),
        Ask::Inject {
            source: pod("tcp-sts-0"),
            destination: Destination::Pod(pod("tcp-sts-2"))
        }
    );
    assert_eq!(manifest.spec().packet().family(), Some(IpFamily::V4));
    assert_eq!(
        manifest.spec().packet().transport(),
        Some(&TransportSpec::Tcp {
            source: NonZeroU16::new(10000),
            destination: NonZeroU16::new(80),
            flags: None
        })
    );
    assert_eq!(manifest.spec().timeout().as_secs(), 20);
}

#[test]
fn an_object_dumped_by_kubectl_is_read_and_can_be_printed_again() {
    let dumped = "
apiVersion: crd.antrea.io/v1alpha1
kind: Traceflow
metadata:
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: |
      {\"apiVersion\":\"crd.antrea.io/v1alpha1\",\"kind\":\"Traceflow\"}
  creationTimestamp: \"2021-04-16T06:31:12Z\"
  generation: 1
  managedFields:
  - apiVersion: crd.antrea.io/v1alpha1
    fieldsType: FieldsV1
    fieldsV1: {f:spec: {.: {}, f:source: {}}}
    manager: kubectl
  name: tf-live
  resourceVersion: \"2752207\"
  uid: c7b2c3c8-edaa-4aac-a61b-fbeaf54aac7e
spec:
  destination: {namespace: default, pod: pod3}
  droppedOnly: true
  liveTraffic: true
  packet: {ipHeader: {protocol: 1}}
  source: {namespace: default, pod: pod1}
status:
  capturedPacket: {dstIP: 172.16.3.8, transportHeader: {}}
  phase: Succeeded
  anythingElse: [1]
";
    let manifests = read(dumped);
    let manifest = &manifests[0];
    assert_eq!(manifest.api_version().as_str(), "crd.antrea.io/v1alpha1");
    assert_eq!(manifest.metadata()["uid"], "c7b2c3c8-edaa-4aac-a61b-fbeaf54aac7e");
    assert_eq!(manifest.metadata()["generation"], 1);
    assert_eq!(manifest.written_spec()["packet"]["ipHeader"]["protocol"], 1);
    assert_eq!(
        *manifest.spec().ask(),
        Ask::Live {
            source: Some(Source::Pod(pod("pod1"))),
            destination: Some(Destination::Pod(pod("pod3"))),
            dropped_only: true
        }
    );
}

#[test]
fn json_documents_and_lists_hold_the_same_objects() {
    let json = "{\"apiVersion\":\"crd.antrea.io/v1beta1\",\"kind\":\"Traceflow\",\"metadata\":{\"name\":\"tf\"},\
        \"spec\":{\"source\":{\"namespace\":\"default\",\"pod\":\"pod1\"},\
        \"destination\":{\"namespace\":\"default\",\"pod\":\"pod2\"},\
        \"packet\":{\"ipHeader\":{\"protocol\":6},\"transportHeader\":{\"tcp\":{\"dstPort\":80}}}}}";
    let spec = read(MANIFEST)[0].spec().clone();
    assert_eq!(*read(json)[0].spec(), spec);
    assert_eq!(read(&format!("---\n{MANIFEST}---\n{MANIFEST}---\n")).len(), 2);
    let list = format!("{{\"apiVersion\":\"v1\",\"kind\":\"List\",\"metadata\":{{}},\"items\":[{json},{json}]}}");
    let listed = read(&list);
    assert_eq!(listed.len(), 2);
    assert_eq!(*listed[1].spec(), spec);
    assert_eq!(listed[1].metadata()["name"], "tf");
}

#[test]
fn every_header_is_read() {
    let packet = |packet: &str| {
        let text = format!(
            "{}  packet: {packet}\n",
            &MANIFEST[..MANIFEST.find("  packet:").unwrap()]
        );
        read(&text)[0].spec().packet().clone()
    };
    let ports = |source, destination| (NonZeroU16::new(source), NonZeroU16::new(destination));

    let tcp = packet("{ipv6Header: {hopLimit: 3}, transportHeader: {tcp: {dstPort: 443, flags: 18}}}");
    assert_eq!((tcp.family(), tcp.ttl().map(u8::from)), (Some(IpFamily::V6), Some(3)));
    assert_eq!(
        tcp.transport(),
        Some(&TransportSpec::Tcp {
            source: None,
            destination: NonZeroU16::new(443),
            flags: Some(TcpFlagsMatch::exactly(TcpFlags(18)))
        })
    );
    let udp = packet("{transportHeader: {udp: {srcPort: 5353, dstPort: 53}}}");
    assert_eq!(udp.family(), None);
    assert_eq!(udp.transport().unwrap().ports(), Some(ports(5353, 53)));
    let sctp = packet("{ipHeader: {protocol: 132, flags: 0}, transportHeader: {sctp: {dstPort: 36412}}}");
    assert_eq!(sctp.ip_flags(), Some(0));
    assert_eq!(sctp.transport().unwrap().ports(), Some(ports(0, 36412)));
    let icmp = packet("{transportHeader: {icmp: {id: 7, sequence: 8, type: 13, code: 0}}}");
    let header = IcmpSpec {
        icmp_type: Some(13),
        code: Some(0),
        id: Some(7),
        sequence: Some(8),
    };
    assert_eq!(icmp.transport(), Some(&TransportSpec::Icmp(header)));
    // Both numbers mean ICMPv6 under an IPv6 header: Antrea's own command line writes 1.
    for next_header in [1, 58] {
        let icmpv6 = packet(&format!("{{ipv6Header: {{nextHeader: {next_header}}}}}"));
        assert_eq!(icmpv6.transport(), Some(&TransportSpec::Icmp(IcmpSpec::default())));
    }
    let gre = packet("{ipHeader: {protocol: 47}}");
    assert_eq!(gre.transport().unwrap().protocol(IpFamily::V4).0, 47);
    // 0 is how Antrea's objects say that nothing was asked for.
    let open = packet("{ipHeader: {protocol: 0, ttl: 0}, transportHeader: {}}");
    assert_eq!((open.transport(), open.ttl()), (None, None));
}

#[test]
fn live_traffic_needs_only_one_pod() {
    let live = |ends: &str| {
        let text = format!(
            "{}  liveTraffic: true\n{ends}",
            &MANIFEST[..MANIFEST.find("  source:").unwrap()]
        );
        read(&text)[0].spec().ask().clone()
    };
    let expected = |source, destination| Ask::Live {
        source,
        destination,
        dropped_only: false,
    };
    assert_eq!(
        live("  source: {pod: pod1, namespace: default}\n"),
        expected(Some(Source::Pod(pod("pod1"))), None)
    );
    assert_eq!(
        live("  source: {ip: 8.8.8.8}\n  destination: {pod: pod1, namespace: default}\n"),
        expected(
            Some(Source::Address([8, 8, 8, 8].into())),
            Some(Destination::Pod(pod("pod1")))
        )
    );
    assert_eq!(
        live("  source: {}\n  destination: {pod: pod1, namespace: default}\n"),
        expected(None, Some(Destination::Pod(pod("pod1"))))
    );
    assert_eq!(
        live("  source: {pod: pod1, namespace: default}\n  destination: {service: web, namespace: default}\n"),
        expected(Some(Source::Pod(pod("pod1"))), Some(Destination::Service(pod("web"))))
    );
}

#[test]
fn a_namespace_that_may_be_missing_is_default_and_the_result_says_so() {
    let text = "
apiVersion: crd.antrea.io/v1beta1
kind: Traceflow
metadata: {name: tf}
spec: {liveTraffic: true, source: {pod: pod1}, destination: {service: web}}
";
    let manifests = read(text);
    let spec = manifests[0].spec();
    assert!(matches!(spec.ask(), Ask::Live { source: Some(Source::Pod(name)), .. } if *name == pod("pod1")));
    let choices: Vec<String> = spec.choices().iter().map(ToString::to_string).collect();
    assert_eq!(
        choices,
        [
            "source namespace default (none was given)",
            "destination namespace default (none was given)"
        ]
    );
}

#[test]
fn live_traffic_of_any_ttl_and_flags_is_taken_and_the_result_says_so() {
    let text = MANIFEST
        .replace("protocol: 6", "{protocol: 6, ttl: 3, flags: 2}")
        .replace("ipHeader:\n      ", "ipHeader: ");
    let injected = &read(&text)[0];
    assert_eq!(injected.spec().packet().ttl().map(u8::from), Some(3));
    let live = &read(&format!("{text}  liveTraffic: true\n"))[0];
    assert_eq!(live.spec().packet().ttl(), None);
    let choices = live.spec().choices().iter();
    let choices: Vec<_> = choices
        .map(|choice| format!("{} {}", choice.what, choice.chosen))
        .collect();
    assert_eq!(
        choices,
        [
            "TTL any (live traffic is not chosen by it)",
            "IP flags any (live traffic is not chosen by it)"
        ]
    );
}

#[test]
fn whole_numbers_are_read_in_each_form_that_json_has() {
    for number in ["6", "6.0", "0.6e1", "0x6"] {
        let manifest = &read(&MANIFEST.replace("protocol: 6", &format!("protocol: {number}")))[0];
        let transport = manifest.spec().packet().transport().map(|of| of.protocol(IpFamily::V4));
        assert_eq!(transport.map(|protocol| protocol.0), Some(6), "{number}");
    }
}

#[test]
fn an_ipv4_address_written_as_ipv6_is_the_ipv4_address() {
    let text = MANIFEST.replace("    namespace: default\n    pod: pod2\n", "    ip: ::ffff:10.0.0.1\n");
    let manifests = read(&text);
    assert!(matches!(
        manifests[0].spec().ask(),
        Ask::Inject { destination: Destination::Address(address), .. } if address.is_ipv4()
    ));
}

#[test]
fn a_mistake_can_be_shown_with_its_line() {
    let text = Text::new("tf.yaml", MANIFEST.replace("dstPort: 80", "dstPort: 99999"));
    assert_eq!(
        Manifest::read(&text).unwrap_err().excerpt(),
        "\
error: spec.packet.transportHeader.tcp.dstPort: 99999 is out of range; use 1 to 65535
  --> tf.yaml:17:9
   |
17 |         dstPort: 99999
   |         ^^^^^^^"
    );
}
