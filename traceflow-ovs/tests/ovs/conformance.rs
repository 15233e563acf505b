//! What the `Datapath` trait promises, on real switches.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use testbed::fabric::Form;
use tokio::task::spawn_blocking;
use traceflow_conformance::{
    Feature, Journey, Need, Network, Outage, Outcome, ServiceCall, StartError, Suite, Workloads,
};
use traceflow_core::datapath::Datapath;
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::packet::{Packet, Protocol};
use traceflow_ovs::Instance;
use traceflow_ovs::layout::Carrier;
use traceflow_sim::Cluster;

use crate::support::World;

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
fn cluster() -> Cluster {
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
    builder.yaml(CLOSED).yaml(SERVICE).build().unwrap()
}

fn network(world: &Arc<World>) -> Network {
    let client = ObjectName::new("default", "client");
    let to = |name: &str| Journey::between(client.clone(), ObjectName::new("default", name));
    let outside: IpAddr = [192, 0, 2, 1].into();
    let datapaths = world.reopened(Instance::new(0));
    let datapaths = datapaths.into_iter().map(|datapath| datapath as Arc<dyn Datapath>);
    let successors = world.clone();
    Network {
        cross_node: Some(to("remote")),
        dropped: Some(to("closed")),
        outside: Some(Journey::to_address(client.clone(), outside)),
        routed: Some(to("remote")),
        service: Some(ServiceCall {
            from: client.clone(),
            service: ObjectName::new("default", "service"),
            endpoints: ["server", "remote"].map(|name| ObjectName::new("default", name)).into(),
        }),
        workloads: Some(Arc::new(Pods(world.clone()))),
        predictor: Some(world.cluster.clone()),
        successor: Some(Arc::new(move |node| {
            let heirs = successors.reopened(Instance::new(0));
            heirs.into_iter().find(|heir| heir.node() == node).unwrap()
        })),
        restart: Some(outage(world, World::restart)),
        kill: Some(outage(world, World::kill)),
        ..Network::new(datapaths.collect(), world.cluster.clone(), to("server"))
    }
}

fn outage(world: &Arc<World>, outage: fn(&World, &NodeName) -> Result<(), String>) -> Outage {
    let world = world.clone();
    Arc::new(move |node| {
        let (world, node) = (world.clone(), node.clone());
        Box::pin(async move { spawn_blocking(move || outage(&world, &node)).await.unwrap() })
    })
}

/// What the Pods send, and what they are handed.
struct Pods(Arc<World>);

#[async_trait]
impl Workloads for Pods {
    async fn send(&self, from: &ObjectName, packet: &Packet) -> Result<(), String> {
        self.0.send(from, packet)
    }

    fn counts(&self) -> bool {
        true
    }

    async fn received(&self, pod: &ObjectName) -> u64 {
        self.0.fabric().received(pod).unwrap()
    }
}

/// Every case on the same switches: it leaves them clean or fails.
async fn keeps_the_promises(form: Form, carrier: Carrier) {
    let world = Arc::new(World::with_carrier(cluster(), form, carrier));
    let suite = Suite {
        patience: Duration::from_secs(12),
        quiet: Duration::from_millis(100),
        limit: Duration::from_secs(180),
        only: std::env::var("TRACEFLOW_CONFORMANCE").unwrap_or_default(),
        ..Suite::default()
    };
    let start = || async {
        let world = world.clone();
        spawn_blocking(move || {
            world.revive();
            world
        })
        .await
        .map(|world| network(&world))
        .map_err(StartError::from)
    };
    let report = suite.run(start).await;
    println!("{report}");
    report.assert_passed();
    for entry in report.cases {
        if let Outcome::Skipped(reason) = entry.outcome {
            let for_less = entry.case.needs.iter().any(|need| matches!(need, Need::Cannot(_)));
            let unclaimed = entry.case.needs.iter().any(|need| UNCLAIMED.contains(need));
            assert!(for_less || unclaimed, "{}: {reason}", entry.case.name);
        }
    }
}

/// The userspace datapath doesn't track SCTP; DSCP can't be told from a stranger's without a flow for each probe.
const UNCLAIMED: [Need; 3] = [
    Need::Can(Feature::Protocol(Protocol::SCTP)),
    Need::Can(Feature::EveryProtocol),
    Need::Can(Feature::StandingWatch),
];

#[tokio::test(flavor = "multi_thread")]
async fn rootless_switches_keep_the_promises() {
    keeps_the_promises(Form::Rootless, Carrier::TunnelId).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn switches_with_real_pods_keep_the_promises() {
    if let Err(missing) = Form::Root.check() {
        println!("skipped: {missing}");
        return;
    }
    keeps_the_promises(Form::Root, Carrier::TunnelId).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn switches_keep_the_promises_with_dscp_as_the_carrier() {
    keeps_the_promises(Form::Rootless, Carrier::Dscp).await;
}
