//! Messages as text, in the manner of `ovs-ofctl ofp-print`.

use std::fmt;

use super::{HEADER, Header, Message};
use crate::text::Hex;
use crate::wire::Reader;

impl Message {
    /// The message as text, with the version and the xid of its header: what ovs-ofctl's ofp-print shows.
    ///
    /// ```
    /// use traceflow_openflow::message::Message;
    ///
    /// let (header, message) = Message::decode(&[6, 20, 0, 8, 0, 0, 0, 3])?;
    /// assert_eq!(message.with_header(&header).to_string(), "OFPT_BARRIER_REQUEST (OF1.5) (xid=0x3):");
    /// assert_eq!(message.to_string(), "OFPT_BARRIER_REQUEST:");
    /// # Ok::<(), traceflow_openflow::wire::DecodeError>(())
    /// ```
    pub fn with_header<'a>(&'a self, header: &'a Header) -> Printed<'a> {
        Printed { header, message: self }
    }

    /// The name, for a multipart message that of what is asked or answered.
    fn write_title(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MultipartRequest(request) => write!(f, "{} request", request.title()),
            Self::MultipartReply(reply) => write!(f, "{} reply", reply.title()),
            message => f.write_str(message.name()),
        }
    }
}

/// Several lines for lists of flows, groups, ports and the like; no line break at the end. Text that came from the
/// switch is escaped, what isn't known is shown in hexadecimal up to a bound.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_title(f)?;
        f.write_str(":")?;
        self.describe_body(f)
    }
}

/// `(OF1.5) (xid=0x3)`
impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            version @ 1..=6 => write!(f, "(OF1.{}) (xid={:#x})", version - 1, self.xid),
            version => write!(f, "(OF {version:#04x}) (xid={:#x})", self.xid),
        }
    }
}

/// A message and its header as text, from [`Message::with_header`].
#[derive(Debug, Clone, Copy)]
pub struct Printed<'a> {
    header: &'a Header,
    message: &'a Message,
}

impl fmt::Display for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message.write_title(f)?;
        write!(f, " {}:", self.header)?;
        self.message.describe_body(f)
    }
}

/// A message within another one, perhaps only its beginning.
///
/// So that nobody can nest them without end: an error may tell of a message for a bundle, which may be anything but
/// these.
pub(super) enum Within<'a> {
    /// A bundle's.
    Bundle(&'a [u8]),
    /// That of which an error tells.
    Error(&'a [u8]),
}

impl fmt::Display for Within<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Bundle(bytes) | Self::Error(bytes)) = self;
        match (self, Message::decode(bytes)) {
            (_, Ok((_, Message::Error(_))) | Err(_)) | (Self::Bundle(_), Ok((_, Message::BundleAdd(_)))) => {
                write_raw(bytes, f)
            }
            (_, Ok((header, message))) => write!(f, "{}", message.with_header(&header)),
        }
    }
}

fn write_raw(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if let Ok(header) = Header::decode(&mut Reader::new(bytes)) {
        write!(f, "message of type {} {header}, {} bytes: ", header.kind, header.length)?;
    }
    write!(f, "{}", Hex(bytes.get(HEADER..).unwrap_or(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Version;
    use crate::message::{BundleAdd, BundleFlags, ErrorMessage};

    #[test]
    fn messages_in_messages_are_shown_to_a_depth() {
        let mut message = Message::BarrierRequest;
        for _ in 0..4 {
            let added = BundleAdd::new(1, BundleFlags::default(), &message, Version::V1_5, 1);
            message = Message::BundleAdd(added.unwrap());
        }
        let mut data = Vec::new();
        message.encode(Version::V1_5, 1, &mut data).unwrap();
        let text = Message::Error(ErrorMessage::new(17, 9, data)).to_string();
        let lines: Vec<&str> = text.lines().map(|line| line.split(", ").next().unwrap()).collect();
        let expected = [
            "OFPT_ERROR: OFPBFC_MSG_BAD_XID",
            "OFPT_BUNDLE_ADD_MESSAGE (OF1.5) (xid=0x1):",
            " bundle_id=0x1 flags=0",
            "message of type 34 (OF1.5) (xid=0x1)",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn what_came_from_the_switch_cannot_do_anything_to_a_terminal() {
        let port = crate::message::PortDesc {
            port: crate::Port(3),
            address: [0; 6],
            name: "\u{1b}[2J\n".to_owned(),
            config: 0,
            state: 0,
            ethernet: None,
            properties: Vec::new(),
        };
        let text = port.to_string();
        assert!(text.starts_with("3(\\u{1b}[2J\\n): "), "{text}");
    }
}
