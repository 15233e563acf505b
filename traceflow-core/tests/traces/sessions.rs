//! Facts about traces over one set of nodes, told as dialogues: what is ordered, what happens, what is answered.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use traceflow_core::Error;
use traceflow_core::datapath::{
    Capabilities, DatapathError, Mark, Probe, ProbeKind, Removed, Report, Sighting, TraceId,
};
use traceflow_core::inventory::Owner;
use traceflow_core::names::ObjectName;
use traceflow_core::observation::Observation;
use traceflow_core::packet::{CapturedPacket, CapturedTransport, IpFamily, Nonce};
use traceflow_core::plan::{Plan, Question};
use traceflow_core::receipt::{Change, Changed, Fate, NodeReceipt};
use traceflow_core::session::{Command, Event, Order, Progress, Request, Sessions, Task, Watch};
use traceflow_core::trace::{Cause, Hop, Prediction, Trace, Unpredictable, Verdict};

use crate::support::{
    Cluster, capable, captured, delivered, dropped, inject_to, inject_to_service, live_to, node, packet_to, received,
    sighting, tunnel_to, way,
};

/// Both sides of the dialogue.
struct Desk {
    sessions: Sessions,
    now: Instant,
    orders: VecDeque<Order>,
    news: Vec<(TraceId, Progress)>,
    answers: Vec<(TraceId, Result<Box<Trace>, Error>)>,
    /// The last probe and packet that were let in or installed.
    probe: Option<Arc<Probe>>,
    nonces: Vec<Nonce>,
    asked: u64,
}

impl Desk {
    fn new(nodes: u8, capabilities: Capabilities) -> Self {
        Self::with_nodes(nodes, (1..=nodes).map(|number| (number, capabilities.clone())))
    }

    fn with_nodes(size: u8, nodes: impl IntoIterator<Item = (u8, Capabilities)>) -> Self {
        let nodes = nodes
            .into_iter()
            .map(|(number, capabilities)| (node(number), capabilities));
        Self {
            sessions: Sessions::new(nodes, Arc::new(Cluster(size)), fastrand::Rng::with_seed(1)),
            now: Instant::now(),
            orders: VecDeque::new(),
            news: Vec::new(),
            answers: Vec::new(),
            probe: None,
            nonces: Vec::new(),
            asked: 0,
        }
    }

    fn ask(&mut self, plan: Plan) -> TraceId {
        self.ask_with_model(plan, None)
    }

    fn ask_predicted(&mut self, plan: Plan, prediction: Prediction) -> TraceId {
        self.ask_with_model(plan, Some(Ok(prediction)))
    }

    fn ask_with_model(&mut self, plan: Plan, prediction: Option<Result<Prediction, Unpredictable>>) -> TraceId {
        self.asked += 1;
        let trace = TraceId(self.asked);
        let request = Request {
            trace,
            plan: Arc::new(plan),
            prediction,
            watch: Watch::Path,
        };
        self.sessions.handle_request(request, self.now);
        self.follow();
        trace
    }

    fn follow(&mut self) {
        while let Some(order) = self.sessions.poll_order() {
            self.orders.retain(|earlier| Some(earlier.id) != order.supersedes);
            match &order.command.task {
                Task::Install(probe) => self.probe = Some(probe.clone()),
                Task::Inject(probe, packet) => {
                    self.probe = Some(probe.clone());
                    self.nonces.push(packet.nonce);
                }
                _ => {}
            }
            self.orders.push_back(order);
        }
        while let Some(event) = self.sessions.poll_event() {
            match event {
                Event::Progress(trace, progress) => self.news.push((trace, progress)),
                Event::Finished(trace, answer) => self.answers.push((trace, answer)),
            }
        }
    }

    /// What is ordered, in order: `inject n1`.
    fn ordered(&self) -> Vec<String> {
        let text = |order: &Order| format!("{} {}", order.command.task, order.command.node);
        self.orders.iter().map(text).collect()
    }

    /// The next order ends.
    fn end_next(&mut self, result: Result<Removed, DatapathError>) {
        let order = self.orders.pop_front().expect("an order is under way");
        self.sessions.handle_result(order.id, result, self.now);
        self.follow();
    }

    /// All orders of these words end well, and those that follow from them.
    fn do_all(&mut self, words: &[&str]) {
        while let Some(next) = self
            .orders
            .iter()
            .position(|order| words.contains(&&*order.command.task.to_string()))
        {
            let order = self.orders.remove(next).expect("it was just found");
            self.sessions.handle_result(order.id, Ok(Removed::default()), self.now);
            self.follow();
        }
    }

    fn report(&mut self, number: u8, report: Report) {
        self.sessions.handle_report(&node(number), report, self.now);
        self.follow();
    }

    /// The packet of the latest probe, or of this attempt of it, is seen.
    fn see(&mut self, number: u8, attempt: usize, observations: &[Observation]) {
        let nonce = self.nonces.get(attempt).copied();
        self.report(number, Report::Seen(self.sighting(number, nonce, None, observations)));
    }

    fn see_captured(&mut self, number: u8, packet: CapturedPacket, observations: &[Observation]) {
        let nonce = self.nonces.last().copied();
        self.report(
            number,
            Report::Seen(self.sighting(number, nonce, Some(packet), observations)),
        );
    }

    fn sighting(
        &self,
        number: u8,
        nonce: Option<Nonce>,
        packet: Option<CapturedPacket>,
        observations: &[Observation],
    ) -> Sighting {
        let mark = self.probe.as_ref().map_or(Mark(1), |probe| probe.mark);
        Sighting {
            established: false,
            packet,
            ..sighting(&node(number), mark, nonce, &observations.into())
        }
    }

    fn cancel(&mut self, trace: TraceId) {
        self.sessions.handle_cancel(trace, self.now);
        self.follow();
    }

    fn lose(&mut self, number: u8) {
        self.sessions.handle_gone(&node(number), self.now);
        self.follow();
    }

    fn pass(&mut self, seconds: u64) {
        self.pass_milliseconds(1000 * seconds);
    }

    fn pass_milliseconds(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
        self.sessions.handle_timeout(self.now);
        self.follow();
    }

    fn answer(&mut self) -> Trace {
        self.do_all(&["remove"]);
        let (_, answer) = self.answers.pop().expect("there is an answer");
        *answer.expect("it is no error")
    }

    fn refusal(&mut self) -> String {
        assert!(
            self.orders.is_empty(),
            "refused after something was touched: {:?}",
            self.ordered()
        );
        let (_, answer) = self.answers.pop().expect("there is an answer");
        answer.expect_err("it is an error").to_string()
    }
}

fn unavailable() -> DatapathError {
    DatapathError::Unavailable("gone".into())
}

fn prediction(numbers: &[u8]) -> Prediction {
    let hops = way(numbers).into_iter().map(|(node, observations)| Hop {
        node,
        timestamp: SystemTime::UNIX_EPOCH,
        observations: observations.to_vec(),
        after_gap: false,
    });
    let last = node(numbers[numbers.len() - 1]);
    Prediction::new(hops.collect(), Verdict::Delivered { node: last })
}

/// A desk at which an injected trace from `n1` to `n2` listens.
fn injected() -> Desk {
    let mut desk = Desk::new(2, capable());
    desk.ask(inject_to(2, 1000));
    desk.do_all(&["attach", "inject"]);
    desk
}

/// A desk at which a live trace from `n1` to `n2` listens.
fn live(dropped_only: bool) -> Desk {
    let mut desk = Desk::new(2, capable());
    desk.ask(live_to(2, dropped_only));
    desk.do_all(&["attach", "install"]);
    desk
}

#[test]
fn an_injected_trace_installs_nothing_where_a_watch_stands() {
    let mut desk = Desk::new(2, capable());
    desk.ask(inject_to(2, 1000));
    assert_eq!(desk.ordered(), ["attach n1", "attach n2"]);
    desk.do_all(&["attach"]);
    assert_eq!(desk.ordered(), ["inject n1"]);
}

#[test]
fn without_a_standing_watch_every_node_gets_the_probe_first() {
    let capabilities = Capabilities {
        standing_watch: false,
        ..capable()
    };
    let mut desk = Desk::new(2, capabilities);
    desk.ask(inject_to(2, 1000));
    desk.do_all(&["attach"]);
    assert_eq!(desk.ordered(), ["install n1", "install n2"]);
    desk.do_all(&["install"]);
    assert_eq!(desk.ordered(), ["inject n1"]);
}

#[test]
fn a_whole_path_is_answered_at_once_and_removed_from_every_node_it_touched() {
    let mut desk = injected();
    desk.see(2, 0, &[received(), delivered()]);
    assert!(desk.orders.is_empty(), "the beginning is missing");
    desk.see(1, 0, &[tunnel_to(2)]);
    assert_eq!(desk.ordered(), ["remove n1", "remove n2"]);
    let trace = desk.answer();
    assert_eq!(trace.verdict, Verdict::Delivered { node: node(2) });
    assert!(trace.hops.iter().all(|hop| !hop.after_gap));
}

#[test]
fn a_failed_injection_still_removes_the_probe() {
    let mut desk = Desk::new(2, capable());
    desk.ask(inject_to(2, 1000));
    desk.do_all(&["attach"]);
    desk.end_next(Err(unavailable()));
    assert_eq!(desk.ordered(), ["remove n1"]);
    desk.do_all(&["remove"]);
    assert!(matches!(desk.answers[..], [(_, Err(Error::Unavailable { .. }))]));
}

#[test]
fn a_packet_that_is_seen_was_injected_whatever_the_datapath_says() {
    let mut desk = Desk::new(2, capable());
    desk.ask(inject_to(2, 1000));
    desk.do_all(&["attach"]);
    desk.see(1, 0, &[tunnel_to(2)]);
    desk.end_next(Err(unavailable()));
    desk.see(2, 0, &[received(), delivered()]);
    assert_eq!(desk.answer().verdict, Verdict::Delivered { node: node(2) });
}

#[test]
fn silence_is_answered_by_a_second_packet_with_a_fresh_nonce() {
    let mut desk = injected();
    desk.see(1, 0, &[tunnel_to(2)]);
    desk.pass(1);
    assert_eq!(desk.ordered(), ["inject n1"]);
    assert_ne!(desk.nonces[0], desk.nonces[1]);
    desk.do_all(&["inject"]);
    desk.see(1, 1, &[tunnel_to(2)]);
    desk.see(2, 1, &[received(), delivered()]);
    let trace = desk.answer();
    assert_eq!(
        (trace.attempts, trace.verdict),
        (2, Verdict::Delivered { node: node(2) })
    );
    assert_eq!(
        trace.notes,
        ["the first packet was not seen to its end; this is the second"]
    );
}

#[test]
fn the_second_packet_is_listened_for_even_if_arming_took_all_the_time() {
    let mut desk = Desk::new(3, capable());
    let plan = Plan {
        timeout: Duration::from_secs(1),
        ..inject_to(2, 1000)
    };
    desk.ask_predicted(plan, prediction(&[1, 2]));
    desk.do_all(&["attach", "inject"]);
    desk.pass(1);
    assert_eq!(desk.ordered(), ["attach n3"]);
    desk.pass(4);
    desk.do_all(&["attach", "inject"]);
    desk.pass(0);
    desk.see(1, 1, &[tunnel_to(2)]);
    desk.see(2, 1, &[received(), delivered()]);
    assert_eq!(desk.answer().verdict, Verdict::Delivered { node: node(2) });
}

#[test]
fn a_late_sighting_of_the_first_packet_completes_the_first() {
    let mut desk = injected();
    desk.see(1, 0, &[tunnel_to(2)]);
    desk.pass(1);
    desk.do_all(&["inject"]);
    desk.see(2, 0, &[received(), delivered()]);
    let trace = desk.answer();
    assert_eq!((trace.attempts, trace.hops.len()), (2, 2));
    assert!(trace.notes.is_empty(), "{:?}", trace.notes);
}

#[test]
fn sightings_of_two_packets_are_never_mixed_into_one_path() {
    let mut desk = injected();
    desk.see(1, 0, &[tunnel_to(2)]);
    desk.pass(1);
    desk.do_all(&["inject"]);
    desk.see(2, 1, &[received(), delivered()]);
    assert!(desk.orders.is_empty(), "each packet shows half a path");
    desk.pass(1);
    let trace = desk.answer();
    assert_eq!(trace.verdict, Verdict::Delivered { node: node(2) });
    assert!(trace.hops[0].after_gap);
}

/// No model knows whom the datapath will choose.
#[test]
fn a_service_is_traced_with_every_node_watching_from_the_first_packet_on() {
    let mut desk = Desk::new(3, capable());
    let mut plan = inject_to(2, 1000);
    if let Some(end) = &mut plan.destination {
        end.owner = Some(Owner::Service(ObjectName::new("default", "service")));
        end.node = None;
    }
    desk.ask_predicted(plan, prediction(&[1, 2]));
    assert_eq!(desk.ordered(), ["attach n1", "attach n2", "attach n3"]);
}

#[test]
fn the_second_packet_is_watched_for_by_every_node() {
    let mut desk = Desk::new(3, capable());
    desk.ask_predicted(inject_to(2, 1000), prediction(&[1, 2]));
    assert_eq!(desk.ordered(), ["attach n1", "attach n2"]);
    desk.do_all(&["attach", "inject"]);
    desk.pass(1);
    assert_eq!(desk.ordered(), ["attach n3"]);
}

#[test]
fn every_node_of_a_services_endpoints_is_watched_whichever_was_predicted() {
    let mut desk = Desk::new(4, capable());
    desk.ask_predicted(inject_to_service("web"), prediction(&[1, 2]));
    assert_eq!(desk.ordered(), ["attach n1", "attach n2", "attach n3"]);

    let mut desk = Desk::new(4, capable());
    desk.ask_predicted(inject_to_service("unknown"), prediction(&[1, 2]));
    assert_eq!(desk.ordered().len(), 4, "of its endpoints nothing is known");

    let mut desk = Desk::new(4, capable());
    let mut from_anywhere = live_to(2, false);
    from_anywhere.source = None;
    from_anywhere.destination = inject_to_service("web").destination;
    desk.ask(from_anywhere);
    assert_eq!(desk.ordered().len(), 4, "it may begin anywhere");
}

#[test]
fn the_destinations_node_is_watched_though_a_drop_before_it_was_predicted() {
    let mut desk = Desk::new(3, capable());
    desk.ask_predicted(inject_to(2, 1000), prediction(&[1]));
    assert_eq!(desk.ordered(), ["attach n1", "attach n2"]);
}

#[test]
fn silence_says_where_and_why_and_what_was_predicted() {
    let mut desk = Desk::new(2, capable());
    desk.ask_predicted(inject_to(2, 1000), prediction(&[1, 2]));
    desk.do_all(&["attach", "inject"]);
    desk.see(1, 0, &way(&[1, 2])[0].1);
    desk.pass(1);
    desk.do_all(&["inject"]);
    desk.pass(20);
    let trace = desk.answer();
    let Verdict::Unanswered(silence) = &trace.verdict else {
        panic!("{:?}", trace.verdict)
    };
    assert_eq!(silence.last_seen, Some((node(1), tunnel_to(2))));
    assert_eq!(silence.expected_next, Some(node(2)));
    let (from, to) = (node(1), node(2));
    assert_eq!(silence.causes[0], Cause::LostBetween { from, to });
    assert_eq!(trace.unseen.len(), 1);
    assert_eq!(trace.unseen[0].node, node(2));
}

#[test]
fn a_node_that_the_packet_was_sent_to_is_cleaned_up_though_it_said_nothing() {
    let mut desk = injected();
    desk.see(1, 0, &[tunnel_to(2)]);
    desk.sessions.handle_cancel(TraceId(1), desk.now);
    desk.follow();
    assert_eq!(desk.ordered(), ["remove n1", "remove n2"]);
    desk.do_all(&["remove"]);
    assert!(matches!(desk.answers[..], [(_, Err(Error::Cancelled))]));
}

#[test]
fn a_remove_takes_the_place_of_a_command_that_hangs() {
    let mut desk = Desk::new(2, capable());
    desk.ask(inject_to(2, 1000));
    desk.do_all(&["attach"]);
    let hanging = desk.orders[0].id;
    desk.sessions.handle_cancel(TraceId(1), desk.now);
    desk.follow();
    assert_eq!(desk.ordered(), ["remove n1"]);
    assert_eq!(desk.orders[0].supersedes, Some(hanging));
}

#[test]
fn a_failed_remove_is_tried_three_times_and_then_told() {
    let mut desk = injected();
    desk.see(1, 0, &[dropped()]);
    for _ in 0..3 {
        assert_eq!(desk.ordered(), ["remove n1"]);
        desk.end_next(Err(unavailable()));
        desk.pass(1);
    }
    let receipt = desk.answer().receipt;
    assert!(!receipt.is_clean());
    assert_eq!(
        receipt.to_string(),
        "NOT ALL UNDONE: n1: could not be cleaned up: the datapath is unavailable: gone; what is left goes by itself within \
         80 s"
    );
}

#[test]
fn what_was_undone_is_told_node_by_node() {
    let mut desk = injected();
    desk.see(1, 0, &[tunnel_to(2)]);
    desk.see(2, 0, &[received(), delivered()]);
    let entry = |tuple: &str| Change {
        what: Changed::Connection {
            tuple: tuple.into(),
            zone: Some(7),
        },
        fate: Fate::Undone,
    };
    let removed = |changes| Removed { matched: None, changes };
    desk.end_next(Ok(removed(vec![entry("a"), entry("b")])));
    desk.end_next(Ok(removed(Vec::new())));
    let receipt = desk.answer().receipt;
    assert_eq!(receipt.nodes[0].changes, [entry("a"), entry("b")]);
    assert_eq!(receipt.nodes[1], NodeReceipt::new(node(2)));
    assert_eq!(receipt.to_string(), "all undone: n1: 2 connection tracking entries");
}

#[test]
fn a_reply_that_carries_the_nonce_back_is_not_the_packet() {
    let mut desk = injected();
    let reply = CapturedPacket {
        source: captured(2, 0).destination,
        destination: captured(2, 0).source,
        ..captured(2, 0)
    };
    desk.see_captured(1, reply, &[received(), delivered()]);
    assert!(
        desk.news
            .iter()
            .all(|(_, progress)| !matches!(progress, Progress::Seen { .. }))
    );
    desk.see_captured(1, captured(2, 0), &[tunnel_to(2)]);
    assert!(
        desk.news
            .iter()
            .any(|(_, progress)| matches!(progress, Progress::Seen { .. }))
    );
}

#[test]
fn a_strangers_nonce_is_nobodys_packet() {
    let mut desk = injected();
    let stranger = desk.sighting(1, Some(Nonce(4711)), None, &[dropped()]);
    desk.report(1, Report::Seen(stranger));
    let unknown = desk.sighting(1, None, None, &[dropped()]);
    desk.report(1, Report::Seen(unknown));
    assert!(desk.orders.is_empty());
}

#[test]
fn a_restart_of_the_source_is_followed_by_the_second_packet_at_once() {
    let mut desk = injected();
    desk.report(1, Report::Restarted);
    desk.pass(0);
    assert_eq!(desk.ordered(), ["attach n1"]);
    desk.do_all(&["attach"]);
    assert_eq!(desk.ordered(), ["inject n1"]);
    desk.do_all(&["inject"]);
    desk.pass(20);
    let Verdict::Unanswered(silence) = desk.answer().verdict else {
        panic!("it was silent")
    };
    assert_eq!(silence.causes[0], Cause::DatapathRestarted { node: node(1) });
}

#[test]
fn a_node_that_can_not_be_cleaned_up_is_blamed_for_its_silence() {
    let mut desk = injected();
    desk.see(1, 0, &[tunnel_to(2)]);
    desk.pass(1);
    desk.do_all(&["inject"]);
    desk.pass(20);
    desk.end_next(Ok(Removed::default()));
    for _ in 0..3 {
        assert_eq!(desk.ordered(), ["remove n2"]);
        desk.end_next(Err(unavailable()));
        desk.pass(1);
    }
    let Verdict::Unanswered(silence) = desk.answer().verdict else {
        panic!("it was silent")
    };
    let failed = Cause::NodeFailed {
        node: node(2),
        error: unavailable().to_string().into(),
    };
    assert_eq!(silence.causes[0], failed);
}

#[test]
fn a_translated_packet_is_removed_from_later_nodes_as_it_came_there() {
    let mut desk = injected();
    let mut translated = captured(2, 1);
    translated.destination = [10, 0, 9, 9].into();
    desk.see_captured(1, translated.clone(), &[tunnel_to(2)]);
    desk.see(2, 0, &[received(), dropped()]);
    let removed: Vec<_> = desk.orders.iter().map(|order| &order.command).collect();
    let destination = |command: &Command| match &command.task {
        Task::Remove(probe) => match &probe.kind {
            ProbeKind::Injected { packet, .. } => packet.ip.destination(),
            ProbeKind::Live { .. } => panic!("it was injected"),
        },
        task => panic!("{task} instead of remove"),
    };
    assert_eq!((removed[0].node.clone(), removed[1].node.clone()), (node(1), node(2)));
    assert_ne!(destination(removed[0]), translated.destination);
    assert_eq!(destination(removed[1]), translated.destination);
}

#[test]
fn lost_reports_are_counted_and_blamed() {
    let mut desk = injected();
    desk.see(1, 0, &[tunnel_to(2)]);
    desk.report(2, Report::Lost { count: 3 });
    desk.report(2, Report::Lost { count: 4 });
    desk.pass(1);
    desk.do_all(&["inject"]);
    desk.pass(20);
    let Verdict::Unanswered(silence) = desk.answer().verdict else {
        panic!("it was silent")
    };
    let lost = Cause::ReportsLost {
        node: node(2),
        count: 7,
    };
    assert_eq!(silence.causes[0], lost);
}

fn gone(number: u8) -> Cause {
    Cause::NodeFailed {
        node: node(number),
        error: "the datapath is unavailable: it is gone for good".into(),
    }
}

fn causes(trace: &Trace) -> &[Cause] {
    match &trace.verdict {
        Verdict::Unanswered(silence) => &silence.causes,
        verdict => panic!("not silent: {verdict}"),
    }
}

#[test]
fn a_source_that_goes_for_good_before_the_packet_is_unavailable_at_once() {
    for armed in [false, true] {
        let mut desk = Desk::new(2, capable());
        desk.ask(inject_to(2, 1000));
        if armed {
            desk.do_all(&["attach"]);
        }
        desk.lose(1);
        desk.do_all(&["remove"]);
        assert!(matches!(desk.answers[..], [(_, Err(Error::Unavailable { .. }))]));
    }
}

#[test]
fn a_source_that_goes_for_good_after_the_packet_is_waited_for_no_longer() {
    for mut desk in [injected(), live(false)] {
        desk.lose(1);
        desk.pass(1);
        let trace = desk.answer();
        assert_eq!(causes(&trace)[0], gone(1));
        assert_eq!(trace.notes[0], gone(1).to_string());
    }
}

#[test]
fn what_a_node_said_before_it_went_for_good_still_counts() {
    let mut desk = injected();
    desk.see(1, 0, &[tunnel_to(2)]);
    desk.lose(1);
    desk.see(2, 0, &[received(), delivered()]);
    assert_eq!(desk.answer().verdict, Verdict::Delivered { node: node(2) });
}

#[test]
fn a_packet_that_goes_on_to_a_node_that_is_gone_for_good_is_explained_without_another() {
    let mut desk = injected();
    desk.lose(2);
    desk.see(1, 0, &[tunnel_to(2)]);
    desk.pass(1);
    let trace = desk.answer();
    assert_eq!(causes(&trace)[0], gone(2));
    assert_eq!(trace.attempts, 1);
}

#[test]
fn a_live_trace_goes_on_without_a_far_node_that_is_gone_for_good() {
    let mut desk = live(false);
    desk.lose(2);
    desk.pass(10);
    assert!(desk.orders.is_empty(), "its traffic can still come");
    desk.see_captured(1, captured(2, 1), &[tunnel_to(2)]);
    desk.pass(1);
    assert_eq!(causes(&desk.answer())[0], gone(2));
}

#[test]
fn a_trace_that_comes_after_a_node_is_gone_for_good_knows_it() {
    let mut desk = Desk::new(2, capable());
    desk.lose(2);
    desk.ask(inject_to(2, 1));
    assert_eq!(desk.ordered(), ["attach n1"]);
    desk.do_all(&["attach", "inject"]);
    desk.see(1, 0, &[tunnel_to(2)]);
    desk.pass(1);
    assert_eq!(causes(&desk.answer())[0], gone(2));
    let mut desk = Desk::new(2, capable());
    desk.lose(1);
    desk.ask(inject_to(2, 1));
    assert_eq!(desk.refusal(), "node n1 is unavailable");
}

#[test]
fn a_live_trace_is_armed_once_every_node_has_confirmed() {
    let mut desk = Desk::new(2, capable());
    desk.ask(live_to(2, false));
    desk.do_all(&["attach"]);
    desk.end_next(Ok(Removed::default()));
    assert!(desk.news.is_empty());
    desk.end_next(Ok(Removed::default()));
    let nodes = vec![node(1), node(2)];
    assert_eq!(desk.news, [(TraceId(1), Progress::Armed { nodes })]);
}

#[test]
fn a_live_trace_goes_on_without_a_far_node_that_fails_and_names_it() {
    let mut desk = Desk::new(3, capable());
    desk.ask(live_to(2, false));
    desk.do_all(&["attach"]);
    let third = desk.orders.remove(2).unwrap();
    desk.sessions.handle_result(third.id, Err(unavailable()), desk.now);
    desk.do_all(&["install"]);
    desk.see_captured(1, captured(2, 1), &[tunnel_to(2)]);
    desk.see_captured(2, captured(2, 1), &[received(), delivered()]);
    let trace = desk.answer();
    assert_eq!(trace.verdict, Verdict::Delivered { node: node(2) });
    assert_eq!(
        trace.notes,
        ["node n3 failed: the datapath is unavailable: gone", "not watched: n3"]
    );
}

#[test]
fn the_first_matching_packet_is_followed_and_others_are_ignored() {
    let mut desk = live(false);
    desk.see_captured(1, captured(2, 1), &[tunnel_to(2)]);
    desk.see_captured(1, captured(2, 2), &[tunnel_to(2)]);
    desk.see_captured(2, captured(2, 2), &[received(), dropped()]);
    assert!(desk.orders.is_empty());
    desk.see_captured(2, captured(2, 1), &[received(), delivered()]);
    let trace = desk.answer();
    assert_eq!(trace.verdict, Verdict::Delivered { node: node(2) });
    assert_eq!(trace.captured, Some(captured(2, 1)));
}

#[test]
fn the_next_packet_of_a_flow_without_numbers_is_not_a_second_visit() {
    let mut desk = live(false);
    let mut udp = captured(2, 0);
    udp.identification = None;
    udp.transport = CapturedTransport::None;
    for second in 0..3 {
        let mut seen = desk.sighting(1, None, Some(udp.clone()), &[tunnel_to(2)]);
        seen.timestamp += Duration::from_secs(second);
        desk.report(1, Report::Seen(seen));
    }
    desk.see_captured(2, udp, &[received(), delivered()]);
    let trace = desk.answer();
    assert_eq!((trace.hops.len(), trace.hops[1].after_gap), (2, false));
}

#[test]
fn a_packet_that_comes_by_again_with_a_lower_ttl_goes_round() {
    let mut desk = live(false);
    for ttl in [63, 62] {
        desk.see_captured(1, CapturedPacket { ttl, ..captured(2, 1) }, &[received(), tunnel_to(2)]);
    }
    desk.pass(20);
    assert_eq!(desk.answer().hops.len(), 2);
}

#[test]
fn the_followed_packet_is_known_behind_its_translation() {
    let mut desk = live(false);
    let mut translation = tunnel_to(2);
    translation.translated_dst_ip = Some(captured(2, 1).destination);
    let mut before = captured(2, 1);
    before.destination = [10, 96, 0, 1].into();
    desk.see_captured(2, captured(2, 1), &[received(), delivered()]);
    desk.see_captured(1, before, &[translation]);
    assert_eq!(desk.answer().hops.len(), 2);
}

#[test]
fn a_packet_seen_before_every_node_is_armed_is_not_followed() {
    let mut desk = Desk::new(2, capable());
    desk.ask(live_to(2, false));
    desk.do_all(&["attach"]);
    desk.end_next(Ok(Removed::default()));
    desk.see_captured(1, captured(2, 1), &[dropped()]);
    desk.end_next(Ok(Removed::default()));
    desk.see_captured(1, captured(2, 2), &[dropped()]);
    assert_eq!(desk.answer().captured, Some(captured(2, 2)));
}

#[test]
fn a_packet_that_was_under_way_before_every_node_is_armed_is_not_followed_from_there_on() {
    let mut desk = Desk::new(2, capable());
    desk.ask(live_to(2, false));
    desk.do_all(&["attach"]);
    desk.end_next(Ok(Removed::default()));
    desk.see_captured(1, captured(2, 1), &[tunnel_to(2)]);
    desk.end_next(Ok(Removed::default()));
    desk.see_captured(2, captured(2, 1), &[received(), delivered()]);
    desk.see_captured(1, captured(2, 2), &[tunnel_to(2)]);
    desk.see_captured(2, captured(2, 2), &[received(), delivered()]);
    let answer = desk.answer();
    assert_eq!(answer.captured, Some(captured(2, 2)));
    assert!(answer.hops.iter().all(|hop| !hop.after_gap));
}

#[test]
fn the_next_packet_of_a_flow_without_numbers_is_followed_though_one_was_under_way() {
    let mut desk = Desk::new(2, capable());
    let mut packet = captured(2, 1);
    packet.identification = None;
    if let CapturedTransport::Tcp { sequence, .. } = &mut packet.transport {
        *sequence = None;
    }
    desk.ask(live_to(2, false));
    desk.do_all(&["attach"]);
    desk.end_next(Ok(Removed::default()));
    desk.see_captured(1, packet.clone(), &[tunnel_to(2)]);
    desk.end_next(Ok(Removed::default()));
    desk.see_captured(1, packet.clone(), &[tunnel_to(2)]);
    desk.see_captured(2, packet, &[received(), delivered()]);
    assert_eq!(desk.answer().hops.len(), 2);
}

#[test]
fn a_live_trace_without_traffic_says_so() {
    let mut desk = live(false);
    desk.pass(20);
    let Verdict::Unanswered(silence) = desk.answer().verdict else {
        panic!("it was silent")
    };
    assert_eq!(silence.causes, [Cause::NoMatchingTraffic]);
}

#[test]
fn where_only_drops_count_the_drop_alone_is_the_answer() {
    let mut desk = live(true);
    desk.see_captured(1, captured(2, 1), &[tunnel_to(2)]);
    desk.see_captured(2, captured(2, 1), &[received(), dropped()]);
    let trace = desk.answer();
    assert!(matches!(trace.verdict, Verdict::Dropped { .. }));
    assert_eq!((trace.hops.len(), trace.hops[0].after_gap), (1, false));
}

fn counted(matched: u64) -> Removed {
    Removed {
        matched: Some(matched),
        ..Removed::default()
    }
}

#[test]
fn where_only_drops_count_packets_that_passed_are_counted() {
    let mut desk = live(true);
    desk.pass(20);
    desk.end_next(Ok(counted(3)));
    desk.end_next(Ok(counted(0)));
    assert_eq!(desk.answer().verdict, Verdict::NoneDropped { passed: 3 });
}

#[test]
fn a_drop_that_was_predicted_where_nobody_watched_is_no_finding() {
    let deaf = Capabilities {
        ipv4: false,
        ..capable()
    };
    let dropped_there = |far: Capabilities| {
        let mut desk = Desk::with_nodes(2, [(1, capable()), (2, far)]);
        let predicted = Prediction {
            verdict: Verdict::Dropped {
                node: node(2),
                reason: None,
            },
            hops: vec![hop(1, &[tunnel_to(2)]), hop(2, &[received(), dropped()])],
            left_out: Arc::default(),
        };
        desk.ask_predicted(live_to(2, true), predicted);
        desk.do_all(&["attach", "install"]);
        desk.pass(20);
        desk.end_next(Ok(counted(3)));
        desk.do_all(&["remove"]);
        let trace = desk.answer();
        assert_eq!(trace.verdict, Verdict::NoneDropped { passed: 3 });
        trace.finding.is_some()
    };
    assert!(dropped_there(capable()), "it should have dropped it");
    assert!(!dropped_there(deaf));
}

fn hop(number: u8, observations: &[Observation]) -> Hop {
    Hop {
        node: node(number),
        timestamp: SystemTime::UNIX_EPOCH,
        observations: observations.to_vec(),
        after_gap: false,
    }
}

#[test]
fn where_evidence_was_lost_nobody_can_say_that_none_was_dropped() {
    let mut desk = live(true);
    desk.report(2, Report::Lost { count: 1 });
    desk.pass(20);
    desk.end_next(Ok(counted(3)));
    desk.end_next(Ok(counted(0)));
    let Verdict::Unanswered(silence) = desk.answer().verdict else {
        panic!("it was silent")
    };
    let (node, count) = (node(2), 1);
    assert!(
        silence.causes.contains(&Cause::ReportsLost { node, count }),
        "{silence:?}"
    );
}

#[test]
fn a_live_trace_is_armed_anew_where_the_datapath_restarted() {
    let mut desk = live(false);
    desk.report(2, Report::Restarted);
    assert_eq!(desk.ordered(), ["attach n2"]);
    desk.do_all(&["attach"]);
    assert_eq!(desk.ordered(), ["install n2"]);
}

#[test]
fn traffic_from_anywhere_is_watched_where_it_arrives() {
    let mut desk = Desk::new(3, capable());
    let mut plan = live_to(2, false);
    plan.source = None;
    desk.ask(plan);
    assert_eq!(desk.ordered(), ["attach n2"]);
    desk.do_all(&["attach", "install"]);
    desk.see_captured(2, captured(2, 1), &[received(), delivered()]);
    let trace = desk.answer();
    assert_eq!(trace.verdict, Verdict::Delivered { node: node(2) });
    assert!(!trace.hops[0].after_gap);
    assert_eq!(trace.notes, ["not watched: n1, n3"]);
}

#[test]
fn a_live_trace_watches_the_predicted_path_only() {
    let mut desk = Desk::new(3, capable());
    desk.ask_predicted(live_to(2, false), prediction(&[1, 2]));
    assert_eq!(desk.ordered(), ["attach n1", "attach n2"]);
}

#[test]
fn why_there_is_no_prediction_is_told_where_it_decides_what_is_watched() {
    let reason = || Some(Err(Unpredictable("the source port is left open".into())));
    let note = "the path could not be predicted: the source port is left open".to_owned();
    let mut desk = Desk::new(2, capable());
    desk.ask_with_model(live_to(2, false), reason());
    assert_eq!(desk.ordered(), ["attach n1", "attach n2"]);
    desk.do_all(&["attach", "install"]);
    desk.see_captured(1, captured(2, 1), &[dropped()]);
    assert_eq!(desk.answer().notes, [note]);

    desk.ask_with_model(inject_to(2, 1), reason());
    desk.do_all(&["attach", "inject"]);
    desk.see(1, 0, &[dropped()]);
    assert!(desk.answer().notes.is_empty(), "every node watched, and all was seen");
}

#[test]
fn injected_traces_share_a_mark_and_live_ones_have_their_own() {
    let mut desk = Desk::new(2, capable());
    let mut marks = Vec::new();
    for plan in [inject_to(2, 1), inject_to(2, 2), live_to(2, false), live_to(2, true)] {
        desk.ask(plan);
        desk.do_all(&["attach", "inject", "install"]);
        marks.extend(desk.probe.as_ref().map(|probe| probe.mark.0));
    }
    assert_eq!(marks, [1, 1, 2, 3]);
}

#[test]
fn a_nonce_finds_its_trace_among_many() {
    let mut desk = Desk::new(2, capable());
    for port in 0..100 {
        desk.ask(inject_to(2, port));
        desk.do_all(&["attach", "inject"]);
    }
    desk.see(1, 41, &[dropped()]);
    desk.do_all(&["remove"]);
    assert_eq!(desk.answers.len(), 1);
    assert_eq!(desk.answers[0].0, TraceId(42));
}

/// Nodes that report two injected packets at a time.
fn narrow() -> Capabilities {
    Capabilities {
        window: Some(2),
        ..capable()
    }
}

#[test]
fn no_more_packets_are_under_way_than_the_nodes_can_report() {
    let mut desk = Desk::new(2, narrow());
    for port in 0..4 {
        desk.ask(inject_to(2, port));
        desk.do_all(&["attach", "inject"]);
    }
    assert_eq!(
        desk.nonces.len(),
        2,
        "sessions begin with half of what the nodes can take"
    );
    assert_eq!(desk.news.last(), Some(&(TraceId(4), Progress::Queued { position: 2 })));
    desk.pass(0);
    desk.see(1, 1, &[dropped()]);
    assert_eq!(
        desk.nonces.len(),
        2,
        "until the trace is removed, its connection is tracked"
    );
    desk.do_all(&["remove", "inject"]);
    assert_eq!(desk.nonces.len(), 3);
}

#[test]
fn the_node_where_a_packet_goes_on_to_has_to_have_room_too() {
    let wide = Capabilities {
        window: None,
        ..capable()
    };
    let mut desk = Desk::with_nodes(3, [(1, wide), (2, narrow()), (3, narrow())]);
    let over = |last: u8| {
        let hops = way(&[1, last]).into_iter();
        let hop = |(node, observations): (_, Arc<[Observation]>)| Hop {
            node,
            timestamp: SystemTime::UNIX_EPOCH,
            observations: observations.to_vec(),
            after_gap: false,
        };
        Prediction::new(hops.map(hop).collect(), Verdict::Delivered { node: node(last) })
    };
    for port in 0..3 {
        desk.ask_predicted(inject_to(2, port), over(2));
        desk.do_all(&["attach", "inject"]);
    }
    assert_eq!(desk.nonces.len(), 2);
    desk.ask_predicted(inject_to(3, 9), over(3));
    desk.do_all(&["attach", "inject"]);
    assert_eq!(desk.nonces.len(), 3, "who goes elsewhere doesn't wait");
}

#[test]
fn where_reports_were_lost_fewer_packets_are_under_way() {
    let mut desk = Desk::new(2, narrow());
    desk.report(1, Report::Lost { count: 1 });
    for port in 0..3 {
        desk.ask(inject_to(2, port));
        desk.do_all(&["attach", "inject"]);
    }
    assert_eq!(desk.nonces.len(), 1);
}

#[test]
fn a_thousand_who_wait_for_a_place_take_no_nodes_silence_for_its_failure() {
    let mut desk = Desk::new(1, narrow());
    for port in 0..1000 {
        let mut plan = inject_to(1, port);
        plan.timeout = Duration::from_secs(300);
        desk.ask(plan);
    }
    let mut rounds = 0;
    while desk.answers.len() < 1000 {
        desk.do_all(&["attach", "inject", "remove"]);
        // Each round takes 50 ms, all of them more than any node has to answer.
        desk.pass_milliseconds(50);
        let fresh: Vec<usize> = (desk.answers.len()..desk.nonces.len()).collect();
        for number in fresh {
            desk.see(1, number, &[dropped()]);
        }
        rounds += 1;
        assert!(rounds < 1000, "it never ends");
    }
    assert!(desk.answers.iter().all(|(_, answer)| answer.is_ok()));
    assert_eq!(desk.nonces.len(), 1000, "nobody had to try again");
    assert!(rounds >= 500, "at most two at a time");
}

#[test]
fn two_injected_packets_of_one_connection_never_overlap() {
    let mut desk = injected();
    let second = desk.ask(inject_to(2, 1000));
    assert_eq!(desk.news.last(), Some(&(second, Progress::Queued { position: 1 })));
    assert!(desk.orders.is_empty());
    desk.see(1, 0, &[dropped()]);
    assert_eq!(desk.ordered(), ["remove n1"]);
    desk.do_all(&["remove"]);
    assert_eq!(
        desk.ordered(),
        ["inject n1"],
        "the second begins when the first is removed"
    );
}

#[test]
fn the_turn_passes_over_who_was_cancelled_while_waiting() {
    let mut desk = injected();
    let second = desk.ask(inject_to(2, 1000));
    desk.ask(inject_to(2, 1000));
    desk.sessions.handle_cancel(second, desk.now);
    desk.see(1, 0, &[dropped()]);
    desk.do_all(&["remove"]);
    assert_eq!(desk.orders[0].command.task.trace(), Some(TraceId(3)));
}

#[test]
fn a_mark_that_comes_free_goes_to_the_first_in_the_queue_after_its_rest() {
    let mut desk = Desk::new(2, Capabilities { marks: 1, ..capable() });
    desk.ask(live_to(2, true));
    desk.do_all(&["attach", "install"]);
    let second = desk.ask(live_to(2, true));
    assert_eq!(desk.news.last(), Some(&(second, Progress::Queued { position: 1 })));
    desk.see_captured(1, captured(2, 1), &[dropped()]);
    desk.do_all(&["remove"]);
    desk.pass(9);
    assert!(desk.orders.is_empty());
    desk.pass(1);
    assert_eq!(desk.ordered(), ["install n1", "install n2"]);
}

fn patient(plan: Plan) -> Plan {
    Plan {
        timeout: Duration::from_secs(300),
        ..plan
    }
}

#[test]
fn the_shared_mark_is_not_given_away_while_anybody_uses_it() {
    let mut desk = Desk::new(2, Capabilities { marks: 1, ..capable() });
    for port in 0..3 {
        desk.ask(patient(inject_to(2, port)));
        desk.do_all(&["attach", "inject"]);
    }
    desk.ask(patient(live_to(2, true)));
    for used in [2, 0, 1] {
        desk.pass(10);
        desk.do_all(&["inject"]);
        assert!(desk.orders.is_empty(), "{:?}", desk.ordered());
        desk.see(1, used, &[dropped()]);
        desk.do_all(&["remove"]);
    }
    desk.pass(9);
    assert!(desk.orders.is_empty(), "it rests from its last user on");
    desk.pass(1);
    assert_eq!(desk.ordered(), ["install n1", "install n2"]);
}

#[test]
fn newcomers_do_not_keep_the_only_mark_from_who_waits_for_it() {
    let mut desk = Desk::new(2, Capabilities { marks: 1, ..capable() });
    desk.ask(patient(inject_to(2, 1)));
    desk.do_all(&["attach", "inject"]);
    let live = desk.ask(patient(live_to(2, true)));
    let late = desk.ask(patient(inject_to(2, 2)));
    assert_eq!(desk.news.last(), Some(&(late, Progress::Queued { position: 2 })));
    desk.see(1, 0, &[dropped()]);
    desk.do_all(&["remove"]);
    desk.pass(10);
    assert_eq!(desk.orders[0].command.task.trace(), Some(live));
    desk.do_all(&["install"]);
    desk.see_captured(1, captured(2, 1), &[dropped()]);
    desk.do_all(&["remove"]);
    desk.pass(10);
    assert_eq!(desk.orders[0].command.task.trace(), Some(late));
}

#[test]
fn nobody_gets_a_mark_that_is_waited_for_no_longer() {
    let mut desk = Desk::new(2, Capabilities { marks: 1, ..capable() });
    desk.ask(patient(live_to(2, true)));
    desk.do_all(&["attach", "install"]);
    let late = desk.ask(patient(inject_to(2, 2)));
    desk.cancel(late);
    desk.see_captured(1, captured(2, 1), &[dropped()]);
    desk.do_all(&["remove"]);
    desk.pass(10);
    assert_eq!(desk.sessions.leased_marks(), 0);
}

#[test]
fn who_is_cancelled_while_attaching_waits_nowhere() {
    let mut desk = Desk::new(2, capable());
    let nothing = format!("{:?}", desk.sessions);
    let trace = desk.ask(inject_to(2, 1));
    desk.cancel(trace);
    assert!(matches!(desk.answers[..], [(_, Err(Error::Cancelled))]));
    assert!(format!("{:?}", desk.sessions).contains("on_nodes: 0"));
    desk.do_all(&["attach"]);
    assert_eq!(format!("{:?}", desk.sessions), nothing);
}

#[test]
fn newcomers_share_the_mark_again_when_who_waited_for_it_has_gone() {
    let mut desk = Desk::new(2, Capabilities { marks: 1, ..capable() });
    desk.ask(patient(inject_to(2, 1)));
    desk.do_all(&["attach", "inject"]);
    let live = desk.ask(patient(live_to(2, true)));
    let late = desk.ask(patient(inject_to(2, 2)));
    desk.sessions.handle_cancel(live, desk.now);
    desk.follow();
    assert_eq!(desk.orders[0].command.task.trace(), Some(late));
}

#[test]
fn a_mark_rests_until_what_could_not_be_removed_has_gone_by_itself() {
    for plan in [inject_to(2, 1), live_to(2, true)] {
        let mut desk = Desk::new(2, Capabilities { marks: 1, ..capable() });
        desk.ask(plan);
        desk.do_all(&["attach", "install", "inject"]);
        desk.see_captured(1, captured(2, 1), &[dropped()]);
        while !desk.orders.is_empty() {
            desk.end_next(Err(unavailable()));
            desk.pass(1);
        }
        desk.ask(patient(live_to(2, true)));
        let lifetime = desk.probe.as_ref().map_or(0, |probe| probe.lifetime.as_secs());
        desk.pass(lifetime - 10);
        assert!(desk.orders.is_empty(), "{:?}", desk.ordered());
        desk.pass(10);
        assert_eq!(desk.ordered(), ["install n1", "install n2"]);
    }
}

#[test]
fn durations_without_end_are_only_long() {
    let capabilities = Capabilities {
        mark_memory: Duration::MAX,
        ..capable()
    };
    for plan in [inject_to(2, 1), live_to(2, false)] {
        let mut desk = Desk::new(2, capabilities.clone());
        desk.ask(Plan {
            timeout: Duration::MAX,
            ..plan
        });
        desk.do_all(&["attach", "install", "inject"]);
        desk.see_captured(1, captured(2, 1), &[dropped()]);
        assert!(matches!(desk.answer().verdict, Verdict::Dropped { .. }));
        desk.pass(30);
        desk.do_all(&["detach"]);
        assert_eq!(desk.sessions.leased_marks(), 0);
    }
}

#[test]
fn somebody_watches_where_nothing_is_known_of_the_way() {
    let mut plan = live_to(2, true);
    plan.source = None;
    plan.destination = None;
    let mut desk = Desk::new(2, capable());
    desk.ask(plan);
    assert_eq!(desk.ordered(), ["attach n1", "attach n2"]);
}

#[test]
fn who_waits_for_a_mark_until_time_is_over_hears_the_place() {
    let mut desk = Desk::new(2, Capabilities { marks: 1, ..capable() });
    for _ in 0..3 {
        desk.ask(live_to(2, true));
        desk.do_all(&["attach", "install"]);
    }
    desk.now += Duration::from_secs(20);
    desk.sessions.handle_cancel(TraceId(2), desk.now);
    desk.follow();
    let _cancelled = desk.answers.pop();
    desk.pass(0);
    assert!(matches!(
        desk.answers[..],
        [(TraceId(3), Err(Error::Busy { position: 1 }))]
    ));
}

#[test]
fn nothing_stands_before_the_first_trace_nor_after_a_while_without_one() {
    let mut desk = injected();
    desk.see(1, 0, &[dropped()]);
    desk.do_all(&["remove"]);
    desk.pass(29);
    assert!(desk.orders.is_empty());
    desk.pass(1);
    assert_eq!(desk.ordered(), ["detach n1", "detach n2"]);
    assert_eq!(desk.sessions.leased_marks(), 0);
}

#[test]
fn what_was_attached_before_the_news_of_a_restart_is_detached_all_the_same() {
    let mut desk = injected();
    desk.see(1, 0, &[dropped()]);
    desk.do_all(&["remove"]);
    // The restart may be older than the attach whose success is known already.
    desk.report(1, Report::Restarted);
    desk.pass(30);
    assert_eq!(desk.ordered(), ["detach n1", "detach n2"]);
}

#[test]
fn a_trace_that_comes_during_detach_waits_for_it_and_attaches_again() {
    let mut desk = injected();
    desk.see(1, 0, &[dropped()]);
    desk.do_all(&["remove"]);
    desk.pass(30);
    desk.ask(inject_to(2, 1));
    assert_eq!(desk.ordered(), ["detach n1", "detach n2"]);
    desk.do_all(&["detach"]);
    assert_eq!(desk.ordered(), ["attach n1", "attach n2"]);
}

#[test]
fn a_trace_that_the_source_can_not_do_is_refused_by_name_before_anything_is_touched() {
    let refusal = |change: fn(&mut Capabilities), plan: Plan| {
        let mut capabilities = capable();
        change(&mut capabilities);
        let mut desk = Desk::new(2, capabilities);
        desk.ask(plan);
        desk.refusal()
    };
    assert_eq!(
        refusal(|can| can.inject = false, inject_to(2, 1)),
        "node n1 can't inject packets"
    );
    assert_eq!(
        refusal(|can| can.live = false, live_to(2, false)),
        "node n1 can't follow real traffic"
    );
    assert_eq!(
        refusal(|can| can.dropped_only = false, live_to(2, true)),
        "node n1 can't follow only traffic that is dropped"
    );
    assert_eq!(
        refusal(|can| can.ipv4 = false, inject_to(2, 1)),
        "node n1 can't handle IPv4"
    );
    assert_eq!(
        refusal(|can| can.protocols = Some(Vec::new()), inject_to(2, 1)),
        "node n1 can't handle TCP"
    );
    assert_eq!(
        refusal(|can| can.marks = 0, inject_to(2, 1)),
        "node n1 can't tell traced packets from others (it has no marks)"
    );
    assert_eq!(
        refusal(|can| *can = Capabilities::default(), inject_to(2, 1)),
        "node n1 can't inject packets, nor handle IPv4, nor tell traced packets from others (it has no marks)"
    );
}

#[test]
fn a_source_without_a_datapath_is_unavailable() {
    let mut desk = Desk::with_nodes(2, [(2, capable())]);
    desk.ask(inject_to(2, 1));
    assert_eq!(desk.refusal(), "node n1 is unavailable");
}

#[test]
fn a_far_node_that_can_not_watch_is_named_when_the_packet_ends_in_its_silence() {
    let deaf = Capabilities {
        ipv4: false,
        ..capable()
    };
    let mut desk = Desk::with_nodes(2, [(1, capable()), (2, deaf)]);
    desk.ask(inject_to(2, 1));
    desk.do_all(&["attach", "inject"]);
    desk.see(1, 0, &[tunnel_to(2)]);
    desk.pass(1);
    desk.do_all(&["inject"]);
    desk.pass(20);
    let Verdict::Unanswered(silence) = desk.answer().verdict else {
        panic!("it was silent")
    };
    assert_eq!(silence.causes, [Cause::NotWatched { node: Some(node(2)) }]);
    assert_eq!(silence.not_watched, [node(2)]);
}

#[test]
fn a_sighting_speaks_for_the_node_that_reported_it() {
    let mut desk = injected();
    let mut forged = desk.sighting(2, desk.nonces.first().copied(), None, &[dropped()]);
    forged.node = node(2);
    desk.report(1, Report::Seen(forged));
    let trace = desk.answer();
    assert_eq!(trace.hops[0].node, node(1));
}

#[test]
fn nodes_that_report_for_ever_do_not_fill_the_memory() {
    let mut desk = injected();
    for step in 0..1000 {
        let mut endless = desk.sighting(2, desk.nonces.first().copied(), None, &[received()]);
        endless.step = step;
        desk.report(2, Report::Seen(endless));
    }
    desk.see(1, 0, &[tunnel_to(2)]);
    desk.pass(1);
    desk.do_all(&["inject"]);
    desk.pass(20);
    let trace = desk.answer();
    assert!(
        trace
            .notes
            .iter()
            .any(|note| note == "745 more sightings were too many to keep"),
        "{:?}",
        trace.notes
    );
}

#[test]
fn the_probe_shows_the_packet_that_is_injected_first() {
    let desk = injected();
    let probe = desk.probe.unwrap();
    let ProbeKind::Injected { packet, .. } = &probe.kind else {
        panic!("{probe:?}")
    };
    assert_eq!(packet.nonce, desk.nonces[0]);
    assert_eq!(packet.transport, packet_to(2, 1000).transport);
}

#[test]
fn another_family_is_refused() {
    let mut plan = live_to(2, false);
    if let Question::Live { matching, .. } = &mut plan.question {
        matching.family = IpFamily::V6;
    }
    let mut desk = Desk::new(2, capable());
    desk.ask(plan);
    assert_eq!(desk.refusal(), "node n1 can't handle IPv6");
}

#[test]
fn nothing_is_kept_of_a_hundred_thousand_traces_that_are_over() {
    let mut desk = Desk::new(2, Capabilities { marks: 2, ..capable() });
    let nothing = format!("{:?}", desk.sessions);
    for round in 0..20_000 {
        five_traces(&mut desk, (round % 60_000) as u16);
        assert_eq!(format!("{:?}", desk.sessions), nothing);
    }
    assert_eq!(desk.asked, 100_000);
}

/// Two of one connection, one of them cancelled; two live ones for one mark, one of them cancelled; and one that stays
/// silent on a node that can't be cleaned up.
fn five_traces(desk: &mut Desk, port: u16) {
    desk.nonces.clear();
    desk.ask(inject_to(2, port));
    desk.do_all(&["attach", "inject"]);
    let queued = desk.ask(inject_to(2, port));
    desk.cancel(queued);
    desk.see(1, 0, &[dropped()]);
    desk.do_all(&["remove"]);

    desk.ask(live_to(2, true));
    let queued = desk.ask(live_to(2, true));
    desk.do_all(&["attach", "install"]);
    desk.see_captured(1, captured(2, port), &[dropped()]);
    desk.do_all(&["remove"]);
    desk.cancel(queued);

    desk.ask(inject_to(2, port));
    desk.do_all(&["inject"]);
    desk.pass(1);
    for _ in 0..5 {
        desk.pass(5);
    }
    desk.do_all(&["remove"]);
    desk.pass(20);
    desk.news.clear();
    assert_eq!(desk.answers.drain(..).count(), 5);
}
