//! The two versions that are spoken.

use std::fmt;

/// A version of OpenFlow. What differs between them is a branch on this value, not a second set of types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// OpenFlow 1.3, wire version 4.
    V1_3,
    /// OpenFlow 1.5, wire version 6.
    V1_5,
}

impl Version {
    /// Both, the older one first.
    pub const ALL: [Self; 2] = [Self::V1_3, Self::V1_5];

    /// The number in every message's first byte.
    pub fn wire(self) -> u8 {
        match self {
            Self::V1_3 => 4,
            Self::V1_5 => 6,
        }
    }

    /// The version of a message's first byte; none for those that are not spoken.
    pub fn from_wire(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.wire() == number)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1_3 => "OpenFlow 1.3",
            Self::V1_5 => "OpenFlow 1.5",
        })
    }
}
