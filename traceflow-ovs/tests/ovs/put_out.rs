//! What puts a packet out is the CNI's own flow: where it is missing or does something else, nothing is delivered.

use std::io::Write;
use std::process::{Command, Stdio};

use testbed::fabric::Form;
use traceflow_core::trace::Trace;
use traceflow_core::tracer::Tracer;
use traceflow_ovs::table_names;

use crate::ports::{on_bridge, port, reason, trace};
use crate::strangers;
use crate::support::World;

/// The flow that puts out what has found its port, and the table in which it stands.
const FOUND: &str = "priority=200,reg0=0x200000/0x600000";

async fn output_table(world: &World) -> u8 {
    let openflow = {
        let fabric = world.fabric();
        let node = fabric.nodes().next().unwrap();
        format!("unix:{}", node.openflow.display())
    };
    let names = table_names(&openflow.parse().unwrap()).await.unwrap();
    let (table, _) = names.into_iter().find(|(_, name)| name == "Output").unwrap();
    table
}

/// What becomes of packets to both servers while a flow is there, and that they are delivered before and after.
async fn with_flow(world: &World, tracer: &Tracer, flow: &str) -> [Option<String>; 2] {
    let table = output_table(world).await;
    let flow = format!("table={table},{flow}");
    let matching = flow.split(" actions").next().unwrap().to_owned();
    let mut told = [const { None }; 2];
    for (told, (pod, node)) in told.iter_mut().zip([("server", "one"), ("remote", "two")]) {
        assert_eq!(reason(&trace(world, tracer, pod).await), None);
        on_bridge(world, node, "ovs-ofctl", &["add-flow", &flow]);
        *told = reason(&trace(world, tracer, pod).await);
        on_bridge(world, node, "ovs-ofctl", &["del-flows", &matching]);
        assert_eq!(reason(&trace(world, tracer, pod).await), None);
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_that_is_gone_puts_nothing_out() {
    let world = World::of(strangers::cluster(), Form::Rootless);
    let tracer = world.tracer();
    let table = output_table(&world).await;
    let cases = [
        ("server", "one", "one should have delivered it"),
        ("remote", "two", "two should have delivered it"),
        ("remote", "one", "one should have sent it on"),
    ];
    for (pod, node, found) in cases {
        assert_eq!(reason(&trace(&world, &tracer, pod).await), None);
        let matching = format!("table={table},{FOUND}");
        on_bridge(&world, node, "ovs-ofctl", &["del-flows", &matching]);
        let Trace { verdict, finding, .. } = trace(&world, &tracer, pod).await;
        let gone = verdict.to_string();
        assert!(gone.ends_with("no flow of table Output puts it out"), "{gone}");
        let finding = finding.unwrap().to_string();
        assert!(finding.contains(found), "{finding}");
        let flow = format!("{matching} actions=output:NXM_NX_REG1[]");
        on_bridge(&world, node, "ovs-ofctl", &["add-flow", &flow]);
        assert_eq!(reason(&trace(&world, &tracer, pod).await), None);
    }
    tracer.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_flow_does_instead_is_told() {
    let world = World::of(strangers::cluster(), Form::Rootless);
    let tracer = world.tracer();
    let nowhere = || Some("no flow of table Output puts it out".to_owned());
    let dropped = with_flow(&world, &tracer, "priority=900,tcp actions=drop").await;
    assert_eq!(dropped, [nowhere(), nowhere()]);
    let of_others = with_flow(&world, &tracer, "priority=900,udp actions=drop").await;
    assert_eq!(of_others, [None, None]);
    let later = with_flow(&world, &tracer, "priority=10,tcp actions=drop").await;
    assert_eq!(later, [None, None]);
    let (client, server) = (port(&world, "client"), port(&world, "server"));
    let back = with_flow(&world, &tracer, &format!("priority=900,tcp actions=output:{client}")).await;
    assert_eq!(back[0], nowhere(), "a switch puts nothing out where it came in");
    let as_found = with_flow(
        &world,
        &tracer,
        &format!("priority=900,tcp,reg1={server} actions=output:{server}"),
    )
    .await;
    assert_eq!(as_found[0], None);
    let led_on = with_flow(&world, &tracer, "priority=900,tcp actions=resubmit(,200)").await;
    assert_eq!(led_on, [None, None], "what isn't known is no finding");
    tracer.close().await.unwrap();
}

/// More than a switch tells of at once: it pauses, and is asked meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_changes_hides_nothing() {
    let world = World::of(strangers::cluster(), Form::Rootless);
    let tracer = world.tracer();
    let table = output_table(&world).await;
    let flood: String = (0..20_000)
        .map(|n| {
            format!(
                "table={table},priority=100,ip,nw_dst=172.{}.{}.0/24 actions=drop\n",
                16 + n / 250,
                n % 250
            )
        })
        .collect();
    assert_eq!(reason(&trace(&world, &tracer, "server").await), None);
    let mut adding = {
        let fabric = world.fabric();
        let node = fabric.nodes().next().unwrap();
        let openflow = format!("unix:{}", node.openflow.display());
        let mut command = Command::new("ovs-ofctl");
        command.args(["-O", "OpenFlow15", "add-flows", &openflow, "-"]);
        command.stdin(Stdio::piped()).spawn().unwrap()
    };
    let mut input = adding.stdin.take().unwrap();
    let writing = tokio::task::spawn_blocking(move || input.write_all(flood.as_bytes()));
    while adding.try_wait().unwrap().is_none() {
        assert_eq!(reason(&trace(&world, &tracer, "server").await), None);
    }
    writing.await.unwrap().unwrap();
    on_bridge(
        &world,
        "one",
        "ovs-ofctl",
        &["add-flow", &format!("table={table},priority=900,tcp actions=drop")],
    );
    let dropped = reason(&trace(&world, &tracer, "server").await);
    assert_eq!(dropped.as_deref(), Some("no flow of table Output puts it out"));
    on_bridge(
        &world,
        "one",
        "ovs-ofctl",
        &["del-flows", &format!("table={table},priority=900,tcp")],
    );
    assert_eq!(reason(&trace(&world, &tracer, "server").await), None);
    tracer.close().await.unwrap();
}
