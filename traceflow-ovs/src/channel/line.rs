//! An open connection: what comes is read and handed on, what is to go is written.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use traceflow_core::datapath::DatapathError;
use traceflow_openflow::connection::{Connection, Event};
use traceflow_openflow::message::{
    AsyncConfig, AsyncKind, Message, MultipartBody, MultipartReply, PacketInFormat, PacketInView, SetControllerId,
    SetPacketInFormat, SwitchConfig,
};

use super::calls::{Call, Calls};
use super::keeper::{LONGEST_PAUSE, Lost};
use super::{Opening, PATIENCE, Request, Said};
use crate::address::Stream;

/// An open connection.
pub(super) struct Line {
    pub(super) reader: ReadHalf<Stream>,
    pub(super) writer: WriteHalf<Stream>,
    pub(super) connection: Connection,
    /// What the socket hasn't taken yet.
    pub(super) outgoing: Vec<u8>,
    /// Where what comes is read to.
    pub(super) incoming: Box<[u8]>,
    pub(super) calls: Calls,
}

/// How much is read at once.
pub(super) const CHUNK: usize = 64 * 1024;

/// So many requests are taken before the socket has its turn again.
const BATCH: usize = 64;

impl Line {
    /// Shakes hands and says what we want to be told.
    pub(super) async fn greet(&mut self, opening: &Opening) -> Result<(), Lost> {
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
            self.turn(None).await?;
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
                    (AsyncKind::PortStatus, PORT_REASONS),
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

    pub(super) async fn serve(&mut self, requests: &mut mpsc::UnboundedReceiver<Request>, opening: &Opening) -> Lost {
        loop {
            if let Err(lost) = self.hand_out(opening) {
                return lost;
            }
            // What is to be forgotten is told before anybody acts on what was heard: the next packet of a connection may go by
            // another switch, and come here first.
            if let Err(error) = self.write_now().await {
                return error.into();
            }
            tokio::select! {
                request = requests.recv() => {
                    let Some(request) = request else { return self.flush().await };
                    self.take(request);
                    self.take_waiting(requests);
                    if let Err(error) = self.write_now().await {
                        return error.into();
                    }
                }
                turned = self.turn(Some(opening)) => if let Err(lost) = turned { return lost },
            }
        }
    }

    fn take_waiting(&mut self, requests: &mut mpsc::UnboundedReceiver<Request>) {
        for _ in 1..BATCH {
            let Ok(request) = requests.try_recv() else { break };
            self.take(request);
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

    pub(super) fn post(&mut self, messages: &[Message]) {
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

    /// One step: what comes is read, what is to go is written, what is due is done. Packet-ins are shown to who hears them, if
    /// anybody does.
    async fn turn(&mut self, hearing: Option<&Opening>) -> Result<(), Lost> {
        self.collect();
        let due = self.connection.poll_timeout();
        let due = due.map_or_else(|| Instant::now() + LONGEST_PAUSE, Instant::from_std);
        tokio::select! {
            read = self.reader.read(&mut self.incoming) => {
                let read = read?;
                if read == 0 {
                    return Err(Lost::Eof);
                }
                self.hear(read, hearing);
            }
            written = self.writer.write(&self.outgoing), if !self.outgoing.is_empty() => {
                self.outgoing.drain(..written?);
            }
            () = sleep_until(due) => self.connection.handle_timeout(std::time::Instant::now()),
        }
        Ok(())
    }

    fn hear(&mut self, read: usize, hearing: Option<&Opening>) {
        let (bytes, now) = (&self.incoming[..read], std::time::Instant::now());
        let Some(opening) = hearing else {
            return self.connection.handle_bytes(bytes, now);
        };
        let mut answers = Vec::new();
        self.connection.handle_bytes_showing(bytes, now, &mut |packet_in| {
            answers.append(&mut (opening.ears)(Said::Packet(packet_in)));
        });
        self.post(&answers);
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

    /// Hands on what a reply tells of flows that are to be told of; returns the rest.
    fn hear_flows(&mut self, opening: &Opening, mut reply: MultipartReply) -> MultipartReply {
        if let MultipartBody::Monitor(updates) = &mut reply.body {
            let updates = std::mem::take(updates);
            self.post(&(opening.ears)(Said::Flows(updates)));
        }
        reply
    }

    fn collect(&mut self) {
        self.connection.poll_transmit_into(&mut self.outgoing);
    }

    fn hand_out(&mut self, opening: &Opening) -> Result<(), Lost> {
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::Message(Message::PacketIn2(packet_in)) => {
                    let bytes = packet_in.to_message();
                    if let Ok(Some(packet_in)) = PacketInView::decode(&bytes) {
                        self.post(&(opening.ears)(Said::Packet(packet_in)));
                    }
                }
                Event::Message(Message::FlowRemoved(flow)) => self.post(&(opening.ears)(Said::Gone(flow))),
                Event::Message(Message::PortStatus(port)) => self.post(&(opening.ears)(Said::Port(port))),
                Event::Message(Message::MultipartReply(reply)) => drop(self.hear_flows(opening, reply)),
                Event::Reply {
                    xid,
                    message: Message::MultipartReply(reply),
                } => {
                    // Those that are there come in order with what happens to them, which is told next.
                    let rest = self.hear_flows(opening, reply);
                    self.calls.answer(xid, Message::MultipartReply(rest));
                }
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

/// `OFPPR_ADD`, `OFPPR_DELETE`, `OFPPR_MODIFY`.
const PORT_REASONS: u32 = 0b111;

fn refused(error: &dyn std::error::Error) -> DatapathError {
    DatapathError::Refused(error.to_string().into())
}
