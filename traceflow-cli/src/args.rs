//! The words of the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use traceflow_core::spec::parse_timeout;
use traceflow_ovs::LAST_INSTANCE;

/// What the network did with a packet, and why.
#[derive(Debug, Parser)]
#[command(name = "traceflow", version, arg_required_else_help = true, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run Traceflow manifests, as `kubectl apply` would, and print them with their status
    #[command(after_help = RUN_HELP)]
    Run(RunArgs),
    /// Trace one packet, described on the command line
    #[command(after_help = TRACE_HELP)]
    Trace(TraceArgs),
    /// Remove what tracers that died left on the switches
    #[command(after_help = SWEEP_HELP)]
    Sweep(SweepArgs),
    /// Show OpenFlow messages as ovs-ofctl does, and what tracers' packet-ins among them say
    #[command(after_help = DECODE_HELP)]
    Decode(DecodeArgs),
}

/// The arguments of `traceflow run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Traceflow manifests, YAML or JSON; `-` is standard input. All of them are checked before any is traced
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// The arguments of `traceflow trace`.
#[derive(Debug, Args)]
pub(crate) struct TraceArgs {
    /// Where the packet starts: `pod` or `namespace/pod`; for live traffic also an IP address, or nothing
    #[arg(short = 'S', long, value_name = "SRC")]
    pub(crate) source: Option<String>,
    /// Where it goes: `pod`, `namespace/pod`, `service`, `namespace/service` or an IP address; a Pod wins over a
    /// Service of the same name. For live traffic, nothing means anywhere
    #[arg(short = 'D', long, value_name = "DST")]
    pub(crate) destination: Option<String>,
    /// The packet, in the words of ovs-ofctl: `tcp,tcp_dst=80`, `udp6,udp_dst=53`, `icmp`, `tcp,tcp_flags=+syn+ack`.
    /// An ICMP echo request if not given
    #[arg(short = 'f', long, value_name = "FLOW")]
    pub(crate) flow: Option<String>,
    /// Follow the first matching packet of real traffic instead of injecting one
    #[arg(short = 'L', long)]
    pub(crate) live_traffic: bool,
    /// Of real traffic, follow only a packet that is dropped
    #[arg(long)]
    pub(crate) dropped_only: bool,
    /// How long to wait for the answer, 1s to 300s
    #[arg(short = 't', long, value_name = "TIME", default_value = "20s", value_parser = parse_timeout)]
    pub(crate) timeout: Duration,
    /// On real switches: show also which flows of this node's tables such a packet matches
    #[arg(long, value_name = "NODE")]
    pub(crate) tables: Option<String>,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Which network is asked.
#[derive(Debug, Args)]
pub(crate) struct NetworkArgs {
    /// The cluster's Kubernetes objects, as `kubectl get -o yaml` prints them: a file or a folder; may be repeated
    #[arg(long, value_name = "PATH", required = true)]
    pub(crate) cluster: Vec<PathBuf>,
    /// What carries the packets
    #[arg(long, value_enum, default_value_t = DatapathKind::Sim)]
    pub(crate) datapath: DatapathKind,
    /// For `--datapath ovs`: where each node's switch is, and which of its ports is which Pod's
    #[arg(long, value_name = "FILE")]
    pub(crate) nodes: Option<PathBuf>,
    /// For `--datapath ovs`: which tracer this is, 0 to 14; it takes away what an earlier one of that number left. One that
    /// nobody uses there is taken if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(..=i64::from(LAST_INSTANCE)))]
    pub(crate) instance: Option<u8>,
    /// Traffic that the simulated workloads send once the live traces are armed, and again for those that had to queue,
    /// such as 'pod1->pod3 tcp,tcp_dst=80'; may be repeated
    #[arg(long, value_name = "TRAFFIC")]
    pub(crate) send: Vec<String>,
    /// Say what would happen, from the model of the network; nothing is sent
    #[arg(long)]
    pub(crate) predict: bool,
    /// Watch every node for live traffic, not only those on the predicted path
    #[arg(long)]
    pub(crate) all_nodes: bool,
    /// Makes random choices (source port, Service endpoint) repeatable
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

/// The arguments of `traceflow sweep`.
#[derive(Debug, Args)]
pub(crate) struct SweepArgs {
    /// Where each node's switch is
    #[arg(long, value_name = "FILE")]
    pub(crate) nodes: PathBuf,
}

/// The arguments of `traceflow decode`.
#[derive(Debug, Args)]
pub(crate) struct DecodeArgs {
    /// One message or several back to back: hexadecimal digits, or a file with such or with the bytes as they are; `-` is
    /// standard input
    #[arg(value_name = "HEX|FILE")]
    pub(crate) messages: String,
    /// The nodes file that the sender of the messages is in, for names of Pods and rules
    #[arg(long, value_name = "FILE", requires = "node")]
    pub(crate) nodes: Option<PathBuf>,
    /// Which node of it
    #[arg(long, value_name = "NODE", requires = "nodes")]
    pub(crate) node: Option<String>,
    /// The cluster's objects, for names of addresses; may be repeated
    #[arg(long, value_name = "PATH", requires = "nodes")]
    pub(crate) cluster: Vec<PathBuf>,
}

/// How the answer is printed.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// How to print the answer; yaml and json print the Traceflow object
    #[arg(short = 'o', long, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub(crate) output: Format,
    /// When to colour the table: by default on a terminal, unless NO_COLOR is set
    #[arg(long, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    pub(crate) color: ColorChoice,
    /// Say also what policies block the packet, with the smallest change of each that would let it through and what else that
    /// would open; from the model of the network
    #[arg(long)]
    pub(crate) explain: bool,
}

/// What carries the packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DatapathKind {
    /// The simulated network, made of the cluster's objects
    Sim,
    /// Real Open vSwitch, spoken to in OpenFlow; see --nodes
    Ovs,
}

/// How the answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// The Traceflow object as `kubectl get -o yaml` prints it
    Yaml,
    /// The Traceflow object as `kubectl get -o json` prints it
    Json,
    /// A graph for Graphviz
    Dot,
    /// A flowchart for Mermaid
    Mermaid,
    /// A picture
    Svg,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

// Lines of at most 80 columns, so that no terminal folds a command.

const AFTER_HELP: &str = "\
Try the demo cluster:
  traceflow trace --cluster examples/demo -S pod1 -D pod3 -f tcp,tcp_dst=80
  traceflow run --cluster examples/demo -o yaml \\
      examples/demo/tf-pod1-to-svc.yaml

Exit status: 0 the question was answered, be the packet delivered or dropped;
2 bad input; 3 no answer; 128 and more: ended by a signal.";

const RUN_HELP: &str = "\
Examples:
  # The demo
  traceflow run --cluster examples/demo examples/demo/tf-pod1-to-pod2.yaml
  # Your own cluster
  kubectl get nodes,namespaces,pods,services,endpointslices,networkpolicies \\
      -A -o yaml > cluster.yaml
  traceflow run --cluster cluster.yaml my-traceflow.yaml -o yaml
  # Real traffic (`liveTraffic: true`): say what the simulated workloads send
  traceflow run --cluster examples/demo --send 'pod1->pod3 tcp,tcp_dst=80' \\
      examples/demo/tf-pod1-to-pod3-tcp-live-traffic.yaml

The answer goes to standard output, progress and errors go to standard error.
Several traces are printed as a List.";

const SWEEP_HELP: &str = "\
Example:
  traceflow sweep --nodes nodes.yaml

A tracer removes what it put in place, also when it is interrupted. One that
was killed can't; its flows go by themselves after a minute, or at once by
this. Flows of a tracer that is at work go, too; everybody else's stay.
What was removed is printed. The exit status is 3 if a switch can't be
reached; the others are swept all the same.";

const DECODE_HELP: &str = "\
Examples:
  traceflow decode 06140008:00000003
  traceflow decode - < capture.hex
  traceflow decode packet-ins.bin --nodes nodes.yaml --node node-a

Blanks, line breaks and colons between bytes don't count, nor do lines that
begin with #. Packets are read, and punts of tracers say what was observed.
Without --nodes, Antrea's pipeline with all of its tables is assumed. A message
that can't be read doesn't hide the others; the exit status is 2 then.";

const TRACE_HELP: &str = "\
Examples:
  # Who drops my ping?
  traceflow trace --cluster examples/demo -S pod1 -D pod2 -f icmp
  # Which endpoint does the Service choose?
  traceflow trace --cluster examples/demo -S pod1 -D tf-destination
  # What would happen? Nothing is sent
  traceflow trace --cluster examples/demo -S pod1 -D 8.8.8.8 --predict \\
      -f udp,udp_dst=53
  # Which real packet is dropped, and why?
  traceflow trace --cluster examples/demo -S pod1 -D pod3 -L --dropped-only \\
      -f icmp --send 'pod1->pod3 icmp'

The flow: one protocol (icmp, icmp6, tcp, tcp6, udp, udp6, sctp, sctp6, ip,
ipv6), then keys of that protocol, separated by commas: tcp_src, tcp_dst,
tcp_flags (+syn+ack or a number), udp_src, udp_dst, sctp_src, sctp_dst,
icmp_type, icmp_code, nw_proto, nw_ttl, ip_dscp. Without a destination port
a Service's first port is taken.";
