//! The simulated network passes the suite, whatever it is told to claim.

#![expect(clippy::unwrap_used, reason = "a broken network of ours should stop the test")]

use std::future::ready;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use traceflow_conformance::{
    Journey, Need, Network, Outage, Outcome, Report, ServiceCall, StartError, Successor, Suite, Workloads,
};
use traceflow_core::datapath::Capabilities;
use traceflow_core::input::BadInput;
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::packet::{IpFamily, IpHeader, Packet, Protocol, Transport};
use traceflow_core::plan::TcpFlagsMatch;
use traceflow_core::spec::{IcmpSpec, PacketSpec};
use traceflow_sim::{Cluster, Settings, SimNetwork, Traffic};

const CLOSED: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: default}
spec: {podSelector: {matchLabels: {app: closed}}}";

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: service, namespace: default}
spec:
  clusterIPs: [10.96.0.10, 'fd00:96::10']
  selector: {serves: everybody}
  ports:
  - {name: tcp, protocol: TCP, port: 80}
  - {name: udp, protocol: UDP, port: 80}
";

/// Two nodes and Pods of both families, one of them closed by a policy.
fn cluster() -> Result<Cluster, BadInput> {
    let mut builder = Cluster::builder();
    for (node, range) in [("one", "1"), ("two", "2")] {
        builder = builder.node(node).pod_cidr(&format!("10.0.{range}.0/24"));
        builder = builder.pod_cidr(&format!("fd00:0:0:{range}::/64"));
    }
    let pods = [
        ("client", "one", 10),
        ("server", "one", 11),
        ("closed", "one", 12),
        ("remote", "two", 10),
    ];
    for (pod, node, number) in pods {
        let range = if node == "one" { 1 } else { 2 };
        builder = builder.pod(pod, node).label("app", pod);
        if matches!(pod, "server" | "remote") {
            builder = builder.label("serves", "everybody");
        }
        builder = builder.address(&format!("10.0.{range}.{number}"));
        builder = builder.address(&format!("fd00:0:0:{range}::{number}"));
    }
    builder.yaml(CLOSED).yaml(SERVICE).build()
}

fn network(capabilities: Capabilities) -> Result<Network, StartError> {
    let v4 = capabilities.ipv4;
    let settings = Settings {
        capabilities,
        ..Settings::default()
    };
    let sim = SimNetwork::with_settings(cluster()?, settings);
    let client = ObjectName::new("default", "client");
    let to = |name: &str| Journey::between(client.clone(), ObjectName::new("default", name));
    let outside: IpAddr = if v4 { "192.0.2.1" } else { "2001:db8::1" }.parse()?;
    Ok(Network {
        cross_node: Some(to("remote")),
        dropped: Some(to("closed")),
        outside: Some(Journey::to_address(client.clone(), outside)),
        routed: Some(to("remote")),
        service: Some(ServiceCall {
            from: client.clone(),
            service: ObjectName::new("default", "service"),
            endpoints: ["server", "remote"].map(|name| ObjectName::new("default", name)).into(),
        }),
        workloads: Some(Arc::new(Pods(sim.clone()))),
        predictor: Some(Arc::new(sim.clone())),
        successor: Some(successor(sim.clone())),
        restart: Some(outage(sim.clone(), SimNetwork::restart)),
        kill: Some(outage(sim.clone(), SimNetwork::kill)),
        ..Network::new(sim.datapaths(), sim.cluster().clone(), to("server"))
    })
}

/// What a tracer finds that comes after all those before.
fn successor(sim: SimNetwork) -> Successor {
    Arc::new(move |node| sim.for_another_tracer().datapath(node).unwrap())
}

fn outage(sim: SimNetwork, outage: fn(&SimNetwork, &NodeName)) -> Outage {
    Arc::new(move |node| {
        outage(&sim, node);
        Box::pin(ready(Ok(())))
    })
}

/// The simulated workloads.
struct Pods(SimNetwork);

#[async_trait]
impl Workloads for Pods {
    async fn send(&self, from: &ObjectName, packet: &Packet) -> Result<(), String> {
        let sent = spec(packet).map_err(|error| error.to_string())?;
        let traffic = Traffic::new(from.clone(), packet.ip.destination(), sent).unanswered();
        self.0.send(&traffic).map(drop).map_err(|error| error.to_string())
    }

    fn counts(&self) -> bool {
        true
    }

    async fn received(&self, pod: &ObjectName) -> u64 {
        self.0.received(pod)
    }
}

fn spec(packet: &Packet) -> Result<PacketSpec, BadInput> {
    let spec = PacketSpec::of(packet.protocol()).with_family(IpFamily::of(packet.ip.source()))?;
    let spec = match &packet.ip {
        IpHeader::V4(header) => spec.with_dscp(header.dscp)?,
        IpHeader::V6(header) => spec.with_dscp(header.dscp)?,
    };
    let spec = match packet.transport.ports() {
        Some((source, destination)) => spec.with_ports(Some(source), Some(destination))?,
        None => spec,
    };
    match packet.transport {
        Transport::Tcp { flags, .. } => spec.with_tcp_flags(TcpFlagsMatch::exactly(flags)),
        Transport::Icmp(header) | Transport::Icmpv6(header) => spec.with_icmp(IcmpSpec {
            icmp_type: Some(header.icmp_type),
            code: Some(header.code),
            id: Some(header.id),
            sequence: Some(header.sequence),
        }),
        _ => Ok(spec),
    }
}

async fn report(capabilities: Capabilities) -> Report {
    let start = || async { network(capabilities.clone()) };
    Suite::default().run(start).await
}

async fn passes(capabilities: Capabilities) {
    report(capabilities).await.assert_passed();
}

fn everything() -> Capabilities {
    Settings::default().capabilities
}

#[tokio::test(start_paused = true)]
async fn the_simulator_keeps_its_promises() {
    passes(everything()).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_skipped_but_what_is_for_those_who_claim_less() {
    let mut skipped = report(everything()).await.cases;
    skipped.retain(|entry| matches!(entry.outcome, Outcome::Skipped(_)));
    for entry in skipped {
        let for_less = entry.case.needs.iter().any(|need| matches!(need, Need::Cannot(_)));
        assert!(for_less, "{}: {:?}", entry.case.name, entry.outcome);
    }
}

#[tokio::test(start_paused = true)]
async fn a_simulator_that_injects_only_keeps_its_promises() {
    let injects = Capabilities {
        live: false,
        dropped_only: false,
        window: None,
        counts_matches: false,
        ..everything()
    };
    passes(injects).await;
}

#[tokio::test(start_paused = true)]
async fn a_simulator_that_follows_real_traffic_only_keeps_its_promises() {
    passes(Capabilities {
        inject: false,
        ..everything()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_simulator_of_ipv6_and_udp_keeps_its_promises() {
    let limited = Capabilities {
        ipv4: false,
        protocols: Some(vec![Protocol::UDP]),
        dropped_only: false,
        ..everything()
    };
    passes(limited).await;
}

#[tokio::test(start_paused = true)]
async fn a_simulator_without_nonce_watch_and_count_keeps_its_promises() {
    let plain = Capabilities {
        nonce: false,
        standing_watch: false,
        window: None,
        counts_matches: false,
        marks: 2,
        ..everything()
    };
    passes(plain).await;
}
