//! Appends to a reused buffer.

use thiserror::Error;

use super::padding;
use crate::Version;

/// Appends big-endian numbers and length-prefixed parts to a buffer that the caller keeps and reuses.
///
/// The first thing that can't be written is remembered rather than returned by every call; whoever made the writer asks
/// [`Writer::finish`] once.
#[derive(Debug)]
pub struct Writer<'a> {
    buffer: &'a mut Vec<u8>,
    version: Version,
    failed: Option<EncodeError>,
}

/// A part that is written in one go.
#[derive(Debug)]
pub(crate) struct Fixed<const N: usize> {
    bytes: [u8; N],
    written: usize,
}

impl<const N: usize> Fixed<N> {
    #[inline]
    pub(crate) fn u8(&mut self, value: u8) {
        self.put([value]);
    }

    #[inline]
    pub(crate) fn u16(&mut self, value: u16) {
        self.put(value.to_be_bytes());
    }

    #[inline]
    pub(crate) fn u32(&mut self, value: u32) {
        self.put(value.to_be_bytes());
    }

    #[inline]
    pub(crate) fn u64(&mut self, value: u64) {
        self.put(value.to_be_bytes());
    }

    /// Whoever writes knows how long the part is; what is too much has no place.
    #[inline]
    fn put<const M: usize>(&mut self, value: [u8; M]) {
        let end = self.written + M;
        debug_assert!(end <= N, "{end} bytes in a part of {N}");
        if let Some(place) = self.bytes.get_mut(self.written..end) {
            place.copy_from_slice(&value);
        }
        self.written = end;
    }
}

/// What can't be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A length field has 16 bits, most often for the whole message.
    #[error("{what} is {length} bytes long, the most that OpenFlow can say is 65535")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// Its length in bytes.
        length: usize,
    },
    /// The version has no way to say it.
    #[error("{what} doesn't exist in {version}")]
    Unsupported {
        /// What was to be said.
        what: &'static str,
        /// The version that can't.
        version: Version,
    },
}

impl<'a> Writer<'a> {
    /// Appends to `buffer`, in the words of `version`.
    pub fn new(buffer: &'a mut Vec<u8>, version: Version) -> Self {
        Self {
            buffer,
            version,
            failed: None,
        }
    }

    /// The version that is written.
    pub fn version(&self) -> Version {
        self.version
    }

    /// How many bytes the buffer holds.
    pub fn position(&self) -> usize {
        self.buffer.len()
    }

    /// Appends a byte.
    #[inline]
    pub fn u8(&mut self, value: u8) {
        self.buffer.push(value);
    }

    /// Appends two bytes.
    #[inline]
    pub fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    /// Appends four bytes.
    #[inline]
    pub fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    /// Appends eight bytes.
    #[inline]
    pub fn u64(&mut self, value: u64) {
        self.bytes(&value.to_be_bytes());
    }

    /// Appends a part of a known length in one go, as fast as a copy; what isn't written of it is zero.
    #[inline]
    pub(crate) fn fixed<const N: usize>(&mut self, write: impl FnOnce(&mut Fixed<N>)) {
        let mut part = Fixed {
            bytes: [0; N],
            written: 0,
        };
        write(&mut part);
        self.bytes(&part.bytes);
    }

    /// Appends the first `count` of these bytes. Copying them all and taking the rest back takes less than a copy of a length
    /// that isn't known beforehand.
    #[inline]
    pub(crate) fn few(&mut self, bytes: &[u8; 16], count: usize) {
        let end = self.position() + count;
        self.bytes(bytes);
        self.buffer.truncate(end);
    }

    /// Appends bytes as they are.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Appends `count` zero bytes.
    #[inline]
    pub fn zeros(&mut self, count: usize) {
        // Padding is seven bytes at most, for which growing by a loop takes longer than a copy.
        if count <= 16 {
            self.few(&[0; 16], count);
        } else {
            self.buffer.resize(self.buffer.len() + count, 0);
        }
    }

    /// Appends `text` in exactly `width` bytes: cut, or followed by zeros; the last byte is always zero.
    pub fn text(&mut self, text: &str, width: usize) {
        let most = width.saturating_sub(1).min(text.len());
        let cut = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        self.bytes(&text.as_bytes()[..cut]);
        self.zeros(width - cut);
    }

    /// Appends zeros until what began at `start` is a multiple of eight bytes long.
    #[inline]
    pub fn pad(&mut self, start: usize) {
        let count = padding(self.position() - start);
        if count > 0 {
            self.zeros(count);
        }
    }

    /// Writes at `field` how many bytes there are from `start` to here.
    #[inline]
    pub fn set_length(&mut self, field: usize, start: usize, what: &'static str) {
        let length = self.position() - start;
        match u16::try_from(length) {
            Ok(length) => self.buffer[field..field + 2].copy_from_slice(&length.to_be_bytes()),
            Err(_) => self.fail(EncodeError::TooLong { what, length }),
        }
    }

    /// Appends a part that begins with a type and its length (header included, padding not), then pads it to eight
    /// bytes.
    pub fn property(&mut self, kind: u16, what: &'static str, body: impl FnOnce(&mut Self)) {
        let start = self.position();
        self.fixed::<4>(|head| head.u16(kind));
        body(self);
        self.set_length(start + 2, start, what);
        self.pad(start);
    }

    /// Appends a property that is one 16-bit number. Two bytes of its padding count into its length.
    pub fn property_u16(&mut self, kind: u16, value: u16) {
        self.property(kind, "a number", |writer| {
            writer.u16(value);
            writer.zeros(2);
        });
    }

    /// Remembers that `what` can't be said in this version.
    pub fn unsupported(&mut self, what: &'static str) {
        let version = self.version;
        self.fail(EncodeError::Unsupported { what, version });
    }

    /// The first thing that could not be written.
    ///
    /// # Errors
    /// That thing; what stands in the buffer then must not be sent.
    pub fn finish(self) -> Result<(), EncodeError> {
        self.failed.map_or(Ok(()), Err)
    }

    fn fail(&mut self, error: EncodeError) {
        self.failed.get_or_insert(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_counts_its_header_but_not_its_padding() {
        let mut buffer = Vec::new();
        let mut writer = Writer::new(&mut buffer, Version::V1_5);
        writer.property(3, "table", |writer| writer.u8(9));
        writer.finish().unwrap();
        assert_eq!(buffer, [0, 3, 0, 5, 9, 0, 0, 0]);
    }

    #[test]
    fn what_is_too_long_is_said_at_the_end() {
        let mut buffer = Vec::new();
        let mut writer = Writer::new(&mut buffer, Version::V1_5);
        writer.property(0, "packet", |writer| writer.zeros(70_000));
        let error = writer.finish().unwrap_err();
        assert_eq!(
            error.to_string(),
            "packet is 70004 bytes long, the most that OpenFlow can say is 65535"
        );
    }

    #[test]
    fn text_is_cut_between_characters_and_ends_with_a_zero() {
        let mut buffer = Vec::new();
        Writer::new(&mut buffer, Version::V1_5).text("naïve", 4);
        assert_eq!(buffer, [b'n', b'a', 0, 0]);
    }
}
