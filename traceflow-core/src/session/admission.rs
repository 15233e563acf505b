//! The one place where a trace is refused, and its nodes are chosen.

use std::collections::BTreeSet;

use super::nodes::Nodes;
use super::single::start;
use super::work::gone;
use super::{Request, Scope, Watch, Watched};
use crate::datapath::{Capabilities, DatapathError};
use crate::error::Error;
use crate::inventory::{Inventory, Owner};
use crate::names::NodeName;
use crate::packet::{IpFamily, Protocol};
use crate::plan::{Plan, Question};

/// The nodes that the trace will watch, unless its first node can't do what it takes.
pub(super) fn admit(request: &Request, nodes: &Nodes, inventory: &dyn Inventory) -> Result<Scope, Error> {
    let plan = &*request.plan;
    if let Some(start) = start(plan) {
        let capabilities = nodes.capabilities(start).ok_or_else(|| no_datapath(start))?;
        refuse_if_gone(start, nodes)?;
        refuse_if_missing(start, missing_at_start(capabilities, plan))?;
    }
    let wanted = wanted(request, inventory);
    let mut scope = Scope::default();
    for (node, capabilities) in nodes.all() {
        let watched = Watched {
            node: node.clone(),
            standing: capabilities.standing_watch && matches!(plan.question, Question::Inject { .. }),
        };
        if !missing_anywhere(capabilities, plan).is_empty() {
            scope.out_of_reach.insert(node.clone());
        } else if wanted.as_ref().is_none_or(|wanted| wanted.contains(node)) {
            scope.watched.push(watched);
        } else {
            scope.reserve.push(watched);
        }
    }
    let without_datapath = inventory
        .nodes()
        .into_iter()
        .filter(|node| nodes.capabilities(node).is_none());
    scope.out_of_reach.extend(without_datapath);
    if scope.watched.is_empty() {
        // Nothing is known of the way, or nobody there can watch.
        scope.watched = std::mem::take(&mut scope.reserve);
    }
    refuse_if_nobody(nodes, plan, &scope)?;
    Ok(scope)
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
fn refuse_if_nobody(nodes: &Nodes, plan: &Plan, scope: &Scope) -> Result<(), Error> {
    if !scope.watched.is_empty() {
        return Ok(());
    }
    match nodes.all().next() {
        Some((node, capabilities)) => refuse_if_missing(node, missing_anywhere(capabilities, plan)),
        None => Err(no_datapath(&NodeName::from("any"))),
    }
}

fn missing_at_start(capabilities: &Capabilities, plan: &Plan) -> Vec<String> {
    let mut missing = Vec::new();
    if matches!(plan.question, Question::Inject { .. }) && !capabilities.inject {
        missing.push("inject packets".to_owned());
    }
    missing.extend(missing_anywhere(capabilities, plan));
    missing
}

/// What the datapath lacks to watch the packet pass, as verb phrases.
fn missing_anywhere(capabilities: &Capabilities, plan: &Plan) -> Vec<String> {
    let mut missing = Vec::new();
    if let Question::Live { dropped_only, .. } = plan.question {
        if !capabilities.live {
            missing.push("follow real traffic".to_owned());
        } else if dropped_only && !capabilities.dropped_only {
            missing.push("follow only traffic that is dropped".to_owned());
        }
    }
    let (family, protocol) = headers(plan);
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

fn headers(plan: &Plan) -> (IpFamily, Option<Protocol>) {
    match &plan.question {
        Question::Inject { packet, .. } => (IpFamily::of(packet.ip.source()), Some(packet.protocol())),
        Question::Live { matching, .. } => (matching.family, matching.protocol),
    }
}
