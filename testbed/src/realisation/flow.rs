//! One flow, as a value that prints itself in ovs-ofctl's syntax (OpenFlow 1.5).

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use traceflow_core::packet::{IpFamily, Protocol};

use super::mark::{Load, Mark, Word};
use super::table::Table;

/// Whose flow it is; part of its cookie, as in Antrea.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Category {
    Default = 0,
    PodConnectivity = 1,
    NetworkPolicy = 2,
    Service = 3,
    Egress = 4,
}

/// The round that Antrea numbers its restarts by; there is only one here.
const ROUND: u64 = 1;

impl Category {
    /// 16 bits of round, 8 of category, 8 of nothing, 32 of the object.
    pub(super) fn cookie(self, object: u32) -> u64 {
        (ROUND << 48) | ((self as u64) << 40) | u64::from(object)
    }
}

/// The priorities that Antrea has names for.
pub(super) const HIGH: u16 = 210;
pub(super) const NORMAL: u16 = 200;
pub(super) const LOW: u16 = 190;
pub(super) const MISS: u16 = 0;

/// A flow. Methods add to its match and to its actions, each in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub(super) struct Flow {
    table: Table,
    priority: u16,
    cookie: u64,
    fields: Vec<String>,
    /// Marks of one word are matched together: OpenFlow has one match per field.
    marks: BTreeMap<Word, Mark>,
    actions: Vec<String>,
}

impl Flow {
    pub(super) fn new(table: Table, priority: u16, category: Category) -> Self {
        Self {
            table,
            priority,
            cookie: category.cookie(0),
            fields: Vec::new(),
            marks: BTreeMap::new(),
            actions: Vec::new(),
        }
    }

    /// The flow for what no other flow of the table matches: it goes on to the next one.
    pub(super) fn miss(table: Table, next: Table) -> Self {
        Self::new(table, MISS, Category::Default).goto(next)
    }

    /// The flow that drops what no other flow of the table matches.
    pub(super) fn drop_miss(table: Table) -> Self {
        Self::new(table, MISS, Category::Default).drop()
    }

    /// Belongs to this object of its category.
    pub(super) fn object(mut self, category: Category, object: u32) -> Self {
        self.cookie = category.cookie(object);
        self
    }

    /// Adds to the match, in ovs-ofctl's syntax; what is there already isn't repeated.
    pub(super) fn field(mut self, field: impl fmt::Display) -> Self {
        for field in field.to_string().split(',') {
            if !self.fields.iter().any(|known| known == field) {
                self.fields.push(field.to_owned());
            }
        }
        self
    }

    pub(super) fn family(self, family: IpFamily) -> Self {
        self.field(family_name(family))
    }

    pub(super) fn in_port(self, port: u32) -> Self {
        self.field(format_args!("in_port={port}"))
    }

    pub(super) fn mark(mut self, mark: Mark) -> Self {
        let known = self.marks.entry(mark.word).or_insert(Mark {
            value: 0,
            mask: 0,
            ..mark
        });
        known.value |= mark.value;
        known.mask |= mark.mask;
        self
    }

    pub(super) fn source(self, network: impl Into<IpNet>) -> Self {
        self.field(source(network.into()))
    }

    pub(super) fn destination(self, network: impl Into<IpNet>) -> Self {
        self.field(destination(network.into()))
    }

    pub(super) fn action(mut self, action: impl fmt::Display) -> Self {
        self.actions.push(action.to_string());
        self
    }

    pub(super) fn load(self, mark: Mark) -> Self {
        self.action(Load(mark))
    }

    pub(super) fn resubmit(self, table: Table) -> Self {
        self.action(format_args!("resubmit(,{table})"))
    }

    pub(super) fn goto(self, table: Table) -> Self {
        self.action(format_args!("goto_table:{table}"))
    }

    pub(super) fn drop(self) -> Self {
        self.action("drop")
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            table,
            priority,
            cookie,
            ..
        } = self;
        write!(f, "cookie={cookie:#x},table={table},priority={priority}")?;
        for field in &self.fields {
            write!(f, ",{field}")?;
        }
        for mark in self.marks.values() {
            write!(f, ",{mark}")?;
        }
        write!(f, " actions={}", self.actions.join(","))
    }
}

/// The packets that come from these addresses.
pub(super) fn source(network: IpNet) -> String {
    addressed(network, "src")
}

/// The packets that go to these addresses.
pub(super) fn destination(network: IpNet) -> String {
    addressed(network, "dst")
}

fn addressed(network: IpNet, end: &str) -> String {
    let network = network.trunc();
    let family = IpFamily::of(network.addr());
    let prefix = match family {
        IpFamily::V4 => "nw",
        IpFamily::V6 => "ipv6",
    };
    let name = family_name(family);
    match network.prefix_len() {
        0 => name.to_owned(),
        full if full == network.max_prefix_len() => format!("{name},{prefix}_{end}={}", network.addr()),
        _ => format!("{name},{prefix}_{end}={network}"),
    }
}

pub(super) fn family_name(family: IpFamily) -> &'static str {
    match family {
        IpFamily::V4 => "ip",
        IpFamily::V6 => "ipv6",
    }
}

/// The match of a transport protocol, and the name of its fields; `None` for one without ports.
pub(super) fn transport(protocol: Protocol, family: IpFamily) -> Option<(&'static str, &'static str)> {
    Some(match (protocol, family) {
        (Protocol::TCP, IpFamily::V4) => ("tcp", "tcp"),
        (Protocol::TCP, IpFamily::V6) => ("tcp6", "tcp"),
        (Protocol::UDP, IpFamily::V4) => ("udp", "udp"),
        (Protocol::UDP, IpFamily::V6) => ("udp6", "udp"),
        (Protocol::SCTP, IpFamily::V4) => ("sctp", "sctp"),
        (Protocol::SCTP, IpFamily::V6) => ("sctp6", "sctp"),
        _ => return None,
    })
}

/// An address as a `nat` argument, with the port where it is translated too.
pub(super) fn translation(address: IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(address, port).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_one_word_are_one_match() {
        let flow = Flow::new(Table::SNATMark, NORMAL, Category::Service)
            .family(IpFamily::V4)
            .mark(Mark::FROM_GATEWAY)
            .mark(Mark::TO_GATEWAY)
            .goto(Table::SNAT);
        assert_eq!(
            flow.to_string(),
            "cookie=0x1030000000000,table=21,priority=200,ip,reg0=0x22/0xff actions=goto_table:22"
        );
    }

    #[test]
    fn a_network_is_matched_by_the_shortest_text() {
        let text = |network: &str| source(network.parse().unwrap());
        assert_eq!(text("10.0.0.1/32"), "ip,nw_src=10.0.0.1");
        assert_eq!(text("10.0.0.1/8"), "ip,nw_src=10.0.0.0/8");
        assert_eq!(text("0.0.0.0/0"), "ip");
        assert_eq!(text("fd00::1/64"), "ipv6,ipv6_src=fd00::/64");
    }
}
