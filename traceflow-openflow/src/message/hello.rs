//! `OFPT_HELLO`.

use std::fmt;

use super::Body;
use crate::Version;
use crate::wire::{DecodeError, Property, Reader, Writer};

/// Which versions the sender speaks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Hello {
    /// One bit for each version's wire number; none if the sender only speaks up to the header's version.
    pub versions: Option<u32>,
    /// Elements that this crate doesn't know, as they came.
    pub unknown: Vec<Property>,
}

/// `OFPHET_VERSIONBITMAP`
const VERSION_BITMAP: u16 = 1;

impl Hello {
    /// Says that the sender speaks `versions`.
    pub fn new(versions: &[Version]) -> Self {
        let bitmap = versions.iter().fold(0, |bitmap, version| bitmap | 1 << version.wire());
        Self {
            versions: Some(bitmap),
            unknown: Vec::new(),
        }
    }

    /// The highest version that both sides speak, given the version in this hello's header.
    ///
    /// With a bitmap on both sides it is the highest bit they share, otherwise the lower of both headers' versions
    /// (OpenFlow 1.5.1, 7.5.1), if we speak that.
    pub fn negotiate(&self, header_version: u8, ours: &[Version]) -> Option<Version> {
        let shared = |version: &&Version| match self.versions {
            Some(bitmap) => bitmap >> version.wire() & 1 != 0,
            None => {
                let highest = ours.iter().map(|version| version.wire()).max().unwrap_or_default();
                version.wire() == highest.min(header_version)
            }
        };
        ours.iter().filter(shared).max().copied()
    }
}

impl Body for Hello {
    fn decode(reader: &mut Reader<'_>, _version: Version) -> Result<Self, DecodeError> {
        let mut hello = Self::default();
        while !reader.is_empty() {
            let (kind, mut element) = reader.property("hello element")?;
            match kind {
                // More than one word would be for versions from 32 on.
                VERSION_BITMAP => hello.versions = Some(element.u32("version bitmap")?),
                _ => hello.unknown.push(Property::new(kind, element)),
            }
        }
        Ok(hello)
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        if let Some(bitmap) = self.versions {
            writer.property(VERSION_BITMAP, "the version bitmap", |writer| writer.u32(bitmap));
        }
        Property::encode_all(&self.unknown, writer);
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(bitmap) = self.versions {
            let versions: Vec<String> = (0..32)
                .filter(|version| bitmap >> version & 1 != 0)
                .map(|version| format!("{version:#04x}"))
                .collect();
            write!(f, "\n version bitmap: {}", versions.join(", "))?;
        }
        Property::describe_all(&self.unknown, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use crate::message::testing::check;

    /// As Open vSwitch 3.1 with OpenFlow 1.0, 1.3, 1.4 and 1.5 sends it.
    #[test]
    fn open_vswitch_says_hello_with_a_bitmap() {
        let hello = Hello {
            versions: Some(0x72),
            unknown: Vec::new(),
        };
        check(
            Version::V1_5,
            "06000010000000010001000800000072",
            Message::Hello(hello.clone()),
        );
        assert_eq!(hello.negotiate(6, &Version::ALL), Some(Version::V1_5));
        assert_eq!(hello.negotiate(6, &[Version::V1_3]), Some(Version::V1_3));
    }

    #[test]
    fn without_a_bitmap_the_lower_version_counts() {
        let hello = Hello::default();
        assert_eq!(hello.negotiate(4, &Version::ALL), Some(Version::V1_3));
        assert_eq!(hello.negotiate(9, &Version::ALL), Some(Version::V1_5));
        assert_eq!(hello.negotiate(1, &Version::ALL), None);
        assert_eq!(hello.negotiate(5, &Version::ALL), None, "1.4 is not spoken here");
    }
}
