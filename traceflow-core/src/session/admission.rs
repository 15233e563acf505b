//! The one place where a trace is refused, and its nodes are chosen.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::nodes::Nodes;
use super::single::start;
use super::work::gone;
use super::{Reach, Request, Scope, Watch, Watched};
use crate::datapath::{Capabilities, DatapathError};
use crate::error::Error;
use crate::inventory::{Inventory, Owner};
use crate::names::NodeName;
use crate::packet::{IpFamily, Protocol};
use crate::plan::{Plan, Question};

/// What a trace takes of the nodes that watch for it: traces of one kind have one [`Reach`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    family: IpFamily,
    protocol: Option<Protocol>,
    way: Way,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Way {
    Injected,
    Live { dropped_only: bool },
}

impl Kind {
    fn of(plan: &Plan) -> Self {
        match &plan.question {
            Question::Inject { packet, .. } => Self {
                family: IpFamily::of(packet.ip.source()),
                protocol: Some(packet.protocol()),
                way: Way::Injected,
            },
            Question::Live { matching, dropped_only } => Self {
                family: matching.family,
                protocol: matching.protocol,
                way: Way::Live {
                    dropped_only: *dropped_only,
                },
            },
        }
    }
}

/// The reach of each kind of trace that there was. What a datapath can do doesn't change.
pub(super) type Reaches = HashMap<Kind, Arc<Reach>>;

/// The nodes that the trace will watch, unless its first node can't do what it takes.
pub(super) fn admit(
    request: &Request,
    nodes: &Nodes,
    inventory: &dyn Inventory,
    reaches: &mut Reaches,
) -> Result<Scope, Error> {
    let plan = &*request.plan;
    let kind = Kind::of(plan);
    if let Some(start) = start(plan) {
        let capabilities = nodes.capabilities(start).ok_or_else(|| no_datapath(start))?;
        refuse_if_gone(start, nodes)?;
        refuse_if_missing(start, missing_at_start(capabilities, kind))?;
    }
    let reach = reaches.entry(kind).or_insert_with(|| Arc::new(reach(kind, nodes)));
    let mut watched = match wanted(request, inventory) {
        Some(wanted) => wanted.iter().filter_map(|node| reach.find(node)).cloned().collect(),
        None => Vec::new(),
    };
    if watched.is_empty() {
        // Nothing is known of the way, or nobody there can watch.
        watched.clone_from(&reach.within);
    }
    let reach = Arc::clone(reach);
    let scope = Scope { watched, reach };
    refuse_if_nobody(nodes, kind, &scope)?;
    Ok(scope)
}

fn reach(kind: Kind, nodes: &Nodes) -> Reach {
    let mut reach = Reach::default();
    for (node, capabilities) in nodes.all() {
        if missing_anywhere(capabilities, kind).is_empty() {
            reach.within.push(Watched {
                node: node.clone(),
                standing: capabilities.standing_watch && kind.way == Way::Injected,
            });
        } else {
            reach.beyond.insert(node.clone());
        }
    }
    reach
}

impl Reach {
    pub(super) fn find(&self, node: &NodeName) -> Option<&Watched> {
        let place = self.within.binary_search_by(|watched| watched.node.cmp(node));
        place.ok().map(|place| &self.within[place])
    }
}

/// The nodes that the packet should pass, and those where it ends if the network decides otherwise than predicted: where
/// nobody watches, an injected packet is handed over as if it were real. `None` is all.
fn wanted(request: &Request, inventory: &dyn Inventory) -> Option<BTreeSet<NodeName>> {
    if request.watch == Watch::All {
        return None;
    }
    let plan = &*request.plan;
    let mut wanted: BTreeSet<NodeName> = match &request.prediction {
        Some(Ok(prediction)) => prediction.hops.iter().map(|hop| hop.node.clone()).collect(),
        // Traffic from anywhere shows where it arrives.
        _ if plan.source.as_ref().is_none_or(|source| source.node.is_none()) => BTreeSet::new(),
        _ => return None,
    };
    wanted.extend(start(plan).cloned());
    if let Some(destination) = &plan.destination {
        wanted.extend(destination.node.clone());
        // Traffic from anywhere is for the Service's own address only where it begins.
        if let (Some(Owner::Service(service)), Some(_)) = (&destination.owner, start(plan)) {
            wanted.extend(inventory.endpoint_nodes(service)?);
        }
    }
    Some(wanted)
}

fn no_datapath(node: &NodeName) -> Error {
    Error::Unavailable {
        node: node.clone(),
        source: DatapathError::Unavailable("it has no datapath here".into()),
    }
}

fn refuse_if_gone(node: &NodeName, nodes: &Nodes) -> Result<(), Error> {
    if !nodes.is_gone(node) {
        return Ok(());
    }
    Err(Error::Unavailable {
        node: node.clone(),
        source: gone(),
    })
}

fn refuse_if_missing(node: &NodeName, missing: Vec<String>) -> Result<(), Error> {
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::Unsupported {
        node: node.clone(),
        what: missing.join(", nor ").into(),
    })
}

/// Without a first node any node will do, but one there must be.
fn refuse_if_nobody(nodes: &Nodes, kind: Kind, scope: &Scope) -> Result<(), Error> {
    if !scope.watched.is_empty() {
        return Ok(());
    }
    match nodes.all().next() {
        Some((node, capabilities)) => refuse_if_missing(node, missing_anywhere(capabilities, kind)),
        None => Err(no_datapath(&NodeName::from("any"))),
    }
}

fn missing_at_start(capabilities: &Capabilities, kind: Kind) -> Vec<String> {
    let mut missing = Vec::new();
    if kind.way == Way::Injected && !capabilities.inject {
        missing.push("inject packets".to_owned());
    }
    missing.extend(missing_anywhere(capabilities, kind));
    missing
}

/// What the datapath lacks to watch the packet pass, as verb phrases.
fn missing_anywhere(capabilities: &Capabilities, kind: Kind) -> Vec<String> {
    let mut missing = Vec::new();
    if let Way::Live { dropped_only } = kind.way {
        if !capabilities.live {
            missing.push("follow real traffic".to_owned());
        } else if dropped_only && !capabilities.dropped_only {
            missing.push("follow only traffic that is dropped".to_owned());
        }
    }
    let Kind { family, protocol, .. } = kind;
    if !capabilities.handles_family(family) {
        missing.push(format!("handle {family}"));
    }
    if let Some(protocol) = protocol.filter(|&protocol| !capabilities.handles_protocol(protocol)) {
        missing.push(format!("handle {protocol}"));
    }
    if capabilities.marks == 0 {
        missing.push("tell traced packets from others (it has no marks)".to_owned());
    }
    missing
}
