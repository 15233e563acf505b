//! What a recorded packet-in of a tracer says, read without the tracer.

use traceflow_core::datapath::Mark;
use traceflow_core::observation::Observation;
use traceflow_core::packet::CapturedPacket;
use traceflow_openflow::message::{PacketIn2, PacketInView};

use crate::directory::Directory;
use crate::evidence::{Ending, Evidence, Known};
use crate::instance::{Instance, MarkKind};
use crate::layout::Layout;
use crate::ports::Ports;
use crate::read;

/// A packet that flows of a tracer showed to its controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Punted {
    /// The number of the tracer's [`Instance`].
    pub tracer: u8,
    /// What is done with packets that bear such a mark.
    pub kind: MarkKind,
    /// The mark.
    pub mark: Mark,
    /// The name of the table in which the packet's way ended or left.
    pub table: String,
    /// Whether it left there.
    pub left: bool,
    /// What was done with it on this node.
    pub observations: Vec<Observation>,
    /// The packet as it was then.
    pub packet: CapturedPacket,
}

impl Punted {
    /// Reads a packet-in; `None` if no tracer's flow sent it, or one for another pipeline.
    pub fn read(packet_in: &PacketIn2, layout: &Layout, directory: &dyn Directory) -> Option<Self> {
        let message = packet_in.to_message();
        let packet_in = PacketInView::decode(&message).ok()??;
        let instance = Instance::of(packet_in.metadata.register(layout.mark_register)?)?;
        // How its ports were then nobody knows.
        let ports = &Ports::default();
        let known = Known {
            layout,
            directory,
            ports,
        };
        let evidence = Evidence::gather(packet_in, instance, known)?;
        let (stage, left) = match evidence.ending {
            Ending::Dropped(stage) => (stage, false),
            Ending::Left(exit) => (layout.stages.get(exit.stage)?, true),
        };
        Some(Self {
            tracer: instance.number(),
            kind: evidence.mark.kind,
            mark: evidence.mark.mark,
            table: stage.name.clone(),
            left,
            observations: read::observations(&evidence, &[]),
            packet: evidence.packet,
        })
    }
}
