//! What breaks, and what is left.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use traceflow_core::datapath::{DatapathError, Mark, Report, TraceId};
use traceflow_core::packet::Protocol;
use traceflow_core::trace::Verdict;
use traceflow_sim::{NodeFaults, SimNetwork, TunnelFault};

use crate::support::{Asking, datapath, drain, live, two_nodes};

fn words() -> Option<Arc<str>> {
    Some("table full".into())
}

/// Injects a packet from `a` to `b`, both attached, and counts the sightings at each.
async fn seen(network: &SimNetwork) -> (usize, usize) {
    let (a, b) = (datapath(network, "a"), datapath(network, "b"));
    let (mut at_a, mut at_b) = (a.reports(), b.reports());
    let _ = (a.attach().await, b.attach().await);
    let (probe, packet) = Asking::tcp("client", "web", 80).probe(network.cluster());
    let _ = a.inject(&probe, &packet).await;
    (drain(&mut at_a).len(), drain(&mut at_b).len())
}

#[tokio::test]
async fn refusals_carry_the_words_they_were_given() {
    let network = two_nodes();
    let a = datapath(&network, "a");
    let faults = NodeFaults {
        refuse_install: words(),
        refuse_inject: words(),
        refuse_remove: words(),
        ..NodeFaults::default()
    };
    network.set_faults(a.node(), faults);
    let (probe, packet) = Asking::tcp("client", "web", 80).probe(network.cluster());
    let answers = [
        a.install(&probe).await.unwrap_err(),
        a.inject(&probe, &packet).await.unwrap_err(),
        a.remove(&probe).await.unwrap_err(),
    ];
    for answer in answers {
        assert_eq!(answer.to_string(), "the datapath refused: table full");
    }
}

#[tokio::test]
async fn an_unavailable_node_answers_nothing_and_passes_packets() {
    let network = two_nodes();
    let faults = NodeFaults {
        unavailable: Some("connection reset".into()),
        ..NodeFaults::default()
    };
    network.set_faults(&"b".into(), faults);
    let b = datapath(&network, "b");
    assert_eq!(
        b.attach().await.unwrap_err().to_string(),
        "the datapath is unavailable: connection reset"
    );
    assert!(b.leftovers().await.is_err());
    assert_eq!(seen(&network).await, (1, 0));
    let fate = network.send(&"client->web icmp".parse().unwrap()).unwrap();
    assert_eq!(fate.request.verdict, Verdict::Delivered { node: "b".into() });
}

#[tokio::test]
async fn what_an_unreachable_node_kept_is_gone_after_its_lifetime() {
    tokio::time::pause();
    let network = two_nodes();
    let a = datapath(&network, "a");
    let (injected, packet) = Asking::tcp("client", "web", 80).probe(network.cluster());
    a.inject(&injected, &packet).await.unwrap();
    let watching = live(&network, "client", "web", Protocol::TCP, None, false);
    a.install(&watching).await.unwrap();
    assert_eq!(
        network.leftovers(),
        [
            "a: probe of trace 7 with mark 7",
            "a: connection tracking entry TCP 10.244.0.2:40000 -> 10.244.1.2:80 of trace 1",
            "a: connection tracking entry TCP 10.244.1.2:80 -> 10.244.0.2:40000 of trace 1",
            "b: connection tracking entry TCP 10.244.0.2:40000 -> 10.244.1.2:80 of trace 1",
            "b: connection tracking entry TCP 10.244.1.2:80 -> 10.244.0.2:40000 of trace 1",
        ]
    );
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(network.leftovers(), Vec::<String>::new());
}

#[tokio::test]
async fn a_lifetime_may_be_as_long_as_it_likes() {
    let network = two_nodes();
    let (mut probe, packet) = Asking::tcp("client", "web", 80).probe(network.cluster());
    probe.lifetime = Duration::MAX;
    let a = datapath(&network, "a");
    a.install(&probe).await.unwrap();
    a.inject(&probe, &packet).await.unwrap();
    for datapath in network.datapaths() {
        datapath.remove(&probe).await.unwrap();
    }
    assert_eq!(network.leftovers(), Vec::<String>::new());
}

#[tokio::test]
async fn a_dead_node_ends_its_reports_and_loses_packets() {
    let network = two_nodes();
    let b = datapath(&network, "b");
    let mut reports = b.reports();
    network.kill(b.node());
    assert_eq!(reports.next().await, None);
    assert_eq!(b.reports().next().await, None);
    assert!(matches!(b.attach().await, Err(DatapathError::Unavailable(_))));
    let fate = network.send(&"client->web icmp".parse().unwrap()).unwrap();
    assert!(matches!(fate.request.verdict, Verdict::Unanswered(_)));
    network.restart(b.node());
    assert_eq!(seen(&network).await, (1, 1), "it came back to life");
}

#[tokio::test]
async fn a_restart_forgets_everything_and_says_so() {
    let network = two_nodes();
    let a = datapath(&network, "a");
    let mut reports = a.reports();
    a.attach().await.unwrap();
    a.install(&live(&network, "client", "web", Protocol::TCP, None, false))
        .await
        .unwrap();
    network.restart(a.node());
    assert_eq!(reports.next().await, Some(Report::Restarted));
    assert_eq!(network.leftovers(), Vec::<String>::new());
}

#[tokio::test]
async fn reports_are_lost_and_told() {
    let network = two_nodes();
    let faults = NodeFaults {
        lose_reports: 1,
        tell_losses: true,
        ..NodeFaults::default()
    };
    let a = datapath(&network, "a");
    let mut reports = a.reports();
    network.set_faults(a.node(), faults);
    assert_eq!(seen(&network).await, (0, 1));
    assert_eq!(reports.next().await, Some(Report::Lost { count: 1 }));
    assert_eq!(seen(&network).await, (1, 1), "only one was to be lost");
}

#[tokio::test]
async fn reports_are_repeated() {
    let network = two_nodes();
    let faults = NodeFaults {
        repeat_reports: 2,
        ..NodeFaults::default()
    };
    network.set_faults(&"b".into(), faults);
    assert_eq!(seen(&network).await, (1, 3));
}

#[tokio::test(start_paused = true)]
async fn reports_are_late() {
    let network = two_nodes();
    let faults = NodeFaults {
        delay_reports: Duration::from_secs(3),
        ..NodeFaults::default()
    };
    let b = datapath(&network, "b");
    network.set_faults(b.node(), faults);
    let mut reports = b.reports();
    let before = tokio::time::Instant::now();
    assert_eq!(seen(&network).await, (1, 0));
    assert!(matches!(reports.next().await, Some(Report::Seen(_))));
    assert_eq!(before.elapsed(), Duration::from_secs(3));
}

#[tokio::test]
async fn a_tunnel_may_eat_marks_or_packets() {
    for (tunnel, expected) in [(TunnelFault::EatsMarks, true), (TunnelFault::EatsPackets, false)] {
        let network = two_nodes();
        let faults = NodeFaults {
            tunnel,
            ..NodeFaults::default()
        };
        network.set_faults(&"a".into(), faults);
        assert_eq!(seen(&network).await, (1, 0));
        let fate = network.send(&"client->web icmp".parse().unwrap()).unwrap();
        assert_eq!(matches!(fate.request.verdict, Verdict::Delivered { .. }), expected);
    }
}

#[tokio::test]
async fn marks_are_few_and_not_shared() {
    let network = two_nodes();
    let a = datapath(&network, "a");
    for mark in 1..=63 {
        a.install(&marked(&network, mark, mark)).await.unwrap();
    }
    let refused = |error: DatapathError| error.to_string();
    let shared = a.install(&marked(&network, 99, 5)).await.unwrap_err();
    assert_eq!(refused(shared), "the datapath refused: mark 5 is in use by trace 5");
    let one_more = a.install(&marked(&network, 99, 99)).await.unwrap_err();
    assert_eq!(refused(one_more), "the datapath refused: all 63 marks are in use");
    a.install(&marked(&network, 5, 5)).await.unwrap();
    assert_eq!(
        a.leftovers().await.unwrap().len(),
        63,
        "installing again changes nothing"
    );
}

fn marked(network: &SimNetwork, trace: u32, mark: u32) -> traceflow_core::datapath::Probe {
    let mut probe = live(network, "client", "web", Protocol::TCP, None, false);
    (probe.trace, probe.mark) = (TraceId(trace.into()), Mark(mark));
    probe
}

#[tokio::test]
async fn a_packet_is_let_in_at_its_pods_own_node_only() {
    let network = two_nodes();
    let (probe, packet) = Asking::tcp("client", "web", 80).probe(network.cluster());
    let error = datapath(&network, "b").inject(&probe, &packet).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the datapath refused: no port of Pod default/client is on this node"
    );
}

#[tokio::test]
async fn removing_touches_no_connection_of_real_traffic() {
    let network = two_nodes();
    let asking = Asking::tcp("client", "web", 80);
    let (probe, packet) = asking.probe(network.cluster());
    let a = datapath(&network, "a");
    a.inject(&probe, &packet).await.unwrap();
    // The same connection in earnest takes the entries over.
    network
        .send(&"client->web tcp,tcp_dst=80,tcp_src=40000".parse().unwrap())
        .unwrap();
    assert_eq!(network.leftovers(), Vec::<String>::new());
    a.remove(&probe).await.unwrap();
    let ack = network
        .send(
            &"client->web tcp,tcp_dst=80,tcp_src=40000,tcp_flags=+fin+ack"
                .parse()
                .unwrap(),
        )
        .unwrap();
    assert_eq!(
        ack.request.verdict,
        Verdict::Delivered { node: "b".into() },
        "a FIN needs a known connection"
    );
}
