//! More packet-ins than the switch keeps for a tracer that doesn't read.

use std::time::Duration;

use traceflow_core::plan::Plan;
use traceflow_core::session::Progress;
use traceflow_ovs::unixctl::Unixctl;

use super::scene::{FIRST, PATIENCE, Scene, Way};
use super::table::{until, words};

#[tokio::test(flavor = "multi_thread")]
async fn reports_that_the_switch_had_no_room_for_are_counted_and_blamed() {
    let scene = Scene::start(Way::ThroughProxies).await;
    let patient = Plan {
        timeout: Duration::from_secs(30),
        ..scene.plan("remote", true, false)
    };
    let mut live = scene.tracer().trace(patient);
    until(&mut live, |news| matches!(news, Progress::Armed { .. })).await;
    scene.proxy(FIRST).hold();
    let unixctl = Unixctl::new(scene.switch(FIRST).unixctl.as_path().into(), PATIENCE);
    let packet = scene.packet("remote");
    while unixctl.coverage().await.unwrap().total("rconn_overflow") == 0 {
        scene.send(&packet, 100).await;
    }

    let mut tracing = scene.tracer().trace(scene.plan("server", false, false));
    until(&mut tracing, |news| *news == Progress::CleaningUp).await;
    // Whoever does read has not suffered: the CNI's connections are like this one.
    let tables = traceflow_ovs::table_names(&scene.switch(FIRST).openflow.as_path().into()).await;
    assert!(tables.unwrap().values().any(|name| name == "Output"));
    scene.proxy(FIRST).release();
    let said = words(&tracing.await);
    println!("{said}");
    assert!(said.starts_with("not seen to its end: node one lost "), "{said}");
    let followed = words(&live.await);
    println!("{followed}");
    assert!(followed.starts_with("delivered on two"), "{followed}");
    let next = words(&scene.tracer().trace(scene.plan("remote", false, false)).await);
    assert!(next.starts_with("delivered on two"), "{next}");
    scene.ends_clean("overload", None).await;
}
