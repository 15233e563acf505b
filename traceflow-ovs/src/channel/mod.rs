//! One switch's OpenFlow connection: opened, kept, opened again; the only place where its socket is read and written.
//!
//! Requests come from any task and are answered by number, so that nobody waits behind packet-ins: those are handed on at
//! once, on the same turn in which they were read.

mod calls;
#[cfg(test)]
mod dialogue;
mod keeper;
mod line;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};
use traceflow_core::datapath::DatapathError;
use traceflow_openflow::Port;
use traceflow_openflow::message::{
    FlowEntry, FlowFilter, FlowRemoved, FlowUpdate, Message, MonitorRequest, MultipartBody, MultipartReply,
    MultipartRequest, PacketInView, PortDesc, PortStatus,
};

use self::keeper::Keeper;
use crate::address::Address;
use crate::instance::NO_TRACER;

/// How a channel is opened and kept.
pub(crate) struct Opening {
    pub(crate) address: Address,
    /// Which punts come to us.
    pub(crate) controller: u16,
    /// How long the switch may be out of reach before it is held to be gone for good; `None`: for ever.
    pub(crate) give_up: Option<Duration>,
    /// Who hears what the switch says of its own accord; what it returns is sent at once.
    pub(crate) ears: Box<dyn Fn(Said<'_>) -> Vec<Message> + Send + Sync>,
}

/// What a switch says of its own accord.
#[derive(Debug)]
pub(crate) enum Said<'a> {
    /// The connection is a new one: what the earlier one was to be told of isn't told any more.
    Hello,
    /// A packet that a flow has punted.
    Packet(PacketInView<'a>),
    /// A flow is gone that was to be told of.
    Gone(FlowRemoved),
    /// Something has happened to a port.
    Port(PortStatus),
    /// Something has happened to flows that are to be told of.
    Flows(Vec<FlowUpdate>),
}

/// The way to a switch. When it is dropped, the connection is closed.
#[derive(Debug)]
pub(crate) struct Channel {
    requests: mpsc::UnboundedSender<Request>,
    link: watch::Receiver<Link>,
    /// Somebody waits for the connection.
    wanted: Arc<Notify>,
}

/// How the connection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Link {
    /// It isn't there, or not yet, for this reason and since then; it is being opened.
    Down(Arc<str>, Instant),
    /// It is there, for the so-manieth time.
    Up(u64),
    /// The switch was given up.
    Gone(Arc<str>),
}

/// How long a connection may be down until calls no longer wait for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long one try to connect takes, most likely.
const ONE_TRY: Duration = Duration::from_millis(500);

/// What is asked of the task that owns the socket.
#[derive(Debug)]
enum Request {
    /// Sent in this order; what is refused is logged.
    Post(Vec<Message>),
    /// Sent in this order; answered when all is done.
    Perform(Vec<Message>, oneshot::Sender<Result<(), DatapathError>>),
    /// Answered by the reply.
    Ask(Box<Message>, oneshot::Sender<Result<Message, DatapathError>>),
}

impl Opening {
    /// To ask or order something at once, and to hear of no packets.
    pub(crate) fn of_a_moment(address: &Address) -> Self {
        Self {
            address: address.clone(),
            controller: NO_TRACER,
            give_up: None,
            ears: Box::new(|_| Vec::new()),
        }
    }
}

impl Channel {
    /// Starts to open the connection, in a task of the current runtime.
    pub(crate) fn open(opening: Opening) -> Self {
        let (requests, requested) = mpsc::unbounded_channel();
        let (link, linked) = watch::channel(Link::Down("it is being connected".into(), Instant::now()));
        let wanted = Arc::<Notify>::default();
        let keeper = Keeper {
            opening,
            wanted: wanted.clone(),
            requests: requested,
            link,
            opened: 0,
        };
        tokio::spawn(keeper.keep());
        Self {
            requests,
            link: linked,
            wanted,
        }
    }

    /// How the connection stands, now and later.
    pub(crate) fn link(&self) -> watch::Receiver<Link> {
        self.link.clone()
    }

    /// Waits a little for the connection; the number is another after every loss of it.
    pub(crate) async fn up(&self) -> Result<u64, DatapathError> {
        if let Ok(number) = self.number() {
            return Ok(number);
        }
        let mut link = self.link.clone();
        let now = Instant::now();
        let down_since = match &*link.borrow_and_update() {
            Link::Down(_, since) => *since,
            Link::Up(_) | Link::Gone(_) => now,
        };
        if matches!(*link.borrow(), Link::Down(..)) {
            self.wanted.notify_one();
        }
        if down_since + PATIENCE <= now {
            // Nobody waits for a switch that is down for so long; but it may be back, and the next try may be far off.
            let _ = timeout(ONE_TRY, link.changed()).await;
        }
        let settled = link.wait_for(|link| !matches!(link, Link::Down(..)));
        let settled = timeout_at(down_since + PATIENCE, settled).await;
        let now = match settled {
            Ok(Ok(link)) => link.clone(),
            Ok(Err(_)) | Err(_) => self.link.borrow().clone(),
        };
        match now {
            Link::Up(number) => Ok(number),
            Link::Down(reason, _) | Link::Gone(reason) => Err(DatapathError::Unavailable(reason)),
        }
    }

    /// Waits a little for the connection and posts messages; once more, if the connection was lost in that very moment.
    pub(crate) async fn post_when_up(&self, messages: Vec<Message>) -> Result<(), DatapathError> {
        self.up().await?;
        if self.number().is_err() {
            self.up().await?;
        }
        self.post(messages)
    }

    /// Sends messages that have no reply; they take effect in their order and before whatever is sent later.
    pub(crate) fn post(&self, messages: Vec<Message>) -> Result<(), DatapathError> {
        self.number()?;
        self.requests.send(Request::Post(messages)).map_err(|_| closed())
    }

    /// The number of the connection that is there now.
    fn number(&self) -> Result<u64, DatapathError> {
        match &*self.link.borrow() {
            Link::Up(number) => Ok(*number),
            Link::Down(reason, _) | Link::Gone(reason) => Err(DatapathError::Unavailable(reason.clone())),
        }
    }

    /// Sends messages that have no reply, and waits until the switch has carried them out.
    pub(crate) async fn perform(&self, messages: Vec<Message>) -> Result<(), DatapathError> {
        self.up().await?;
        let (done, performed) = oneshot::channel();
        let sent = self.requests.send(Request::Perform(messages, done));
        sent.map_err(|_| closed())?;
        performed.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Sends a message and waits for its reply.
    pub(crate) async fn ask(&self, message: Message) -> Result<Message, DatapathError> {
        self.up().await?;
        let (answer, answered) = oneshot::channel();
        let sent = self.requests.send(Request::Ask(Box::new(message), answer));
        sent.map_err(|_| closed())?;
        answered.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Asks for one of the long answers.
    pub(crate) async fn multipart(&self, request: MultipartRequest) -> Result<MultipartBody, DatapathError> {
        match self.ask(Message::MultipartRequest(request)).await? {
            Message::MultipartReply(MultipartReply { body, .. }) => Ok(body),
            _ => Err(unexpected()),
        }
    }

    /// The flows whose cookies are so in the bits of `mask`.
    pub(crate) async fn flows(&self, cookie: u64, mask: u64) -> Result<Vec<FlowEntry>, DatapathError> {
        self.flows_of(FlowFilter::by_cookie(cookie, mask)).await
    }

    /// The flows that are meant.
    pub(crate) async fn flows_of(&self, filter: FlowFilter) -> Result<Vec<FlowEntry>, DatapathError> {
        match self.multipart(MultipartRequest::Flows(filter)).await? {
            MultipartBody::Flows(flows) => Ok(flows),
            _ => Err(unexpected()),
        }
    }

    /// Has the switch tell of flows from now on; those that there are have been told when this returns.
    pub(crate) async fn monitor(&self, request: MonitorRequest) -> Result<(), DatapathError> {
        self.multipart(MultipartRequest::Monitor(request)).await.map(drop)
    }

    /// How many flows a table has.
    pub(crate) async fn count_flows(&self, table: u8) -> Result<u32, DatapathError> {
        let filter = FlowFilter {
            table,
            ..FlowFilter::all()
        };
        match self.multipart(MultipartRequest::Aggregate(filter)).await? {
            MultipartBody::Aggregate(statistics) => statistics.flows.ok_or_else(unexpected),
            _ => Err(unexpected()),
        }
    }

    /// The ports, by number.
    pub(crate) async fn ports(&self) -> Result<Vec<PortDesc>, DatapathError> {
        match self.multipart(MultipartRequest::Ports(Port::ANY)).await? {
            MultipartBody::Ports(ports) => Ok(ports),
            _ => Err(unexpected()),
        }
    }

    /// The names of the tables.
    pub(crate) async fn tables(&self) -> Result<BTreeMap<u8, String>, DatapathError> {
        match self.multipart(MultipartRequest::TableFeatures).await? {
            MultipartBody::TableFeatures(tables) => {
                Ok(tables.into_iter().map(|table| (table.table, table.name)).collect())
            }
            _ => Err(unexpected()),
        }
    }
}

/// What a reply of another kind than was asked for comes to.
fn unexpected() -> DatapathError {
    DatapathError::Refused("the switch's answer is not what was asked for".into())
}

fn closed() -> DatapathError {
    DatapathError::Unavailable("the connection to the switch was closed".into())
}

impl Request {
    fn refuse(self, reason: &Arc<str>) {
        let error = DatapathError::Unavailable(reason.clone());
        match self {
            Self::Post(messages) => tracing::debug!(count = messages.len(), "not sent: {error}"),
            Self::Perform(_, done) => drop(done.send(Err(error))),
            Self::Ask(_, answer) => drop(answer.send(Err(error))),
        }
    }
}
