//! traceflow's own operations.

use std::hint::black_box;

use traceflow_core::packet::{CapturedPacket, Nonce, Packet, PacketError, Patch, Template};

use crate::sample::{self, ENDS, Ends, Variation};
use crate::{Operation, Rounds};

pub(crate) static PATCH_TCP: Operation = Operation {
    name: "traceflow: patch a template (TCP over IPv4, 54 bytes)",
    prepare: || patch(sample::tcp),
};

pub(crate) static PATCH_UDP6: Operation = Operation {
    name: "traceflow: patch a template (UDP over IPv6, 70 bytes)",
    prepare: || patch(sample::udp6),
};

pub(crate) static PATCH_SCTP: Operation = Operation {
    name: "traceflow: patch a template (SCTP over IPv4, 66 bytes)",
    prepare: || patch(sample::sctp),
};

pub(crate) static BUILD_TCP: Operation = Operation {
    name: "traceflow: build and encode (TCP over IPv4)",
    prepare: || build(sample::tcp),
};

pub(crate) static BUILD_UDP6: Operation = Operation {
    name: "traceflow: build and encode (UDP over IPv6)",
    prepare: || build(sample::udp6),
};

pub(crate) static READ_TCP: Operation = Operation {
    name: "traceflow: read a frame (TCP over IPv4)",
    prepare: || {
        let frame = sample::tcp_frame();
        Box::new(move |times| {
            for _ in 0..times {
                let _ = black_box(CapturedPacket::from_frame(black_box(&frame)));
            }
        })
    },
};

fn patch(packet: impl Fn(&Ends, Variation) -> Result<Packet, PacketError>) -> Rounds {
    let packet = packet(&ENDS, Variation::of(0)).expect("the sample is a packet");
    let mut template = Template::new(&packet);
    let patch = Patch {
        nonce: Nonce(0x0102_0304_0506_0708),
        source: 50_000,
        dscp: 7,
        identification: 0x1234,
    };
    Box::new(move |times| {
        for _ in 0..times {
            black_box(template.patch(black_box(&patch)));
        }
    })
}

fn build(packet: impl Fn(&Ends, Variation) -> Result<Packet, PacketError> + 'static) -> Rounds {
    let mut buffer = [0; 128];
    Box::new(move |times| {
        let ends = black_box(&ENDS);
        for round in 0..times {
            let packet = packet(ends, black_box(Variation::of(round))).expect("the sample is a packet");
            let _ = black_box(packet.encode_to_slice(&mut buffer));
            black_box(&buffer);
        }
    })
}
