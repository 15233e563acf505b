//! The suite, tried on a network that keeps its promises and on others that break one each.

#![expect(clippy::unwrap_used, reason = "a broken network of ours should stop the test")]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use support::{Broken, Fabric, Flaw, everything};
use traceflow_conformance::{CASES, Outcome, Report, Suite};
use traceflow_core::datapath::Capabilities;
use traceflow_core::packet::{IpFamily, Protocol};

/// Claims that differ, so that each case has one that needs it.
fn claims() -> Vec<Capabilities> {
    let all = everything();
    vec![
        all.clone(),
        Capabilities {
            nonce: false,
            standing_watch: false,
            window: None,
            counts_matches: false,
            ..all.clone()
        },
        Capabilities {
            ipv4: false,
            protocols: Some(vec![Protocol::UDP, Protocol::SCTP]),
            ..all.clone()
        },
        Capabilities {
            ipv6: false,
            dropped_only: false,
            marks: 1,
            ..all.clone()
        },
        Capabilities {
            marks: 2,
            mark_memory: Duration::from_secs(5),
            ..all.clone()
        },
        Capabilities {
            inject: false,
            ..all.clone()
        },
        Capabilities {
            live: false,
            dropped_only: false,
            window: None,
            counts_matches: false,
            ..all
        },
        Capabilities {
            ipv4: true,
            ..Capabilities::default()
        },
    ]
}

async fn run(suite: &Suite, can: Capabilities, flaw: Option<Flaw>) -> Report {
    let start = || async {
        let fabric = Fabric::new(can.clone());
        let inner = fabric.clone();
        Ok(fabric.network(move |datapath| match flaw {
            Some(flaw) => Broken::wrap(flaw, datapath, inner.clone()),
            None => datapath,
        }))
    };
    suite.run(start).await
}

#[tokio::test(start_paused = true)]
async fn a_network_that_keeps_its_promises_passes_whatever_it_claims() {
    for can in claims() {
        let report = run(&Suite::default(), can.clone(), None).await;
        assert!(report.failed().is_empty(), "{can:?}\n{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_case_passes_somewhere() {
    let mut passed = BTreeSet::new();
    for can in claims() {
        let report = run(&Suite::default(), can, None).await;
        passed.extend(report.passed());
    }
    let never: Vec<_> = CASES
        .iter()
        .map(|case| case.name)
        .filter(|name| !passed.contains(name))
        .collect();
    assert_eq!(never, [""; 0]);
}

/// Every flaw, and the cases that must catch it on a network that claims everything.
#[rustfmt::skip]
const CAUGHT: &[(Flaw, &[&str])] = &[
    (Flaw::NamesANodeThatNobodyKnows, &["standing::every_datapath_has_a_node_of_its_own"]),
    (Flaw::ChangesItsCapabilities, &["standing::capabilities_stay_as_they_are"]),
    (Flaw::IsDirtyFromTheStart, &["standing::a_fresh_node_holds_nothing_of_ours"]),
    (Flaw::StacksAttaches, &["standing::attach_twice_is_attach_once"]),
    (Flaw::ForgetsToDetach, &["standing::detach_takes_away_what_attach_put"]),
    (Flaw::RefusesASecondDetach, &["standing::detach_twice_is_detach_once"]),
    (Flaw::IsDeafAfterASecondAttach, &["standing::a_detached_node_can_be_attached_again"]),
    (Flaw::GrowsWithEveryTrace, &["standing::what_stands_does_not_grow"]),
    (Flaw::KeepsOrphans, &["standing::a_dead_tracers_orphans_are_swept"]),
    (Flaw::LeavesTheProbeBehind, &["probes::a_probe_leaves_nothing", "traces::a_cancelled_trace_leaves_nothing"]),
    (Flaw::LeavesAnotherThingInstead, &["probes::a_probe_leaves_nothing", "standing::what_stands_does_not_grow"]),
    (Flaw::RefusesToRemoveWhatIsNotThere, &["probes::remove_works_for_what_was_never_installed"]),
    (Flaw::RefusesASecondRemove, &["probes::remove_twice_is_remove_once"]),
    (Flaw::CountsInstalls, &["probes::install_twice_leaves_nothing"]),
    (Flaw::LeavesAnInterruptedInstall, &["probes::an_interrupted_install_leaves_nothing"]),
    (Flaw::LeavesAnInterruptedInject, &["probes::an_interrupted_inject_leaves_nothing"]),
    (Flaw::CannotResumeARemove, &["probes::an_interrupted_remove_is_finished_by_the_next"]),
    (Flaw::ConcealsItsChanges, &["probes::what_a_probe_changed_is_told"]),
    (Flaw::TellsItsChangesTwice, &["probes::what_a_probe_changed_is_told"]),
    (Flaw::SaysThatItsChangesStay, &["probes::what_a_probe_changed_is_told"]),
    (Flaw::ForgetsWhatADroppedRemoveDid, &["probes::what_a_dropped_remove_did_not_tell_the_next_tells"]),
    (Flaw::KeepsAProbeForever, &["probes::a_forgotten_probe_goes_by_itself"]),
    (Flaw::IsBusyWhileAnotherCallRuns, &["probes::many_probes_come_and_go_at_once"]),
    (Flaw::LosesTheNonce, &["injected::a_packet_is_reported_with_its_nonce"]),
    (Flaw::MixesNoncesUp, &["injected::a_hundred_packets_at_once_keep_their_nonces", "traces::a_hundred_at_once_are_each_answered"]),
    (Flaw::NamesAnotherNode, &["injected::a_sighting_names_its_node_and_mark"]),
    (Flaw::SeesNoEnd, &["injected::a_packet_is_followed_to_its_end", "traces::a_delivered_packet_is_answered"]),
    (Flaw::GoesOnAfterTheEnd, &["injected::nothing_follows_the_end_of_the_path"]),
    (Flaw::LosesThePacketBetweenNodes, &["injected::a_packet_is_followed_to_another_node", "traces::a_packet_is_followed_over_two_nodes"]),
    (Flaw::DropsWithoutAReason, &["injected::a_drop_is_reported_with_its_reason", "injected::an_expired_ttl_is_told", "traces::a_drop_is_answered_with_its_reason", "paths::an_expired_ttl_is_answered"]),
    (Flaw::CallsTheOutsideDelivered, &["injected::a_packet_is_followed_to_the_outside", "traces::a_packet_that_leaves_is_answered", "traces::prediction_and_observation_agree"]),
    (Flaw::HandsOver, &["injected::a_packet_is_not_handed_to_the_pod"]),
    (Flaw::NeedsInstallInSpiteOfItsWatch, &["injected::the_standing_watch_needs_no_install"]),
    (Flaw::SeesTheFirstAttemptOnly, &["injected::attempts_of_one_probe_are_told_apart"]),
    (Flaw::RunsItsClockBackwards, &["injected::timestamps_do_not_run_backwards"]),
    (Flaw::CapturesAnother, &["injected::a_captured_packet_is_the_injected_one"]),
    (Flaw::IgnoresFamily(IpFamily::V4), &["injected::ipv4_is_followed"]),
    (Flaw::IgnoresFamily(IpFamily::V6), &["injected::ipv6_is_followed"]),
    (Flaw::IgnoresProtocol(Protocol::TCP), &["injected::tcp_is_followed"]),
    (Flaw::IgnoresProtocol(Protocol::UDP), &["injected::udp_is_followed"]),
    (Flaw::IgnoresProtocol(Protocol::ICMPV6), &["injected::icmp_is_followed"]),
    (Flaw::IgnoresProtocol(Protocol::SCTP), &["injected::sctp_is_followed"]),
    (Flaw::IgnoresProtocol(Protocol(253)), &["injected::any_protocol_is_followed"]),
    (Flaw::ReportsTwice, &["streams::a_report_comes_once"]),
    (Flaw::ReportsToOneStreamOnly, &["streams::every_stream_gets_every_report"]),
    (Flaw::RepeatsThePastToNewStreams, &["streams::a_stream_starts_when_it_is_opened"]),
    (Flaw::StopsWhenAStreamIsDropped, &["streams::a_dropped_stream_stops_nobody"]),
    (Flaw::LosesInSilence, &["streams::an_unread_stream_says_what_it_lost"]),
    (Flaw::MixesMarksUp, &["marks::two_marks_do_not_mix"]),
    (Flaw::RemovesOthersToo, &["marks::removing_one_probe_leaves_the_other"]),
    (Flaw::HasFewerMarksThanItSays, &["marks::all_claimed_marks_work_at_once"]),
    (Flaw::TakesOneMarkTooMany, &["marks::one_mark_more_is_refused"]),
    (Flaw::RemembersAMark, &["marks::a_mark_is_forgotten_in_time"]),
    (Flaw::WearsMarksOut, &["traces::marks_come_home", "traces::who_finds_no_mark_waits_for_its_turn"]),
    (Flaw::SeesNoTraffic, &["live::the_first_matching_packet_is_reported", "traces::real_traffic_is_answered"]),
    (Flaw::SeesGhosts, &["traces::silence_is_answered_with_its_cause"]),
    (Flaw::SeesTrafficOnItsFirstNodeOnly, &["live::a_matching_packet_is_followed_to_another_node"]),
    (Flaw::MatchesTooMuch, &["live::other_packets_are_not_reported", "live::two_probes_tell_their_packets_apart"]),
    (Flaw::ReportsUnasked, &["live::nothing_is_reported_unasked"]),
    (Flaw::ReportsAfterRemove, &["live::nothing_is_reported_after_remove"]),
    (Flaw::EatsWhatItFollows, &["live::a_followed_packet_still_arrives"]),
    (Flaw::ReportsNoDrop, &["live::dropped_only_reports_a_drop", "traces::a_real_drop_is_answered"]),
    (Flaw::ReportsWhatIsNotDropped, &["live::dropped_only_lets_others_pass_in_silence"]),
    (Flaw::Miscounts, &["live::matches_are_counted", "traces::packets_that_pass_are_told_when_none_is_dropped"]),
    (Flaw::MissesDscp, &["fields::dscp_is_matched"]),
    (Flaw::ReadsFlagsWithoutTheirMask, &["fields::tcp_flags_are_matched_under_their_mask"]),
    (Flaw::MissesIcmpCodes, &["fields::icmp_type_and_code_are_matched"]),
    (Flaw::IgnoresNewOnly, &["fields::new_only_takes_the_first_packet_of_a_connection"]),
    (Flaw::TakesNewConnectionsOnly, &["fields::a_connection_that_began_before_is_followed"]),
    (Flaw::MixesPacketsUp, &["paths::a_packet_is_told_from_others_on_both_nodes"]),
    (Flaw::HidesTheEndpoint, &["services::the_endpoint_is_told", "services::a_call_is_answered", "services::a_real_call_is_answered"]),
    (Flaw::TranslatesAConnectionOnce, &["services::one_connection_is_traced_again_and_again"]),
    (Flaw::RestartsInSilence, &["outages::a_restart_is_reported", "outages::traces_go_on_after_a_restart", "outages::a_live_trace_is_armed_again_after_a_restart"]),
    (Flaw::KeepsThingsOverARestart, &["outages::a_restart_leaves_nothing"]),
    (Flaw::IsDeafAfterARestart, &["outages::a_restarted_node_works_as_before"]),
    (Flaw::NeverEndsItsStreams, &["outages::reports_end_with_their_node", "outages::a_live_trace_does_not_outlast_its_node"]),
    (Flaw::PretendsToLive, &["outages::a_node_that_is_gone_is_unavailable", "outages::a_trace_from_a_node_that_is_gone_says_so", "outages::a_trace_to_a_node_that_is_gone_says_so"]),
    (Flaw::TouchesAllNodes, &["paths::a_live_trace_touches_its_path_only", "paths::an_injected_trace_touches_its_path_only"]),
    (Flaw::TakesStrangePods, &["refusals::a_strange_pod_is_refused"]),
    (Flaw::Panics, &["injected::a_packet_is_followed_to_its_end"]),
    (Flaw::Hangs, &["injected::a_packet_is_followed_to_its_end"]),
];

/// Flaws that show only where something is not claimed.
fn caught_elsewhere() -> Vec<(Flaw, Capabilities, &'static [&'static str])> {
    let all = everything();
    let takes = Flaw::TakesWhatItDoesNotClaim;
    let no_nonce = Capabilities {
        nonce: false,
        ..all.clone()
    };
    let no_watch = Capabilities {
        standing_watch: false,
        ..all.clone()
    };
    let no_count = Capabilities {
        window: None,
        counts_matches: false,
        ..all.clone()
    };
    let no_inject = Capabilities {
        inject: false,
        ..all.clone()
    };
    let no_live = Capabilities {
        live: false,
        ..all.clone()
    };
    let no_drops = Capabilities {
        dropped_only: false,
        ..all.clone()
    };
    let no_v4 = Capabilities {
        ipv4: false,
        ..all.clone()
    };
    let no_v6 = Capabilities {
        ipv6: false,
        ..all.clone()
    };
    let udp_only = Capabilities {
        protocols: Some(vec![Protocol::UDP]),
        ..all
    };
    vec![
        (
            Flaw::InventsANonce,
            no_nonce,
            &["injected::no_nonce_is_reported_unclaimed"],
        ),
        (
            Flaw::MissesTheFirstPacketAfterInstall,
            no_watch,
            &["injected::an_installed_probe_is_seen"],
        ),
        (
            Flaw::CountsUnclaimed,
            no_count,
            &["live::matches_are_not_counted_unclaimed"],
        ),
        (
            Flaw::IsDirtyFromTheStart,
            no_inject.clone(),
            &["traces::injecting_is_refused_untouched"],
        ),
        (
            Flaw::IsDirtyFromTheStart,
            no_live.clone(),
            &["traces::following_is_refused_untouched"],
        ),
        (takes, no_inject, &["refusals::injecting_is_refused_unclaimed"]),
        (takes, no_live, &["refusals::real_traffic_is_refused_unclaimed"]),
        (takes, no_drops, &["refusals::dropped_only_is_refused_unclaimed"]),
        (takes, no_v4, &["refusals::ipv4_is_refused_unclaimed"]),
        (takes, no_v6, &["refusals::ipv6_is_refused_unclaimed"]),
        (takes, udp_only, &["refusals::a_protocol_is_refused_unclaimed"]),
    ]
}

fn all_flaws() -> Vec<(Flaw, Capabilities, &'static [&'static str])> {
    let mut all: Vec<_> = CAUGHT
        .iter()
        .map(|&(flaw, cases)| (flaw, everything(), cases))
        .collect();
    all.extend(caught_elsewhere());
    all
}

#[tokio::test(start_paused = true)]
async fn every_broken_promise_is_caught_by_its_case() {
    let mut missed = Vec::new();
    for (flaw, can, cases) in all_flaws() {
        for case in cases {
            let suite = Suite {
                only: (*case).to_owned(),
                ..Suite::default()
            };
            let report = run(&suite, can.clone(), Some(flaw)).await;
            if report.failed() != [*case] {
                missed.push(format!("{flaw:?}:\n{report}"));
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn every_case_catches_a_broken_promise() {
    let catching: BTreeSet<_> = all_flaws().into_iter().flat_map(|(_, _, cases)| cases).collect();
    let idle: Vec<_> = CASES
        .iter()
        .map(|case| case.name)
        .filter(|name| !catching.contains(name))
        .collect();
    assert_eq!(idle, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_or_a_hang_stops_no_other_case() {
    for flaw in [Flaw::Panics, Flaw::Hangs] {
        let report = run(&Suite::default(), everything(), Some(flaw)).await;
        assert_eq!(report.cases.len(), CASES.len());
        assert!(
            report.passed().contains(&"live::matches_are_counted"),
            "{flaw:?}\n{report}"
        );
        let entry = report
            .cases
            .iter()
            .find(|entry| entry.case.name == "injected::a_packet_is_followed_to_its_end");
        let Outcome::Failed(failure) = &entry.unwrap().outcome else {
            panic!("{report}")
        };
        let seen = if flaw == Flaw::Panics {
            "a panic: this datapath panics"
        } else {
            "it still running after 60s"
        };
        assert_eq!(failure.seen, seen);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_left_behind_fails_any_case() {
    let report = run(&Suite::default(), everything(), Some(Flaw::ForgetsToDetach)).await;
    let fails = |name: &str| report.failed().contains(&name);
    assert!(
        fails("live::matches_are_counted") && fails("marks::two_marks_do_not_mix"),
        "{report}"
    );
}

#[test]
fn names_are_told_apart_and_say_their_group() {
    let names: BTreeSet<_> = CASES.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), CASES.len());
    assert!(names.iter().all(|name| name.contains("::")));
}
