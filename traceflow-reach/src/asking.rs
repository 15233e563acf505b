//! Asking all questions of a grid: a model of the network, or the network.

use std::error::Error as _;
use std::num::NonZeroUsize;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use traceflow_core::Error;
use traceflow_core::plan::Plan;
use traceflow_core::trace::{Mode, Predictor, Trace};
use traceflow_core::tracer::Tracer;

use crate::grid::Grid;
use crate::matrix::{Matrix, Recorder};

impl Grid {
    /// What a model of the network says; nothing is sent. `answered` is told how many are answered whenever one is.
    pub fn predict(self, predictor: &dyn Predictor, answered: impl FnMut(usize)) -> Matrix {
        Arc::new(self).predict_all(predictor, answered)
    }

    /// The same, of a grid that others use, too.
    pub(crate) fn predict_all(self: Arc<Self>, predictor: &dyn Predictor, mut answered: impl FnMut(usize)) -> Matrix {
        let mut count = 0;
        let mut recorder = Recorder::new(Arc::clone(&self), Mode::Predicted);
        for place in 0..self.len() {
            match self.plan(place) {
                Err(why) => recorder.put_not_asked(place, why),
                Ok(plan) => {
                    predict(&mut recorder, place, &plan, predictor);
                    count += 1;
                    answered(count);
                }
            }
        }
        recorder.finish()
    }

    /// What the network does: a packet is injected for each question, `in_flight` at a time. `answered` is told how many are
    /// answered whenever one is.
    ///
    /// No two packets that are in flight are of one connection. Dropping the future cancels what is in flight, and what
    /// was put in place is removed in the background; [`Tracer::close`] waits for that. It is quickest in a task of its own
    /// (`tokio::spawn`): what wakes a runtime's outermost future goes by the operating system.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use traceflow_core::tracer::Tracer;
    /// use traceflow_reach::{Grid, IN_FLIGHT, Outcome};
    /// use traceflow_sim::{Cluster, SimNetwork};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// // Any datapaths do; these are simulated.
    /// let network = SimNetwork::new(Cluster::builder().node("a").node("b").pod("client", "a").pod("web", "b").build()?);
    /// let tracer = Tracer::builder(network.cluster().clone()).datapaths(network.datapaths()).start();
    /// let everybody = ["*".parse()?];
    /// let grid = Arc::new(Grid::resolve(network.cluster(), &everybody, &everybody, "tcp/80".parse()?)?);
    /// let matrix = grid.trace(&tracer, IN_FLIGHT, |answered| eprintln!("{answered}")).await;
    /// assert_eq!(matrix.tally().of(Outcome::Delivered), 2);
    /// tracer.close().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn trace(
        self: &Arc<Self>,
        tracer: &Tracer,
        in_flight: NonZeroUsize,
        mut answered: impl FnMut(usize),
    ) -> Matrix {
        let mut recorder = Recorder::new(Arc::clone(self), Mode::Injected);
        let mut plans = Vec::new();
        for place in 0..self.len() {
            match self.plan(place) {
                Err(why) => recorder.put_not_asked(place, why),
                Ok(_) => plans.push(place),
            }
        }
        let asked = plans.into_iter().filter_map(|place| {
            let plan = self.plan(place).ok()?;
            Some(async move { (place, tracer.trace(plan).await) })
        });
        let mut answers = stream::iter(asked).buffer_unordered(in_flight.get());
        let mut count = 0;
        while let Some((place, answer)) = answers.next().await {
            match answer {
                Ok(trace) => keep(&mut recorder, place, trace),
                Err(error) => recorder.put_unanswered(place, with_causes(&error)),
            }
            count += 1;
            answered(count);
        }
        drop(answers);
        recorder.finish()
    }
}

/// How many questions are in flight at a time, unless somebody wants it otherwise: enough that no switch waits for us.
pub const IN_FLIGHT: NonZeroUsize = NonZeroUsize::new(32).expect("it isn't zero");

fn predict(recorder: &mut Recorder, place: usize, plan: &Plan, predictor: &dyn Predictor) {
    match predictor.predict(plan) {
        Ok(prediction) => {
            for object in &*prediction.left_out {
                recorder.note(format!("the model leaves out {object}, which may decide otherwise").into());
            }
            recorder.put_verdict(place, prediction.verdict, &prediction.hops);
        }
        Err(why) => recorder.put_unanswered(place, why.0),
    }
}

/// Keeps the end of a trace, and lets go of the rest.
fn keep(recorder: &mut Recorder, place: usize, trace: Trace) {
    if let Some(finding) = &trace.finding {
        recorder.put_finding(place, finding.to_string());
    }
    for node in trace.receipt.nodes.iter().filter(|node| !node.is_clean()) {
        let why = node
            .unconfirmed
            .as_ref()
            .map_or("something was left that goes by itself", |why| &why.error);
        recorder.note(format!("{} is not known to be as it was before: {why}", node.node).into());
    }
    for note in trace.notes {
        recorder.note(note.into());
    }
    recorder.put_verdict(place, trace.verdict, &trace.hops);
}

/// An error with everything that led to it, in one line.
fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
