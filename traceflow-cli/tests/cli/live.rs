//! Live traces, with traffic that the simulated workloads send.

use crate::{on_demo, traceflow_reading};

const LIVE: [&str; 7] = ["trace", "-S", "pod1", "-D", "pod3", "-L", "-fip"];

fn live(flow: &str, more: &[&str]) -> crate::Run {
    let mut args = LIVE.to_vec();
    let flow = format!("-f{flow}");
    args[6] = &flow;
    on_demo(&[&args, more].concat())
}

#[test]
fn a_live_trace_says_when_it_is_armed() {
    let run = live("icmp", &["--send", "pod1->pod3 icmp"]);
    let armed = run
        .err
        .lines()
        .find(|line| line.contains("armed"))
        .expect("a line says so");
    assert_eq!(
        armed,
        "pod1-to-pod3: armed on k8s2-md-0-647454fc57-9sf7n, k8s2-md-0-647454fc57-qpqbg"
    );
    assert!(!run.out.contains("armed"), "progress is not part of the answer");
}

#[test]
fn without_traffic_the_answer_says_that_nothing_matched() {
    let run = live("icmp", &[]);
    assert_eq!(run.exit, 3);
    assert!(
        run.out.contains("no real packet matched while the trace was armed"),
        "{}",
        run.out
    );
}

#[test]
fn other_traffic_is_not_taken_for_the_one_that_was_asked_for() {
    let run = live(
        "tcp,tcp_dst=80",
        &[
            "--send",
            "pod1->pod3 tcp,tcp_dst=443",
            "--send",
            "pod1->pod2 tcp,tcp_dst=80",
        ],
    );
    assert_eq!(run.exit, 3, "{}", run.out);
}

#[test]
fn of_several_packets_the_first_that_matches_is_followed() {
    let sent = [
        "--send",
        "pod1->pod3 icmp",
        "--send",
        "pod1->pod3 tcp,tcp_src=4711,tcp_dst=80",
    ];
    let run = live("tcp,tcp_dst=80", &sent);
    assert_eq!(run.exit, 0);
    assert!(run.out.contains("4711"), "{}", run.out);
}

#[test]
fn if_only_dropped_packets_count_and_none_is_dropped_the_answer_counts_those_that_passed() {
    let sent = [
        "--send",
        "pod1->pod3 tcp,tcp_dst=80",
        "--send",
        "pod1->pod3 tcp,tcp_dst=80",
    ];
    let run = live("tcp,tcp_dst=80", &[&["--dropped-only"], &sent[..]].concat());
    assert_eq!(run.exit, 0);
    assert!(
        run.out
            .contains("2 matching packets came in, none was seen to be dropped"),
        "{}",
        run.out
    );
}

#[test]
fn traffic_without_a_live_trace_is_refused() {
    let run = on_demo(&["trace", "-S", "pod1", "-D", "pod3", "--send", "pod1->pod3 icmp"]);
    assert_eq!(run.exit, 2);
    assert!(run.err.contains("--send is for live traces"), "{}", run.err);
}

#[test]
fn traffic_that_nobody_can_send_is_refused_before_anything_is_traced() {
    for (traffic, reason) in [
        ("pod9->pod3 icmp", "default/pod9 is not in the cluster"),
        ("pod1->pod3", "say what is sent"),
        ("pod1 pod3 icmp", "->"),
        ("pod1->pod3 tcp", "destination port"),
        ("tf-destination->pod3 icmp", "tf-destination"),
    ] {
        let run = live("icmp", &["--send", traffic]);
        assert_eq!(run.exit, 2, "{traffic}: {}", run.err);
        assert!(run.err.contains(reason), "{traffic}: {}", run.err);
        assert!(!run.err.contains("armed"), "{traffic}: {}", run.err);
    }
}

/// The simulated nodes have fewer marks than that.
#[test]
fn traces_that_had_to_queue_see_traffic_too() {
    let manifests: Vec<String> = (0..100)
        .map(|number| {
            format!(
                "{{apiVersion: crd.antrea.io/v1beta1, kind: Traceflow, metadata: {{name: tf-{number}}}, spec: \
                 {{liveTraffic: true, source: {{pod: pod1}}, destination: {{pod: pod3}}}}}}\n"
            )
        })
        .collect();
    let run = traceflow_reading(
        &manifests.join("---\n"),
        &["run", "--cluster", "examples/demo", "--send", "pod1->pod3 icmp", "-"],
    );
    assert!(run.err.contains("queued at place 1"), "{}", run.err);
    assert_eq!(run.out.matches("DROPPED on").count(), 100);
    assert_eq!(run.exit, 0);
}
