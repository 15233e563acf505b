//! Injected packets, and where they are seen.

use std::sync::Arc;

use agreement::world::{World, WorldError};
use testbed::fabric::{FabricError, Form};
use traceflow_core::trace::Trace;
use traceflow_sim::ClusterBuilder;
use traceflow_sim::model::TrafficMode;

use crate::clusters::{antrea_policed, nodes, policed, with_cluster_policy, with_egress};
use crate::told::{ALLOWED, GUARDED, GUARDED_V6, TUNNELLED, Told, as_text, told};
use crate::{FROM, injecting, plan, simulated, switches_are_installed};

/// A situation, what is asked, and what each node did, with all that Antrea's tests compare.
type Scenario = (&'static str, fn() -> ClusterBuilder, [&'static str; 3], Told);

const INTRA_NODE: &[Scenario] = &[
    (
        "ANNPDenyIngressIPv4",
        antrea_policed,
        [FROM, "node1-pod1", "tcp,tcp_dst=80"],
        &[(
            "node1",
            &[
                GUARDED,
                "ingress-drop networkPolicy=AntreaNetworkPolicy:default/deny-ingress networkPolicyRule=ingress-drop",
            ],
        )],
    ),
    (
        "ANNPRejectIngressIPv4",
        antrea_policed,
        [FROM, "node1-pod2", "tcp,tcp_dst=80"],
        &[(
            "node1",
            &[
                GUARDED,
                "ingress-reject networkPolicy=AntreaNetworkPolicy:default/reject-ingress networkPolicyRule=ingress-reject",
            ],
        )],
    ),
    (
        "ANNPDenyIngressIPv6",
        antrea_policed,
        [FROM, "node1-pod1", "tcp6,tcp_dst=80"],
        &[(
            "node1",
            &[
                GUARDED_V6,
                "ingress-drop networkPolicy=AntreaNetworkPolicy:default/deny-ingress networkPolicyRule=ingress-drop",
            ],
        )],
    ),
    // A case of ours: Antrea's table has the dropped packet in both families, but the rejected one in IPv4 only.
    (
        "ANNPRejectIngressIPv6",
        antrea_policed,
        [FROM, "node1-pod2", "tcp6,tcp_dst=80"],
        &[(
            "node1",
            &[
                GUARDED_V6,
                "ingress-reject networkPolicy=AntreaNetworkPolicy:default/reject-ingress networkPolicyRule=ingress-reject",
            ],
        )],
    ),
    (
        "intraNodeTraceflowIPv4",
        policed,
        [FROM, "node1-pod1", "tcp,tcp_dst=80,tcp_src=10003"],
        &[("node1", &[GUARDED, ALLOWED, "ingress-default-drop"])],
    ),
    (
        "intraNodeUDPDstPodTraceflowIPv4",
        policed,
        [FROM, "node1-pod2", "udp,udp_dst=321,udp_src=10004"],
        &[("node1", &[GUARDED, ALLOWED, "delivered"])],
    ),
    (
        "intraNodeUDPDstIPTraceflowIPv4",
        policed,
        [FROM, "10.244.0.4", "udp,udp_dst=321,udp_src=10005"],
        &[("node1", &[GUARDED, ALLOWED, "delivered"])],
    ),
    (
        "intraNodeICMPDstIPTraceflowIPv4",
        policed,
        [FROM, "10.244.0.4", "icmp"],
        &[("node1", &[GUARDED, ALLOWED, "delivered"])],
    ),
    (
        "intraNodeTraceflowIPv6",
        policed,
        [FROM, "node1-pod1", "tcp6,tcp_dst=80"],
        &[("node1", &[GUARDED_V6, ALLOWED, "ingress-default-drop"])],
    ),
    (
        "intraNodeUDPDstPodTraceflowIPv6",
        policed,
        [FROM, "node1-pod2", "udp6,udp_dst=321"],
        &[("node1", &[GUARDED_V6, ALLOWED, "delivered"])],
    ),
    (
        "intraNodeUDPDstIPTraceflowIPv6",
        policed,
        [FROM, "fd00:10:244::4", "udp6,udp_dst=321"],
        &[("node1", &[GUARDED_V6, ALLOWED, "delivered"])],
    ),
    (
        "intraNodeICMPDstIPTraceflowIPv6",
        policed,
        [FROM, "fd00:10:244::4", "icmp6"],
        &[("node1", &[GUARDED_V6, ALLOWED, "delivered"])],
    ),
    (
        "localGatewayDestinationIPv4",
        policed,
        [FROM, "10.244.0.1", "icmp"],
        &[("node1", &[GUARDED, ALLOWED, "delivered"])],
    ),
    (
        "localGatewayDestinationIPv6",
        policed,
        [FROM, "fd00:10:244::1", "icmp6"],
        &[("node1", &[GUARDED_V6, ALLOWED, "delivered"])],
    ),
];

const INTER_NODE: &[Scenario] = &[
    (
        "interNodeTraceflowIPv4",
        policed,
        [FROM, "node2-pod0", "tcp,tcp_dst=80"],
        &[
            ("node1", &[GUARDED, ALLOWED, TUNNELLED]),
            ("node2", &["received", "delivered"]),
        ],
    ),
    (
        "interNodeUDPDstIPTraceflowIPv4",
        policed,
        [FROM, "10.244.1.3", "udp,udp_dst=321"],
        &[
            ("node1", &[GUARDED, ALLOWED, TUNNELLED]),
            ("node2", &["received", "delivered"]),
        ],
    ),
    (
        "interNodeICMPDstPodDroppedTraceflowIPv4",
        policed,
        [FROM, "node2-pod1", "icmp"],
        &[
            ("node1", &[GUARDED, ALLOWED, TUNNELLED]),
            ("node2", &["received", "ingress-default-drop"]),
        ],
    ),
    (
        "serviceTraceflowIPv4",
        policed,
        [FROM, "svc", "tcp,tcp_dst=80"],
        &[
            (
                "node1",
                &[
                    GUARDED,
                    "service pod=default/agnhost translatedDstIP=10.244.1.2",
                    ALLOWED,
                    TUNNELLED,
                ],
            ),
            ("node2", &["received", "delivered"]),
        ],
    ),
    (
        "hairpinServiceTraceflowIPv4",
        policed,
        ["agnhost", "svc", "tcp,tcp_dst=80"],
        &[(
            "node2",
            &[
                "guard srcPodIP=10.244.1.2",
                "service pod=default/agnhost translatedDstIP=10.244.1.2 translatedSrcIP=10.244.1.1",
                ALLOWED,
                "delivered",
            ],
        )],
    ),
    (
        "interNodeTraceflowIPv6",
        policed,
        [FROM, "node2-pod0", "tcp6,tcp_dst=80"],
        &[
            ("node1", &[GUARDED_V6, ALLOWED, TUNNELLED]),
            ("node2", &["received", "delivered"]),
        ],
    ),
    (
        "interNodeUDPDstIPTraceflowIPv6",
        policed,
        [FROM, "fd00:10:244:1::3", "udp6,udp_dst=321"],
        &[
            ("node1", &[GUARDED_V6, ALLOWED, TUNNELLED]),
            ("node2", &["received", "delivered"]),
        ],
    ),
    (
        "interNodeICMPDstIPTraceflowIPv6",
        policed,
        [FROM, "fd00:10:244:1::3", "icmp6"],
        &[
            ("node1", &[GUARDED_V6, ALLOWED, TUNNELLED]),
            ("node2", &["received", "delivered"]),
        ],
    ),
    (
        "serviceTraceflowIPv6",
        policed,
        [FROM, "svc", "tcp6,tcp_dst=80"],
        &[
            (
                "node1",
                &[
                    GUARDED_V6,
                    "service pod=default/agnhost translatedDstIP=fd00:10:244:1::2",
                    ALLOWED,
                    TUNNELLED,
                ],
            ),
            ("node2", &["received", "delivered"]),
        ],
    ),
    (
        "hairpinServiceTraceflowIPv6",
        policed,
        ["agnhost", "svc", "tcp6,tcp_dst=80"],
        &[(
            "node2",
            &[
                "guard srcPodIP=fd00:10:244:1::2",
                "service pod=default/agnhost translatedDstIP=fd00:10:244:1::2 translatedSrcIP=fd00:10:244:1::1",
                ALLOWED,
                "delivered",
            ],
        )],
    ),
    (
        "nodeIPDestination",
        nodes,
        [FROM, "172.18.0.3", "icmp"],
        &[("node1", &[GUARDED, "out"])],
    ),
    (
        "egressFromLocalNode",
        || with_egress("node1"),
        [FROM, "192.0.2.1", "icmp"],
        &[(
            "node1",
            &[
                GUARDED,
                "marked egress=egress egressIP=172.18.0.200 egressNode=node1",
                "out",
            ],
        )],
    ),
    // Antrea's second node knows the Egress by its address alone; here it names it, and the node, too: who asks can look the sender
    // up on every node.
    (
        "egressFromRemoteNode",
        || with_egress("node2"),
        [FROM, "192.0.2.1", "icmp"],
        &[
            (
                "node1",
                &[
                    GUARDED,
                    "to-egress egress=egress egressIP=172.18.0.200 egressNode=node2",
                    "forwarded tunnelDstIP=172.18.0.200",
                ],
            ),
            (
                "node2",
                &[
                    "received",
                    "marked egress=egress egressIP=172.18.0.200 egressNode=node2",
                    "out",
                ],
            ),
        ],
    ),
];

const PACKET_INS: &[Scenario] = &[
    (
        "ingress metric drop",
        antrea_policed,
        [FROM, "node1-pod1", "udp,udp_dst=53"],
        &[(
            "node1",
            &[
                GUARDED,
                "ingress-drop networkPolicy=AntreaNetworkPolicy:default/deny-ingress networkPolicyRule=ingress-drop",
            ],
        )],
    ),
    (
        "ingress accept",
        || with_cluster_policy("ingress: [{action: Allow, name: open}]"),
        [FROM, "node1-pod1", "tcp,tcp_dst=80"],
        &[(
            "node1",
            &[
                GUARDED,
                "ingress-rule networkPolicy=AntreaClusterNetworkPolicy:acnp networkPolicyRule=open",
                "delivered",
            ],
        )],
    ),
    (
        "egress default drop",
        || {
            nodes().yaml("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: quiet}\nspec: {podSelector: {}, policyTypes: [Egress]}")
        },
        [FROM, "node1-pod1", "tcp,tcp_dst=80"],
        &[("node1", &[GUARDED, "egress-default-drop"])],
    ),
    (
        "egress accept",
        policed,
        [FROM, "node1-pod2", "tcp,tcp_dst=80"],
        &[("node1", &[GUARDED, ALLOWED, "delivered"])],
    ),
    (
        "packet at source Node for local Egress",
        || with_egress("node1"),
        [FROM, "8.8.8.8", "tcp,tcp_dst=443"],
        &[(
            "node1",
            &[
                GUARDED,
                "marked egress=egress egressIP=172.18.0.200 egressNode=node1",
                "out",
            ],
        )],
    ),
    // Two cases of Antrea's, one for each node of the way. As in egressFromRemoteNode, the second names the Egress here.
    (
        "packet at source Node for remote Egress, and at remote Node for remote Egress",
        || with_egress("node2"),
        [FROM, "8.8.8.8", "tcp,tcp_dst=443"],
        &[
            (
                "node1",
                &[
                    GUARDED,
                    "to-egress egress=egress egressIP=172.18.0.200 egressNode=node2",
                    "forwarded tunnelDstIP=172.18.0.200",
                ],
            ),
            (
                "node2",
                &[
                    "received",
                    "marked egress=egress egressIP=172.18.0.200 egressNode=node2",
                    "out",
                ],
            ),
        ],
    ),
    // In Antrea's case a packet to a Pod bears the mark of an Egress, and is told as leaving by it. Here it isn't marked: an Egress
    // has to do with what leaves the cluster alone, and in hybrid mode the packet goes to its Pod as it is.
    (
        "marked packet to remote Pod in hybrid mode",
        || with_egress("node1").traffic_mode(TrafficMode::Hybrid),
        [FROM, "node2-pod0", "tcp,tcp_dst=80"],
        &[
            ("node1", &[GUARDED, "forwarded"]),
            ("node2", &["received", "delivered"]),
        ],
    ),
    // The other half of that case, which is told as Antrea tells it: what is marked in hybrid mode leaves.
    (
        "marked packet leaving in hybrid mode",
        || with_egress("node1").traffic_mode(TrafficMode::Hybrid),
        [FROM, "8.8.8.8", "tcp,tcp_dst=443"],
        &[(
            "node1",
            &[
                GUARDED,
                "marked egress=egress egressIP=172.18.0.200 egressNode=node1",
                "out",
            ],
        )],
    ),
    // Antrea's packet is caught at the rule's table, and its case ends there; here it goes on to its end.
    (
        "packet at source Node forwarded by acnp egress rule",
        || with_cluster_policy("egress: [{action: Allow, name: acnp-egress}]"),
        [FROM, "node2-pod0", "tcp,tcp_dst=80"],
        &[
            (
                "node1",
                &[
                    GUARDED,
                    "egress-rule networkPolicy=AntreaClusterNetworkPolicy:acnp networkPolicyRule=acnp-egress",
                    TUNNELLED,
                ],
            ),
            ("node2", &["received", "delivered"]),
        ],
    ),
    // Antrea's packet is caught at the rule's table, and its case ends there; here it goes on to its end.
    (
        "packet at destination Node forwarded by acnp ingress rule",
        || with_cluster_policy("ingress: [{action: Allow, name: acnp-ingress}]"),
        [FROM, "node2-pod0", "tcp,tcp_dst=80"],
        &[
            ("node1", &[GUARDED, TUNNELLED]),
            (
                "node2",
                &[
                    "received",
                    "ingress-rule networkPolicy=AntreaClusterNetworkPolicy:acnp networkPolicyRule=acnp-ingress",
                    "delivered",
                ],
            ),
        ],
    ),
    (
        "packet at source Node dropped by acnp egress rule",
        || with_cluster_policy("egress: [{action: Drop, name: acnp-egress}]"),
        [FROM, "node2-pod0", "tcp,tcp_dst=80"],
        &[(
            "node1",
            &[
                GUARDED,
                "egress-drop networkPolicy=AntreaClusterNetworkPolicy:acnp networkPolicyRule=acnp-egress",
            ],
        )],
    ),
    (
        "packet at source Node to remote Pod with WireGuard",
        || nodes().traffic_mode(TrafficMode::WireGuard),
        [FROM, "node2-pod0", "tcp,tcp_dst=80"],
        &[("node1", &[GUARDED, TUNNELLED]), ("node2", &["received", "delivered"])],
    ),
    (
        "packet at source Node to external with WireGuard",
        || nodes().traffic_mode(TrafficMode::WireGuard),
        [FROM, "8.8.8.8", "tcp,tcp_dst=443"],
        &[("node1", &[GUARDED, "out"])],
    ),
    (
        "packet at source Node to external NoEncap",
        || nodes().traffic_mode(TrafficMode::NoEncap),
        [FROM, "8.8.8.8", "tcp,tcp_dst=443"],
        &[("node1", &[GUARDED, "out"])],
    ),
    (
        "packet at source Node to remote Pod NoEncap",
        || nodes().traffic_mode(TrafficMode::NoEncap),
        [FROM, "node2-pod0", "tcp,tcp_dst=80"],
        &[
            ("node1", &[GUARDED, "forwarded"]),
            ("node2", &["received", "delivered"]),
        ],
    ),
];

/// What is wrong with the answer.
fn wrong((name, _, _, expected): &Scenario, trace: &Trace) -> Option<String> {
    let (expected, told) = (as_text(expected), told(&trace.hops));
    let right = told == expected && trace.finding.is_none();
    (!right).then(|| {
        let finding = trace.finding.as_ref().map(ToString::to_string);
        format!("{name}\n  expected:\n{expected}  told:\n{told}{finding:?}")
    })
}

fn all_scenarios() -> impl Iterator<Item = &'static Scenario> {
    INTRA_NODE.iter().chain(INTER_NODE).chain(PACKET_INS)
}

#[tokio::test(start_paused = true)]
async fn on_the_simulated_network() {
    let mut mistakes = Vec::new();
    for scenario in all_scenarios() {
        let (_, cluster, asked, ..) = scenario;
        let cluster = Arc::new(cluster().build().unwrap());
        let (_network, tracer) = simulated(&cluster);
        let trace = tracer.trace(plan(&cluster, injecting(asked))).await.unwrap();
        tracer.close().await.unwrap();
        mistakes.extend(wrong(scenario, &trace));
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

/// Scenarios that aren't asked of switches, and why.
const NOT_ON_SWITCHES: &[(&str, &str)] = &[
    ("packet at source Node to remote Pod with WireGuard", NO_WIRE_GUARD),
    ("packet at source Node to external with WireGuard", NO_WIRE_GUARD),
];

const NO_WIRE_GUARD: &str = "the testbed's nodes have no WireGuard between them";

#[tokio::test(flavor = "multi_thread")]
async fn on_switches() {
    if !switches_are_installed() {
        return;
    }
    let mut world = World::start(Arc::new(nodes().build().unwrap()), Form::Rootless).unwrap();
    let mut mistakes = Vec::new();
    for scenario in all_scenarios() {
        let (name, cluster, asked, ..) = scenario;
        if NOT_ON_SWITCHES.iter().any(|(other, _)| other == name) {
            continue;
        }
        let cluster = Arc::new(cluster().build().unwrap());
        match world.become_cluster(cluster.clone()) {
            Ok(()) => {}
            // Another fabric: an Egress address is one more address of a node, and a route one more way between two.
            Err(WorldError::Fabric(FabricError::Unsuitable(_))) => {
                assert_eq!(world.end().await.unwrap(), Vec::<String>::new());
                world = World::start(cluster.clone(), Form::Rootless).unwrap();
            }
            Err(error) => panic!("{name}: {error}"),
        }
        let trace = world.tracer.trace(plan(&cluster, injecting(asked))).await.unwrap();
        mistakes.extend(wrong(scenario, &trace));
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    assert_eq!(world.end().await.unwrap(), Vec::<String>::new());
}

#[test]
fn what_is_left_out_on_switches_is_a_scenario() {
    for (left_out, _) in NOT_ON_SWITCHES {
        assert!(all_scenarios().any(|(name, ..)| name == left_out), "{left_out}");
    }
}
