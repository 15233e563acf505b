//! Messages one behind the other.

use super::{Header, Message};
use crate::wire::{DecodeError, Reader};

impl Message {
    /// The messages that stand one behind the other in `bytes`, such as those of a file.
    ///
    /// A message that can't be read is an error, and the next one follows. Nothing follows a header that can't be right
    /// or a message that is cut. Errors name the place in all of `bytes`.
    ///
    /// ```
    /// use traceflow_openflow::message::Message;
    ///
    /// let bytes = [6, 20, 0, 8, 0, 0, 0, 1, 6, 21, 0, 8, 0, 0, 0, 1, 6];
    /// let texts: Vec<String> = Message::decode_all(&bytes)
    ///     .map(|message| match message {
    ///         Ok((_, message)) => message.to_string(),
    ///         Err(error) => error.to_string(),
    ///     })
    ///     .collect();
    /// let expected = ["OFPT_BARRIER_REQUEST:", "OFPT_BARRIER_REPLY:", "message type at byte 17: needs 1 bytes, 0 left"];
    /// assert_eq!(texts, expected);
    /// ```
    pub fn decode_all(bytes: &[u8]) -> impl Iterator<Item = Result<(Header, Self), DecodeError>> {
        Messages {
            rest: Reader::new(bytes),
        }
    }
}

struct Messages<'a> {
    rest: Reader<'a>,
}

impl Iterator for Messages<'_> {
    type Item = Result<(Header, Message), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let message = self.cut().inspect_err(|_| {
            // Where the next message would begin can't be told.
            self.rest.rest();
        });
        Some(message.and_then(Message::decode_from))
    }
}

impl<'a> Messages<'a> {
    fn cut(&mut self) -> Result<Reader<'a>, DecodeError> {
        let header = Header::decode(&mut self.rest.clone())?;
        self.rest.part(header.length.into(), "message")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_cannot_be_read_does_not_hide_the_next() {
        // A get-config reply that is too short, then a barrier request.
        let bytes = crate::testing::hex("0608000900000001ff 0614000800000002");
        let mut messages = Message::decode_all(&bytes);
        let error = messages.next().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "config flags at byte 8: needs 2 bytes, 1 left");
        let (header, message) = messages.next().unwrap().unwrap();
        assert_eq!((header.xid, message), (2, Message::BarrierRequest));
        assert!(messages.next().is_none());
    }

    #[test]
    fn a_message_that_is_cut_is_the_last() {
        let bytes = crate::testing::hex("0614000800000001 0614000a00000002ff");
        let errors: Vec<String> = Message::decode_all(&bytes)
            .filter_map(Result::err)
            .map(|error| error.to_string())
            .collect();
        assert_eq!(errors, ["message at byte 8: needs 10 bytes, 9 left"]);
    }
}
