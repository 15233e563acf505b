//! A connection as that of the CNI's agent, to hear what the agent would hear.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use traceflow_openflow::connection::{Config, Connection, Event};
use traceflow_openflow::message::{
    Message, PacketIn2, PacketInFormat, SetControllerId, SetPacketInFormat, SwitchConfig,
};

/// The controller id by which Antrea's flows call the agent.
const AGENT: u16 = 62_373;

pub(crate) struct Agent {
    stream: UnixStream,
    connection: Connection,
    heard: Vec<PacketIn2>,
}

impl Agent {
    pub(crate) fn connect(openflow: &Path) -> Self {
        let stream = UnixStream::connect(openflow).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut agent = Self {
            stream,
            connection: Connection::new(Config::default(), Instant::now()),
            heard: Vec::new(),
        };
        while !agent.connection.is_ready() {
            agent.turn();
        }
        let format = PacketInFormat::Nicira2;
        for message in [
            Message::SetPacketInFormat(SetPacketInFormat { format }),
            Message::SetControllerId(SetControllerId { id: AGENT }),
            Message::SetConfig(SwitchConfig {
                flags: 0,
                miss_send_len: 128,
            }),
        ] {
            agent.connection.send(&message).unwrap();
        }
        agent.heard();
        agent
    }

    /// What was heard until the switch answered.
    pub(crate) fn heard(&mut self) -> Vec<PacketIn2> {
        let barrier = self.connection.send(&Message::BarrierRequest).unwrap();
        while !self.turn().contains(&barrier) {}
        std::mem::take(&mut self.heard)
    }

    /// Waits until something is heard.
    pub(crate) fn hear(&mut self) -> PacketIn2 {
        while self.heard.is_empty() {
            self.turn();
        }
        self.heard.remove(0)
    }

    /// Sends what is to be sent and reads once; the requests that were answered.
    fn turn(&mut self) -> Vec<u32> {
        while let Some(bytes) = self.connection.poll_transmit() {
            self.stream.write_all(&bytes).unwrap();
        }
        let mut bytes = [0; 4096];
        let count = self.stream.read(&mut bytes).unwrap();
        assert_ne!(count, 0, "the switch has hung up");
        self.connection.handle_bytes(&bytes[..count], Instant::now());
        let mut answered = Vec::new();
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::Reply { xid, .. } => answered.push(xid),
                Event::Message(Message::PacketIn2(packet_in)) => self.heard.push(packet_in),
                Event::Ready { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        answered
    }
}
