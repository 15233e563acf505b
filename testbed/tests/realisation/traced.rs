//! One packet on one node, as a switch says it would handle it.

use std::collections::BTreeMap;

/// What a trace of Open vSwitch says, as far as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Traced {
    pub(crate) exit: Exit,
    /// It was given to a controller, which would reject it, and then went on.
    pub(crate) refused: bool,
    /// What was set last, by the name of the field: of a part of a register, the part.
    set: BTreeMap<String, String>,
    /// `nat(dst=…)`.
    pub(crate) endpoint: Option<String>,
}

/// How the packet left the switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Exit {
    /// By this port.
    Port(u32),
    /// Nowhere: this table dropped it.
    Table(u8),
    /// Nowhere: it was given to a controller, which would reject it.
    Rejected,
}

impl Traced {
    /// Reads the text of a trace of a packet that came in by a port.
    pub(crate) fn read(text: &str, in_port: u32) -> Self {
        let mut traced = Self {
            exit: Exit::Table(0),
            refused: false,
            set: BTreeMap::new(),
            endpoint: None,
        };
        for line in text.lines().map(str::trim) {
            if let Some(table) = step(line) {
                traced.exit = Exit::Table(table);
            } else if let Some((value, field)) = line.strip_prefix("set_field:").and_then(|set| set.split_once("->")) {
                traced.set.insert(field.to_owned(), value.to_owned());
            } else if let Some(destination) = line.strip_prefix("nat(dst=") {
                traced.endpoint = Some(destination.trim_end_matches(')').to_owned());
            } else if line.starts_with("controller(") {
                (traced.exit, traced.refused) = (Exit::Rejected, true);
            } else if line == "IN_PORT" {
                traced.exit = Exit::Port(in_port);
            } else if line == "output:NXM_NX_REG1[]" {
                let port = traced.number("reg1").expect("a port was found before it is used");
                assert_ne!(port, in_port, "a switch puts nothing out where it came in: {text}");
                traced.exit = Exit::Port(port);
            }
        }
        traced
    }

    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        self.set.get(field).map(String::as_str)
    }

    pub(crate) fn number(&self, field: &str) -> Option<u32> {
        let value = self.text(field)?;
        Some(u32::from_str_radix(value.strip_prefix("0x")?, 16).unwrap())
    }
}

/// The number of the table, if the line is about a flow that was hit.
fn step(line: &str) -> Option<u8> {
    let (table, _) = line.split_once(". ")?;
    table.parse().ok()
}
