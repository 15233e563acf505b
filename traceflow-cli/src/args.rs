//! The words of the command line.

use std::num::NonZeroUsize;
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
    /// Ask who reaches whom: every pair of Pods
    #[command(after_help = MATRIX_HELP)]
    Matrix(MatrixArgs),
    /// Hold expectations against the network, as a test: who reaches whom, and who doesn't
    #[command(after_help = CHECK_HELP)]
    Check(CheckArgs),
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
    pub(crate) way: WayArgs,
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
    pub(crate) way: WayArgs,
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
    /// Makes random choices (source port, Service endpoint) repeatable
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

/// In which way single traces are asked.
#[derive(Debug, Default, Args)]
pub(crate) struct WayArgs {
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
}

/// The arguments of `traceflow matrix`.
#[derive(Debug, Args)]
pub(crate) struct MatrixArgs {
    /// Who sends: `pod`, `namespace/pod`, labels such as `app=web,!canary` or `shop/app=web`, `shop/*`, or `*` for everybody;
    /// may be repeated
    #[arg(long, value_name = "SELECTOR", default_value = "*")]
    pub(crate) from: Vec<String>,
    /// Whom packets are for: the same, `svc/service`, `svc/namespace/service`, or an IP address; may be repeated
    #[arg(long, value_name = "SELECTOR", default_value = "*")]
    pub(crate) to: Vec<String>,
    /// What is sent from each to each: `tcp/80,udp/53,sctp/132,icmp`; `tcp6/80` for IPv6 where both could be
    #[arg(long, value_name = "LIST")]
    pub(crate) ports: String,
    /// Say also which rule is behind each denial
    #[arg(long)]
    pub(crate) denials: bool,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    pub(crate) pace: PaceArgs,
    /// How to print the answer
    #[arg(short = 'o', long, value_enum, default_value_t = MatrixFormat::Table, value_name = "FORMAT")]
    pub(crate) output: MatrixFormat,
    /// When to colour the table: by default on a terminal, unless NO_COLOR is set
    #[arg(long, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    pub(crate) color: ColorChoice,
}

/// The arguments of `traceflow check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Files of expectations, YAML or JSON; `-` is standard input. All of them are checked before any packet is sent
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// List also the policy rules that no packet exercised
    #[arg(long)]
    pub(crate) untouched: bool,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    pub(crate) pace: PaceArgs,
    /// How to print what is met
    #[arg(short = 'o', long, value_enum, default_value_t = CheckFormat::Table, value_name = "FORMAT")]
    pub(crate) output: CheckFormat,
    /// When to colour the table: by default on a terminal, unless NO_COLOR is set
    #[arg(long, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    pub(crate) color: ColorChoice,
}

/// How it is printed which expectations are met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckFormat {
    /// For people
    Table,
    /// JUnit's XML, which pipelines read
    Junit,
    /// For programs
    Json,
}

/// How many packets are sent at a time, and how long each is waited for.
#[derive(Debug, Args)]
pub(crate) struct PaceArgs {
    /// On real switches: how many packets are in flight at a time
    #[arg(long, value_name = "N", default_value_t = traceflow_reach::IN_FLIGHT)]
    pub(crate) in_flight: NonZeroUsize,
    /// On real switches: how long to wait for the answer of one packet, 1s to 300s
    #[arg(short = 't', long, value_name = "TIME", default_value = "5s", value_parser = parse_timeout)]
    pub(crate) timeout: Duration,
}

/// How a matrix is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MatrixFormat {
    /// For people: who is treated alike stands together
    Table,
    /// A line for each packet
    Csv,
    /// An object for each packet
    Json,
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
  traceflow matrix --cluster examples/demo --ports tcp/80,icmp
  traceflow check --cluster examples/demo examples/checks/demo.yaml

Exit status: 0 the question was answered, be the packet delivered or dropped;
1 an expectation of check is not met; 2 bad input; 3 no answer;
128 and more: ended by a signal.";

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

const MATRIX_HELP: &str = "\
Examples:
  # Who reaches whom, and which rule is behind each denial?
  traceflow matrix --cluster examples/demo --ports tcp/80,icmp --denials
  # Who reaches one Service, as a spreadsheet?
  traceflow matrix --cluster examples/demo --to svc/tf-destination \\
      --ports tcp/80 -o csv
  # What really happens: a packet for each pair, none handed to a Pod
  traceflow matrix --cluster cluster.yaml --from 'shop/*' --to app=db \\
      --ports tcp/5432 --datapath ovs --nodes nodes.yaml

On the simulated network everything is predicted, and nothing is sent. Pods
that are treated alike are one row or one column, called by a label or a
namespace that nobody else has. Selectors are those of `kubectl -l`, with
`namespace/` in front; `canary,` means that a label is there.
The exit status is 3 if a packet has no answer.";

const CHECK_HELP: &str = "\
Examples:
  traceflow check --cluster examples/demo examples/checks/demo.yaml
  # For a pipeline
  traceflow check --cluster examples/demo -o junit \\
      examples/checks/demo.yaml

A file of expectations:
  expectations:
  - name: only pod1 reaches the destinations by HTTP
    from: pod1                   # a selector as of matrix, or a list
    to: role=destination
    ports: tcp/80                # or a list
    expect: delivered            # delivered, denied, dropped or rejected
    others: denied               # optional: everybody who isn't in from
    by: {policy: \"K8sNetworkPolicy:default/allow-ingress-from-pod1\"}

`denied` is dropped or rejected, by a policy. `by` is optional and names the
policy behind each denial, with `rule` for Antrea's. Who selects nobody is
mistaken, for that proves nothing, unless `mayBeEmpty: true` is there.

Exit status: 0 all are met; 1 one is not; 2 bad input; 3 a packet has no
answer, and no expectation is known not to be met.";

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
