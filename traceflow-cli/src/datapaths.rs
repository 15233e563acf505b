//! What carries the packets: the simulated network or real switches.

use std::io;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use traceflow_core::datapath::Datapath;
use traceflow_core::trace::Predictor;
use traceflow_sim::Cluster;

use crate::args::{DatapathKind, NetworkArgs, WayArgs};
use crate::failure::Failure;
use crate::simulation::Simulation;
use crate::switches::Switches;

/// What carries the packets.
pub(crate) enum Datapaths {
    Simulated(Simulation),
    Switches(Switches),
}

impl Datapaths {
    /// Checks everything that is said about them; nothing is touched yet.
    pub(crate) fn load(args: &NetworkArgs, way: &WayArgs, cluster: &Arc<Cluster>, seed: u64) -> Result<Self, Failure> {
        check(args, way)?;
        Ok(match &args.nodes {
            None => Self::Simulated(Simulation::load(cluster, &way.send, seed)?),
            Some(nodes) => Self::Switches(Switches::load(nodes, cluster, args.instance)?),
        })
    }

    /// A runtime with their clock. On the simulated network time is simulated, too: what would come to nothing in 20 s does
    /// so at once.
    pub(crate) fn runtime(&self) -> io::Result<Runtime> {
        let paused = matches!(self, Self::Simulated(_));
        Builder::new_current_thread().enable_all().start_paused(paused).build()
    }

    /// Who foretells the path of a packet.
    pub(crate) fn predictor(&self) -> Arc<dyn Predictor> {
        match self {
            Self::Simulated(simulation) => Arc::new(simulation.network.clone()),
            Self::Switches(switches) => Arc::clone(&switches.cluster) as Arc<dyn Predictor>,
        }
    }

    /// One per node. Needs their runtime.
    pub(crate) async fn open(&self) -> Result<Vec<Arc<dyn Datapath>>, Failure> {
        match self {
            Self::Simulated(simulation) => Ok(simulation.network.datapaths()),
            Self::Switches(switches) => switches.open().await,
        }
    }

    /// Lets the simulated workloads send; real ones send by themselves.
    pub(crate) fn send(&self) {
        if let Self::Simulated(simulation) = self {
            simulation.send();
        }
    }
}

/// Whether the arguments go together.
fn check(args: &NetworkArgs, way: &WayArgs) -> Result<(), Failure> {
    let switches = args.datapath == DatapathKind::Ovs;
    let mistake = if !switches && args.nodes.is_some() {
        "--nodes is for real switches; add --datapath ovs, or drop it"
    } else if !switches && args.instance.is_some() {
        "--instance is for real switches; add --datapath ovs, or drop it"
    } else if switches && args.nodes.is_none() {
        "--datapath ovs needs --nodes FILE, which says where the switches are"
    } else if switches && !way.send.is_empty() {
        "--send is for simulated workloads; with --datapath ovs let the real ones send once the trace is armed"
    } else if switches && way.predict {
        "--predict asks the model and no switch; drop it, or drop --datapath ovs and --nodes"
    } else {
        return Ok(());
    };
    Err(Failure::Usage(mistake.to_owned()))
}
