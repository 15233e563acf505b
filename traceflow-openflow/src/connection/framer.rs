//! Cuts a stream of bytes into messages.

use crate::message::{HEADER, Header};
use crate::wire::{DecodeError, Reader};

/// Holds the beginning of a message until its end comes: at most 65535 bytes once everything complete was taken.
#[derive(Debug, Default)]
pub(super) struct Framer {
    bytes: Vec<u8>,
    /// How many of them were given out already.
    taken: usize,
}

impl Framer {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message, or none if its end has not come. An error if the stream is no OpenFlow: nothing that
    /// follows can be found then.
    pub(super) fn next_frame(&mut self) -> Result<Option<Vec<u8>>, DecodeError> {
        let rest = &self.bytes[self.taken..];
        if rest.len() < HEADER {
            return Ok(None);
        }
        let length = usize::from(Header::decode(&mut Reader::new(rest))?.length);
        let Some(frame) = rest.get(..length) else {
            return Ok(None);
        };
        self.taken += length;
        Ok(Some(frame.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_however_the_stream_is_cut() {
        let stream = crate::testing::hex("0614000800000001 0602000a00000002cafe 0614000800000003");
        for piece in 1..stream.len() {
            let mut framer = Framer::default();
            let mut lengths = Vec::new();
            for bytes in stream.chunks(piece) {
                framer.push(bytes);
                while let Some(frame) = framer.next_frame().unwrap() {
                    lengths.push(frame.len());
                }
            }
            assert_eq!(lengths, [8, 10, 8], "in pieces of {piece}");
        }
    }

    #[test]
    fn a_length_that_cannot_be_ends_the_stream() {
        let mut framer = Framer::default();
        framer.push(&[6, 0, 0, 7, 0, 0, 0, 1]);
        assert!(framer.next_frame().is_err());
    }
}
