//! A pipeline that stands in a file, on a switch of its own kind: no connection tracking, so that SCTP is traced too.

use std::collections::BTreeMap;
use std::sync::Arc;

use testbed::fabric::{Fabric, Form, Settings as FabricSettings};
use testbed::realisation::{self, NodeRealisation, Program};
use traceflow_core::datapath::Datapath;
use traceflow_core::input::Text;
use traceflow_core::plan::Plan;
use traceflow_core::spec::CommandLine;
use traceflow_core::tracer::Tracer;
use traceflow_ovs::directory::NodeDirectory;
use traceflow_ovs::nodes::NodeSwitch;
use traceflow_ovs::pipeline::Description;
use traceflow_ovs::{Instance, OvsDatapath, Settings};
use traceflow_sim::Cluster;

use crate::support::path;

/// Somebody's own pipeline: classify, guard, drop by port, route, put out.
const PIPELINE: &str = "
stages:
- {table: 0, role: classification}
- {table: 10, role: spoofGuard}
- {table: 20, role: ingressDefault}
- {table: 30, role: routing}
- {table: 40, role: output}
exits:
- {table: 40, when: ['reg1[31]=0'], to: tunnel}
- {table: 40, when: ['reg1[31]=0'], to: port}
registers: {mark: 14, guard: 15, outputPort: reg1}
verdictTable: 200
";

/// Port 1 is the tunnel, Pods begin at 3. Port 9 is closed to everybody.
fn program(node: &NodeRealisation, others: &[NodeRealisation]) -> Program {
    let mut flows = String::from(
        "table=0,priority=10,in_port=1 actions=resubmit(,20)\n\
         table=0,priority=5 actions=resubmit(,10)\n\
         table=20,priority=10,tcp,tcp_dst=9 actions=drop\n\
         table=20,priority=10,sctp,sctp_dst=9 actions=drop\n\
         table=20,priority=0 actions=resubmit(,30)\n\
         table=40,reg1=0/0x80000000 actions=output:reg1\n",
    );
    for pod in &node.pods {
        let (port, address) = (pod.port, pod.addresses[0]);
        flows += &format!("table=10,ip,in_port={port},nw_src={address} actions=resubmit(,20)\n");
        flows += &format!("table=30,ip,nw_dst={address} actions=set_field:{port}->reg1,resubmit(,40)\n");
    }
    for other in others.iter().filter(|other| other.name != node.name) {
        for pod in &other.pods {
            let (address, tunnel) = (pod.addresses[0], other.addresses[0]);
            flows += &format!(
                "table=30,ip,nw_dst={address} actions=set_field:{tunnel}->tun_dst,set_field:1->reg1,resubmit(,40)\n"
            );
        }
    }
    Program {
        groups: String::new(),
        flows,
    }
}

struct Stateless {
    cluster: Arc<Cluster>,
    tracer: Tracer,
    datapaths: Vec<Arc<OvsDatapath>>,
    _fabric: Fabric,
}

fn stateless() -> Stateless {
    let cluster = Cluster::builder().node("one").node("two");
    let cluster = cluster.pod("client", "one").pod("near", "one").pod("far", "two");
    let cluster = Arc::new(cluster.build().unwrap());
    let mut nodes = realisation::realise(&cluster).unwrap();
    let programs: BTreeMap<_, _> = nodes
        .iter()
        .map(|node| (node.name.clone(), program(node, &nodes)))
        .collect();
    for node in &mut nodes {
        node.program = programs[&node.name].clone();
    }
    let fabric = Fabric::start(nodes, FabricSettings::new(Form::Rootless)).unwrap();
    let pipeline = Arc::new(Description::read(&Text::new("pipeline.yaml", PIPELINE)).unwrap());
    let instance = Instance::new(0);
    let open = |node: &NodeSwitch| {
        let directory = NodeDirectory::new(node, cluster.clone(), cluster.clone());
        Arc::new(OvsDatapath::open(Settings::of(
            node,
            pipeline.clone(),
            Arc::new(directory),
            instance,
        )))
    };
    let nodes = NodeSwitch::read_all(&Text::new("nodes.yaml", fabric.nodes_file())).unwrap();
    let datapaths: Vec<_> = nodes.iter().map(open).collect();
    let tracer =
        Tracer::builder(cluster.clone()).datapaths(datapaths.iter().map(|node| node.clone() as Arc<dyn Datapath>));
    Stateless {
        tracer: tracer.start(),
        cluster,
        datapaths,
        _fabric: fabric,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_from_a_file_is_traced_sctp_included() {
    let network = stateless();
    let expected = [
        ("near", "tcp,tcp_dst=80", "delivered on one"),
        ("far", "udp,udp_dst=53", "delivered on two"),
        ("far", "sctp,sctp_dst=5000", "delivered on two"),
        ("near", "sctp,sctp_dst=5000", "delivered on one"),
        ("near", "sctp,sctp_dst=9", "dropped on one"),
        ("far", "tcp,tcp_dst=9", "dropped on one"),
        ("far", "ip,nw_proto=47", "delivered on two"),
    ];
    for (destination, flow, verdict) in expected {
        let asked = CommandLine {
            source: Some("client"),
            destination: Some(destination),
            flow: Some(flow),
            ..CommandLine::default()
        };
        let spec = asked.spec(&*network.cluster).unwrap();
        let plan = Plan::resolve(&spec, &*network.cluster, &mut fastrand::Rng::new()).unwrap();
        let trace = network.tracer.trace(plan).await.unwrap();
        assert!(
            trace.verdict.to_string().starts_with(verdict),
            "{destination} {flow}: {}\n{}",
            trace.verdict,
            path(&trace).join("\n")
        );
    }
    network.tracer.close().await.unwrap();
    for datapath in &network.datapaths {
        assert_eq!(datapath.leftovers().await.unwrap(), Vec::<String>::new());
    }
}
