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
    let (armed, all_armed) = mpsc::channel(1);
    let traces = questions.into_iter().map(|question| {
        let unarmed = is_live(&question).then(|| armed.clone());
        one(&tracer, network, question, unarmed)
    });
    let traces = join_all(traces.collect::<Vec<_>>());
    drop(armed);
    let (answers, ()) = join(traces, send(network, all_armed)).await;
    if let Err(error) = tracer.close().await {
        eprintln!("warning: {error}; what is left there goes by itself");
    }
    answers
}

/// Runs one trace. `unarmed` is held until it is armed, or over.
async fn one(tracer: &Tracer, network: &Network, question: Question, unarmed: Option<mpsc::Sender<()>>) -> Answer {
    let started = SystemTime::now();
    let mut tracing = tracer.trace_watching(network.watch, question.plan.clone());
    report(&question.name, &mut tracing, unarmed).await;
    Answer {
        outcome: tracing.await,
        started,
        question,
    }
}

/// Prints the news of a trace until there are no more.
async fn report(name: &str, tracing: &mut Tracing, mut unarmed: Option<mpsc::Sender<()>>) {
    while let Some(news) = tracing.progress().await {
        eprintln!("{name}: {news}");
        if matches!(news, Progress::Armed { .. }) {
            unarmed = None;
        }
    }
    drop(unarmed);
}

/// Lets the workloads send as soon as nobody holds the channel's other end.
async fn send(network: &Network, mut all_armed: mpsc::Receiver<()>) {
    while all_armed.recv().await.is_some() {}
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
