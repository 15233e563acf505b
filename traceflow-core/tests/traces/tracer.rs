//! The tracer over small datapaths, with the clock paused: time passes when nothing else happens.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use traceflow_core::Error;
use traceflow_core::datapath::{
    Capabilities, Datapath, DatapathError, Mark, Probe, ProbeKind, Removed, Report, TraceId,
};
use traceflow_core::fanout::Fanout;
use traceflow_core::names::NodeName;
use traceflow_core::packet::{Nonce, Packet};
use traceflow_core::plan::Plan;
use traceflow_core::session::{Progress, Sessions};
use traceflow_core::trace::{Cause, Verdict};
use traceflow_core::tracer::{Tracer, TracerBuilder, Tracing};

use crate::support::{Cluster, capable, inject_to, live_to, node, sighting, way};

/// Two nodes with a tunnel between them; packets go from `n1` to `n2`.
struct Wire {
    nodes: Vec<Arc<Node>>,
    /// How many injected packets get lost in the tunnel before one arrives.
    to_lose: AtomicU32,
    /// What of ours is there, one line each.
    present: Mutex<BTreeSet<String>>,
    /// The mark and the nonce of the packet that was injected last.
    injected: Mutex<Option<(Mark, Nonce)>>,
    fails: Failing,
}

#[derive(Clone, Copy, PartialEq)]
enum Failing {
    Nothing,
    Inject,
    RemoveOnTheFarNode,
    LossIsFoundByTheRemoval,
    InstallForEver,
    InjectByPanic,
    ReportsEndOnTheFarNode,
    ReportsPanicOnTheFarNode,
    ReportsFloodFromTheFarNode,
}

struct Node {
    name: NodeName,
    capabilities: Capabilities,
    reports: Fanout,
}

struct Port(Arc<Wire>, usize);

impl Wire {
    fn new(capabilities: Capabilities, to_lose: u32, fails: Failing) -> Arc<Self> {
        let node = |number| {
            Arc::new(Node {
                name: node(number),
                capabilities: capabilities.clone(),
                reports: Fanout::new(4096),
            })
        };
        Arc::new(Self {
            nodes: vec![node(1), node(2)],
            to_lose: AtomicU32::new(to_lose),
            present: Mutex::default(),
            injected: Mutex::default(),
            fails,
        })
    }

    fn tracer(self: &Arc<Self>) -> Tracer {
        let ports = (0..2).map(|index| Arc::new(Port(self.clone(), index)) as Arc<dyn Datapath>);
        Tracer::builder(Arc::new(Cluster(2))).datapaths(ports).seed(7).start()
    }

    fn present(&self) -> BTreeSet<String> {
        self.present.lock().unwrap().clone()
    }
}

impl Port {
    fn note(&self, what: &str, trace: Option<TraceId>, there: bool) {
        let line = format!("{what} {} {trace:?}", self.node());
        let mut present = self.0.present.lock().unwrap();
        let changed = if there {
            present.insert(line)
        } else {
            present.remove(&line)
        };
        assert!(changed || !there || what != "attach", "attached twice");
    }
}

#[async_trait]
impl Datapath for Port {
    fn node(&self) -> &NodeName {
        &self.0.nodes[self.1].name
    }

    fn capabilities(&self) -> &Capabilities {
        &self.0.nodes[self.1].capabilities
    }

    async fn attach(&self) -> Result<(), DatapathError> {
        self.note("attach", None, true);
        Ok(())
    }

    async fn install(&self, probe: &Probe) -> Result<(), DatapathError> {
        self.note("probe", Some(probe.trace), true);
        if self.0.fails == Failing::InstallForEver {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn inject(&self, probe: &Probe, packet: &Packet) -> Result<(), DatapathError> {
        assert!(matches!(probe.kind, ProbeKind::Injected { .. }));
        self.note("probe", Some(probe.trace), true);
        if self.0.fails == Failing::Inject {
            return Err(DatapathError::Refused("no such port".into()));
        }
        assert!(self.0.fails != Failing::InjectByPanic, "the switch driver is broken");
        let lost = self
            .0
            .to_lose
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        *self.0.injected.lock().unwrap() = Some((probe.mark, packet.nonce));
        let hops = if lost.is_ok() { 1 } else { 2 };
        for ((name, observations), node) in way(&[1, 2]).iter().zip(&self.0.nodes).take(hops) {
            let nonce = self.capabilities().nonce.then_some(packet.nonce);
            let seen = sighting(name, probe.mark, nonce, observations);
            node.reports.send(&Report::Seen(seen));
        }
        Ok(())
    }

    async fn remove(&self, probe: &Probe) -> Result<Removed, DatapathError> {
        if self.0.fails == Failing::RemoveOnTheFarNode && self.1 == 1 {
            return Err(DatapathError::Unavailable("gone".into()));
        }
        if self.0.fails == Failing::LossIsFoundByTheRemoval && self.1 == 1 {
            self.0.nodes[1].reports.send(&Report::Lost { count: 2 });
        }
        self.note("probe", Some(probe.trace), false);
        Ok(Removed::default())
    }

    async fn detach(&self) -> Result<(), DatapathError> {
        self.note("attach", None, false);
        Ok(())
    }

    fn reports(&self) -> BoxStream<'static, Report> {
        match self.0.fails {
            Failing::ReportsEndOnTheFarNode if self.1 == 1 => stream::empty().boxed(),
            Failing::ReportsPanicOnTheFarNode if self.1 == 1 => {
                stream::poll_fn(|_| panic!("the reader is broken")).boxed()
            }
            Failing::ReportsFloodFromTheFarNode if self.1 == 1 => stream::repeat(Report::Lost { count: 1 }).boxed(),
            _ => self.0.nodes[self.1].reports.stream(),
        }
    }

    async fn leftovers(&self) -> Result<Vec<String>, DatapathError> {
        Ok(self.0.present().into_iter().collect())
    }
}

async fn news(tracing: &mut Tracing) -> Vec<String> {
    let mut news = Vec::new();
    while let Some(progress) = tracing.progress().await {
        news.push(progress.to_string());
    }
    news
}

fn short(mut plan: Plan) -> Plan {
    plan.timeout = Duration::from_secs(2);
    plan
}

#[tokio::test(start_paused = true)]
async fn a_trace_tells_the_path_and_leaves_nothing_behind() {
    let wire = Wire::new(capable(), 0, Failing::Nothing);
    let tracer = wire.tracer();
    let mut tracing = tracer.trace(inject_to(2, 1000));
    assert_eq!(
        news(&mut tracing).await,
        ["injected packet 1 on n1", "seen on n1", "seen on n2", "cleaning up"]
    );
    let trace = tracing.await.unwrap();
    assert_eq!(trace.verdict, Verdict::Delivered { node: node(2) });
    assert_eq!((trace.hops.len(), trace.attempts, trace.notes.len()), (2, 1, 0));
    assert_eq!(
        wire.present().len(),
        2,
        "only what stands is there: {:?}",
        wire.present()
    );
    tracer.close().await.unwrap();
    assert!(wire.present().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_lost_packet_is_answered_by_a_second_one() {
    let wire = Wire::new(capable(), 1, Failing::Nothing);
    let mut tracing = wire.tracer().trace(inject_to(2, 1000));
    let news = news(&mut tracing).await;
    assert!(news.contains(&"trying again with packet 2".to_owned()), "{news:?}");
    let trace = tracing.await.unwrap();
    assert_eq!(trace.verdict, Verdict::Delivered { node: node(2) });
    assert_eq!(trace.attempts, 2);
}

#[tokio::test(start_paused = true)]
async fn silence_after_two_packets_is_explained() {
    let wire = Wire::new(capable(), 2, Failing::Nothing);
    let trace = wire.tracer().trace(inject_to(2, 1000)).await.unwrap();
    let Verdict::Unanswered(silence) = trace.verdict else {
        panic!("{:?}", trace.verdict)
    };
    let (from, to) = (node(1), node(2));
    assert_eq!(silence.causes[0], Cause::LostBetween { from, to });
    assert_eq!(silence.expected_next, Some(node(2)));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_future_cancels_and_removes() {
    let wire = Wire::new(capable(), 2, Failing::Nothing);
    let tracer = wire.tracer();
    let mut tracing = tracer.trace(inject_to(2, 1000));
    while tracing.progress().await != Some(Progress::Seen { node: node(1) }) {}
    assert_eq!(wire.present().len(), 3);
    drop(tracing);
    // Another trace of the same connection runs after the first is gone.
    tracer.trace(inject_to(2, 1000)).await.unwrap();
    assert_eq!(wire.present().len(), 2);
    tracer.close().await.unwrap();
    assert!(wire.present().is_empty());
}

#[tokio::test(start_paused = true)]
async fn dropping_the_tracer_lets_traces_end_and_detaches() {
    let wire = Wire::new(capable(), 1, Failing::Nothing);
    let tracing = wire.tracer().trace(inject_to(2, 1000));
    assert!(tracing.await.is_ok());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(wire.present().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_failed_injection_still_removes_the_probe() {
    let wire = Wire::new(capable(), 0, Failing::Inject);
    let tracer = wire.tracer();
    let error = tracer.trace(inject_to(2, 1000)).await.unwrap_err();
    assert_eq!(error.to_string(), "node n1 is unavailable");
    tracer.close().await.unwrap();
    assert!(wire.present().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_can_not_be_cleaned_up_is_named() {
    let wire = Wire::new(capable(), 0, Failing::RemoveOnTheFarNode);
    let trace = wire.tracer().trace(inject_to(2, 1000)).await.unwrap();
    assert_eq!(trace.verdict, Verdict::Delivered { node: node(2) });
    let receipt = trace.receipt.to_string();
    assert!(
        receipt.starts_with("NOT ALL UNDONE: n2: could not be cleaned up"),
        "{receipt}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_found_out_while_removing_belongs_to_the_answer() {
    let wire = Wire::new(capable(), 2, Failing::LossIsFoundByTheRemoval);
    let trace = wire.tracer().trace(inject_to(2, 1000)).await.unwrap();
    let Verdict::Unanswered(silence) = trace.verdict else {
        panic!("{:?}", trace.verdict)
    };
    let (node, count) = (node(2), 2);
    assert_eq!(silence.causes[0], Cause::ReportsLost { node, count });
}

#[tokio::test(start_paused = true)]
async fn a_command_that_hangs_is_dropped_and_cleaned_up() {
    let wire = Wire::new(capable(), 0, Failing::InstallForEver);
    let tracer = wire.tracer();
    let error = tracer.trace(live_to(2, false)).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    tracer.close().await.unwrap();
    assert!(wire.present().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_datapath_that_panics_has_failed_and_other_traces_go_on() {
    let wire = Wire::new(capable(), 0, Failing::InjectByPanic);
    let tracer = wire.tracer();
    let mut live = tracer.trace(short(live_to(2, false)));
    live.progress().await.unwrap();
    let error = tracer.trace(inject_to(2, 1000)).await.unwrap_err();
    let source = std::error::Error::source(&error).map(ToString::to_string);
    let words = "the datapath is unavailable: it panicked: the switch driver is broken";
    assert_eq!(source.as_deref(), Some(words));
    assert!(matches!(live.await.unwrap().verdict, Verdict::Unanswered(_)));
    tracer.close().await.unwrap();
    assert!(wire.present().is_empty(), "{:?}", wire.present());
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_reports_have_ended_is_not_waited_for() {
    for fails in [Failing::ReportsEndOnTheFarNode, Failing::ReportsPanicOnTheFarNode] {
        let wire = Wire::new(capable(), 0, fails);
        let tracer = wire.tracer();
        tokio::task::yield_now().await;
        let begun = tokio::time::Instant::now();
        let trace = tracer.trace(live_to(2, false)).await.unwrap();
        let failed = "node n2 failed: the datapath is unavailable: it is gone for good";
        assert_eq!(trace.notes, [failed, "not watched: n2"]);
        assert_eq!(
            begun.elapsed(),
            Duration::from_secs(20),
            "traffic can still be dropped on n1"
        );
        let trace = tracer.trace(inject_to(2, 1000)).await.unwrap();
        let Verdict::Unanswered(silence) = trace.verdict else {
            panic!("{:?}", trace.verdict)
        };
        assert_eq!(silence.causes[0].to_string(), failed);
        assert!(
            begun.elapsed() < Duration::from_secs(23),
            "the second is answered at once"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_traces_run_at_once_on_one_mark() {
    let wire = Wire::new(capable(), 0, Failing::Nothing);
    let tracer = wire.tracer();
    let traces: Vec<_> = (0..1000).map(|port| tracer.trace(inject_to(2, 1000 + port))).collect();
    for tracing in traces {
        assert_eq!(tracing.await.unwrap().verdict, Verdict::Delivered { node: node(2) });
    }
    tracer.close().await.unwrap();
    assert!(wire.present().is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_for_a_mark_is_told_the_place_in_the_queue() {
    let capabilities = Capabilities { marks: 1, ..capable() };
    let wire = Wire::new(capabilities, 0, Failing::Nothing);
    let tracer = wire.tracer();
    let _holder = tracer.trace(live_to(2, false));
    let mut first = tracer.trace(short(live_to(2, false)));
    let mut second = tracer.trace(short(live_to(2, false)));
    assert_eq!(first.progress().await, Some(Progress::Queued { position: 1 }));
    assert_eq!(second.progress().await, Some(Progress::Queued { position: 2 }));
    let error = first.await.unwrap_err();
    assert_eq!(error.to_string(), "busy: 1st in the queue when the time was over");
    assert!(matches!(second.await, Err(Error::Busy { position: 1 })));
}

#[tokio::test(start_paused = true)]
async fn a_closed_tracer_ends_its_traces() {
    let wire = Wire::new(capable(), 0, Failing::Nothing);
    let tracer = wire.tracer();
    let mut live = tracer.trace(live_to(2, false));
    live.progress().await.unwrap();
    assert!(!wire.present().is_empty());
    tracer.close().await.unwrap();
    assert!(matches!(live.await, Err(Error::Closed)));
    assert!(wire.present().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_reported_before_time_was_over_counts_however_late_it_is_read() {
    let wire = Wire::new(capable(), 2, Failing::Nothing);
    let mut plan = inject_to(2, 1000);
    plan.timeout = Duration::from_secs(1);
    let mut tracing = wire.tracer().trace(plan);
    while tracing.progress().await
        != Some(Progress::Injected {
            node: node(1),
            attempt: 1,
        })
    {}
    let (mark, nonce) = wire.injected.lock().unwrap().unwrap();
    let (far, observations) = &way(&[1, 2])[1];
    wire.nodes[1].reports.send(&Report::Lost { count: 1 });
    wire.nodes[1]
        .reports
        .send(&Report::Seen(sighting(far, mark, Some(nonce), observations)));
    tokio::time::advance(Duration::from_secs(2)).await;
    let trace = tracing.await.unwrap();
    assert_eq!(
        (trace.verdict, trace.attempts),
        (Verdict::Delivered { node: node(2) }, 1)
    );
}

#[tokio::test]
async fn a_flood_of_reports_stops_neither_the_clock_nor_the_runtime() {
    let wire = Wire::new(capable(), 0, Failing::ReportsFloodFromTheFarNode);
    let tracer = wire.tracer();
    let mut plan = live_to(2, false);
    plan.timeout = Duration::from_millis(1);
    let trace = tracer.trace(plan).await.unwrap();
    assert!(trace.notes[0].starts_with("node n2 lost about"), "{:?}", trace.notes);
    tracer.close().await.unwrap();
}

#[test]
fn a_tracer_outlives_its_runtime_without_harm() {
    let wire = Wire::new(capable(), 2, Failing::Nothing);
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
    };
    let first = runtime();
    let (tracer, running, dropped) = first.block_on(async {
        let tracer = wire.tracer();
        let mut running = tracer.trace(inject_to(2, 1000));
        running.progress().await.unwrap();
        let dropped = tracer.trace(inject_to(2, 1));
        (tracer, running, dropped)
    });
    drop(first);
    drop(dropped);
    runtime().block_on(async {
        assert!(matches!(running.await, Err(Error::Closed)));
        assert!(matches!(tracer.trace(inject_to(2, 2)).await, Err(Error::Closed)));
        assert!(
            matches!(tracer.close().await, Err(Error::Closed)),
            "nothing was detached"
        );
    });
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_of_traces_that_are_over() {
    let wire = Wire::new(capable(), 0, Failing::Nothing);
    let tracer = wire.tracer();
    let (injected, live) = (Arc::new(inject_to(2, 1)), Arc::new(short(live_to(2, false))));
    for round in 0..1000 {
        let held = tracer.trace(live.clone());
        let answered = tracer.trace(injected.clone());
        drop(tracer.trace(injected.clone()));
        answered.await.unwrap();
        match round % 2 {
            0 => drop(held),
            _ => drop(held.await),
        }
    }
    assert_eq!(wire.present().len(), 2);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((Arc::strong_count(&injected), Arc::strong_count(&live)), (1, 1));
    tracer.close().await.unwrap();
}

#[test]
fn tracers_and_what_they_need_cross_threads() {
    fn crosses<T: Send + Sync>() {}
    fn is_held_across_await<T: Send + Sync + Unpin>() {}
    crosses::<Tracer>();
    crosses::<TracerBuilder>();
    crosses::<Sessions>();
    crosses::<Error>();
    is_held_across_await::<Tracing>();
}
