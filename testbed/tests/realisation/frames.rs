//! Real frames through real switches: what a trace can't show, for it asks no connection tracking, translates nothing back
//! and learns nothing.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use testbed::fabric::{Fabric, Form, PodLink, Settings};
use testbed::realisation::realise;
use traceflow_core::inventory::Inventory;
use traceflow_core::names::ObjectName;
use traceflow_core::packet::{CapturedPacket, IcmpHeader, IpFamily, MacAddress, Nonce, Packet, TcpFlags, Transport};
use traceflow_core::plan::Question;
use traceflow_core::trace::{Predictor, Verdict};
use traceflow_sim::Cluster;

use crate::switches_are_installed;
use crate::walk::{packet, plan};

/// Far more than a frame needs.
const PATIENCE: Duration = Duration::from_secs(10);

/// A cluster of real switches, all Pods of which are the test.
struct Network {
    fabric: Fabric,
    cluster: Cluster,
    pods: BTreeMap<String, PodLink>,
}

/// A frame that a Pod was handed.
struct Received {
    pod: String,
    macs: (MacAddress, MacAddress),
    packet: CapturedPacket,
}

impl Network {
    fn of(file: &str) -> Option<Self> {
        if !switches_are_installed() {
            return None;
        }
        let cluster = Cluster::from_paths([Path::new(env!("CARGO_MANIFEST_DIR")).join(file)]).unwrap();
        let fabric = Fabric::start(realise(&cluster).unwrap(), Settings::new(Form::Rootless)).unwrap();
        let names: Vec<ObjectName> = fabric.pods().map(|pod| pod.pod.clone()).collect();
        let link = |name: ObjectName| (name.to_string(), fabric.pod_link(&name).unwrap());
        let pods = names.into_iter().map(link).collect();
        Some(Self { fabric, cluster, pods })
    }

    fn send(&self, pod: &str, packet: &Packet) {
        self.pods[pod].send(&packet.to_vec()).unwrap();
    }

    /// The next frame that a Pod is handed, as bytes.
    fn frame(&mut self, pod: &str) -> Option<Vec<u8>> {
        self.pods.get_mut(pod).unwrap().receive(PATIENCE).unwrap()
    }

    /// The next frame that a Pod is handed.
    fn receive(&mut self, pod: &str, patience: Duration) -> Option<Received> {
        let frame = self.pods.get_mut(pod).unwrap().receive(patience).unwrap()?;
        Some(Received {
            pod: pod.to_owned(),
            macs: (mac(&frame[6..12]), mac(&frame[..6])),
            packet: CapturedPacket::from_frame(&frame).unwrap(),
        })
    }

    /// The next frame that any Pod is handed.
    #[track_caller]
    fn receive_anywhere(&mut self) -> Received {
        let pods: Vec<String> = self.pods.keys().cloned().collect();
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(received) = pods.iter().find_map(|pod| self.receive(pod, Duration::from_millis(1))) {
                return received;
            }
        }
        panic!("no Pod was handed anything");
    }

    fn assert_silent(&mut self) {
        let pods: Vec<String> = self.pods.keys().cloned().collect();
        for pod in pods {
            let frame = self.receive(&pod, Duration::from_millis(1));
            assert!(frame.is_none(), "{pod} was handed {:?}", frame.unwrap().packet);
        }
    }

    /// A datapath that remembers no decision, only connections: what was learned in the meantime is asked.
    fn forget_decisions(&self) {
        for node in self.fabric.nodes() {
            let mut purge = Command::new("ovs-appctl");
            let purge = purge.arg("-t").arg(&node.unixctl).arg("revalidator/purge");
            assert!(purge.status().unwrap().success());
        }
    }

    /// A Service's address.
    fn service(&self, name: &str, family: IpFamily) -> IpAddr {
        let service = self.cluster.service(&ObjectName::new("default", name)).unwrap();
        let mut addresses = service.cluster_ips.into_iter();
        addresses.find(|&address| IpFamily::of(address) == family).unwrap()
    }

    /// A Pod's end of a connection to somewhere: to a neighbour straight, else by way of its gateway.
    fn client(&self, pod: &str, port: u16, to: SocketAddr) -> Speaker {
        let entry = self.cluster.pod(&ObjectName::new("default", pod)).unwrap();
        let node = self.cluster.node(entry.node.as_ref().unwrap()).unwrap();
        let own = entry.address(IpFamily::of(to.ip())).unwrap();
        let neighbour = self
            .fabric
            .nodes()
            .find(|switch| switch.name == node.name)
            .and_then(|switch| {
                let mut neighbours = switch.pods.iter();
                neighbours.find(|pod| pod.addresses.contains(&to.ip()))
            });
        Speaker {
            pod: format!("default/{pod}"),
            macs: (entry.mac.unwrap(), neighbour.map_or(node.gateway_mac, |pod| pod.mac)),
            own: SocketAddr::new(own, port),
            other: to,
        }
    }
}

/// One end of a connection.
struct Speaker {
    pod: String,
    macs: (MacAddress, MacAddress),
    own: SocketAddr,
    other: SocketAddr,
}

impl Speaker {
    /// Whoever was handed this frame, ready to answer.
    fn answering(received: &Received) -> Self {
        let (from, to) = received.packet.transport.ports().unwrap();
        Self {
            pod: received.pod.clone(),
            macs: (received.macs.1, received.macs.0),
            own: SocketAddr::new(received.packet.destination, to),
            other: SocketAddr::new(received.packet.source, from),
        }
    }

    /// The nonce of a segment is its sequence and acknowledgement numbers.
    fn segment(&self, flags: TcpFlags, sequence: u32, acknowledged: u32) -> Packet {
        let packet = Packet::ethernet(self.macs.0, self.macs.1)
            .ip(self.own.ip(), self.other.ip())
            .unwrap();
        let nonce = Nonce((u64::from(sequence) << 32) | u64::from(acknowledged));
        packet
            .nonce(nonce)
            .tcp(self.own.port(), self.other.port(), flags)
            .unwrap()
    }

    fn datagram(&self, nonce: u64) -> Packet {
        let packet = Packet::ethernet(self.macs.0, self.macs.1)
            .ip(self.own.ip(), self.other.ip())
            .unwrap();
        packet
            .nonce(Nonce(nonce))
            .udp(self.own.port(), self.other.port())
            .unwrap()
    }

    /// That the frame comes from the other end, and is for this one.
    fn assert_hears(&self, received: &Received) {
        let (from, to) = received.packet.transport.ports().unwrap();
        assert_eq!(received.pod, self.pod);
        assert_eq!(SocketAddr::new(received.packet.source, from), self.other);
        assert_eq!(SocketAddr::new(received.packet.destination, to), self.own);
        assert_eq!(received.macs.1, self.macs.0);
    }
}

const SYN_ACK: TcpFlags = TcpFlags(0x12);
const ACK: TcpFlags = TcpFlags(0x10);

/// Opens a connection to a Service and says something on it; the Pod that answered.
fn converse(network: &mut Network, client: &Speaker) -> Received {
    network.send(&client.pod, &client.segment(TcpFlags::SYN, 1000, 0));
    let asked = network.receive_anywhere();
    let server = Speaker::answering(&asked);
    network.send(&server.pod, &server.segment(SYN_ACK, 7000, 1001));
    let answered = network.receive_anywhere();
    client.assert_hears(&answered);
    network.send(&client.pod, &client.segment(ACK, 1001, 7001));
    let said = network.receive_anywhere();
    server.assert_hears(&said);
    asked
}

fn mac(bytes: &[u8]) -> MacAddress {
    MacAddress(bytes.try_into().unwrap())
}

#[test]
fn frames_between_pods_arrive_where_it_is_predicted_and_nowhere_else() {
    for (file, flows) in [
        (
            "../examples/demo/cluster.yaml",
            &["tcp,tcp_dst=80", "tcp,tcp_dst=81", "udp,udp_dst=80", "icmp"][..],
        ),
        (
            "tests/realisation/clusters/policies.yaml",
            &[
                "tcp,tcp_dst=80",
                "tcp,tcp_dst=8080",
                "udp,udp_dst=53",
                "icmp",
                "tcp,tcp_dst=80,tcp_flags=0x12",
            ],
        ),
        (
            "tests/realisation/clusters/v6.yaml",
            &[
                "tcp,tcp_dst=80",
                "tcp,tcp_dst=81",
                "icmp",
                "tcp,tcp_dst=80,tcp_flags=0x12",
            ],
        ),
    ] {
        let Some(mut network) = Network::of(file) else { return };
        check_frames(&mut network, flows);
    }
}

fn check_frames(network: &mut Network, flows: &[&str]) {
    let ports: Vec<_> = network.fabric.pods().cloned().collect();
    let mut questions = Vec::new();
    for from in &ports {
        for to in ports.iter().filter(|to| to.pod != from.pod) {
            for address in &to.addresses {
                for flow in crate::agreement::flows_to(*address, flows) {
                    questions.push((from.pod.to_string(), to, *address, flow));
                }
            }
        }
    }
    let mut delivered = 0;
    for (number, (from, to, address, flow)) in (1..).zip(questions) {
        let mut plan = plan(&network.cluster, &from, &address.to_string(), &flow);
        if let Question::Inject { packet, .. } = &mut plan.question {
            // Each is another connection: an echo by its identifier.
            packet.nonce = Nonce(packet.nonce.0 ^ number);
            packet.transport = another(packet.transport.clone(), number as u16);
        }
        let verdict = network.cluster.predict(&plan).unwrap().verdict;
        let asked = packet(&plan).clone();
        network.send(&from, &asked);
        if !matches!(verdict, Verdict::Delivered { .. }) {
            continue;
        }
        let name = to.pod.to_string();
        let Some(received) = network.receive(&name, PATIENCE) else {
            panic!("{asked:?} to {name} got lost");
        };
        assert_eq!(
            received.packet.nonce,
            Some(asked.nonce),
            "{asked:?} was expected at {name}"
        );
        assert_eq!(received.macs.1, to.mac);
        // Pods of one node are neighbours; two nodes are two routers.
        let is_near = network.fabric.nodes().any(|node| {
            let here = |pod: &str| node.pods.iter().any(|port| port.pod.to_string() == pod);
            here(&from) && here(&name)
        });
        assert_eq!(received.packet.ttl, if is_near { 64 } else { 62 });
        delivered += 1;
    }
    assert!(delivered > 0);
    network.assert_silent();
}

/// The same of another connection: from another port, or with another identifier.
fn another(transport: Transport, number: u16) -> Transport {
    let source = 20000 + number;
    match transport {
        Transport::Tcp { destination, flags, .. } => Transport::Tcp {
            source,
            destination,
            flags,
        },
        Transport::Udp { destination, .. } => Transport::Udp { source, destination },
        Transport::Icmp(header) => Transport::Icmp(IcmpHeader { id: number, ..header }),
        Transport::Icmpv6(header) => Transport::Icmpv6(IcmpHeader { id: number, ..header }),
        other => other,
    }
}

#[test]
fn a_client_of_a_service_speaks_with_one_endpoint_and_never_sees_its_address() {
    let Some(mut network) = Network::of("tests/realisation/clusters/services.yaml") else {
        return;
    };
    for family in [IpFamily::V4, IpFamily::V6] {
        let service = SocketAddr::new(network.service("web", family), 80);
        let mut endpoints = BTreeMap::new();
        for port in 0..24 {
            let client = network.client("client", 30000 + port, service);
            // web-2 listens on 8081, which its policy doesn't let in.
            network.send(&client.pod, &client.segment(TcpFlags::SYN, 1, 0));
            let Some(first) = either(&mut network, &["default/web-1", "default/web-3"]) else {
                continue;
            };
            let (source, destination) = (first.packet.source, first.packet.transport.ports().unwrap().1);
            assert_eq!((source, destination), (client.own.ip(), 8080));
            *endpoints.entry(first.pod).or_insert(0) += 1;
        }
        assert_eq!(endpoints.len(), 2, "both endpoints are chosen at times: {endpoints:?}");
    }
}

/// The frame that one of these is handed soon, if any.
fn either(network: &mut Network, pods: &[&str]) -> Option<Received> {
    let deadline = Instant::now() + Duration::from_millis(100);
    while Instant::now() < deadline {
        if let Some(received) = pods
            .iter()
            .find_map(|pod| network.receive(pod, Duration::from_millis(1)))
        {
            return Some(received);
        }
    }
    None
}

#[test]
fn answers_and_what_follows_pass_in_both_directions() {
    let Some(mut network) = Network::of("tests/realisation/clusters/services.yaml") else {
        return;
    };
    for family in [IpFamily::V4, IpFamily::V6] {
        let web_1 = network
            .cluster
            .pod(&ObjectName::new("default", "web-1"))
            .unwrap()
            .address(family)
            .unwrap();
        let web_3 = network
            .cluster
            .pod(&ObjectName::new("default", "web-3"))
            .unwrap()
            .address(family)
            .unwrap();
        for address in [web_1, web_3] {
            let client = network.client("client", 31000, SocketAddr::new(address, 8080));
            converse(&mut network, &client);
        }
        // What isn't an answer is judged: the web servers may send to port 8080 only.
        let own_idea = network.client(
            "web-3",
            8080,
            SocketAddr::new(
                network.client("client", 31001, SocketAddr::new(web_3, 1)).own.ip(),
                31001,
            ),
        );
        network.send(&own_idea.pod, &own_idea.segment(TcpFlags::SYN, 1, 0));
        let to_service = network.client("client", 31002, SocketAddr::new(network.service("itself", family), 80));
        let asked = converse(&mut network, &to_service);
        assert_eq!(asked.pod, "default/web-1");
    }
    network.assert_silent();
}

#[test]
fn a_pod_that_is_its_own_endpoint_is_asked_by_its_gateway() {
    let Some(mut network) = Network::of("tests/realisation/clusters/services.yaml") else {
        return;
    };
    for family in [IpFamily::V4, IpFamily::V6] {
        let itself = network.client("web-1", 32000, SocketAddr::new(network.service("itself", family), 80));
        let asked = converse(&mut network, &itself);
        let gateways = network.fabric.nodes().next().map(|node| node.name.clone());
        let gateways = network.cluster.gateways(&gateways.unwrap());
        assert!(gateways.iter().any(|(gateway, _)| *gateway == asked.packet.source));
    }
    network.assert_silent();
}

#[test]
fn a_client_with_affinity_stays_with_its_endpoint() {
    let Some(network) = Network::of("tests/realisation/clusters/services.yaml") else {
        return;
    };
    for family in [IpFamily::V4, IpFamily::V6] {
        let service = SocketAddr::new(network.service("sticky", family), 53);
        let mut endpoints = Vec::new();
        for port in 0..12 {
            let client = network.client("client", 33000 + port, service);
            // Its policy lets nobody in by UDP; but the choice was made and learned before.
            network.send(&client.pod, &client.datagram(1 + u64::from(port)));
            network.forget_decisions();
            endpoints.extend(learned(&network, client.own.ip()));
        }
        endpoints.dedup();
        assert_eq!(endpoints.len(), 1, "{endpoints:?}");
    }
}

/// The endpoints that a client stays with, as the flows that were learned say it.
fn learned(network: &Network, client: IpAddr) -> Vec<String> {
    let node = network.fabric.nodes().next().unwrap();
    let bridge = format!("unix:{}", node.openflow.display());
    let dumped = Command::new("ovs-ofctl")
        .args(["-OOpenFlow15", "--no-stats", "dump-flows", &bridge, "table=11"])
        .output()
        .unwrap();
    let flows = String::from_utf8(dumped.stdout).unwrap();
    let client = format!("_src={client}");
    let learned = flows.lines().filter(|flow| flow.contains(&client)).map(str::to_owned);
    learned.collect()
}

#[test]
fn a_pod_finds_its_gateway_and_those_of_other_nodes_and_its_neighbours() {
    let Some(mut network) = Network::of("../examples/demo/cluster.yaml") else {
        return;
    };
    let pod1 = network.cluster.pod(&ObjectName::new("default", "pod1")).unwrap();
    let pod2 = network.cluster.pod(&ObjectName::new("default", "pod2")).unwrap();
    let node = network.cluster.node(pod1.node.as_ref().unwrap()).unwrap();
    let own = (pod1.mac.unwrap(), [172, 16, 5, 11]);
    let ask = |network: &Network, target| {
        let request = resolution(1, own, (MacAddress([0; 6]), target));
        network.pods["default/pod1"].send(&request).unwrap();
    };
    let behind_the_tunnel = MacAddress([0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]);
    for (target, mac) in [
        ([172, 16, 5, 1], node.gateway_mac),
        ([172, 16, 3, 1], behind_the_tunnel),
    ] {
        ask(&network, target);
        let answer = network.frame("default/pod1").unwrap();
        assert_eq!(answer, resolution(2, (mac, target), own));
    }
    ask(&network, [172, 16, 5, 12]);
    let asked = network.frame("default/pod2").unwrap();
    assert_eq!(asked, resolution(1, own, (MacAddress([0; 6]), [172, 16, 5, 12])));
    // Nobody may speak for another.
    let claimed = resolution(2, (own.0, [172, 16, 5, 1]), (pod2.mac.unwrap(), [172, 16, 5, 12]));
    network.pods["default/pod1"].send(&claimed).unwrap();
    let honest = resolution(2, own, (pod2.mac.unwrap(), [172, 16, 5, 12]));
    network.pods["default/pod1"].send(&honest).unwrap();
    assert_eq!(network.frame("default/pod2").unwrap(), honest);
}

/// An ARP request (1) or answer (2), RFC 826.
fn resolution(operation: u8, sender: (MacAddress, [u8; 4]), target: (MacAddress, [u8; 4])) -> Vec<u8> {
    let to = if operation == 1 { [0xff; 6] } else { target.0.0 };
    let mut frame = [to, sender.0.0].concat();
    frame.extend([0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, operation]);
    frame.extend([&sender.0.0[..], &sender.1, &target.0.0, &target.1].concat());
    frame
}

#[test]
fn a_pod_is_found_by_its_neighbours_by_ipv6_too() {
    let Some(mut network) = Network::of("tests/realisation/clusters/v6.yaml") else {
        return;
    };
    let client = network.cluster.pod(&ObjectName::new("default", "client")).unwrap();
    let IpAddr::V6(own) = client.addresses[0] else { panic!() };
    let target = "fd00:1::3".parse().unwrap();
    let solicitation = solicitation((client.mac.unwrap(), own), target);
    network.send("default/client", &solicitation);
    let asked = network.receive("default/web-1", PATIENCE).unwrap();
    assert_eq!(asked.packet.nonce, Some(solicitation.nonce));
}

/// The message's type and code; what follows is not what a switch looks at.
fn solicitation((mac, own): (MacAddress, Ipv6Addr), target: Ipv6Addr) -> Packet {
    let [.., a, b, c] = target.octets();
    let group = Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c]);
    let header = IcmpHeader {
        icmp_type: 135,
        code: 0,
        id: 0,
        sequence: 0,
    };
    let packet = Packet::ethernet(mac, MacAddress([0x33, 0x33, 0xff, a, b, c])).ipv6(own, group);
    packet
        .ttl(255)
        .nonce(Nonce(0x0135_0136_0137_0138))
        .icmpv6(header)
        .unwrap()
}
