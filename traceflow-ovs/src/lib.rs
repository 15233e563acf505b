//! Traces packets through Open vSwitch, whatever CNI has programmed it.
//!
//! One [`OvsDatapath`] stands for one node's switch and speaks OpenFlow to it. What the CNI's tables mean is said by a
//! [`Pipeline`](pipeline::Pipeline): Antrea's is here, another can stand in a file. What numbers mean, ports and rules, is
//! said by a [`Directory`](directory::Directory).
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use traceflow_core::datapath::Datapath;
//! use traceflow_core::input::Text;
//! use traceflow_core::inventory::{Inventory, Surroundings};
//! use traceflow_core::plan::Plan;
//! use traceflow_core::tracer::Tracer;
//! use traceflow_ovs::directory::NodeDirectory;
//! use traceflow_ovs::nodes::NodeSwitch;
//! use traceflow_ovs::pipeline::Antrea;
//! use traceflow_ovs::{Instance, OvsDatapath, Settings};
//!
//! # async fn trace(inventory: Arc<dyn Inventory>, surroundings: Arc<dyn Surroundings>, plan: Plan) -> Result<(), Box<dyn std::error::Error>> {
//! let file = Text::new("nodes.yaml", std::fs::read_to_string("nodes.yaml")?);
//! let tracer_number = Instance::new(0);
//! let datapaths = NodeSwitch::read_all(&file)?.into_iter().map(|node| {
//!     let directory = NodeDirectory::new(&node, inventory.clone(), surroundings.clone());
//!     let settings = Settings::of(&node, Arc::new(Antrea::default()), Arc::new(directory), tracer_number);
//!     Arc::new(OvsDatapath::open(settings)) as Arc<dyn Datapath>
//! });
//! let tracer = Tracer::builder(inventory.clone()).datapaths(datapaths).start();
//! println!("{}", tracer.trace(plan).await?.verdict);
//! tracer.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # How a packet is followed
//!
//! The mark of a traced packet stands in a register that only our packet-out or our live flow sets, and travels between
//! nodes in the tunnel's id. In every table that matters a flow of ours, above all others, notes in a second register that
//! the marked packet was here and hands it to the same table again, where the CNI's own flow decides. Whatever becomes of
//! the packet, one packet-in per node tells: where it leaves, or behind the last table that it came to. These flows are
//! constant in number and shared by all traces. So a trace of an injected packet is a packet-out and no flow-mod, the
//! CNI's changes count at once, and strangers' packets match nothing.
//!
//! # What is left behind
//!
//! Nothing: flows go with the tracer, by themselves a minute after its death, or by [`sweep()`]; connection tracking forgets
//! an injected packet's connection as soon as the packet is reported; a Service's affinity is never learned from one. But
//! Open vSwitch 3.1 aborts when it is to forget a connection of ICMPv6: those entries expire by themselves, within a minute. The trace's
//! [receipt](traceflow_core::receipt) tells all of it.
//!
//! # Limits
//!
//! - Of two live traces that match one packet, one gets it; the other waits for the next.
//! - The mark is carried by tunnels, in their id or in the packet's DSCP; without a tunnel (Antrea's noEncap) a packet is
//!   followed on its first node only.
//! - SCTP is traced only where connections aren't tracked ([`Pipeline::is_stateful`](pipeline::Pipeline::is_stateful)).
//!
//! # Map
//!
//! | to | see |
//! |---|---|
//! | say where switches are and what their pipeline is | [`nodes`], [`Settings`], [`address`] |
//! | describe a pipeline | [`pipeline`], [`layout`] |
//! | give names to ports and rules | [`directory`] |
//! | run several tracers on one switch | [`Instance`], [`free_instance`] |
//! | clean up after a tracer that died | [`sweep()`] |
//! | see which flows a packet matches | [`ofproto_trace`], [`unixctl`], [`table_names`] |
//! | read our packet-ins elsewhere | [`Punted`] |
//! | learn ports from the switch's database | [`ovsdb`] |

pub mod address;
mod beneath;
mod channel;
mod conntrack;
mod datapath;
pub mod directory;
mod evidence;
mod flights;
mod instance;
pub mod jsonrpc;
pub mod layout;
mod losses;
mod mirror;
pub mod nodes;
pub mod ofproto_trace;
pub mod ovsdb;
pub mod pipeline;
mod ports;
mod punt;
mod read;
mod settings;
mod settling;
mod socket;
mod sweep;
mod switch;
mod tables;
mod tenancy;
pub mod unixctl;
mod watch;

pub use datapath::OvsDatapath;
pub use instance::{Instance, LAST_INSTANCE, MarkKind};
pub use punt::Punted;
pub use settings::Settings;
pub use sweep::sweep;
pub use tables::table_names;
pub use tenancy::free_instance;
