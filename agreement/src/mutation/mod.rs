//! Mistakes that are seeded into a healthy network, one at a time, and whether traces find them.
//!
//! The fate of each of a fixed set of packets is asked of `ofproto/trace` before and with the mistake. Where it differs, an
//! injected trace has to have a [`Finding`](traceflow_core::trace::Finding) at the node where the two paths part; where it
//! doesn't, none.

mod catalogue;
mod edit;
mod random;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use testbed::fabric::Form;
use traceflow_core::plan::Plan;
use traceflow_core::trace::Trace;
use traceflow_sim::Cluster;

pub use catalogue::{CATALOGUE, Mutation};
pub use edit::{Edit, mistaken};
use random::Mistaken;

use crate::case::Asked;
use crate::story::Story;
use crate::tables;
use crate::world::World;

/// What was seen of one mistake.
#[derive(Debug)]
pub struct Row {
    /// What is wrong.
    pub name: String,
    /// On which node: 0 is `n1`.
    pub node: usize,
    /// In which table; `group` is none.
    pub table: String,
    /// How many packets' fate it changes.
    pub changed: usize,
    /// How many of those were traced.
    pub traced: usize,
    /// What went wrong: changed fates without a finding at the right node, findings without a changed fate.
    pub wrong: Vec<String>,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, node, table, .. } = self;
        write!(f, "n{} {table:<26} {name:<66} {:>4} changed, ", node + 1, self.changed)?;
        write!(f, "{:>2} traced, {} wrong", self.traced, self.wrong.len())
    }
}

/// Tries every mistake of the catalogue.
///
/// # Errors
/// What can't be started, or a mistake that isn't one: no flow of the program is meant by it.
pub async fn run(mut progress: impl FnMut(&Row)) -> Result<Vec<Row>, String> {
    let mut bench = Bench::start().await?;
    let mut rows = Vec::new();
    for mutation in CATALOGUE {
        let program = &bench.world.nodes[mutation.node].program;
        let program = mistaken(program, mutation.table, mutation.words, mutation.edit)
            .ok_or_else(|| format!("no flow is meant by {mutation:?}"))?;
        let seeded = bench.world.mistake(mutation.node, program);
        seeded.map_err(|error| format!("{}: {error}", mutation.name))?;
        let row = bench
            .judged(mutation.name.to_owned(), mutation.node, mutation.table.to_owned())
            .await?;
        progress(&row);
        rows.push(row);
    }
    bench.end().await.map(|()| rows)
}

/// Tries so many mistakes made at random; those that a switch refuses to take are none.
///
/// # Errors
/// What can't be started.
pub async fn run_random(count: usize, seed: u64, mut progress: impl FnMut(&Row)) -> Result<Vec<Row>, String> {
    let mut bench = Bench::start().await?;
    let mut random = fastrand::Rng::with_seed(seed);
    let mut rows = Vec::new();
    while rows.len() < count {
        let Mistaken {
            node,
            table,
            what,
            program,
        } = random::mistaken(&bench.world.nodes, &mut random);
        if bench.world.mistake(node, program).is_err() {
            continue;
        }
        let row = bench.judged(what, node, table).await?;
        progress(&row);
        rows.push(row);
    }
    bench.end().await.map(|()| rows)
}

/// A healthy network, and what becomes of a fixed set of packets there.
struct Bench {
    world: World,
    plans: Vec<Arc<Plan>>,
    healthy: Vec<Story>,
}

impl Bench {
    async fn start() -> Result<Self, String> {
        let cluster = Cluster::from_yaml(CLUSTER).map_err(|error| error.to_string())?;
        let plans = plans(&cluster)?;
        let world = World::start(Arc::new(cluster), Form::Rootless).map_err(|error| error.to_string())?;
        let healthy = stories(&world, &plans).await?;
        Ok(Self { world, plans, healthy })
    }

    /// What is seen of the mistake that a node has now; it is mended when this returns.
    async fn judged(&mut self, name: String, node: usize, table: String) -> Result<Row, String> {
        let mistaken = stories(&self.world, &self.plans).await?;
        let pairs = self.healthy.iter().zip(&mistaken).zip(&self.plans);
        let (changed, same): (Vec<_>, Vec<_>) = pairs.partition(|((before, after), _)| before != after);
        let asked: Vec<_> = spread(&changed, TRACED).chain(spread(&same, CONTROLS)).collect();
        let judged = stream::iter(&asked).map(async |((before, after), plan)| {
            let trace = self.world.tracer.trace(Arc::clone(plan)).await;
            match trace {
                Ok(trace) => judge(&trace, before, after),
                Err(error) => Some(error.to_string()),
            }
        });
        let judged: Vec<Option<String>> = judged.buffered(TRACED + CONTROLS).collect().await;
        let row = Row {
            name,
            node,
            table,
            changed: changed.len(),
            traced: changed.len().min(TRACED),
            wrong: judged.into_iter().flatten().collect(),
        };
        self.world.mend().map_err(|error| error.to_string())?;
        Ok(row)
    }

    async fn end(self) -> Result<(), String> {
        let left = self.world.end().await?;
        if left.is_empty() {
            return Ok(());
        }
        Err(format!("left on a switch: {left:?}"))
    }
}

/// So many of them, from the beginning to the end.
fn spread<T: Copy>(all: &[T], most: usize) -> impl Iterator<Item = T> + '_ {
    let step = all.len().div_ceil(most).max(1);
    all.iter().copied().step_by(step)
}

/// What is wrong with a trace's finding, if anything.
fn judge(trace: &Trace, before: &Story, after: &Story) -> Option<String> {
    let found = trace.finding.as_ref().map(|finding| finding.node.to_string());
    if found.as_deref() == before.parting(after) {
        return None;
    }
    let what = trace
        .finding
        .as_ref()
        .map_or_else(|| "nothing".to_owned(), ToString::to_string);
    Some(format!(
        "healthy: {before}\n  with the mistake: {after}\n  traced: {}\n  found: {what}",
        trace.verdict
    ))
}

async fn stories(world: &World, plans: &[Arc<Plan>]) -> Result<Vec<Story>, String> {
    let stories = stream::iter(plans).map(|plan| tables::walk(&world.tables, &world.nodes, plan));
    let stories: Vec<_> = stories.buffered(TRACED).collect().await;
    let fates = stories
        .into_iter()
        .map(|story| story.map(|walk| fate(walk.story)).map_err(|error| format!("{error:?}")));
    fates.collect()
}

/// Without what is no part of a packet's fate: which rule let it pass, and which endpoint a packet was for that never left
/// its node.
fn fate(mut story: Story) -> Story {
    let stays = story.steps.len() == 1 && story.end.starts_with("dropped");
    for step in &mut story.steps {
        (step.egress, step.ingress) = (None, None);
        step.endpoint = step.endpoint.filter(|_| !stays);
    }
    story
}

/// From some Pods to every Pod, Service and gateway, and outside.
fn plans(cluster: &Cluster) -> Result<Vec<Arc<Plan>>, String> {
    let senders = ["client", "caged", "near", "open"];
    let ends = [
        "10.1.0.10",
        "10.1.0.11",
        "10.1.0.12",
        "10.2.0.10",
        "10.2.0.11",
        "10.2.0.12",
        "10.1.0.1",
        "192.0.2.1",
        "10.96.0.10",
        "10.96.0.11",
        "10.96.0.12",
        "fd00:1::12",
        "fd00:2::10",
        "fd00:2::12",
        "fd00:96::10",
    ];
    let flows = [
        "tcp,tcp_src=40000,tcp_dst=80",
        "udp,udp_src=40000,udp_dst=53",
        "icmp",
        "tcp,tcp_src=40000,tcp_dst=81",
    ];
    let mut plans = Vec::new();
    let mut add = |from: &str, to: &str, flow: String| {
        let asked = Asked {
            from: format!("default/{from}"),
            to: to.to_owned(),
            flow,
        };
        let mut plan = asked.plan(cluster).map_err(|error| error.to_string())?;
        plan.timeout = PATIENCE;
        plans.push(Arc::new(plan));
        Ok::<(), String>(())
    };
    for from in senders {
        let own = cluster.pod_objects().find(|pod| &*pod.name.name == from);
        let own: Vec<String> = own
            .iter()
            .flat_map(|pod| &pod.addresses)
            .map(ToString::to_string)
            .collect();
        for to in ends.iter().filter(|end| !own.iter().any(|own| own == *end)) {
            for flow in flows {
                let flow = match (to.contains(':'), flow) {
                    (false, flow) => flow.to_owned(),
                    (true, "icmp") => "icmp6".to_owned(),
                    (true, flow) => format!("ipv6,{flow}"),
                };
                add(from, to, flow)?;
            }
        }
    }
    // Each of a connection of its own: packets of one are injected one after the other.
    add(
        "client",
        "10.2.0.12",
        "tcp,tcp_src=40001,tcp_dst=80,nw_ttl=1".to_owned(),
    )?;
    add(
        "client",
        "10.2.0.12",
        "tcp,tcp_src=40002,tcp_dst=80,nw_ttl=2".to_owned(),
    )?;
    add(
        "client",
        "10.2.0.12",
        "tcp,tcp_src=40003,tcp_dst=80,tcp_flags=0".to_owned(),
    )?;
    Ok(plans)
}

const CLUSTER: &str = include_str!("cluster.yaml");
/// How many packets of changed fate are traced for each mistake.
const TRACED: usize = 12;
/// How many others.
const CONTROLS: usize = 4;
/// How long a trace waits for a packet that isn't seen.
const PATIENCE: Duration = Duration::from_secs(4);
