//! How packets go from node to node on real switches: the table of ends that the simulator is held to, for both families.

#[path = "../../../traceflow-sim/tests/shared/ends.rs"]
mod shared;

use testbed::fabric::Form;
use traceflow_core::observation::ComponentInfo;
use traceflow_core::plan::Plan;
use traceflow_core::spec::CommandLine;
use traceflow_core::trace::{Hop, Predictor};
use traceflow_ovs::layout::Carrier;
use traceflow_sim::model::TrafficMode;

use crate::support::{World, lines, path};

#[tokio::test(flavor = "multi_thread")]
async fn encap_goes_by_tunnel_always() {
    check(Form::Rootless, TrafficMode::Encap, shared::ENCAP).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_encap_is_routed_always() {
    check(Form::Rootless, TrafficMode::NoEncap, shared::NO_ENCAP).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hybrid_is_routed_in_one_subnet() {
    check(Form::Rootless, TrafficMode::Hybrid, shared::HYBRID).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn real_pods_reach_each_other_by_tunnel_and_by_route() {
    if let Err(missing) = Form::Root.check() {
        eprintln!("skipped: {missing}");
        return;
    }
    check(Form::Root, TrafficMode::Encap, shared::ENCAP).await;
    check(Form::Root, TrafficMode::NoEncap, shared::NO_ENCAP).await;
    check(Form::Root, TrafficMode::Hybrid, shared::HYBRID).await;
}

async fn check(form: Form, mode: TrafficMode, ends_as_expected: &str) {
    let carrier = match mode {
        TrafficMode::Encap => Carrier::TunnelId,
        // A mark needs another place where there is no tunnel.
        _ => Carrier::Dscp,
    };
    let world = World::with_carrier(shared::cluster(mode), form, carrier);
    let tracer = world.tracer();
    let mut table = String::new();
    for six in [false, true] {
        for (called, v4, v6) in shared::DESTINATIONS {
            let plan = plan(&world, if six { v6 } else { v4 }, six);
            let predicted = world.cluster.predict(&plan).unwrap();
            let trace = tracer.trace(plan).await.unwrap();
            let asked = format!("{called}: {}", trace.verdict);
            let expected = lines(predicted.hops.iter().map(|hop| (&hop.node, &hop.observations)));
            assert_eq!(path(&trace), expected, "{mode:?} {asked}");
            assert_eq!(trace.finding, None, "{asked}");
            let ends: Vec<String> = trace.hops.iter().map(end).collect();
            table += &format!("{} {called}: {}\n", if six { "v6" } else { "v4" }, ends.join(", "));
        }
    }
    tracer.close().await.unwrap();
    assert_eq!(table, ends_as_expected);
    assert_eq!(world.leftovers().await, Vec::<String>::new());
}

fn plan(world: &World, destination: &str, six: bool) -> Plan {
    let asked = CommandLine {
        source: Some("client"),
        destination: Some(destination),
        flow: Some(if six { "tcp6,tcp_dst=80" } else { "tcp,tcp_dst=80" }),
        ..CommandLine::default()
    };
    let spec = asked.spec(&*world.cluster).unwrap();
    // Not from the same port: where marks travel in the DSCP, Pods are handed the packets and answer.
    Plan::resolve(&spec, &*world.cluster, &mut fastrand::Rng::new()).unwrap()
}

/// `a Forwarded tunnelDstIP=…`: how the packet was put out.
fn end(hop: &Hop) -> String {
    let mut text = hop.node.to_string();
    let put_out = |info: &Option<ComponentInfo>| *info == Some(ComponentInfo::Output);
    for seen in hop.observations.iter().filter(|seen| put_out(&seen.component_info)) {
        text += &format!(" {}", seen.action);
        if let Some(end) = seen.tunnel_dst_ip {
            text += &format!(" tunnelDstIP={end}");
        }
    }
    text
}
