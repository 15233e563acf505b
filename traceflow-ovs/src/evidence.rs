//! What one packet-in says, gathered into a value before anything is concluded from it.

use std::net::IpAddr;

use traceflow_core::packet::{CapturedPacket, CapturedTransport, IpFamily, TcpFlags};
use traceflow_openflow::field::{Field, Subfield};
use traceflow_openflow::matching::MatchView;
use traceflow_openflow::message::PacketInView;

use crate::beneath::Deeds;
use crate::directory::Directory;
use crate::instance::{Instance, WireMark};
use crate::layout::{Condition, Exit, ExitKind, Layout, Role, Stage};
use crate::ports::Ports;
use crate::watch::Punt;

/// What is known of a switch before it says anything.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) directory: &'a dyn Directory,
    pub(crate) ports: &'a Ports,
}

/// One packet-in of ours.
pub(crate) struct Evidence<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) directory: &'a dyn Directory,
    pub(crate) ports: &'a Ports,
    pub(crate) mark: WireMark,
    /// Registers, conntrack, tunnel and input port.
    pub(crate) metadata: MatchView<'a>,
    /// The packet as it was then.
    pub(crate) packet: CapturedPacket,
    pub(crate) ending: Ending<'a>,
    pub(crate) arrival: Arrival,
    /// What the CNI's own flow does with it where the way ended, once the switch has told.
    pub(crate) deeds: Option<Deeds>,
}

/// How the packet's way through the switch ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ending<'a> {
    /// It got no further than this stage.
    Dropped(&'a Stage),
    /// It left.
    Left(&'a Exit),
}

/// How the packet came to the switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// From another node, by tunnel or route.
    Peer,
    /// From the node itself or from outside.
    Gateway,
    /// By the port of a Pod.
    Pod(u32),
}

/// Bits of `ct_state`.
pub(crate) mod ct_state {
    pub(crate) const NEW: u32 = 0x01;
    pub(crate) const ESTABLISHED: u32 = 0x02;
    pub(crate) const INVALID: u32 = 0x10;
    pub(crate) const TRACKED: u32 = 0x20;
}

impl<'a> Evidence<'a> {
    /// The evidence of a packet-in; `None` if it isn't of this tracer, or no packet is in it.
    pub(crate) fn gather(packet_in: PacketInView<'a>, instance: Instance, known: Known<'a>) -> Option<Self> {
        let Known {
            layout,
            directory,
            ports,
        } = known;
        let metadata = packet_in.metadata;
        let mark = instance.read(metadata.register(layout.mark_register)?)?;
        let ending = match Punt::read(packet_in.userdata)? {
            Punt::Dropped(index) => Ending::Dropped(layout.stages.get(usize::from(index))?),
            Punt::Leaves(index) => match layout.exits.get(usize::from(index))? {
                exit if exit.kind == ExitKind::Denial => Ending::Dropped(passed_before(exit, metadata, layout)?),
                exit => Ending::Left(exit),
            },
        };
        let packet = CapturedPacket::from_frame(packet_in.packet).ok()?;
        let port = metadata.number(Field::OXM_OF_IN_PORT).unwrap_or_default() as u32;
        Some(Self {
            layout,
            directory,
            ports,
            mark,
            metadata,
            ending,
            arrival: Arrival::by(port, packet.source, layout),
            packet,
            deeds: None,
        })
    }

    /// Whether the way ended in a stage of this role.
    pub(crate) fn dropped_at(&self, role: Role) -> bool {
        matches!(self.ending, Ending::Dropped(stage) if stage.role == role)
    }

    /// Whether the packet came past the stage of this role: its way ended at a later one.
    pub(crate) fn passed(&self, role: Role) -> bool {
        let Some(index) = self.layout.stage(role) else {
            return true;
        };
        match self.ending {
            Ending::Dropped(end) => {
                let end = self.layout.stages.iter().position(|stage| stage == end);
                end.is_none_or(|end| end > index)
            }
            Ending::Left(exit) => exit.stage > index,
        }
    }

    /// The bits of a register or other field; 0 if the packet-in leaves it out, as it does with zeros.
    pub(crate) fn bits(&self, bits: Subfield) -> u32 {
        let number = self.number(bits.field);
        let ones = u128::MAX >> (128 - u32::from(bits.bits.clamp(1, 32)));
        (number >> bits.offset & ones) as u32
    }

    /// The value of a field that isn't the packet's own; 0 if the packet-in leaves it out, as it does with zeros.
    pub(crate) fn number(&self, field: Field) -> u128 {
        let register = self.register_field(field);
        register.unwrap_or_else(|| self.metadata.number(field).unwrap_or_default())
    }

    /// The value of a register, alone or with its neighbours; `None` for another field.
    pub(crate) fn register_field(&self, field: Field) -> Option<u128> {
        if let Some(register) = register_of(field) {
            return Some(self.metadata.register(register).unwrap_or_default().into());
        }
        let pair = (0..8).find(|&number| Field::packet_register(number) == field);
        let four = (0..4).find(|&number| Field::wide_register(number) == field);
        let registers = match (pair, four) {
            (Some(pair), _) => pair * 2..pair * 2 + 2,
            (_, Some(four)) => four * 4..four * 4 + 4,
            _ => return None,
        };
        let join = |number: u128, register: u8| {
            number << 32 | u128::from(self.metadata.register(register).unwrap_or_default())
        };
        Some(registers.fold(0, join))
    }

    /// Whether some bits have a value.
    pub(crate) fn holds(&self, condition: Condition) -> bool {
        self.bits(condition.bits) == condition.value
    }

    /// The state of the packet's connection, as `ct_state` bits.
    pub(crate) fn connection(&self) -> u32 {
        self.metadata.number(Field::NXM_NX_CT_STATE).unwrap_or_default() as u32
    }

    /// Whether the packet's TCP flags are those of a connection's first packet, so that only a connection that is open can
    /// make it invalid.
    pub(crate) fn could_begin_a_connection(&self) -> bool {
        matches!(
            self.packet.transport,
            CapturedTransport::Tcp {
                flags: Some(TcpFlags::SYN | TcpFlags::ACK),
                ..
            }
        )
    }

    /// Whether the pipeline has come to where it commits the packet's connection: behind the last table, where an endpoint is
    /// chosen, and where a rule allows it.
    pub(crate) fn commits_connection(&self) -> bool {
        if self.connection() & ct_state::TRACKED == 0 {
            return false;
        }
        let registers = &self.layout.registers;
        let by_rule = |rule: Option<Subfield>| rule.is_none_or(|bits| self.bits(bits) != 0);
        match self.ending {
            Ending::Left(exit) => exit.kind != ExitKind::Refusal,
            Ending::Dropped(_) => {
                self.is_translated() || by_rule(registers.egress_rule) || by_rule(registers.ingress_rule)
            }
        }
    }

    /// The conntrack zone that the packet went through last.
    pub(crate) fn zone(&self) -> Option<u16> {
        number(self.metadata, Field::NXM_NX_CT_ZONE).map(|zone| zone as u16)
    }

    /// Source and destination of the connection's first packet, as conntrack has them in the zone that the packet went
    /// through last.
    pub(crate) fn original_addresses(&self) -> (Option<IpAddr>, Option<IpAddr>) {
        let address = |v4: Field, v6: Field| match IpFamily::of(self.packet.source) {
            IpFamily::V4 => number(self.metadata, v4).map(|bits| IpAddr::from((bits as u32).to_be_bytes())),
            IpFamily::V6 => number(self.metadata, v6).map(|bits| IpAddr::from(bits.to_be_bytes())),
        };
        (
            address(Field::NXM_NX_CT_NW_SRC, Field::NXM_NX_CT_IPV6_SRC),
            address(Field::NXM_NX_CT_NW_DST, Field::NXM_NX_CT_IPV6_DST),
        )
    }

    /// The destination port of the connection's first packet, likewise.
    pub(crate) fn original_destination_port(&self) -> Option<u16> {
        number(self.metadata, Field::NXM_NX_CT_TP_DST).map(|port| port as u16)
    }

    /// The other end of the tunnel that the packet is about to enter.
    pub(crate) fn tunnel_destination(&self) -> Option<IpAddr> {
        let v4 = number(self.metadata, Field::NXM_NX_TUN_IPV4_DST);
        let v6 = number(self.metadata, Field::NXM_NX_TUN_IPV6_DST);
        v4.map(|bits| IpAddr::from((bits as u32).to_be_bytes()))
            .or_else(|| v6.map(|bits| IpAddr::from(bits.to_be_bytes())))
    }

    /// The endpoint that a Service chose here, as the pipeline remembers it or as translation shows it.
    pub(crate) fn endpoint(&self) -> Option<IpAddr> {
        let registers = &self.layout.registers;
        let destination = self.packet.destination;
        let remembered = self.chose_endpoint()
            && match destination {
                IpAddr::V4(address) => registers
                    .endpoint_v4
                    .is_some_and(|bits| self.bits(bits) == address.to_bits()),
                IpAddr::V6(address) => registers
                    .endpoint_v6
                    .is_some_and(|field| self.number(field) == address.to_bits()),
            };
        (remembered || self.is_translated()).then_some(destination)
    }

    /// Whether something was done with this packet that is only done with the first one of a connection: an endpoint was chosen
    /// for it, or a rule let it pass.
    pub(crate) fn was_first(&self) -> bool {
        let registers = &self.layout.registers;
        let by_rule = |rule: Option<Subfield>| rule.is_some_and(|bits| self.bits(bits) != 0);
        self.chose_endpoint() || by_rule(registers.egress_rule) || by_rule(registers.ingress_rule)
    }

    /// Whether the pipeline has chosen a Service's endpoint for this very packet.
    pub(crate) fn chose_endpoint(&self) -> bool {
        let chosen = self.layout.registers.endpoint_chosen;
        chosen.is_some_and(|chosen| self.holds(chosen))
    }

    /// Whether the packet goes elsewhere than its sender asked: to another address, or from a node port to a port of the same
    /// node.
    fn is_translated(&self) -> bool {
        let port = self.packet.transport.ports().map(|(_, destination)| destination);
        let to_another_port = matches!(
            (self.original_destination_port(), port),
            (Some(original), Some(port)) if original != port
        );
        to_another_port
            || matches!(self.original_addresses(), (_, Some(original)) if original != self.packet.destination)
    }
}

impl Arrival {
    fn by(port: u32, source: IpAddr, layout: &Layout) -> Self {
        let by_route = layout.gateway == Some(port) && layout.is_routed(source);
        if layout.tunnels.contains(&port) || by_route {
            Self::Peer
        } else if layout.gateway == Some(port) {
            Self::Gateway
        } else {
            Self::Pod(port)
        }
    }
}

/// The last stage before the exit that the packet has passed.
fn passed_before<'a>(exit: &Exit, metadata: MatchView<'_>, layout: &'a Layout) -> Option<&'a Stage> {
    let passed = metadata.register(layout.guard_register)?;
    let mut earlier = layout.stages.iter().enumerate().take(exit.stage).rev();
    earlier
        .find(|(index, _)| passed & 1 << index != 0)
        .map(|(_, stage)| stage)
}

fn number(metadata: MatchView<'_>, field: Field) -> Option<u128> {
    metadata.number(field).filter(|&number| number != 0)
}

/// The number of a 32-bit register.
fn register_of(field: Field) -> Option<u8> {
    (0..16).find(|&number| Field::register(number) == field)
}
