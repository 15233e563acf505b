//! The answers of a grid: small, so that there may be very many.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use traceflow_core::inventory::Direction;
use traceflow_core::names::ObjectName;
use traceflow_core::observation::{ComponentInfo, DropReason, PolicyRef};
use traceflow_core::trace::{Hop, Mode, Verdict};

use crate::ends::{Target, Unfit};
use crate::grid::Grid;
use crate::ports::Port;

/// What became of the packets of a grid.
///
/// Of each it keeps how it ended and why, and not the way there: eight bytes, and every reason once.
///
/// ```
/// use traceflow_reach::{Grid, Outcome};
/// use traceflow_sim::Cluster;
///
/// let closed = "apiVersion: networking.k8s.io/v1
/// kind: NetworkPolicy
/// metadata: {name: closed}
/// spec: {podSelector: {matchLabels: {app: db}}}";
/// let cluster = Cluster::builder().node("a").pod("web", "a").pod("db", "a").label("app", "db").yaml(closed).build()?;
/// let everybody = ["*".parse()?];
/// let matrix = Grid::resolve(&cluster, &everybody, &everybody, "tcp/5432".parse()?)?.predict(&cluster, |_| ());
/// let cell = matrix.cells().find(|cell| cell.sender.name.as_ref() == "web" && cell.outcome.is_denial()).expect("it is closed");
/// assert_eq!(cell.outcome, Outcome::Dropped);
/// let why = cell.reason.expect("the simulator always knows").to_string();
/// assert_eq!(why, "no rule allows it, and the Pod is isolated by K8sNetworkPolicy:default/closed");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Matrix {
    grid: Arc<Grid>,
    mode: Mode,
    cells: Vec<Answer>,
    reasons: Vec<Reason>,
    /// By the place of the question.
    unlike: BTreeMap<usize, Arc<str>>,
    /// Each with the number of answers that it came with.
    notes: BTreeMap<Arc<str>, usize>,
}

/// How the packet of one question ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It reached its target.
    Delivered,
    /// It left the network that is observed, towards the outside.
    Left,
    /// It was discarded without a word.
    Dropped,
    /// It was discarded, and the sender was told.
    Rejected,
    /// Nobody can say.
    Unanswered,
    /// The question can't be asked.
    NotAsked,
}

impl Outcome {
    /// Every outcome, in the order in which pages list them.
    pub const ALL: [Self; 6] = [
        Self::Delivered,
        Self::Left,
        Self::Dropped,
        Self::Rejected,
        Self::Unanswered,
        Self::NotAsked,
    ];

    /// The word for it, the same in all formats.
    pub fn word(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Left => "left",
            Self::Dropped => "dropped",
            Self::Rejected => "rejected",
            Self::Unanswered => "unanswered",
            Self::NotAsked => "not-asked",
        }
    }

    /// Whether it got where it should, as far as the network that is observed goes.
    pub fn arrives(self) -> bool {
        matches!(self, Self::Delivered | Self::Left)
    }

    /// Whether it was discarded.
    pub fn is_denial(self) -> bool {
        matches!(self, Self::Dropped | Self::Rejected)
    }
}

/// Why a packet ended as it did.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// It was discarded for this reason.
    Denied {
        /// Whose policies it was, where it was policies: the sender's egress or the target's ingress.
        direction: Option<Direction>,
        /// Why; `None` if the datapath gave none.
        reason: Option<DropReason>,
    },
    /// There is no answer; why, as a phrase.
    Unanswered(Arc<str>),
    /// It was not asked.
    NotAsked(NotAsked),
}

impl Reason {
    /// The policies behind a denial: the one whose rule denies, or all that isolate the Pod.
    pub fn policies(&self) -> &[PolicyRef] {
        match self {
            Self::Denied {
                reason: Some(DropReason::PolicyRule { policy, .. }),
                ..
            } => std::slice::from_ref(policy),
            Self::Denied {
                reason: Some(DropReason::DefaultIsolation { policies }),
                ..
            } => policies,
            _ => &[],
        }
    }

    /// The rule that denies, where rules have names.
    pub fn rule(&self) -> Option<&Arc<str>> {
        match self {
            Self::Denied {
                reason: Some(DropReason::PolicyRule { rule, .. }),
                ..
            } => rule.as_ref(),
            _ => None,
        }
    }

    /// Whose policies deny.
    pub fn direction(&self) -> Option<Direction> {
        match self {
            Self::Denied { direction, .. } => *direction,
            _ => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied {
                reason: Some(reason), ..
            } => reason.fmt(f),
            Self::Denied { reason: None, .. } => f.write_str("the datapath gave no reason"),
            Self::Unanswered(why) => f.write_str(why),
            Self::NotAsked(why) => why.fmt(f),
        }
    }
}

/// Why a question can't be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotAsked {
    /// What a Pod sends to itself never reaches the network.
    Itself,
    /// The sender can't send.
    Sender(Unfit),
    /// The target can't be sent to.
    Target(Unfit),
    /// The two have no address family in common.
    Families,
}

impl fmt::Display for NotAsked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Itself => f.write_str("a Pod's packets to itself never reach the network"),
            Self::Sender(unfit) => write!(f, "the sender {unfit}"),
            Self::Target(unfit) => write!(f, "the target {unfit}"),
            Self::Families => f.write_str("the two have no address family in common"),
        }
    }
}

/// One question with its answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell<'a> {
    /// Who sends.
    pub sender: &'a ObjectName,
    /// Whom the packet is for.
    pub target: &'a Target,
    /// What it is for.
    pub port: Port,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it did not arrive; `None` if it did.
    pub reason: Option<&'a Reason>,
    /// Where the network did something else than the model of it says, as a sentence; `None` if it did not, or nobody
    /// compared.
    pub unlike_the_model: Option<&'a str>,
}

/// How many packets ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally([usize; Outcome::ALL.len()]);

impl Tally {
    /// How many ended so.
    pub fn of(&self, outcome: Outcome) -> usize {
        self.0[outcome as usize]
    }

    /// How many were asked.
    pub fn asked(&self) -> usize {
        self.0.iter().sum::<usize>() - self.of(Outcome::NotAsked)
    }
}

/// What is kept of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Answer {
    outcome: Outcome,
    /// The place in the list of reasons, plus one; 0 if there is none.
    reason: u32,
}

impl Matrix {
    /// What was asked.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// How the answers were found: predicted or by injected packets.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The question at this place, with its answer.
    ///
    /// # Panics
    /// If there is no such place.
    pub fn cell(&self, place: usize) -> Cell<'_> {
        let (sender, receiver, port) = self.grid.at(place);
        let answer = self.cells[place];
        Cell {
            sender: &sender.name,
            target: &receiver.target,
            port,
            outcome: answer.outcome,
            reason: self.reason_at(place),
            unlike_the_model: self.unlike.get(&place).map(|finding| &**finding),
        }
    }

    /// All of them: the targets of the first sender, for each all ports, then the next sender's.
    pub fn cells(&self) -> impl ExactSizeIterator<Item = Cell<'_>> {
        (0..self.cells.len()).map(|place| self.cell(place))
    }

    /// How many packets ended how.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for cell in &self.cells {
            tally.0[cell.outcome as usize] += 1;
        }
        tally
    }

    /// What else the reader must know (what the model leaves out, nodes that could not be cleaned up), each with the number
    /// of answers that it is about.
    pub fn notes(&self) -> impl ExactSizeIterator<Item = (&str, usize)> {
        self.notes.iter().map(|(note, count)| (&**note, *count))
    }

    /// How many packets the network treated unlike the model of it.
    pub fn findings(&self) -> usize {
        self.unlike.len()
    }

    pub(crate) fn outcome_at(&self, place: usize) -> Outcome {
        self.cells[place].outcome
    }

    pub(crate) fn reason_at(&self, place: usize) -> Option<&Reason> {
        let reason = self.cells[place].reason.checked_sub(1)?;
        self.reasons.get(reason as usize)
    }

    pub(crate) fn is_itself(&self, place: usize) -> bool {
        matches!(self.reason_at(place), Some(Reason::NotAsked(NotAsked::Itself)))
    }

    /// The places of the questions where the network did something else than the model says, with the finding.
    pub(crate) fn unlike(&self) -> impl Iterator<Item = (usize, &str)> {
        self.unlike.iter().map(|(place, finding)| (*place, &**finding))
    }

    /// The places of the answers with each reason, reasons in the order in which they were first met.
    pub(crate) fn by_reason(&self) -> Vec<(&Reason, Vec<usize>)> {
        let mut groups: Vec<(&Reason, Vec<usize>)> = self.reasons.iter().map(|reason| (reason, Vec::new())).collect();
        for (place, cell) in self.cells.iter().enumerate() {
            if let Some(index) = cell.reason.checked_sub(1) {
                groups[index as usize].1.push(place);
            }
        }
        groups.retain(|(_, places)| !places.is_empty());
        groups.sort_by_key(|(_, places)| places[0]);
        groups
    }
}

/// A matrix that is being filled in.
pub(crate) struct Recorder {
    matrix: Matrix,
    known: HashMap<Reason, u32>,
}

impl Recorder {
    /// Nothing is answered yet; what can't be asked is filled in.
    pub(crate) fn new(grid: Arc<Grid>, mode: Mode) -> Self {
        let unanswered = Answer {
            outcome: Outcome::Unanswered,
            reason: 0,
        };
        Self {
            matrix: Matrix {
                mode,
                cells: vec![unanswered; grid.len()],
                reasons: Vec::new(),
                unlike: BTreeMap::new(),
                notes: BTreeMap::new(),
                grid,
            },
            known: HashMap::new(),
        }
    }

    pub(crate) fn put_not_asked(&mut self, place: usize, why: NotAsked) {
        self.put(place, Outcome::NotAsked, Some(Reason::NotAsked(why)));
    }

    pub(crate) fn put_unanswered(&mut self, place: usize, why: impl Into<Arc<str>>) {
        self.put(place, Outcome::Unanswered, Some(Reason::Unanswered(why.into())));
    }

    /// How a path with this end ended.
    pub(crate) fn put_verdict(&mut self, place: usize, verdict: Verdict, hops: &[Hop]) {
        let denied = |reason| {
            Some(Reason::Denied {
                direction: denying_direction(hops),
                reason,
            })
        };
        match verdict {
            Verdict::Delivered { .. } => self.put(place, Outcome::Delivered, None),
            Verdict::LeftNetwork { .. } => self.put(place, Outcome::Left, None),
            Verdict::Dropped { reason, .. } => self.put(place, Outcome::Dropped, denied(reason)),
            Verdict::Rejected { reason, .. } => self.put(place, Outcome::Rejected, denied(reason)),
            other => self.put_unanswered(place, other.to_string()),
        }
    }

    /// The network did something else than the model says.
    pub(crate) fn put_finding(&mut self, place: usize, finding: String) {
        self.matrix.unlike.insert(place, finding.into());
    }

    /// Says it once, however often it is met.
    pub(crate) fn note(&mut self, note: Arc<str>) {
        *self.matrix.notes.entry(note).or_default() += 1;
    }

    pub(crate) fn finish(self) -> Matrix {
        self.matrix
    }

    fn put(&mut self, place: usize, outcome: Outcome, reason: Option<Reason>) {
        let reason = reason.map_or(0, |reason| self.number(reason));
        self.matrix.cells[place] = Answer { outcome, reason };
    }

    /// The place of the reason in the list, plus one.
    fn number(&mut self, reason: Reason) -> u32 {
        if let Some(&number) = self.known.get(&reason) {
            return number;
        }
        self.matrix.reasons.push(reason.clone());
        let number = u32::try_from(self.matrix.reasons.len()).unwrap_or(u32::MAX);
        self.known.insert(reason, number);
        number
    }
}

/// Whose policies ended the path.
fn denying_direction(hops: &[Hop]) -> Option<Direction> {
    let observations = hops.iter().rev().flat_map(|hop| hop.observations.iter().rev());
    let end = observations.into_iter().find(|seen| seen.action.ends_path())?;
    match end.component_info {
        Some(ComponentInfo::EgressRule | ComponentInfo::EgressDefaultRule | ComponentInfo::EgressMetric) => {
            Some(Direction::Egress)
        }
        Some(ComponentInfo::IngressRule | ComponentInfo::IngressDefaultRule | ComponentInfo::IngressMetric) => {
            Some(Direction::Ingress)
        }
        _ => None,
    }
}
