//! A rule as the clauses of a conjunction: it is about a packet that matches one flow of each clause.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use traceflow_core::packet::{IpFamily, Protocol};
use traceflow_sim::model::{ContainerPort, Pod};
use traceflow_sim::policy::antrea::RuleTraffic;
use traceflow_sim::policy::{Direction, PolicyPort, PortSet};

use super::flow::{destination, family_name, source, transport};
use super::mark::Mark;
use super::site::{LocalRule, Site, Subject};

/// The matches of one clause, each once.
pub(super) type Clause = BTreeSet<String>;

/// The clauses of a rule: its peers, its subjects and, where it names any, its ports. A clause without matches is met by
/// no packet.
pub(super) fn clauses(site: &Site<'_>, local: &LocalRule<'_>) -> Vec<Clause> {
    let (subjects, peers) = (subjects(local), peers(site, local));
    let mut clauses = match local.rule.direction {
        Direction::Egress => vec![subjects, peers],
        Direction::Ingress => vec![peers, subjects],
    };
    let traffic = local.rule.traffic();
    if !traffic.is_empty() {
        clauses.push(
            traffic
                .iter()
                .flat_map(|traffic| covered(site, local, traffic))
                .collect(),
        );
    }
    clauses
}

fn subjects(local: &LocalRule<'_>) -> Clause {
    match local.rule.direction {
        Direction::Egress => {
            let addresses = local.subjects.iter().flat_map(|subject| &subject.pod.addresses);
            addresses.map(|&address| source(address.into())).collect()
        }
        Direction::Ingress => {
            let ports = local.subjects.iter().map(|subject| Mark::target_port(subject.port));
            ports.map(|mark| mark.to_string()).collect()
        }
    }
}

fn peers(site: &Site<'_>, local: &LocalRule<'_>) -> Clause {
    // Who the peers are is the same for all subjects of a rule.
    let subject = local.subjects.first().map(|subject| subject.pod);
    let Some(networks) = subject.and_then(|subject| local.rule.networks(site.cluster, subject)) else {
        return site
            .families
            .iter()
            .map(|&family| family_name(family).to_owned())
            .collect();
    };
    let networks = networks.into_iter();
    match local.rule.direction {
        Direction::Egress => networks.map(destination).collect(),
        Direction::Ingress => networks.map(source).collect(),
    }
}

/// The matches of one kind of traffic.
fn covered(site: &Site<'_>, local: &LocalRule<'_>, traffic: &RuleTraffic) -> Vec<String> {
    match traffic {
        RuleTraffic::Ports { to, from: None } => opened(site, local, to),
        RuleTraffic::Ports { to, from: Some(from) } => {
            let fields = match to.protocol {
                Protocol::UDP => "udp",
                Protocol::SCTP => "sctp",
                _ => "tcp",
            };
            let opened = opened(site, local, to).into_iter();
            opened
                .flat_map(|opened| {
                    blocks(from)
                        .into_iter()
                        .map(move |from| format!("{opened},{fields}_src={from}"))
                })
                .collect()
        }
        RuleTraffic::Icmp { icmp_type, code } => site
            .families
            .iter()
            .map(|family| {
                let (protocol, fields) = match family {
                    IpFamily::V4 => ("icmp", "icmp"),
                    IpFamily::V6 => ("icmp6", "icmpv6"),
                };
                let field = |name: &str, value: &Option<u8>| {
                    value.map_or(String::new(), |value| format!(",{fields}_{name}={value}"))
                };
                format!("{protocol}{}{}", field("type", icmp_type), field("code", code))
            })
            .collect(),
    }
}

/// The matches that open a port. A named port is another number on every Pod, so its matches name the Pod too.
fn opened(site: &Site<'_>, local: &LocalRule<'_>, port: &PolicyPort) -> Vec<String> {
    let any_destination = site.families.iter().map(|&family| (family, String::new()));
    match &port.ports {
        PortSet::All => opened_at(any_destination, port.protocol, &[String::new()]),
        PortSet::Numbers(numbers) => opened_at(any_destination, port.protocol, &blocks(numbers)),
        PortSet::Named(name) => match local.rule.direction {
            Direction::Ingress => named_at_subjects(site, local, port.protocol, name),
            Direction::Egress => named_anywhere(site, port.protocol, name),
        },
    }
}

/// All of these ports at all of these destinations, each of a family and with what its match adds.
fn opened_at(
    destinations: impl Iterator<Item = (IpFamily, String)>,
    protocol: Protocol,
    ports: &[String],
) -> Vec<String> {
    let matches = destinations.flat_map(|(family, destination)| {
        let transport = transport(protocol, family);
        ports.iter().filter_map(move |port| {
            let (protocol, fields) = transport?;
            let port = if port.is_empty() {
                String::new()
            } else {
                format!(",{fields}_dst={port}")
            };
            Some(format!("{protocol}{destination}{port}"))
        })
    });
    matches.collect()
}

fn named_at_subjects(site: &Site<'_>, local: &LocalRule<'_>, protocol: Protocol, name: &str) -> Vec<String> {
    let at_subject = |subject: &Subject<'_>| {
        let target = Mark::target_port(subject.port);
        let destinations = site.families.iter().map(move |&family| (family, format!(",{target}")));
        opened_at(destinations, protocol, &declared(subject.pod, protocol, name))
    };
    local.subjects.iter().flat_map(at_subject).collect()
}

/// The Pod that has the destination address says which number the name is, whichever peer it is allowed as.
fn named_anywhere(site: &Site<'_>, protocol: Protocol, name: &str) -> Vec<String> {
    let at_pod = |pod: &Pod| {
        let destinations = pod.addresses.iter().map(|&address| match address {
            IpAddr::V4(address) => (IpFamily::V4, format!(",nw_dst={address}")),
            IpAddr::V6(address) => (IpFamily::V6, format!(",ipv6_dst={address}")),
        });
        opened_at(destinations, protocol, &declared(pod, protocol, name))
    };
    let pods = site.cluster.policies().selectable().into_iter();
    pods.flat_map(at_pod).collect()
}

fn declared(pod: &Pod, protocol: Protocol, name: &str) -> Vec<String> {
    let named = |port: &&ContainerPort| port.protocol == protocol && port.name.as_deref() == Some(name);
    pod.ports
        .iter()
        .filter(named)
        .map(|port| port.port.to_string())
        .collect()
}

/// The range as few values under masks.
fn blocks(numbers: &RangeInclusive<u16>) -> Vec<String> {
    let (mut first, last) = (u32::from(*numbers.start()), u32::from(*numbers.end()));
    let mut blocks = Vec::new();
    while first <= last {
        // The largest block that begins here, and doesn't reach beyond the end.
        let aligned = if first == 0 { 16 } else { first.trailing_zeros() };
        let fitting = (last - first + 1).ilog2();
        let size = 1 << aligned.min(fitting);
        blocks.push(match size {
            1 => first.to_string(),
            size => format!("{first:#x}/{:#x}", 0x1_0000 - size),
        });
        first += size;
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_ports_is_few_masks() {
        let text = |first, last| blocks(&(first..=last)).join(" ");
        assert_eq!(text(80, 80), "80");
        assert_eq!(text(8000, 8010), "0x1f40/0xfff8 0x1f48/0xfffe 8010");
        assert_eq!(text(0, u16::MAX), "0x0/0x0");
        assert_eq!(text(u16::MAX, u16::MAX), "65535");
        assert_eq!(text(1, u16::MAX).split(' ').count(), 16);
        assert_eq!(blocks(&RangeInclusive::new(2, 1)), Vec::<String>::new());
    }

    #[test]
    fn a_range_holds_exactly_its_ports() {
        let holds = |blocks: &[(u32, u32)], port: u32| blocks.iter().any(|(value, mask)| port & mask == *value);
        for (first, last) in [(1, 1), (1, 2), (3, 4097), (1024, 65535), (65534, 65535)] {
            let read = |text: &str| u32::from_str_radix(text.trim_start_matches("0x"), 16).unwrap();
            let blocks: Vec<(u32, u32)> = blocks(&(first..=last))
                .iter()
                .map(|block| match block.split_once('/') {
                    Some((value, mask)) => (read(value), read(mask)),
                    None => (block.parse().unwrap(), 0xffff),
                })
                .collect();
            for port in 0..=u16::MAX {
                let is_inside = (first..=last).contains(&port);
                assert_eq!(
                    holds(&blocks, port.into()),
                    is_inside,
                    "port {port} of {first} to {last}"
                );
            }
        }
    }
}
