//! Expectations as a test in a pipeline.

use expect_test::expect;
use serde_json::Value;

use crate::{Run, on_demo, traceflow, traceflow_reading};

/// Holds these expectations against the demo cluster.
fn checked(text: &str, more: &[&str]) -> Run {
    let words = ["check", "--cluster", "examples/demo", "--seed", "1", "-"];
    traceflow_reading(text, &[&words[..], more].concat())
}

#[test]
fn the_examples_are_met() {
    for example in ["demo", "antrea"] {
        let (cluster, file) = (format!("examples/{example}"), format!("examples/checks/{example}.yaml"));
        let run = traceflow(&["check", "--cluster", &cluster, &file]);
        assert_eq!((run.exit, run.err.as_str()), (0, ""), "{}", run.out);
        assert!(run.out.contains("\n3 of 3 expectations met"), "{}", run.out);
    }
}

#[test]
fn what_is_met_and_exercised_is_a_page() {
    let run = traceflow(&[
        "check",
        "--cluster",
        "examples/antrea",
        "examples/checks/antrea.yaml",
        "--untouched",
    ]);
    expect![[r#"
        ok      the shop looks up names and does nothing else (8 packets)
        ok      another team's databases are out of reach, even for names (4 packets)
        ok      databases don't talk to each other (6 packets)

        3 of 3 expectations met; 18 packets predicted
        Policy rules exercised: 4 of 5 (80 %); default isolation: 1 of 1 (100 %)
          untouched: AntreaNetworkPolicy:data/known-clients ingress[0] (unknown)
    "#]]
    .assert_eq(&run.out);
}

const WRONG: &str = "
expectations:
- name: the destinations are open
  from: '*'
  to: role=destination
  ports: [tcp/80, icmp]
  expect: delivered
- name: pod1 is open, to <everybody> & all
  from: role=destination
  to: pod1
  ports: icmp
  expect: delivered
- name: another policy closes the destinations
  from: '*'
  to: role=destination
  ports: icmp
  expect: denied
  by: {policy: 'K8sNetworkPolicy:default/allow-egress-to-pod2'}
- name: they refuse
  from: pod1
  to: pod2
  ports: icmp
  expect: rejected
- name: nobody offers udp/53
  from: pod1
  to: svc/tf-destination
  ports: udp/53
  expect: denied
- name: pod1 is shut out
  from: pod1
  to: [pod2, pod3]
  ports: tcp/80
  expect: denied
- name: and so are the others
  from: pod3
  to: pod1
  ports: tcp/80
  expect: denied
";

#[test]
fn what_is_not_met_is_told_with_the_first_packets_and_the_rule() {
    let run = checked(WRONG, &[]);
    assert_eq!((run.exit, run.err.as_str()), (1, ""));
    expect![[r#"
        FAILED  the destinations are open (8 packets, 6 not as expected)
                dropped: no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/allow-ingress-from-pod1; it should be delivered
                  default/pod1 -> default/pod2 icmp
                  default/pod1 -> default/pod3 icmp
                  default/pod2 -> default/pod3 tcp/80
                  and 3 more
        ok      pod1 is open, to <everybody> & all (2 packets)
        FAILED  another policy closes the destinations (4 packets, 4 not as expected)
                dropped: no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/allow-ingress-from-pod1; it should be denied by K8sNetworkPolicy:default/allow-egress-to-pod2
                  default/pod1 -> default/pod2 icmp
                  default/pod1 -> default/pod3 icmp
                  default/pod2 -> default/pod3 icmp
                  and 1 more
        FAILED  they refuse (1 packet, 1 not as expected)
                dropped: no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/allow-ingress-from-pod1; it should be rejected
                  default/pod1 -> default/pod2 icmp
        FAILED  nobody offers udp/53 (1 packet, 1 not as expected)
                dropped: Service default/tf-destination does not offer this port and protocol; no policy denies it
                  default/pod1 -> svc/default/tf-destination udp/53
        FAILED  pod1 is shut out (2 packets, 2 not as expected)
                delivered; it should be denied (let through by K8sNetworkPolicy:default/allow-egress-to-pod2 egress[0] and K8sNetworkPolicy:default/allow-ingress-from-pod1 ingress[0])
                  default/pod1 -> default/pod2 tcp/80
                  default/pod1 -> default/pod3 tcp/80
        FAILED  and so are the others (1 packet, 1 not as expected)
                delivered; it should be denied (no policy has a say about it)
                  default/pod3 -> default/pod1 tcp/80

        1 of 7 expectations met, 6 not met; 19 packets predicted
        Policy rules exercised: 2 of 2 (100 %); default isolation: 1 of 2 (50 %)
    "#]].assert_eq(&run.out);
}

#[test]
fn pipelines_get_junit() {
    let run = checked(WRONG, &["-o", "junit"]);
    assert_eq!((run.exit, run.err.as_str()), (1, ""));
    expect![[r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="traceflow check" tests="7" skipped="0" failures="6" errors="0">
            <testsuite name="standard input" tests="7" skipped="0" errors="0" failures="6">
                <properties>
                    <property name="policy rules exercised" value="2 of 2"/>
                    <property name="default isolations exercised" value="1 of 2"/>
                </properties>
                <testcase name="the destinations are open" classname="standard input">
                    <failure message="of 8 packets 6 did not end as expected, 0 have no answer">dropped: no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/allow-ingress-from-pod1; it should be delivered
          default/pod1 -&gt; default/pod2 icmp
          default/pod1 -&gt; default/pod3 icmp
          default/pod2 -&gt; default/pod3 tcp/80
          default/pod2 -&gt; default/pod3 icmp
          default/pod3 -&gt; default/pod2 tcp/80
          default/pod3 -&gt; default/pod2 icmp</failure>
                </testcase>
                <testcase name="pod1 is open, to &lt;everybody&gt; &amp; all" classname="standard input"/>
                <testcase name="another policy closes the destinations" classname="standard input">
                    <failure message="of 4 packets 4 did not end as expected, 0 have no answer">dropped: no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/allow-ingress-from-pod1; it should be denied by K8sNetworkPolicy:default/allow-egress-to-pod2
          default/pod1 -&gt; default/pod2 icmp
          default/pod1 -&gt; default/pod3 icmp
          default/pod2 -&gt; default/pod3 icmp
          default/pod3 -&gt; default/pod2 icmp</failure>
                </testcase>
                <testcase name="they refuse" classname="standard input">
                    <failure message="of 1 packets 1 did not end as expected, 0 have no answer">dropped: no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/allow-ingress-from-pod1; it should be rejected
          default/pod1 -&gt; default/pod2 icmp</failure>
                </testcase>
                <testcase name="nobody offers udp/53" classname="standard input">
                    <failure message="of 1 packets 1 did not end as expected, 0 have no answer">dropped: Service default/tf-destination does not offer this port and protocol; no policy denies it
          default/pod1 -&gt; svc/default/tf-destination udp/53</failure>
                </testcase>
                <testcase name="pod1 is shut out" classname="standard input">
                    <failure message="of 2 packets 2 did not end as expected, 0 have no answer">delivered; it should be denied (let through by K8sNetworkPolicy:default/allow-egress-to-pod2 egress[0] and K8sNetworkPolicy:default/allow-ingress-from-pod1 ingress[0])
          default/pod1 -&gt; default/pod2 tcp/80
          default/pod1 -&gt; default/pod3 tcp/80</failure>
                </testcase>
                <testcase name="and so are the others" classname="standard input">
                    <failure message="of 1 packets 1 did not end as expected, 0 have no answer">delivered; it should be denied (no policy has a say about it)
          default/pod3 -&gt; default/pod1 tcp/80</failure>
                </testcase>
            </testsuite>
        </testsuites>
    "#]].assert_eq(&run.out);
}

#[test]
fn programs_get_json() {
    let run = checked(WRONG, &["-o", "json"]);
    assert_eq!(run.exit, 1);
    let json: Value = serde_json::from_str(&run.out).expect("it is JSON");
    assert_eq!(json["met"], false);
    let statuses: Vec<_> = json["expectations"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| &one["status"])
        .collect();
    assert_eq!(statuses, ["unmet", "met", "unmet", "unmet", "unmet", "unmet", "unmet"]);
    assert_eq!(json["expectations"][3]["offences"][0]["packet"]["outcome"], "dropped");
    assert_eq!(json["coverage"]["rulesExercised"], 2);
}

#[test]
fn mistakes_have_their_place_in_the_file() {
    for (text, mistake) in [
        (
            "",
            "standard input:1:1: the input is empty; it needs a list of expectations",
        ),
        (
            "expectations: []",
            "standard input:1:1: expectations: there are no expectations; add an expectation, such as {from: '*', to: app=db, \
             ports: tcp/5432, expect: denied}",
        ),
        (
            "checks: []",
            "standard input:1:1: checks: there is no such field; use expectations",
        ),
        (
            "expectations: [{form: pod1}]",
            "standard input:1:17: expectations[0].form: there is no such field; did you mean from?",
        ),
        (
            "expectations: [{from: pod1}]",
            "standard input:1:16: expectations[0].to: is missing; add to",
        ),
        (
            "expectations: [{from: pod1, to: pod2, ports: tcp/80}]",
            "standard input:1:16: expectations[0].expect: is missing; add expect",
        ),
        (
            "expectations: [{from: pod1, to: pod2, ports: tcp/80, expect: allowed}]",
            "standard input:1:54: expectations[0].expect: \"allowed\" is not valid; use delivered, denied, dropped or rejected",
        ),
        (
            "expectations: [{from: pod1, to: pod2, ports: 80, expect: denied}]",
            "standard input:1:39: expectations[0].ports: 80 is an integer; use a string, in quotes",
        ),
        (
            "expectations: [{from: pod1, to: pod2, ports: [tcp/80, tcp/80], expect: denied}]",
            "standard input:1:39: expectations[0].ports: tcp/80 stands here twice; remove one",
        ),
        (
            "expectations: [{from: pod1, to: pod2, ports: [tcp/80, tcp], expect: denied}]",
            "standard input:1:55: expectations[0].ports[1]: tcp is there without a port; write tcp/80",
        ),
        (
            "expectations: [{from: [], to: pod2, ports: icmp, expect: denied}]",
            "standard input:1:17: expectations[0].from: this list is empty; add a selector, such as app=web or *",
        ),
        (
            "expectations: [{from: 8.8.8.8, to: pod2, ports: icmp, expect: denied}]",
            "standard input:1:17: expectations[0].from: 8.8.8.8 is an address, from which nothing can be sent; select Pods",
        ),
        (
            "expectations: [{from: [pod1, role=x], to: pod2, ports: icmp, expect: denied}]",
            "standard input:1:30: expectations[0].from[1]: \"role=x\" selects nobody; label role has destination or source",
        ),
        (
            "expectations: [{from: pod1, to: pod9, ports: icmp, expect: denied}]",
            "standard input:1:29: expectations[0].to: Pod default/pod9 is not in the cluster; did you mean default/pod1?",
        ),
        (
            "expectations: [{from: pod1, to: pod1, ports: icmp, expect: denied}]",
            "standard input:1:16: expectations[0]: no packet of it can be asked about: a Pod's packets to itself never reach \
             the network; select others, or say mayBeEmpty: true",
        ),
        (
            "expectations: [{from: '*', to: pod1, ports: icmp, expect: denied, others: denied}]",
            "standard input:1:67: expectations[0].others: it is about nobody, for every Pod is in from; select others, or say \
             mayBeEmpty: true",
        ),
        (
            "expectations: [{from: pod1, to: pod2, ports: icmp, expect: delivered, by: {policy: 'K8sNetworkPolicy:a/b'}}]",
            "standard input:1:71: expectations[0].by: by names what denies, and nothing is denied here; remove it, or expect \
             denied, dropped or rejected",
        ),
        (
            "expectations: [{from: pod1, to: pod2, ports: icmp, expect: denied, by: {policy: allow-egress-to-pod2}}]",
            "standard input:1:73: expectations[0].by.policy: \"allow-egress-to-pod2\" is not valid; use a policy as traces name \
             it, such as K8sNetworkPolicy:shop/web, AntreaNetworkPolicy:shop/web or AntreaClusterNetworkPolicy:strict",
        ),
        (
            "expectations: [{from: pod1, to: pod2, ports: icmp, expect: denied, by: {policy: 'K8sNetworkPolicy:a/b', rule: c}}]",
            "standard input:1:105: expectations[0].by.rule: no rule of a Kubernetes policy denies, and \"c\" has no name; remove \
             rule: that policy denies by isolating Pods",
        ),
        (
            "expectations: [{from: pod1, to: pod2, ports: icmp, expect: denied, by: {policy: \
             'K8sNetworkPolicy:default/allow-egress-to-pod3'}}]",
            "standard input:1:68: expectations[0].by: K8sNetworkPolicy:default/allow-egress-to-pod3 is not in the cluster; did \
             you mean K8sNetworkPolicy:default/allow-egress-to-pod2?",
        ),
    ] {
        let run = checked(text, &[]);
        assert_eq!((run.exit, run.out.as_str()), (2, ""), "{text}: {}", run.err);
        assert_eq!(
            run.err.lines().next().unwrap_or_default(),
            format!("error: {mistake}"),
            "{text}"
        );
    }
}

#[test]
fn who_may_be_nobody_is_no_mistake() {
    let text = "expectations: [{from: role=x, to: pod1, ports: icmp, expect: denied, mayBeEmpty: true}]";
    let run = checked(text, &[]);
    assert_eq!(run.exit, 0, "{}", run.err);
    assert!(
        run.out
            .starts_with("ok      role=x to pod1, icmp: denied (0 packets)\n"),
        "{}",
        run.out
    );
}

#[test]
fn several_files_are_checked_together() {
    let run = on_demo(&[
        "check",
        "examples/checks/demo.yaml",
        "examples/checks/demo.yaml",
        "-o",
        "junit",
    ]);
    assert_eq!(run.exit, 0, "{}", run.err);
    assert!(run.out.contains("tests=\"6\""), "{}", run.out);
    let run = on_demo(&["check", "examples/checks/demo.yaml", "no-such.yaml"]);
    assert_eq!((run.exit, run.out.as_str()), (2, ""));
    assert_eq!(
        run.err,
        "error: can't read no-such.yaml: No such file or directory (os error 2)\n"
    );
}
