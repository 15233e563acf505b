//! Asking: all traces at once, with their progress on standard error.

use std::time::SystemTime;

use futures_util::future::{join, join_all};
use tokio::sync::mpsc;
use traceflow_core::Error;
use traceflow_core::plan::Question as Way;
use traceflow_core::render::Traceflow;
use traceflow_core::session::Progress;
use traceflow_core::trace::{Predictor, Trace, Verdict};
use traceflow_core::tracer::{Tracer, Tracing};

use crate::failure::Failure;
use crate::network::Network;
use crate::question::Question;

/// What came out of a question.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) question: Question,
    pub(crate) outcome: Result<Trace, Error>,
    started: SystemTime,
}

impl Answer {
    /// Whether the question was answered: delivered or dropped alike.
    pub(crate) fn is_known(&self) -> bool {
        matches!(&self.outcome, Ok(trace) if !matches!(trace.verdict, Verdict::Unanswered(_)))
    }

    /// The answer as a Traceflow object.
    pub(crate) fn object(&self) -> Traceflow {
        let question = &self.question;
        Traceflow::new(
            question.api_version.as_str(),
            question.metadata.clone(),
            question.spec.clone(),
            self.started,
            self.outcome.as_ref(),
        )
    }
}

/// Traces all questions at once; the answers come in the order of the questions.
pub(crate) fn all(network: &Network, questions: Vec<Question>) -> Result<Vec<Answer>, Failure> {
    if !network.traffic.is_empty() && (network.predict || !questions.iter().any(is_live)) {
        let what =
            "--send is for live traces, and none is run; drop it, or ask for live traffic with -L or liveTraffic";
        return Err(Failure::Usage(what.to_owned()));
    }
    if network.predict {
        return Ok(questions
            .into_iter()
            .map(|question| predicted(network, question))
            .collect());
    }
    // On the simulated network time is simulated, too: what would come to nothing in 20 s does so at once.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    Ok(runtime.map_err(Failure::Runtime)?.block_on(traced(network, questions)))
}

fn predicted(network: &Network, question: Question) -> Answer {
    let prediction = network.sim.predict(&question.plan);
    let outcome = prediction.map(|prediction| Trace::predicted(question.plan.clone().into(), prediction));
    Answer {
        outcome: outcome.map_err(Error::from),
        started: SystemTime::now(),
        question,
    }
}

async fn traced(network: &Network, questions: Vec<Question>) -> Vec<Answer> {
    let tracer = network.tracer();
    let (waited_for, all_armed) = mpsc::channel(1);
    let (late, armed_late) = mpsc::unbounded_channel();
    let arming = Arming {
        waited_for: Some(waited_for),
        late,
    };
    let traces = questions.into_iter().map(|question| {
        let arming = is_live(&question).then(|| arming.clone());
        one(&tracer, network, question, arming)
    });
    let traces = join_all(traces.collect::<Vec<_>>());
    drop(arming);
    let (answers, ()) = join(traces, send(network, all_armed, armed_late)).await;
    if let Err(error) = tracer.close().await {
        eprintln!("warning: {error}; what is left there goes by itself");
    }
    answers
}

/// What a live trace lets the workloads know.
#[derive(Clone)]
struct Arming {
    /// Held until the trace is armed, waits in a queue, or is over.
    waited_for: Option<mpsc::Sender<()>>,
    /// Told when a trace is armed that had to wait in a queue.
    late: mpsc::UnboundedSender<()>,
}

impl Arming {
    fn hear(&mut self, news: &Progress) {
        match news {
            Progress::Queued { .. } => self.waited_for = None,
            Progress::Armed { .. } if self.waited_for.take().is_none() => {
                // When nobody listens any more, all is sent.
                let _ = self.late.send(());
            }
            _ => {}
        }
    }
}

/// Runs one trace.
async fn one(tracer: &Tracer, network: &Network, question: Question, arming: Option<Arming>) -> Answer {
    let started = SystemTime::now();
    let mut tracing = tracer.trace_watching(network.watch, question.plan.clone());
    report(&question.name, &mut tracing, arming).await;
    Answer {
        outcome: tracing.await,
        started,
        question,
    }
}

/// Prints the news of a trace until there are no more.
async fn report(name: &str, tracing: &mut Tracing, mut arming: Option<Arming>) {
    while let Some(news) = tracing.progress().await {
        eprintln!("{name}: {news}");
        if let Some(arming) = &mut arming {
            arming.hear(&news);
        }
    }
}

/// Lets the workloads send as soon as nobody holds the other end of `all_armed`, and again for traces that were in a
/// queue then.
async fn send(network: &Network, mut all_armed: mpsc::Receiver<()>, mut armed_late: mpsc::UnboundedReceiver<()>) {
    while all_armed.recv().await.is_some() {}
    send_once(network);
    while armed_late.recv().await.is_some() {
        while armed_late.try_recv().is_ok() {}
        send_once(network);
    }
}

fn send_once(network: &Network) {
    for traffic in &network.traffic {
        // It could be sent when it was read, and the cluster hasn't changed.
        if let Err(error) = network.sim.send(traffic) {
            eprintln!("warning: not sent: {error}");
        }
    }
}

fn is_live(question: &Question) -> bool {
    matches!(question.plan.question, Way::Live { .. })
}
