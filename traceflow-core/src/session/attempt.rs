//! What was seen of one packet.

use std::collections::VecDeque;
use std::net::IpAddr;

use super::identity::{Identity, is_of_traffic, nonce_of};
use crate::datapath::Sighting;
use crate::names::NodeName;
use crate::observation::Action;
use crate::packet::Nonce;
use crate::plan::FlowMatch;
use crate::trace::path::{Beginning, Path, assemble};

/// The sightings of one packet: an injected one, or the real one that was followed.
#[derive(Debug)]
pub(super) struct Attempt {
    /// The injected packet's; `None` for real traffic.
    pub(super) nonce: Option<Nonce>,
    identity: Option<Identity>,
    /// Real packets that were under way before every node watched.
    early: Early,
    sightings: Vec<Sighting>,
    path: Path,
    /// Sightings beyond [`MOST_SIGHTINGS`].
    pub(super) overflow: u64,
}

/// What was seen before every node watched: a packet whose beginning went by then would be followed with a gap.
#[derive(Debug, Default)]
pub(super) struct Early(VecDeque<(NodeName, Identity)>);

impl Early {
    pub(super) fn note(&mut self, sighting: &Sighting) {
        let Some(identity) = Identity::of(sighting) else { return };
        if self.0.len() == MOST_SIGHTINGS {
            self.0.pop_front();
        }
        self.0.push_back((sighting.node.clone(), identity));
    }

    /// Whether the sighting shows such a packet further on. One with the same numbers where that was seen is the next of
    /// its flow.
    fn goes_on(&self, sighting: &Sighting) -> bool {
        let mut elsewhere = self.0.iter().filter(|(node, _)| *node != sighting.node);
        elsewhere.any(|(_, identity)| identity.is_of(sighting))
    }
}

/// More sightings of one packet than any path has; a node that reports for ever can't fill the memory.
const MOST_SIGHTINGS: usize = 256;

/// What a sighting was to an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admitted {
    /// New, and evidence.
    New,
    /// Known already, or one too many.
    Redundant,
    /// Of another packet.
    Foreign,
}

impl Attempt {
    pub(super) fn new(nonce: Option<Nonce>) -> Self {
        Self {
            nonce,
            identity: None,
            early: Early::default(),
            sightings: Vec::new(),
            path: Path::default(),
            overflow: 0,
        }
    }

    /// Real traffic, some of which was seen before.
    pub(super) fn of_traffic(early: Early) -> Self {
        Self {
            early,
            ..Self::new(None)
        }
    }

    /// Whether the sighting carries this attempt's nonce, or none at all.
    pub(super) fn may_own(&self, sighting: &Sighting) -> bool {
        match (self.nonce, nonce_of(sighting)) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        }
    }

    /// Takes a sighting of real traffic, if it is of the packet that was seen first.
    pub(super) fn admit_live(
        &mut self,
        sighting: Sighting,
        matching: &FlowMatch,
        dropped_only: bool,
        view: &View<'_>,
    ) -> Admitted {
        let dropped = |action: &Action| matches!(action, Action::Dropped | Action::Rejected);
        if !is_of_traffic(matching, &sighting)
            || (dropped_only && !sighting.observations.iter().any(|seen| dropped(&seen.action)))
            || self
                .identity
                .as_ref()
                .is_some_and(|identity| !identity.is_of(&sighting))
            || self.sightings.iter().any(|earlier| repeats(earlier, &sighting))
            || (self.identity.is_none() && self.early.goes_on(&sighting))
        {
            return Admitted::Foreign;
        }
        if self.identity.is_none() {
            self.identity = Identity::of(&sighting);
        }
        self.admit(sighting, view)
    }

    /// Takes a sighting that is known to be of this packet.
    pub(super) fn admit(&mut self, sighting: Sighting, view: &View<'_>) -> Admitted {
        if self.sightings.contains(&sighting) {
            return Admitted::Redundant;
        }
        if self.sightings.len() == MOST_SIGHTINGS {
            self.overflow += 1;
            return Admitted::Redundant;
        }
        // Most packets are seen once or twice.
        self.sightings.reserve_exact(1);
        self.sightings.push(sighting);
        self.path = assemble(&self.sightings, view.beginning, view.node_at);
        Admitted::New
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The path, which the attempt doesn't have any more then.
    pub(super) fn take_path(&mut self) -> Path {
        std::mem::take(&mut self.path)
    }

    /// Whether a node knew the packet's connection before.
    pub(super) fn established(&self) -> bool {
        self.sightings.iter().any(|sighting| sighting.established)
    }

    /// The sighting that shows the packet as it left the first node of its path.
    pub(super) fn captured(&self, path: &Path) -> Option<&Sighting> {
        let captured = |node: &NodeName| {
            let here = self.sightings.iter().filter(|sighting| sighting.node == *node);
            here.filter(|sighting| sighting.packet.is_some())
                .max_by_key(|sighting| sighting.step)
        };
        path.hops.iter().find_map(|hop| captured(&hop.node))
    }
}

/// Whether two sightings show the same at one place. No packet comes by twice unchanged; the next one of its flow does,
/// and where the packets carry no number that tells them apart, this does.
fn repeats(earlier: &Sighting, sighting: &Sighting) -> bool {
    let ttl = |sighting: &Sighting| sighting.packet.as_ref().map(|packet| packet.ttl);
    (&earlier.node, earlier.step) == (&sighting.node, sighting.step)
        && earlier.observations == sighting.observations
        && ttl(earlier) == ttl(sighting)
}

/// How sightings are put together.
pub(super) struct View<'a> {
    pub(super) beginning: &'a Beginning,
    pub(super) node_at: &'a dyn Fn(IpAddr) -> Option<NodeName>,
}
