//! Every fault at every stage of every kind of trace.

use std::error::Error as _;

use nix::sys::signal::Signal;
use tokio::time::timeout;
use traceflow_core::Error;
use traceflow_core::plan::{Plan, Question};
use traceflow_core::session::Progress;
use traceflow_core::trace::{Trace, Verdict};
use traceflow_core::tracer::Tracing;

use super::scene::{FAR, FIRST, PATIENCE, Scene, Way};

/// What is traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    SameNode,
    CrossNode,
    Service,
    Live,
    DroppedOnly,
}

/// How far the trace has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The node watches; no packet was let in.
    Installed,
    /// The packet was let in, and nobody has heard of it.
    Injected,
    /// The first node has reported it, and nobody has heard of the far one.
    Seen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// `kill -9` of ovs-vswitchd.
    SwitchKilled,
    /// The same, and another is started and programmed at once.
    SwitchRestarted,
    /// ovs-vswitchd stands still.
    SwitchStopped,
    /// `kill -9` of ovsdb-server.
    DatabaseKilled,
    /// The connection between tracer and switch is closed.
    ConnectionCut,
    /// What the switch says doesn't arrive.
    ConnectionStalled,
    /// The node's tunnel is down.
    TunnelDown,
}

/// A row of the table.
struct Row {
    fault: Fault,
    on: &'static str,
    stage: Stage,
    kind: Kind,
    /// One of these phrases is in the words of the answer.
    said: &'static [&'static str],
}

/// Two tables, so that both processors have something to do.
const ON_THE_FIRST_NODE: &[Row] = &[
    row(Fault::SwitchKilled, FIRST, Stage::Installed, Kind::SameNode, GONE_FIRST),
    row(Fault::SwitchKilled, FIRST, Stage::Injected, Kind::CrossNode, GONE_FIRST),
    row(Fault::SwitchKilled, FIRST, Stage::Installed, Kind::Live, GONE_FIRST),
    row(
        Fault::SwitchRestarted,
        FIRST,
        Stage::Installed,
        Kind::Service,
        DELIVERED_FAR,
    ),
    row(
        Fault::SwitchRestarted,
        FIRST,
        Stage::Injected,
        Kind::SameNode,
        &["delivered on one"],
    ),
    row(
        Fault::SwitchRestarted,
        FIRST,
        Stage::Installed,
        Kind::Live,
        RESTARTED_FIRST,
    ),
    row(
        Fault::SwitchRestarted,
        FIRST,
        Stage::Installed,
        Kind::DroppedOnly,
        RESTARTED_FIRST,
    ),
    row(
        Fault::SwitchStopped,
        FIRST,
        Stage::Installed,
        Kind::CrossNode,
        SILENT_FIRST,
    ),
    row(
        Fault::SwitchStopped,
        FIRST,
        Stage::Injected,
        Kind::Service,
        SILENT_OR_DELIVERED,
    ),
    row(
        Fault::DatabaseKilled,
        FIRST,
        Stage::Installed,
        Kind::SameNode,
        SILENT_FIRST,
    ),
    row(Fault::DatabaseKilled, FIRST, Stage::Installed, Kind::Live, SILENT_FIRST),
    row(
        Fault::ConnectionCut,
        FIRST,
        Stage::Installed,
        Kind::SameNode,
        &["delivered on one"],
    ),
    row(
        Fault::ConnectionCut,
        FIRST,
        Stage::Injected,
        Kind::CrossNode,
        DELIVERED_FAR,
    ),
    row(
        Fault::ConnectionStalled,
        FIRST,
        Stage::Installed,
        Kind::SameNode,
        SILENT_FIRST,
    ),
    row(
        Fault::ConnectionStalled,
        FIRST,
        Stage::Injected,
        Kind::Service,
        DELIVERED_FAR,
    ),
];

const ON_THE_FAR_NODE: &[Row] = &[
    row(Fault::SwitchKilled, FAR, Stage::Installed, Kind::CrossNode, GONE_FAR),
    row(Fault::SwitchKilled, FAR, Stage::Seen, Kind::Service, GONE_FAR),
    row(Fault::SwitchKilled, FAR, Stage::Installed, Kind::DroppedOnly, GONE_FAR),
    row(Fault::SwitchRestarted, FAR, Stage::Seen, Kind::CrossNode, DELIVERED_FAR),
    row(Fault::SwitchStopped, FAR, Stage::Installed, Kind::CrossNode, SILENT_FAR),
    row(Fault::SwitchStopped, FAR, Stage::Installed, Kind::Live, SILENT_FAR),
    row(
        Fault::SwitchStopped,
        FAR,
        Stage::Seen,
        Kind::CrossNode,
        SILENT_FAR_OR_DELIVERED,
    ),
    row(Fault::DatabaseKilled, FAR, Stage::Installed, Kind::Service, SILENT_FAR),
    row(Fault::ConnectionCut, FAR, Stage::Seen, Kind::CrossNode, DELIVERED_FAR),
    row(Fault::ConnectionStalled, FAR, Stage::Seen, Kind::CrossNode, SILENT_FAR),
    row(Fault::TunnelDown, FAR, Stage::Installed, Kind::CrossNode, LOST_BETWEEN),
    row(Fault::TunnelDown, FAR, Stage::Installed, Kind::Service, LOST_BETWEEN),
    row(Fault::TunnelDown, FAR, Stage::Installed, Kind::Live, LOST_BETWEEN),
];

const GONE_FIRST: &[&str] = &[
    "node one failed: the datapath is unavailable",
    "node one is unavailable",
];
const GONE_FAR: &[&str] = &["node two failed: the datapath is unavailable"];
const SILENT_FIRST: &[&str] = &["node one failed: the datapath is unavailable: no answer within"];
/// It depends on what the switch has done before it was stopped.
const SILENT_OR_DELIVERED: &[&str] = &[SILENT_FIRST[0], DELIVERED_FAR[0]];
const SILENT_FAR_OR_DELIVERED: &[&str] = &[SILENT_FAR[0], DELIVERED_FAR[0]];
const SILENT_FAR: &[&str] = &["node two failed: the datapath is unavailable: no answer within"];
const RESTARTED_FIRST: &[&str] = &["the datapath of node one restarted"];
const DELIVERED_FAR: &[&str] = &["delivered on two"];
const LOST_BETWEEN: &[&str] = &["lost between one and two (tunnel"];

const fn row(fault: Fault, on: &'static str, stage: Stage, kind: Kind, said: &'static [&'static str]) -> Row {
    Row {
        fault,
        on,
        stage,
        kind,
        said,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_breaks_on_the_first_node_is_named_and_leaves_nothing() {
    all(ON_THE_FIRST_NODE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_breaks_on_the_far_node_is_named_and_leaves_nothing() {
    all(ON_THE_FAR_NODE).await;
}

/// Most of a row's time is waiting, so some of them run at once, each on switches of its own.
const AT_ONCE: usize = 4;

async fn all(rows: &'static [Row]) {
    use futures_util::{StreamExt, stream};
    let only = std::env::var("TRACEFLOW_FAULT").unwrap_or_default();
    let rows = rows.iter().filter(|row| row.name().contains(&only));
    let mut running = stream::iter(rows.map(|row| tokio::spawn(row.run()))).buffer_unordered(AT_ONCE);
    let mut wrong = Vec::new();
    while let Some(outcome) = running.next().await {
        wrong.extend(outcome.unwrap().err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

impl Row {
    fn name(&self) -> String {
        format!("{:?} on {}, {:?}, {:?}", self.fault, self.on, self.stage, self.kind)
    }

    /// Only who has to stand between tracer and switch does: without, the tracer sees itself what the switch does.
    fn way(&self) -> Way {
        let connection = matches!(self.fault, Fault::ConnectionCut | Fault::ConnectionStalled);
        match self.stage {
            Stage::Installed if !connection => Way::Straight,
            _ => Way::ThroughProxies,
        }
    }

    /// What it said, if that is wrong.
    async fn run(&'static self) -> Result<(), String> {
        let scene = Scene::start(self.way()).await;
        // Something stands already, as on a node where tracing is on.
        let plan = scene.plan("remote", false, false);
        let trace = scene.tracer().trace(plan).await.unwrap();
        assert_eq!(trace.verdict.to_string(), "delivered on two");
        let plan = self.kind.plan(&scene);
        let port = injected_port(&plan);
        let answer = timeout(PATIENCE, self.answer(&scene, plan)).await;
        let said = words(&answer.expect("an answer in time"));
        println!("{}: {said}", self.name());
        self.fault.heal(&scene, self.on).await;
        let plan = scene.plan("remote", false, false);
        let trace = scene.tracer().trace(plan).await;
        let next = words(&trace);
        scene.ends_clean(&self.name(), port).await;
        if !self.said.iter().any(|expected| said.contains(expected)) {
            return Err(format!("{}: {said}", self.name()));
        }
        if !next.starts_with("delivered on two") {
            return Err(format!("{}, the next trace: {next}", self.name()));
        }
        Ok(())
    }

    async fn answer(&self, scene: &Scene, plan: Plan) -> Result<Trace, Error> {
        let mut tracing = match (self.stage, self.kind.is_live()) {
            (Stage::Installed, false) => {
                let mut stop = scene.datapath(FIRST).stop_before_inject();
                let tracing = scene.tracer().trace(plan);
                stop.reached().await;
                self.fault.strike(scene, self.on).await;
                stop.go_on();
                tracing
            }
            (Stage::Installed, true) => {
                let mut tracing = scene.tracer().trace(plan);
                until(&mut tracing, |news| matches!(news, Progress::Armed { .. })).await;
                self.fault.strike(scene, self.on).await;
                if self.on == FAR {
                    scene.send(&scene.packet(self.kind.destination()), 1).await;
                }
                tracing
            }
            (Stage::Injected, _) => {
                scene.proxy(FIRST).hold();
                scene.proxy(FAR).hold();
                let mut tracing = scene.tracer().trace(plan);
                until(&mut tracing, |news| matches!(news, Progress::Injected { .. })).await;
                self.fault.strike(scene, self.on).await;
                for node in [FIRST, FAR] {
                    self.let_pass(scene, node);
                }
                tracing
            }
            (Stage::Seen, _) => {
                scene.proxy(FAR).hold();
                let mut tracing = scene.tracer().trace(plan);
                until(&mut tracing, |news| *news == Progress::Seen { node: FIRST.into() }).await;
                self.fault.strike(scene, self.on).await;
                self.let_pass(scene, FAR);
                tracing
            }
        };
        (&mut tracing).await
    }
}

impl Row {
    /// What was held on this node arrives, as far as the fault lets it.
    fn let_pass(&self, scene: &Scene, node: &'static str) {
        match self.fault {
            Fault::ConnectionStalled if node == self.on => {}
            // What a process hadn't sent yet dies with it.
            Fault::SwitchKilled | Fault::SwitchRestarted if node == self.on => scene.proxy(node).cut(),
            _ => scene.proxy(node).release(),
        }
    }
}

pub(super) async fn until(tracing: &mut Tracing, wanted: impl Fn(&Progress) -> bool) {
    while let Some(news) = tracing.progress().await {
        if wanted(&news) {
            return;
        }
    }
    panic!("the trace ended before that");
}

fn injected_port(plan: &Plan) -> Option<u16> {
    match &plan.question {
        Question::Inject { packet, .. } => packet.transport.ports().map(|(source, _)| source),
        Question::Live { .. } => None,
    }
}

/// The verdict as people read it, or why there is none.
pub(super) fn words(answer: &Result<Trace, Error>) -> String {
    match answer {
        Ok(trace) => match &trace.verdict {
            Verdict::Unanswered(silence) => {
                let causes: Vec<String> = silence.causes.iter().map(ToString::to_string).collect();
                format!("{} {causes:?} {:?}", trace.verdict, trace.notes)
            }
            verdict => format!("{verdict} {:?}", trace.notes),
        },
        Err(error) => match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
    }
}

impl Kind {
    fn is_live(self) -> bool {
        matches!(self, Self::Live | Self::DroppedOnly)
    }

    fn destination(self) -> &'static str {
        match self {
            Self::SameNode => "server",
            Self::CrossNode | Self::Live => "remote",
            Self::Service => "shop",
            Self::DroppedOnly => "closed",
        }
    }

    fn plan(self, scene: &Scene) -> Plan {
        scene.plan(self.destination(), self.is_live(), self == Self::DroppedOnly)
    }
}

impl Fault {
    async fn strike(self, scene: &Scene, node: &'static str) {
        match self {
            Self::SwitchKilled => {
                scene
                    .with_fabric(move |fabric| fabric.kill_switch(&node.into()).unwrap())
                    .await
            }
            Self::SwitchRestarted => {
                scene
                    .with_fabric(move |fabric| fabric.restart(&node.into()).unwrap())
                    .await
            }
            Self::SwitchStopped => scene.signal_switch(node, Signal::SIGSTOP),
            Self::DatabaseKilled => {
                scene
                    .with_fabric(move |fabric| fabric.kill_database(&node.into()).unwrap())
                    .await;
            }
            Self::ConnectionCut => scene.proxy(node).cut(),
            Self::ConnectionStalled => scene.proxy(node).hold(),
            Self::TunnelDown => {
                scene
                    .with_fabric(move |fabric| fabric.set_underlay(&node.into(), false).unwrap())
                    .await;
            }
        }
    }

    /// Everything is as it was before.
    async fn heal(self, scene: &Scene, node: &'static str) {
        match self {
            Self::SwitchKilled => {
                scene
                    .with_fabric(move |fabric| {
                        fabric.start_switch(&node.into()).unwrap();
                        fabric.program(&node.into()).unwrap();
                    })
                    .await;
            }
            Self::SwitchStopped => scene.signal_switch(node, Signal::SIGCONT),
            Self::DatabaseKilled => {
                scene
                    .with_fabric(move |fabric| fabric.start_database(&node.into()).unwrap())
                    .await;
            }
            Self::ConnectionStalled => scene.proxy(node).release(),
            Self::TunnelDown => {
                scene
                    .with_fabric(move |fabric| fabric.set_underlay(&node.into(), true).unwrap())
                    .await;
            }
            Self::SwitchRestarted | Self::ConnectionCut => {}
        }
    }
}
