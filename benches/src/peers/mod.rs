//! The peers: what else does the same, and the floor under everybody.

pub(crate) mod etherparse;
pub(crate) mod memcpy;
pub(crate) mod pnet;
pub(crate) mod smoltcp;

use std::hint::black_box;

use crate::Rounds;
use crate::sample::{ENDS, Ends, Variation, tcp_frame};

/// Encodes a packet into a buffer, over and over.
fn encode(encode: impl Fn(&Ends, Variation, &mut [u8]) + 'static) -> Rounds {
    let mut buffer = [0; 128];
    Box::new(move |times| {
        let ends = black_box(&ENDS);
        for round in 0..times {
            encode(ends, black_box(Variation::of(round)), &mut buffer);
            black_box(&buffer);
        }
    })
}

/// Reads the sample frame, over and over.
fn read(read: impl Fn(&[u8]) -> Option<Fields> + 'static) -> Rounds {
    let frame = tcp_frame();
    Box::new(move |times| {
        for _ in 0..times {
            black_box(read(black_box(&frame)));
        }
    })
}

/// What we read of a frame, so that everybody reads as much.
#[derive(Debug, PartialEq, Eq)]
struct Fields {
    source: [u8; 4],
    destination: [u8; 4],
    length: u16,
    ttl: u8,
    dscp: u8,
    dont_fragment: bool,
    identification: u16,
    protocol: u8,
    ports: (u16, u16),
    syn: bool,
    sequence: u32,
    acknowledgement: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn encoded(encode: impl Fn(&Ends, Variation, &mut [u8]), length: usize) -> Vec<u8> {
        let mut buffer = [0; 128];
        encode(&ENDS, Variation::of(40_000), &mut buffer);
        buffer[..length].to_vec()
    }

    #[test]
    fn everybody_builds_the_same_tcp_frame() {
        let ours = tcp_frame();
        assert_eq!(encoded(etherparse::build_tcp, ours.len()), ours);
        assert_eq!(encoded(etherparse::headers_tcp, ours.len()), ours);
        assert_eq!(encoded(smoltcp::emit_tcp, ours.len()), ours);
        let set = |ends: &Ends, variation, buffer: &mut [u8]| pnet::build_tcp(ends, variation, buffer).unwrap();
        assert_eq!(encoded(set, ours.len()), ours);
    }

    #[test]
    fn everybody_builds_the_same_udp_frame() {
        let ours = sample::udp6(&ENDS, Variation::of(40_000)).unwrap().to_vec();
        assert_eq!(encoded(etherparse::build_udp6, ours.len()), ours);
        assert_eq!(encoded(smoltcp::emit_udp6, ours.len()), ours);
    }

    #[test]
    fn everybody_reads_the_same_fields() {
        let frame = tcp_frame();
        let fields = etherparse::lax_tcp(&frame).unwrap();
        assert_eq!((fields.length, fields.ports.1, fields.syn), (40, 8080, true));
        assert_eq!(etherparse::strict_tcp(&frame), etherparse::lax_tcp(&frame));
        assert_eq!(smoltcp::read_tcp(&frame), etherparse::lax_tcp(&frame));
        assert_eq!(pnet::read_tcp(&frame), etherparse::lax_tcp(&frame));
    }
}
