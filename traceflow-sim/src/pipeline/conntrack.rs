//! Connection tracking: packets of known connections, and packets that can't begin one.

use std::ops::ControlFlow;

use traceflow_core::observation::{Component, DropReason};
use traceflow_core::packet::{CapturedPacket, CapturedTransport, Protocol, TcpFlags};

use super::packet::{rewrite_destination, rewrite_source};
use super::{Outcome, Passage, Tuple};

/// Translates the packets of a known connection as its first packet was translated, and drops what can't begin one.
pub(super) fn look_up(passage: &mut Passage<'_>) -> ControlFlow<Outcome> {
    if follow_known_connection(passage) || begins_connection(&passage.packet) {
        return ControlFlow::Continue(());
    }
    passage.drop_at(Component::Conntrack, DropReason::InvalidConnectionState)
}

fn follow_known_connection(passage: &mut Passage<'_>) -> bool {
    let Some((memory, now)) = passage.entering.memory.filter(|_| !passage.entering.as_first) else {
        return false;
    };
    let tuple = passage.original;
    let Some(translated) = memory.translated(&tuple, now) else {
        return false;
    };
    apply(&mut passage.packet, tuple, translated);
    passage.tracked = true;
    true
}

fn apply(packet: &mut CapturedPacket, before: Tuple, after: Tuple) {
    if (before.destination, before.destination_port) != (after.destination, after.destination_port) {
        rewrite_destination(packet, after.destination, after.destination_port);
    }
    if (before.source, before.source_port) != (after.source, after.source_port) {
        rewrite_source(packet, after.source, after.source_port);
    }
}

/// Whether Linux' connection tracking takes the packet for the first of a connection.
fn begins_connection(packet: &CapturedPacket) -> bool {
    match &packet.transport {
        CapturedTransport::Tcp { flags: Some(flags), .. } => tcp_begins(*flags),
        CapturedTransport::Icmp(header) if packet.protocol == Protocol::ICMP => {
            // nf_conntrack_proto_icmp.c: echo, timestamp, information and address mask requests.
            matches!(header.icmp_type, 8 | 13 | 15 | 17)
        }
        CapturedTransport::Icmp(header) => {
            // nf_conntrack_proto_icmpv6.c: echo and node information requests begin a connection; listener and
            // neighbour discovery messages aren't tracked.
            matches!(header.icmp_type, 128 | 139 | 130..=137 | 143)
        }
        _ => true,
    }
}

/// nf_conntrack_proto_tcp.c, state NONE: a SYN begins a connection, and a bare ACK is taken for one that began before
/// tracking did; SYN with ACK, FIN, RST and a segment without flags are invalid.
fn tcp_begins(flags: TcpFlags) -> bool {
    let ends = flags.0 & (TcpFlags::FIN.0 | TcpFlags::RST.0) != 0;
    let syn = flags.contains(TcpFlags::SYN);
    let ack = flags.contains(TcpFlags::ACK);
    !ends && syn != ack
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_syn_or_a_bare_ack_begins_a_tcp_connection() {
        let begins = |flags: u8| tcp_begins(TcpFlags(flags));
        assert!(begins(0x02), "SYN");
        assert!(begins(0xc2), "SYN with ECE and CWR");
        assert!(begins(0x10), "ACK");
        assert!(begins(0x18), "PSH and ACK");
        for invalid in [0x00, 0x01, 0x04, 0x11, 0x12, 0x14, 0x03, 0x06, 0xff] {
            assert!(!begins(invalid), "flags {invalid:#x}");
        }
    }
}
