//! What all tellers say about one packet, and who agrees with whom.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use testbed::realisation::NodeRealisation;
use traceflow_core::Error;
use traceflow_core::observation::{Action, ComponentInfo};
use traceflow_core::packet::{Protocol, TcpFlags, Transport};
use traceflow_core::plan::{Plan, Question};
use traceflow_core::trace::{Hop, Predictor, Trace, Verdict};
use traceflow_core::tracer::Tracer;
use traceflow_sim::Cluster;

use crate::generate::Objects;
use crate::places::Places;
use crate::story::{BY_GATEWAY, Story};
use crate::tables::{self, Untold, Walk};
use crate::tally::{Outcome, Teller};
use crate::traffic::{self, Fate};
use crate::world::World;

/// What one teller says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The packet's path.
    Path {
        /// In words that all have.
        story: Story,
        /// The tables in which something was done with it.
        places: Places,
        /// Everything that was observed, in words that traces and predictions have.
        lines: Option<Vec<String>>,
    },
    /// Only what became of it.
    Fate(Fate),
    /// Nothing, for this reason.
    Skipped(&'static str),
    /// Nothing, for it failed.
    Failed(String),
}

/// What all tellers say about one packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tellings {
    told: BTreeMap<Teller, Told>,
    /// The predictions, under different choices of a Service's endpoint.
    right: Vec<Told>,
    /// Whether the packet is a TCP segment with ACK and without SYN.
    bare_ack: bool,
}

/// The clusters that the prediction may be asked of: the same but for what Services choose by.
pub(super) struct Choices<'a> {
    objects: &'a Objects,
    others: Vec<Cluster>,
}

/// Enough that each of six endpoints is chosen under one of them, but for one run in 700.
const SEEDS: u64 = 48;

impl<'a> Choices<'a> {
    pub(super) fn new(objects: &'a Objects) -> Self {
        Self {
            objects,
            others: Vec::new(),
        }
    }

    fn others(&mut self) -> &[Cluster] {
        if self.others.is_empty() {
            let clusters = (1..SEEDS).filter_map(|seed| self.objects.cluster(seed).ok());
            self.others = clusters.collect();
        }
        &self.others
    }
}

/// Where the tellers are.
pub(super) struct Scene<'a> {
    pub(super) world: &'a World,
    pub(super) cluster: &'a Cluster,
    /// A tracer over the simulated network.
    pub(super) simulation: &'a Tracer,
    pub(super) real_traffic: bool,
}

impl Scene<'_> {
    /// Asks all of them.
    pub(super) async fn ask(&self, plan: Arc<Plan>) -> BTreeMap<Teller, Told> {
        let nodes = &self.world.nodes;
        let (simulated, injected, tables) = tokio::join!(
            traced(self.simulation, plan.clone(), nodes),
            traced(&self.world.tracer, plan.clone(), nodes),
            tables::walk(&self.world.tables, nodes, &plan),
        );
        // Last: connection tracking remembers what really happened.
        let fate = self.traffic(&plan);
        let tables = match tables {
            Ok(Walk { story, places }) => Told::Path {
                story,
                places,
                lines: None,
            },
            Err(Untold::Silent(error)) => Told::Failed(error.to_string()),
            Err(Untold::Unclear(what)) => Told::Failed(what),
        };
        BTreeMap::from([
            (Teller::Prediction, predicted(self.cluster, &plan, nodes)),
            (Teller::Simulation, simulated),
            (Teller::Injection, injected),
            (Teller::Tables, tables),
            (Teller::Traffic, fate),
        ])
    }

    fn traffic(&self, plan: &Plan) -> Told {
        if !self.real_traffic {
            return Told::Skipped("there are no real Pods without --real-traffic");
        }
        let Question::Inject { pod, packet, .. } = &plan.question else {
            return Told::Failed("nothing is injected".to_owned());
        };
        if let Some(reason) = traffic::unsendable(packet) {
            return Told::Skipped(reason);
        }
        let sent = tokio::task::block_in_place(|| self.world.fabric.inside(pod, || traffic::send(packet)));
        match sent {
            Ok(Ok(fate)) => Told::Fate(fate),
            Ok(Err(error)) => Told::Failed(error.to_string()),
            Err(error) => Told::Failed(error.to_string()),
        }
    }
}

async fn traced(tracer: &Tracer, plan: Arc<Plan>, nodes: &[NodeRealisation]) -> Told {
    match tracer.trace(plan).await {
        Ok(trace) if trace.finding.is_some() && is_stranded_ack(&trace) => Told::Skipped(OF_A_BARE_ACK),
        // A network that does as the model says has no finding.
        Ok(Trace {
            finding: Some(finding), ..
        }) => Told::Failed(format!("UNLIKE THE MODEL: {finding}")),
        Ok(Trace {
            hops, verdict, plan, ..
        }) => path(&hops, &verdict, &plan, nodes),
        Err(Error::Unsupported { .. }) => Told::Skipped("the datapath refuses such a packet"),
        Err(error) => Told::Failed(error.to_string()),
    }
}

/// Whether a bare ACK was led back to its sender and then not put out: the switch takes it for one of a connection that isn't led
/// back.
fn is_stranded_ack(trace: &Trace) -> bool {
    let Question::Inject { packet, .. } = &trace.plan.question else {
        return false;
    };
    let mut seen = trace.hops.iter().flat_map(|hop| &hop.observations);
    let led_back = seen.any(|seen| seen.translated_dst_ip == Some(packet.ip.source()));
    let stranded =
        seen.any(|seen| seen.action == Action::Dropped && seen.component_info == Some(ComponentInfo::Output));
    is_bare_ack(&trace.plan) && led_back && stranded
}

fn predicted(cluster: &Cluster, plan: &Plan, nodes: &[NodeRealisation]) -> Told {
    match cluster.predict(plan) {
        Ok(prediction) => path(&prediction.hops, &prediction.verdict, plan, nodes),
        Err(error) => Told::Failed(error.to_string()),
    }
}

fn path(hops: &[Hop], verdict: &Verdict, plan: &Plan, nodes: &[NodeRealisation]) -> Told {
    let observed = hops.iter().flat_map(|hop| {
        hop.observations
            .iter()
            .map(move |seen| format!("{} {seen:?}", hop.node))
    });
    let lines = observed.chain([verdict.to_string()]);
    Told::Path {
        story: Story::of(hops, verdict, plan, nodes),
        places: Places::of(hops),
        lines: Some(lines.collect()),
    }
}

impl Told {
    fn story(&self) -> Option<&Story> {
        match self {
            Self::Path { story, .. } => Some(story),
            _ => None,
        }
    }

    /// Whether two tell the same, as far as both can tell.
    fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Path { story, places, lines },
                Self::Path {
                    story: other,
                    places: others,
                    lines: more,
                },
            ) => story == other && places.agree(others) && (lines.is_none() || more.is_none() || lines == more),
            (Self::Path { story, .. }, Self::Fate(fate)) | (Self::Fate(fate), Self::Path { story, .. }) => {
                match (story.end.strip_prefix("to Pod "), fate) {
                    (Some(pod), Fate::Answered(Some(who))) => pod == who,
                    (Some(_), Fate::Answered(None)) | (None, Fate::Silent) => true,
                    _ => false,
                }
            }
            _ => false,
        }
    }
}

impl Tellings {
    /// With all that is right to say, where a Service may choose.
    pub(super) fn new(
        mut told: BTreeMap<Teller, Told>,
        plan: &Plan,
        nodes: &[NodeRealisation],
        choices: &mut Choices<'_>,
    ) -> Self {
        let first = told[&Teller::Prediction].clone();
        let chooses = |told: &Told| {
            told.story()
                .is_some_and(|story| story.steps.iter().any(|step| step.endpoint.is_some()))
        };
        let mut right = vec![first];
        if chooses(&right[0]) {
            for cluster in choices.others() {
                let other = predicted(cluster, plan, nodes);
                if !right.contains(&other) {
                    right.push(other);
                }
            }
        }
        let is_unheard = |told: &Told| told.story().is_some_and(|story| is_unheard(story, plan, nodes));
        if told[&Teller::Traffic] == Told::Fate(Fate::Silent) && right.iter().any(is_unheard) {
            told.insert(
                Teller::Traffic,
                Told::Skipped("where no program listens to UDP nobody may answer"),
            );
        }
        let leaves = |told: &Told| told.story().is_some_and(|story| story.end == BY_GATEWAY);
        if !matches!(told[&Teller::Traffic], Told::Skipped(_)) && right.iter().any(leaves) {
            told.insert(Teller::Traffic, Told::Skipped("nobody answers behind the gateway"));
        }
        let bare_ack = is_bare_ack(plan);
        Self { told, right, bare_ack }
    }

    /// How each two compare.
    pub fn compare(&self) -> Vec<((Teller, Teller), Outcome)> {
        let mut outcomes = Vec::new();
        for (index, one) in Teller::ALL.into_iter().enumerate() {
            for other in &Teller::ALL[index + 1..] {
                outcomes.push(((one, *other), self.outcome(one, *other)));
            }
        }
        outcomes
    }

    /// Whether any two disagree.
    pub fn disagree(&self) -> bool {
        self.compare().iter().any(|(_, outcome)| *outcome == Outcome::Disagree)
    }

    fn outcome(&self, one: Teller, other: Teller) -> Outcome {
        let (first, second) = (&self.told[&one], &self.told[&other]);
        match (first, second) {
            (Told::Skipped(reason), _) | (_, Told::Skipped(reason)) => Outcome::Skipped(reason),
            _ if first.agrees(second) => Outcome::Agree,
            // What a real network chooses the model can't know, nor one packet what another chose.
            _ if self.right.len() > 1 && self.is_right(first) && self.is_right(second) => Outcome::Agree,
            _ if [one, other].contains(&Teller::Injection) && self.is_of_a_bare_ack() => {
                Outcome::Skipped(OF_A_BARE_ACK)
            }
            _ => Outcome::Disagree,
        }
    }

    /// Whether the packet is to a Service and without a SYN, and all that was told is right but for what is only done with the
    /// first packet of a connection: a Pod that is its own endpoint isn't hidden, and no rule is asked that lets it in.
    fn is_of_a_bare_ack(&self) -> bool {
        let as_established = |told: &Told| {
            let Told::Path { story, lines, .. } = told else {
                return None;
            };
            let mut story = story.clone();
            story.steps.iter_mut().for_each(|step| step.ingress = None);
            let asked = lines
                .as_ref()?
                .iter()
                .filter(|line| !line.contains("Some(IngressRule)"));
            Some((story, asked.map(|line| unmasked(line)).collect()))
        };
        let injected: Option<(Story, Vec<String>)> = as_established(&self.told[&Teller::Injection]);
        let to_service = injected
            .as_ref()
            .is_some_and(|(story, _)| story.steps.iter().any(|step| step.endpoint.is_some()));
        self.bare_ack && to_service && self.right.iter().any(|right| as_established(right) == injected)
    }

    fn is_right(&self, told: &Told) -> bool {
        self.right.iter().any(|right| right.agrees(told))
    }

    /// The prediction's story, if there is one.
    pub fn predicted(&self) -> Option<&Story> {
        self.told[&Teller::Prediction].story()
    }

    /// Who says what, a line each.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (teller, told) in &self.told {
            let _ = match told {
                Told::Path { story, places, .. } => writeln!(text, "{teller}: {story} ({places})"),
                Told::Fate(fate) => writeln!(text, "{teller}: {fate:?}"),
                Told::Skipped(reason) => writeln!(text, "{teller}: skipped, {reason}"),
                Told::Failed(what) => writeln!(text, "{teller}: failed, {what}"),
            };
        }
        let lines = |teller| match &self.told[&teller] {
            Told::Path { lines: Some(lines), .. } => lines.clone(),
            _ => Vec::new(),
        };
        let (right, observed) = (lines(Teller::Prediction), lines(Teller::Injection));
        if right != observed {
            let _ = writeln!(text, "predicted {right:#?}\ninjected {observed:#?}");
        }
        text
    }
}

/// Connection tracking of the kernel calls the connection new until an answer came, that of the userspace datapath doesn't once it
/// was committed: what comes behind that, for new connections, isn't asked.
const OF_A_BARE_ACK: &str =
    "the userspace datapath takes a bare ACK for an established connection once an endpoint was chosen for it";

fn is_bare_ack(plan: &Plan) -> bool {
    let Question::Inject { packet, .. } = &plan.question else {
        return false;
    };
    match packet.transport {
        Transport::Tcp { flags, .. } => flags.contains(TcpFlags::ACK) && !flags.contains(TcpFlags::SYN),
        _ => false,
    }
}

/// The line without the address by which a Pod that is its own endpoint sees itself.
fn unmasked(line: &str) -> String {
    let field = "translated_src_ip: ";
    match line.split_once(field).filter(|_| line.contains("component: Lb")) {
        Some((before, after)) => {
            let rest = after
                .strip_prefix("None")
                .or_else(|| after.split_once(')').map(|(_, rest)| rest));
            format!("{before}{field}None{}", rest.unwrap_or_default())
        }
        None => line.to_owned(),
    }
}

/// Whether the packet is a datagram to a Pod that has no program for it.
fn is_unheard(story: &Story, plan: &Plan, nodes: &[NodeRealisation]) -> bool {
    let Question::Inject { packet, .. } = &plan.question else {
        return false;
    };
    let (Transport::Udp { destination, .. }, Some(name)) = (&packet.transport, story.end.strip_prefix("to Pod "))
    else {
        return false;
    };
    // Services translate to port 53 of Pods that have it.
    let port = match story.steps.iter().any(|step| step.endpoint.is_some()) {
        true => 53,
        false => *destination,
    };
    let pod = nodes
        .iter()
        .flat_map(|node| &node.pods)
        .find(|pod| pod.pod.to_string() == name);
    pod.is_none_or(|pod| !pod.listens.contains(&(Protocol::UDP, port)))
}
