//! A pipeline as data: tables by name or number, registers, exits. Antrea's is one; others are read from files.

use std::collections::BTreeMap;

use ipnet::IpNet;
use traceflow_openflow::action::{Action, SetField};
use traceflow_openflow::field::{Field, Subfield};
use traceflow_openflow::matching::Match;

use super::{Pipeline, PipelineError, Switch};
use crate::layout::{
    Carrier, Condition, Detour, End, Exit, ExitKind, Layout, MOST_EXITS, MOST_STAGES, Registers, Role, Stage, Zones,
};

/// A pipeline, before its tables are found on a switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The tables that are watched, in the order in which a packet passes them. The first is where packets begin.
    pub stages: Vec<StageDescription>,
    /// Where packets leave; of several that fit the first counts.
    pub exits: Vec<ExitDescription>,
    /// What an injected packet must not do.
    pub detours: Vec<DetourDescription>,
    /// A table for us; `None` takes the last one without flows.
    pub verdict_table: Option<u8>,
    /// A register that the pipeline leaves alone, for the mark.
    pub mark_register: u8,
    /// Another, for the tables that were passed.
    pub guard_register: u8,
    /// How marks travel.
    pub carrier: Carrier,
    /// The conntrack zones.
    pub zones: Zones,
    /// Where the pipeline keeps what it knows.
    pub registers: Registers,
}

/// How a table is called.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TableName {
    /// By its name in the switch's table features.
    Name(String),
    /// By its number.
    Number(u8),
}

/// A table that is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageDescription {
    /// Which.
    pub table: TableName,
    /// What it does.
    pub role: Role,
    /// What it means if it is the last.
    pub end: End,
    /// What packets have that went on from here all the same, as [`Stage::unless`].
    pub unless: Vec<Condition>,
    /// Whether there are switches without it.
    pub optional: bool,
}

/// Where packets leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitDescription {
    /// The table, one of the stages.
    pub table: TableName,
    /// Which packets leave there.
    pub when: Vec<Condition>,
    /// Where to. [`ExitKind::Tunnel`] stands for all tunnel ports, told apart by [`Registers::output_port`].
    pub kind: ExitKind,
    /// Whose doing it is, for [`ExitKind::Diversion`].
    pub by: Option<String>,
    /// What is written before an injected packet goes on from there, so that nobody gets a copy of it.
    pub load: Vec<Condition>,
}

/// Where an injected packet takes another way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetourDescription {
    /// The table.
    pub table: TableName,
    /// Which packets.
    pub when: Vec<Condition>,
    /// What is written.
    pub load: Vec<Condition>,
    /// The table that it goes on with.
    pub then: TableName,
}

impl Pipeline for Description {
    fn layout(&self, switch: &Switch) -> Result<Layout, PipelineError> {
        if !switch.routed.is_empty() && self.carrier != Carrier::Dscp {
            return Err(PipelineError::NoTunnelId);
        }
        let stages = self.stages(switch)?;
        let exits = self.exits(switch, &stages)?;
        Ok(Layout {
            detours: self.detours(switch)?,
            verdict_table: self.own_table(switch)?,
            mark_register: self.mark_register,
            guard_register: self.guard_register,
            carrier: self.carrier,
            tunnels: switch.tunnels.clone(),
            gateway: switch.gateway,
            routed: switch.routed.clone(),
            zones: self.zones.clone(),
            registers: self.registers.clone(),
            stages,
            exits,
        })
    }

    fn carrier(&self) -> Carrier {
        self.carrier
    }

    fn is_stateful(&self) -> bool {
        self.zones != Zones::default()
    }
}

impl Description {
    /// Where everything is on a switch that has all of the pipeline's tables, the optional ones included: for reading what
    /// a switch said that can't be asked any more. Tables with names have numbers that mean nothing.
    ///
    /// # Errors
    /// [`PipelineError`], if the pipeline itself is not in order.
    pub fn layout_if_complete(
        &self,
        tunnels: Vec<u32>,
        gateway: Option<u32>,
        routed: Vec<IpNet>,
    ) -> Result<Layout, PipelineError> {
        let mut tables: BTreeMap<u8, String> = BTreeMap::new();
        let used = || {
            let exits = self.exits.iter().map(|exit| &exit.table);
            let detours = self.detours.iter().flat_map(|detour| [&detour.table, &detour.then]);
            self.stages.iter().map(|stage| &stage.table).chain(exits).chain(detours)
        };
        for table in used() {
            if let TableName::Number(number) = table {
                tables.insert(*number, format!("table{number}"));
            }
        }
        for table in used() {
            if let TableName::Name(name) = table
                && !tables.values().any(|present| present == name)
                && let Some(number) = (0..=u8::MAX).find(|number| !tables.contains_key(number))
            {
                tables.insert(number, name.clone());
            }
        }
        self.layout(&Switch {
            routed,
            free_tables: (0..=u8::MAX)
                .rev()
                .filter(|number| !tables.contains_key(number))
                .collect(),
            tables,
            tunnels,
            gateway,
        })
    }

    fn stages(&self, switch: &Switch) -> Result<Vec<Stage>, PipelineError> {
        let mut stages = Vec::new();
        for stage in &self.stages {
            let (table, name) = match (stage.table.on(switch), stage.optional) {
                (Ok(found), _) => found,
                (Err(_), true) => continue,
                (Err(error), false) => return Err(error),
            };
            stages.push(Stage {
                role: stage.role,
                table,
                name,
                end: stage.end,
                unless: (!stage.unless.is_empty()).then(|| all_of(&stage.unless)),
            });
        }
        match stages.len() {
            0 => Err(PipelineError::Lacks("tables to watch")),
            count => fits("tables to watch", count, MOST_STAGES).map(|()| stages),
        }
    }

    fn exits(&self, switch: &Switch, stages: &[Stage]) -> Result<Vec<Exit>, PipelineError> {
        let mut exits = Vec::new();
        for exit in &self.exits {
            let Ok((table, _)) = exit.table.on(switch) else {
                continue;
            };
            let Some(stage) = stages.iter().position(|stage| stage.table == table) else {
                continue;
            };
            let of = |matching| Exit {
                stage,
                matching,
                kind: exit.kind,
                by: exit.by.clone(),
                load: exit.load.iter().map(|&load| write(load)).collect(),
            };
            let matching = all_of(&exit.when);
            match (exit.kind, self.registers.output_port) {
                (ExitKind::Port, Some(output)) => {
                    let routes = routes(switch, output).map(|route| Exit {
                        kind: ExitKind::Route,
                        ..of(routed(matching.clone(), route))
                    });
                    exits.extend(routes);
                    exits.push(of(matching));
                }
                (ExitKind::Tunnel, Some(output)) => {
                    exits.extend(switch.tunnels.iter().map(|&tunnel| {
                        let port = Condition {
                            bits: output,
                            value: tunnel,
                        };
                        of(with_condition(matching.clone(), port))
                    }));
                }
                _ => exits.push(of(matching)),
            }
        }
        match exits.len() {
            0 => Err(PipelineError::Lacks("place where packets leave")),
            count => fits("exits", count, MOST_EXITS).map(|()| exits),
        }
    }

    fn detours(&self, switch: &Switch) -> Result<Vec<Detour>, PipelineError> {
        let mut detours = Vec::new();
        for detour in &self.detours {
            let (Ok((table, _)), Ok((then, _))) = (detour.table.on(switch), detour.then.on(switch)) else {
                continue;
            };
            let mut actions: Vec<Action> = detour.load.iter().map(|&load| write(load)).collect();
            actions.push(Action::Resubmit {
                port: None,
                table: Some(then),
                conntrack: false,
            });
            detours.push(Detour {
                table,
                matching: all_of(&detour.when),
                actions,
            });
        }
        Ok(detours)
    }

    fn own_table(&self, switch: &Switch) -> Result<u8, PipelineError> {
        match self.verdict_table {
            Some(table) if !switch.free_tables.contains(&table) => Err(PipelineError::TableTaken(table)),
            Some(table) => Ok(table),
            None => switch.free_tables.first().copied().ok_or(PipelineError::NoFreeTable),
        }
    }
}

impl TableName {
    fn on(&self, switch: &Switch) -> Result<(u8, String), PipelineError> {
        let found = match self {
            Self::Name(name) => switch.tables.iter().find(|(_, candidate)| *candidate == name),
            Self::Number(number) => switch.tables.get_key_value(number),
        };
        let (number, name) = found.ok_or_else(|| PipelineError::NoTable {
            name: match self {
                Self::Name(name) => name.clone(),
                Self::Number(number) => number.to_string(),
            },
            present: switch.tables.values().cloned().collect(),
        })?;
        Ok((*number, name.clone()))
    }
}

/// What leaves for a Pod of another node without a tunnel.
fn routes(switch: &Switch, output: Subfield) -> impl Iterator<Item = (Condition, IpNet)> {
    let gateway = switch.gateway.map(|value| Condition { bits: output, value });
    gateway
        .into_iter()
        .flat_map(|gateway| switch.routed.iter().map(move |&range| (gateway, range)))
}

fn routed(matching: Match, (gateway, range): (Condition, IpNet)) -> Match {
    let matching = with_condition(matching, gateway);
    match range {
        IpNet::V4(range) => matching.with(Field::OXM_OF_ETH_TYPE, 0x0800).with_masked(
            Field::OXM_OF_IPV4_DST,
            range.network().to_bits().into(),
            range.netmask().to_bits().into(),
        ),
        IpNet::V6(range) => matching.with(Field::OXM_OF_ETH_TYPE, 0x86dd).with_masked(
            Field::OXM_OF_IPV6_DST,
            range.network().to_bits(),
            range.netmask().to_bits(),
        ),
    }
}

fn fits(what: &'static str, count: usize, room: usize) -> Result<(), PipelineError> {
    if count <= room {
        return Ok(());
    }
    Err(PipelineError::TooMany { what, count, room })
}

/// All conditions in one; those on one field are put together, as a match may name a field only once.
fn all_of(conditions: &[Condition]) -> Match {
    conditions
        .iter()
        .fold(Match::new(), |matching, &condition| with_condition(matching, condition))
}

fn with_condition(mut matching: Match, Condition { bits, value }: Condition) -> Match {
    let (mut value, mut mask) = placed(bits, value);
    if let Some(index) = matching.fields.iter().position(|other| other.field == bits.field) {
        let earlier = matching.fields.remove(index);
        let all = placed(Subfield::all(bits.field), u32::MAX).1;
        value |= earlier.value.number().unwrap_or_default();
        mask |= earlier.mask.map_or(all, |mask| mask.number().unwrap_or_default());
    }
    if Some(mask.count_ones()) == bits.field.bits().map(u32::from) {
        matching.with(bits.field, value)
    } else {
        matching.with_masked(bits.field, value, mask)
    }
}

fn write(Condition { bits, value }: Condition) -> Action {
    let (value, mask) = placed(bits, value);
    Action::SetField(SetField::masked(bits.field, value, mask))
}

/// Value and mask of some bits, as numbers of the whole field.
fn placed(Subfield { offset, bits, .. }: Subfield, value: u32) -> (u128, u128) {
    let ones = u128::MAX >> (128 - u32::from(bits.clamp(1, 128)));
    ((u128::from(value) & ones) << offset, ones << offset)
}

/// `reg4[16..18]` and the like.
pub(super) fn bits(register: u8, first: u16, last: u16) -> Subfield {
    Subfield::new(Field::register(register), first, last - first + 1)
}
