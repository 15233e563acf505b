//! What else a change would open.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use traceflow_core::names::ObjectName;
use traceflow_core::packet::IpFamily;

use crate::model::Pod;
use crate::policy::{Access, Direction, Peer, PolicyIndex};

/// A pair that could speak where it couldn't before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Opening {
    /// Who could open the connection.
    pub source: End,
    /// To whom.
    pub destination: End,
}

/// One end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// A Pod.
    Pod(ObjectName),
    /// An address that is no Pod's that selectors could select.
    Address(IpAddr),
}

impl fmt::Display for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.source, self.destination)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod(name) => write!(f, "{name}"),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

/// Pairs for people: sources that may reach the same destinations stand together, and of long lists the beginning.
pub(super) struct Grouped<'a>(pub(super) &'a [Opening]);

impl fmt::Display for Grouped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 5;
        let mut destinations: BTreeMap<&End, Vec<&End>> = BTreeMap::new();
        for Opening { source, destination } in self.0 {
            destinations.entry(source).or_default().push(destination);
        }
        let mut groups: Vec<(Vec<&End>, Vec<&End>)> = Vec::new();
        for (source, destinations) in destinations {
            match groups.iter_mut().find(|(_, same)| *same == destinations) {
                Some((sources, _)) => sources.push(source),
                None => groups.push((vec![source], destinations)),
            }
        }
        for (place, (sources, destinations)) in groups.iter().take(SHOWN).enumerate() {
            let comma = if place == 0 { "" } else { "; " };
            write!(f, "{comma}{} -> {}", names(sources), names(destinations))?;
        }
        match groups.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "; and from {more} more sets of Pods"),
        }
    }
}

fn names(ends: &[&End]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<String> = ends.iter().take(SHOWN).map(ToString::to_string).collect();
    match ends.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// How many pairs are looked at; in a large cluster a rule may select millions.
const MOST_PAIRS: usize = 250_000;

/// The other pairs that may speak after a change and might not before, with such a packet as was asked about; and whether all
/// were looked at.
pub(super) fn openings(
    before: &PolicyIndex,
    after: &PolicyIndex,
    access: &Access,
    subjects: &[&Pod],
    peers: &[(End, IpAddr)],
) -> (Vec<Opening>, bool) {
    let mut opened = Vec::new();
    let pairs = subjects
        .iter()
        .flat_map(|subject| peers.iter().map(move |peer| (subject, peer)));
    for (subject, (end, address)) in pairs.take(MOST_PAIRS) {
        let Some(pod) = after.pod_id(&subject.name) else {
            continue;
        };
        let asked = Access {
            pod,
            peer: Peer::Address(*address),
            ..*access
        };
        let is_the_packet = asked.pod == access.pod && asked.peer == access.peer;
        if !is_the_packet && !before.decide(&asked).allows() && after.decide(&asked).allows() {
            let subject = End::Pod(subject.name.clone());
            opened.push(match access.direction {
                Direction::Egress => Opening {
                    source: subject,
                    destination: end.clone(),
                },
                Direction::Ingress => Opening {
                    source: end.clone(),
                    destination: subject,
                },
            });
        }
    }
    opened.sort();
    (opened, subjects.len().saturating_mul(peers.len()) <= MOST_PAIRS)
}

/// Whether the policies of the end that is not asked about in `access` let a pair speak, with such a packet.
pub(super) fn passes_other_end(policies: &PolicyIndex, access: &Access, pair: &Opening) -> bool {
    let (direction, other, asked) = match access.direction {
        Direction::Egress => (Direction::Ingress, &pair.destination, &pair.source),
        Direction::Ingress => (Direction::Egress, &pair.source, &pair.destination),
    };
    // No policy is asked for what is no Pod.
    let (End::Pod(other), End::Pod(asked)) = (other, asked) else {
        return true;
    };
    let pod = policies.pod_id(other);
    let asked = policies.pod_id(asked).and_then(|pod| policies.object(pod));
    let family = IpFamily::of(access.peer.address());
    let address = asked.and_then(|pod| pod.addresses.iter().find(|address| IpFamily::of(**address) == family));
    let (Some(pod), Some(address)) = (pod, address) else {
        return false;
    };
    let there = Access {
        direction,
        pod,
        peer: Peer::Address(*address),
        ..*access
    };
    policies.decide(&there).allows()
}

/// The Pods with their addresses of a family.
pub(super) fn at_addresses(pods: &[&Pod], family: IpFamily) -> Vec<(End, IpAddr)> {
    let pods = pods.iter().filter_map(|pod| {
        let address = pod.addresses.iter().find(|address| IpFamily::of(**address) == family)?;
        Some((End::Pod(pod.name.clone()), *address))
    });
    pods.collect()
}
