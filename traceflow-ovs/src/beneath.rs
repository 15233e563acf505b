//! What the CNI's own flows do with a packet where a flow of ours has taken it out before them.
//!
//! An injected packet must not be handed over, so a flow of ours ends its way where it would leave; and what tells a
//! sender of a refusal is seen by the CNI's controller alone. Whether the CNI's flow is there, and does what it is for,
//! is known from the flow itself: the switch is asked for it, and the packet held against it.

use std::cmp::Reverse;
use std::net::IpAddr;

use traceflow_core::packet::{CapturedPacket, Protocol};
use traceflow_openflow::Port;
use traceflow_openflow::action::Action;
use traceflow_openflow::field::{Field, Subfield};
use traceflow_openflow::instruction::Instruction;
use traceflow_openflow::matching::{FieldMatch, Match};
use traceflow_openflow::message::{FlowEntry, FlowFilter};

use crate::evidence::{Ending, Evidence};
use crate::instance::Instance;
use crate::layout::{ExitKind, Role};

/// Which flows are to be known.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Wanted {
    /// Those of the table in which the packet is put out.
    Table(u8),
    /// Those of the table in which it is refused, first of all those that match at least this.
    Refusal(u8, Match),
    /// Those of the rule of this number, which denies the packet and is to tell its sender.
    Rule(u32),
}

/// What the CNI's flow does with a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deeds {
    /// The ports by which it puts the packet out; `None` if that isn't told by the flow alone.
    pub(crate) ports: Option<Vec<u32>>,
    /// Whether it tells a controller; of a rule, whether it does anything that may come to that.
    pub(crate) tells: bool,
}

impl Wanted {
    /// What is to be known before a packet is told of, if anything.
    pub(crate) fn of(evidence: &Evidence<'_>) -> Option<Self> {
        match evidence.ending {
            Ending::Left(exit) => {
                let table = evidence.layout.stages[exit.stage].table;
                match exit.kind {
                    ExitKind::Port | ExitKind::Tunnel | ExitKind::Route => Some(Self::Table(table)),
                    ExitKind::Refusal => Some(Self::Refusal(table, exit.matching.clone())),
                    ExitKind::Diversion | ExitKind::Denial | ExitKind::Copy => None,
                }
            }
            Ending::Dropped(stage) => {
                let registers = &evidence.layout.registers;
                let by_rule = matches!(stage.role, Role::EgressMetric | Role::IngressMetric);
                let refused = by_rule && registers.refusing.is_some_and(|refusing| evidence.holds(refusing));
                let number = registers.denying_rule.map(|bits| evidence.bits(bits));
                number.filter(|_| refused).map(Self::Rule)
            }
        }
    }

    /// How the switch is asked.
    pub(crate) fn filter(&self) -> FlowFilter {
        match self {
            Self::Table(table) => FlowFilter {
                table: *table,
                ..FlowFilter::all()
            },
            Self::Refusal(table, matching) => FlowFilter {
                table: *table,
                matching: matching.clone(),
                ..FlowFilter::all()
            },
            Self::Rule(number) => FlowFilter {
                matching: Match::new().with(Field::NXM_NX_CONJ_ID, (*number).into()),
                ..FlowFilter::all()
            },
        }
    }

    /// How it is asked for more, where the answer doesn't do: another flow of the table may take the packet.
    pub(crate) fn wider(&self, flows: &[FlowEntry]) -> Option<FlowFilter> {
        let Self::Refusal(table, _) = self else { return None };
        let (_, others) = parted(flows);
        others.is_empty().then(|| Self::Table(*table).filter())
    }

    /// What these flows do with the packet; `None` if that can't be told from them.
    pub(crate) fn deeds(&self, flows: &[FlowEntry], evidence: &Evidence<'_>) -> Option<Deeds> {
        let (ours, mut others) = parted(flows);
        match self {
            // Ours was there when it took the packet: who has taken it away has taken others with it.
            Self::Table(_) | Self::Refusal(..) if ours.is_empty() => None,
            Self::Table(_) | Self::Refusal(..) => {
                others.sort_by_key(|flow| Reverse(flow.priority));
                deeds_in_order(others.into_iter(), evidence)
            }
            Self::Rule(_) => deeds_of_rule(&others, &evidence.packet),
        }
    }
}

/// The tracers' flows, and everybody else's.
fn parted(flows: &[FlowEntry]) -> (Vec<&FlowEntry>, Vec<&FlowEntry>) {
    let (cookie, mask) = Instance::every_cookie();
    flows.iter().partition(|flow| flow.cookie & mask == cookie)
}

/// What is done with the packet by a table's flows, which come by their priorities, the highest first.
pub(crate) fn deeds_in_order<'a>(
    mut flows: impl Iterator<Item = &'a FlowEntry>,
    evidence: &Evidence<'_>,
) -> Option<Deeds> {
    let taking = flows.find_map(|flow| match takes(flow, evidence) {
        Some(false) => None,
        taken => Some((flow, taken)),
    });
    match taking {
        Some((flow, Some(_))) => Some(Deeds {
            ports: ports_of(flow, evidence),
            tells: tells(flow),
        }),
        Some((_, None)) => None,
        None => Some(Deeds {
            ports: Some(Vec::new()),
            tells: false,
        }),
    }
}

/// Whether a flow takes the packet; `None` if that can't be told.
fn takes(flow: &FlowEntry, evidence: &Evidence<'_>) -> Option<bool> {
    let mut sure = true;
    for condition in &flow.matching.fields {
        match is_met(condition, evidence) {
            Some(true) => {}
            Some(false) => return Some(false),
            None => sure = false,
        }
    }
    sure.then_some(true)
}

/// A rule has a flow for each family. What the packet's registers were when one took it isn't known any more.
fn deeds_of_rule(flows: &[&FlowEntry], packet: &CapturedPacket) -> Option<Deeds> {
    let known = header_fields(packet);
    let is_excluded = |condition: &FieldMatch| {
        let known = known.iter().find(|(field, _)| condition.field.is_same(*field));
        let number = known.and_then(|(_, number)| *number);
        number.is_some_and(|number| meets(number, condition) == Some(false))
    };
    let mut flows = flows
        .iter()
        .filter(|flow| !flow.matching.fields.iter().any(is_excluded))
        .peekable();
    flows.peek()?;
    Some(Deeds {
        ports: None,
        tells: flows.any(|flow| may_tell(flow)),
    })
}

/// Whether the packet meets a condition; `None` if that can't be told.
fn is_met(condition: &FieldMatch, evidence: &Evidence<'_>) -> Option<bool> {
    meets(number_of(condition.field, evidence)?, condition)
}

fn meets(number: u128, condition: &FieldMatch) -> Option<bool> {
    let mask = match &condition.mask {
        Some(mask) => mask.number()?,
        None => u128::MAX,
    };
    Some(number & mask == condition.value.number()? & mask)
}

/// The value of a field of the packet, if it is known.
fn number_of(field: Field, evidence: &Evidence<'_>) -> Option<u128> {
    if let Some(number) = evidence.register_field(field) {
        return Some(number);
    }
    if PIPELINE_FIELDS.iter().any(|other| field.is_same(*other)) {
        // A packet-in leaves out what is zero.
        return Some(evidence.metadata.number(field).unwrap_or_default());
    }
    let known = header_fields(&evidence.packet);
    let (_, number) = known.into_iter().find(|(other, _)| field.is_same(*other))?;
    number
}

/// Fields of the packet itself, those that it has.
fn header_fields(packet: &CapturedPacket) -> [(Field, Option<u128>); 10] {
    let ether_type = match packet.source {
        IpAddr::V4(_) => 0x0800,
        IpAddr::V6(_) => 0x86dd,
    };
    let v4 = |address: IpAddr| match address {
        IpAddr::V4(address) => Some(address.to_bits().into()),
        IpAddr::V6(_) => None,
    };
    let v6 = |address: IpAddr| match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => Some(address.to_bits()),
    };
    let ports = |protocol: Protocol| packet.transport.ports().filter(|_| packet.protocol == protocol);
    let (tcp, udp) = (ports(Protocol::TCP), ports(Protocol::UDP));
    [
        (Field::OXM_OF_ETH_TYPE, Some(ether_type)),
        (Field::OXM_OF_IP_PROTO, Some(packet.protocol.0.into())),
        (Field::OXM_OF_IPV4_SRC, v4(packet.source)),
        (Field::OXM_OF_IPV4_DST, v4(packet.destination)),
        (Field::OXM_OF_IPV6_SRC, v6(packet.source)),
        (Field::OXM_OF_IPV6_DST, v6(packet.destination)),
        (Field::OXM_OF_TCP_SRC, tcp.map(|(source, _)| source.into())),
        (Field::OXM_OF_TCP_DST, tcp.map(|(_, destination)| destination.into())),
        (Field::OXM_OF_UDP_SRC, udp.map(|(source, _)| source.into())),
        (Field::OXM_OF_UDP_DST, udp.map(|(_, destination)| destination.into())),
    ]
}

/// What a packet-in tells beside the packet, if it isn't zero.
const PIPELINE_FIELDS: [Field; 10] = [
    Field::OXM_OF_IN_PORT,
    Field::OXM_OF_METADATA,
    Field::OXM_OF_TUNNEL_ID,
    Field::NXM_NX_TUN_IPV4_SRC,
    Field::NXM_NX_TUN_IPV4_DST,
    Field::NXM_NX_PKT_MARK,
    Field::NXM_NX_CT_STATE,
    Field::NXM_NX_CT_ZONE,
    Field::NXM_NX_CT_MARK,
    Field::NXM_NX_CT_LABEL,
];

/// Where a flow puts the packet out that it takes; `None` if that isn't told by the flow alone.
fn ports_of(flow: &FlowEntry, evidence: &Evidence<'_>) -> Option<Vec<u32>> {
    let mut ports = Vec::new();
    let mut written: Vec<Field> = Vec::new();
    for instruction in &flow.instructions {
        let Instruction::ApplyActions(actions) = instruction else {
            return None;
        };
        for action in actions {
            match action {
                Action::Output { port, .. } => ports.extend(reached(*port, evidence)),
                Action::OutputField { source, .. } => {
                    if written.iter().any(|field| field.is_same(source.field)) {
                        return None;
                    }
                    ports.extend(reached(port_in(*source, evidence)?, evidence));
                }
                Action::SetField(set) => written.push(set.field),
                Action::Move { destination, .. } => written.push(destination.field),
                Action::Controller(_) | Action::Note(_) | Action::PushVlan(_) | Action::PopVlan => {}
                _ => return None,
            }
        }
    }
    Some(ports)
}

/// The port by which a packet leaves that is put out so, if it does.
fn reached(port: Port, evidence: &Evidence<'_>) -> Option<u32> {
    let in_port = evidence.number(Field::OXM_OF_IN_PORT) as u32;
    match port {
        Port::CONTROLLER => None,
        Port::IN_PORT => Some(in_port),
        // A switch puts nothing out where it came in unless it is told to by that name.
        Port(number) => Some(number).filter(|number| *number != in_port),
    }
}

/// The port whose number stands in some bits of a register: 16 bits there, as in OpenFlow 1.0.
fn port_in(source: Subfield, evidence: &Evidence<'_>) -> Option<Port> {
    evidence.register_field(source.field)?;
    let number = evidence.bits(source);
    Some(u16::try_from(number).map_or(Port(number), Port::from_u16))
}

/// Whether the flow itself tells a controller.
fn tells(flow: &FlowEntry) -> bool {
    flow_does(flow, |action| {
        matches!(
            action,
            Action::Controller(_)
                | Action::Output {
                    port: Port::CONTROLLER,
                    ..
                }
        )
    })
}

/// Whether the flow tells a controller, or does what may come to that elsewhere.
fn may_tell(flow: &FlowEntry) -> bool {
    flow_does(flow, |action| {
        !matches!(
            action,
            Action::SetField(_) | Action::Move { .. } | Action::Note(_) | Action::ConntrackClear
        )
    })
}

fn flow_does(flow: &FlowEntry, what: impl Fn(&Action) -> bool) -> bool {
    flow.instructions.iter().any(|instruction| match instruction {
        Instruction::ApplyActions(actions) | Instruction::WriteActions(actions) => actions.iter().any(&what),
        _ => false,
    })
}
