//! What the command line refuses, under the names of Antrea's validation cases.

use traceflow_core::plan::Plan;
use traceflow_core::spec::CommandLine;

use crate::FROM;
use crate::clusters::policed;

/// What Antrea refuses, and why here.
#[test]
fn what_can_not_be_asked() {
    let cluster = policed().pod("host", "node1").host_network().build().unwrap();
    let refused_of = |flow: &str, source: Option<&str>, destination: Option<&str>, live: bool| {
        let asked = CommandLine {
            source,
            destination,
            flow: Some(flow),
            live_traffic: live,
            ..CommandLine::default()
        };
        let resolved = asked
            .spec(&cluster)
            .and_then(|spec| Plan::resolve(&spec, &cluster, &mut fastrand::Rng::with_seed(1)));
        resolved.map_or_else(|error| error.to_string(), |_| "taken".to_owned())
    };
    let refused =
        |source: Option<&str>, destination: Option<&str>, live: bool| refused_of("icmp", source, destination, live);
    let answers = [
        (
            "nonExistingDstPod",
            refused(Some(FROM), Some("non-existing-pod"), false),
        ),
        (
            "nonExistingDstPodIPv6",
            refused_of("icmp6", Some(FROM), Some("non-existing-pod"), false),
        ),
        (
            "Source Pod must be specified in non-live-traffic Traceflow",
            refused(None, Some("node1-pod1"), false),
        ),
        (
            "Traceflow should have either source or destination Pod assigned",
            refused(Some("10.1.1.1"), Some("10.1.1.2"), true),
        ),
        (
            "Assigned source pod must exist",
            refused(Some("unknown"), Some("node1-pod1"), false),
        ),
        (
            "Using hostNetwork Pod as source in non-live-traffic Traceflow is not supported",
            refused(Some("host"), Some("node1-pod1"), false),
        ),
        // Antrea's end-to-end test asks for real traffic of a Pod on the host's network, its unit test for an injected packet.
        ("Valid request", refused(Some("host"), None, true)),
        (
            "Valid request, injected",
            refused(Some(FROM), Some("node1-pod1"), false),
        ),
    ];
    let text: String = answers
        .iter()
        .map(|(name, answer)| format!("{name}: {answer}\n"))
        .collect();
    expect_test::expect![[r#"
        nonExistingDstPod: -D: Pod or Service default/non-existing-pod is not in the cluster; check the name; outside of namespace default, write NAMESPACE/NAME
        nonExistingDstPodIPv6: -D: Pod or Service default/non-existing-pod is not in the cluster; check the name; outside of namespace default, write NAMESPACE/NAME
        Source Pod must be specified in non-live-traffic Traceflow: -S: is missing; name the Pod that sends
        Traceflow should have either source or destination Pod assigned: -S: is missing; name a Pod here or as destination: at least one end must be a Pod
        Assigned source pod must exist: spec.source.pod: Pod default/unknown is not in the cluster; check its name and namespace
        Using hostNetwork Pod as source in non-live-traffic Traceflow is not supported: spec.source.pod: Pod default/host uses its node's network, so it has no port to inject at; choose a Pod without hostNetwork
        Valid request: taken
        Valid request, injected: taken
    "#]].assert_eq(&text);
}
