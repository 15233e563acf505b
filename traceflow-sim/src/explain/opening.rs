//! What else a change would open.

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

/// The Pods with their addresses of a family.
pub(super) fn at_addresses(pods: &[&Pod], family: IpFamily) -> Vec<(End, IpAddr)> {
    let pods = pods.iter().filter_map(|pod| {
        let address = pod.addresses.iter().find(|address| IpFamily::of(**address) == family)?;
        Some((End::Pod(pod.name.clone()), *address))
    });
    pods.collect()
}
