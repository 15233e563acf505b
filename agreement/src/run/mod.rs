//! Many random cases, on switches that are kept from one to the next.

mod tellings;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use testbed::fabric::Form;
use traceflow_core::tracer::Tracer;
use traceflow_sim::SimNetwork;

use tellings::{Choices, Scene};
pub use tellings::{Tellings, Told};

use crate::case::{Asked, Case};
use crate::generate::{self, Objects, Topology};
use crate::minimise::minimised;
use crate::tally::Tally;
use crate::world::World;

/// What is to be run.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How many cases.
    pub cases: usize,
    /// The same seed makes the same cases.
    pub seed: u64,
    /// Whether Pods are real, and send real packets too; needs root.
    pub real_traffic: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// How many cases were asked about.
    pub cases: usize,
    /// Clusters, edits of others included.
    pub clusters: usize,
    /// Fabrics that were started.
    pub fabrics: usize,
    /// Who agreed with whom.
    pub tally: Tally,
    /// Cases in which somebody didn't, made as small as they get.
    pub disagreements: Vec<Disagreement>,
    /// What tracers left on switches.
    pub leftovers: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

/// A case in which not all say the same.
#[derive(Debug)]
pub struct Disagreement {
    /// The case.
    pub case: Case,
    /// How the prediction has it end.
    pub expected: String,
    /// Who says what.
    pub text: String,
    /// What led to this cluster on the switches.
    pub edits: Vec<String>,
}

/// Clusters on one fabric: most are an edit of the one before.
const CLUSTERS: usize = 60;

/// Packets in one cluster.
const PACKETS: usize = 12;

/// Runs them; `progress` hears the report so far after each fabric, and after each disagreement.
///
/// # Errors
/// What can't be started, or failed.
pub async fn run(settings: Settings, mut progress: impl FnMut(&Report)) -> Result<Report, String> {
    let began = Instant::now();
    let mut report = Report::default();
    while report.cases < settings.cases {
        let seed = settings
            .seed
            .wrapping_mul(1_000_003)
            .wrapping_add(report.fabrics as u64);
        on_one_fabric(
            settings,
            &mut fastrand::Rng::with_seed(seed),
            &mut report,
            &mut progress,
        )
        .await?;
        report.fabrics += 1;
        report.took = began.elapsed();
        progress(&report);
    }
    Ok(report)
}

async fn on_one_fabric(
    settings: Settings,
    random: &mut fastrand::Rng,
    report: &mut Report,
    progress: &mut impl FnMut(&Report),
) -> Result<(), String> {
    let topology = Topology::any(random);
    let mut objects = generate::cluster(&topology, random);
    let mut edits = Vec::new();
    let mut world = start(&objects, settings.real_traffic)?;
    for number in 0..CLUSTERS {
        if report.cases >= settings.cases {
            break;
        }
        let packets = PACKETS.min(settings.cases - report.cases);
        let asked: Vec<Asked> = (0..packets)
            .map(|_| generate::packet(&topology, &objects, random))
            .collect();
        if number > 0 {
            become_objects(&mut world, &objects)?;
        }
        report.clusters += 1;
        report.cases += asked.len();
        let disagreeing = ask_all(&world, &objects, &asked, settings.real_traffic, report).await?;
        for (packet, tellings) in disagreeing
            .into_iter()
            .take(KEPT.saturating_sub(report.disagreements.len()))
        {
            eprintln!("not all agree about {packet:?}:\n{}", tellings.text());
            let case = Case {
                objects: objects.clone(),
                packet,
            };
            let small = minimised(&mut world, case, tellings, settings.real_traffic).await?;
            report.disagreements.push(Disagreement {
                edits: edits.clone(),
                ..small
            });
            progress(report);
            become_objects(&mut world, &objects)?;
        }
        let (next, edit) = match random.u8(..6) {
            0 => (generate::cluster(&topology, random), "another cluster".to_owned()),
            _ => generate::edit(&topology, &objects, random),
        };
        objects = next;
        edits.push(edit);
    }
    report.leftovers.extend(world.end().await?);
    Ok(())
}

/// No more disagreements are looked into: one mistake makes many.
const KEPT: usize = 10;

/// Switches for a cluster of these objects.
///
/// # Errors
/// What can't be started.
pub fn start(objects: &Objects, real: bool) -> Result<World, String> {
    let cluster = objects.cluster(0).map_err(|error| error.to_string())?;
    let form = if real { Form::Root } else { Form::Rootless };
    World::start(Arc::new(cluster), form).map_err(|error| error.to_string())
}

pub(crate) fn become_objects(world: &mut World, objects: &Objects) -> Result<(), String> {
    let cluster = objects.cluster(0).map_err(|error| error.to_string())?;
    world
        .become_cluster(Arc::new(cluster))
        .map_err(|error| error.to_string())
}

/// Asks about all these packets, and gives those about which not all say the same.
async fn ask_all(
    world: &World,
    objects: &Objects,
    asked: &[Asked],
    real_traffic: bool,
    report: &mut Report,
) -> Result<Vec<(Asked, Tellings)>, String> {
    let mut disagreeing = Vec::new();
    for (packet, tellings) in asked.iter().zip(tell(world, objects, asked, real_traffic).await?) {
        match tellings {
            Ok(tellings) => {
                for (pair, outcome) in tellings.compare() {
                    report.tally.count(pair, &outcome);
                }
                if let Some(story) = tellings.predicted() {
                    report.tally.count_end(&story.end);
                }
                if tellings.disagree() {
                    disagreeing.push((packet.clone(), tellings));
                }
            }
            Err(reason) => report.tally.count_unasked(reason),
        }
    }
    Ok(disagreeing)
}

/// What all tellers say about each of these packets, in their order, or why nobody can be asked.
///
/// # Errors
/// If the objects are no cluster, or the simulated network fails.
pub async fn tell(
    world: &World,
    objects: &Objects,
    asked: &[Asked],
    real_traffic: bool,
) -> Result<Vec<Result<Tellings, String>>, String> {
    let cluster = Arc::new(objects.cluster(0).map_err(|error| error.to_string())?);
    let network = SimNetwork::new(cluster.clone());
    let simulation = Tracer::builder(cluster.clone())
        .datapaths(network.datapaths())
        .predictor(cluster.clone())
        .start();
    let scene = Scene {
        world,
        cluster: &cluster,
        simulation: &simulation,
        real_traffic,
    };
    let told = stream::iter(asked)
        .map(async |packet| {
            let plan = Arc::new(packet.plan(scene.cluster).map_err(|error| error.to_string())?);
            Ok((scene.ask(plan.clone()).await, plan))
        })
        .buffered(PACKETS);
    let told: Vec<Result<_, String>> = told.collect().await;
    simulation.close().await.map_err(|error| error.to_string())?;
    let mut choices = Choices::new(objects);
    let tellings = told.into_iter().map(|told| {
        let (told, plan) = told?;
        Ok(Tellings::new(told, &plan, &world.nodes, &mut choices))
    });
    Ok(tellings.collect())
}
