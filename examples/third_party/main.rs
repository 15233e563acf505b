//! A backend in an afternoon: `table_switch.rs` makes a network of one's own traceable, this file proves it.
//!
//! `cargo run -p examples --example third_party` prints the suite's report; `cargo test -p examples --example third_party`
//! is the same as a test, as CI runs it. The steps are: implement `Datapath`, claim in its `Capabilities` what works, give
//! the suite a small network, and mend what it finds.

mod table_switch;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use table_switch::TableSwitch;
use traceflow_conformance::{Journey, Network, Report, Suite};
use traceflow_core::inventory::{Inventory, NodeEntry, Owner, PodEntry, ServiceEntry};
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::packet::MacAddress;

/// Reports come at once here, so a short silence is silence enough.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Report {
    let suite = Suite {
        quiet: Duration::from_millis(1),
        ..Suite::default()
    };
    suite.run(|| async { Ok(network()) }).await
}

#[tokio::test(start_paused = true)]
async fn the_table_switch_keeps_its_promises() {
    Suite::default().run(|| async { Ok(network()) }).await.assert_passed();
}

/// A network for one case: two Pods that reach each other, and an address that nobody has.
fn network() -> Network {
    let (client, server) = (
        ObjectName::new("default", "client"),
        ObjectName::new("default", "server"),
    );
    let pods = [([10, 0, 0, 1], client.clone()), ([10, 0, 0, 2], server.clone())];
    let directory = Directory {
        node: "table-switch".into(),
        pods: pods.into_iter().map(|(address, pod)| (address.into(), pod)).collect(),
    };
    let switch = TableSwitch::new(directory.node.clone(), directory.pods.clone());
    let nobody = IpAddr::from([10, 0, 0, 99]);
    Network {
        dropped: Some(Journey::to_address(client.clone(), nobody)),
        ..Network::new(
            vec![Arc::new(switch)],
            Arc::new(directory),
            Journey::between(client, server),
        )
    }
}

/// Who is who. A controller answers this from what it knows of the cluster.
struct Directory {
    node: NodeName,
    pods: BTreeMap<IpAddr, ObjectName>,
}

impl Inventory for Directory {
    fn pod(&self, name: &ObjectName) -> Option<PodEntry> {
        let (address, _) = self.pods.iter().find(|(_, pod)| *pod == name)?;
        Some(PodEntry {
            name: name.clone(),
            node: Some(self.node.clone()),
            addresses: vec![*address],
            mac: Some(MacAddress([2, 0, 0, 0, 0, 2])),
            host_network: false,
            phase: "Running".into(),
        })
    }

    fn service(&self, _: &ObjectName) -> Option<ServiceEntry> {
        None
    }

    fn owner(&self, address: IpAddr) -> Option<Owner> {
        self.pods.get(&address).cloned().map(Owner::Pod)
    }

    fn node(&self, name: &NodeName) -> Option<NodeEntry> {
        (*name == self.node).then(|| NodeEntry {
            name: name.clone(),
            addresses: Vec::new(),
            gateway_mac: MacAddress([2, 0, 0, 0, 0, 1]),
        })
    }

    fn nodes(&self) -> Vec<NodeName> {
        vec![self.node.clone()]
    }
}
