//! The situations that Antrea's own tests of its Traceflow describe, with the outcomes described there, on the simulated network
//! and on switches.
//!
//! The names are those of Antrea's cases, but where a row says that it is ours. The cases of packets are from its end-to-end
//! test (`test/e2e/traceflow_test.go`) and, put into a network where they arise, from its test of packet-ins
//! (`pkg/agent/controller/traceflow/packetin_test.go`); those of what is asked from that test's neighbour
//! (`traceflow_controller_test.go`). Where an outcome is another than Antrea's, its row says so, and why.
//!
//! Not realised:
//!
//! - AntreaProxy switched off (`TestValidateTraceflow`): Services are always the network's own here.
//! - The resource's life in a controller (`TestSyncTraceflow`, `TestProcessTraceflowItem`, `TestTraceflow`,
//!   `TestDeleteTraceflow_Tombstone`): there is no controller; the tests of sessions and marks take its place.
//! - `antctl`'s own tests (`pkg/antctl/raw/traceflow`): the flow syntax and the program have theirs.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod clusters;
mod injected;
mod live;
mod prepared;
mod requests;
mod told;

use std::process::Command;
use std::sync::Arc;

use traceflow_core::plan::Plan;
use traceflow_core::spec::CommandLine;
use traceflow_core::trace::Predictor;
use traceflow_core::tracer::Tracer;
use traceflow_sim::{Cluster, SimNetwork};

/// The Pod that sends in most of them.
const FROM: &str = "node1-pod0";

fn switches_are_installed() -> bool {
    let installed = Command::new("ovs-vswitchd").arg("--version").output().is_ok();
    if !installed {
        println!("skipped: ovs-vswitchd isn't installed (Debian: openvswitch-switch)");
    }
    installed
}

/// What is asked about a cluster.
fn plan(cluster: &Cluster, asked: CommandLine<'_>) -> Plan {
    let spec = asked.spec(cluster).unwrap();
    Plan::resolve(&spec, cluster, &mut fastrand::Rng::with_seed(1)).unwrap()
}

fn injecting<'a>([source, destination, flow]: &[&'a str; 3]) -> CommandLine<'a> {
    CommandLine {
        source: Some(source),
        destination: Some(destination),
        flow: Some(flow),
        ..CommandLine::default()
    }
}

/// A tracer over a simulated network of this cluster.
fn simulated(cluster: &Arc<Cluster>) -> (SimNetwork, Tracer) {
    let network = SimNetwork::new(cluster.clone());
    let tracer = Tracer::builder(cluster.clone())
        .predictor(cluster.clone() as Arc<dyn Predictor>)
        .datapaths(network.datapaths())
        .start();
    (network, tracer)
}
