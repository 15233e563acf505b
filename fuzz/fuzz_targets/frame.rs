//! Any bytes are read as a frame, and what was read makes a packet that is read the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use traceflow_core::packet::{
    CapturedPacket, CapturedTransport, IpHeader, MacAddress, Packet, Protocol, Template, Transport,
};

fuzz_target!(|bytes: &[u8]| {
    let _ = CapturedPacket::from_ip(bytes);
    let Ok(captured) = CapturedPacket::from_frame(bytes) else {
        return;
    };
    let Some(packet) = packet_of(&captured) else { return };
    let frame = packet.to_vec();
    let again = CapturedPacket {
        length: captured.length,
        ..CapturedPacket::from_frame(&frame).expect("our own frames are whole")
    };
    assert_eq!(again, captured);
    assert_eq!(Template::new(&packet)[..], frame);
});

/// The packet that was captured, if all of it was there and the builder would build it.
fn packet_of(captured: &CapturedPacket) -> Option<Packet> {
    let mac = MacAddress([2, 0, 0, 0, 0, 1]);
    let mut packet = Packet::ethernet(mac, mac)
        .ip(captured.source, captured.destination)
        .expect("one header has addresses of one family")
        .ttl(captured.ttl)
        .dscp(captured.dscp)
        .nonce(captured.nonce?)
        .transport(transport_of(captured)?)
        .ok()?;
    if let IpHeader::V4(header) = &mut packet.ip {
        header.flags = captured.flags?;
        header.identification = captured.identification?;
    }
    Some(packet)
}

fn transport_of(captured: &CapturedPacket) -> Option<Transport> {
    Some(match captured.transport {
        CapturedTransport::Tcp {
            source,
            destination,
            flags,
            ..
        } => Transport::Tcp {
            source,
            destination,
            flags: flags?,
        },
        CapturedTransport::Udp { source, destination } => Transport::Udp { source, destination },
        CapturedTransport::Sctp { source, destination } => Transport::Sctp { source, destination },
        CapturedTransport::Icmp(header) if captured.protocol == Protocol::ICMP => Transport::Icmp(header),
        CapturedTransport::Icmp(header) => Transport::Icmpv6(header),
        _ => Transport::Other(captured.protocol),
    })
}
