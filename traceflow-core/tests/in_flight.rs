//! Ten thousand traces in flight: under one mark, each with its own answer, and cheap.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use allocation_counter::measure;
use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::future::join_all;
use tokio::runtime::Builder;
use traceflow_core::datapath::{Capabilities, Datapath, DatapathError, Mark, Probe, Removed, Report, Sighting};
use traceflow_core::fanout::Fanout;
use traceflow_core::names::NodeName;
use traceflow_core::observation::{Action, Component, ComponentInfo, Observation};
use traceflow_core::packet::{Nonce, Packet, Patch};
use traceflow_core::plan::{Plan, Question};
use traceflow_core::spec::CommandLine;
use traceflow_core::trace::Trace;
use traceflow_core::tracer::Tracer;
use traceflow_sim::Cluster;

const TRACES: usize = 10_000;

/// What a trace in flight may take beyond its result.
const MOST_BYTES: u64 = 4 * 1024;

/// Tells nothing of its packets before it is asked to.
struct Secretive {
    node: NodeName,
    capabilities: Capabilities,
    reports: Fanout,
    injected: Mutex<Vec<(Mark, Nonce)>>,
}

impl Secretive {
    fn new() -> Self {
        Self {
            node: "a".into(),
            capabilities: Capabilities {
                inject: true,
                ipv4: true,
                marks: 1,
                nonce: true,
                standing_watch: true,
                ..Capabilities::default()
            },
            reports: Fanout::new(2 * TRACES),
            injected: Mutex::new(Vec::with_capacity(TRACES)),
        }
    }

    fn tell(&self) {
        for (mark, nonce) in self.injected.lock().unwrap().drain(..) {
            // Every third packet is dropped.
            let (component, action) = match nonce.0 % 3 {
                0 => (Component::NetworkPolicy, Action::Dropped),
                _ => (Component::Forwarding, Action::Delivered),
            };
            self.reports.send(&Report::Seen(Sighting {
                established: false,
                node: self.node.clone(),
                mark,
                nonce: Some(nonce),
                step: 0,
                observations: [Observation::new(component, action).at(ComponentInfo::Output)].into(),
                timestamp: SystemTime::UNIX_EPOCH,
                packet: None,
            }));
        }
    }
}

#[async_trait]
impl Datapath for Secretive {
    fn node(&self) -> &NodeName {
        &self.node
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn attach(&self) -> Result<(), DatapathError> {
        Ok(())
    }

    async fn install(&self, _: &Probe) -> Result<(), DatapathError> {
        Ok(())
    }

    async fn inject(&self, probe: &Probe, packet: &Packet) -> Result<(), DatapathError> {
        self.injected.lock().unwrap().push((probe.mark, packet.nonce));
        Ok(())
    }

    async fn remove(&self, _: &Probe) -> Result<Removed, DatapathError> {
        Ok(Removed::default())
    }

    async fn detach(&self) -> Result<(), DatapathError> {
        Ok(())
    }

    fn reports(&self) -> BoxStream<'static, Report> {
        self.reports.stream()
    }

    async fn leftovers(&self) -> Result<Vec<String>, DatapathError> {
        Ok(Vec::new())
    }
}

/// The same question, each about another connection.
fn plans(cluster: &Cluster) -> Vec<Arc<Plan>> {
    let asked = CommandLine {
        source: Some("client"),
        destination: Some("web"),
        flow: Some("tcp,tcp_dst=80"),
        ..CommandLine::default()
    };
    let spec = asked.spec(cluster).unwrap();
    let plan = Plan::resolve(&spec, cluster, &mut fastrand::Rng::with_seed(1)).unwrap();
    let with_source = |source| {
        let mut plan = plan.clone();
        if let Question::Inject { packet, .. } = &mut plan.question {
            *packet = Patch {
                source,
                ..Patch::of(packet)
            }
            .applied_to(packet);
        }
        Arc::new(plan)
    };
    (1024..).map(with_source).take(TRACES).collect()
}

#[test]
fn ten_thousand_traces_in_flight_share_a_mark_and_take_little_beyond_their_results() {
    let cluster = Arc::new(
        Cluster::builder()
            .node("a")
            .pod("client", "a")
            .pod("web", "a")
            .build()
            .unwrap(),
    );
    let plans = plans(&cluster);
    let datapath = Arc::new(Secretive::new());
    let mut traces: Vec<Trace> = Vec::with_capacity(TRACES);
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let used = measure(|| {
        traces.extend(runtime.block_on(async {
            let tracer = Tracer::builder(cluster.clone())
                .predictor(cluster.clone())
                .datapath(datapath.clone())
                .start();
            let running: Vec<_> = plans.iter().map(|plan| tracer.trace(plan.clone())).collect();
            while datapath.injected.lock().unwrap().len() < TRACES {
                tokio::task::yield_now().await;
            }
            let mark = datapath.injected.lock().unwrap()[0].0;
            assert!(
                datapath
                    .injected
                    .lock()
                    .unwrap()
                    .iter()
                    .all(|(other, _)| *other == mark)
            );
            datapath.tell();
            let answers = join_all(running).await;
            tracer.close().await.unwrap();
            answers.into_iter().map(Result::unwrap).collect::<Vec<_>>()
        }));
    });
    let each = used.bytes_max.saturating_sub(used.bytes_current.max(0) as u64) / TRACES as u64;
    println!(
        "{each} bytes each beyond {} of result",
        used.bytes_current / TRACES as i64
    );
    assert!(each < MOST_BYTES, "{each} bytes each");
    let dropped = traces
        .iter()
        .filter(|trace| trace.verdict.to_string().starts_with("dropped"));
    let dropped = dropped.count();
    assert!((TRACES / 4..TRACES / 2).contains(&dropped), "{dropped}");
    assert!(
        traces.iter().all(|trace| trace.attempts == 1),
        "each was answered at once"
    );
}
