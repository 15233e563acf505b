//! Bytes: a bounds-checked reader, a writer, and what can go wrong with either.

mod codes;
mod property;
mod reader;
mod writer;

pub(crate) use codes::codes;
pub use property::Property;
pub use reader::{DecodeError, Problem, Reader};
pub use writer::{EncodeError, Writer};

/// How many bytes bring `length` to the next multiple of eight, the alignment of nearly everything in OpenFlow.
pub(crate) fn padding(length: usize) -> usize {
    length.wrapping_neg() % 8
}
