//! Ports that carry nothing: what is put out of them isn't delivered.

use std::process::Command;

use testbed::fabric::Form;
use tokio::task::block_in_place;
use traceflow_core::names::ObjectName;
use traceflow_core::observation::DropReason;
use traceflow_core::trace::{Trace, Verdict};
use traceflow_core::tracer::Tracer;

use crate::strangers;
use crate::support::World;
use crate::undisturbed::with_real_pods;

pub(crate) async fn trace(world: &World, tracer: &Tracer, to: &str) -> Trace {
    tracer.trace(world.plan("client", to, "tcp,tcp_dst=80")).await.unwrap()
}

/// Why the packet was dropped, and that the model has it otherwise; `None` if it was delivered.
pub(crate) fn reason(trace: &Trace) -> Option<String> {
    match &trace.verdict {
        Verdict::Delivered { .. } => {
            assert_eq!(trace.finding, None);
            None
        }
        Verdict::Dropped { reason, .. } => {
            assert!(
                trace
                    .finding
                    .as_ref()
                    .unwrap()
                    .to_string()
                    .contains("should have delivered it")
            );
            reason.as_ref().map(ToString::to_string)
        }
        other => panic!("{other}"),
    }
}

pub(crate) fn on_bridge(world: &World, node: &str, program: &str, words: &[&str]) {
    let fabric = world.fabric();
    let node = fabric.nodes().find(|known| known.name.as_str() == node).unwrap();
    let mut command = Command::new(program);
    match program {
        "ovs-vsctl" => command.arg(format!("--db=unix:{}", node.ovsdb.display())).args(words),
        _ => command
            .args(["-O", "OpenFlow15", "--strict", words[0]])
            .arg(format!("unix:{}", node.openflow.display()))
            .args(&words[1..]),
    };
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The number of the Pod's port.
pub(crate) fn port(world: &World, pod: &str) -> String {
    let nodes = world.fabric().nodes_file();
    let after = nodes.split_once(&format!("{{pod: default/{pod}, port: ")).unwrap().1;
    after.split_once('}').unwrap().0.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_was_shut_drops_what_is_put_out_of_it() {
    let world = World::of(strangers::cluster(), Form::Rootless);
    let tracer = world.tracer();
    for (pod, node) in [("server", "one"), ("remote", "two")] {
        assert_eq!(reason(&trace(&world, &tracer, pod).await), None);
        let port = port(&world, pod);
        on_bridge(&world, node, "ovs-ofctl", &["mod-port", &port, "down"]);
        let shut = reason(&trace(&world, &tracer, pod).await);
        assert_eq!(shut, Some(DropReason::PortDown.to_string()), "{pod}");
        on_bridge(&world, node, "ovs-ofctl", &["mod-port", &port, "up"]);
        assert_eq!(reason(&trace(&world, &tracer, pod).await), None);
    }
    tracer.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_gone_is_named() {
    let world = World::of(strangers::cluster(), Form::Rootless);
    let tracer = world.tracer();
    assert_eq!(reason(&trace(&world, &tracer, "server").await), None);
    let port = port(&world, "server");
    on_bridge(&world, "one", "ovs-vsctl", &["del-port", &format!("pod{port}")]);
    let gone = reason(&trace(&world, &tracer, "server").await).unwrap();
    assert_eq!(gone, format!("the switch has no port {port}, by which it leaves"));
    tracer.close().await.unwrap();
}

/// The other end of the cable is the Pod's own.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_took_its_interface_down_is_told() {
    let Some(world) = with_real_pods(|form| World::of(strangers::cluster(), form)) else {
        return;
    };
    let tracer = world.tracer();
    assert_eq!(reason(&trace(&world, &tracer, "remote").await), None);
    let set = |state: &str| {
        let pod = ObjectName::new("default", "remote");
        let set = || Command::new("ip").args(["link", "set", "eth0", state]).status();
        let status = block_in_place(|| world.fabric().inside(&pod, set)).unwrap();
        assert!(status.unwrap().success());
    };
    set("down");
    // The kernel tells the switch, and that tells us, when they come to it.
    while reason(&trace(&world, &tracer, "remote").await).is_none() {}
    let down = reason(&trace(&world, &tracer, "remote").await);
    assert_eq!(down, Some(DropReason::PortDown.to_string()));
    set("up");
    while reason(&trace(&world, &tracer, "remote").await).is_some() {}
    tracer.close().await.unwrap();
}
