//! The flows by which a switch shows us our packets, as pure functions of the pipeline's layout and the probe.
//!
//! A flow of ours never decides about a packet: it notes the table in the guard register and hands the packet to the
//! same table again, where the CNI's own flow now matches. When that returns, the packet's way through this pass is
//! over, and the verdict table looks which table was the last.

mod carried;
mod live;
mod standing;

use traceflow_core::datapath::Mark;
use traceflow_openflow::action::{Action, Controller, SetField};
use traceflow_openflow::field::{Field, Subfield};
use traceflow_openflow::instruction::Instruction;
use traceflow_openflow::matching::Match;
use traceflow_openflow::message::{FlowEntry, FlowFlags, FlowMod};

use crate::instance::{Instance, KIND_MASK, MARKS, MarkKind, OWNER_MASK};
use crate::layout::Layout;

pub(crate) use carried::{Arrivals, arrivals};
pub(crate) use live::{LiveProbe, live};
pub(crate) use standing::standing;

/// The first of these flows tells when somebody else takes it away; where that is gone, the others are too.
fn tell_of_the_first(flows: &mut [FlowMod]) {
    if let Some(first) = flows.first_mut() {
        first.flags = FlowFlags::SEND_FLOW_REMOVED;
    }
}

/// Seconds after which our flows go by themselves, if nobody renews them: the last resort after a crash.
pub(crate) const EXPIRES: u16 = 60;

/// Set once the packet was reported, or is known not to have been dropped.
const SETTLED_BIT: u16 = 31;

/// Set once the packet's DSCP is its mark's.
const CARRIED_BIT: u16 = 30;

const IPV4: u128 = 0x0800;
const IPV6: u128 = 0x86dd;

/// Who goes before whom, all of them before the CNI's flows.
mod priority {
    /// Packets that were reported and are about to leave for another node.
    pub(super) const CARRY: u16 = 65_535;
    /// Packets that leave by the first exit; those by the later ones have less, one by one.
    pub(super) const EXIT: u16 = 65_534;
    /// What an injected packet must not do.
    pub(super) const DETOUR: u16 = 65_510;
    /// Marked packets of other nodes.
    pub(super) const ARRIVAL: u16 = 65_509;
    /// Real traffic that comes from another node, where it was or was not marked already.
    pub(super) const FOREIGN: u16 = 65_508;
    /// Real traffic to be marked.
    pub(super) const ENTRY: u16 = 65_507;
    /// Real traffic that turns out not to be wanted.
    pub(super) const UNMARK: u16 = 65_506;
    /// Packets that went on from a table though it was the last.
    pub(super) const WENT_ON: u16 = 65_001;
    /// Every marked packet.
    pub(super) const STAGE: u16 = 65_000;
    /// Every marked packet about which all is said.
    pub(super) const SETTLED: u16 = 64_999;
}

/// What a punt says about itself in its userdata: three bytes by which it is known, then these two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Punt {
    /// The packet's way ended at the stage of this index.
    Dropped(u8),
    /// It leaves by the exit of this index.
    Leaves(u8),
}

const USERDATA: [u8; 3] = *b"tf\x01";

impl Punt {
    fn userdata(self) -> Vec<u8> {
        let (kind, index) = match self {
            Self::Dropped(index) => (0, index),
            Self::Leaves(index) => (1, index),
        };
        [&USERDATA[..], &[kind, index]].concat()
    }

    /// Reads a packet-in's userdata; `None` if it isn't ours.
    pub(crate) fn read(userdata: &[u8]) -> Option<Self> {
        match userdata.strip_prefix(&USERDATA)? {
            [0, index] => Some(Self::Dropped(*index)),
            [1, index] => Some(Self::Leaves(*index)),
            _ => None,
        }
    }
}

/// What a flow of a live probe does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LiveKind {
    /// It marks packets.
    Marks,
    /// It unmarks those that are not wanted after all.
    Unmarks,
}

/// What the flow of this priority does, if it is a live probe's.
pub(crate) fn live_kind(priority: u16) -> Option<LiveKind> {
    match priority {
        priority::ENTRY => Some(LiveKind::Marks),
        priority::UNMARK => Some(LiveKind::Unmarks),
        _ => None,
    }
}

/// A flow as a line of what is left behind.
pub(crate) fn described(flow: &FlowEntry) -> String {
    format!("flow {}", text(flow))
}

/// A flow as text, without counters and ages.
pub(crate) fn text(flow: &FlowEntry) -> String {
    let plain = FlowMod {
        table: flow.table,
        priority: flow.priority,
        cookie: flow.cookie,
        matching: flow.matching.clone(),
        instructions: flow.instructions.clone(),
        ..FlowMod::add()
    };
    plain.to_string()
}

/// What a packet-out does with the packet: it bears the mark and goes the way of a packet that came in by its port.
pub(crate) fn injection(layout: &Layout, mark: u32) -> Vec<Action> {
    let root = layout.stages[0].table;
    vec![
        set_register(layout.mark_register, mark),
        resubmit(root),
        resubmit(layout.verdict_table),
    ]
}

/// Flows under construction.
struct Flows<'a> {
    layout: &'a Layout,
    instance: Instance,
    cookie: u64,
    hard_timeout: u16,
    flows: Vec<FlowMod>,
}

impl<'a> Flows<'a> {
    fn new(layout: &'a Layout, instance: Instance, cookie: u64, hard_timeout: u16) -> Self {
        Self {
            layout,
            instance,
            cookie,
            hard_timeout,
            flows: Vec::new(),
        }
    }

    fn push(&mut self, table: u8, priority: u16, matching: Match, actions: Vec<Action>) {
        self.flows.push(FlowMod {
            table,
            priority,
            cookie: self.cookie,
            hard_timeout: self.hard_timeout,
            matching,
            instructions: vec![Instruction::ApplyActions(actions)],
            ..FlowMod::add()
        });
    }

    /// Marked packets of this tracer whatever their kind, with the guard register as said.
    fn ours(&self, guard: u32, guard_mask: u32) -> Match {
        self.marked(self.instance.owner(), OWNER_MASK, guard, guard_mask)
    }

    /// The same of one kind only.
    fn of_kind(&self, kind: MarkKind, guard: u32, guard_mask: u32) -> Match {
        let value = self.instance.owner() | kind.bits();
        self.marked(value, OWNER_MASK | KIND_MASK, guard, guard_mask)
    }

    /// The same of one mark only, whatever the kind.
    fn with_mark(&self, mark: Mark, guard: u32, guard_mask: u32) -> Match {
        self.marked(
            self.instance.owner() | mark.0 & MARKS,
            OWNER_MASK | MARKS,
            guard,
            guard_mask,
        )
    }

    fn marked(&self, mark: u32, mark_mask: u32, guard: u32, guard_mask: u32) -> Match {
        let mark_register = Field::register(self.layout.mark_register);
        let guard_register = Field::register(self.layout.guard_register);
        Match::new()
            .with_masked(mark_register, mark.into(), mark_mask.into())
            .with_masked(guard_register, guard.into(), guard_mask.into())
    }

    fn note(&self, bit: u16) -> Action {
        let guard = Field::register(self.layout.guard_register);
        Action::load(Subfield::new(guard, bit, 1), 1)
    }

    /// To the same table again, then to the verdict.
    fn let_decide(&self, table: u8) -> [Action; 2] {
        [resubmit(table), resubmit(self.layout.verdict_table)]
    }

    fn punt(&self, punt: Punt) -> Action {
        Action::Controller(Controller {
            id: self.instance.controller(),
            userdata: punt.userdata(),
            ..Controller::default()
        })
    }
}

fn resubmit(table: u8) -> Action {
    Action::Resubmit {
        port: None,
        table: Some(table),
        conntrack: false,
    }
}

fn set_dscp(dscp: u8) -> Action {
    Action::SetField(SetField::new(Field::OXM_OF_IP_DSCP, dscp.into()))
}

fn set_register(register: u8, value: u32) -> Action {
    Action::SetField(SetField::new(Field::register(register), value.into()))
}

/// Two conditions in one; the fields of both, which must not overlap.
fn both(mut one: Match, other: &Match) -> Match {
    one.fields.extend(other.fields.iter().cloned());
    one
}
