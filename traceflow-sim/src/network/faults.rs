//! What can be broken.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use traceflow_core::names::ObjectName;
use traceflow_core::observation::{Action, Component, ComponentInfo, DropReason, Observation};

use crate::cluster::Cluster;
use crate::pipeline::{Outcome, Passed};

/// What is broken at one node. The default is nothing.
///
/// ```
/// use traceflow_core::names::NodeName;
/// use traceflow_sim::{Cluster, NodeFaults, SimNetwork};
///
/// let network = SimNetwork::new(Cluster::builder().node("a").build()?);
/// let deaf = NodeFaults { refuse_install: Some("table full".into()), ..NodeFaults::default() };
/// network.set_faults(&NodeName::from("a"), deaf);
/// # Ok::<(), traceflow_core::input::BadInput>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeFaults {
    /// The node can't be reached: packets pass, every command fails with these words, and no report arrives.
    pub unavailable: Option<Arc<str>>,
    /// `install` is refused with these words.
    pub refuse_install: Option<Arc<str>>,
    /// `inject` is refused with these words.
    pub refuse_inject: Option<Arc<str>>,
    /// `remove` fails with these words, and removes nothing.
    pub refuse_remove: Option<Arc<str>>,
    /// How many of the next sightings are lost.
    pub lose_reports: u32,
    /// Whether losses are told by a `Lost` report.
    pub tell_losses: bool,
    /// How much later than at once sightings arrive. Needs a tokio runtime; in tests its time may be paused.
    pub delay_reports: Duration,
    /// How often each sighting arrives once more.
    pub repeat_reports: u32,
    /// What goes wrong with packets that this node puts into a tunnel.
    pub tunnel: TunnelFault,
    /// The longest IP packet, in bytes, that this node puts into a tunnel; `None` is no limit.
    pub tunnel_mtu: Option<u16>,
    /// The Pods of this node whose ports are down.
    pub ports_down: BTreeSet<ObjectName>,
}

impl NodeFaults {
    /// What becomes of a packet that would leave the node so.
    pub(super) fn at_output(&self, cluster: &Cluster, passed: &mut Passed) {
        let reason = match passed.outcome {
            Outcome::ToPod(pod) if self.ports_down.contains(&cluster.pod_record(pod).pod.name) => DropReason::PortDown,
            Outcome::ToPeer(_) => match self.tunnel_mtu {
                Some(mtu) if passed.packet.length > u32::from(mtu) => DropReason::MtuExceeded { mtu },
                _ => return,
            },
            _ => return,
        };
        // The last observation is that it was put out.
        passed.observations.pop();
        let dropped = Observation::new(Component::Forwarding, Action::Dropped).at(ComponentInfo::Output);
        passed.observations.push(dropped.because(reason));
        passed.outcome = Outcome::Dropped;
    }
}

/// What a tunnel does to packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TunnelFault {
    /// It carries them.
    #[default]
    None,
    /// It carries them without their marks.
    EatsMarks,
    /// It loses them.
    EatsPackets,
}
