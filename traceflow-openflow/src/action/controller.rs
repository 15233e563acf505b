//! Sending the packet to a controller.

use super::{Nicira, nicira};
use crate::message::PacketInReason;
use crate::wire::{DecodeError, Reader, Writer, codes};

/// Sends the packet to the controllers that have set a certain id, and goes on.
///
/// Written as `NXAST_CONTROLLER` where that can say it and as `NXAST_CONTROLLER2` otherwise, as Open vSwitch does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Controller {
    /// How many bytes of the packet to send. Open vSwitch sends them all, whatever it says.
    pub max_len: u16,
    /// Who gets it: every connection that has set this id; 0 are those that have set none.
    pub id: u16,
    /// The reason that the packet-in gives.
    pub reason: PacketInReason,
    /// Bytes that the packet-in gives back.
    pub userdata: Vec<u8>,
    /// Whether the packet waits for the controller's resume.
    pub pause: bool,
    /// The meter that limits the packet-ins, not the packets.
    pub meter: Option<u32>,
}

impl Default for Controller {
    fn default() -> Self {
        Self {
            max_len: u16::MAX,
            id: 0,
            reason: PacketInReason::Action,
            userdata: Vec::new(),
            pause: false,
            meter: None,
        }
    }
}

codes! {
    /// `nx_action_controller2_prop_type`
    Kind: u16 {
        /// be16
        MaxLen = 0 "max_len",
        /// be16
        Id = 1 "id",
        /// u8
        Reason = 2 "reason",
        /// bytes
        Userdata = 3 "userdata",
        /// nothing
        Pause = 4 "pause",
        /// be32
        Meter = 5 "meter_id",
    }
}

impl Controller {
    pub(super) fn decode_plain(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let max_len = body.u16("max_len")?;
        let id = body.u16("controller id")?;
        Ok(Self {
            max_len,
            id,
            reason: body.u8("reason")?.into(),
            ..Self::default()
        })
    }

    pub(super) fn decode_properties(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        body.skip(6)?;
        let mut controller = Self::default();
        while !body.is_empty() {
            let (kind, mut property) = body.property("controller property")?;
            match Kind::from(kind) {
                Kind::MaxLen => controller.max_len = property.u16("max_len")?,
                Kind::Id => controller.id = property.u16("controller id")?,
                Kind::Reason => controller.reason = property.u8("reason")?.into(),
                Kind::Userdata => controller.userdata = property.rest().to_vec(),
                Kind::Pause => controller.pause = true,
                Kind::Meter => controller.meter = Some(property.u32("meter")?),
                Kind::Other(_) => {}
            }
        }
        Ok(controller)
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        if self.userdata.is_empty() && !self.pause && self.meter.is_none() {
            return nicira(writer, Nicira::Controller, |writer| {
                writer.u16(self.max_len);
                writer.u16(self.id);
                writer.u8(self.reason.into());
                writer.zeros(1);
            });
        }
        nicira(writer, Nicira::ControllerProperties, |writer| {
            writer.zeros(6);
            self.encode_properties(writer);
        });
    }

    /// Only what differs from the default.
    fn encode_properties(&self, writer: &mut Writer<'_>) {
        let default = Self::default();
        if self.max_len != default.max_len {
            writer.property_u16(Kind::MaxLen.into(), self.max_len);
        }
        if self.id != default.id {
            writer.property_u16(Kind::Id.into(), self.id);
        }
        if self.reason != default.reason {
            writer.property(Kind::Reason.into(), "reason", |writer| writer.u8(self.reason.into()));
        }
        if !self.userdata.is_empty() {
            writer.property(Kind::Userdata.into(), "userdata", |writer| writer.bytes(&self.userdata));
        }
        if self.pause {
            writer.property(Kind::Pause.into(), "pause", |_| ());
        }
        if let Some(meter) = self.meter {
            writer.property(Kind::Meter.into(), "meter", |writer| writer.u32(meter));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Version;
    use crate::action::Action;
    use crate::action::testing::check;

    #[test]
    fn the_short_form_is_used_where_it_says_it_all() {
        let plain = Action::Controller(Controller {
            max_len: 128,
            id: 7,
            ..Controller::default()
        });
        check(
            Version::V1_5,
            "ffff0010000023200014008000070100",
            plain,
            "controller(max_len=128,id=7)",
        );
    }

    #[test]
    fn userdata_pause_and_meter_need_the_long_form() {
        let controller = Controller {
            max_len: 128,
            userdata: vec![1, 7],
            pause: true,
            meter: Some(2),
            ..Controller::default()
        };
        check(
            Version::V1_5,
            "ffff0030000023200025000000000000 0000000800800000 0003000601070000 0004000400000000 0005000800000002",
            Action::Controller(controller),
            "controller(max_len=128,userdata=01.07,pause,meter_id=2)",
        );
    }
}
