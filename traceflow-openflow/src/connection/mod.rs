//! A connection as a state machine: bytes and time in, bytes and events out.
//!
//! It shakes hands, answers echo requests, asks for signs of life itself, and says which reply or error belongs to
//! which request. The caller owns the socket and the clock:
//!
//! ```
//! use std::time::Instant;
//! use traceflow_openflow::connection::{Config, Connection};
//!
//! let mut connection = Connection::new(Config::default(), Instant::now());
//! // To the socket, before anything else: our hello.
//! let bytes = connection.poll_transmit().expect("a hello");
//! assert_eq!(bytes[..2], [6, 0]);
//! // From the socket: connection.handle_bytes(&bytes, Instant::now()), then events.
//! assert_eq!(connection.poll_event(), None);
//! ```

mod framer;
mod pending;

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use thiserror::Error;

use self::framer::Framer;
use self::pending::Pending;
use crate::Version;
use crate::message::{
    BundleAdd, BundleControl, BundleFlags, BundleStep, Echo, ErrorMessage, FeaturesReply, Header, Hello, Message,
    MultipartReply, PacketInView,
};
use crate::wire::{DecodeError, EncodeError};

/// How many requests may wait for their replies at the same time.
pub const MAX_PENDING: usize = 1024;

/// How many bytes all parts of all unfinished multipart replies may have together; read, the smallest entries take some
/// twenty times as much memory. The largest that is known, the features of all of Open vSwitch's tables, has 1.2 million.
pub const MAX_MULTIPART: usize = 16 << 20;

/// What a connection is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The versions that it may speak. The highest that both sides speak is taken.
    pub versions: Vec<Version>,
    /// After so much silence from the peer it is asked whether it is still there.
    pub idle: Duration,
    /// After so much silence the connection is given up, and after so much time without the handshake done. Longer than
    /// `idle`.
    pub dead: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            versions: Version::ALL.to_vec(),
            idle: Duration::from_secs(5),
            dead: Duration::from_secs(15),
        }
    }
}

/// A connection to a switch, without its socket.
///
/// After every `handle_*` and `send*`, take everything from [`Self::poll_transmit`] and [`Self::poll_event`]: what
/// waits there is then never more than what one call put in, and what is kept between the calls is bounded by
/// [`MAX_PENDING`] and [`MAX_MULTIPART`] whatever the switch sends. Who doesn't take it lets it grow: a caller whose
/// socket takes no more bytes should stop sending, and stop reading, too, as echo requests are answered.
#[derive(Debug)]
pub struct Connection {
    config: Config,
    state: State,
    framer: Framer,
    transmit: Vec<u8>,
    events: VecDeque<Event>,
    /// Requests whose replies have not come, or not wholly.
    pending: HashMap<u32, Pending>,
    next_xid: u32,
    /// While shaking hands, when that began.
    last_heard: Instant,
    /// Whether it was asked since it was last heard.
    asked: bool,
}

/// Who is shown packet-ins.
type Show<'a> = &'a mut dyn FnMut(PacketInView<'_>);

/// How far the connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Our hello is out. Next: the peer's hello, or closed if it shares no version with us.
    AwaitingHello,
    /// The features were asked for. Next: ready, or closed if the peer refuses.
    AwaitingFeatures(Version),
    /// Messages go both ways.
    Ready(Version),
    /// Nothing more happens.
    Closed,
}

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The handshake is done; messages can be sent.
    Ready {
        /// The version that is spoken.
        version: Version,
        /// What the switch is.
        features: FeaturesReply,
    },
    /// The reply to a request. One in several messages comes once and whole.
    Reply {
        /// Which request.
        xid: u32,
        /// The reply.
        message: Message,
    },
    /// Something that was sent could not be done.
    ///
    /// It may be about a message that has no reply, such as a flow-mod: that one is known to be done when the reply to
    /// a later barrier has come without this event.
    Refused {
        /// What [`Connection::send`] returned for it.
        xid: u32,
        /// Why.
        error: ErrorMessage,
    },
    /// A message that nobody asked for, such as a packet-in.
    Message(Message),
    /// A message that could not be read, or a part of a reply that is too long or doesn't fit to those before it. The
    /// connection goes on, and the request of that xid gets no reply.
    Unreadable {
        /// Its header.
        header: Header,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// The connection is over; close the socket. Pending requests get no replies.
    Closed(Closed),
}

/// Why a connection is over.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Closed {
    /// Both sides speak OpenFlow, but no version in common.
    #[error("the switch speaks none of our OpenFlow versions (its highest has the number {highest})")]
    NoVersion {
        /// The version's number in the switch's hello.
        highest: u8,
    },
    /// The switch refused the handshake.
    #[error("the switch refused the handshake: {0}")]
    Handshake(ErrorMessage),
    /// What came is not OpenFlow, or not what was agreed upon.
    #[error("the switch sent what is not OpenFlow")]
    Malformed(#[source] DecodeError),
    /// A message bears another version than was agreed upon.
    #[error("the switch sent a message of the version number {version} after the handshake")]
    Version {
        /// That version's number.
        version: u8,
    },
    /// Nothing came for [`Config::dead`], or the handshake took that long.
    #[error("the switch was silent for too long")]
    Silent,
}

/// The transaction ids of what [`Connection::send_bundle`] has sent. The bundle's number is that of `open`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SentBundle {
    /// Of the request that opens the bundle.
    pub open: u32,
    /// Of the messages in it, in their order.
    pub messages: Vec<u32>,
    /// Of the request that commits it.
    pub commit: u32,
}

/// Why a message was not sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The handshake isn't done, or the connection is over.
    #[error("the connection is not ready")]
    NotReady,
    /// [`MAX_PENDING`] requests wait for their replies.
    #[error("{MAX_PENDING} requests wait for replies")]
    TooMany,
    /// The message can't be written.
    #[error("the message can't be written")]
    Encode(#[from] EncodeError),
}

impl Connection {
    /// A connection whose socket has just been opened.
    pub fn new(config: Config, now: Instant) -> Self {
        let mut connection = Self {
            config,
            state: State::AwaitingHello,
            framer: Framer::default(),
            transmit: Vec::new(),
            events: VecDeque::new(),
            pending: HashMap::new(),
            next_xid: 1,
            last_heard: now,
            asked: false,
        };
        let hello = Message::Hello(Hello::new(&connection.config.versions));
        let highest = connection
            .config
            .versions
            .iter()
            .max()
            .copied()
            .unwrap_or(Version::V1_5);
        connection.write(&hello, highest, None);
        connection
    }

    /// The version that is spoken, once that is known.
    pub fn version(&self) -> Option<Version> {
        match self.state {
            State::AwaitingFeatures(version) | State::Ready(version) => Some(version),
            State::AwaitingHello | State::Closed => None,
        }
    }

    /// Whether messages can be sent.
    pub fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready(_))
    }

    /// Sends a message and returns its transaction id, under which [`Event::Reply`] or [`Event::Refused`] will come.
    ///
    /// # Errors
    /// Nothing is sent then.
    pub fn send(&mut self, message: &Message) -> Result<u32, SendError> {
        let xid = self.fresh_xid();
        self.send_as(xid, message)
    }

    /// Sends several messages one after the other and returns their transaction ids, as [`Self::send`] does for one.
    ///
    /// They are written one behind the other into the buffer that [`Self::poll_transmit_into`] hands out.
    ///
    /// # Errors
    /// As for [`Self::send`]; none of the messages is sent then.
    pub fn send_all<'a>(&mut self, messages: impl IntoIterator<Item = &'a Message>) -> Result<Vec<u32>, SendError> {
        let start = self.transmit.len();
        let messages = messages.into_iter();
        let mut xids = Vec::with_capacity(messages.size_hint().0);
        for message in messages {
            match self.send(message) {
                Ok(xid) => xids.push(xid),
                Err(error) => {
                    self.forget(start, &xids);
                    return Err(error);
                }
            }
        }
        Ok(xids)
    }

    /// Sends messages as one bundle: opens it, adds them, and commits it, all in one go.
    ///
    /// It is done when [`Event::Reply`] comes for [`SentBundle::commit`]. If one of the messages can't be done none is,
    /// [`Event::Refused`] comes for its transaction id and for the commit's.
    ///
    /// # Errors
    /// As for [`Self::send`]; nothing is sent then.
    pub fn send_bundle<'a>(
        &mut self,
        flags: BundleFlags,
        messages: impl IntoIterator<Item = &'a Message>,
    ) -> Result<SentBundle, SendError> {
        let start = self.transmit.len();
        let mut sent = SentBundle {
            open: self.fresh_xid(),
            ..SentBundle::default()
        };
        let bundle = sent.open;
        self.send_as(bundle, &step(bundle, BundleStep::OpenRequest, flags))?;
        let written = messages.into_iter().try_for_each(|message| {
            sent.messages.push(self.send_added(bundle, flags, message)?);
            Ok(())
        });
        match written.and_then(|()| self.send(&step(bundle, BundleStep::CommitRequest, flags))) {
            Ok(commit) => Ok(SentBundle { commit, ..sent }),
            Err(error) => {
                self.forget(start, &[sent.open]);
                Err(error)
            }
        }
    }

    fn send_as(&mut self, xid: u32, message: &Message) -> Result<u32, SendError> {
        let version = self.ready_version()?;
        let expects_reply = message.expects_reply();
        if expects_reply && self.pending.len() >= MAX_PENDING {
            return Err(SendError::TooMany);
        }
        message.encode(version, xid, &mut self.transmit)?;
        if expects_reply {
            self.pending.insert(xid, Pending::default());
        }
        Ok(xid)
    }

    /// A message in a bundle must bear the xid of the message around it (OpenFlow 1.5.1, 7.3.9.6).
    fn send_added(&mut self, bundle: u32, flags: BundleFlags, message: &Message) -> Result<u32, SendError> {
        let version = self.ready_version()?;
        let xid = self.fresh_xid();
        let added = BundleAdd::new(bundle, flags, message, version, xid)?;
        Message::BundleAdd(added).encode(version, xid, &mut self.transmit)?;
        Ok(xid)
    }

    /// Takes back what was written from `start` on, and the requests among it.
    fn forget(&mut self, start: usize, xids: &[u32]) {
        self.transmit.truncate(start);
        for xid in xids {
            self.pending.remove(xid);
        }
    }

    fn ready_version(&self) -> Result<Version, SendError> {
        match self.state {
            State::Ready(version) => Ok(version),
            _ => Err(SendError::NotReady),
        }
    }

    /// Takes what came from the socket, in pieces of any size.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Instant) {
        self.handle_bytes_from(bytes, now, None);
    }

    /// The same, and shows packet-ins of [`Message::PacketIn2`]'s kind where they stand, instead of copying each for an
    /// [`Event`]. Behind another event they are events, too, so that everything is heard in its order: take the events
    /// after each call.
    pub fn handle_bytes_showing(&mut self, bytes: &[u8], now: Instant, show: &mut dyn FnMut(PacketInView<'_>)) {
        self.handle_bytes_from(bytes, now, Some(show));
    }

    fn handle_bytes_from(&mut self, bytes: &[u8], now: Instant, show: Option<Show<'_>>) {
        if self.state == State::Closed || bytes.is_empty() {
            return;
        }
        self.handle_frames(bytes, show);
        // Until then whatever comes doesn't prolong the handshake.
        if self.is_ready() {
            self.last_heard = now;
            self.asked = false;
        }
    }

    /// Does what is due at [`Self::poll_timeout`]; earlier it does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.state == State::Closed {
            return;
        }
        let silence = now.saturating_duration_since(self.last_heard);
        if silence >= self.config.dead {
            self.close(Closed::Silent);
        } else if silence >= self.config.idle && !self.asked {
            self.asked = true;
            if let State::Ready(version) = self.state {
                self.write(&Message::EchoRequest(Echo::default()), version, None);
            }
        }
    }

    /// What is to be written to the socket.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        (!self.transmit.is_empty()).then(|| std::mem::take(&mut self.transmit))
    }

    /// Appends what is to be written to the socket to `buffer`, and says whether there was anything.
    ///
    /// If `buffer` is empty the two buffers change places: no byte is copied, and none of them is ever allocated anew
    /// once both are as long as what is written in one go.
    pub fn poll_transmit_into(&mut self, buffer: &mut Vec<u8>) -> bool {
        let any = !self.transmit.is_empty();
        if buffer.is_empty() {
            std::mem::swap(buffer, &mut self.transmit);
        } else {
            buffer.append(&mut self.transmit);
        }
        any
    }

    /// What has happened, in its order.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`Self::handle_timeout`], if nothing comes until then.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let silence = if self.asked {
            self.config.dead
        } else {
            self.config.idle.min(self.config.dead)
        };
        (self.state != State::Closed).then(|| self.last_heard + silence)
    }

    fn handle_frames(&mut self, mut bytes: &[u8], mut show: Option<Show<'_>>) {
        // Away from `self` for so long, as its messages are borrowed from it.
        let mut framer = std::mem::take(&mut self.framer);
        while self.state != State::Closed {
            match framer.next_frame(&mut bytes) {
                Ok(Some(frame)) => match (&mut show, self.packet_in(frame)) {
                    (Some(show), Some(packet_in)) => show(packet_in),
                    _ => self.handle_frame(frame),
                },
                Ok(None) => break,
                Err(error) => self.close(Closed::Malformed(error)),
            }
        }
        self.framer = framer;
    }

    /// The packet-in that the message is, if it is one and everything before it was heard.
    fn packet_in<'a>(&self, frame: &'a [u8]) -> Option<PacketInView<'a>> {
        let State::Ready(version) = self.state else { return None };
        let wanted = self.events.is_empty() && frame.first() == Some(&version.wire());
        // What is wrong with it is said by whoever reads all of it.
        wanted.then(|| PacketInView::decode(frame).ok().flatten()).flatten()
    }

    fn handle_frame(&mut self, frame: &[u8]) {
        let (header, message) = match Message::decode(frame) {
            Ok(decoded) => decoded,
            Err(error) => return self.handle_unreadable(frame, error),
        };
        match self.state {
            State::AwaitingHello => self.handle_hello(header, message),
            State::AwaitingFeatures(version) | State::Ready(version) if header.version != version.wire() => {
                self.close(Closed::Version {
                    version: header.version,
                });
            }
            State::AwaitingFeatures(version) => self.handle_features(version, header, message),
            State::Ready(version) => self.handle_message(version, header, message),
            State::Closed => {}
        }
    }

    /// Before the handshake is done nothing can be missed; afterwards one message can.
    fn handle_unreadable(&mut self, frame: &[u8], error: DecodeError) {
        let header = Header::decode(&mut crate::wire::Reader::new(frame));
        match header {
            Ok(header) if self.version().is_some_and(|version| version.wire() != header.version) => {
                self.close(Closed::Version {
                    version: header.version,
                });
            }
            Ok(header) if self.is_ready() => {
                self.pending.remove(&header.xid);
                self.events.push_back(Event::Unreadable { header, error });
            }
            _ => self.close(Closed::Malformed(error)),
        }
    }

    fn handle_hello(&mut self, header: Header, message: Message) {
        match message {
            Message::Hello(hello) => match hello.negotiate(header.version, &self.config.versions) {
                Some(version) => {
                    self.state = State::AwaitingFeatures(version);
                    self.write(&Message::FeaturesRequest, version, None);
                }
                None => self.close(Closed::NoVersion {
                    highest: header.version,
                }),
            },
            Message::Error(error) => self.close(Closed::Handshake(error)),
            // Nothing else may come before a hello (OpenFlow 1.5.1, 6.3.1); it is of no use to us.
            _ => {}
        }
    }

    fn handle_features(&mut self, version: Version, header: Header, message: Message) {
        match message {
            Message::FeaturesReply(features) => {
                self.state = State::Ready(version);
                self.events.push_back(Event::Ready { version, features });
            }
            Message::EchoRequest(echo) => self.write(&Message::EchoReply(echo), version, Some(header.xid)),
            Message::Error(error) => self.close(Closed::Handshake(error)),
            _ => {}
        }
    }

    fn handle_message(&mut self, version: Version, header: Header, message: Message) {
        let xid = header.xid;
        match message {
            Message::EchoRequest(echo) => self.write(&Message::EchoReply(echo), version, Some(xid)),
            // The answer to our question for a sign of life, unless the caller asked one of its own.
            Message::EchoReply(_) if !self.pending.contains_key(&xid) => {}
            Message::Hello(_) => {}
            Message::Error(error) => {
                self.pending.remove(&xid);
                self.events.push_back(Event::Refused { xid, error });
            }
            Message::MultipartReply(part) if self.pending.contains_key(&xid) => self.handle_part(header, part),
            message if message.is_reply() && self.pending.remove(&xid).is_some() => {
                self.events.push_back(Event::Reply { xid, message });
            }
            message => self.events.push_back(Event::Message(message)),
        }
    }

    /// Keeps a part of a reply, or hands out the whole.
    fn handle_part(&mut self, header: Header, part: MultipartReply) {
        let xid = header.xid;
        let Some(mut pending) = self.pending.remove(&xid) else {
            return;
        };
        let kept: usize = pending.length() + self.pending.values().map(Pending::length).sum::<usize>();
        match pending.add(usize::from(header.length), part, MAX_MULTIPART.saturating_sub(kept)) {
            Ok(Some(whole)) => {
                let message = Message::MultipartReply(MultipartReply {
                    more: false,
                    body: whole,
                });
                self.events.push_back(Event::Reply { xid, message });
            }
            Ok(None) => {
                self.pending.insert(xid, pending);
            }
            Err(error) => self.events.push_back(Event::Unreadable { header, error }),
        }
    }

    /// Writes one of our own messages: with the xid of what it answers, or a fresh one.
    fn write(&mut self, message: &Message, version: Version, answers: Option<u32>) {
        let xid = answers.unwrap_or_else(|| self.fresh_xid());
        // Hello, echo and features request can be said in every version and are no longer than what came.
        let written = message.encode(version, xid, &mut self.transmit);
        debug_assert_eq!(written, Ok(()));
    }

    /// Never 0, which asynchronous messages bear, and none that a reply is still awaited for.
    fn fresh_xid(&mut self) -> u32 {
        loop {
            let xid = self.next_xid;
            self.next_xid = self.next_xid.wrapping_add(1).max(1);
            if !self.pending.contains_key(&xid) {
                return xid;
            }
        }
    }

    fn close(&mut self, reason: Closed) {
        self.state = State::Closed;
        self.pending.clear();
        self.events.push_back(Event::Closed(reason));
    }
}

fn step(bundle: u32, step: BundleStep, flags: BundleFlags) -> Message {
    Message::BundleControl(BundleControl {
        bundle,
        step,
        flags,
        properties: Vec::new(),
    })
}

impl Message {
    /// Whether the switch answers it with a reply (and not only, if at all, with an error).
    fn expects_reply(&self) -> bool {
        match self {
            Self::BundleControl(control) => matches!(
                control.step,
                BundleStep::OpenRequest
                    | BundleStep::CloseRequest
                    | BundleStep::CommitRequest
                    | BundleStep::DiscardRequest
            ),
            _ => matches!(
                self,
                Self::EchoRequest(_)
                    | Self::FeaturesRequest
                    | Self::GetConfigRequest
                    | Self::BarrierRequest
                    | Self::RoleRequest(_)
                    | Self::GetAsyncRequest
                    | Self::TlvTableRequest
                    | Self::MultipartRequest(_)
            ),
        }
    }

    /// Whether it is the answer to a request rather than something that comes by itself.
    fn is_reply(&self) -> bool {
        matches!(
            self,
            Self::EchoReply(_)
                | Self::FeaturesReply(_)
                | Self::GetConfigReply(_)
                | Self::BarrierReply
                | Self::RoleReply(_)
                | Self::GetAsyncReply(_)
                | Self::TlvTableReply(_)
                | Self::BundleControl(_)
        )
    }
}

#[cfg(test)]
mod tests;
