//! Asking: all traces at once, with their progress on standard error.

use std::time::SystemTime;

use futures_util::future::{join, join_all};
use tokio::sync::mpsc;
use traceflow_core::Error;
use traceflow_core::plan::Question as Way;
use traceflow_core::render::Traceflow;
use traceflow_core::session::Progress;
use traceflow_core::trace::{Trace, Verdict};
use traceflow_core::tracer::{Tracer, Tracing};

use crate::datapaths::Datapaths;
use crate::failure::{Failure, with_causes};
use crate::network::Network;
use crate::question::Question;
use crate::signals::Signals;

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
    let sends = matches!(&network.datapaths, Datapaths::Simulated(simulation) if simulation.sends());
    if sends && (network.predict || !questions.iter().any(is_live)) {
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
    let runtime = network.datapaths.runtime().map_err(Failure::Runtime)?;
    runtime.block_on(traced(network, questions))
}

fn predicted(network: &Network, question: Question) -> Answer {
    let prediction = network.datapaths.predictor().predict(&question.plan);
    let outcome = prediction.map(|prediction| Trace::predicted(question.plan.clone().into(), prediction));
    Answer {
        outcome: outcome.map_err(Error::from),
        started: SystemTime::now(),
        question,
    }
}

/// Whatever ends it, everything that was put in place is removed first.
async fn traced(network: &Network, questions: Vec<Question>) -> Result<Vec<Answer>, Failure> {
    let mut signals = Signals::listen().map_err(Failure::Runtime)?;
    let tracer = network.tracer().await?;
    let outcome = tokio::select! {
        answers = answered(&tracer, network, questions) => Ok(answers),
        signal = signals.next() => Err(Failure::Interrupted(signal)),
    };
    close(tracer, &mut signals).await;
    outcome
}

/// Waits until the tracer has removed everything; a signal ends that, too.
pub(crate) async fn close(tracer: Tracer, signals: &mut Signals) {
    let left = "what is left there goes by itself within a minute";
    tokio::select! {
        closed = tracer.close() => if let Err(error) = closed {
            eprintln!("warning: {}; {left}", with_causes(&error));
        },
        _ = signals.next() => eprintln!("warning: interrupted while removing; {left}"),
    }
}

async fn answered(tracer: &Tracer, network: &Network, questions: Vec<Question>) -> Vec<Answer> {
    let (waited_for, all_armed) = mpsc::channel(1);
    let (late, armed_late) = mpsc::unbounded_channel();
    let arming = Arming {
        waited_for: Some(waited_for),
        late,
    };
    let traces = questions.into_iter().map(|question| {
        let arming = is_live(&question).then(|| arming.clone());
        one(tracer, network, question, arming)
    });
    let traces = join_all(traces.collect::<Vec<_>>());
    drop(arming);
    let (answers, ()) = join(traces, send(network, all_armed, armed_late)).await;
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
    network.datapaths.send();
    while armed_late.recv().await.is_some() {
        while armed_late.try_recv().is_ok() {}
        network.datapaths.send();
    }
}

fn is_live(question: &Question) -> bool {
    matches!(question.plan.question, Way::Live { .. })
}
