//! The root form: Pods are network namespaces with the kernel's own network stack.

use std::net::IpAddr;
use std::process::Output;

use testbed::fabric::{Fabric, Form, Settings};
use testbed::realisation::NodeRealisation;

use crate::cluster::{Family, node_name, nodes, pod_name, pod_v4, pod_v6};
use crate::{pods_can_be_real, switches_are_installed};

#[test]
fn pods_ping_each_other_over_tunnels_of_either_family() {
    for underlay in [Family::V4, Family::V6] {
        let Some(fabric) = start(nodes(2, underlay)) else {
            return;
        };
        for pod in [(0, 1), (1, 0)] {
            assert!(
                pings(&fabric, (0, 0), pod_v4(pod.0, pod.1).into()),
                "{pod:?} over {underlay:?}"
            );
            assert!(
                pings(&fabric, (0, 0), pod_v6(pod.0, pod.1).into()),
                "{pod:?} over {underlay:?}"
            );
        }
    }
}

#[test]
fn every_declared_port_is_listened_on() {
    let Some(fabric) = start(nodes(2, Family::V4)) else {
        return;
    };
    for address in [IpAddr::from(pod_v4(1, 1)), pod_v6(1, 1).into()] {
        let greeting = format!(
            "exec 3<>/dev/tcp/{address}/80 && read -r name <&3 && echo hello >&3 && read -r echo <&3 && echo $name $echo"
        );
        assert_eq!(says(&shell(&fabric, (0, 0), &greeting)), "default/pod-1-1 hello\n");
        let datagram = format!("exec 3<>/dev/udp/{address}/53 && echo hello >&3 && timeout 10 head -n 1 <&3");
        assert_eq!(says(&shell(&fabric, (0, 0), &datagram)), "hello\n");
        let closed = shell(&fabric, (0, 0), &format!("exec 3<>/dev/tcp/{address}/81"));
        assert!(says(&closed).contains("Connection refused"), "{closed:?}");
    }
}

#[test]
fn much_data_passes_unharmed() {
    let Some(fabric) = start(nodes(2, Family::V4)) else {
        return;
    };
    let echo = format!(
        "exec 3<>/dev/tcp/{}/80 && read -r name <&3 && {{ seq 100000 >&3 & }} && head -n 100000 <&3 | md5sum && seq 100000 | md5sum",
        pod_v4(1, 0)
    );
    let sums = says(&shell(&fabric, (0, 0), &echo));
    let sums = sums.lines().collect::<Vec<_>>();
    assert_eq!(sums.len(), 2);
    assert_eq!(sums[0], sums[1]);
}

#[test]
fn a_pod_is_handed_what_is_meant_for_it_and_nothing_else() {
    let Some(fabric) = start(nodes(2, Family::V4)) else {
        return;
    };
    assert!(pings(&fabric, (0, 0), pod_v4(1, 0).into()));
    assert_eq!(fabric.received(&pod_name(1, 0)).unwrap(), 1);
    assert_eq!(fabric.received(&pod_name(0, 0)).unwrap(), 1);
    assert_eq!(fabric.received(&pod_name(1, 1)).unwrap(), 0);
    assert_eq!(fabric.received(&pod_name(0, 1)).unwrap(), 0);
}

#[test]
fn every_pod_of_three_nodes_reaches_every_other() {
    let Some(fabric) = start(nodes(3, Family::V4)) else {
        return;
    };
    for from in 0..3 {
        for to in (0..3).filter(|to| *to != from) {
            assert!(pings(&fabric, (from, 0), pod_v4(to, 1).into()), "from {from} to {to}");
        }
    }
}

#[test]
fn two_fabrics_have_the_same_addresses_at_once() {
    let (Some(one), Some(other)) = (start(nodes(2, Family::V4)), start(nodes(2, Family::V4))) else {
        return;
    };
    assert!(pings(&one, (0, 0), pod_v4(1, 0).into()));
    assert_eq!(other.received(&pod_name(1, 0)).unwrap(), 0);
    drop(one);
    assert!(pings(&other, (0, 0), pod_v4(1, 0).into()));
}

#[test]
fn a_node_restarted_or_cut_off_comes_back() {
    for underlay in [Family::V4, Family::V6] {
        let Some(mut fabric) = start(nodes(2, underlay)) else {
            return;
        };
        fabric.restart(&node_name(1)).unwrap();
        assert!(pings(&fabric, (0, 0), pod_v4(1, 0).into()), "restarted");
        fabric.set_underlay(&node_name(1), false).unwrap();
        assert!(!pings_within(1, &fabric, (0, 0), pod_v4(1, 0).into()), "cut off");
        fabric.set_underlay(&node_name(1), true).unwrap();
        assert!(pings(&fabric, (0, 0), pod_v4(1, 0).into()), "connected again");
    }
}

#[test]
fn real_pods_have_no_link_to_hold() {
    let Some(fabric) = start(nodes(1, Family::V4)) else {
        return;
    };
    assert_eq!(
        fabric.pod_link(&pod_name(0, 0)).unwrap_err().to_string(),
        "Pod default/pod-0-0 has a network stack of its own; run a command in it instead"
    );
}

/// Nothing, and the reason printed, where there is no root or no Open vSwitch.
fn start(nodes: Vec<NodeRealisation>) -> Option<Fabric> {
    (switches_are_installed() && pods_can_be_real()).then(|| Fabric::start(nodes, Settings::new(Form::Root)).unwrap())
}

/// Whether one echo request is answered.
fn pings(fabric: &Fabric, from: (u8, u8), to: IpAddr) -> bool {
    pings_within(10, fabric, from, to)
}

fn pings_within(seconds: u8, fabric: &Fabric, from: (u8, u8), to: IpAddr) -> bool {
    let mut command = fabric.command_in(&pod_name(from.0, from.1), "ping").unwrap();
    let output = command
        .args(["-n", "-c", "1", "-W", &seconds.to_string(), &to.to_string()])
        .output()
        .unwrap();
    output.status.success()
}

fn shell(fabric: &Fabric, pod: (u8, u8), script: &str) -> Output {
    let mut command = fabric.command_in(&pod_name(pod.0, pod.1), "bash").unwrap();
    command.args(["-c", script]).output().unwrap()
}

fn says(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
