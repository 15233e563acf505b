//! Cuts a stream of bytes into messages.

use crate::message::{HEADER, Header};
use crate::wire::{DecodeError, Reader};

/// Holds the beginning of a message until its end comes, never more than 65535 bytes. Messages that come whole are not
/// copied.
#[derive(Debug, Default)]
pub(super) struct Framer {
    /// The beginning of a message.
    kept: Vec<u8>,
    /// Whether what is kept is a whole message that was handed out already.
    taken: bool,
}

impl Framer {
    /// Cuts the next whole message off what is kept and `bytes`, or keeps all of `bytes` if its end is not among them.
    /// An error if the stream is no OpenFlow: nothing that follows can be found then.
    pub(super) fn next_frame<'frame, 'bytes: 'frame>(
        &'frame mut self,
        bytes: &mut &'bytes [u8],
    ) -> Result<Option<&'frame [u8]>, DecodeError> {
        if std::mem::take(&mut self.taken) {
            self.kept.clear();
        }
        if self.kept.is_empty()
            && let Some(length) = frame_length(bytes)?
            && let Some((frame, rest)) = bytes.split_at_checked(length)
        {
            *bytes = rest;
            return Ok(Some(frame));
        }
        self.keep(HEADER, bytes);
        let Some(length) = frame_length(&self.kept)? else {
            return Ok(None);
        };
        self.keep(length, bytes);
        self.taken = self.kept.len() == length;
        Ok(self.taken.then_some(&self.kept))
    }

    /// Moves bytes over until `length` are kept, or none is left.
    fn keep(&mut self, length: usize, bytes: &mut &[u8]) {
        let missing = length.saturating_sub(self.kept.len()).min(bytes.len());
        let (moved, rest) = bytes.split_at(missing);
        self.kept.extend_from_slice(moved);
        *bytes = rest;
    }
}

/// The length that a message's header says, if the header is there.
fn frame_length(bytes: &[u8]) -> Result<Option<usize>, DecodeError> {
    if bytes.len() < HEADER {
        return Ok(None);
    }
    Header::decode(&mut Reader::new(bytes)).map(|header| Some(header.length.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_however_the_stream_is_cut() {
        let stream = crate::testing::hex("0614000800000001 0602000a00000002cafe 0614000800000003");
        for piece in 1..=stream.len() {
            let mut framer = Framer::default();
            let mut frames = Vec::new();
            for mut bytes in stream.chunks(piece) {
                while let Some(frame) = framer.next_frame(&mut bytes).unwrap() {
                    frames.push(frame.to_vec());
                }
                assert!(bytes.is_empty());
            }
            assert_eq!(frames.concat(), stream, "in pieces of {piece}");
            assert_eq!(frames.len(), 3, "in pieces of {piece}");
        }
    }

    #[test]
    fn a_length_that_cannot_be_ends_the_stream() {
        let mut framer = Framer::default();
        assert!(framer.next_frame(&mut &[6, 0, 0, 7, 0, 0, 0, 1][..]).is_err());
        assert_eq!(framer.next_frame(&mut &[6, 0, 0][..]), Ok(None));
        assert!(framer.next_frame(&mut &[7, 0, 0, 0, 1][..]).is_err());
    }
}
