//! Requests whose replies have not come, and the parts of those that have come in part.

use super::MAX_MULTIPART;
use crate::message::{MultipartBody, MultipartReply};
use crate::wire::{DecodeError, Problem, Reader};

/// What has come of a reply.
#[derive(Debug, Default)]
pub(super) struct Pending {
    parts: Option<MultipartBody>,
    /// How many bytes those parts had.
    length: usize,
}

impl Pending {
    /// How many bytes have come of the reply.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Adds a part of `length` bytes, and returns the whole reply if that was the last one.
    ///
    /// An error if it doesn't fit to those before or is longer than there is `room`; the request is over then.
    pub(super) fn add(
        &mut self,
        length: usize,
        part: MultipartReply,
        room: usize,
    ) -> Result<Option<MultipartBody>, DecodeError> {
        if length > room {
            return Err(error("multipart replies", Problem::TooLong { limit: MAX_MULTIPART }));
        }
        self.length += length;
        let whole = match self.parts.take() {
            None => part.body,
            Some(mut parts) => {
                let appended = parts.append(part.body);
                appended.map_err(|kind| error("type of a multipart reply's part", Problem::Value(kind.into())))?;
                parts
            }
        };
        if part.more {
            self.parts = Some(whole);
            return Ok(None);
        }
        Ok(Some(whole))
    }
}

/// About the message as a whole.
fn error(what: &'static str, problem: Problem) -> DecodeError {
    Reader::new(&[]).error(what, problem)
}
