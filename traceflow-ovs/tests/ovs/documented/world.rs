//! One node with the documented ports and flows, and a tracer over it.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use testbed::fabric::{Fabric, Form, Settings as FabricSettings};
use testbed::realisation::{Gateway, NodeRealisation, PodPort, Program, RuleId};
use traceflow_core::datapath::{Datapath, Mark, Probe, ProbeKind, Report, TraceId};
use traceflow_core::input::Text;
use traceflow_core::inventory::{
    Direction, EgressEntry, Inventory, NodeEntry, Owner, PodEntry, ServiceEntry, ServicePort, Surroundings,
};
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::observation::{Observation, PolicyKind, PolicyRef};
use traceflow_core::packet::{IpBuilder, IpFamily, Ipv4Header, MacAddress, Packet, Protocol, TcpFlags};
use traceflow_core::plan::{FlowMatch, Plan, Question};
use traceflow_core::trace::{Trace, Verdict};
use traceflow_core::tracer::Tracer;
use traceflow_ovs::directory::NodeDirectory;
use traceflow_ovs::nodes::NodeSwitch;
use traceflow_ovs::pipeline::Antrea;
use traceflow_ovs::{Instance, OvsDatapath, Settings};

use super::program::{PORTS, program};
use crate::support::lines;

const GATEWAY_MAC: MacAddress = MacAddress([0xba, 0x5e, 0xd1, 0x55, 0xaa, 0xc0]);

/// The documented Pods and the one that is ours, with the last byte of their addresses.
const PODS: [(&str, u8, MacAddress); 4] = [
    ("client", 26, MacAddress([0x5e, 0xb5, 0xe3, 0xa6, 0x90, 0xb7])),
    ("web", 24, MacAddress([0xfa, 0xb7, 0x53, 0x74, 0x21, 0xa6])),
    ("db", 25, MacAddress([0x36, 0x48, 0x21, 0xa2, 0x9d, 0xb4])),
    ("api", 23, MacAddress([0x0e, 0x00, 0x0a, 0x0a, 0x00, 0x17])),
];

const SERVICES: [(&str, [u8; 4]); 7] = [
    ("sample-clusterip", [10, 105, 31, 235]),
    ("sample-clusterip-no-ep", [10, 101, 255, 29]),
    ("sample-service-session-affinity", [10, 96, 76, 15]),
    ("sample-loadbalancer", [192, 168, 77, 150]),
    ("sample-service-externalip", [192, 168, 77, 200]),
    ("sample-service-etp-local", [192, 168, 77, 151]),
    ("sample-nodeport", [169, 254, 0, 252]),
];

/// Where a path goes on to a node that isn't there, so long is waited for it.
const PATIENCE: Duration = Duration::from_secs(1);

/// How a packet of this tracer is marked in the tunnel.
const TUNNEL_MARK: u32 = 0x10_0001;

/// The documented node.
pub(crate) struct World {
    pub(crate) fabric: Fabric,
    pub(crate) datapath: Arc<OvsDatapath>,
    tracer: Tracer,
    reports: BoxStream<'static, Report>,
    injected: AtomicUsize,
}

impl World {
    /// With the network's flows and those of further files.
    pub(crate) fn with(files: &[&str]) -> Self {
        let mut fabric = Fabric::start(vec![node(Program::default())], FabricSettings::new(Form::Rootless)).unwrap();
        // Flows that name a meter are refused before it is there.
        ofctl(&fabric, &["add-meter"], &["meter=256,pktps,band=type=drop,rate=500"]);
        let files = [&["network", "completion"], files].concat();
        fabric.reprogram(vec![node(program(&files))]).unwrap();
        let datapath = Arc::new(OvsDatapath::open(settings(&fabric)));
        let reports = datapath.reports();
        let tracer = Tracer::builder(Arc::new(Names)).datapath(datapath.clone()).start();
        Self {
            fabric,
            datapath,
            tracer,
            reports,
            injected: AtomicUsize::new(0),
        }
    }

    /// The path and the end of a packet that enters by the Pod's port.
    pub(crate) async fn trace(&self, pod: &str, packet: Packet) -> (Vec<String>, Verdict) {
        let plan = Plan {
            source: None,
            destination: None,
            question: Question::Inject {
                pod: name(pod),
                node: here(),
                packet,
            },
            timeout: PATIENCE,
            choices: Vec::new(),
        };
        let trace: Trace = self.tracer.trace(plan).await.unwrap();
        self.injected.fetch_add(trace.attempts.into(), Ordering::Relaxed);
        let hops = trace.hops.iter().map(|hop| (&hop.node, &hop.observations));
        (told(hops), trace.verdict)
    }

    /// What is seen of an injected packet of another node that comes by the tunnel to this end of it.
    pub(crate) async fn arrive(&self, tunnel_end: &str, packet: &Packet) -> Vec<String> {
        self.datapath.attach().await.unwrap();
        let mut reports = self.datapath.reports();
        let hex: String = packet.to_vec().iter().map(|byte| format!("{byte:02x}")).collect();
        let tunnel = format!("in_port=1,tun_src=192.168.77.103,tun_dst={tunnel_end},tun_id={TUNNEL_MARK:#x}");
        let order = format!("{tunnel} packet={hex} actions=resubmit(,0)");
        ofctl(&self.fabric, &["packet-out"], &[&order]);
        self.injected.fetch_add(1, Ordering::Relaxed);
        let Some(Report::Seen(sighting)) = reports.next().await else {
            panic!("no sighting");
        };
        told([(&sighting.node, &sighting.observations.to_vec())].into_iter())
    }

    /// What is told of real packets of the Pod that are dropped.
    pub(crate) async fn live_drops(&self, pod: &str) -> BoxStream<'static, Report> {
        let &(_, last, _) = PODS.iter().find(|(name, ..)| *name == pod).unwrap();
        let reports = self.datapath.reports();
        self.datapath.attach().await.unwrap();
        let probe = Probe {
            trace: TraceId(1),
            mark: Mark(1),
            kind: ProbeKind::Live {
                matching: FlowMatch {
                    source: Some(address(last).into()),
                    ..FlowMatch::any(IpFamily::V4)
                },
                dropped_only: true,
            },
            lifetime: Duration::from_secs(60),
        };
        self.datapath.install(&probe).await.unwrap();
        reports
    }

    /// That the trace has these observations and ends so.
    pub(crate) async fn expect(&self, pod: &str, packet: Packet, observations: &[&str], end: &str) {
        let (lines, verdict) = self.trace(pod, packet).await;
        let told = if let Verdict::Unanswered(silence) = &verdict {
            format!("expected next on {}", silence.expected_next.as_ref().unwrap())
        } else {
            verdict.to_string()
        };
        assert_eq!(
            (lines.iter().map(String::as_str).collect::<Vec<_>>(), &*told),
            (observations.to_vec(), end)
        );
    }

    /// The flows of a table, without what changes.
    pub(crate) fn flows(&self, table: &str) -> Vec<String> {
        let answer = ofctl(
            &self.fabric,
            &["--no-stats", "dump-flows"],
            &[&format!("table={table}")],
        );
        let mut flows: Vec<String> = answer.lines().map(|line| line.trim().to_owned()).collect();
        flows.sort_unstable();
        flows
    }

    pub(crate) fn add_flow(&self, flow: &str) {
        ofctl(&self.fabric, &["add-flow"], &[flow]);
    }

    /// Ends tracing: every packet was told of once, and nothing is left.
    pub(crate) async fn close(mut self) {
        self.tracer.close().await.unwrap();
        // The tracer detaches only where it has traced.
        self.datapath.detach().await.unwrap();
        let mut sightings = 0;
        while let Some(Some(report)) = self.reports.next().now_or_never() {
            assert!(
                matches!(report, Report::Seen(_)),
                "after {sightings} sightings {report:?}"
            );
            sightings += 1;
        }
        assert_eq!(sightings, self.injected.into_inner());
        assert_eq!(self.datapath.leftovers().await.unwrap(), Vec::<String>::new());
    }
}

/// A packet's beginning: from the Pod, as its network stack would send it to a destination behind the gateway.
pub(crate) fn from(pod: &str, destination: &str) -> IpBuilder<Ipv4Header> {
    let &(_, last, mac) = PODS.iter().find(|(name, ..)| *name == pod).unwrap();
    let destination: Ipv4Addr = destination.parse().unwrap();
    let neighbour = PODS.iter().find(|(_, last, _)| address(*last) == destination);
    let next_hop = neighbour.map_or(GATEWAY_MAC, |(.., mac)| *mac);
    Packet::ethernet(mac, next_hop).ipv4(address(last), destination)
}

/// A connection attempt, from a port of its own each time.
pub(crate) fn syn(pod: &str, destination: &str, port: u16) -> Packet {
    let from = from(pod, destination);
    from.tcp(fastrand::u16(1024..), port, TcpFlags::SYN).unwrap()
}

/// A connection attempt of a Pod on the other node.
pub(crate) fn remote(destination: &str) -> Packet {
    Packet::ethernet(GATEWAY_MAC, MacAddress([0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]))
        .ipv4([10, 10, 1, 9].into(), destination.parse().unwrap())
        .tcp(fastrand::u16(1024..), 80, TcpFlags::SYN)
        .unwrap()
}

pub(crate) fn name(pod: &str) -> ObjectName {
    ObjectName::new("default", pod)
}

/// The observations as text. There is but one node.
fn told<'a>(hops: impl Iterator<Item = (&'a NodeName, &'a Vec<Observation>)>) -> Vec<String> {
    let lines = lines(hops).into_iter();
    lines.map(|line| line.trim_start_matches("here ").to_owned()).collect()
}

fn here() -> NodeName {
    NodeName::new("here")
}

fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 10, 0, last)
}

fn node(program: Program) -> NodeRealisation {
    let pods = PORTS.iter().skip(2).map(|&(port_name, port)| {
        let known = PODS.iter().find(|(name, ..)| *name == port_name);
        PodPort {
            pod: name(port_name),
            port,
            mac: known.map_or(MacAddress([2, 0, 0, 0, 0, port as u8]), |(.., mac)| *mac),
            addresses: known.map(|&(_, last, _)| address(last).into()).into_iter().collect(),
            listens: Vec::new(),
        }
    });
    NodeRealisation {
        name: here(),
        addresses: vec![Ipv4Addr::new(192, 168, 77, 102).into()],
        egress_addresses: Vec::new(),
        peers: Vec::new(),
        routed: Vec::new(),
        gateway: Gateway {
            mac: GATEWAY_MAC,
            addresses: vec![(address(1).into(), "10.10.0.0/24".parse().unwrap())],
        },
        pods: pods.collect(),
        program,
        rules: rules(),
    }
}

/// Which rule has which of the documented numbers.
fn rules() -> Vec<RuleId> {
    let rule = |id, policy: PolicyRef, rule: Option<&str>| RuleId {
        id,
        policy,
        rule: rule.map(str::to_owned),
    };
    let antrea = |name: &str| PolicyRef {
        kind: PolicyKind::AntreaClusterNetworkPolicy,
        namespace: None,
        name: name.into(),
    };
    let policy = || antrea("web-app-db-network-policy");
    vec![
        rule(2, of_kubernetes(), None),
        rule(3, of_kubernetes(), None),
        rule(4, policy(), Some("drop-ingress")),
        rule(5, policy(), Some("drop-egress")),
        rule(6, policy(), Some("AllowFromClient")),
        rule(7, policy(), Some("AllowToDB")),
        rule(13, antrea("ingress-allow-http-request-to-api-v2"), None),
    ]
}

fn of_kubernetes() -> PolicyRef {
    PolicyRef::kubernetes(name("web-app-db-network-policy"))
}

fn settings(fabric: &Fabric) -> Settings {
    let nodes = NodeSwitch::read_all(&Text::new("nodes.yaml", fabric.nodes_file())).unwrap();
    let node = &nodes[0];
    Settings {
        unixctl: node.unixctl.clone(),
        tunnels: node.tunnels.clone(),
        gateway: node.gateway,
        ..Settings::new(
            node.name.clone(),
            node.openflow.clone(),
            Arc::new(Antrea::default()),
            Arc::new(NodeDirectory::new(node, Arc::new(Names), Arc::new(Names))),
            Instance::with_salt(0, 0),
        )
    }
}

fn ofctl(fabric: &Fabric, before: &[&str], behind: &[&str]) -> String {
    let bridge = format!("unix:{}", fabric.nodes().next().unwrap().openflow.display());
    let output = Command::new("ovs-ofctl")
        .args(["-O", "OpenFlow15", "--timeout=20"])
        .args(before)
        .arg(bridge)
        .args(behind)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Who is who in the document.
struct Names;

impl Inventory for Names {
    fn pod(&self, name: &ObjectName) -> Option<PodEntry> {
        let &(_, last, mac) = PODS.iter().find(|(pod, ..)| *pod == &*name.name)?;
        Some(PodEntry {
            name: name.clone(),
            node: Some(here()),
            addresses: vec![address(last).into()],
            mac: Some(mac),
            host_network: false,
            phase: "Running".into(),
        })
    }

    fn service(&self, name: &ObjectName) -> Option<ServiceEntry> {
        let &(_, cluster_ip) = SERVICES.iter().find(|(service, _)| *service == &*name.name)?;
        Some(ServiceEntry {
            name: name.clone(),
            cluster_ips: vec![cluster_ip.into()],
            ports: vec![ServicePort {
                protocol: Protocol::TCP,
                port: 80,
                name: None,
            }],
        })
    }

    fn owner(&self, owned: IpAddr) -> Option<Owner> {
        if let Some((pod, ..)) = PODS.iter().find(|(_, last, _)| address(*last) == owned) {
            return Some(Owner::Pod(name(pod)));
        }
        if let Some((service, _)) = SERVICES.iter().find(|(_, ip)| IpAddr::from(*ip) == owned) {
            return Some(Owner::Service(name(service)));
        }
        match owned.to_string().as_str() {
            "10.10.0.1" => Some(Owner::Gateway(here())),
            "192.168.77.102" => Some(Owner::Node(here())),
            "192.168.77.103" => Some(Owner::Node(NodeName::new("peer"))),
            "192.168.77.113" => Some(Owner::Node(NodeName::new("egress-node"))),
            "10.10.1.6" => Some(Owner::Pod(name("remote-web"))),
            _ => None,
        }
    }

    fn node(&self, name: &NodeName) -> Option<NodeEntry> {
        (*name == here()).then(|| NodeEntry {
            name: here(),
            addresses: vec![Ipv4Addr::new(192, 168, 77, 102).into()],
            gateway_mac: GATEWAY_MAC,
        })
    }

    fn nodes(&self) -> Vec<NodeName> {
        vec![here()]
    }
}

impl Surroundings for Names {
    fn isolating(&self, pod: &ObjectName, _: Direction) -> Vec<PolicyRef> {
        (*pod == name("web")).then(of_kubernetes).into_iter().collect()
    }

    fn is_pod_range(&self, address: IpAddr) -> bool {
        matches!(address, IpAddr::V4(address) if address.octets()[..2] == [10, 10])
    }

    fn egress(&self, _: &ObjectName, _: IpFamily) -> Option<EgressEntry> {
        None
    }
}
