//! One switch's OpenFlow connection: opened, kept, opened again; the only place where its socket is read and written.
//!
//! Requests come from any task and are answered by number, so that nobody waits behind packet-ins: those are handed on at
//! once, on the same turn in which they were read.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use traceflow_core::datapath::DatapathError;
use traceflow_openflow::Port;
use traceflow_openflow::connection::{Config, Connection, Event};
use traceflow_openflow::message::{
    AsyncConfig, AsyncKind, ErrorMessage, FlowEntry, FlowFilter, FlowRemoved, Message, MultipartBody, MultipartReply,
    MultipartRequest, PacketIn2, PacketInFormat, SetControllerId, SetPacketInFormat, SwitchConfig,
};

use crate::address::{Address, Stream};
use crate::instance::NO_TRACER;

/// How a channel is opened and kept.
pub(crate) struct Opening {
    pub(crate) address: Address,
    /// Which punts come to us.
    pub(crate) controller: u16,
    /// How long the switch may be out of reach before it is held to be gone for good; `None`: for ever.
    pub(crate) give_up: Option<Duration>,
    /// Who hears what the switch says of its own accord; what it returns is sent at once.
    pub(crate) ears: Box<dyn Fn(Said) -> Vec<Message> + Send + Sync>,
}

/// What a switch says of its own accord.
#[derive(Debug)]
pub(crate) enum Said {
    /// A packet that a flow has punted.
    Packet(PacketIn2),
    /// A flow is gone that was to be told of.
    Gone(FlowRemoved),
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
        match self.post(messages.clone()) {
            Err(DatapathError::Unavailable(_)) => {
                self.up().await?;
                self.post(messages)
            }
            posted => posted,
        }
    }

    /// Sends messages that have no reply; they take effect in their order and before whatever is sent later.
    pub(crate) fn post(&self, messages: Vec<Message>) -> Result<(), DatapathError> {
        match &*self.link.borrow() {
            Link::Up(_) => {}
            Link::Down(reason, _) | Link::Gone(reason) => return Err(DatapathError::Unavailable(reason.clone())),
        }
        self.requests.send(Request::Post(messages)).map_err(|_| closed())
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
        let filter = FlowFilter::by_cookie(cookie, mask);
        match self.multipart(MultipartRequest::Flows(filter)).await? {
            MultipartBody::Flows(flows) => Ok(flows),
            _ => Err(unexpected()),
        }
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
    pub(crate) async fn ports(&self) -> Result<BTreeMap<u32, String>, DatapathError> {
        match self.multipart(MultipartRequest::Ports(Port::ANY)).await? {
            MultipartBody::Ports(ports) => Ok(ports.into_iter().map(|port| (port.port.0, port.name)).collect()),
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

/// The task that owns the socket.
struct Keeper {
    opening: Opening,
    wanted: Arc<Notify>,
    requests: mpsc::UnboundedReceiver<Request>,
    link: watch::Sender<Link>,
    opened: u64,
}

/// Between two tries; the first comes at once.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How long one try may take.
const CONNECTING: Duration = Duration::from_secs(5);

/// Why a connection is over.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("{0}")]
    Socket(#[from] io::Error),
    #[error("the switch closed the connection")]
    Eof,
    #[error("{0}")]
    Protocol(traceflow_openflow::connection::Closed),
    #[error("the switch refuses what tracing needs: {0}")]
    Refused(ErrorMessage),
    /// Nobody holds the channel any more.
    #[error("closed")]
    Unwanted,
}

impl Lost {
    /// What whoever reads it can do; `greeted` says whether it was ever known that a switch is there.
    fn remedy(&self, greeted: bool) -> &'static str {
        match self {
            Self::Socket(error) => match error.kind() {
                io::ErrorKind::NotFound => "; check the address, and that the bridge exists and ovs-vswitchd runs",
                io::ErrorKind::ConnectionRefused => "; check the address, and that ovs-vswitchd runs",
                io::ErrorKind::PermissionDenied => "; run as a user who may open it, such as root",
                io::ErrorKind::TimedOut => "; check the address, and what stands between",
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe if !greeted => SOMETHING_ELSE,
                _ => "",
            },
            Self::Protocol(_) => SOMETHING_ELSE,
            Self::Eof if !greeted => SOMETHING_ELSE,
            Self::Eof | Self::Refused(_) | Self::Unwanted => "",
        }
    }
}

const SOMETHING_ELSE: &str = "; check that the address is that of a bridge's OpenFlow, and not of something else";

impl Keeper {
    async fn keep(mut self) {
        let mut pause = FIRST_PAUSE;
        let mut down_since = Instant::now();
        loop {
            let opened = self.opened;
            let lost = self.one_connection().await;
            if matches!(lost, Lost::Unwanted) {
                return;
            }
            let greeted = self.opened != opened;
            if greeted {
                (pause, down_since) = (FIRST_PAUSE, Instant::now());
            }
            let reason: Arc<str> = format!("{}: {lost}{}", self.opening.address, lost.remedy(greeted)).into();
            tracing::debug!(%reason, "no connection");
            if self
                .opening
                .give_up
                .is_some_and(|give_up| down_since.elapsed() >= give_up)
            {
                self.link.send_replace(Link::Gone(reason));
                return;
            }
            self.link.send_replace(Link::Down(reason.clone(), down_since));
            if !self.wait(pause, &reason).await {
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Until the next try is due or somebody waits for it. Refuses what is asked meanwhile; false if nobody will ask any more.
    async fn wait(&mut self, pause: Duration, reason: &Arc<str>) -> bool {
        let until = Instant::now() + pause;
        loop {
            tokio::select! {
                request = self.requests.recv() => match request {
                    Some(request) => request.refuse(reason),
                    None => return false,
                },
                () = self.wanted.notified() => return true,
                () = sleep_until(until) => return true,
            }
        }
    }

    async fn one_connection(&mut self) -> Lost {
        let stream = match timeout(CONNECTING, self.opening.address.connect()).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return error.into(),
            Err(_) => return io::Error::from(io::ErrorKind::TimedOut).into(),
        };
        self.link.send_if_modified(|link| {
            let Link::Down(reason, _) = link else { return false };
            let address = &self.opening.address;
            *reason = format!("{address}: somebody listens there and has not said hello yet{SOMETHING_ELSE}").into();
            false
        });
        let (reader, writer) = tokio::io::split(stream);
        let mut line = Line {
            reader,
            writer,
            connection: Connection::new(Config::default(), std::time::Instant::now()),
            outgoing: Vec::new(),
            incoming: Vec::with_capacity(CHUNK),
            calls: Calls::default(),
        };
        let lost = match line.greet(&self.opening).await {
            Ok(()) => {
                self.opened += 1;
                self.link.send_replace(Link::Up(self.opened));
                line.serve(&mut self.requests, &self.opening).await
            }
            Err(lost) => lost,
        };
        line.calls.fail_all(&lost.to_string().into());
        lost
    }
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

/// An open connection.
struct Line {
    reader: ReadHalf<Stream>,
    writer: WriteHalf<Stream>,
    connection: Connection,
    /// What the socket hasn't taken yet.
    outgoing: Vec<u8>,
    /// What was read last; kept for its memory.
    incoming: Vec<u8>,
    calls: Calls,
}

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// So many requests are taken before the socket has its turn again.
const BATCH: usize = 64;

impl Line {
    /// Shakes hands and says what we want to be told.
    async fn greet(&mut self, opening: &Opening) -> Result<(), Lost> {
        let mut configuring = None;
        loop {
            while let Some(event) = self.connection.poll_event() {
                match event {
                    Event::Ready { .. } => configuring = Some(self.configure(opening)?),
                    Event::Reply { xid, .. } if configuring == Some(xid) => return Ok(()),
                    Event::Refused { error, .. } => return Err(Lost::Refused(error)),
                    Event::Closed(closed) => return Err(Lost::Protocol(closed)),
                    _ => {}
                }
            }
            self.turn().await?;
        }
    }

    /// Returns the number of the barrier behind it all.
    fn configure(&mut self, opening: &Opening) -> Result<u32, Lost> {
        let messages = [
            // Before that the switch sends nothing of its own accord.
            Message::SetConfig(SwitchConfig {
                flags: 0,
                miss_send_len: u16::MAX,
            }),
            Message::SetAsync(AsyncConfig {
                masks: vec![
                    (AsyncKind::PacketIn, ACTION_REASONS),
                    (AsyncKind::FlowRemoved, REMOVAL_REASONS),
                ],
            }),
            Message::SetPacketInFormat(SetPacketInFormat {
                format: PacketInFormat::Nicira2,
            }),
            Message::SetControllerId(SetControllerId { id: opening.controller }),
        ];
        for message in &messages {
            self.send(message)?;
        }
        self.send(&Message::BarrierRequest)
    }

    fn send(&mut self, message: &Message) -> Result<u32, Lost> {
        let sent = self.connection.send(message);
        sent.map_err(|error| Lost::Socket(io::Error::other(error)))
    }

    async fn serve(&mut self, requests: &mut mpsc::UnboundedReceiver<Request>, opening: &Opening) -> Lost {
        loop {
            if let Err(lost) = self.hand_out(opening) {
                return lost;
            }
            tokio::select! {
                request = requests.recv() => {
                    let Some(request) = request else { return self.flush().await };
                    self.take(request);
                    for _ in 1..BATCH {
                        let Ok(request) = requests.try_recv() else { break };
                        self.take(request);
                    }
                    if let Err(error) = self.write_now().await {
                        return error.into();
                    }
                }
                turned = self.turn() => if let Err(lost) = turned { return lost },
            }
        }
    }

    /// Whatever was sent is still delivered, if the switch takes it soon.
    async fn flush(&mut self) -> Lost {
        self.collect();
        let _ = timeout(PATIENCE, self.writer.write_all(&self.outgoing)).await;
        Lost::Unwanted
    }

    fn take(&mut self, request: Request) {
        match request {
            Request::Post(messages) => self.post(&messages),
            Request::Perform(messages, done) => self.perform(&messages, done),
            Request::Ask(message, answer) => match self.connection.send(&message) {
                Ok(xid) => self.calls.put(&[xid], Call::Ask(answer)),
                Err(error) => drop(answer.send(Err(refused(&error)))),
            },
        }
    }

    fn post(&mut self, messages: &[Message]) {
        for message in messages {
            if let Err(error) = self.connection.send(message) {
                tracing::warn!(name = message.name(), %error, "not sent");
            }
        }
    }

    /// A barrier tells when it is done; what was refused comes before that.
    fn perform(&mut self, messages: &[Message], done: oneshot::Sender<Result<(), DatapathError>>) {
        let mut xids = Vec::with_capacity(messages.len() + 1);
        for message in messages.iter().chain([&Message::BarrierRequest]) {
            match self.connection.send(message) {
                Ok(xid) => xids.push(xid),
                Err(error) => {
                    let _ = done.send(Err(refused(&error)));
                    return;
                }
            }
        }
        self.calls.put(&xids, Call::Perform(done));
    }

    /// One step: what comes is read, what is to go is written, what is due is done.
    async fn turn(&mut self) -> Result<(), Lost> {
        self.collect();
        let due = self.connection.poll_timeout();
        let due = due.map_or_else(|| Instant::now() + LONGEST_PAUSE, Instant::from_std);
        self.incoming.clear();
        tokio::select! {
            read = self.reader.read_buf(&mut self.incoming) => {
                if read? == 0 {
                    return Err(Lost::Eof);
                }
                self.connection.handle_bytes(&self.incoming, std::time::Instant::now());
            }
            written = self.writer.write(&self.outgoing), if !self.outgoing.is_empty() => {
                self.outgoing.drain(..written?);
            }
            () = sleep_until(due) => self.connection.handle_timeout(std::time::Instant::now()),
        }
        Ok(())
    }

    /// Writes what the socket takes without waiting: most often all.
    async fn write_now(&mut self) -> io::Result<()> {
        self.collect();
        if self.outgoing.is_empty() {
            return Ok(());
        }
        tokio::select! {
            biased;
            written = self.writer.write(&self.outgoing) => drop(self.outgoing.drain(..written?)),
            () = std::future::ready(()) => {}
        }
        Ok(())
    }

    fn collect(&mut self) {
        self.connection.poll_transmit_into(&mut self.outgoing);
    }

    fn hand_out(&mut self, opening: &Opening) -> Result<(), Lost> {
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::Message(Message::PacketIn2(packet_in)) => self.post(&(opening.ears)(Said::Packet(packet_in))),
                Event::Message(Message::FlowRemoved(flow)) => self.post(&(opening.ears)(Said::Gone(flow))),
                Event::Reply { xid, message } => self.calls.answer(xid, message),
                Event::Refused { xid, error } => self.calls.refuse(xid, error),
                Event::Unreadable { header, error } => self.calls.give_up(header.xid, &error),
                Event::Closed(closed) => return Err(Lost::Protocol(closed)),
                _ => {}
            }
        }
        Ok(())
    }
}

/// `OFPR_ACTION` of OpenFlow 1.3, and `OFPR_APPLY_ACTION`, `OFPR_ACTION_SET`, `OFPR_GROUP`, `OFPR_PACKET_OUT` of 1.5.
const ACTION_REASONS: u32 = 0b11_1010;

/// `OFPRR_IDLE_TIMEOUT`, `OFPRR_HARD_TIMEOUT`, `OFPRR_DELETE`.
const REMOVAL_REASONS: u32 = 0b111;

fn refused(error: &dyn std::error::Error) -> DatapathError {
    DatapathError::Refused(error.to_string().into())
}

/// Who waits for what.
#[derive(Default)]
struct Calls {
    /// By the number of every message that was sent for it.
    by_xid: HashMap<u32, u64>,
    calls: HashMap<u64, Waiting>,
    last: u64,
}

struct Waiting {
    call: Call,
    xids: Vec<u32>,
    /// The first thing that went wrong.
    error: Option<DatapathError>,
}

enum Call {
    /// Ends with the reply to the last of its messages.
    Perform(oneshot::Sender<Result<(), DatapathError>>),
    Ask(oneshot::Sender<Result<Message, DatapathError>>),
}

impl Calls {
    fn put(&mut self, xids: &[u32], call: Call) {
        self.last += 1;
        self.by_xid.extend(xids.iter().map(|&xid| (xid, self.last)));
        let waiting = Waiting {
            call,
            xids: xids.to_vec(),
            error: None,
        };
        self.calls.insert(self.last, waiting);
    }

    fn answer(&mut self, xid: u32, message: Message) {
        let Some(waiting) = self.end(xid) else { return };
        match (waiting.call, waiting.error) {
            (Call::Perform(done), error) => drop(done.send(error.map_or(Ok(()), Err))),
            (Call::Ask(answer), None) => drop(answer.send(Ok(message))),
            (Call::Ask(answer), Some(error)) => drop(answer.send(Err(error))),
        }
    }

    fn refuse(&mut self, xid: u32, error: ErrorMessage) {
        let Some(waiting) = self.by_xid.get(&xid).and_then(|call| self.calls.get_mut(call)) else {
            tracing::warn!(%error, "the switch refused what nobody waits for");
            return;
        };
        waiting
            .error
            .get_or_insert_with(|| DatapathError::Refused(error.to_string().into()));
        // A question has no other answer; for the rest the barrier is still to come.
        if matches!(waiting.call, Call::Ask(_)) || waiting.xids.last() == Some(&xid) {
            self.answer(xid, Message::BarrierReply);
        }
    }

    /// The reply came, and can't be read.
    fn give_up(&mut self, xid: u32, error: &dyn std::error::Error) {
        tracing::warn!(%error, "a message of the switch can't be read");
        let Some(waiting) = self.by_xid.get(&xid).and_then(|call| self.calls.get_mut(call)) else {
            return;
        };
        let words = format!("the switch's answer can't be read: {error}");
        waiting
            .error
            .get_or_insert_with(|| DatapathError::Refused(words.into()));
        self.answer(xid, Message::BarrierReply);
    }

    fn end(&mut self, xid: u32) -> Option<Waiting> {
        let call = self.by_xid.get(&xid)?;
        let waiting = self.calls.remove(call)?;
        for xid in &waiting.xids {
            self.by_xid.remove(xid);
        }
        Some(waiting)
    }

    fn fail_all(&mut self, reason: &Arc<str>) {
        let error = || DatapathError::Unavailable(reason.clone());
        self.by_xid.clear();
        for (_, waiting) in self.calls.drain() {
            match waiting.call {
                Call::Perform(done) => drop(done.send(Err(error()))),
                Call::Ask(answer) => drop(answer.send(Err(error()))),
            }
        }
    }
}

#[cfg(test)]
mod dialogue;
