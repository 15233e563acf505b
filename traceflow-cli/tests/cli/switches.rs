//! Real switches: rootless ones of a test's own.

use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command};

use serde_json::Value;
use tempfile::TempDir;
use testbed::fabric::{Fabric, Form, Settings};
use testbed::realisation::realise;
use traceflow_core::inventory::Inventory;
use traceflow_core::names::ObjectName;
use traceflow_core::packet::{Packet, TcpFlags};
use traceflow_sim::Cluster;

use crate::{Run, on_demo, program, traceflow};

/// The demo cluster on switches.
struct Demo {
    cluster: Cluster,
    fabric: Fabric,
    folder: TempDir,
}

const NODES: [&str; 2] = ["k8s2-md-0-647454fc57-9sf7n", "k8s2-md-0-647454fc57-qpqbg"];

impl Demo {
    fn start() -> Self {
        let cluster = Cluster::from_paths(["../examples/demo/cluster.yaml"]).expect("the demo is a cluster");
        let nodes = realise(&cluster).expect("switches can be it");
        let fabric = Fabric::start(nodes, Settings::new(Form::Rootless)).expect("Open vSwitch starts");
        let folder = tempfile::tempdir().expect("there is a place for temporary files");
        let demo = Self {
            cluster,
            fabric,
            folder,
        };
        demo.write("nodes.yaml", &demo.fabric.nodes_file());
        demo
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("it can be written");
        path
    }

    fn nodes_file(&self) -> String {
        let path = self.folder.path().join("nodes.yaml");
        path.to_str().expect("it is text").to_owned()
    }

    /// The arguments, on these switches.
    fn words(&self, args: &[&str]) -> Vec<String> {
        let mut words: Vec<String> = args.iter().map(|&word| word.to_owned()).collect();
        words.extend(["--datapath", "ovs", "--nodes"].map(str::to_owned));
        words.push(self.nodes_file());
        words
    }

    fn run(&self, args: &[&str]) -> Run {
        let words = self.words(args);
        on_demo(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn sweep(&self) -> Run {
        traceflow(&["sweep", "--nodes", &self.nodes_file()])
    }

    /// All flows of all nodes without counters, as ovs-ofctl prints them.
    fn flows(&self) -> String {
        let dump = |node: &testbed::fabric::SwitchNode| {
            let output = Command::new("ovs-ofctl")
                .args(["-O", "OpenFlow15", "--no-stats", "--sort", "dump-flows"])
                .arg(format!("unix:{}", node.openflow.display()))
                .output()
                .expect("ovs-ofctl runs");
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).expect("it prints text")
        };
        self.fabric.nodes().map(dump).collect()
    }

    /// The connection tracking entries of all nodes.
    fn connections(&self) -> String {
        let dump = |node: &testbed::fabric::SwitchNode| {
            let output = Command::new("ovs-appctl")
                .arg("--target")
                .arg(&node.unixctl)
                .arg("dpctl/dump-conntrack")
                .output()
                .expect("ovs-appctl runs");
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).expect("it prints text")
        };
        self.fabric.nodes().map(dump).collect()
    }

    /// A live trace that is armed, and what it is going to say.
    fn armed(&self, args: &[&str]) -> (Child, BufReader<ChildStderr>) {
        self.come_to("armed on ", args)
    }

    /// A trace that has said this, and what it is going to say.
    fn come_to(&self, news: &str, args: &[&str]) -> (Child, BufReader<ChildStderr>) {
        let mut command = program();
        command.args(self.words(args)).args(["--cluster", "examples/demo"]);
        let mut child = command.spawn().expect("the program starts");
        let mut said = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut line = String::new();
        while !line.contains(news) {
            line.clear();
            let count = said.read_line(&mut line).expect("it prints text");
            assert_ne!(count, 0, "the program ended before it was {news}");
        }
        (child, said)
    }

    /// Has pod1 open a connection to pod3.
    fn connect(&self) {
        let (source, destination) = (self.pod("pod1"), self.pod("pod3"));
        let gateway = self.cluster.node(&NODES[0].into()).expect("it is there").gateway_mac;
        let mut packet = Packet::ethernet(source.1, gateway)
            .ip(source.0, destination.0)
            .expect("one family");
        packet = packet.ttl(64);
        let frame = packet.tcp(40_000, 80, TcpFlags::SYN).expect("it is a packet").to_vec();
        let link = self
            .fabric
            .pod_link(&ObjectName::new("default", "pod1"))
            .expect("it is there");
        link.send(&frame).expect("the switch takes it");
    }

    fn pod(&self, name: &str) -> (IpAddr, traceflow_core::packet::MacAddress) {
        let pod = self
            .cluster
            .pod(&ObjectName::new("default", name))
            .expect("it is there");
        (pod.addresses[0], pod.mac.expect("it has one"))
    }
}

const LIVE: [&str; 8] = ["trace", "-S", "pod1", "-D", "pod3", "-L", "-f", "tcp,tcp_dst=80"];

#[test]
fn the_demo_has_the_same_results_as_on_the_simulator() {
    let demo = Demo::start();
    let untouched = demo.flows();
    for name in ["tf-pod1-to-pod2", "tf-pod1-to-pod2-icmp", "tf-pod1-to-pod3"] {
        let file = format!("examples/demo/{name}.yaml");
        let args = ["run", &file, "-o", "json"];
        let (real, simulated) = (demo.run(&args), on_demo(&args));
        assert_eq!(real.exit, 0, "{name}: {}", real.err);
        assert_eq!(timeless(&real), timeless(&simulated), "{name}");
    }
    assert_eq!(demo.flows(), untouched, "nothing is left");
}

#[test]
fn a_live_trace_catches_what_a_real_pod_sends() {
    let demo = Demo::start();
    let file = "examples/demo/tf-pod1-to-pod3-tcp-live-traffic.yaml";
    let (child, _said) = demo.armed(&["run", file, "-o", "json"]);
    demo.connect();
    let output = child.wait_with_output().expect("the program ends");
    let real: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    let simulated = on_demo(&["run", file, "-o", "json", "--send", "pod1->pod3 tcp,tcp_dst=80"]);
    let simulated: Value = serde_json::from_str(&simulated.out).expect("it prints JSON");
    let observations = |object: &Value| {
        let hops = object["status"]["results"].as_array().cloned().unwrap_or_default();
        hops.iter()
            .map(|hop| (hop["node"].clone(), hop["observations"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(observations(&real), observations(&simulated));
}

#[test]
fn an_endpoint_that_was_not_predicted_gets_nothing_of_an_injected_packet() {
    let demo = Demo::start();
    for seed in 0..12 {
        let flow = format!("tcp,tcp_src={},tcp_dst=80", 2000 + seed);
        let run = demo.run(&["trace", "-S", "pod1", "-D", "tf-destination", "-f", &flow]);
        assert!(run.out.contains("DELIVERED"), "{}", run.out);
        assert!(!run.err.contains("trying again"), "{}", run.err);
        assert_eq!(demo.connections(), "", "{}", run.out);
    }
}

#[test]
fn a_tunnel_at_a_port_that_is_not_there_is_refused_in_words() {
    let demo = Demo::start();
    demo.write(
        "nodes.yaml",
        &demo.fabric.nodes_file().replace("tunnel: 1", "tunnel: 99"),
    );
    let run = demo.run(&["trace", "-S", "pod1", "-D", "pod3", "-f", "tcp,tcp_dst=80"]);
    assert_eq!(run.exit, 3, "{}", run.out);
    let said = run.out + &run.err;
    assert!(
        said.contains("the switch has no port 99, which is said to be a tunnel; it has 1 ("),
        "{said}"
    );
}

/// The object without what differs from run to run.
fn timeless(run: &Run) -> Value {
    let mut object: Value = serde_json::from_str(&run.out).expect("it prints JSON");
    object["status"]["startTime"] = Value::Null;
    for hop in object["status"]["results"].as_array_mut().into_iter().flatten() {
        hop["timestamp"] = Value::Null;
    }
    for node in object["status"]["receipt"]["nodes"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        // A switch has zones, and an entry as soon as a rule allows a packet that is dropped later.
        node.as_object_mut().map(|node| node.remove("changes"));
    }
    object
}

#[test]
fn sweep_removes_what_a_killed_tracer_left_and_nothing_else() {
    let demo = Demo::start();
    let untouched = demo.flows();
    let (mut child, _said) = demo.armed(&LIVE);
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert_ne!(demo.flows(), untouched, "a killed tracer leaves its flows");
    let run = demo.sweep();
    assert_eq!((run.exit, run.err.as_str()), (0, ""));
    for node in NODES {
        assert!(run.out.contains(&format!("{node}: removed ")), "{}", run.out);
    }
    assert!(run.out.contains("\n  cookie=0x7466"), "{}", run.out);
    assert!(!run.out.contains("n_packets"), "{}", run.out);
    assert_eq!(demo.flows(), untouched, "the CNI's flows are as they were");
    let nothing = NODES.map(|node| format!("{node}: nothing to remove\n")).concat();
    assert_eq!(demo.sweep().out, nothing);
}

#[test]
fn what_a_killed_tracer_left_goes_with_the_next_one_or_by_itself() {
    let demo = Demo::start();
    let untouched = demo.flows();
    let cut_off = |off: bool| demo.fabric.set_underlay(&NODES[1].into(), !off).expect("it is there");
    cut_off(true);
    let (mut live, _live_said) = demo.armed(&[&LIVE[..], &["--instance", "3"]].concat());
    let flow = "tcp,tcp_src=23456,tcp_dst=80";
    let injected = ["trace", "-S", "pod1", "-D", "pod3", "-f", flow, "--instance", "4"];
    let (mut injected, _injected_said) = demo.come_to(&format!("seen on {}", NODES[0]), &injected);
    for child in [&mut live, &mut injected] {
        child.kill().expect("it runs");
        child.wait().expect("it ends");
    }
    let left = demo.flows();
    let ours: Vec<&str> = left.lines().filter(|line| line.contains("cookie=0x7466")).collect();
    assert!(ours.iter().any(|line| line.contains("cookie=0x746603")), "{left}");
    assert!(ours.iter().any(|line| line.contains("cookie=0x746604")), "{left}");
    for line in ours {
        let (_, timeout) = line
            .split_once("hard_timeout=")
            .expect("every flow of ours goes by itself");
        let seconds: u32 = timeout
            .split(|digit: char| !digit.is_ascii_digit())
            .next()
            .and_then(|digits| digits.parse().ok())
            .expect("it is a number");
        assert!(seconds <= 60, "{line}");
    }
    cut_off(false);
    for instance in ["3", "4"] {
        let run = demo.run(&["trace", "-S", "pod1", "-D", "pod3", "--instance", instance]);
        assert_eq!(run.exit, 0, "{}{}", run.out, run.err);
    }
    assert_eq!(demo.flows(), untouched, "who starts again sweeps first");
    assert!(!demo.connections().contains("sport=23456,"), "{}", demo.connections());
}

#[test]
fn signals_end_a_trace_when_everything_is_removed() {
    let demo = Demo::start();
    let untouched = demo.flows();
    for (signal, exit) in [("INT", 130), ("TERM", 143)] {
        let (child, mut said) = demo.armed(&LIVE);
        let kill = Command::new("kill")
            .args(["-s", signal, &child.id().to_string()])
            .status();
        assert!(kill.expect("kill runs").success());
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut said, &mut rest).expect("it prints text");
        let output = child.wait_with_output().expect("the program ends");
        assert_eq!(
            (output.status.code(), rest.as_str()),
            (Some(exit), "error: interrupted\n")
        );
        assert_eq!(demo.flows(), untouched, "nothing is left after SIG{signal}");
    }
}

#[test]
fn a_switch_that_is_not_there_is_named_and_the_others_are_swept() {
    let demo = Demo::start();
    let there = demo
        .fabric
        .node(&NODES[1].into())
        .expect("it is there")
        .openflow
        .display()
        .to_string();
    let text = demo.fabric.nodes_file().replace(&there, "/no/such/socket");
    demo.write("nodes.yaml", &text);
    let gone = format!(
        "{}: the datapath is unavailable: unix:/no/such/socket: No such file or directory (os error 2); check the address, \
         and that the bridge exists and ovs-vswitchd runs\n",
        NODES[1]
    );
    let run = demo.sweep();
    assert_eq!(
        (run.exit, run.out.as_str()),
        (3, &*format!("{}: nothing to remove\n", NODES[0]))
    );
    assert_eq!(run.err, format!("error: {gone}"));
    let run = demo.run(&["trace", "-S", "pod3", "-D", "pod1"]);
    assert_eq!(
        (run.exit, run.out),
        (
            3,
            format!("NO ANSWER: node {}", gone.replacen(':', " is unavailable:", 1))
        )
    );
    let run = demo.run(&["trace", "-S", "pod1", "-D", "pod3"]);
    assert_eq!(run.exit, 3);
    assert!(run.out.contains(&format!("node {} failed: ", NODES[1])), "{}", run.out);
}

#[test]
fn the_tables_of_a_node_are_shown_as_the_packet_passes_them() {
    let demo = Demo::start();
    for (node, file) in NODES.into_iter().zip(["tables-1", "tables-2"]) {
        let run = demo.run(&[
            "trace",
            "-S",
            "pod1",
            "-D",
            "pod3",
            "-f",
            "tcp,tcp_dst=80",
            "--tables",
            node,
        ]);
        assert_eq!(run.exit, 0, "{}", run.err);
        let (_, tables) = run.out.split_once("\nTables of ").expect("they are shown");
        let path = format!("{}/tests/cli/snapshots/{file}.txt", env!("CARGO_MANIFEST_DIR"));
        expect_test::expect_file![path].assert_eq(&numbered(tables));
    }
}

/// The switch numbers recirculations as they come.
fn numbered(text: &str) -> String {
    let mut pieces = text.split("recirc(0x");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |page, piece| {
        page + "recirc(N" + piece.trim_start_matches(|digit: char| digit.is_ascii_hexdigit())
    })
}

#[test]
fn tables_that_cannot_be_shown_are_refused_with_the_reason() {
    let demo = Demo::start();
    let words = ["trace", "-S", "pod1", "-D", "pod2", "--tables"];
    let refusal = |more: &[&str]| {
        let run = demo.run(&[&words[..], more].concat());
        assert_eq!((run.exit, run.out.as_str()), (2, ""), "{more:?}: {}", run.err);
        run.err
    };
    let file = demo.nodes_file();
    assert_eq!(
        refusal(&["node-x"]),
        format!(
            "error: {file} says nothing of node-x; its nodes are {}\n",
            NODES.join(", ")
        )
    );
    assert_eq!(
        refusal(&[NODES[0], "-o", "yaml"]),
        "error: --tables is for people to read; drop -o, or take -o table\n"
    );
    assert_eq!(
        refusal(&[NODES[0], "-L"]),
        "error: --tables is for injected packets; drop it, or drop -L\n"
    );
    let run = demo.run(&[&words[..], &[NODES[1]]].concat());
    assert_eq!(run.exit, 3, "the trace is answered, the question behind it is not");
    let off = format!(
        "error: --tables: {} is not on the path of the packet, which is {}\n",
        NODES[1], NODES[0]
    );
    assert!(run.err.ends_with(&off), "{}", run.err);
    let unreachable: String = demo
        .fabric
        .nodes_file()
        .lines()
        .filter(|line| !line.contains("unixctl:"))
        .map(|line| format!("{line}\n"))
        .collect();
    demo.write("nodes.yaml", &unreachable);
    assert!(
        refusal(&[NODES[0]]).starts_with("error: --tables needs the switch's control socket; add `unixctl: unix:PATH`")
    );
}

#[test]
fn a_matrix_of_the_switches_is_the_simulators_and_leaves_nothing() {
    let demo = Demo::start();
    let untouched = demo.flows();
    let asked = ["matrix", "--ports", "tcp/80,udp/53,icmp", "-o", "csv"];
    let (real, simulated) = (demo.run(&asked), on_demo(&asked));
    assert_eq!((real.exit, real.err.as_str()), (0, ""));
    assert_eq!(real.out, simulated.out);
    assert_eq!(demo.flows(), untouched, "nothing is left");
    assert_eq!(demo.connections(), "", "nothing is left");
}

#[test]
fn checks_are_met_on_switches_as_on_the_simulator() {
    let demo = Demo::start();
    let run = demo.run(&["check", "examples/checks/demo.yaml"]);
    assert_eq!((run.exit, run.err.as_str()), (0, ""), "{}", run.out);
    let simulated = on_demo(&["check", "examples/checks/demo.yaml"]).out;
    let told = "  by the model of the network: switches don't tell a Kubernetes policy's rules apart\n";
    assert_eq!(run.out, simulated.replace("predicted", "sent") + told);
}

/// A policy that a node doesn't realise is found by the pair that gets through, with the node.
#[test]
fn an_expectation_that_a_switch_breaks_is_not_met_and_the_switch_is_named() {
    let demo = Demo::start();
    let node = demo.fabric.node(&NODES[1].into()).expect("it is there");
    let flows = Command::new("ovs-ofctl")
        .args(["-O", "OpenFlow15", "del-flows"])
        .arg(format!("unix:{}", node.openflow.display()))
        .arg(format!("table=28,reg1={}", node.pods[0].port))
        .output()
        .expect("ovs-ofctl runs");
    assert!(flows.status.success(), "{flows:?}");
    assert_eq!(
        demo.flows().matches("table=28, priority=200").count(),
        1,
        "of two nodes one has it"
    );
    let run = demo.run(&["check", "examples/checks/demo.yaml"]);
    assert_eq!(run.exit, 1, "{}{}", run.out, run.err);
    assert!(
        run.out.contains("unlike the model: ") && run.out.contains(NODES[1]),
        "{}",
        run.out
    );
}

#[test]
fn a_signal_ends_a_matrix_when_everything_is_removed() {
    let demo = Demo::start();
    let untouched = demo.flows();
    // What is sent to the other node gets lost, so that the matrix is still at work when the signal comes.
    demo.fabric.set_underlay(&NODES[1].into(), false).expect("it is there");
    let mut command = program();
    command.args(demo.words(&["matrix", "--ports", "tcp/80", "-t", "300s"]));
    command.args(["--cluster", "examples/demo"]);
    let child = command.spawn().expect("the program starts");
    while demo.flows() == untouched {
        std::thread::yield_now();
    }
    let kill = Command::new("kill")
        .args(["-s", "INT", &child.id().to_string()])
        .status();
    assert!(kill.expect("kill runs").success());
    let output = child.wait_with_output().expect("the program ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*said), (Some(130), "error: interrupted\n"));
    assert_eq!(demo.flows(), untouched, "nothing is left");
}
