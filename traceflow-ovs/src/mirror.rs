//! The CNI's flows of the tables in which packets leave, kept as the switch tells of every change.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use traceflow_openflow::Port;
use traceflow_openflow::matching::Match;
use traceflow_openflow::message::{
    FlowEntry, FlowEvent, FlowFlags, FlowUpdate, MonitorCommand, MonitorFlags, MonitorRequest, MonitoredFlow,
    Statistics,
};

use crate::beneath::{self, Deeds};
use crate::evidence::Evidence;
use crate::instance::Instance;
use crate::layout::{ExitKind, Layout};

/// What is known of these tables. Unknown is what the switch doesn't tell, or not now.
#[derive(Debug, Default)]
pub(crate) struct Mirror(Mutex<Image>);

#[derive(Debug, Default)]
struct Image {
    tables: Vec<Table>,
    /// By table, the highest priority first.
    flows: BTreeMap<(u8, Reverse<u16>), HashMap<Match, FlowEntry>>,
    /// How many there are.
    count: usize,
    /// Too much happens, so that nothing is told for a while.
    paused: bool,
}

/// A table whose flows are told of.
#[derive(Debug)]
struct Table {
    number: u8,
    /// The number of what has them told.
    monitor: u32,
    /// All that were there have been told.
    is_whole: bool,
}

/// The tables whose flows are worth knowing before a packet comes: those by whose flows packets are put out.
pub(crate) fn tables(layout: &Layout) -> Vec<u8> {
    let exits = layout.exits.iter();
    let exits = exits.filter(|exit| matches!(exit.kind, ExitKind::Port | ExitKind::Tunnel));
    let mut tables: Vec<u8> = exits.map(|exit| layout.stages[exit.stage].table).collect();
    tables.sort_unstable();
    tables.dedup();
    tables
}

/// What asks the switch to tell of a table's flows, those that are there first. Our own changes are abbreviated.
pub(crate) fn monitor(number: u32, table: u8) -> MonitorRequest {
    let changes = MonitorFlags::ADD.and(MonitorFlags::REMOVED).and(MonitorFlags::MODIFY);
    MonitorRequest {
        flags: MonitorFlags::INITIAL.and(changes).and(MonitorFlags::INSTRUCTIONS),
        ..bare(number, table, MonitorCommand::Add)
    }
}

/// What ends that.
pub(crate) fn no_monitor(number: u32) -> MonitorRequest {
    bare(number, ALL_TABLES, MonitorCommand::Delete)
}

const ALL_TABLES: u8 = 0xff;

fn bare(monitor: u32, table: u8, command: MonitorCommand) -> MonitorRequest {
    MonitorRequest {
        monitor,
        out_port: Port::ANY,
        out_group: u32::MAX,
        flags: MonitorFlags::default(),
        table,
        command,
        matching: Match::new(),
    }
}

impl Mirror {
    /// Nothing is known any more; returns the numbers of what has had it told.
    pub(crate) fn forget(&self) -> Vec<u32> {
        let Image { tables, .. } = std::mem::take(&mut *self.lock());
        tables.into_iter().map(|table| table.monitor).collect()
    }

    /// A table's flows are about to be told, under this number.
    pub(crate) fn begin(&self, monitor: u32, table: u8) {
        self.lock().tables.push(Table {
            number: table,
            monitor,
            is_whole: false,
        });
    }

    /// All flows that were there have been told.
    pub(crate) fn complete(&self, monitor: u32) {
        let mut image = self.lock();
        let begun = image.tables.iter_mut().filter(|table| table.monitor == monitor);
        begun.for_each(|table| table.is_whole = true);
    }

    /// Something has happened.
    pub(crate) fn change(&self, updates: &[FlowUpdate]) {
        let mut image = self.lock();
        updates.iter().for_each(|update| image.change(update));
    }

    /// What the CNI's flow in this table does with the packet; the outer `None` if the table isn't known.
    pub(crate) fn deeds(&self, table: u8, evidence: &Evidence<'_>) -> Option<Option<Deeds>> {
        let image = self.lock();
        if !image.knows(table) {
            return None;
        }
        let flows = image.flows.range((table, Reverse(u16::MAX))..=(table, Reverse(0)));
        let flows = flows.flat_map(|(_, flows)| flows.values());
        Some(beneath::deeds_in_order(flows, evidence))
    }

    fn lock(&self) -> MutexGuard<'_, Image> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Image {
    fn knows(&self, table: u8) -> bool {
        let is_known = |known: &Table| known.number == table && known.is_whole;
        !self.paused && self.tables.iter().any(is_known)
    }

    fn change(&mut self, update: &FlowUpdate) {
        match update {
            FlowUpdate::Full(flow) => self.put(flow),
            // Of our own flows.
            FlowUpdate::Abbreviated { .. } => {}
            FlowUpdate::Paused => self.paused = true,
            FlowUpdate::Resumed => self.paused = false,
        }
    }

    fn put(&mut self, flow: &MonitoredFlow) {
        let (cookie, mask) = Instance::every_cookie();
        if flow.cookie & mask == cookie || !self.tables.iter().any(|table| table.number == flow.table) {
            return;
        }
        let here = self.flows.entry((flow.table, Reverse(flow.priority))).or_default();
        let before = match flow.event {
            FlowEvent::Removed => here.remove(&flow.matching),
            _ => here.insert(flow.matching.clone(), entry(flow)),
        };
        match (before.is_some(), flow.event == FlowEvent::Removed) {
            (true, true) => self.count -= 1,
            (false, false) => self.count += 1,
            _ => {}
        }
        if self.count > MOST_FLOWS {
            // Packet by packet the switch is asked for them then.
            self.flows.clear();
            self.count = 0;
            self.tables.clear();
        }
    }
}

/// So many flows are remembered: more than a switch has ports, whatever it says.
const MOST_FLOWS: usize = 100_000;

fn entry(flow: &MonitoredFlow) -> FlowEntry {
    FlowEntry {
        table: flow.table,
        priority: flow.priority,
        idle_timeout: flow.idle_timeout,
        hard_timeout: flow.hard_timeout,
        flags: FlowFlags::default(),
        importance: 0,
        cookie: flow.cookie,
        statistics: Statistics::default(),
        matching: flow.matching.clone(),
        instructions: flow.instructions.clone(),
    }
}

#[cfg(test)]
mod tests {
    use traceflow_openflow::action::Action;
    use traceflow_openflow::field::Field;
    use traceflow_openflow::instruction::Instruction;

    use super::*;

    const TABLE: u8 = 31;

    fn update(event: FlowEvent, priority: u16, register: u128, port: u32) -> FlowUpdate {
        let output = Action::Output {
            port: Port(port),
            max_len: 0,
        };
        FlowUpdate::Full(MonitoredFlow {
            event,
            table: TABLE,
            reason: 0,
            idle_timeout: 0,
            hard_timeout: 0,
            priority,
            cookie: 7,
            matching: Match::new().with(Field::register(1), register),
            instructions: vec![Instruction::ApplyActions(vec![output])],
        })
    }

    /// Priority, register and port of every flow that is known.
    fn known(mirror: &Mirror) -> Vec<(u16, u32, String)> {
        let image = mirror.lock();
        let of = |flow: &FlowEntry| {
            let Instruction::ApplyActions(actions) = &flow.instructions[0] else {
                unreachable!("all of these do something at once")
            };
            (
                flow.priority,
                flow.matching.register(1).unwrap(),
                actions[0].to_string(),
            )
        };
        let mut known: Vec<_> = image.flows.values().flat_map(HashMap::values).map(of).collect();
        // Those of one priority stand in no order.
        known.sort_by_key(|(priority, register, _)| (Reverse(*priority), *register));
        known
    }

    fn begun() -> Mirror {
        let mirror = Mirror::default();
        mirror.begin(1, TABLE);
        mirror.change(&[
            update(FlowEvent::Initial, 200, 4, 4),
            update(FlowEvent::Initial, 210, 5, 5),
            update(FlowEvent::Initial, 200, 6, 6),
        ]);
        mirror.complete(1);
        mirror
    }

    #[test]
    fn flows_stand_by_their_priorities() {
        let output = |port: u32| format!("output:{port}");
        assert_eq!(
            known(&begun()),
            [(210, 5, output(5)), (200, 4, output(4)), (200, 6, output(6))]
        );
    }

    #[test]
    fn what_changes_is_changed_once() {
        let mirror = begun();
        mirror.change(&[
            update(FlowEvent::Removed, 210, 5, 5),
            update(FlowEvent::Removed, 210, 9, 5),
            update(FlowEvent::Modified, 200, 4, 8),
            update(FlowEvent::Added, 200, 6, 9),
            update(FlowEvent::Added, 1, 6, 1),
        ]);
        let output = |port: u32| format!("output:{port}");
        assert_eq!(
            known(&mirror),
            [(200, 4, output(8)), (200, 6, output(9)), (1, 6, output(1))]
        );
    }

    #[test]
    fn flows_of_tracers_and_of_other_tables_are_left_out() {
        let mirror = begun();
        let FlowUpdate::Full(flow) = update(FlowEvent::Added, 300, 1, 1) else {
            unreachable!("it is whole")
        };
        let (cookie, _) = Instance::every_cookie();
        mirror.change(&[
            FlowUpdate::Full(MonitoredFlow {
                table: 30,
                ..flow.clone()
            }),
            FlowUpdate::Full(MonitoredFlow { cookie, ..flow }),
            FlowUpdate::Abbreviated { xid: 1 },
        ]);
        assert_eq!(known(&mirror).len(), 3);
    }

    #[test]
    fn a_table_is_known_when_it_was_told_whole_and_unless_the_switch_pauses() {
        let is_known = |mirror: &Mirror| {
            let image = mirror.lock();
            image.knows(TABLE)
        };
        let mirror = Mirror::default();
        mirror.begin(1, TABLE);
        assert!(!is_known(&mirror));
        mirror.complete(1);
        assert!(is_known(&mirror));
        mirror.change(&[FlowUpdate::Paused]);
        assert!(!is_known(&mirror));
        mirror.change(&[FlowUpdate::Resumed]);
        assert!(is_known(&mirror));
        assert_eq!(mirror.forget(), [1]);
        assert!(!is_known(&mirror));
    }

    #[test]
    fn a_switch_that_tells_of_flows_without_end_fills_no_memory() {
        let mirror = begun();
        for number in 0..=MOST_FLOWS as u128 {
            mirror.change(&[update(FlowEvent::Added, 7, number, 1)]);
        }
        assert_eq!(known(&mirror).len(), 0);
        assert!(!mirror.lock().knows(TABLE));
    }
}
