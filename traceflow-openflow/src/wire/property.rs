//! Properties that this crate has no type for.

use std::fmt;

use super::{Reader, Writer};
use crate::text::Hex;

/// A property as it came: what it is and what stood in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Property {
    /// Its type.
    pub kind: u16,
    /// What follows its header, without padding.
    pub body: Vec<u8>,
}

impl Property {
    pub(crate) fn new(kind: u16, mut body: Reader<'_>) -> Self {
        Self {
            kind,
            body: body.rest().to_vec(),
        }
    }

    /// Each in a line of its own.
    pub(crate) fn describe_all(properties: &[Self], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        properties.iter().try_for_each(|property| write!(f, "\n {property}"))
    }

    pub(crate) fn encode_all(properties: &[Self], writer: &mut Writer<'_>) {
        for property in properties {
            writer.property(property.kind, "a property", |writer| writer.bytes(&property.body));
        }
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "property {}, {} bytes: {}",
            self.kind,
            self.body.len(),
            Hex(&self.body)
        )
    }
}
