//! What rovs-openflow 0.2 does, as operations beside ours.

use std::hint::black_box;

use benches::{Comparison, Operation, Rounds, openflow};
use bytes::Bytes;
use rovs_openflow::{ActionList, Flow, Header, Match, PacketIn, Version};
use traceflow_openflow::message::Message;

/// The comparisons, in the order of the table.
pub static COMPARISONS: &[Comparison] = &[
    Comparison {
        ours: &openflow::FLOW_MOD,
        peer: &FLOW_MOD,
        at_most: Some(0.25),
    },
    Comparison {
        ours: &openflow::FLOW_MOD_FRESH,
        peer: &FLOW_MOD,
        at_most: Some(0.25),
    },
    Comparison {
        ours: &PACKET_IN_OURS,
        peer: &PACKET_IN,
        at_most: None,
    },
];

/// The flow-mod that we encode, too, from a value that is there already.
pub static FLOW_MOD: Operation = Operation {
    name: "rovs-openflow: encode a flow-mod",
    prepare: || {
        let flow = flow();
        Box::new(move |times| {
            for round in 0..times {
                black_box(black_box(&flow).to_message(Version::Of13, round as u32).encode());
            }
        })
    },
};

/// `OFPT_PACKET_IN`, which is all that it reads.
pub static PACKET_IN: Operation = Operation {
    name: "rovs-openflow: decode an OFPT_PACKET_IN",
    prepare: || {
        let bytes = Bytes::from(packet_in());
        Box::new(move |times| {
            for _ in 0..times {
                black_box(parse(black_box(&bytes).clone()));
            }
        })
    },
};

/// The same message.
pub static PACKET_IN_OURS: Operation = Operation {
    name: "traceflow: decode an OFPT_PACKET_IN",
    prepare: || -> Rounds {
        let bytes = packet_in();
        Box::new(move |times| {
            for _ in 0..times {
                let _ = black_box(Message::decode(black_box(&bytes)));
            }
        })
    },
};

fn flow() -> Flow {
    let matching = Match::new()
        .in_port(3)
        .eth_dst([2, 0, 0, 0, 0, 1])
        .eth_src([2, 0, 0, 0, 0, 2])
        .ipv4_src([10, 0, 0, 1].into(), 32)
        .ipv4_dst([10, 0, 1, 2].into(), 32)
        .ip_proto(6)
        .tcp_dst(80);
    let actions = ActionList::new().resubmit_table(10).resubmit_table(20).output(4_u32);
    Flow::add()
        .table(5)
        .priority(200)
        .cookie(0x1234_5678_9abc_def0)
        .hard_timeout(60)
        .match_fields(matching)
        .actions(actions)
}

fn parse(mut bytes: Bytes) -> Option<PacketIn> {
    Header::decode(&mut bytes).ok()?;
    PacketIn::parse(bytes).ok()
}

/// A frame of 54 bytes that came in by port 3, in OpenFlow 1.3.
fn packet_in() -> Vec<u8> {
    let mut bytes = vec![4, 10, 0, 96, 0, 0, 0, 0];
    bytes.extend([0xff; 4]);
    bytes.extend([0, 54, 1, 5]);
    bytes.extend(7_u64.to_be_bytes());
    bytes.extend([0, 1, 0, 12, 0x80, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0, 0]);
    bytes.extend([0; 2]);
    bytes.extend((0..54).map(|number: u8| number));
    bytes
}

#[cfg(test)]
mod tests {
    use benches::openflow::{encoded, flow_mod};
    use traceflow_openflow::Version as OurVersion;

    use super::*;

    #[test]
    fn both_encode_the_same_flow_mod() {
        let ours = encoded(&Message::FlowMod(flow_mod()), OurVersion::V1_3);
        assert_eq!(flow().to_message(Version::Of13, 7).encode(), ours);
    }

    #[test]
    fn both_read_the_same_packet_in() {
        let theirs = parse(packet_in().into()).unwrap();
        let (_, message) = Message::decode(&packet_in()).unwrap();
        let Message::PacketIn(ours) = message else {
            panic!("{message:?}")
        };
        assert_eq!((theirs.data, theirs.cookie), (ours.packet, 7));
    }
}
