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

/// A message within another one, perhaps only its beginning. It is not searched for more of them.
pub(super) struct Within<'a>(pub(super) &'a [u8]);

impl fmt::Display for Within<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Message::decode(self.0) {
            Ok((header, message)) if !matches!(message, Message::BundleAdd(_) | Message::Error(_)) => {
                write!(f, "{}", message.with_header(&header))
            }
            _ => self.write_raw(f),
        }
    }
}

impl Within<'_> {
    fn write_raw(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Ok(header) = Header::decode(&mut Reader::new(self.0)) {
            write!(
                f,
                "message of type {} {}, {} bytes: ",
                header.kind, header, header.length
            )?;
        }
        write!(f, "{}", Hex(self.0.get(HEADER..).unwrap_or(self.0)))
    }
}
