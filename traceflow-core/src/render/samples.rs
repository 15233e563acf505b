//! Traces built by hand, for the tests of this folder: the six of the demo document, and those that it lacks.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::inventory::Owner;
use crate::names::{NodeName, ObjectName};
use crate::observation::{Action, Component, ComponentInfo, DropReason, Observation, PolicyRef};
use crate::packet::{
    CapturedPacket, CapturedTransport, IcmpHeader, IpFamily, IpHeader, Ipv4Header, MacAddress, Nonce, Packet, Protocol,
    TcpFlags, Transport,
};
use crate::plan::{Choice, End, FlowMatch, Plan, Question};
use crate::receipt::{Change, Changed, Fate, NodeReceipt, Receipt, Unconfirmed};
use crate::trace::{Cause, Finding, Hop, Mode, Silence, Trace, Verdict};

const NODE_A: &str = "k8s2-md-0-647454fc57-9sf7n";
const NODE_B: &str = "k8s2-md-0-647454fc57-qpqbg";

/// The demo document's six, in its order, with the names of their Traceflow objects.
pub(super) fn demo() -> [(&'static str, Trace); 6] {
    [
        ("tf-pod1-to-pod2", pod1_to_pod2()),
        ("tf-pod1-to-pod2-icmp", pod1_to_pod2_icmp()),
        ("tf-pod1-to-pod3", pod1_to_pod3()),
        ("tf-pod1-to-svc", pod1_to_service()),
        ("tf-pod1-to-pod3-tcp-live-traffic", live_tcp()),
        ("tf-pod1-to-pod3-icmp-live-traffic", live_dropped_icmp()),
    ]
}

pub(super) fn pod1_to_pod2() -> Trace {
    let hops = vec![hop(
        NODE_A,
        1_618_292_681,
        vec![spoof_guard(), egress_rule(), ingress_rule(), delivered()],
    )];
    injected(pod(2), tcp(10002, 80), hops, delivered_on(NODE_A))
}

pub(super) fn pod1_to_pod2_icmp() -> Trace {
    let hops = vec![hop(
        NODE_A,
        1_618_292_681,
        vec![spoof_guard(), egress_rule(), isolated()],
    )];
    injected(pod(2), echo(), hops, dropped_on(NODE_A))
}

pub(super) fn pod1_to_pod3() -> Trace {
    injected(pod(3), tcp(10002, 80), across(1_618_292_402), delivered_on(NODE_B))
}

pub(super) fn pod1_to_service() -> Trace {
    let balanced = Observation {
        pod: Some(ObjectName::new("default", "pod2")),
        translated_dst_ip: Some(ip("172.16.5.12")),
        ..Observation::new(Component::Lb, Action::Forwarded)
    };
    let steps = vec![spoof_guard(), balanced, egress_rule(), ingress_rule(), delivered()];
    let service = End {
        owner: Some(Owner::Service(ObjectName::new("default", "tf-destination"))),
        address: ip("172.30.191.124"),
        mac: None,
        node: None,
    };
    let mut trace = injected(
        service,
        tcp(40123, 80),
        vec![hop(NODE_A, 1_618_296_750, steps)],
        delivered_on(NODE_A),
    );
    choose(&mut trace, "source port", "40123");
    trace
}

pub(super) fn live_tcp() -> Trace {
    let matching = FlowMatch {
        protocol: Some(Protocol::TCP),
        destination_port: Some(80),
        ..FlowMatch::any(IpFamily::V4)
    };
    let transport = CapturedTransport::Tcp {
        source: 56350,
        destination: 80,
        flags: Some(TcpFlags::SYN),
        sequence: Some(7),
    };
    Trace {
        captured: Some(captured(Protocol::TCP, 63, 60, transport)),
        ..live(matching, false, across(1_618_552_987), delivered_on(NODE_B))
    }
}

pub(super) fn live_dropped_icmp() -> Trace {
    let matching = FlowMatch {
        protocol: Some(Protocol::ICMP),
        ..FlowMatch::any(IpFamily::V4)
    };
    let hops = vec![hop(NODE_B, 1_618_554_680, vec![received(), isolated()])];
    Trace {
        captured: Some(captured(Protocol::ICMP, 62, 84, CapturedTransport::None)),
        ..live(matching, true, hops, dropped_on(NODE_B))
    }
}

pub(super) fn rejected() -> Trace {
    let policy = PolicyRef {
        kind: crate::observation::PolicyKind::AntreaClusterNetworkPolicy,
        namespace: None,
        name: "strict".into(),
    };
    let reason = DropReason::PolicyRule {
        policy: policy.clone(),
        rule: Some("deny-web".into()),
    };
    let mut refused = Observation::new(Component::NetworkPolicy, Action::Rejected)
        .at(ComponentInfo::EgressMetric)
        .by(policy)
        .because(reason.clone());
    refused.network_policy_rule = Some("deny-web".into());
    let verdict = Verdict::Rejected {
        node: NODE_A.into(),
        reason: Some(reason),
    };
    let hops = vec![hop(NODE_A, 1_618_292_681, vec![spoof_guard(), refused])];
    injected(pod(2), tcp(10002, 80), hops, verdict)
}

/// Delivered, where the model has a rule that drops it.
pub(super) fn unlike_the_model() -> Trace {
    let policy = PolicyRef::antrea_cluster("strict");
    let reason = DropReason::PolicyRule {
        policy: policy.clone(),
        rule: Some("no-web".into()),
    };
    let mut dropped = Observation::new(Component::NetworkPolicy, Action::Dropped)
        .at(ComponentInfo::IngressMetric)
        .by(policy)
        .because(reason);
    dropped.network_policy_rule = Some("no-web".into());
    Trace {
        unseen: vec![hop(NODE_B, 1_618_292_402, vec![dropped.clone()])],
        finding: Some(Box::new(Finding {
            node: NODE_B.into(),
            expected: Some(dropped),
            observed: Some(delivered()),
            left_out: ["AdminNetworkPolicy default/wide (policy.networking.k8s.io/v1alpha1)".into()].into(),
        })),
        ..pod1_to_pod3()
    }
}

/// Left the source's node and never showed on the other, where it was predicted to be delivered.
pub(super) fn lost_between() -> Trace {
    let mut hops = across(1_618_292_402);
    let unseen = hops.split_off(1);
    let silence = Silence {
        last_seen: hops[0].observations.last().map(|seen| (NODE_A.into(), seen.clone())),
        expected_next: Some(NODE_B.into()),
        causes: vec![
            Cause::LostBetween {
                from: NODE_A.into(),
                to: NODE_B.into(),
            },
            Cause::ReportsLost {
                node: NODE_B.into(),
                count: 12,
            },
        ],
        not_watched: vec!["k8s2-md-0-647454fc57-zz8xk".into()],
    };
    let mut trace = injected(pod(3), tcp(10002, 80), hops, Verdict::Unanswered(Box::new(silence)));
    trace.unseen = unseen;
    trace.attempts = 2;
    trace
}

/// As above, without a prediction.
pub(super) fn lost_without_prediction() -> Trace {
    Trace {
        unseen: Vec::new(),
        finding: None,
        ..lost_between()
    }
}

pub(super) fn no_matching_traffic() -> Trace {
    let silence = Silence {
        last_seen: None,
        expected_next: None,
        causes: vec![Cause::NoMatchingTraffic],
        not_watched: Vec::new(),
    };
    let verdict = Verdict::Unanswered(Box::new(silence));
    live(FlowMatch::any(IpFamily::V4), false, Vec::new(), verdict)
}

pub(super) fn none_dropped() -> Trace {
    live(
        FlowMatch::any(IpFamily::V4),
        true,
        Vec::new(),
        Verdict::NoneDropped { passed: 3 },
    )
}

/// Reported by both nodes, yet one report on the way is missing.
pub(super) fn with_gap() -> Trace {
    let mut trace = pod1_to_pod3();
    trace.hops[1].after_gap = true;
    trace.receipt.nodes = vec![cleaned_up(NODE_A), not_cleaned_up(NODE_B)];
    trace
        .notes
        .push(format!("node {NODE_A} lost 1 report during the trace"));
    trace
}

/// Over six nodes, the last of which drops it.
pub(super) fn six_nodes() -> Trace {
    let names = ["edge-1", "core-1", "core-2", "spine-7", "core-3", "edge-9"];
    let mut hops: Vec<Hop> = names
        .iter()
        .map(|node| hop(node, 1_618_292_402, vec![received(), tunnelled()]))
        .collect();
    hops[0].observations[0] = spoof_guard();
    hops[3].after_gap = true;
    hops[5].observations = vec![received(), isolated()];
    injected(pod(3), tcp(10002, 80), hops, dropped_on("edge-9"))
}

/// The longest names that Kubernetes allows: 63 characters for a label, 253 for a policy.
pub(super) fn longest_names(nodes: usize) -> Trace {
    let long = |length: usize| "wide-mm-name-".chars().cycle().take(length).collect::<String>();
    let policy = PolicyRef::kubernetes(ObjectName::new(long(63), long(253)));
    let by = |info, action| {
        Observation::new(Component::NetworkPolicy, action)
            .at(info)
            .by(policy.clone())
    };
    let pod = ObjectName::new(long(63), long(253));
    let balanced = Observation {
        pod: Some(pod.clone()),
        translated_dst_ip: Some(ip("fd00:1111:2222:3333:4444:5555:6666:7777")),
        network_policy_rule: Some(long(253).into()),
        ..Observation::new(Component::Other(long(90).into()), Action::Other(long(90).into()))
    };
    let steps = vec![
        balanced,
        by(ComponentInfo::EgressRule, Action::Forwarded),
        by(ComponentInfo::IngressMetric, Action::Rejected).because(DropReason::DefaultIsolation {
            policies: vec![policy.clone(); 3].into(),
        }),
    ];
    let node = long(63);
    let hops: Vec<Hop> = (0..nodes)
        .map(|i| hop(&format!("{i}{}", &node[1..]), 1_618_292_402, steps.clone()))
        .collect();
    let mut trace = injected(
        pod_end(pod, ip("fd00:1111:2222:3333:4444:5555:6666:7777")),
        tcp(10002, 80),
        hops,
        dropped_on(&node),
    );
    trace.notes.push(long(900));
    trace
}

/// Every string that a backend or an object brings is an attack on the output's format.
pub(super) fn hostile() -> Trace {
    let attack = "\x1b[31m\"]; --><script>&amp;\\\r\nrm -rf `end` <b>%s|x</b>\u{202e}\u{0}";
    let mut seen = Observation::new(Component::Other(attack.into()), Action::Other(attack.into()))
        .at(ComponentInfo::Other(attack.into()))
        .because(DropReason::Other(attack.into()));
    seen.network_policy_rule = Some(attack.into());
    let verdict = Verdict::Dropped {
        node: attack.into(),
        reason: Some(DropReason::Other(attack.into())),
    };
    let mut trace = injected(pod(2), tcp(1, 2), vec![hop(attack, 0, vec![seen])], verdict);
    trace.notes.push(attack.to_owned());
    let change = Change {
        what: Changed::Other(attack.into()),
        fate: Fate::Expires {
            within: Duration::from_secs(1),
            why: attack.into(),
        },
    };
    trace.receipt.nodes = vec![NodeReceipt {
        changes: vec![change],
        ..NodeReceipt::new(attack)
    }];
    trace
}

fn cleaned_up(node: &str) -> NodeReceipt {
    let undone = |what| Change {
        what,
        fate: Fate::Undone,
    };
    let connection = |zone| Changed::Connection {
        tuple: "TCP 10.10.0.5:10002 -> 10.10.1.7:80".into(),
        zone: Some(zone),
    };
    let affinity = Changed::Affinity {
        client: ip("10.10.0.5"),
        endpoint: ip("10.10.1.7"),
    };
    let changes = [
        connection(65520),
        connection(65521),
        affinity,
        Changed::Flows { count: 2 },
    ];
    NodeReceipt {
        changes: changes.map(undone).into(),
        ..NodeReceipt::new(node)
    }
}

fn not_cleaned_up(node: &str) -> NodeReceipt {
    NodeReceipt {
        unconfirmed: Some(Unconfirmed {
            error: "the datapath is unavailable: no answer within 3 s".into(),
            within: Duration::from_secs(80),
        }),
        ..NodeReceipt::new(node)
    }
}

/// A path of any words; the packet is lost sight of before every third hop, and the last `unseen` hops are only predicted.
pub(super) fn of_words(path: &[(String, Vec<[String; 3]>)], unseen: usize) -> Trace {
    let seen = |[component, info, rule]: &[String; 3]| Observation {
        network_policy_rule: Some(rule.as_str().into()),
        ..Observation::new(Component::from(component.as_str()), Action::from(info.as_str()))
            .at(ComponentInfo::from(info.as_str()))
    };
    let hops = path
        .iter()
        .map(|(node, steps)| hop(node, 0, steps.iter().map(seen).collect()));
    let mut hops: Vec<Hop> = hops.collect();
    hops.iter_mut().skip(2).step_by(3).for_each(|hop| hop.after_gap = true);
    let predicted = hops.split_off(hops.len().saturating_sub(unseen));
    let mut trace = injected(pod(2), tcp(1, 2), hops, dropped_on("node"));
    trace.unseen = predicted;
    trace
}

/// All of the above, each with a name.
pub(super) fn all() -> Vec<(&'static str, Trace)> {
    let mut all = demo().to_vec();
    all.extend([
        ("rejected", rejected()),
        ("unlike-the-model", unlike_the_model()),
        ("lost-between", lost_between()),
        ("lost-without-prediction", lost_without_prediction()),
        ("no-matching-traffic", no_matching_traffic()),
        ("none-dropped", none_dropped()),
        ("with-gap", with_gap()),
        ("six-nodes", six_nodes()),
        ("longest-names-1", longest_names(1)),
        ("longest-names-2", longest_names(2)),
        ("longest-names-6", longest_names(6)),
        ("hostile", hostile()),
    ]);
    all
}

fn across(seconds: u64) -> Vec<Hop> {
    vec![
        hop(NODE_A, seconds, vec![spoof_guard(), egress_rule(), tunnelled()]),
        hop(NODE_B, seconds, vec![received(), ingress_rule(), delivered()]),
    ]
}

fn spoof_guard() -> Observation {
    Observation::new(Component::SpoofGuard, Action::Forwarded)
}

fn egress_rule() -> Observation {
    Observation::new(Component::NetworkPolicy, Action::Forwarded)
        .at(ComponentInfo::EgressRule)
        .by(policy("allow-egress-to-pod2"))
}

fn ingress_rule() -> Observation {
    Observation::new(Component::NetworkPolicy, Action::Forwarded)
        .at(ComponentInfo::IngressRule)
        .by(policy("allow-ingress-from-pod1"))
}

fn tunnelled() -> Observation {
    Observation {
        tunnel_dst_ip: Some(ip("192.168.11.112")),
        ..Observation::new(Component::Forwarding, Action::Forwarded).at(ComponentInfo::Output)
    }
}

fn received() -> Observation {
    Observation::new(Component::Forwarding, Action::Received).at(ComponentInfo::Classification)
}

fn delivered() -> Observation {
    Observation::new(Component::Forwarding, Action::Delivered).at(ComponentInfo::Output)
}

fn isolated() -> Observation {
    Observation::new(Component::NetworkPolicy, Action::Dropped)
        .at(ComponentInfo::IngressDefaultRule)
        .because(isolation())
}

fn isolation() -> DropReason {
    DropReason::DefaultIsolation {
        policies: Arc::new([policy("allow-ingress-from-pod1")]),
    }
}

fn policy(name: &str) -> PolicyRef {
    PolicyRef::kubernetes(ObjectName::new("default", name))
}

fn delivered_on(node: &str) -> Verdict {
    Verdict::Delivered { node: node.into() }
}

fn dropped_on(node: &str) -> Verdict {
    Verdict::Dropped {
        node: node.into(),
        reason: Some(isolation()),
    }
}

fn hop(node: &str, seconds: u64, observations: Vec<Observation>) -> Hop {
    Hop {
        node: NodeName::from(node),
        timestamp: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
        observations,
        after_gap: false,
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn pod(number: usize) -> End {
    let address = ["172.16.5.11", "172.16.5.12", "172.16.3.8"][number - 1];
    pod_end(ObjectName::new("default", format!("pod{number}")), ip(address))
}

fn pod_end(name: ObjectName, address: IpAddr) -> End {
    End {
        owner: Some(Owner::Pod(name)),
        address,
        mac: None,
        node: None,
    }
}

fn tcp(source: u16, destination: u16) -> Transport {
    let flags = TcpFlags::SYN;
    Transport::Tcp {
        source,
        destination,
        flags,
    }
}

fn echo() -> Transport {
    Transport::Icmp(IcmpHeader {
        icmp_type: 8,
        code: 0,
        id: 0,
        sequence: 0,
    })
}

fn injected(destination: End, transport: Transport, hops: Vec<Hop>, verdict: Verdict) -> Trace {
    let packet = Packet {
        source_mac: MacAddress([2, 0, 0, 0, 0, 1]),
        destination_mac: MacAddress([2, 0, 0, 0, 0, 2]),
        ip: IpHeader::V4(Ipv4Header {
            source: [172, 16, 5, 11].into(),
            destination: [172, 16, 5, 12].into(),
            ttl: 64,
            dscp: 0,
            flags: 2,
            identification: 0,
        }),
        transport,
        nonce: Nonce(1),
    };
    let question = Question::Inject {
        pod: ObjectName::new("default", "pod1"),
        node: NODE_A.into(),
        packet,
    };
    trace(Mode::Injected, destination, question, hops, verdict)
}

fn live(matching: FlowMatch, dropped_only: bool, hops: Vec<Hop>, verdict: Verdict) -> Trace {
    let question = Question::Live { matching, dropped_only };
    trace(Mode::Live, pod(3), question, hops, verdict)
}

fn trace(mode: Mode, destination: End, question: Question, hops: Vec<Hop>, verdict: Verdict) -> Trace {
    Trace {
        plan: Arc::new(Plan {
            source: Some(pod(1)),
            destination: Some(destination),
            question,
            timeout: Duration::from_secs(20),
            choices: Vec::new(),
        }),
        mode,
        hops,
        verdict,
        captured: None,
        established: false,
        unseen: Vec::new(),
        finding: None,
        attempts: u8::from(mode == Mode::Injected),
        receipt: Receipt::default(),
        notes: Vec::new(),
    }
}

fn choose(trace: &mut Trace, what: &'static str, chosen: &str) {
    let mut plan = Plan::clone(&trace.plan);
    plan.choices.push(Choice {
        what,
        chosen: chosen.to_owned(),
    });
    trace.plan = Arc::new(plan);
}

fn captured(protocol: Protocol, ttl: u8, length: u32, transport: CapturedTransport) -> CapturedPacket {
    CapturedPacket {
        source: ip("172.16.5.11"),
        destination: ip("172.16.3.8"),
        length,
        ttl,
        dscp: 0,
        flags: Some(2),
        identification: Some(1),
        protocol,
        transport,
        nonce: None,
    }
}
