//! The questions of a matrix, ready to be asked.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use traceflow_core::input::{BadInput, Problem};
use traceflow_core::names::ObjectName;
use traceflow_core::packet::{IpFamily, IpHeader, Ipv4Header, Ipv6Header, Nonce, Packet};
use traceflow_core::plan::{End, Plan, Question};
use traceflow_core::spec::DEFAULT_TIMEOUT;
use traceflow_sim::Cluster;
use traceflow_sim::model::{Labels, Pod};

use crate::ends::{PerFamily, PodPort, Receiver, Sender, Target, Unfit};
use crate::matrix::NotAsked;
use crate::order::by_name;
use crate::ports::{Port, Ports};
use crate::selector::{Selected, Selector};

/// The lowest source port that is used: below are the well-known ones.
const FIRST_SOURCE_PORT: u16 = 1024;
/// What a fresh packet of a real stack has.
const TTL: u8 = 64;

/// Who is asked about: the packets from each sender to each target for each port, every name looked up.
///
/// A question has a place: `(sender * targets + target) * ports + port`. Each has a source port of its own, as long as there
/// are enough: a switch that remembers a connection treats its next packet unlike the first.
///
/// ```
/// use traceflow_reach::Grid;
/// use traceflow_sim::Cluster;
///
/// let cluster = Cluster::builder().node("a").pod("client", "a").pod("web-1", "a").pod("web-2", "a").build()?;
/// let grid = Grid::resolve(&cluster, &["client".parse()?], &["*".parse()?], "tcp/80,icmp".parse()?)?;
/// assert_eq!(grid.len(), 6, "three targets, of which one is the client itself, and two ports");
/// assert_eq!(grid.askable().count(), 4);
/// # Ok::<(), traceflow_core::input::BadInput>(())
/// ```
#[derive(Debug, Clone)]
pub struct Grid {
    pub(crate) senders: Vec<Sender>,
    pub(crate) receivers: Vec<Receiver>,
    ports: Ports,
    /// The source port of the first question, counted from the lowest.
    shift: usize,
    timeout: Duration,
}

impl Grid {
    /// The questions from whom `from` selects to whom `to` selects, each in the order in which people count, nobody twice.
    ///
    /// # Errors
    /// In the field `from` or `to`, for the first selector that selects nobody, or from whom nothing can be sent; and if
    /// there are more than [`MOST_QUESTIONS`].
    pub fn resolve(cluster: &Cluster, from: &[Selector], to: &[Selector], ports: Ports) -> Result<Self, BadInput> {
        let senders = senders(cluster, from).map_err(|problem| BadInput::new("from", problem))?;
        let targets = targets(cluster, to).map_err(|problem| BadInput::new("to", problem))?;
        Self::between(cluster, &senders, &targets, ports).map_err(|problem| BadInput::new("to", problem))
    }

    /// The same, from these Pods to these.
    pub(crate) fn between(
        cluster: &Cluster,
        from: &[&Pod],
        to: &[Selected<'_>],
        ports: Ports,
    ) -> Result<Self, Problem> {
        check_size(from.len(), to.len(), ports.as_slice().len())?;
        let mut shelf = Shelf::default();
        let mut receivers: Vec<Receiver> = to
            .iter()
            .map(|selected| Receiver::new(cluster, selected, shelf.labels_of(selected)))
            .collect();
        receivers.sort_by(|one, other| by_target(&one.target, &other.target));
        receivers.dedup_by(|one, other| one.target == other.target);
        let senders = from
            .iter()
            .map(|pod| Sender::new(cluster, pod, shelf.labels_of(&Selected::Pod(pod))))
            .collect();
        Ok(Self {
            senders,
            receivers,
            ports,
            shift: 0,
            timeout: DEFAULT_TIMEOUT,
        })
    }

    /// The same questions, whose source ports, and so the endpoints of Services, are chosen by this seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.shift = fastrand::Rng::with_seed(seed).usize(..usize::from(u16::MAX));
        self
    }

    /// The same questions, for each of whose answers a tracer waits so long.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Who sends.
    pub fn senders(&self) -> impl ExactSizeIterator<Item = &ObjectName> {
        self.senders.iter().map(|sender| &sender.name)
    }

    /// Whom packets are for.
    pub fn targets(&self) -> impl ExactSizeIterator<Item = &Target> {
        self.receivers.iter().map(|receiver| &receiver.target)
    }

    /// What packets are for.
    pub fn ports(&self) -> &[Port] {
        self.ports.as_slice()
    }

    /// How many questions there are, those included that can't be asked.
    pub fn len(&self) -> usize {
        self.senders.len() * self.receivers.len() * self.ports().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The places of the questions that can be asked.
    pub fn askable(&self) -> impl Iterator<Item = usize> {
        (0..self.len()).filter(|&place| self.family(place).is_ok())
    }

    /// What to trace, or to predict, for the question at this place.
    ///
    /// # Errors
    /// If it can't be asked: a Pod to itself, or an end that is unfit.
    ///
    /// # Panics
    /// If there is no such place.
    pub fn plan(&self, place: usize) -> Result<Plan, NotAsked> {
        let family = self.family(place)?;
        let (sender, receiver, port) = self.at(place);
        let (Ok(from), Ok(ends)) = (&sender.port, &receiver.ends) else {
            return Err(NotAsked::Families);
        };
        let (Some(&address), Some(to)) = (from.addresses.get(family), ends.get(family)) else {
            return Err(NotAsked::Families);
        };
        let packet = Packet {
            source_mac: from.mac,
            destination_mac: first_hop(from, to),
            ip: ip_header(address, to.address).ok_or(NotAsked::Families)?,
            transport: port.transport(family, self.source_port(place)),
            // Set anew for every attempt.
            nonce: Nonce(0),
        };
        Ok(Plan {
            source: Some(End {
                owner: Some(traceflow_core::inventory::Owner::Pod(sender.name.clone())),
                address,
                mac: Some(from.mac),
                node: Some(from.node.clone()),
            }),
            destination: Some(to.clone()),
            question: Question::Inject {
                pod: sender.name.clone(),
                node: from.node.clone(),
                packet,
            },
            timeout: self.timeout,
            choices: Vec::new(),
        })
    }

    /// Sender, receiver and port of a place.
    pub(crate) fn at(&self, place: usize) -> (&Sender, &Receiver, Port) {
        let (ports, receivers) = (self.ports(), self.receivers.len());
        let pair = place / ports.len();
        (
            &self.senders[pair / receivers],
            &self.receivers[pair % receivers],
            ports[place % ports.len()],
        )
    }

    /// The family of the packet at this place: what was asked for, else one that both ends have, IPv4 rather than IPv6.
    pub(crate) fn family(&self, place: usize) -> Result<IpFamily, NotAsked> {
        let (sender, receiver, port) = self.at(place);
        if matches!(&receiver.target, Target::Pod(name) if *name == sender.name) {
            return Err(NotAsked::Itself);
        }
        let from = sender.port.as_ref().map_err(|unfit| NotAsked::Sender(*unfit))?;
        let to = receiver.ends.as_ref().map_err(|unfit| NotAsked::Target(*unfit))?;
        let family = match port.family() {
            Some(family) => family,
            None => common(&from.addresses, to).ok_or(NotAsked::Families)?,
        };
        let lacks = Unfit::NoAddressOf(family);
        let address = from.addresses.get(family).ok_or(NotAsked::Sender(lacks))?;
        let end = to.get(family).ok_or(NotAsked::Target(lacks))?;
        if end.address == *address {
            return Err(NotAsked::Itself);
        }
        Ok(family)
    }

    fn source_port(&self, place: usize) -> u16 {
        let range = usize::from(u16::MAX - FIRST_SOURCE_PORT) + 1;
        let beyond = (self.shift + place) % range;
        // It is below the range, which fits.
        u16::try_from(beyond).map_or(FIRST_SOURCE_PORT, |beyond| FIRST_SOURCE_PORT + beyond)
    }
}

/// The most questions that a grid may hold: their answers take 8 bytes each.
pub const MOST_QUESTIONS: usize = 50_000_000;

fn check_size(from: usize, to: usize, ports: usize) -> Result<(), Problem> {
    let count = from.saturating_mul(to).saturating_mul(ports);
    if count <= MOST_QUESTIONS {
        return Ok(());
    }
    Err(Problem::Unusable {
        what: format!("{from} senders, {to} targets and {ports} ports are {count} packets").into(),
        remedy: format!("select fewer, for at most {MOST_QUESTIONS}").into(),
    })
}

/// Whom these select, those who can be sent to.
pub(crate) fn targets<'a>(cluster: &'a Cluster, to: &[Selector]) -> Result<Vec<Selected<'a>>, Problem> {
    let mut targets = Vec::new();
    for selector in to {
        targets.extend(selector.select(cluster)?);
    }
    Ok(targets)
}

/// The Pods that these select, in the order in which people count, nobody twice.
pub(crate) fn senders<'a>(cluster: &'a Cluster, from: &[Selector]) -> Result<Vec<&'a Pod>, Problem> {
    let mut pods = Vec::new();
    for selector in from {
        if let Some(what) = selector.only_receives() {
            return Err(Problem::Unusable {
                what: format!("{selector} is {what}, from which nothing can be sent").into(),
                remedy: "select Pods".into(),
            });
        }
        let selected = selector.select(cluster)?;
        pods.extend(selected.into_iter().filter_map(|selected| match selected {
            Selected::Pod(pod) => Some(pod),
            _ => None,
        }));
    }
    let mut seen = HashSet::new();
    pods.retain(|pod: &&Pod| seen.insert(&pod.name));
    pods.sort_by(|one, other| by_name(&one.name, &other.name));
    Ok(pods)
}

/// Pods first, then Services, then addresses.
fn by_target(one: &Target, other: &Target) -> std::cmp::Ordering {
    let rank = |target: &Target| match target {
        Target::Pod(_) => 0,
        Target::Service(_) => 1,
        Target::Address(_) => 2,
    };
    match (one, other) {
        (Target::Pod(one), Target::Pod(other)) | (Target::Service(one), Target::Service(other)) => by_name(one, other),
        (Target::Address(one), Target::Address(other)) => one.cmp(other),
        _ => rank(one).cmp(&rank(other)),
    }
}

fn common(from: &PerFamily<IpAddr>, to: &PerFamily<End>) -> Option<IpFamily> {
    [IpFamily::V4, IpFamily::V6]
        .into_iter()
        .find(|&family| from.get(family).is_some() && to.get(family).is_some())
}

/// The MAC address that the sender's own stack would write: that of a Pod on the same node, else the gateway's.
fn first_hop(from: &PodPort, to: &End) -> traceflow_core::packet::MacAddress {
    match to.mac {
        Some(mac) if to.node.as_ref() == Some(&from.node) => mac,
        _ => from.gateway_mac,
    }
}

fn ip_header(source: IpAddr, destination: IpAddr) -> Option<IpHeader> {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => Some(IpHeader::V4(Ipv4Header {
            source,
            destination,
            ttl: TTL,
            dscp: 0,
            flags: Ipv4Header::DONT_FRAGMENT,
            identification: 1,
        })),
        (IpAddr::V6(source), IpAddr::V6(destination)) => Some(IpHeader::V6(Ipv6Header {
            source,
            destination,
            hop_limit: TTL,
            dscp: 0,
            flow_label: 0,
        })),
        _ => None,
    }
}

/// The labels of Pods, each Pod's once, whether it sends, receives, or does both.
#[derive(Default)]
struct Shelf(HashMap<ObjectName, Arc<Labels>>);

impl Shelf {
    fn labels_of(&mut self, selected: &Selected<'_>) -> Arc<Labels> {
        let Selected::Pod(pod) = selected else {
            return Arc::default();
        };
        let labels = self.0.entry(pod.name.clone());
        Arc::clone(labels.or_insert_with(|| Arc::new(pod.labels.clone())))
    }
}
