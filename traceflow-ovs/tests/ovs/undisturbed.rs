//! Real Pods that are traced: their own ping and TCP, which go on as if nobody looked, and injected packets, which they
//! never see.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::{Duration, SystemTime};

use socket2::{Domain, Socket, Type};
use testbed::fabric::Form;
use tokio::task::block_in_place;
use traceflow_core::names::ObjectName;
use traceflow_core::packet::{CapturedTransport, IcmpHeader};
use traceflow_core::plan::Plan;
use traceflow_core::render::Status;
use traceflow_core::session::Progress;
use traceflow_core::trace::Trace;
use traceflow_core::tracer::{Tracer, Tracing};
use traceflow_sim::{SimNetwork, Traffic};

use crate::crowd::live;
use crate::strangers;
use crate::support::World;

const POD3: Ipv4Addr = Ipv4Addr::new(172, 16, 3, 8);

/// What `ping -Q` and `IP_TOS` are given.
const TOS: u8 = 0x28;

#[tokio::test(flavor = "multi_thread")]
async fn a_real_connection_is_traced_as_on_the_simulator_and_is_not_disturbed() {
    let Some(world) = with_real_pods(World::demo) else {
        return;
    };
    let manifest = "tf-pod1-to-pod3-tcp-live-traffic";
    let tracer = world.tracer();
    let capture = Capture::start(&world, "pod3");
    let armed = armed(&tracer, world.plan_of(manifest)).await;
    let answer = block_in_place(|| greet(&world, "pod1", (POD3, 80)));
    assert_eq!(answer, "default/pod3\nhello\n", "the connection works");
    let trace = armed.await.unwrap();
    let simulated = simulated(&world, manifest, "pod1->pod3 tcp,tcp_dst=80").await;
    assert_eq!(comparable(&trace), comparable(&simulated));
    assert_eq!(trace.captured.as_ref().unwrap().dscp, TOS >> 2);
    let seen =
        block_in_place(|| capture.until(|packet| packet.contains("Flags [F") && packet.contains("> 172.16.3.8")));
    all_bear_the_tos(&seen, "> 172.16.3.8");
    no_more(world, tracer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_ping_that_is_dropped_is_traced_as_on_the_simulator() {
    let Some(world) = with_real_pods(World::demo) else {
        return;
    };
    let manifest = "tf-pod1-to-pod3-icmp-live-traffic";
    let tracer = world.tracer();
    let armed = armed(&tracer, world.plan_of(manifest)).await;
    let output = block_in_place(|| ping(&world, "pod1", POD3, 1));
    assert!(output.contains("1 packets transmitted, 0 received"), "{output}");
    let trace = armed.await.unwrap();
    let simulated = simulated(&world, manifest, "pod1->pod3 icmp").await;
    assert_eq!(comparable(&trace), comparable(&simulated));
    assert_eq!(trace.captured.as_ref().unwrap().dscp, TOS >> 2);
    no_more(world, tracer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_ping_is_answered_while_it_is_traced_and_arrives_as_it_was_sent() {
    let Some(world) = with_real_pods(|form| World::of(strangers::cluster(), form)) else {
        return;
    };
    for to in ["server", "remote"] {
        let tracer = world.tracer();
        let plan = live(&world, to, "icmp");
        let address = plan.destination.as_ref().unwrap().address;
        let capture = Capture::start(&world, to);
        let armed = armed(&tracer, plan).await;
        let output = block_in_place(|| ping(&world, "client", address, 3));
        assert!(output.contains("3 packets transmitted, 3 received"), "{output}");
        let trace = armed.await.unwrap();
        assert!(
            trace.verdict.to_string().starts_with("delivered on"),
            "{}",
            trace.verdict
        );
        let caught = trace.captured.as_ref().unwrap();
        assert_eq!(caught.dscp, TOS >> 2);
        let first = |header: &IcmpHeader| (header.icmp_type, header.sequence) == (8, 1);
        assert!(
            matches!(&caught.transport, CapturedTransport::Icmp(header) if first(header)),
            "{caught:?}"
        );
        let seen =
            block_in_place(|| capture.until(|packet| packet.contains("echo request") && packet.contains("seq 3")));
        all_bear_the_tos(&seen, &format!("> {address}"));
        tracer.close().await.unwrap();
        assert_eq!(world.leftovers().await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn injected_packets_are_never_handed_to_a_pod() {
    let Some(world) = with_real_pods(World::demo) else {
        return;
    };
    let tracer = world.tracer();
    let captures = ["pod1", "pod2", "pod3"].map(|pod| Capture::start(&world, pod));
    for manifest in [
        "tf-pod1-to-pod2",
        "tf-pod1-to-pod2-icmp",
        "tf-pod1-to-pod3",
        "tf-pod1-to-svc",
    ] {
        for _ in 0..8 {
            let trace = tracer.trace(world.plan_of(manifest)).await.unwrap();
            assert_eq!(trace.attempts, 1, "{}", trace.verdict);
        }
    }
    // What a Pod was handed before this, its capture has seen before this.
    for address in [Ipv4Addr::new(172, 16, 5, 12), POD3] {
        block_in_place(|| greet(&world, "pod1", (address, 80)));
    }
    for capture in captures {
        let seen = block_in_place(|| capture.until(|packet| packet.contains("Flags [S]")));
        assert_eq!(seen.len(), 1, "nothing comes before the real connection: {seen:#?}");
    }
    no_more(world, tracer).await;
}

/// `None`, after saying why, where Pods can't be real.
pub(crate) fn with_real_pods(start: impl FnOnce(Form) -> World) -> Option<World> {
    if let Err(missing) = Form::Root.check() {
        println!("skipped: {missing}");
        return None;
    }
    for program in ["tcpdump", "ping"] {
        if Command::new(program).arg("--version").output().is_err() && Command::new(program).arg("-V").output().is_err()
        {
            println!("skipped: {program} is not installed");
            return None;
        }
    }
    Some(start(Form::Root))
}

/// A live trace that sees the next packet.
async fn armed(tracer: &Tracer, plan: Plan) -> Tracing {
    let mut tracing = tracer.trace(plan);
    while let Some(news) = tracing.progress().await {
        if matches!(news, Progress::Armed { .. }) {
            return tracing;
        }
    }
    panic!("{:?}", tracing.await)
}

/// The answer of the simulator to the same question, with the same traffic.
async fn simulated(world: &World, manifest: &str, traffic: &str) -> Trace {
    let network = SimNetwork::new(world.cluster.clone());
    let tracer = Tracer::builder(world.cluster.clone())
        .predictor(world.cluster.clone())
        .datapaths(network.datapaths())
        .start();
    let armed = armed(&tracer, world.plan_of(manifest)).await;
    network.send(&traffic.parse::<Traffic>().unwrap()).unwrap();
    armed.await.unwrap()
}

/// What is printed, without the times, the source port, which the sender's kernel chooses, and how many flows it took.
fn comparable(trace: &Trace) -> Status {
    let mut status = Status::new(SystemTime::UNIX_EPOCH, Ok(trace));
    assert!(status.receipt.take().is_some_and(|receipt| receipt.clean));
    for result in &mut status.results {
        result.timestamp = None;
    }
    if let Some(captured) = &mut status.captured_packet {
        if let Some(tcp) = &mut captured.transport_header.tcp {
            tcp.src_port = 0;
        }
        if let Some(icmp) = &mut captured.transport_header.icmp {
            icmp.id = 0;
            icmp.sequence = 0;
        }
    }
    status
}

async fn no_more(world: World, tracer: Tracer) {
    tracer.close().await.unwrap();
    assert_eq!(world.leftovers().await, Vec::<String>::new());
}

/// Says hello from within a Pod; returns all that the other end says.
fn greet(world: &World, from: &str, to: (Ipv4Addr, u16)) -> String {
    let talk = || -> std::io::Result<String> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_tos_v4(TOS.into())?;
        socket.connect_timeout(&SocketAddr::from(to).into(), PATIENCE)?;
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"hello\n")?;
        stream.shutdown(Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    world
        .fabric()
        .inside(&ObjectName::new("default", from), talk)
        .unwrap()
        .unwrap()
}

fn ping(world: &World, from: &str, to: impl ToString, count: u32) -> String {
    let mut ping = world
        .fabric()
        .command_in(&ObjectName::new("default", from), "ping")
        .unwrap();
    ping.args([
        "-n",
        "-i",
        "0.2",
        "-W",
        "1",
        "-Q",
        &TOS.to_string(),
        "-c",
        &count.to_string(),
        &to.to_string(),
    ]);
    String::from_utf8_lossy(&ping.output().unwrap().stdout).into_owned()
}

fn all_bear_the_tos(packets: &[String], towards: &str) {
    let towards: Vec<&String> = packets.iter().filter(|packet| packet.contains(towards)).collect();
    assert!(towards.len() >= 3, "{packets:#?}");
    for packet in towards {
        assert!(packet.contains(&format!("tos {TOS:#x},")), "{packet}");
    }
}

/// What a Pod is handed and what it sends, as tcpdump shows it.
struct Capture {
    tcpdump: Child,
    lines: BufReader<ChildStdout>,
    /// Kept open: tcpdump says how much it has seen when it ends.
    _says: BufReader<ChildStderr>,
}

impl Capture {
    fn start(world: &World, pod: &str) -> Self {
        let mut command = world
            .fabric()
            .command_in(&ObjectName::new("default", pod), "tcpdump")
            .unwrap();
        command.args(["-n", "-v", "-l", "-i", "eth0", "--immediate-mode"]);
        let mut tcpdump = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut says = BufReader::new(tcpdump.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("listening on") {
            line.clear();
            assert_ne!(says.read_line(&mut line).unwrap(), 0, "tcpdump ended");
        }
        Self {
            lines: BufReader::new(tcpdump.stdout.take().unwrap()),
            tcpdump,
            _says: says,
        }
    }

    /// The packets up to the first that is so, a line each.
    fn until(mut self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let mut packets: Vec<String> = Vec::new();
        loop {
            let mut line = String::new();
            assert_ne!(
                self.lines.read_line(&mut line).unwrap(),
                0,
                "tcpdump ended: {packets:#?}"
            );
            // The second line of a packet is indented.
            match packets.last_mut().filter(|_| line.starts_with(' ')) {
                Some(packet) => packet.push_str(line.trim_end()),
                None => packets.push(line.trim_end().to_owned()),
            }
            if packets.last().is_some_and(|packet| wanted(packet)) {
                return packets;
            }
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.tcpdump.kill();
        let _ = self.tcpdump.wait();
    }
}

const PATIENCE: Duration = Duration::from_secs(10);
