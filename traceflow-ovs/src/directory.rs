//! What a node's switch doesn't know by name: whose port a port is, whose rule a rule number.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use traceflow_core::inventory::{Direction, EgressEntry, Inventory, Owner, Surroundings};
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::observation::PolicyRef;
use traceflow_core::packet::{IpFamily, Protocol};

use crate::nodes::NodeSwitch;

/// Names for the numbers of one node's switch. Whoever programs the switch knows them and implements this; it is asked
/// for every report, so answers come from memory.
///
/// What it doesn't know it answers with `None` or nothing: the report then goes without the name.
pub trait Directory: Send + Sync {
    /// The OpenFlow number of the Pod's port on this node.
    fn port(&self, pod: &ObjectName) -> Option<u32>;

    /// The Pod at this port of this node.
    fn pod_at(&self, port: u32) -> Option<ObjectName>;

    /// The rule that the pipeline calls by this number.
    fn rule(&self, number: u32) -> Option<Rule>;

    /// The policies that isolate the Pod in this direction, by name.
    fn isolating(&self, pod: &ObjectName, direction: Direction) -> Vec<PolicyRef>;

    /// Whose address this is.
    fn owner(&self, address: IpAddr) -> Option<Owner>;

    /// Whether the address is the node's own, its gateway's included.
    fn is_own_address(&self, address: IpAddr) -> bool;

    /// Whether the Service offers this port.
    fn offers(&self, service: &ObjectName, protocol: Protocol, port: u16) -> bool;

    /// Whether the address lies in a range from which Pods get theirs.
    fn is_pod_range(&self, address: IpAddr) -> bool;

    /// The Egress by which packets of this family leave the cluster that the Pod sends.
    fn egress(&self, pod: &ObjectName, family: IpFamily) -> Option<EgressEntry>;

    /// The Service that nodes offer at this port of their own addresses.
    fn node_port(&self, protocol: Protocol, port: u16) -> Option<ObjectName>;

    /// The Pod behind this endpoint of the Service, where its address is its node's.
    fn endpoint(&self, service: &ObjectName, address: IpAddr, port: u16) -> Option<ObjectName>;
}

/// A rule of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rule {
    /// The policy.
    pub policy: PolicyRef,
    /// The rule's name, where rules have names.
    pub name: Option<String>,
}

/// A directory made of an inventory, a model, and what a [`NodeSwitch`] lists. Rules can be added while tracing goes on.
pub struct NodeDirectory {
    node: NodeName,
    ports: BTreeMap<ObjectName, u32>,
    pods: HashMap<u32, ObjectName>,
    rules: RwLock<HashMap<u32, Rule>>,
    inventory: Arc<dyn Inventory>,
    surroundings: Arc<dyn Surroundings>,
}

impl NodeDirectory {
    /// The directory of this node.
    pub fn new(node: &NodeSwitch, inventory: Arc<dyn Inventory>, surroundings: Arc<dyn Surroundings>) -> Self {
        Self {
            node: node.name.clone(),
            ports: node.pods.clone(),
            pods: node.pods.iter().map(|(pod, &port)| (port, pod.clone())).collect(),
            rules: RwLock::new(node.rules.clone().into_iter().collect()),
            inventory,
            surroundings,
        }
    }

    /// Adds rules that were programmed since. Numbers keep their meaning: a packet may still be on its way.
    pub fn add_rules(&self, rules: impl IntoIterator<Item = (u32, Rule)>) {
        self.rules.write().unwrap_or_else(PoisonError::into_inner).extend(rules);
    }
}

impl Directory for NodeDirectory {
    fn port(&self, pod: &ObjectName) -> Option<u32> {
        self.ports.get(pod).copied()
    }

    fn pod_at(&self, port: u32) -> Option<ObjectName> {
        self.pods.get(&port).cloned()
    }

    fn rule(&self, number: u32) -> Option<Rule> {
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        rules.get(&number).cloned()
    }

    fn isolating(&self, pod: &ObjectName, direction: Direction) -> Vec<PolicyRef> {
        self.surroundings.isolating(pod, direction)
    }

    fn owner(&self, address: IpAddr) -> Option<Owner> {
        self.inventory.owner(address)
    }

    fn is_own_address(&self, address: IpAddr) -> bool {
        match self.inventory.owner(address) {
            Some(Owner::Node(node) | Owner::Gateway(node)) => node == self.node,
            _ => false,
        }
    }

    fn offers(&self, service: &ObjectName, protocol: Protocol, port: u16) -> bool {
        let service = self.inventory.service(service);
        service.is_some_and(|service| {
            let mut ports = service.ports.iter();
            ports.any(|offered| (offered.protocol, offered.port) == (protocol, port))
        })
    }

    fn is_pod_range(&self, address: IpAddr) -> bool {
        self.surroundings.is_pod_range(address)
    }

    fn egress(&self, pod: &ObjectName, family: IpFamily) -> Option<EgressEntry> {
        self.surroundings.egress(pod, family)
    }

    fn node_port(&self, protocol: Protocol, port: u16) -> Option<ObjectName> {
        self.surroundings.node_port(protocol, port)
    }

    fn endpoint(&self, service: &ObjectName, address: IpAddr, port: u16) -> Option<ObjectName> {
        self.surroundings.endpoint(service, address, port)
    }
}

/// A directory that knows nobody: numbers stay numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NoNames;

impl Directory for NoNames {
    fn port(&self, _pod: &ObjectName) -> Option<u32> {
        None
    }

    fn pod_at(&self, _port: u32) -> Option<ObjectName> {
        None
    }

    fn rule(&self, _number: u32) -> Option<Rule> {
        None
    }

    fn isolating(&self, _pod: &ObjectName, _direction: Direction) -> Vec<PolicyRef> {
        Vec::new()
    }

    fn owner(&self, _address: IpAddr) -> Option<Owner> {
        None
    }

    fn is_own_address(&self, _address: IpAddr) -> bool {
        false
    }

    fn offers(&self, _service: &ObjectName, _protocol: Protocol, _port: u16) -> bool {
        false
    }

    fn is_pod_range(&self, _address: IpAddr) -> bool {
        false
    }

    fn egress(&self, _pod: &ObjectName, _family: IpFamily) -> Option<EgressEntry> {
        None
    }

    fn node_port(&self, _protocol: Protocol, _port: u16) -> Option<ObjectName> {
        None
    }

    fn endpoint(&self, _service: &ObjectName, _address: IpAddr, _port: u16) -> Option<ObjectName> {
        None
    }
}
