//! The one list of all cases, in the order in which they run.

mod asking;
mod fields;
mod injected;
mod live;
mod marks;
mod outages;
mod paths;
mod probes;
mod refusals;
mod services;
mod standing;
mod streams;
mod traces;

use traceflow_core::packet::{IpFamily, Protocol};

use crate::case::Feature::{
    CountsMatches, DroppedOnly, EveryProtocol, Family, Inject, Live, Marks, Nonce, Protocol as Of, StandingWatch, Trace,
};
use crate::case::Need::{Can, Cannot, Has};
use crate::case::Part::{
    CountingWorkloads, CrossNode, Dropped, Kill, Outside, Predictor, Restart, Routed, Service, Successor, Workloads,
};
use crate::case::{Case, FEW_MARKS, Stop};

/// A case from the path of its function, which gives it its name.
macro_rules! case {
    ($group:ident::$fact:ident, $promise:literal, [$($need:expr),*]) => {
        Case {
            name: concat!(stringify!($group), "::", stringify!($fact)),
            promise: $promise,
            needs: &[$($need),*],
            run: |trial| Box::pin(async { $group::$fact(trial).await.map_err(Stop::from) }),
        }
    };
}

/// Every case there is.
#[rustfmt::skip]
pub const CASES: &[Case] = &[
    case!(standing::every_datapath_has_a_node_of_its_own, "Each datapath names a node that the inventory knows, no two the same", []),
    case!(standing::a_fresh_node_holds_nothing_of_ours, "Before attach, nothing of ours is on any node", []),
    case!(standing::attach_twice_is_attach_once, "A second attach changes nothing", []),
    case!(standing::detach_takes_away_what_attach_put, "After detach, nothing of ours is on any node", []),
    case!(standing::detach_twice_is_detach_once, "A second detach changes nothing", []),
    case!(standing::a_detached_node_can_be_attached_again, "Attach works after detach as it did before", []),
    case!(standing::capabilities_stay_as_they_are, "Capabilities don't change while the datapath lives", []),
    case!(standing::what_stands_does_not_grow, "What attach put in place stays constant in size, however many traces follow", [Can(Inject)]),
    case!(standing::a_dead_tracers_orphans_are_swept, "Attach sweeps what a dead tracer left behind", [Can(Trace), Has(Successor)]),

    case!(probes::a_probe_leaves_nothing, "After install and remove the node is as before", [Can(Trace)]),
    case!(probes::remove_works_for_what_was_never_installed, "Removing a probe that was never installed here is no error", [Can(Trace)]),
    case!(probes::remove_twice_is_remove_once, "A second remove changes nothing", [Can(Trace)]),
    case!(probes::install_twice_leaves_nothing, "One remove takes away what two installs of a probe put in place", [Can(Trace)]),
    case!(probes::an_interrupted_install_leaves_nothing, "Remove takes away what an install that was dropped half way put in place", [Can(Trace)]),
    case!(probes::an_interrupted_inject_leaves_nothing, "Remove takes away what an inject that was dropped half way put in place", [Can(Inject)]),
    case!(probes::an_interrupted_remove_is_finished_by_the_next, "A remove that was dropped half way is finished by the next", [Can(Trace)]),
    case!(probes::a_forgotten_probe_goes_by_itself, "A probe that nobody removes is gone after its lifetime", [Can(Trace)]),
    case!(probes::what_a_probe_changed_is_told, "Remove tells of changes, all undone, where install put something in place, and of none elsewhere or twice", [Can(Trace)]),
    case!(probes::what_a_dropped_remove_did_not_tell_the_next_tells, "Changes that a remove undid and was dropped before it told of are told by the next", [Can(Trace)]),
    case!(probes::many_probes_come_and_go_at_once, "Install and remove may be called at the same time from many tasks", [Can(Marks(2))]),

    case!(injected::a_packet_is_reported_with_its_nonce, "Reports of an injected packet carry its nonce", [Can(Inject), Can(Nonce)]),
    case!(injected::no_nonce_is_reported_unclaimed, "Who doesn't claim to read nonces reports none", [Can(Inject), Cannot(Nonce)]),
    case!(injected::a_sighting_names_its_node_and_mark, "A report names the node that saw the packet and the mark of its probe", [Can(Inject)]),
    case!(injected::a_packet_is_followed_to_its_end, "A packet for a Pod on the same node is reported up to its delivery", [Can(Inject)]),
    case!(injected::nothing_follows_the_end_of_the_path, "Observations come in the order in which things were done; the last ends the path", [Can(Inject)]),
    case!(injected::a_packet_is_followed_to_another_node, "Both nodes report a packet that crosses between them, under one mark", [Can(Inject), Has(CrossNode)]),
    case!(injected::a_drop_is_reported_with_its_reason, "A packet that is dropped is reported as dropped, and why", [Can(Inject), Has(Dropped)]),
    case!(injected::a_packet_is_followed_to_the_outside, "A packet that leaves the network is reported as leaving", [Can(Inject), Has(Outside)]),
    case!(injected::an_expired_ttl_is_told, "A packet whose TTL expires is reported as dropped, for that reason", [Can(Inject), Has(Routed)]),
    case!(injected::a_packet_is_not_handed_to_the_pod, "An injected packet is not handed to its destination", [Can(Inject), Has(CountingWorkloads)]),
    case!(injected::the_standing_watch_needs_no_install, "What attach put in place sees injected packets", [Can(Inject), Can(StandingWatch)]),
    case!(injected::an_installed_probe_is_seen, "Without a standing watch, the first packet after install is reported", [Can(Inject), Cannot(StandingWatch)]),
    case!(injected::attempts_of_one_probe_are_told_apart, "Later attempts of a probe differ in the nonce, and so do their reports", [Can(Inject), Can(Nonce)]),
    case!(injected::a_hundred_packets_at_once_keep_their_nonces, "Packets that share a mark are told apart by their nonces", [Can(Inject), Can(Nonce)]),
    case!(injected::timestamps_do_not_run_backwards, "A later packet's report on a node doesn't have an earlier time", [Can(Inject)]),
    case!(injected::a_captured_packet_is_the_injected_one, "What was captured has the addresses and the protocol of what was injected", [Can(Inject)]),
    case!(injected::ipv4_is_followed, "Packets of IPv4 are followed if claimed", [Can(Inject), Can(Family(IpFamily::V4))]),
    case!(injected::ipv6_is_followed, "Packets of IPv6 are followed if claimed", [Can(Inject), Can(Family(IpFamily::V6))]),
    case!(injected::tcp_is_followed, "TCP is followed if claimed", [Can(Inject), Can(Of(Protocol::TCP))]),
    case!(injected::udp_is_followed, "UDP is followed if claimed", [Can(Inject), Can(Of(Protocol::UDP))]),
    case!(injected::icmp_is_followed, "ICMP and ICMPv6 are followed if claimed", [Can(Inject), Can(Of(Protocol::ICMP))]),
    case!(injected::sctp_is_followed, "SCTP is followed if claimed", [Can(Inject), Can(Of(Protocol::SCTP))]),
    case!(injected::any_protocol_is_followed, "Protocols without ports are followed if all are claimed", [Can(Inject), Can(EveryProtocol)]),

    case!(streams::every_stream_gets_every_report, "Two streams get the same reports", [Can(Inject)]),
    case!(streams::a_stream_starts_when_it_is_opened, "A stream has the reports from its opening on, none from before", [Can(Inject)]),
    case!(streams::a_report_comes_once, "No report comes twice", [Can(Inject)]),
    case!(streams::a_dropped_stream_stops_nobody, "The other streams go on when one is dropped", [Can(Inject)]),
    case!(streams::an_unread_stream_says_what_it_lost, "A stream that isn't read loses the newest reports and says how many", [Can(Inject), Can(Nonce)]),

    case!(marks::two_marks_do_not_mix, "Reports of one probe's packet never come under another's mark", [Can(Inject), Can(Marks(2))]),
    case!(marks::removing_one_probe_leaves_the_other, "Removing a probe doesn't disturb another", [Can(Inject), Can(Marks(2))]),
    case!(marks::all_claimed_marks_work_at_once, "As many probes as marks are claimed work at once", [Can(Inject)]),
    case!(marks::one_mark_more_is_refused, "One probe more than marks are claimed is refused", [Can(Live), Cannot(Marks(FEW_MARKS + 1))]),
    case!(marks::a_mark_is_forgotten_in_time, "After remove and the mark's memory, a mark works anew and shows nothing old", [Can(Inject)]),

    case!(live::the_first_matching_packet_is_reported, "After install the next matching packet is reported, in each family", [Can(Live), Has(Workloads)]),
    case!(live::a_matching_packet_is_followed_to_another_node, "Both nodes report a matching packet that crosses between them", [Can(Live), Has(Workloads), Has(CrossNode)]),
    case!(live::other_packets_are_not_reported, "Packets that differ in any matched field are not reported", [Can(Live), Has(Workloads)]),
    case!(live::nothing_is_reported_unasked, "Real traffic is not reported without a probe", [Has(Workloads)]),
    case!(live::nothing_is_reported_after_remove, "After remove, matching packets are not reported", [Can(Live), Has(Workloads)]),
    case!(live::a_followed_packet_still_arrives, "Following a packet doesn't keep it from its Pod", [Can(Live), Has(CountingWorkloads)]),
    case!(live::two_probes_tell_their_packets_apart, "Each of two probes reports its own packet, under its own mark", [Can(Live), Can(Marks(2)), Has(Workloads)]),
    case!(live::dropped_only_reports_a_drop, "A probe for dropped packets reports one", [Can(DroppedOnly), Has(Workloads), Has(Dropped)]),
    case!(live::dropped_only_lets_others_pass_in_silence, "A probe for dropped packets reports none that is delivered", [Can(DroppedOnly), Has(Workloads)]),
    case!(live::matches_are_counted, "Remove tells how many packets matched", [Can(Live), Can(CountsMatches), Has(Workloads)]),
    case!(live::matches_are_not_counted_unclaimed, "Who doesn't claim to count matches gives no number", [Can(Live), Cannot(CountsMatches), Has(Workloads)]),

    case!(fields::dscp_is_matched, "A probe for a DSCP takes the packets that have it", [Can(Live), Has(Workloads)]),
    case!(fields::tcp_flags_are_matched_under_their_mask, "A probe for TCP flags looks only at those that it names", [Can(Live), Can(Of(Protocol::TCP)), Has(Workloads)]),
    case!(fields::icmp_type_and_code_are_matched, "A probe for an ICMP type and code takes the packets that have both", [Can(Live), Can(Of(Protocol::ICMP)), Has(Workloads)]),
    case!(fields::new_only_takes_the_first_packet_of_a_connection, "A probe for new connections leaves those alone that began before", [Can(Live), Has(Workloads)]),
    case!(fields::a_connection_that_began_before_is_followed, "A probe for any packet takes one of a connection that began before", [Can(Live), Has(Workloads)]),

    case!(services::the_endpoint_is_told, "Reports of a packet to a Service say once which endpoint was chosen, and it arrives there", [Can(Inject), Has(Service)]),
    case!(services::a_call_is_answered, "A trace to a Service is answered: delivered to an endpoint that is named", [Can(Inject), Has(Service)]),
    case!(services::one_connection_is_traced_again_and_again, "Traces of one connection to a Service, one after the other or at once, don't confuse each other", [Can(Inject), Has(Service)]),
    case!(services::a_real_call_is_answered, "A live trace of a Service's traffic, by the Service's address, is answered", [Can(Live), Has(Workloads), Has(Service)]),

    case!(outages::a_restart_is_reported, "A datapath that restarted says so", [Has(Restart)]),
    case!(outages::a_restart_leaves_nothing, "After a restart nothing that was put in place is there any more", [Has(Restart)]),
    case!(outages::a_restarted_node_works_as_before, "After a restart and attach, packets are reported to the streams that were open", [Can(Inject), Has(Restart)]),
    case!(outages::traces_go_on_after_a_restart, "A tracer whose node restarted answers the next trace as before", [Can(Inject), Has(Restart)]),
    case!(outages::a_live_trace_is_armed_again_after_a_restart, "A live trace goes on when its node restarts", [Can(Live), Has(Workloads), Has(Restart)]),
    case!(outages::reports_end_with_their_node, "The streams of a node that is gone for good end", [Has(Kill)]),
    case!(outages::a_node_that_is_gone_is_unavailable, "Every call to a node that is gone fails as unavailable, and doesn't hang", [Has(Kill)]),
    case!(outages::a_trace_from_a_node_that_is_gone_says_so, "A trace that starts at a node that is gone ends with that error", [Can(Trace), Has(Kill)]),
    case!(outages::a_live_trace_does_not_outlast_its_node, "A live trace whose node goes for good is answered then, without waiting for its time to be over", [Can(Live), Has(Kill)]),
    case!(outages::a_trace_to_a_node_that_is_gone_says_so, "A trace whose packet goes to a node that is gone names it as a cause", [Can(Inject), Has(Kill), Has(CrossNode)]),

    case!(refusals::injecting_is_refused_unclaimed, "Who doesn't claim to inject refuses it as unsupported", [Cannot(Inject)]),
    case!(refusals::real_traffic_is_refused_unclaimed, "Who doesn't claim to follow real traffic refuses it as unsupported", [Cannot(Live)]),
    case!(refusals::dropped_only_is_refused_unclaimed, "Who doesn't claim to follow only drops refuses it as unsupported", [Can(Live), Cannot(DroppedOnly)]),
    case!(refusals::ipv4_is_refused_unclaimed, "Who doesn't claim IPv4 refuses it as unsupported", [Cannot(Family(IpFamily::V4))]),
    case!(refusals::ipv6_is_refused_unclaimed, "Who doesn't claim IPv6 refuses it as unsupported", [Cannot(Family(IpFamily::V6))]),
    case!(refusals::a_protocol_is_refused_unclaimed, "A protocol that isn't claimed is refused as unsupported", [Cannot(EveryProtocol)]),
    case!(refusals::a_strange_pod_is_refused, "Injecting at a Pod that isn't on the node is an error and leaves nothing", [Can(Inject)]),

    case!(traces::a_delivered_packet_is_answered, "A trace to a Pod on the same node is answered: delivered", [Can(Inject)]),
    case!(traces::a_packet_is_followed_over_two_nodes, "A trace to another node shows both nodes in order, without a gap", [Can(Inject), Has(CrossNode)]),
    case!(traces::a_drop_is_answered_with_its_reason, "A trace of a packet that is dropped is answered: dropped, and why", [Can(Inject), Has(Dropped)]),
    case!(traces::a_packet_that_leaves_is_answered, "A trace to the outside is answered: left the network", [Can(Inject), Has(Outside)]),
    case!(traces::a_hundred_at_once_are_each_answered, "A hundred traces at once get an answer each, to their own question", [Can(Inject), Can(Nonce)]),
    case!(traces::a_cancelled_trace_leaves_nothing, "A trace that is dropped on its way leaves nothing on any node", [Can(Trace)]),
    case!(traces::marks_come_home, "More live traces than marks, one after the other, all find one", [Can(Live), Can(Marks(1)), Cannot(Marks(FEW_MARKS + 1))]),
    case!(traces::who_finds_no_mark_waits_for_its_turn, "When all marks are in use, traces queue in order and go on when one is free", [Can(Live), Can(Marks(1)), Cannot(Marks(FEW_MARKS + 1))]),
    case!(traces::prediction_and_observation_agree, "The path that is observed is the one that was predicted", [Can(Inject), Has(Predictor)]),
    case!(traces::real_traffic_is_answered, "A live trace of a packet that is delivered is answered: delivered", [Can(Live), Has(Workloads)]),
    case!(traces::a_real_drop_is_answered, "A live trace for drops is answered: dropped", [Can(Live), Can(DroppedOnly), Has(Workloads), Has(Dropped)]),
    case!(traces::packets_that_pass_are_told_when_none_is_dropped, "A live trace for drops says how many packets passed, if none was dropped", [Can(Live), Can(DroppedOnly), Can(CountsMatches), Has(Workloads)]),
    case!(traces::silence_is_answered_with_its_cause, "A live trace without traffic says so", [Can(Live)]),
    case!(traces::injecting_is_refused_untouched, "A trace that would inject is refused before anything is touched, if that isn't claimed", [Cannot(Inject)]),
    case!(traces::following_is_refused_untouched, "A trace of real traffic is refused before anything is touched, if that isn't claimed", [Cannot(Live)]),

    case!(paths::a_live_trace_touches_its_path_only, "A live trace watches the predicted path only, and names the nodes that it didn't watch", [Can(Live), Has(Predictor), Has(CrossNode)]),
    case!(paths::an_injected_trace_touches_its_path_only, "An injected trace puts nothing on nodes off its predicted path", [Can(Inject), Has(Predictor), Has(CrossNode)]),
    case!(paths::a_packet_is_told_from_others_on_both_nodes, "A live trace over two nodes follows one packet, however many match", [Can(Live), Has(Workloads), Has(CrossNode)]),
    case!(paths::an_expired_ttl_is_answered, "A trace of a packet whose TTL expires is answered: dropped, for that reason", [Can(Inject), Has(Routed)]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{Need, Part};

    #[test]
    fn every_claim_has_a_case_that_proves_it_and_one_for_who_does_not_make_it() {
        let four = Family(IpFamily::V4);
        let six = Family(IpFamily::V6);
        let claims = [
            Inject,
            Live,
            DroppedOnly,
            four,
            six,
            EveryProtocol,
            Nonce,
            StandingWatch,
            CountsMatches,
        ];
        let needed = |need: Need| CASES.iter().any(|case| case.needs.contains(&need));
        for claim in claims {
            assert!(needed(Can(claim)), "nothing proves the claim to {claim}");
            assert!(
                needed(Cannot(claim)),
                "nothing is tried where there is no claim to {claim}"
            );
        }
        assert!(needed(Can(Marks(2))) && needed(Cannot(Marks(FEW_MARKS + 1))));
    }
    #[test]
    fn every_part_of_a_network_has_a_case_that_needs_it() {
        let parts = [
            CrossNode,
            Dropped,
            Outside,
            Routed,
            Service,
            Workloads,
            CountingWorkloads,
            Predictor,
            Successor,
            Restart,
            Kill,
        ];
        let unused = |part: &Part| !CASES.iter().any(|case| case.needs.contains(&Has(*part)));
        assert_eq!(parts.into_iter().find(unused), None);
    }
}
