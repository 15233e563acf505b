//! What a trace on real switches takes, beside a bare loop that sends the same packets and waits for the same packet-ins.
//!
//! Both run in turns on the same rootless switches, over the same connections to them from turn to turn. Each has watch
//! flows of its own, alike but for the mark and the controller they tell: so neither gets copies of the other's
//! packet-ins, and both meet the same pipeline.

mod bare;
mod figures;
mod many;
pub(crate) mod ours;
pub(crate) mod world;

use std::fmt;

use tokio::runtime::{Builder, Runtime};

use self::bare::Bare;
pub use self::figures::Figures;
pub use self::many::{Many, many};
use self::ours::Ours;
use self::world::World;

/// Where packets go.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// What it is called.
    pub name: &'static str,
    /// The Pod or Service that the client's packet is for.
    destination: &'static str,
    /// How many nodes report the packet.
    nodes: usize,
}

impl Scenario {
    /// Whether its packets go to another node.
    pub fn crosses_nodes(&self) -> bool {
        self.nodes > 1
    }
}

/// Every scenario, in the order of the table.
pub static SCENARIOS: [Scenario; 4] = [
    scenario("same node", "server", 1),
    scenario("another node", "remote", 2),
    scenario("Service", "service", 1),
    scenario("dropped", "closed", 1),
];

const fn scenario(name: &'static str, destination: &'static str, nodes: usize) -> Scenario {
    Scenario {
        name,
        destination,
        nodes,
    }
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    /// How often everybody has its turn.
    pub turns: usize,
    /// How many traces make a turn.
    pub traces: usize,
    /// How many may be in flight, each a part of the table.
    pub in_flight: &'static [usize],
    /// Whether our tracer has a runtime of several threads, instead of one of the current thread.
    pub multi_thread: bool,
}

impl Amount {
    /// Enough for figures; takes about half a minute.
    pub const USUAL: Self = Self {
        turns: 40,
        traces: 250,
        in_flight: &[1, 32],
        multi_thread: false,
    };

    /// Enough to see that it works.
    pub const LITTLE: Self = Self {
        turns: 2,
        traces: 40,
        ..Self::USUAL
    };
}

/// Who traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contestant {
    /// Our tracer.
    Ours,
    /// The bare loop.
    Bare,
    /// The bare loop, which also has the switch forget the connection that the packet began.
    BareForgetting,
}

/// Who traces, in the order of the table.
pub const CONTESTANTS: [Contestant; 3] = [Contestant::Ours, Contestant::Bare, Contestant::BareForgetting];

impl fmt::Display for Contestant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ours => "ours",
            Self::Bare => "bare loop",
            Self::BareForgetting => "bare loop, forgetting",
        })
    }
}

/// One part of the table: what each contestant took.
#[derive(Debug)]
pub struct Round {
    /// Where the packets went.
    pub scenario: Scenario,
    /// How many traces were in flight.
    pub in_flight: usize,
    /// In the order of [`CONTESTANTS`].
    pub figures: [Figures; 3],
}

/// Why there are no figures.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Measures everything on switches that it starts; `done` gets each part of the table as it is ready.
///
/// # Errors
/// If the switches don't start, or a trace doesn't end as it should.
pub fn measure(amount: Amount, mut done: impl FnMut(Round)) -> Result<(), Failure> {
    let runtime = runtime(amount)?;
    let world = World::start()?;
    let mut bare = runtime.block_on(Bare::open(&world))?;
    let ours = runtime.block_on(async { Ours::open(&world) })?;
    for &in_flight in amount.in_flight {
        for scenario in SCENARIOS {
            let packets = world.packets(scenario)?;
            let mut figures = [(); 3].map(|()| Figures::default());
            for _ in 0..amount.turns {
                for (contestant, figures) in CONTESTANTS.into_iter().zip(&mut figures) {
                    let turn = match contestant {
                        Contestant::Ours => runtime.block_on(ours.trace(&packets, in_flight, amount.traces))?,
                        Contestant::Bare => bare.trace(&packets, in_flight, amount.traces, false)?,
                        Contestant::BareForgetting => bare.trace(&packets, in_flight, amount.traces, true)?,
                    };
                    figures.add(turn);
                }
            }
            done(Round {
                scenario,
                in_flight,
                figures,
            });
        }
    }
    runtime.block_on(ours.close())
}

fn runtime(amount: Amount) -> std::io::Result<Runtime> {
    let mut builder = if amount.multi_thread {
        Builder::new_multi_thread()
    } else {
        Builder::new_current_thread()
    };
    builder.enable_all().build()
}
