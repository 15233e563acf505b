//! The traces of one process: the state machines, carried out on datapaths.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::future::{self, AbortHandle, Abortable};
use futures_util::stream::{self, FuturesUnordered, SelectAll};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tracing::Span;

use crate::datapath::{Datapath, DatapathError, Removed, Report, TraceId};
use crate::error::Error;
use crate::inventory::Inventory;
use crate::names::NodeName;
use crate::news::{self, Listener, Teller};
use crate::plan::{End, Plan};
use crate::session::{Command, Event, Order, OrderId, Progress, Request, Sessions, Task, Watch};
use crate::trace::finding::look_again;
use crate::trace::{Predictor, Trace};

/// Traces packets over the datapaths of many nodes, any number of traces at a time.
///
/// Dropping it is polite: the traces that run are finished and everything is removed in the background, as long as the
/// runtime lives. [`close`](Self::close) waits for that.
///
/// ```
/// use std::sync::Arc;
///
/// use traceflow_core::render::{self, Style};
/// use traceflow_core::spec::CommandLine;
/// use traceflow_core::plan::Plan;
/// use traceflow_core::tracer::Tracer;
/// use traceflow_sim::{Cluster, SimNetwork};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// // Any datapaths do, one per node; these are simulated.
/// let network = SimNetwork::new(Cluster::builder().node("a").node("b").pod("client", "a").pod("web", "b").build()?);
/// let tracer = Tracer::builder(network.cluster().clone())
///     .predictor(Arc::new(network.clone()))
///     .datapaths(network.datapaths())
///     .start();
///
/// let asked = CommandLine { source: Some("client"), destination: Some("web"), flow: Some("tcp,tcp_dst=80"), ..Default::default() };
/// let plan = Plan::resolve(&asked.spec(&**network.cluster())?, &**network.cluster(), &mut fastrand::Rng::new())?;
/// let mut tracing = tracer.trace(plan);
/// while let Some(news) = tracing.progress().await {
///     eprintln!("{news}");
/// }
/// let trace = tracing.await?;
/// println!("{}", render::table(&trace, Style::Plain));
/// assert_eq!(trace.verdict.to_string(), "delivered on b");
///
/// tracer.close().await?;
/// assert!(network.leftovers().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Tracer {
    calls: mpsc::UnboundedSender<Call>,
    predictor: Option<Arc<dyn Predictor>>,
    last: AtomicU64,
}

impl Tracer {
    /// A tracer to be, which knows names and addresses from `inventory`.
    pub fn builder(inventory: Arc<dyn Inventory>) -> TracerBuilder {
        TracerBuilder {
            inventory,
            predictor: None,
            datapaths: Vec::new(),
            seed: None,
        }
    }

    /// Starts a trace that watches what [`Watch::Path`] says.
    ///
    /// The trace runs whether or not the returned future is polled, until that is dropped.
    pub fn trace(&self, plan: impl Into<Arc<Plan>>) -> Tracing {
        self.trace_watching(Watch::Path, plan)
    }

    /// Starts a trace that watches these nodes.
    pub fn trace_watching(&self, watch: Watch, plan: impl Into<Arc<Plan>>) -> Tracing {
        let plan = plan.into();
        let trace = TraceId(self.last.fetch_add(1, Ordering::Relaxed) + 1);
        let version = self.predictor.as_ref().and_then(|predictor| predictor.version());
        let prediction = self.predictor.as_ref().map(|predictor| predictor.predict(&plan));
        let (answer, answered) = oneshot::channel();
        let (teller, listener) = news::channel();
        let caller = Caller {
            span: span(trace, &plan),
            version,
            teller,
            answer,
        };
        let request = Request {
            trace,
            plan,
            prediction,
            watch,
        };
        // If the driver is gone, the answer's channel is closed with it and the future says so.
        let _ = self.calls.send(Call::Trace(Box::new(request), caller));
        Tracing {
            trace,
            news: listener,
            answer: answered,
            calls: self.calls.clone(),
            answered: false,
        }
    }

    /// Ends all traces with [`Error::Closed`] and waits until everything is removed and detached.
    ///
    /// # Errors
    /// [`Error::Unavailable`] with the first node that could not be detached; [`Error::Closed`] if the runtime of the
    /// driver has ended before, and nothing could be removed.
    pub async fn close(self) -> Result<(), Error> {
        let (done, closed) = oneshot::channel();
        let _ = self.calls.send(Call::Close(done));
        closed.await.unwrap_or(Err(Error::Closed))
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").finish_non_exhaustive()
    }
}

/// What a [`Tracer`] is made of; nothing happens before [`start`](Self::start).
#[must_use]
pub struct TracerBuilder {
    inventory: Arc<dyn Inventory>,
    predictor: Option<Arc<dyn Predictor>>,
    datapaths: Vec<Arc<dyn Datapath>>,
    seed: Option<u64>,
}

impl TracerBuilder {
    /// Narrows traces to the predicted path, explains silence with the prediction, and finds where the network did something
    /// else ([`Trace::finding`]).
    pub fn predictor(mut self, predictor: Arc<dyn Predictor>) -> Self {
        self.predictor = Some(predictor);
        self
    }

    /// Adds a node. Of two with one name the later counts.
    pub fn datapath(mut self, datapath: Arc<dyn Datapath>) -> Self {
        self.datapaths.push(datapath);
        self
    }

    /// Adds nodes.
    pub fn datapaths(mut self, datapaths: impl IntoIterator<Item = Arc<dyn Datapath>>) -> Self {
        self.datapaths.extend(datapaths);
        self
    }

    /// Makes the choice of nonces reproducible.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Starts the driver, a task of the current runtime. Nothing is attached before the first trace.
    ///
    /// # Panics
    /// Outside a tokio runtime with its time driver enabled.
    pub fn start(self) -> Tracer {
        let (calls, called) = mpsc::unbounded_channel();
        let rng = self.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        let datapaths: BTreeMap<NodeName, Arc<dyn Datapath>> = self
            .datapaths
            .into_iter()
            .map(|datapath| (datapath.node().clone(), datapath))
            .collect();
        let nodes = datapaths
            .iter()
            .map(|(node, datapath)| (node.clone(), datapath.capabilities().clone()));
        let driver = Driver {
            sessions: Sessions::new(nodes, self.inventory, rng),
            predictor: self.predictor.clone(),
            reports: datapaths.values().map(labelled_reports).collect(),
            datapaths,
            running: FuturesUnordered::new(),
            aborts: HashMap::new(),
            callers: HashMap::new(),
            closers: Vec::new(),
        };
        tokio::spawn(driver.run(called));
        Tracer {
            calls,
            predictor: self.predictor,
            last: AtomicU64::new(0),
        }
    }
}

impl fmt::Debug for TracerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracerBuilder")
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

/// A trace that runs: a future of its answer, with news on the way. Dropping it cancels the trace, and what it had put
/// in place is removed in the background.
#[derive(Debug)]
#[must_use = "dropping it cancels the trace"]
pub struct Tracing {
    trace: TraceId,
    news: Listener,
    answer: oneshot::Receiver<Result<Box<Trace>, Error>>,
    calls: mpsc::UnboundedSender<Call>,
    answered: bool,
}

impl Tracing {
    /// Its number, as the `tracing` spans have it.
    pub fn id(&self) -> TraceId {
        self.trace
    }

    /// The next news; `None` when there will be no more because the answer is there. Cancelling it loses nothing.
    pub async fn progress(&mut self) -> Option<Progress> {
        self.news.next().await
    }
}

impl Future for Tracing {
    type Output = Result<Trace, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = std::task::ready!(Pin::new(&mut self.answer).poll(context));
        self.answered = true;
        Poll::Ready(answer.unwrap_or(Err(Error::Closed)).map(|trace| *trace))
    }
}

impl Drop for Tracing {
    fn drop(&mut self) {
        if !self.answered {
            let _ = self.calls.send(Call::Cancel(self.trace));
        }
    }
}

/// What callers want of the driver.
#[derive(Debug)]
enum Call {
    Trace(Box<Request>, Caller),
    Cancel(TraceId),
    Close(oneshot::Sender<Result<(), Error>>),
}

/// Who waits for a trace.
#[derive(Debug)]
struct Caller {
    span: Span,
    /// The predictor's, when the trace began.
    version: Option<u64>,
    teller: Teller,
    answer: oneshot::Sender<Result<Box<Trace>, Error>>,
}

/// The task that owns the state machines.
struct Driver {
    sessions: Sessions,
    predictor: Option<Arc<dyn Predictor>>,
    datapaths: BTreeMap<NodeName, Arc<dyn Datapath>>,
    reports: SelectAll<BoxStream<'static, (NodeName, Option<Report>)>>,
    running: FuturesUnordered<Abortable<BoxFuture<'static, Done>>>,
    aborts: HashMap<OrderId, AbortHandle>,
    callers: HashMap<TraceId, Caller>,
    closers: Vec<oneshot::Sender<Result<(), Error>>>,
}

/// A command that has ended.
struct Done {
    order: OrderId,
    command: Command,
    result: Result<Removed, DatapathError>,
}

impl Driver {
    /// Until nobody can ask for anything any more, and everything is removed and detached.
    async fn run(mut self, mut calls: mpsc::UnboundedReceiver<Call>) {
        let mut callable = true;
        let mut overtaken = 0;
        loop {
            // A flood must not keep the runtime from its other tasks either.
            tokio::task::coop::consume_budget().await;
            self.carry_out_orders();
            self.deliver_events();
            if self.sessions.is_closed() {
                break;
            }
            let due = self.sessions.poll_timeout();
            overtaken = if due.is_some_and(|due| due <= now()) {
                overtaken + 1
            } else {
                0
            };
            if overtaken > BACKLOG {
                overtaken = 0;
                self.sessions.handle_timeout(now());
                continue;
            }
            tokio::select! {
                // In this order, so that what has happened is known before time is held to be over.
                biased;
                call = calls.recv(), if callable => {
                    callable = call.is_some();
                    self.handle_call(call);
                }
                // What was aborted was superseded; nobody waits for it.
                Some(done) = self.running.next() => if let Ok(done) = done { self.handle_done(done) },
                Some((node, report)) = self.reports.next() => self.handle_word(&node, report),
                () = sleep_until(due) => self.sessions.handle_timeout(now()),
            }
        }
        self.say_goodbye();
    }

    fn handle_call(&mut self, call: Option<Call>) {
        match call {
            Some(Call::Trace(request, caller)) => {
                self.callers.insert(request.trace, caller);
                self.sessions.handle_request(*request, now());
            }
            Some(Call::Cancel(trace)) => self.sessions.handle_cancel(trace, now()),
            Some(Call::Close(done)) => {
                self.closers.push(done);
                self.sessions.handle_close(now());
            }
            None => self.sessions.handle_close(now()),
        }
    }

    fn handle_word(&mut self, node: &NodeName, report: Option<Report>) {
        match report {
            Some(report) => self.handle_report(node, report),
            None => self.handle_gone(node),
        }
    }

    fn handle_report(&mut self, node: &NodeName, report: Report) {
        match &report {
            Report::Seen(sighting) => {
                tracing::trace!(%node, mark = %sighting.mark, step = sighting.step, "seen");
            }
            Report::Lost { count } => tracing::warn!(%node, count, "reports were lost"),
            Report::Restarted => tracing::warn!(%node, "the datapath restarted"),
        }
        self.sessions.handle_report(node, report, now());
    }

    fn handle_gone(&mut self, node: &NodeName) {
        tracing::warn!(%node, "the datapath is gone for good");
        self.sessions.handle_gone(node, now());
    }

    fn handle_done(&mut self, done: Done) {
        let Done { order, command, result } = done;
        self.aborts.remove(&order);
        let Command { node, task } = &command;
        let span = self.span(task);
        match &result {
            Ok(_) => tracing::debug!(parent: &span, %node, %task, "done"),
            Err(error) => tracing::warn!(parent: &span, %node, %task, %error, "failed"),
        }
        if matches!(task, Task::Remove(_)) {
            self.hear_out();
        }
        self.sessions.handle_result(order, result, now());
    }

    /// A removal may be the last that a trace waits for: what the datapaths have said before its end belongs to the answer.
    fn hear_out(&mut self) {
        for _ in 0..BACKLOG {
            let Some(Some((node, report))) = self.reports.next().now_or_never() else {
                return;
            };
            self.handle_word(&node, report);
        }
    }

    fn carry_out_orders(&mut self) {
        while let Some(order) = self.sessions.poll_abandoned() {
            self.abort(order);
        }
        while let Some(order) = self.sessions.poll_order() {
            let span = self.span(&order.command.task);
            tracing::debug!(parent: &span, node = %order.command.node, task = %order.command.task, "begun");
            if let Some(earlier) = order.supersedes {
                self.abort(earlier);
            }
            let Some(datapath) = self.datapaths.get(&order.command.node) else {
                continue;
            };
            let id = order.id;
            let mut done = carry_out(datapath.clone(), order).boxed();
            // Most calls are over at once; only who waits is to be waited for.
            match done.as_mut().now_or_never() {
                Some(done) => self.handle_done(done),
                None => {
                    let (abort, registration) = AbortHandle::new_pair();
                    self.aborts.insert(id, abort);
                    self.running.push(Abortable::new(done, registration));
                }
            }
        }
    }

    fn abort(&mut self, order: OrderId) {
        if let Some(running) = self.aborts.remove(&order) {
            running.abort();
        }
    }

    fn span(&self, task: &Task) -> Span {
        let caller = task.trace().and_then(|trace| self.callers.get(&trace));
        caller.map_or_else(Span::none, |caller| caller.span.clone())
    }

    /// A caller who has gone away needs no news.
    fn deliver_events(&mut self) {
        while let Some(event) = self.sessions.poll_event() {
            match event {
                Event::Progress(trace, progress) => {
                    if let Some(caller) = self.callers.get(&trace) {
                        tracing::debug!(parent: &caller.span, "{progress}");
                        caller.teller.tell(progress);
                    }
                }
                Event::Finished(trace, mut outcome) => {
                    if let Some(caller) = self.callers.remove(&trace) {
                        if let (Ok(answer), Some(predictor)) = (&mut outcome, &self.predictor) {
                            look_again(answer, &**predictor, caller.version);
                        }
                        log_outcome(&caller.span, &outcome);
                        let _ = caller.answer.send(outcome);
                    }
                }
            }
        }
    }

    fn say_goodbye(self) {
        let failure = self.sessions.failures().next().map(|(node, error)| Error::Unavailable {
            node: node.clone(),
            source: error.clone(),
        });
        for closer in self.closers {
            let _ = closer.send(failure.clone().map_or(Ok(()), Err));
        }
    }
}

fn log_outcome(span: &Span, outcome: &Result<Box<Trace>, Error>) {
    match outcome {
        Ok(trace) => tracing::info!(parent: span, verdict = %trace.verdict, "answered"),
        Err(error) => tracing::info!(parent: span, %error, "not answered"),
    }
}

/// A datapath that panics has failed, like any other that fails: the traces of other nodes have nothing to do with it.
async fn carry_out(datapath: Arc<dyn Datapath>, order: Order) -> Done {
    let called = AssertUnwindSafe(call(&*datapath, &order.command.task)).catch_unwind();
    let result = called.await.unwrap_or_else(|panic| {
        let words = panic_message(&*panic);
        Err(DatapathError::Unavailable(format!("it panicked: {words}").into()))
    });
    Done {
        order: order.id,
        command: order.command,
        result,
    }
}

async fn call(datapath: &dyn Datapath, task: &Task) -> Result<Removed, DatapathError> {
    let nothing = |()| Removed::default();
    match task {
        Task::Attach => datapath.attach().await.map(nothing),
        Task::Install(probe) => datapath.install(probe).await.map(nothing),
        Task::Inject(probe, packet) => datapath.inject(probe, packet).await.map(nothing),
        Task::Remove(probe) => datapath.remove(probe).await,
        Task::Detach => datapath.detach().await.map(nothing),
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a word")
}

/// The datapath's reports, then `None`: it is gone for good. So is one whose stream panics.
fn labelled_reports(datapath: &Arc<dyn Datapath>) -> BoxStream<'static, (NodeName, Option<Report>)> {
    let node = datapath.node().clone();
    let reports = AssertUnwindSafe(datapath.reports()).catch_unwind();
    let reports = reports
        .map(Result::ok)
        .take_while(|report| future::ready(report.is_some()));
    let gone = stream::once(future::ready(None));
    reports.chain(gone).map(move |report| (node.clone(), report)).boxed()
}

fn span(trace: TraceId, plan: &Plan) -> Span {
    let address = |end: &Option<End>| end.as_ref().map(|end| tracing::field::display(end.address));
    tracing::info_span!(
        "trace",
        id = trace.0,
        source = address(&plan.source),
        destination = address(&plan.destination)
    )
}

/// How many events a deadline that is due waits for: those that happened before it count, yet a flood must not stop
/// the clock.
const BACKLOG: u32 = 10_000;

/// The clock that tests can pause.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
