//! `--tables NODE`: which flows of a node's tables the traced packet matches.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use traceflow_core::inventory::Inventory;
use traceflow_core::names::NodeName;
use traceflow_core::packet::{IpFamily, Packet};
use traceflow_core::plan::Question as Way;
use traceflow_core::trace::{Hop, Trace};
use traceflow_ovs::address::Address;
use traceflow_ovs::nodes::NodeSwitch;
use traceflow_ovs::ofproto_trace::{Entry, Tunnel, arrival, flow};
use traceflow_ovs::pipeline::Description;
use traceflow_ovs::unixctl::Unixctl;

use crate::args::{Format, OutputArgs};
use crate::ask::Answer;
use crate::datapaths::Datapaths;
use crate::failure::{Failure, with_causes};
use crate::network::Network;
use crate::output;
use crate::question::Question;
use crate::switches::{self, Recording};

/// A node whose tables are to be shown.
pub(crate) struct Tables {
    node: NodeSwitch,
    pipeline: Arc<Description>,
    /// Where the switch takes commands.
    unixctl: Address,
    recording: Recording,
}

/// How wide the table is.
const WIDTH: usize = 140;

/// A switch answers within milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

impl Tables {
    /// Refuses what can't be shown before anything is traced.
    pub(crate) fn prepare(
        name: &str,
        network: &mut Network,
        output: &OutputArgs,
        questions: &[Question],
    ) -> Result<Self, Failure> {
        let refused = |why: &str| Failure::Usage(format!("--tables {why}"));
        let Datapaths::Switches(switches) = &mut network.datapaths else {
            return Err(refused(
                "asks real switches; add --datapath ovs and --nodes FILE, or drop it",
            ));
        };
        if output.output != Format::Table {
            return Err(refused("is for people to read; drop -o, or take -o table"));
        }
        if questions
            .iter()
            .any(|question| matches!(question.plan.question, Way::Live { .. }))
        {
            return Err(refused("is for injected packets; drop it, or drop -L"));
        }
        let (node, pipeline) = switches.find(name)?;
        let unixctl = node.unixctl.clone().ok_or_else(|| {
            refused(&format!(
                "needs the switch's control socket; add `unixctl: unix:PATH` to node {name} of the nodes file, with the \
                 path that ovs-vswitchd's --unixctl has"
            ))
        })?;
        Ok(Self {
            node,
            pipeline,
            unixctl,
            recording: switches.record(),
        })
    }

    /// Asks the switch and prints what it says; whether there was anything to ask.
    pub(crate) fn print(&self, network: &Network, answers: &[Answer]) -> Result<bool, Failure> {
        let traces = answers.iter().filter_map(|answer| answer.outcome.as_ref().ok());
        let mut page = String::new();
        let mut shown = true;
        let runtime = network.datapaths.runtime().map_err(Failure::Runtime)?;
        for trace in traces {
            match runtime.block_on(self.of(trace, network)) {
                Ok(tables) => page.push_str(&format!("\nTables of {}:\n\n{tables}", self.node.name)),
                Err(error) => {
                    eprintln!("error: --tables: {error}");
                    shown = false;
                }
            }
        }
        output::write(&page)?;
        Ok(shown)
    }

    async fn of(&self, trace: &Trace, network: &Network) -> Result<String, String> {
        let (packet, entry) = self.entered(trace, network)?;
        let names = traceflow_ovs::table_names(&self.node.openflow)
            .await
            .map_err(|error| with_causes(&error))?;
        let directory = switches::directory(&self.node, &network.cluster);
        let passed = Unixctl::new(self.unixctl.clone(), PATIENCE)
            .trace(&self.node.bridge, &flow(&packet, &entry), &[])
            .await
            .map_err(|error| with_causes(&error))?
            .with_rules(&self.pipeline.registers, &directory);
        Ok(passed.table(WIDTH, |bridge, table| self.name(&names, bridge, table)))
    }

    /// Tables that nobody has named are called by their numbers, and so are those of other bridges.
    fn name(&self, names: &BTreeMap<u8, String>, bridge: &str, table: u8) -> Option<String> {
        let name = names.get(&table)?;
        let named = bridge == self.node.bridge && !name.is_empty() && *name != format!("table{table}");
        named.then(|| name.clone())
    }

    /// The packet as it came into the node, without the mark: so it meets the CNI's flows only.
    fn entered(&self, trace: &Trace, network: &Network) -> Result<(Packet, Entry), String> {
        let name = &self.node.name;
        let Some(index) = trace.hops.iter().position(|hop| hop.node == *name) else {
            return Err(off_the_path(name, &trace.hops));
        };
        match index.checked_sub(1) {
            None => self.injected(trace),
            Some(before) => self.arrived(&trace.hops[before].node, network),
        }
    }

    fn injected(&self, trace: &Trace) -> Result<(Packet, Entry), String> {
        let Way::Inject { pod, packet, .. } = &trace.plan.question else {
            return Err("only an injected packet is known as it was sent".to_owned());
        };
        let port = self.node.pods.get(pod);
        let in_port = *port.ok_or_else(|| format!("the nodes file has no port of Pod {pod} on {}", self.node.name))?;
        let entry = Entry {
            in_port,
            ..Entry::default()
        };
        Ok((packet.clone(), entry))
    }

    /// As the node before sent it into the tunnel.
    fn arrived(&self, before: &NodeName, network: &Network) -> Result<(Packet, Entry), String> {
        let name = &self.node.name;
        let unknown = |what: &str| format!("how the packet came from {before} to {name} is not known: {what}");
        let recording = self.recording.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = recording.iter().rev().filter(|(node, _)| node == before);
        let (packet, destination) = sent
            .filter_map(|(_, packet_in)| arrival(packet_in))
            .next()
            .ok_or_else(|| unknown("it was not seen going into a tunnel"))?;
        let in_port = *self
            .node
            .tunnels
            .first()
            .ok_or_else(|| unknown("the nodes file has no tunnel port of this node"))?;
        let source = tunnel_end(network, before, destination).ok_or_else(|| unknown("that node has no address"))?;
        let tunnel = Tunnel {
            source,
            destination,
            id: 0,
        };
        let entry = Entry {
            in_port,
            tunnel: Some(tunnel),
            registers: Vec::new(),
        };
        Ok((packet, entry))
    }
}

fn tunnel_end(network: &Network, node: &NodeName, other: IpAddr) -> Option<IpAddr> {
    let addresses = network.cluster.node(node)?.addresses;
    let same_family = |address: &IpAddr| IpFamily::of(*address) == IpFamily::of(other);
    addresses.into_iter().find(same_family)
}

fn off_the_path(node: &NodeName, hops: &[Hop]) -> String {
    let path: Vec<String> = hops.iter().map(|hop| hop.node.to_string()).collect();
    if path.is_empty() {
        return format!("the packet was seen on no node, so not on {node}");
    }
    format!("{node} is not on the path of the packet, which is {}", path.join(", "))
}
