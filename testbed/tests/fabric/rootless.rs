//! The rootless form: the test is the Pods.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::Command;
use std::time::Duration;

use testbed::fabric::{Fabric, FabricError, Form, PodLink, Settings};
use testbed::realisation::{NodeRealisation, TABLES};
use traceflow_core::names::ObjectName;

use crate::cluster::{Family, GATEWAY, node_name, nodes, pod_mac, pod_name, pod_v4, pod_v6};
use crate::switches_are_installed;

#[test]
fn frames_pass_between_pods_of_one_node_and_of_two() {
    for underlay in [Family::V4, Family::V6] {
        let Some(fabric) = start(nodes(2, underlay)) else {
            return;
        };
        let (from, mut near, mut far) = (link(&fabric, 0, 0), link(&fabric, 0, 1), link(&fabric, 1, 0));
        from.send(&frame_v4((0, 0), (0, 1), 1)).unwrap();
        assert_delivered(&mut near, &frame_v4((0, 0), (0, 1), 1), (0, 1));
        from.send(&frame_v4((0, 0), (1, 0), 2)).unwrap();
        assert_delivered(&mut far, &frame_v4((0, 0), (1, 0), 2), (1, 0));
        from.send(&frame_v6((0, 0), (1, 0), 3)).unwrap();
        assert_delivered(&mut far, &frame_v6((0, 0), (1, 0), 3), (1, 0));
    }
}

#[test]
fn every_pair_of_three_nodes_is_connected() {
    let Some(fabric) = start(nodes(3, Family::V4)) else {
        return;
    };
    for from in 0..3 {
        for to in (0..3).filter(|to| *to != from) {
            assert_passes(&fabric, from, to);
        }
    }
}

#[test]
fn two_fabrics_with_the_same_addresses_know_nothing_of_each_other() {
    let (Some(one), Some(other)) = (start(nodes(2, Family::V4)), start(nodes(2, Family::V4))) else {
        return;
    };
    assert_passes(&one, 0, 1);
    assert_eq!(other.received(&pod_name(1, 0)).unwrap(), 0);
    drop(one);
    assert_passes(&other, 0, 1);
}

#[test]
fn frames_handed_to_a_pod_are_counted_even_if_nobody_takes_them() {
    let Some(fabric) = start(nodes(1, Family::V4)) else {
        return;
    };
    assert_eq!(fabric.received(&pod_name(0, 1)).unwrap(), 0);
    link(&fabric, 0, 0).send(&frame_v4((0, 0), (0, 1), 1)).unwrap();
    let mut counted = 0;
    for _ in 0..1000 {
        counted = fabric.received(&pod_name(0, 1)).unwrap();
        if counted > 0 {
            break;
        }
    }
    assert_eq!(counted, 1);
}

#[test]
fn a_node_that_is_cut_off_is_reached_again_when_it_is_back() {
    let Some(fabric) = start(nodes(2, Family::V4)) else {
        return;
    };
    fabric.set_underlay(&node_name(1), false).unwrap();
    assert_blocked(&fabric, 0, 1);
    fabric.set_underlay(&node_name(1), true).unwrap();
    assert_passes(&fabric, 0, 1);
}

#[test]
fn a_restarted_switch_works_like_before() {
    let Some(mut fabric) = start(nodes(2, Family::V4)) else {
        return;
    };
    let mut before = link(&fabric, 1, 0);
    fabric.restart(&node_name(1)).unwrap();
    assert!(before.receive(SOON).is_err(), "the old link ends with the switch");
    assert_passes(&fabric, 0, 1);
    assert_passes(&fabric, 1, 0);
}

#[test]
fn a_switch_started_without_its_program_drops_everything() {
    let Some(mut fabric) = start(nodes(2, Family::V4)) else {
        return;
    };
    fabric.kill_switch(&node_name(0)).unwrap();
    let refused = fabric.pod_link(&pod_name(0, 0)).unwrap_err();
    assert!(matches!(refused, FabricError::System { .. }), "{refused}");
    fabric.start_switch(&node_name(0)).unwrap();
    assert_blocked(&fabric, 0, 1);
    fabric.program(&node_name(0)).unwrap();
    assert_passes(&fabric, 0, 1);
}

#[test]
fn a_switch_stands_still_without_its_database_and_goes_on_with_it() {
    let Some(mut fabric) = start(nodes(2, Family::V4)) else {
        return;
    };
    let (sender, mut receiver) = (link(&fabric, 0, 0), link(&fabric, 1, 0));
    fabric.kill_database(&node_name(0)).unwrap();
    sender.send(&frame_v4((0, 0), (1, 0), 1)).unwrap();
    assert_eq!(receiver.receive(A_WHILE).unwrap(), None);
    fabric.start_database(&node_name(0)).unwrap();
    assert!(receiver.receive(SOON).unwrap().is_some());
    assert_passes(&fabric, 0, 1);
}

#[test]
fn reprogramming_changes_what_differs_and_nothing_else() {
    let Some(mut fabric) = start(nodes(1, Family::V4)) else {
        return;
    };
    let (from, mut to) = (link(&fabric, 0, 0), link(&fabric, 0, 1));
    from.send(&frame_v4((0, 0), (0, 1), 1)).unwrap();
    assert!(to.receive(SOON).unwrap().is_some());

    let mut changed = nodes(1, Family::V4);
    let blocked = format!("ip,nw_dst={} actions=drop", pod_v4(0, 1));
    let flows = &changed[0].program.flows;
    let kept = flows
        .lines()
        .filter(|line| !line.contains("cookie=0x41") && !line.contains("cookie=0x60"));
    changed[0].program.flows = kept.map(|line| format!("{line}\n")).collect::<String>();
    changed[0].program.flows += &format!("table=0,priority=100,{blocked}\n");
    changed[0].program.groups = "group_id=7,type=all\n".to_owned();
    fabric.reprogram(changed).unwrap();

    let flows = ofctl(&fabric, "dump-flows");
    assert!(flows.contains(&format!("priority=100,{blocked}")), "{flows}");
    assert!(!flows.contains("cookie=0x60"), "{flows}");
    assert!(
        flows.contains("cookie=0x61") && flows.contains("cookie=0x40"),
        "{flows}"
    );
    let groups = ofctl(&fabric, "dump-groups");
    assert!(
        groups.contains("group_id=7") && !groups.contains("group_id=1"),
        "{groups}"
    );
}

#[test]
fn a_program_that_the_switch_refuses_changes_nothing() {
    let Some(mut fabric) = start(nodes(1, Family::V4)) else {
        return;
    };
    let before = flows_without_ages(&fabric);
    let mut changed = nodes(1, Family::V4);
    changed[0].program.flows = "table=0,priority=7 actions=drop\ntable=0,priority=8 actions=group:99\n".to_owned();
    let error = fabric.reprogram(changed).unwrap_err();
    assert!(error.to_string().contains("OFPBAC_BAD_OUT_GROUP"), "{error}");
    assert_eq!(flows_without_ages(&fabric), before);
}

#[test]
fn ports_cannot_change_while_a_fabric_is_up() {
    let Some(mut fabric) = start(nodes(1, Family::V4)) else {
        return;
    };
    let mut changed = nodes(1, Family::V4);
    changed[0].pods[0].port = 9;
    let error = fabric.reprogram(changed).unwrap_err();
    assert_eq!(
        error.to_string(),
        "node node-0 has other ports or addresses than before; only flows and groups can change while it is up"
    );
}

#[test]
fn a_flow_that_is_wrong_fails_the_start_with_the_words_of_the_switch() {
    let mut wrong = nodes(1, Family::V4);
    if !switches_are_installed() {
        return;
    }
    wrong[0].program.flows = "table=0 actions=fly\n".to_owned();
    let error = Fabric::start(wrong, Settings::new(Form::Rootless)).unwrap_err();
    assert!(error.to_string().contains("unknown action fly"), "{error}");
}

#[test]
fn unknown_names_are_answered_with_those_that_there_are() {
    let Some(fabric) = start(nodes(1, Family::V4)) else {
        return;
    };
    let error = fabric.pod_link(&ObjectName::new("default", "pod9")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no Pod is named default/pod9; there are: default/pod-0-0, default/pod-0-1"
    );
    assert!(matches!(fabric.node(&node_name(5)), Err(FabricError::UnknownNode(_))));
    let error = fabric.command_in(&pod_name(0, 0), "true").unwrap_err();
    assert_eq!(
        error.to_string(),
        "Pod default/pod-0-0 is only a port of a rootless testbed: nothing can run in it"
    );
}

#[test]
fn a_fabric_leaves_neither_process_nor_file() {
    if !switches_are_installed() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("fabric of mine");
    let settings = Settings {
        directory: Some(home.clone()),
        ..Settings::new(Form::Rootless)
    };
    let fabric = Fabric::start(nodes(2, Family::V4), settings).unwrap();
    let processes = fabric.processes();
    assert_eq!(processes.len(), 4);
    drop(fabric);
    assert!(!home.exists());
    for process in processes {
        assert!(!std::path::Path::new(&format!("/proc/{process}")).exists());
    }
}

#[test]
fn the_switch_tells_the_names_of_its_tables() {
    let Some(fabric) = start(nodes(1, Family::V4)) else {
        return;
    };
    let tables = ofctl(&fabric, "dump-table-features");
    assert!(
        TABLES.iter().all(|(name, _)| tables.contains(name)),
        "{}",
        &tables[..tables.len().min(500)]
    );
}

const SOON: Duration = Duration::from_secs(10);
/// For what doesn't come.
const A_WHILE: Duration = Duration::from_millis(100);

/// Nothing, and the reason printed, on a machine without Open vSwitch.
fn start(nodes: Vec<NodeRealisation>) -> Option<Fabric> {
    switches_are_installed().then(|| Fabric::start(nodes, Settings::new(Form::Rootless)).unwrap())
}

fn link(fabric: &Fabric, node: u8, pod: u8) -> PodLink {
    fabric.pod_link(&pod_name(node, pod)).unwrap()
}

/// A frame of the first Pod of one node reaches that of another.
fn assert_passes(fabric: &Fabric, from: u8, to: u8) {
    let received = sent(fabric, from, to, SOON);
    assert!(received.is_some(), "from {from} to {to}");
}

/// It doesn't.
fn assert_blocked(fabric: &Fabric, from: u8, to: u8) {
    assert_eq!(sent(fabric, from, to, A_WHILE), None, "from {from} to {to}");
}

fn sent(fabric: &Fabric, from: u8, to: u8, timeout: Duration) -> Option<Vec<u8>> {
    let (sender, mut receiver) = (link(fabric, from, 0), link(fabric, to, 0));
    sender.send(&frame_v4((from, 0), (to, 0), 1)).unwrap();
    receiver.receive(timeout).unwrap()
}

/// The frame arrives, with the MAC address of the Pod that it is for.
fn assert_delivered(receiver: &mut PodLink, sent: &[u8], (node, pod): (u8, u8)) {
    let received = receiver.receive(SOON).unwrap().unwrap();
    assert_eq!(received[..6], pod_mac(node, pod).0);
    assert_eq!(received[6..], sent[6..]);
}

fn frame_v4(from: (u8, u8), to: (u8, u8), body: u8) -> Vec<u8> {
    let (source, destination): (Ipv4Addr, Ipv4Addr) = (pod_v4(from.0, from.1), pod_v4(to.0, to.1));
    let mut header = vec![0x45, 0, 0, 60, 0, 0, 0, 0, 64, 253, 0, 0];
    header.extend(source.octets());
    header.extend(destination.octets());
    let sum = header
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
        .sum::<u32>();
    let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    [&ethernet(from, 0x0800)[..], &header, &[body; 40]].concat()
}

fn frame_v6(from: (u8, u8), to: (u8, u8), body: u8) -> Vec<u8> {
    let (source, destination): (Ipv6Addr, Ipv6Addr) = (pod_v6(from.0, from.1), pod_v6(to.0, to.1));
    let header = [0x60, 0, 0, 0, 0, 40, 253, 64];
    [
        &ethernet(from, 0x86dd)[..],
        &header,
        &source.octets(),
        &destination.octets(),
        &[body; 40],
    ]
    .concat()
}

fn ethernet(from: (u8, u8), kind: u16) -> Vec<u8> {
    [&GATEWAY.0[..], &pod_mac(from.0, from.1).0, &kind.to_be_bytes()].concat()
}

/// What ovs-ofctl prints of the first node.
fn ofctl(fabric: &Fabric, command: &str) -> String {
    let bridge = format!("unix:{}", fabric.nodes().next().unwrap().openflow.display());
    let output = Command::new("ovs-ofctl")
        .args(["-O", "OpenFlow15", command, &bridge])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn flows_without_ages(fabric: &Fabric) -> Vec<String> {
    let bridge = format!("unix:{}", fabric.nodes().next().unwrap().openflow.display());
    let output = Command::new("ovs-ofctl")
        .args(["-O", "OpenFlow15", "--no-stats", "dump-flows", &bridge])
        .output();
    String::from_utf8_lossy(&output.unwrap().stdout)
        .lines()
        .skip(1)
        .map(str::to_owned)
        .collect()
}
