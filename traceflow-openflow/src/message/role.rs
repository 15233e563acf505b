//! `OFPT_ROLE_REQUEST` and `OFPT_ROLE_REPLY`.

use std::fmt;

use super::Body;
use crate::Version;
use crate::wire::{DecodeError, Reader, Writer, codes};

codes! {
    /// What a connection may do.
    pub Role: u32 {
        /// Nothing changes; the reply tells the present role.
        NoChange = 0 "nochange",
        /// Everything, as others do too. The default.
        Equal = 1 "equal",
        /// Everything; whoever was primary becomes secondary.
        Primary = 2 "primary",
        /// Reads only; gets no packet-ins.
        Secondary = 3 "secondary",
    }
}

/// A role, asked for or had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RoleMessage {
    /// The role.
    pub role: Role,
    /// The controller's number, from OpenFlow 1.5 on; all ones if it has none. 0 in 1.3.
    pub short_id: u16,
    /// Tells an older election of the primary from a newer one.
    pub generation: u64,
}

impl Body for RoleMessage {
    fn decode(reader: &mut Reader<'_>, version: Version) -> Result<Self, DecodeError> {
        let role = reader.u32("role")?.into();
        let short_id = reader.u16("controller's short id")?;
        reader.skip(2)?;
        let short_id = if version >= Version::V1_5 { short_id } else { 0 };
        Ok(Self {
            role,
            short_id,
            generation: reader.u64("generation")?,
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        writer.u32(self.role.into());
        writer.u16(if writer.version() >= Version::V1_5 {
            self.short_id
        } else {
            0
        });
        writer.zeros(2);
        writer.u64(self.generation);
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " role={} generation_id={}", self.role, self.generation)?;
        match self.short_id {
            0 => Ok(()),
            id => write!(f, " short_id={id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use crate::message::testing::check;

    #[test]
    fn a_role_has_a_generation() {
        let role = RoleMessage {
            role: Role::Primary,
            short_id: 0,
            generation: 3,
        };
        check(
            Version::V1_3,
            "0418001800000001000000020000000000000000 00000003",
            Message::RoleRequest(role),
        );
        check(
            Version::V1_5,
            "0619001800000001000000020000000000000000 00000003",
            Message::RoleReply(role),
        );
    }
}
