//! OpenFlow messages: ours, and the floor under everybody, who only writes or reads the bytes that are there.
//!
//! The peer is rovs-openflow; it brings forty crates along, one of them in C, so that it is measured in a workspace of its
//! own, `benches/rovs`, which uses what stands here.

use std::hint::black_box;

use traceflow_openflow::action::{Action, SetField};
use traceflow_openflow::field::Field;
use traceflow_openflow::instruction::Instruction;
use traceflow_openflow::matching::Match;
use traceflow_openflow::message::{FlowMod, Message, PacketIn2, PacketInView, PacketOut};
use traceflow_openflow::{Port, Version};

use crate::{Operation, Rounds};

/// A flow-mod with eight match fields and three actions, into a buffer that is used again.
pub static FLOW_MOD: Operation = Operation {
    name: "traceflow: encode a flow-mod (176 bytes)",
    prepare: || encode(Message::FlowMod(flow_mod()), Version::V1_3),
};

/// The same, into a buffer of its own.
pub static FLOW_MOD_FRESH: Operation = Operation {
    name: "traceflow: encode a flow-mod, new buffer",
    prepare: || {
        let message = Message::FlowMod(flow_mod());
        Box::new(move |times| {
            for round in 0..times {
                let mut buffer = Vec::new();
                let _ = black_box(black_box(&message).encode(Version::V1_3, round as u32, &mut buffer));
                black_box(&buffer);
            }
        })
    },
};

/// The same bytes, written one number after the other.
pub static FLOW_MOD_SLICES: Operation = Operation {
    name: "slices: write a flow-mod",
    prepare: || {
        let mut buffer = [0; 256];
        let numbers = Numbers::SAMPLE;
        Box::new(move |times| {
            for round in 0..times {
                black_box(write_flow_mod(black_box(&numbers), round as u32, &mut buffer));
                black_box(&buffer);
            }
        })
    },
};

/// What a trace sends: a packet of 54 bytes with its mark and where it enters the tables.
pub static PACKET_OUT: Operation = Operation {
    name: "traceflow: encode a packet-out",
    prepare: || encode(Message::PacketOut(packet_out()), Version::V1_5),
};

/// A copy of as many bytes.
pub static PACKET_OUT_COPIED: Operation = Operation {
    name: "memcpy: a packet-out",
    prepare: || {
        let bytes = encoded(&Message::PacketOut(packet_out()), Version::V1_5);
        let mut buffer = Vec::with_capacity(256);
        Box::new(move |times| {
            for _ in 0..times {
                buffer.clear();
                buffer.extend_from_slice(black_box(&bytes));
                black_box(&buffer);
            }
        })
    },
};

/// What a trace reads: mark, table and packet of a packet-in, where it stands.
pub static PACKET_IN_VIEW: Operation = Operation {
    name: "traceflow: read a packet-in where it stands",
    prepare: || {
        read(|bytes| viewed(bytes).map(|(mark, userdata, packet)| mark as usize + userdata.len() + packet.len()))
    },
};

/// All of a packet-in, copied.
pub static PACKET_IN_OWNED: Operation = Operation {
    name: "traceflow: decode a packet-in, copied",
    prepare: || {
        read(|bytes| match Message::decode(bytes) {
            Ok((_, Message::PacketIn2(packet_in))) => Some(packet_in.packet.len()),
            _ => None,
        })
    },
};

/// The same three things from where they are known to stand.
pub static PACKET_IN_SLICES: Operation = Operation {
    name: "slices: read a packet-in",
    prepare: || {
        read(|bytes| sliced(bytes).map(|(mark, userdata, packet)| mark as usize + userdata.len() + packet.len()))
    },
};

/// The flow-mod that everybody encodes.
pub fn flow_mod() -> FlowMod {
    let numbers = Numbers::SAMPLE;
    let matching = Match::new()
        .with(Field::OXM_OF_IN_PORT, numbers.in_port.into())
        .with(Field::OXM_OF_ETH_DST, 0x0200_0000_0001)
        .with(Field::OXM_OF_ETH_SRC, 0x0200_0000_0002)
        .with(Field::OXM_OF_ETH_TYPE, 0x0800)
        .with(Field::OXM_OF_IP_PROTO, 6)
        .with(Field::OXM_OF_IPV4_SRC, numbers.source.into())
        .with(Field::OXM_OF_IPV4_DST, numbers.destination.into())
        .with(Field::OXM_OF_TCP_DST, numbers.port.into());
    let actions = vec![
        Action::Resubmit {
            port: None,
            table: Some(10),
            conntrack: false,
        },
        Action::Resubmit {
            port: None,
            table: Some(20),
            conntrack: false,
        },
        Action::Output {
            port: Port(numbers.output),
            max_len: 0xffff,
        },
    ];
    FlowMod {
        table: 5,
        priority: numbers.priority,
        cookie: numbers.cookie,
        hard_timeout: 60,
        matching,
        instructions: vec![Instruction::ApplyActions(actions)],
        ..FlowMod::add()
    }
}

/// A message's bytes.
pub fn encoded(message: &Message, version: Version) -> Vec<u8> {
    let mut bytes = Vec::new();
    message
        .encode(version, 7, &mut bytes)
        .expect("the sample can be said in this version");
    bytes
}

/// What differs from flow to flow.
#[derive(Debug, Clone, Copy)]
struct Numbers {
    cookie: u64,
    priority: u16,
    in_port: u32,
    source: u32,
    destination: u32,
    port: u16,
    output: u32,
}

impl Numbers {
    const SAMPLE: Self = Self {
        cookie: 0x1234_5678_9abc_def0,
        priority: 200,
        in_port: 3,
        source: 0x0a00_0001,
        destination: 0x0a00_0102,
        port: 80,
        output: 4,
    };
}

/// The fixed parts stand in a pattern; the numbers are written over it, as a program would that knows only this flow.
#[inline(never)]
fn write_flow_mod(numbers: &Numbers, xid: u32, buffer: &mut [u8; 256]) -> usize {
    let mut place = 0;
    let mut put = |bytes: &[u8]| {
        buffer[place..place + bytes.len()].copy_from_slice(bytes);
        place += bytes.len();
    };
    put(&[4, 14, 0, 176]);
    put(&xid.to_be_bytes());
    put(&numbers.cookie.to_be_bytes());
    put(&[0; 8]);
    put(&[5, 0, 0, 0, 0, 60]);
    put(&numbers.priority.to_be_bytes());
    put(&[0xff; 4]);
    put(&[0xff; 8]);
    put(&[0; 4]);
    put(&[0, 1, 0, 65]);
    put(&[0x80, 0, 0, 4]);
    put(&numbers.in_port.to_be_bytes());
    put(&[0x80, 0, 6, 6, 2, 0, 0, 0, 0, 1, 0x80, 0, 8, 6, 2, 0, 0, 0, 0, 2]);
    put(&[0x80, 0, 10, 2, 8, 0, 0x80, 0, 20, 1, 6]);
    put(&[0x80, 0, 22, 4]);
    put(&numbers.source.to_be_bytes());
    put(&[0x80, 0, 24, 4]);
    put(&numbers.destination.to_be_bytes());
    put(&[0x80, 0, 28, 2]);
    put(&numbers.port.to_be_bytes());
    put(&[0; 7]);
    put(&[0, 4, 0, 56, 0, 0, 0, 0]);
    for table in [10, 20] {
        put(&[0xff, 0xff, 0, 16, 0, 0, 0x23, 0x20, 0, 14, 0xff, 0xf8, table, 0, 0, 0]);
    }
    put(&[0, 0, 0, 16]);
    put(&numbers.output.to_be_bytes());
    put(&[0xff, 0xff, 0, 0, 0, 0, 0, 0]);
    place
}

fn packet_out() -> PacketOut {
    let actions = vec![
        Action::SetField(SetField::new(Field::register(10), 0x100_0001)),
        Action::Resubmit {
            port: None,
            table: Some(0),
            conntrack: false,
        },
    ];
    PacketOut::new(Port(3), crate::sample::tcp_frame(), actions)
}

/// As a switch sends them for a trace: a dozen fields of metadata.
fn packet_in() -> Vec<u8> {
    let metadata = Match::new()
        .with(Field::OXM_OF_IN_PORT, 3)
        .with(Field::packet_register(0), 0x103_0000_0001)
        .with(Field::packet_register(2), 0x0a00_0102_0000_0050)
        .with(Field::packet_register(5), MARK.into())
        .with(Field::NXM_NX_CT_STATE, 0x21)
        .with(Field::NXM_NX_CT_ZONE, 65_520)
        .with(Field::NXM_NX_CT_MARK, 3)
        .with(Field::NXM_NX_CT_NW_SRC, 0x0a00_0001)
        .with(Field::NXM_NX_CT_NW_DST, 0x0a00_0102)
        .with(Field::NXM_NX_CT_TP_SRC, 40_001)
        .with(Field::NXM_NX_CT_TP_DST, 80);
    PacketIn2 {
        table: Some(15),
        cookie: Some(0x7f00_0007),
        metadata,
        userdata: vec![0x74, 0x66, 1, 9],
        ..PacketIn2::new(crate::sample::tcp_frame())
    }
    .to_message()
}

/// In register 11, the lower half of the fifth pair.
const MARK: u32 = 0x0100_0001;

fn viewed(bytes: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    let view = PacketInView::decode(bytes).ok()??;
    Some((view.metadata.register(11)?, view.userdata, view.packet))
}

fn sliced(bytes: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    let packet = bytes.get(20..74)?;
    let mark = bytes.get(148..152)?;
    let userdata = bytes.get(USERDATA..USERDATA + 4)?;
    Some((u32::from_be_bytes(*mark.first_chunk()?), userdata, packet))
}

const USERDATA: usize = 212;

fn encode(message: Message, version: Version) -> Rounds {
    let mut buffer = Vec::with_capacity(512);
    Box::new(move |times| {
        for round in 0..times {
            buffer.clear();
            let _ = black_box(black_box(&message).encode(version, round as u32, &mut buffer));
            black_box(&buffer);
        }
    })
}

fn read(read: impl Fn(&[u8]) -> Option<usize> + 'static) -> Rounds {
    let bytes = packet_in();
    Box::new(move |times| {
        for _ in 0..times {
            black_box(read(black_box(&bytes)));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_writes_the_same_flow_mod() {
        let mut buffer = [0; 256];
        let length = write_flow_mod(&Numbers::SAMPLE, 7, &mut buffer);
        let ours = encoded(&Message::FlowMod(flow_mod()), Version::V1_3);
        assert_eq!(buffer[..length], ours, "{ours:02x?}");
        assert_eq!(length, 176);
    }

    #[test]
    fn everybody_reads_the_same_of_a_packet_in() {
        let bytes = packet_in();
        assert_eq!(sliced(&bytes), viewed(&bytes), "{bytes:02x?}");
    }
}
