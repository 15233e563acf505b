//! What a datapath needs to know about its switch.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use traceflow_core::names::NodeName;

use crate::address::Address;
use crate::directory::Directory;
use crate::instance::Instance;
use crate::nodes::NodeSwitch;
use crate::pipeline::Pipeline;

/// One node's switch: where it is, whose pipeline it has, who is who there.
#[derive(Clone)]
pub struct Settings {
    /// The node.
    pub node: NodeName,
    /// Where the bridge speaks OpenFlow, such as `unix:/run/openvswitch/br-int.mgmt`.
    pub openflow: Address,
    /// Where the switch takes commands (`ovs-appctl -t`). With it a live trace is known to be armed; without it half a
    /// second is waited.
    pub unixctl: Option<Address>,
    /// The pipeline that the CNI programs.
    pub pipeline: Arc<dyn Pipeline>,
    /// The tunnel ports.
    pub tunnels: Vec<u32>,
    /// The gateway port.
    pub gateway: Option<u32>,
    /// The ranges of other nodes' Pods that are reached by the gateway port (Antrea's modes noEncap and hybrid); the node's own may be
    /// among them. Packets are followed there if marks travel in the DSCP.
    pub routed: Vec<IpNet>,
    /// Names for the numbers.
    pub directory: Arc<dyn Directory>,
    /// Which tracer this is; the same on all its nodes.
    pub instance: Instance,
    /// How long the switch may be out of reach before it is held to be gone for good and its reports end; `None`: for
    /// ever.
    pub give_up: Option<Duration>,
    /// How many traces may have packets under way here at most; Open vSwitch queues 100 packet-ins for a connection and drops
    /// what comes then.
    pub window: usize,
    /// How long the switch's flow cache keeps what isn't used (`max-idle` in the database's `other_config`); a mark rests
    /// that long before it is used again.
    pub max_idle: Duration,
    /// How many reports each reader may leave unread.
    pub unread_reports: usize,
}

impl Settings {
    /// The window that leaves room in the switch's queue for what nobody foresaw: a Service's other endpoint, packets that nodes
    /// of another tracer send here. A wider one traces no more packets a second.
    pub const WINDOW: usize = 32;

    /// What Open vSwitch does if nobody says otherwise.
    pub const MAX_IDLE: Duration = Duration::from_secs(10);

    /// The usual settings.
    pub fn new(
        node: NodeName,
        openflow: Address,
        pipeline: Arc<dyn Pipeline>,
        directory: Arc<dyn Directory>,
        instance: Instance,
    ) -> Self {
        Self {
            node,
            openflow,
            unixctl: None,
            pipeline,
            tunnels: Vec::new(),
            gateway: None,
            routed: Vec::new(),
            directory,
            instance,
            give_up: None,
            window: Self::WINDOW,
            max_idle: Self::MAX_IDLE,
            unread_reports: 16_384,
        }
    }

    /// The usual settings for the switch of a nodes file.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use traceflow_core::input::Text;
    /// use traceflow_ovs::directory::Directory;
    /// use traceflow_ovs::nodes::NodeSwitch;
    /// use traceflow_ovs::{Instance, Settings};
    ///
    /// # fn example(directory: Arc<dyn Directory>) -> Result<(), Box<dyn std::error::Error>> {
    /// let text = Text::new("nodes.yaml", "nodes: [{name: a, openflow: 'unix:/run/openvswitch/br-int.mgmt', tunnel: 1}]");
    /// for node in NodeSwitch::read_all(&text)? {
    ///     let pipeline = Arc::new(node.pipeline(".".as_ref())?);
    ///     let settings = Settings::of(&node, pipeline, directory.clone(), Instance::new(0));
    ///     assert_eq!(settings.tunnels, [1]);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn of(
        node: &NodeSwitch,
        pipeline: Arc<dyn Pipeline>,
        directory: Arc<dyn Directory>,
        instance: Instance,
    ) -> Self {
        Self {
            unixctl: node.unixctl.clone(),
            tunnels: node.tunnels.clone(),
            gateway: node.gateway,
            routed: node.routed.clone(),
            ..Self::new(node.name.clone(), node.openflow.clone(), pipeline, directory, instance)
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("node", &self.node)
            .field("openflow", &self.openflow)
            .field("unixctl", &self.unixctl)
            .field("pipeline", &self.pipeline)
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}
