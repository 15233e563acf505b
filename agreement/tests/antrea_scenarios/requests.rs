//! What Antrea refuses and why here, and the packets that it makes of what it takes: its end-to-end test's requests, and those of the
//! tests of its controller (`pkg/agent/controller/traceflow/traceflow_controller_test.go`).
//!
//! Left out: what Antrea refuses because its Service proxy is switched off, which ours knows nothing of; and the ways of its
//! controller's own queue.

use std::fmt::Write;

use expect_test::expect;
use traceflow_core::input::Text;
use traceflow_core::packet::{CapturedPacket, CapturedTransport, Packet};
use traceflow_core::plan::{Plan, Question};
use traceflow_core::spec::Manifest;
use traceflow_sim::{Cluster, ClusterBuilder};

use crate::policed;

const POD: &str = "pod: node1-pod0, namespace: default";

/// Pods and Services of either family alone, a Service without an address, and one without ports.
fn cluster() -> Cluster {
    let one_family = |builder: ClusterBuilder, family: &str, address: &str, range: &str| {
        builder
            .pod(&format!("only-{family}"), "node1")
            .address(address)
            .yaml(&format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{name: portless-{family}, namespace: default}}\n\
                 spec: {{clusterIP: '{range}', ports: []}}"
            ))
    };
    let builder = policed().pod("host", "node1").host_network();
    let builder = one_family(builder, "v4", "10.244.0.50", "10.96.0.50");
    let builder = one_family(builder, "v6", "fd00:10:244::50", "fd00:10:96::50");
    builder.service("headless", 80).headless().build().unwrap()
}

/// The packet that a request comes to, or why it is refused.
fn answer(cluster: &Cluster, spec: &str) -> String {
    let text =
        format!("apiVersion: crd.antrea.io/v1beta1\nkind: Traceflow\nmetadata: {{name: tf}}\nspec: {{{spec}}}\n");
    let manifests = Manifest::read(&Text::new("tf.yaml", text));
    let plan = manifests.and_then(|manifests| manifests[0].plan(cluster, &mut fastrand::Rng::with_seed(1)));
    match plan {
        Ok(plan) => asked(&plan),
        Err(error) => error.to_string(),
    }
}

fn asked(plan: &Plan) -> String {
    match &plan.question {
        Question::Inject { packet, .. } => prepared(packet),
        Question::Live { matching, .. } => {
            let mut text = String::from("live traffic");
            let addresses = [("from", matching.source), ("to", matching.destination)];
            for (word, address) in addresses {
                let _ = address.map(|address| write!(text, " {word} {address}"));
            }
            let _ = matching.protocol.map(|protocol| write!(text, ", protocol {protocol}"));
            text
        }
    }
}

fn prepared(packet: &Packet) -> String {
    let CapturedPacket {
        source,
        destination,
        ttl,
        protocol,
        transport,
        ..
    } = CapturedPacket::from(packet);
    let mut text = format!("{source} > {destination}, protocol {protocol}, TTL {ttl}");
    let _ = match transport {
        CapturedTransport::Tcp {
            source,
            destination,
            flags,
            ..
        } => write!(
            text,
            ", ports {source} > {destination}, flags {}",
            flags.map_or(0, |flags| flags.0)
        ),
        CapturedTransport::Udp { source, destination } => write!(text, ", ports {source} > {destination}"),
        CapturedTransport::Icmp(header) => write!(text, ", {header:?}"),
        _ => Ok(()),
    };
    text
}

fn check(requests: &[(&str, String)], expected: &expect_test::Expect) {
    let cluster = cluster();
    let answers = requests
        .iter()
        .map(|(name, spec)| format!("{name}: {}\n", answer(&cluster, spec)));
    expected.assert_eq(&answers.collect::<String>());
}

fn from_pod(destination: &str, packet: &str) -> String {
    format!("source: {{{POD}}}, destination: {{{destination}}}, packet: {{{packet}}}")
}

const TO_POD: &str = "pod: node1-pod1, namespace: default";

#[test]
fn of_the_end_to_end_test() {
    let with_source = |source: &str| format!("source: {{{source}}}, destination: {{{TO_POD}}}");
    check(
        &[
            (
                "nonExistingDstPodIPv4",
                from_pod("pod: non-existing-pod, namespace: default", ""),
            ),
            (
                "nonExistingDstPodIPv6",
                from_pod(
                    "pod: non-existing-pod, namespace: default",
                    "ipv6Header: {nextHeader: 58}",
                ),
            ),
            (
                "Source Pod must be specified in non-live-traffic Traceflow",
                format!("destination: {{{TO_POD}}}"),
            ),
            (
                "Traceflow should have either source or destination Pod assigned",
                "liveTraffic: true, source: {ip: 10.1.1.1}, destination: {ip: 10.1.1.2}".to_owned(),
            ),
            (
                "Assigned source pod must exist",
                with_source("pod: unknown, namespace: default"),
            ),
            (
                "Using hostNetwork Pod as source in non-live-traffic Traceflow is not supported",
                with_source("pod: host, namespace: default"),
            ),
            (
                "Valid request",
                format!("liveTraffic: true, {}", with_source("pod: host, namespace: default")),
            ),
        ],
        &expect![[r#"
            nonExistingDstPodIPv4: tf.yaml:4:69: spec.destination.pod: Pod default/non-existing-pod is not in the cluster; check its name and namespace
            nonExistingDstPodIPv6: tf.yaml:4:69: spec.destination.pod: Pod default/non-existing-pod is not in the cluster; check its name and namespace
            Source Pod must be specified in non-live-traffic Traceflow: tf.yaml:4:1: spec.source: is missing; name the Pod that sends
            Traceflow should have either source or destination Pod assigned: tf.yaml:4:27: spec.source.pod: is missing; name a Pod here or as destination: at least one end must be a Pod
            Assigned source pod must exist: tf.yaml:4:17: spec.source.pod: Pod default/unknown is not in the cluster; check its name and namespace
            Using hostNetwork Pod as source in non-live-traffic Traceflow is not supported: tf.yaml:4:17: spec.source.pod: Pod default/host uses its node's network, so it has no port to inject at; choose a Pod without hostNetwork
            Valid request: live traffic from 172.18.0.2 to 10.244.0.3
        "#]],
    );
}

#[test]
fn of_the_controllers_tests() {
    let live = |spec: String| format!("liveTraffic: true, {spec}");
    let from = |pod: &str, packet: &str| {
        format!("source: {{pod: {pod}, namespace: default}}, destination: {{{TO_POD}}}, packet: {{{packet}}}")
    };
    let six = |protocol: u8| format!("ipv6Header: {{nextHeader: {protocol}}}");
    check(
        &[
            ("invalid destination IPv4", from_pod("ip: 1.1.1.300", "")),
            ("empty destination with no live traffic", format!("source: {{{POD}}}")),
            (
                "receive only from a source IPv4 to destination Pod1 in live traffic traceflow",
                live(format!("source: {{ip: 192.168.12.4}}, destination: {{{TO_POD}}}")),
            ),
            (
                "tcp packet",
                from_pod(TO_POD, "transportHeader: {tcp: {srcPort: 80, dstPort: 81, flags: 11}}"),
            ),
            (
                "tcp packet without flag",
                from_pod(TO_POD, "transportHeader: {tcp: {srcPort: 80, dstPort: 81}}"),
            ),
            (
                "udp packet",
                from_pod(TO_POD, "transportHeader: {udp: {srcPort: 90, dstPort: 100}}"),
            ),
            (
                "icmp packet",
                from_pod(TO_POD, "transportHeader: {icmp: {id: 10, sequence: 20}}"),
            ),
            (
                "source Pod without IPv4 address",
                from("only-v6", "ipHeader: {protocol: 1}"),
            ),
            ("source Pod without IPv6 address", from("only-v4", &six(58))),
            (
                "destination IP family different from packet",
                from_pod("ip: 192.168.1.2", &six(6)),
            ),
            (
                "source IP family different from packet for receiver only case",
                live(format!(
                    "source: {{ip: 192.168.12.4}}, destination: {{{TO_POD}}}, packet: {{{}}}",
                    six(6)
                )),
            ),
            (
                "destination Pod unavailable",
                from_pod("pod: unknown pod, namespace: default", ""),
            ),
            (
                "destination Pod without IPv4 address in live traffic traceflow",
                live(from_pod("pod: only-v6, namespace: default", "ipHeader: {protocol: 6}")),
            ),
            (
                "destination Pod without IPv6 address in live traffic traceflow",
                live(from_pod("pod: only-v4, namespace: default", &six(6))),
            ),
            (
                "Pod-to-IPv6 liveTraffic traceflow",
                live(from_pod("ip: '2001:db8::68'", &six(58))),
            ),
            (
                "Pod-to-service packet without port and protocol",
                from_pod("service: svc, namespace: default", "ipHeader: {}"),
            ),
            (
                "Pod-to-service packet with port and protocol",
                from_pod(
                    "service: svc, namespace: default",
                    "ipHeader: {protocol: 17}, transportHeader: {udp: {dstPort: 8080}}",
                ),
            ),
            (
                "IPv6 Pod-to-headless-service with no ClusterIP",
                from_pod("service: headless, namespace: default", &six(6)),
            ),
            (
                "IPv6 Pod-to-service with no ports",
                from_pod("service: portless-v6, namespace: default", &six(6)),
            ),
        ],
        &expect![[r#"
            invalid destination IPv4: tf.yaml:4:69: spec.destination.ip: "1.1.1.300" is not valid; use an IPv4 or IPv6 address such as 10.0.0.1 or fd00::1
            empty destination with no live traffic: tf.yaml:4:1: spec.destination: is missing; name a Pod, a Service or an IP address
            receive only from a source IPv4 to destination Pod1 in live traffic traceflow: live traffic from 192.168.12.4 to 10.244.0.3
            tcp packet: 10.244.0.2 > 10.244.0.3, protocol TCP, TTL 64, ports 80 > 81, flags 11
            tcp packet without flag: 10.244.0.2 > 10.244.0.3, protocol TCP, TTL 64, ports 80 > 81, flags 2
            udp packet: 10.244.0.2 > 10.244.0.3, protocol UDP, TTL 64, ports 90 > 100
            icmp packet: 10.244.0.2 > 10.244.0.3, protocol ICMP, TTL 64, IcmpHeader { icmp_type: 8, code: 0, id: 10, sequence: 20 }
            source Pod without IPv4 address: tf.yaml:4:17: spec.source.pod: Pod default/only-v6 has no IPv4 address; choose another, or ask for the other address family
            source Pod without IPv6 address: tf.yaml:4:17: spec.source.pod: Pod default/only-v4 has no IPv6 address; choose another, or ask for the other address family
            destination IP family different from packet: tf.yaml:4:69: spec.destination.ip: 192.168.1.2 is an IPv4 address, but the packet is IPv6; use one family for both
            source IP family different from packet for receiver only case: tf.yaml:4:36: spec.source.ip: 192.168.12.4 is an IPv4 address, but the packet is IPv6; use one family for both
            destination Pod unavailable: tf.yaml:4:69: spec.destination.pod: "unknown pod" is not valid; use a name of lower-case letters, digits, '-' and '.', without its namespace
            destination Pod without IPv4 address in live traffic traceflow: tf.yaml:4:88: spec.destination.pod: Pod default/only-v6 has no IPv4 address; choose another, or ask for the other address family
            destination Pod without IPv6 address in live traffic traceflow: tf.yaml:4:88: spec.destination.pod: Pod default/only-v4 has no IPv6 address; choose another, or ask for the other address family
            Pod-to-IPv6 liveTraffic traceflow: live traffic from fd00:10:244::2 to 2001:db8::68, protocol ICMPv6
            Pod-to-service packet without port and protocol: 10.244.0.2 > 10.96.0.10, protocol TCP, TTL 64, ports 47094 > 80, flags 2
            Pod-to-service packet with port and protocol: 10.244.0.2 > 10.96.0.10, protocol UDP, TTL 64, ports 47094 > 8080
            IPv6 Pod-to-headless-service with no ClusterIP: tf.yaml:4:69: spec.destination.service: Service default/headless has no cluster address of its own; name one of its Pods instead
            IPv6 Pod-to-service with no ports: tf.yaml:4:69: spec.destination.service: Service default/portless-v6 has no TCP port; say which port the packet goes to
        "#]],
    );
}
