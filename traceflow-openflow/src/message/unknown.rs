//! A message that has no type here.

use std::fmt;

use crate::text::Hex;
use crate::wire::Reader;

/// A message as it came.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Unknown {
    /// Its type; 4 for an experimenter's.
    pub kind: u8,
    /// What follows the header.
    pub body: Vec<u8>,
}

impl Unknown {
    pub(super) fn new(kind: u8, mut body: Reader<'_>) -> Self {
        Self {
            kind,
            body: body.rest().to_vec(),
        }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "type {}, {} bytes: ", self.kind, self.body.len())?;
        write!(f, "{}", Hex(&self.body))
    }
}
