//! Who is who in the fabric, and where its packets go.

use std::net::IpAddr;
use std::time::SystemTime;

use traceflow_core::inventory::{Inventory, NodeEntry, Owner, PodEntry, ServiceEntry, ServicePort};
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::observation::Action;
use traceflow_core::packet::{MacAddress, Protocol};
use traceflow_core::plan::{Plan, Question};
use traceflow_core::trace::{Hop, Prediction, Predictor, Unpredictable, Verdict};

use super::Fabric;

impl Inventory for Fabric {
    fn pod(&self, name: &ObjectName) -> Option<PodEntry> {
        self.pods.get(name).cloned()
    }

    fn service(&self, name: &ObjectName) -> Option<ServiceEntry> {
        let port = |protocol| ServicePort {
            protocol,
            port: 80,
            name: None,
        };
        (*name == self.call().service).then(|| ServiceEntry {
            name: name.clone(),
            cluster_ips: service_addresses().into(),
            ports: [Protocol::TCP, Protocol::UDP, Protocol::SCTP].map(port).into(),
        })
    }

    fn owner(&self, address: IpAddr) -> Option<Owner> {
        if is_service(address) {
            return Some(Owner::Service(self.call().service));
        }
        let owner = self.pods.values().find(|pod| pod.addresses.contains(&address))?;
        Some(Owner::Pod(owner.name.clone()))
    }

    fn node(&self, name: &NodeName) -> Option<NodeEntry> {
        self.nodes.contains_key(name).then(|| NodeEntry {
            name: name.clone(),
            addresses: Vec::new(),
            gateway_mac: MacAddress([2, 0, 0, 0, 1, 0]),
        })
    }

    fn nodes(&self) -> Vec<NodeName> {
        self.nodes.keys().cloned().collect()
    }
}

impl Predictor for Fabric {
    fn predict(&self, plan: &Plan) -> Result<Prediction, Unpredictable> {
        let ttl = match &plan.question {
            Question::Inject { packet, .. } => packet.ip.ttl(),
            Question::Live { .. } => 64,
        };
        let open = || Unpredictable("an end is left open".into());
        let (source, destination) = plan.source.as_ref().zip(plan.destination.as_ref()).ok_or_else(open)?;
        let Some(Owner::Pod(from)) = &source.owner else {
            return Err(open());
        };
        let hops = self
            .way(from, destination.address, ttl)
            .into_iter()
            .map(|(node, observations)| Hop {
                node,
                timestamp: SystemTime::UNIX_EPOCH,
                observations,
                after_gap: false,
            });
        let hops: Vec<_> = hops.collect();
        let last = hops.last().unwrap();
        let (node, end) = (last.node.clone(), last.observations.last().unwrap());
        let verdict = match end.action {
            Action::Delivered => Verdict::Delivered { node },
            Action::Dropped => Verdict::Dropped {
                node,
                reason: end.reason.clone(),
            },
            _ => Verdict::LeftNetwork { node },
        };
        Ok(Prediction::new(hops, verdict))
    }
}

pub(super) fn pod(name: &str, node: &str, number: u8) -> PodEntry {
    PodEntry {
        name: ObjectName::new("default", name),
        node: Some(node.into()),
        addresses: vec![
            IpAddr::from([10, 0, 0, number]),
            IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, number.into()]),
        ],
        mac: Some(MacAddress([2, 0, 0, 0, 0, number])),
        host_network: false,
        phase: "Running".into(),
    }
}

/// The one Service's addresses.
fn service_addresses() -> [IpAddr; 2] {
    [[10, 96, 0, 1].into(), [0xfd00, 0x96, 0, 0, 0, 0, 0, 1].into()]
}

pub(super) fn is_service(address: IpAddr) -> bool {
    service_addresses().contains(&address)
}
