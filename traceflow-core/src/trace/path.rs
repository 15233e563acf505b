//! From sightings, in any order, to the packet's path.

use std::net::IpAddr;
use std::time::SystemTime;

use crate::datapath::Sighting;
use crate::names::NodeName;
use crate::observation::{Action, ComponentInfo, Observation};
use crate::trace::Hop;

/// Where a path has to begin to be whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// At this node.
    At(NodeName),
    /// Wherever the packet entered the network, so not by a tunnel.
    Entry,
    /// Anywhere: only the end was asked for.
    Anywhere,
}

/// The packet's path, as far as it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Path {
    pub(crate) hops: Vec<Hop>,
    /// How the packet left the last hop; `None` if there is none.
    pub(crate) exit: Option<Exit>,
    /// From its beginning to its end without a gap.
    pub(crate) complete: bool,
}

impl Path {
    /// Whether the end was seen, with or without the way there.
    pub(crate) fn has_end(&self) -> bool {
        self.exit == Some(Exit::End)
    }
}

/// How the packet left a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It didn't: the path ends here.
    End,
    /// Towards a known node.
    To(NodeName),
    /// Out of the node, and nobody said where to.
    Onwards,
    /// It wasn't seen leaving.
    Unseen,
}

/// Puts the sightings of one packet in order. `node_at` tells whose tunnel address an address is.
pub(crate) fn assemble(
    sightings: &[Sighting],
    beginning: &Beginning,
    node_at: &dyn Fn(IpAddr) -> Option<NodeName>,
) -> Path {
    let visits = visits(sightings, node_at);
    let mut chains = chains(&visits);
    chains.sort_by_key(|chain| {
        let ended = chain.last().is_some_and(|&last| visits[last].exit == Exit::End);
        (!visits[chain[0]].begins(beginning), ended, chain[0])
    });
    let begins = chains.first().is_some_and(|chain| visits[chain[0]].begins(beginning));
    let exit = chains
        .last()
        .and_then(|chain| chain.last())
        .map(|&last| visits[last].exit.clone());
    let complete = chains.len() == 1 && begins && exit == Some(Exit::End);
    let hops = hops(visits, &chains, begins);
    Path { hops, exit, complete }
}

/// The hops in the order of the chains. The first of a chain comes after a gap, and so does the very first one if the
/// path should have begun elsewhere.
fn hops(visits: Vec<Visit<'_>>, chains: &[Vec<usize>], begins: bool) -> Vec<Hop> {
    let mut hops = Vec::with_capacity(visits.len());
    for (number, chain) in chains.iter().enumerate() {
        for (place, &index) in chain.iter().enumerate() {
            let visit = &visits[index];
            let mut observations = Vec::with_capacity(visit.observations().count());
            observations.extend(visit.observations().cloned());
            hops.push(Hop {
                node: visit.node.clone(),
                timestamp: visit.timestamp,
                observations,
                after_gap: place == 0 && (number > 0 || !begins),
            });
        }
    }
    hops
}

/// One stay of the packet on a node.
#[derive(Debug)]
struct Visit<'a> {
    node: &'a NodeName,
    /// By step.
    sightings: Vec<&'a Sighting>,
    timestamp: SystemTime,
    exit: Exit,
}

impl Visit<'_> {
    fn observations(&self) -> impl DoubleEndedIterator<Item = &Observation> {
        self.sightings.iter().flat_map(|sighting| sighting.observations.iter())
    }

    fn ttl(&self) -> Option<u8> {
        let captured = self.sightings.iter().find_map(|sighting| sighting.packet.as_ref());
        captured
            .map(|packet| packet.ttl)
            .or_else(|| self.observations().find_map(|observation| observation.ttl))
    }

    fn came_from_another_node(&self) -> bool {
        self.observations()
            .next()
            .is_some_and(|first| first.action == Action::Received)
    }

    fn begins(&self, beginning: &Beginning) -> bool {
        match beginning {
            Beginning::At(node) => node == self.node,
            Beginning::Entry => !self.came_from_another_node(),
            Beginning::Anywhere => true,
        }
    }

    fn exit(&self, node_at: &dyn Fn(IpAddr) -> Option<NodeName>) -> Exit {
        if self.observations().any(|observation| observation.action.ends_path()) {
            return Exit::End;
        }
        for observation in self.observations().rev() {
            if let Some(node) = &observation.egress_node
                && observation.action == Action::ForwardedToEgressNode
            {
                return Exit::To(node.clone());
            }
            if let Some(address) = observation.tunnel_dst_ip {
                return node_at(address).map_or(Exit::Onwards, Exit::To);
            }
        }
        match self.observations().last() {
            Some(last) if last.component_info == Some(ComponentInfo::Output) => Exit::Onwards,
            _ => Exit::Unseen,
        }
    }
}

/// The stays, in the order of their TTLs where all are known, else of their clocks.
fn visits<'a>(sightings: &'a [Sighting], node_at: &dyn Fn(IpAddr) -> Option<NodeName>) -> Vec<Visit<'a>> {
    let mut ordered: Vec<&Sighting> = sightings.iter().collect();
    // One node's clock doesn't run backwards, so its own sightings can be told into stays.
    ordered.sort_by_key(|sighting| (sighting.timestamp, &sighting.node, sighting.step));
    let mut visits: Vec<Visit<'a>> = Vec::new();
    for sighting in ordered {
        place(sighting, &mut visits);
    }
    for visit in &mut visits {
        visit.exit = visit.exit(node_at);
    }
    // A comparison that used TTLs for some pairs only wouldn't be an order.
    if visits.iter().all(|visit| visit.ttl().is_some()) {
        visits.sort_by_key(|visit| std::cmp::Reverse(visit.ttl()));
    }
    visits
}

/// Adds the sighting to the latest stay on its node that hasn't come to its step yet, else to a new one.
fn place<'a>(sighting: &'a Sighting, visits: &mut Vec<Visit<'a>>) {
    let mut same_node: Vec<_> = visits.iter_mut().filter(|visit| *visit.node == sighting.node).collect();
    if same_node.iter().any(|visit| visit.sightings.contains(&sighting)) {
        return;
    }
    let earlier = |visit: &&mut &mut Visit<'_>| visit.sightings.iter().all(|seen| seen.step < sighting.step);
    match same_node.iter_mut().rev().find(earlier) {
        Some(visit) => visit.sightings.push(sighting),
        None => visits.push(Visit {
            node: &sighting.node,
            sightings: vec![sighting],
            timestamp: sighting.timestamp,
            exit: Exit::Unseen,
        }),
    }
}

/// The stays that are known to follow each other, as indices. Every stay is in exactly one chain.
fn chains(visits: &[Visit<'_>]) -> Vec<Vec<usize>> {
    let mut links = Links::new(visits.len());
    for (from, visit) in visits.iter().enumerate() {
        if let Exit::To(node) = &visit.exit {
            let free = |&to: &usize| visits[to].node == node && links.possible(from, to);
            let candidates = || (0..visits.len()).filter(free);
            let received = candidates().find(|&to| visits[to].came_from_another_node());
            if let Some(to) = received.or_else(|| candidates().next()) {
                links.join(from, to);
            }
        }
    }
    for (from, visit) in visits.iter().enumerate() {
        if visit.exit == Exit::Onwards {
            let later = |&to: &usize| visits[to].came_from_another_node() && links.possible(from, to);
            if let Some(to) = (from + 1..visits.len()).find(later) {
                links.join(from, to);
            }
        }
    }
    links.chains()
}

/// Who follows whom; never in a circle.
struct Links {
    next: Vec<Option<usize>>,
    previous: Vec<Option<usize>>,
}

impl Links {
    fn new(count: usize) -> Self {
        Self {
            next: vec![None; count],
            previous: vec![None; count],
        }
    }

    fn possible(&self, from: usize, to: usize) -> bool {
        self.previous[to].is_none() && self.next[from].is_none() && self.follow(to).all(|index| index != from)
    }

    fn join(&mut self, from: usize, to: usize) {
        self.next[from] = Some(to);
        self.previous[to] = Some(from);
    }

    fn follow(&self, head: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(head), |&index| self.next[index])
    }

    fn chains(&self) -> Vec<Vec<usize>> {
        let heads = (0..self.next.len()).filter(|&index| self.previous[index].is_none());
        heads.map(|head| self.follow(head).collect()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::datapath::Mark;
    use crate::observation::{Component, DropReason};

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn sighting(node: &str, step: u16, seconds: u64, observations: Vec<Observation>) -> Sighting {
        Sighting {
            established: false,
            node: node.into(),
            mark: Mark(1),
            nonce: None,
            step,
            observations: observations.into(),
            packet: None,
            timestamp: at(seconds),
        }
    }

    fn spoof_guard() -> Observation {
        Observation::new(Component::SpoofGuard, Action::Forwarded)
    }

    fn tunnel_to(node: u8) -> Observation {
        let mut output = Observation::new(Component::Forwarding, Action::Forwarded).at(ComponentInfo::Output);
        output.tunnel_dst_ip = Some(address(node));
        output
    }

    fn received() -> Observation {
        Observation::new(Component::Forwarding, Action::Received).at(ComponentInfo::Classification)
    }

    fn delivered() -> Observation {
        Observation::new(Component::Forwarding, Action::Delivered).at(ComponentInfo::Output)
    }

    fn address(node: u8) -> IpAddr {
        [192, 168, 0, node].into()
    }

    fn node_at(address: IpAddr) -> Option<NodeName> {
        match address {
            IpAddr::V4(v4) if v4.octets()[3] < 100 => Some(NodeName::new(format!("n{}", v4.octets()[3]))),
            _ => None,
        }
    }

    fn path(sightings: &[Sighting]) -> Path {
        assemble(sightings, &Beginning::At("n1".into()), &node_at)
    }

    /// `n1 n2 ~n3!`: a gap before n3, and complete or not.
    fn text(path: &Path) -> String {
        let hops = path
            .hops
            .iter()
            .map(|hop| format!("{}{}", if hop.after_gap { "~" } else { "" }, hop.node));
        let mut text = hops.collect::<Vec<_>>().join(" ");
        text.push_str(if path.complete { "!" } else { "?" });
        text
    }

    fn over_three_nodes() -> Vec<Sighting> {
        vec![
            sighting("n1", 0, 5, vec![spoof_guard(), tunnel_to(2)]),
            sighting("n2", 0, 3, vec![received(), tunnel_to(3)]),
            sighting("n3", 0, 1, vec![received(), delivered()]),
        ]
    }

    #[test]
    fn tunnel_addresses_order_the_hops_against_wrong_clocks() {
        assert_eq!(text(&path(&over_three_nodes())), "n1 n2 n3!");
    }

    #[test]
    fn the_order_of_arrival_and_duplicates_make_no_difference() {
        let sightings = over_three_nodes();
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let shuffled: Vec<_> = order.iter().chain(&order).map(|&i| sightings[i].clone()).collect();
            assert_eq!(path(&shuffled), path(&sightings), "{order:?}");
        }
    }

    #[test]
    fn steps_order_the_observations_within_a_node() {
        let sightings = [
            sighting("n1", 7, 1, vec![delivered()]),
            sighting("n1", 2, 1, vec![spoof_guard()]),
        ];
        let path = path(&sightings);
        assert_eq!(text(&path), "n1!");
        assert_eq!(path.hops[0].observations, [spoof_guard(), delivered()]);
    }

    #[test]
    fn a_missing_middle_is_a_gap() {
        let mut sightings = over_three_nodes();
        sightings.remove(1);
        assert_eq!(text(&path(&sightings)), "n1 ~n3?");
    }

    #[test]
    fn a_missing_beginning_is_a_gap() {
        assert_eq!(text(&path(&over_three_nodes()[1..])), "~n2 n3?");
    }

    #[test]
    fn a_missing_end_leaves_the_path_open_and_names_the_next_node() {
        let path = path(&over_three_nodes()[..2]);
        assert_eq!(text(&path), "n1 n2?");
        assert_eq!(path.exit, Some(Exit::To("n3".into())));
    }

    #[test]
    fn the_way_out_and_back_to_one_node_is_two_hops() {
        let there_and_back = [
            sighting("n1", 0, 1, vec![spoof_guard(), tunnel_to(2)]),
            sighting("n1", 0, 3, vec![received(), delivered()]),
            sighting("n2", 0, 2, vec![received(), tunnel_to(1)]),
        ];
        assert_eq!(text(&path(&there_and_back)), "n1 n2 n1!");
    }

    #[test]
    fn nodes_that_send_to_each_other_for_ever_make_no_endless_path() {
        let circle = [
            sighting("n2", 0, 1, vec![received(), tunnel_to(3)]),
            sighting("n3", 0, 2, vec![received(), tunnel_to(2)]),
        ];
        assert_eq!(path(&circle).hops.len(), 2);
    }

    #[test]
    fn without_a_tunnel_address_the_clock_decides() {
        let routed = Observation::new(Component::Forwarding, Action::Forwarded).at(ComponentInfo::Output);
        let sightings = [
            sighting("n9", 0, 2, vec![received(), delivered()]),
            sighting("n1", 0, 1, vec![spoof_guard(), routed]),
        ];
        assert_eq!(text(&path(&sightings)), "n1 n9!");
    }

    #[test]
    fn ttls_order_gapped_hops_against_wrong_clocks() {
        let mut sightings = over_three_nodes();
        for (sighting, ttl) in sightings.iter_mut().zip([63, 62, 61]) {
            let mut observations = sighting.observations.to_vec();
            observations[1].tunnel_dst_ip = None;
            observations[1].component_info = None;
            observations[0].ttl = Some(ttl);
            sighting.observations = observations.into();
        }
        assert_eq!(text(&path(&sightings)), "n1 ~n2 ~n3?");
    }

    #[test]
    fn an_end_comes_last_whatever_the_clocks_say() {
        let dropped = Observation::new(Component::Routing, Action::Dropped).because(DropReason::NoRoute);
        let sightings = [
            sighting("n3", 0, 1, vec![received(), dropped]),
            sighting("n2", 0, 2, vec![received()]),
            sighting("n1", 0, 9, vec![spoof_guard(), tunnel_to(2)]),
        ];
        assert_eq!(text(&path(&sightings)), "n1 n2 ~n3?");
    }

    #[test]
    fn only_the_end_counts_where_only_drops_were_asked_for() {
        let sightings = &over_three_nodes()[2..];
        let path = assemble(sightings, &Beginning::Anywhere, &node_at);
        assert_eq!(text(&path), "n3!");
    }
}
