//! One packet on one node, as a switch says it would handle it.

use std::net::SocketAddr;

/// What a trace of Open vSwitch says, as far as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Traced {
    pub(super) exit: Exit,
    /// It was given to a controller, which would reject it, and then went on.
    pub(super) refused: bool,
    /// The tables that it walked through.
    pub(super) tables: Vec<u8>,
    /// What was set, in which table, in the order in which it was.
    sets: Vec<Set>,
    /// Where it was translated to.
    pub(super) endpoint: Option<SocketAddr>,
    /// The table that did that.
    pub(super) translated_in: Option<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Set {
    table: u8,
    field: String,
    /// Of a part of a register, the part.
    value: String,
}

/// How the packet left the switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// By this port.
    Port(u32),
    /// Nowhere: this table dropped it.
    Table(u8),
    /// Nowhere: it was given to a controller, which would reject it.
    Rejected,
}

impl Traced {
    /// Reads the text of a trace of a packet that came in by a port.
    pub(super) fn read(text: &str, in_port: u32) -> Result<Self, String> {
        let mut traced = Self {
            exit: Exit::Table(0),
            refused: false,
            tables: Vec::new(),
            sets: Vec::new(),
            endpoint: None,
            translated_in: None,
        };
        // What leaves by a tunnel goes on through the bridge of the underlay, which is no part of the pipeline.
        let (own, _) = text.split_once("bridge(\"br-phy\")").unwrap_or((text, ""));
        for line in own.lines().map(str::trim) {
            if let Some(table) = table(line) {
                traced.exit = Exit::Table(table);
                traced.tables.push(table);
            } else if let Some((value, field)) = line.strip_prefix("set_field:").and_then(|set| set.split_once("->")) {
                traced.sets.push(Set {
                    table: traced.tables.last().copied().unwrap_or_default(),
                    field: field.to_owned(),
                    value: value.to_owned(),
                });
            } else if let Some(destination) = line.strip_prefix("nat(dst=") {
                let endpoint = destination.trim_end_matches(')');
                traced.endpoint = Some(endpoint.parse().map_err(|_| format!("no endpoint: {line}"))?);
                traced.translated_in = traced.tables.last().copied();
            } else if line.starts_with("controller(") {
                (traced.exit, traced.refused) = (Exit::Rejected, true);
            } else if line == "IN_PORT" {
                traced.exit = Exit::Port(in_port);
            } else if let Some(port) = line.strip_prefix("output:") {
                let register = port.strip_prefix("NXM_NX_REG").and_then(|rest| rest.strip_suffix("[]"));
                let port = match register {
                    Some(register) => traced.number(&format!("reg{register}")),
                    None => Some(port.parse().map_err(|_| format!("no port: {line}"))?),
                };
                match port {
                    // A switch puts nothing out where it came in.
                    Some(port) if port != in_port => traced.exit = Exit::Port(port),
                    _ => {}
                }
            }
        }
        Ok(traced)
    }

    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.last_set(field).map(|set| &*set.value)
    }

    /// The table that set the field last.
    pub(super) fn set_in(&self, field: &str) -> Option<u8> {
        self.last_set(field).map(|set| set.table)
    }

    /// The table that set the field to this value.
    pub(super) fn set_to_in(&self, field: &str, value: &str) -> Option<u8> {
        let mut sets = self.sets.iter();
        let set = sets.find(|set| set.field == field && set.value == value)?;
        Some(set.table)
    }

    fn last_set(&self, field: &str) -> Option<&Set> {
        self.sets.iter().rev().find(|set| set.field == field)
    }

    pub(super) fn number(&self, field: &str) -> Option<u32> {
        u32::from_str_radix(self.text(field)?.strip_prefix("0x")?, 16).ok()
    }
}

/// The number of the table, if the line is about a flow that was hit.
fn table(line: &str) -> Option<u8> {
    let (table, _) = line.split_once(". ")?;
    table.parse().ok()
}
