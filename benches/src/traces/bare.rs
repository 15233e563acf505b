//! The least that a trace can be: a packet-out written to a socket, and packet-ins read from sockets until all are there.
//!
//! Messages are built beforehand and patched; of those that come, only the nonce is looked at.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use traceflow_core::datapath::Datapath;
use traceflow_core::packet::{Nonce, Packet, Patch, Template};
use traceflow_openflow::action::{Action, SetField};
use traceflow_openflow::connection::{Config, Connection, Event};
use traceflow_openflow::instruction::Instruction;
use traceflow_openflow::message::{
    AsyncConfig, AsyncKind, CtFlush, FlowEntry, FlowFilter, FlowMod, Message, MultipartBody, MultipartRequest,
    PacketInFormat, PacketOut, SetControllerId, SetPacketInFormat, SwitchConfig, Tuple,
};
use traceflow_openflow::{Port, Version};
use traceflow_ovs::Instance;

use super::Failure;
use super::figures::Turn;
use super::world::{Packets, SourcePorts, World};

pub(super) struct Bare {
    /// One to each node, in their order.
    lines: Vec<Line>,
    /// What is done with the packet.
    actions: Vec<Action>,
    sources: Arc<SourcePorts>,
}

impl Bare {
    /// Opens the connections and puts the flows of [`instance`] in place, as its datapaths would.
    pub(super) async fn open(world: &World) -> Result<Self, Failure> {
        let datapaths = world.datapaths(instance())?;
        for datapath in &datapaths {
            datapath.attach().await?;
        }
        let mut lines = Vec::new();
        let mut actions = Vec::new();
        for (datapath, node) in datapaths.iter().zip(world.fabric.nodes()) {
            let mut line = Setup::connect(&node.openflow)?;
            let flows = line.own_flows()?;
            datapath.detach().await?;
            if lines.is_empty() {
                actions = injection(&flows)?;
            }
            lines.push(line.finish(flows)?);
        }
        Ok(Self {
            lines,
            actions,
            sources: world.sources.clone(),
        })
    }

    pub(super) fn trace(
        &mut self,
        packets: &Packets,
        in_flight: usize,
        traces: usize,
        forgetting: bool,
    ) -> Result<Turn, Failure> {
        let mut run = Run {
            lines: &mut self.lines[..packets.nodes],
            sources: &self.sources,
            sent: Sent::new(packets, &self.actions)?,
            forgetting: forgetting.then(|| Forgetting::new(&packets.packet)).transpose()?,
            flights: Vec::with_capacity(in_flight),
            awaited: vec![0; packets.nodes],
            times: Vec::with_capacity(traces),
            begun: 0,
            traces,
        };
        let begun = Instant::now();
        run.all(in_flight)?;
        Ok(Turn {
            times: run.times,
            elapsed: begun.elapsed(),
        })
    }
}

/// Whose flows the bare loop uses.
fn instance() -> Instance {
    Instance::new(1)
}

/// What a packet-out of ours does: it sets the mark, whose bits the flow in the first table matches, and goes the way
/// that this flow sends packets.
fn injection(flows: &[FlowEntry]) -> Result<Vec<Action>, Failure> {
    let of_root = |flow: &&FlowEntry| flow.table == 0 && flow.priority == 65_000;
    let root = flows.iter().find(of_root).ok_or("no flow watches the first table")?;
    let mark = root.matching.fields.first().ok_or("it matches no mark")?;
    let [Instruction::ApplyActions(actions)] = &root.instructions[..] else {
        return Err("it does something else".into());
    };
    let owner = root.matching.number(mark.field).ok_or("the mark is no number")?;
    let mut injection = vec![Action::SetField(SetField::new(mark.field, owner | 1))];
    injection.extend(
        actions
            .iter()
            .filter(|action| matches!(action, Action::Resubmit { .. }))
            .cloned(),
    );
    Ok(injection)
}

/// One turn.
struct Run<'a> {
    lines: &'a mut [Line],
    sources: &'a SourcePorts,
    sent: Sent,
    forgetting: Option<Forgetting>,
    flights: Vec<Flight>,
    /// How many packet-ins are still to come on each line.
    awaited: Vec<usize>,
    times: Vec<Duration>,
    begun: usize,
    traces: usize,
}

/// A packet under way.
#[derive(Clone, Copy)]
struct Flight {
    nonce: Nonce,
    source: u16,
    since: Instant,
    /// How many nodes are still to report it.
    awaited: usize,
}

impl Run<'_> {
    fn all(&mut self, in_flight: usize) -> Result<(), Failure> {
        for place in 0..in_flight.min(self.traces) {
            let flight = self.begin(place)?;
            self.flights.push(flight);
        }
        while self.times.len() < self.traces {
            if in_flight > 1 {
                for line in readable(self.lines)? {
                    self.hear(line)?;
                }
            } else {
                let line = self.awaited.iter().position(|&awaited| awaited > 0);
                self.hear(line.ok_or("nothing is awaited")?)?;
            }
        }
        Ok(())
    }

    /// The nonce's upper half is the place among those in flight, so that the flight is found at once.
    fn begin(&mut self, place: usize) -> Result<Flight, Failure> {
        self.begun += 1;
        let flight = Flight {
            nonce: Nonce((place as u64 + 1) << 32 | self.begun as u64),
            source: self.sources.next(),
            since: Instant::now(),
            awaited: self.lines.len(),
        };
        let message = self.sent.patch(flight.nonce, flight.source);
        self.lines[0].socket.write_all(message)?;
        self.awaited.iter_mut().for_each(|awaited| *awaited += 1);
        Ok(flight)
    }

    /// Reads once, and takes what is whole.
    fn hear(&mut self, line: usize) -> Result<(), Failure> {
        self.lines[line].read()?;
        while let Some(nonce) = self.lines[line].next_nonce()? {
            let place = (nonce.0 >> 32) as usize;
            let flight = self
                .flights
                .get_mut(place.wrapping_sub(1))
                .filter(|flight| flight.nonce == nonce);
            let flight = flight.ok_or("a packet-in of nobody's packet")?;
            flight.awaited -= 1;
            self.awaited[line] -= 1;
            let flight = *flight;
            if let Some(forgetting) = &mut self.forgetting {
                self.lines[line].socket.write_all(forgetting.patch(flight.source))?;
            }
            if flight.awaited == 0 {
                self.times.push(flight.since.elapsed());
                if self.begun < self.traces {
                    self.flights[place - 1] = self.begin(place - 1)?;
                }
            }
        }
        Ok(())
    }
}

/// The lines on which something has come.
fn readable(lines: &[Line]) -> Result<Vec<usize>, Failure> {
    if lines.len() == 1 {
        return Ok(vec![0]);
    }
    let sockets = lines.iter().map(|line| line.socket.as_fd());
    let mut polled: Vec<PollFd<'_>> = sockets.map(|socket| PollFd::new(socket, PollFlags::POLLIN)).collect();
    poll(&mut polled, PollTimeout::from(PATIENCE.as_millis() as u16))?;
    let ready = polled
        .iter()
        .enumerate()
        .filter(|(_, line)| line.any().unwrap_or(false));
    Ok(ready.map(|(index, _)| index).collect())
}

/// The packet-out, of which packet and checksums are patched.
struct Sent {
    template: Template,
    patch: Patch,
    message: Vec<u8>,
}

impl Sent {
    fn new(packets: &Packets, actions: &[Action]) -> Result<Self, Failure> {
        let out = PacketOut::new(Port(packets.port), packets.packet.to_vec(), actions.to_vec());
        Ok(Self {
            template: Template::new(&packets.packet),
            patch: Patch::of(&packets.packet),
            message: encoded(&Message::PacketOut(out))?,
        })
    }

    fn patch(&mut self, nonce: Nonce, source: u16) -> &[u8] {
        let frame = self.template.patch(&Patch {
            nonce,
            source,
            ..self.patch
        });
        let start = self.message.len() - frame.len();
        self.message[start..].copy_from_slice(frame);
        &self.message
    }
}

/// The message that has a switch forget the connection, of which the source port is patched.
struct Forgetting {
    message: Vec<u8>,
    source: usize,
}

/// The zone through which Antrea's pipeline sends IPv4.
const ZONE: u16 = 65_520;

impl Forgetting {
    fn new(packet: &Packet) -> Result<Self, Failure> {
        let message = |source| {
            let (_, destination) = packet.transport.ports().unwrap_or_default();
            encoded(&Message::CtFlush(CtFlush {
                protocol: packet.protocol().0,
                original: Some(Tuple {
                    source: Some(packet.ip.source()),
                    destination: Some(packet.ip.destination()),
                    source_port: Some(source),
                    destination_port: Some(destination),
                    ..Tuple::default()
                }),
                zone: Some(ZONE),
                ..CtFlush::default()
            }))
        };
        let (one, other) = (message(0)?, message(u16::MAX)?);
        let source = one.iter().zip(&other).position(|(one, other)| one != other);
        Ok(Self {
            message: one,
            source: source.ok_or("the message has no source port")?,
        })
    }

    fn patch(&mut self, source: u16) -> &[u8] {
        self.message[self.source..self.source + 2].copy_from_slice(&source.to_be_bytes());
        &self.message
    }
}

fn encoded(message: &Message) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    message.encode(Version::V1_5, 0, &mut bytes)?;
    Ok(bytes)
}

/// A connection whose handshake is done.
struct Line {
    socket: UnixStream,
    incoming: Vec<u8>,
    /// What of `incoming` is filled and not taken yet.
    filled: std::ops::Range<usize>,
}

/// Longer than any packet-in takes.
const PATIENCE: Duration = Duration::from_secs(5);

/// The types of messages.
const ERROR: u8 = 1;
const ECHO_REQUEST: u8 = 2;
const ECHO_REPLY: u8 = 3;
const EXPERIMENTER: u8 = 4;

/// `OFPR_APPLY_ACTION` and `OFPR_PACKET_OUT`: a flow or a packet-out has sent the packet.
const ACTION_REASONS: u32 = 1 << 1 | 1 << 5;

/// Where the nonce is: behind the headers of message, experimenter and property, of Ethernet and IPv4, and two ports.
const NONCE: usize = 8 + 8 + 4 + 14 + 20 + 4;

impl Line {
    fn read(&mut self) -> Result<(), Failure> {
        if self.filled.end > self.incoming.len() / 2 {
            self.incoming.copy_within(self.filled.clone(), 0);
            self.filled = 0..self.filled.len();
        }
        let read = self.socket.read(&mut self.incoming[self.filled.end..])?;
        if read == 0 {
            return Err("the switch closed the connection".into());
        }
        self.filled.end += read;
        Ok(())
    }

    /// The nonce of the next packet-in, if it is there.
    fn next_nonce(&mut self) -> Result<Option<Nonce>, Failure> {
        loop {
            let bytes = &mut self.incoming[self.filled.clone()];
            let Some(&[_, kind, high, low]) = bytes.first_chunk() else {
                return Ok(None);
            };
            let length = usize::from(u16::from_be_bytes([high, low]));
            let Some(message) = bytes.get_mut(..length) else {
                return Ok(None);
            };
            self.filled.start += length;
            match kind {
                EXPERIMENTER => {
                    let nonce = message.get(NONCE..).and_then(|rest| rest.first_chunk());
                    return Ok(Some(Nonce(u64::from_be_bytes(*nonce.ok_or("no packet is in it")?))));
                }
                ECHO_REQUEST => {
                    message[1] = ECHO_REPLY;
                    self.socket.write_all(message)?;
                }
                ERROR => return Err(format!("the switch refuses something: {message:?}").into()),
                // News of the flows that were there before.
                _ => {}
            }
        }
    }
}

/// A connection that is being made ready, message by message.
struct Setup {
    socket: UnixStream,
    connection: Connection,
}

impl Setup {
    fn connect(path: &Path) -> Result<Self, Failure> {
        let socket = UnixStream::connect(path)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut setup = Self {
            socket,
            connection: Connection::new(Config::default(), Instant::now()),
        };
        while !setup.connection.is_ready() {
            setup.exchange()?;
        }
        Ok(setup)
    }

    /// The flows that a tracer has put on the switch; there is only one now.
    fn own_flows(&mut self) -> Result<Vec<FlowEntry>, Failure> {
        let (cookie, mask) = Instance::every_cookie();
        let filter = FlowFilter::by_cookie(cookie, mask);
        match self.ask(&Message::MultipartRequest(MultipartRequest::Flows(filter)))? {
            Message::MultipartReply(reply) => match reply.body {
                MultipartBody::Flows(flows) => Ok(flows),
                _ => Err("the switch tells no flows".into()),
            },
            _ => Err("the switch answers something else".into()),
        }
    }

    /// Puts the flows there, for good; and says what we want to be told.
    fn finish(mut self, flows: Vec<FlowEntry>) -> Result<Line, Failure> {
        let flows = flows.into_iter().map(|flow| {
            Message::FlowMod(FlowMod {
                table: flow.table,
                priority: flow.priority,
                cookie: flow.cookie,
                matching: flow.matching,
                instructions: flow.instructions,
                ..FlowMod::add()
            })
        });
        let mut messages: Vec<Message> = flows.collect();
        messages.extend([
            Message::SetConfig(SwitchConfig {
                flags: 0,
                miss_send_len: u16::MAX,
            }),
            Message::SetAsync(AsyncConfig {
                masks: vec![(AsyncKind::PacketIn, ACTION_REASONS)],
            }),
            Message::SetPacketInFormat(SetPacketInFormat {
                format: PacketInFormat::Nicira2,
            }),
            Message::SetControllerId(SetControllerId {
                id: instance().controller(),
            }),
        ]);
        self.connection.send_all(&messages)?;
        self.ask(&Message::BarrierRequest)?;
        Ok(Line {
            socket: self.socket,
            incoming: vec![0; 1 << 17],
            filled: 0..0,
        })
    }

    fn ask(&mut self, message: &Message) -> Result<Message, Failure> {
        let asked = self.connection.send(message)?;
        loop {
            while let Some(event) = self.connection.poll_event() {
                match event {
                    Event::Reply { xid, message } if xid == asked => return Ok(message),
                    Event::Refused { error, .. } => return Err(error.to_string().into()),
                    Event::Closed(closed) => return Err(closed.into()),
                    _ => {}
                }
            }
            self.exchange()?;
        }
    }

    /// Writes what is to go, and reads once.
    fn exchange(&mut self) -> Result<(), Failure> {
        if let Some(bytes) = self.connection.poll_transmit() {
            self.socket.write_all(&bytes)?;
        }
        let mut bytes = [0; 1 << 16];
        let read = self.socket.read(&mut bytes)?;
        if read == 0 {
            return Err("the switch closed the connection".into());
        }
        self.connection.handle_bytes(&bytes[..read], Instant::now());
        Ok(())
    }
}
