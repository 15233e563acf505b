//! The one place where received bytes are indexed.

use thiserror::Error;

use super::padding;

/// A cursor over received bytes. Every read is checked and says what it was after.
///
/// ```
/// use traceflow_openflow::wire::Reader;
///
/// let mut reader = Reader::new(&[0, 7, 1]);
/// assert_eq!(reader.u16("port"), Ok(7));
/// let error = reader.u32("cookie").unwrap_err();
/// assert_eq!(error.to_string(), "cookie at byte 2: needs 4 bytes, 1 left");
/// ```
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    /// Where `bytes` begins in what was received, so that errors of nested parts name the place in the whole.
    offset: usize,
}

/// Received bytes that are not what they should be: what was read, where, and what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{what} at byte {offset}: {problem}")]
pub struct DecodeError {
    /// What was being read.
    pub what: &'static str,
    /// Where it begins, in bytes from the start of the message.
    pub offset: usize,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with received bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// The bytes end too early.
    #[error("needs {needed} bytes, {available} left")]
    Short {
        /// How many bytes it takes.
        needed: usize,
        /// How many there are.
        available: usize,
    },
    /// A length field says less than the thing's fixed part.
    #[error("says it is {length} bytes long, at least {minimum} are needed")]
    Length {
        /// What the length field says.
        length: usize,
        /// The least it may say.
        minimum: usize,
    },
    /// A value that means nothing here.
    #[error("unexpected value {0:#x}")]
    Value(u64),
    /// More than is taken in one piece, such as a multipart reply beyond
    /// [`MAX_MULTIPART`](crate::connection::MAX_MULTIPART).
    #[error("longer than {limit} bytes")]
    TooLong {
        /// The most that is taken.
        limit: usize,
    },
    /// Actions within actions beyond [`MAX_NESTING`](crate::action::MAX_NESTING).
    #[error("nested too deeply")]
    Nested,
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from their start.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// Reads `bytes`, which begin `offset` bytes into what was received.
    pub(crate) fn at(bytes: &'a [u8], offset: usize) -> Self {
        Self { bytes, offset }
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// Whether all was read.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Where the next byte stands in the whole.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`Problem::Short`] when fewer are left.
    #[inline]
    pub fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let short = Problem::Short {
            needed: count,
            available: self.bytes.len(),
        };
        let (taken, rest) = self
            .bytes
            .split_at_checked(count)
            .ok_or_else(|| self.error(what, short))?;
        self.bytes = rest;
        self.offset += count;
        Ok(taken)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`Problem::Short`] when fewer are left.
    #[inline]
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        Ok(array)
    }

    /// The next byte.
    ///
    /// # Errors
    /// [`Problem::Short`] when none is left.
    #[inline]
    pub fn u8(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    /// The next two bytes as a number; all numbers are big-endian.
    ///
    /// # Errors
    /// [`Problem::Short`] when fewer are left.
    #[inline]
    pub fn u16(&mut self, what: &'static str) -> Result<u16, DecodeError> {
        self.array(what).map(u16::from_be_bytes)
    }

    /// The next four bytes as a number.
    ///
    /// # Errors
    /// [`Problem::Short`] when fewer are left.
    #[inline]
    pub fn u32(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        self.array(what).map(u32::from_be_bytes)
    }

    /// The next eight bytes as a number.
    ///
    /// # Errors
    /// [`Problem::Short`] when fewer are left.
    #[inline]
    pub fn u64(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        self.array(what).map(u64::from_be_bytes)
    }

    /// Passes over padding, whatever stands in it.
    ///
    /// # Errors
    /// [`Problem::Short`] when fewer than `count` bytes are left.
    #[inline]
    pub fn skip(&mut self, count: usize) -> Result<(), DecodeError> {
        self.take(count, "padding").map(|_| ())
    }

    /// All that is left.
    #[inline]
    pub fn rest(&mut self) -> &'a [u8] {
        let rest = std::mem::take(&mut self.bytes);
        self.offset += rest.len();
        rest
    }

    /// A reader of the next `count` bytes only; this one goes on after them.
    ///
    /// # Errors
    /// [`Problem::Short`] when fewer are left.
    pub fn part(&mut self, count: usize, what: &'static str) -> Result<Self, DecodeError> {
        let offset = self.offset;
        Ok(Self::at(self.take(count, what)?, offset))
    }

    /// A reader of what follows a header of `header` bytes that was read already and that said `length` bytes in all.
    ///
    /// # Errors
    /// [`Problem::Length`] when `length` doesn't even hold the header, [`Problem::Short`] when there is less.
    pub fn body(&mut self, length: u16, header: usize, what: &'static str) -> Result<Self, DecodeError> {
        let length = usize::from(length);
        let Some(count) = length.checked_sub(header) else {
            return Err(self.error(
                what,
                Problem::Length {
                    length,
                    minimum: header,
                },
            ));
        };
        self.part(count, what)
    }

    /// Like [`Self::body`], and then passes over the padding that brings `length` to a multiple of eight.
    ///
    /// # Errors
    /// As for [`Self::body`]. The padding of the last thing may be missing.
    pub fn padded_body(&mut self, length: u16, header: usize, what: &'static str) -> Result<Self, DecodeError> {
        let body = self.body(length, header, what)?;
        self.skip(padding(usize::from(length)).min(self.remaining()))?;
        Ok(body)
    }

    /// The next property: its type, and a reader of what follows its header. Its padding is passed over.
    ///
    /// # Errors
    /// [`Problem::Length`] or [`Problem::Short`] when the property contradicts itself or is cut.
    pub fn property(&mut self, what: &'static str) -> Result<(u16, Self), DecodeError> {
        let kind = self.u16(what)?;
        let length = self.u16(what)?;
        Ok((kind, self.padded_body(length, 4, what)?))
    }

    /// Text in `width` bytes, up to the first zero; what isn't UTF-8 in it is replaced.
    ///
    /// # Errors
    /// [`Problem::Short`] when fewer bytes are left.
    pub fn text(&mut self, width: usize, what: &'static str) -> Result<String, DecodeError> {
        let bytes = self.take(width, what)?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(width);
        Ok(String::from_utf8_lossy(&bytes[..end]).into_owned())
    }

    /// An error about what is read next.
    pub fn error(&self, what: &'static str, problem: Problem) -> DecodeError {
        DecodeError {
            what,
            offset: self.offset,
            problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_nested_parts_name_the_place_in_the_whole() {
        let mut reader = Reader::new(&[0, 1, 0, 6, 9, 9]);
        reader.u16("type").unwrap();
        let length = reader.u16("length").unwrap();
        let mut body = reader.body(length, 4, "property").unwrap();
        body.u8("first").unwrap();
        let error = body.u16("second").unwrap_err();
        assert_eq!(error.to_string(), "second at byte 5: needs 2 bytes, 1 left");
    }

    #[test]
    fn a_length_below_its_own_header_is_refused() {
        let mut reader = Reader::new(&[0; 8]);
        let error = reader.body(3, 4, "action").unwrap_err();
        assert_eq!(
            error.to_string(),
            "action at byte 0: says it is 3 bytes long, at least 4 are needed"
        );
    }

    #[test]
    fn missing_padding_at_the_end_is_forgiven() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.padded_body(7, 4, "property").unwrap().rest(), [1, 2, 3]);
        assert!(reader.is_empty());
    }
}
