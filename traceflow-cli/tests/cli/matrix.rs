//! Who reaches whom, as a page and for programs.

use expect_test::expect;
use serde_json::Value;

use crate::{on_demo, traceflow, traceflow_reading};

fn on_antrea(args: &[&str]) -> crate::Run {
    let words = ["matrix", "--cluster", "examples/antrea", "--seed", "1"];
    traceflow(&[&words[..], args].concat())
}

#[test]
fn the_demo_is_a_page_with_the_policy_behind_each_denial() {
    let run = on_demo(&["matrix", "--ports", "tcp/80,icmp", "--denials"]);
    assert_eq!((run.exit, run.err.as_str()), (0, ""));
    expect![[r#"
        From 3 to 3: 12 packets (predicted, nothing was sent)
        Each cell shows, in this order: tcp/80, icmp
        + delivered (6)   x dropped (6)   . a Pod to itself

        FROM                                  1   2
        A  default/pod1                       ..  +x
        B  default/role=destination (2 Pods)  ++  xx

        TO
        1  default/pod1
        2  default/role=destination (2 Pods)

        DENIED BY
        no rule allows it, and the Pod is isolated by
        K8sNetworkPolicy:default/allow-ingress-from-pod1, on the way in to the target
          6 packets: A->2 (icmp)  B->2
    "#]]
    .assert_eq(&run.out);
}

#[test]
fn rules_services_and_addresses_are_told() {
    let run = on_antrea(&[
        "--ports",
        "tcp/5432,udp/53",
        "--to",
        "*",
        "--to",
        "8.8.8.8",
        "--denials",
    ]);
    assert_eq!(run.exit, 0, "{}", run.err);
    expect![[r#"
        From 4 to 5: 32 packets (predicted, nothing was sent)
        Each cell shows, in this order: tcp/5432, udp/53
        + delivered (10)   > left the network (6)   x dropped (16)   . a Pod to itself

        FROM                1   2   3
        A  data/* (2 Pods)  xx  ++  >>
        B  shop/* (2 Pods)  xx  x+  x>

        TO
        1  data/* (2 Pods)
        2  shop/* (2 Pods)
        3  8.8.8.8

        DENIED BY
        rule nobody of AntreaClusterNetworkPolicy:closed-by-default denies it, on the
        way in to the target
          4 packets: A->1
        no rule allows it, and the Pod is isolated by K8sNetworkPolicy:shop/names-only,
        on the way out of the sender
          8 packets: B->1,2,3 (tcp/5432)
        rule other-teams of AntreaClusterNetworkPolicy:separate-teams denies it, on the
        way in to the target
          4 packets: B->1 (udp/53)
    "#]]
    .assert_eq(&run.out);
}

#[test]
fn a_spreadsheet_has_a_line_for_each_packet() {
    let run = on_demo(&["matrix", "--from", "pod1", "--ports", "icmp", "-o", "csv"]);
    assert_eq!(run.exit, 0, "{}", run.err);
    expect![[r#"
        from,to,port,outcome,direction,policy,rule,reason,unlike_model
        default/pod1,default/pod1,icmp,not-asked,,,,a Pod's packets to itself never reach the network,
        default/pod1,default/pod2,icmp,dropped,ingress,K8sNetworkPolicy:default/allow-ingress-from-pod1,,"no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/allow-ingress-from-pod1",
        default/pod1,default/pod3,icmp,dropped,ingress,K8sNetworkPolicy:default/allow-ingress-from-pod1,,"no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/allow-ingress-from-pod1",
    "#]].assert_eq(&run.out);
}

#[test]
fn programs_get_an_object_for_each_packet() {
    let run = on_antrea(&[
        "--from",
        "shop/cart",
        "--to",
        "data/orders-0",
        "--ports",
        "udp/53",
        "-o",
        "json",
    ]);
    assert_eq!(run.exit, 0, "{}", run.err);
    expect![[r#"
        {
          "mode": "predicted",
          "from": [
            "shop/cart"
          ],
          "to": [
            "data/orders-0"
          ],
          "ports": [
            "udp/53"
          ],
          "tally": {
            "delivered": 0,
            "dropped": 1,
            "left": 0,
            "not-asked": 0,
            "rejected": 0,
            "unanswered": 0
          },
          "notes": [],
          "cells": [
            {
              "from": "shop/cart",
              "to": "data/orders-0",
              "port": "udp/53",
              "outcome": "dropped",
              "direction": "ingress",
              "policies": [
                "AntreaClusterNetworkPolicy:separate-teams"
              ],
              "rule": "other-teams",
              "reason": "rule other-teams of AntreaClusterNetworkPolicy:separate-teams denies it"
            }
          ]
        }
    "#]]
    .assert_eq(&run.out);
    let json: Value = serde_json::from_str(&run.out).expect("it is JSON");
    assert_eq!(json["cells"].as_array().map(Vec::len), Some(1));
}

/// Pods that can't be asked about are there, with the reason.
#[test]
fn who_cannot_be_asked_about_is_told_with_the_reason() {
    let cluster = "
{apiVersion: v1, kind: Node, metadata: {name: a}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web, labels: {app: web}}, spec: {nodeName: a}}
---
{apiVersion: v1, kind: Pod, metadata: {name: agent}, spec: {nodeName: a, hostNetwork: true}}
---
{apiVersion: v1, kind: Pod, metadata: {name: waiting}, status: {phase: Pending}}
---
{apiVersion: v1, kind: Pod, metadata: {name: job}, spec: {nodeName: a}, status: {phase: Succeeded}}
---
{apiVersion: v1, kind: Service, metadata: {name: nobody}, spec: {clusterIP: 10.96.0.9, selector: {app: none}, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: headless}, spec: {clusterIP: None, selector: {app: web}, ports: [{port: 80}]}}
";
    let folder = tempfile::tempdir().expect("there is a place for temporary files");
    let file = folder.path().join("cluster.yaml");
    std::fs::write(&file, cluster).expect("it can be written");
    let words = ["matrix", "--ports", "tcp/80,tcp6/80", "--denials"];
    let targets = ["--to", "*", "--to", "svc/nobody", "--to", "svc/headless", "--to", "job"];
    let cluster = ["--cluster", file.to_str().expect("it is text")];
    let run = traceflow(&[&words[..], &targets, &cluster].concat());
    assert_eq!(run.exit, 0, "{}", run.err);
    expect![[r#"
        From 3 to 6: 2 packets (predicted, nothing was sent)
        Each cell shows, in this order: tcp/80, tcp6/80
        + delivered (1)   r rejected (1)   - not asked (28)   . a Pod to itself

        FROM                               1   2   3
        A  default/agent, default/waiting  --  --  --
        B  default/web                     +-  --  r-

        TO
        1  default/agent, default/web
        2  default/job, default/waiting, svc/default/headless
        3  svc/default/nobody

        DENIED BY
        Service default/nobody has no ready endpoint
          1 packet: B->3 (tcp/80)

        NOT ASKED
        Who doesn't run yet: default/waiting
        Who has ended: default/job
        Who has no IPv6 address: default/web
        Who has no cluster address of its own; ask about its Pods instead:
          svc/default/headless
        Who uses its node's network, so it has no port to send from: default/agent
    "#]]
    .assert_eq(&run.out);
}

/// One packet to a Service is one endpoint's.
#[test]
fn a_service_that_chooses_is_told() {
    let run = on_demo(&[
        "matrix",
        "--from",
        "pod1",
        "--to",
        "svc/tf-destination",
        "--ports",
        "tcp/80",
    ]);
    assert_eq!(run.exit, 0, "{}", run.err);
    expect![[r#"
        From 1 to 1: 1 packet (predicted, nothing was sent)
        Each cell shows tcp/80
        + delivered (1)

        FROM             1
        A  default/pod1  +

        TO
        1  svc/default/tf-destination

        One packet each, to the endpoint that the Service chose:
          svc/default/tf-destination (2 endpoints)
    "#]]
    .assert_eq(&run.out);
}

#[test]
fn one_by_one_is_a_matrix() {
    let run = on_demo(&["matrix", "--from", "pod1", "--to", "pod1", "--ports", "icmp"]);
    assert_eq!(run.exit, 0, "{}", run.err);
    expect![[r#"
        From 1 to 1: 0 packets (predicted, nothing was sent)
        Each cell shows icmp
        . a Pod to itself

        FROM             1
        A  default/pod1  .

        TO
        1  default/pod1
    "#]]
    .assert_eq(&run.out);
}

#[test]
fn mistakes_are_named_with_the_argument() {
    for (args, mistake) in [
        (
            &["--ports", "tcp/80,80"][..],
            "--ports:1:8: \"80\" is a number alone; say the protocol, too: tcp/80",
        ),
        (
            &["--ports", "icmp", "--from", "app=x,,y"],
            "--from:1:7: there is nothing here; use a requirement such as app=web, one comma between two",
        ),
        (
            &["--ports", "icmp", "--to", "role=x"],
            "--to: \"role=x\" selects nobody; label role has destination or source",
        ),
        (
            &["--ports", "icmp", "--from", "svc/tf-destination"],
            "--from: svc/tf-destination is a Service, from which nothing can be sent; select Pods",
        ),
        (
            &["--ports", "icmp", "-o", "csv", "--denials"],
            "--denials is for people to read, and -o csv and -o json say it anyway; drop it, or take -o table",
        ),
        (
            &["--ports", "icmp", "--datapath", "ovs"],
            "--datapath ovs needs --nodes FILE, which says where the switches are",
        ),
    ] {
        let run = on_demo(&[&["matrix"], args].concat());
        assert_eq!((run.exit, run.out.as_str()), (2, ""), "{args:?}: {}", run.err);
        let first = run.err.lines().next().unwrap_or_default();
        assert_eq!(first, format!("error: {mistake}"));
    }
    let run = traceflow_reading("", &["matrix", "--cluster", "examples/demo"]);
    assert_eq!(run.exit, 2);
    assert!(run.err.contains("--ports <LIST>"), "{}", run.err);
}

#[test]
fn colours_are_there_on_request_and_say_nothing_of_their_own() {
    let words = ["matrix", "--ports", "tcp/80,icmp", "--color"];
    let plain = on_demo(&[&words[..], &["never"]].concat()).out;
    let coloured = on_demo(&[&words[..], &["always"]].concat()).out;
    assert!(coloured.contains("\u{1b}[32m+\u{1b}[0m"), "{coloured}");
    let mut bare = String::new();
    let mut rest = &*coloured;
    while let Some((before, sequence)) = rest.split_once('\u{1b}') {
        bare.push_str(before);
        rest = sequence.split_once('m').expect("it ends").1;
    }
    assert_eq!(bare + rest, plain);
}
