//! What answers the same question without sending anything: `ofproto/trace`, over a connection that is kept and by
//! `ovs-appctl`, as one would type it, and `ovn-trace` where it is installed; beside our prediction, and beside a trace of
//! ours on the same switch.

use std::hint::black_box;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use traceflow_core::trace::Predictor;
use traceflow_ovs::ofproto_trace::{Entry, flow};

use crate::control::Line;
use crate::ovn::Ovn;
use crate::report::{Report, Target};
use crate::traces::Failure;
use crate::traces::ours::Ours;
use crate::traces::world::{Packets, World};
use crate::traces::{SCENARIOS, Scenario};

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    /// How many turns everybody has.
    pub turns: usize,
    /// How many questions `ofproto/trace` is asked in a turn; prediction is asked a hundred times as many.
    pub questions: usize,
}

impl Amount {
    /// Enough for figures; takes some ten seconds.
    pub const USUAL: Self = Self {
        turns: 20,
        questions: 40,
    };

    /// Enough to see that it works.
    pub const LITTLE: Self = Self { turns: 1, questions: 2 };
}

/// So many times as many traces as `ofproto/trace` answers, we predict.
const PREDICTED: f64 = 20.0;

/// Measures everything on switches that it starts.
///
/// # Errors
/// If the switches don't start or don't answer.
pub fn measure(amount: Amount, report: &mut Report) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let world = World::start()?;
    let ours = runtime.block_on(async { Ours::open(&world) })?;
    for scenario in SCENARIOS {
        let packets = world.packets(scenario)?;
        let mut switch = Switch::of(&world, &packets)?;
        // What is put in place once, and the first look at everything, is no trace's.
        runtime.block_on(ours.trace(&packets, 1, 1))?;
        let mut taken = Taken::default();
        for _ in 0..amount.turns {
            taken.predicted.push(each(100 * amount.questions, || {
                let _ = black_box(world.cluster.predict(black_box(&packets.plan)));
                Ok(())
            })?);
            taken.asked.push(each(amount.questions, || switch.ask())?);
            taken.typed.push(each(1, || switch.run())?);
            let turn = runtime.block_on(ours.trace(&packets, 1, amount.questions))?;
            taken.traced.push(turn.elapsed / amount.questions as u32);
        }
        taken.report(scenario, report);
    }
    measure_ovn(amount, &world, report)?;
    runtime.block_on(ours.close())
}

/// The first scenario beside `ovn-trace`, where that is installed.
fn measure_ovn(amount: Amount, world: &World, report: &mut Report) -> Result<(), Failure> {
    if !Ovn::is_installed() {
        println!("ovn-trace is not installed (Debian's ovn-common and ovn-central)");
        return Ok(());
    }
    let packets = world.packets(SCENARIOS[0])?;
    let ovn = Ovn::start()?;
    let mut line = ovn.line()?;
    let [mut predicted, mut asked, mut typed] = [const { Vec::new() }; 3];
    for _ in 0..amount.turns {
        predicted.push(each(100 * amount.questions, || {
            let _ = black_box(world.cluster.predict(black_box(&packets.plan)));
            Ok(())
        })?);
        asked.push(each(amount.questions, || line.ask().map(drop))?);
        typed.push(each(1, || ovn.typed())?);
    }
    let [predicted, asked, typed] = [&mut predicted, &mut asked, &mut typed].map(|times| 1.0 / median(times));
    let ours = "traceflow: predict (same node)";
    for (peer, beside) in [
        ("ovn-trace, a daemon, kept connection", asked),
        ("ovn-trace, typed", typed),
    ] {
        report.add_ratio(ours, predicted, peer, beside, "a second", Target::AtLeast(1.0));
    }
    Ok(())
}

/// What each took for one answer, turn by turn.
#[derive(Default)]
struct Taken {
    predicted: Vec<Duration>,
    asked: Vec<Duration>,
    typed: Vec<Duration>,
    traced: Vec<Duration>,
}

impl Taken {
    fn report(mut self, scenario: Scenario, report: &mut Report) {
        let [predicted, asked, typed, traced] =
            [&mut self.predicted, &mut self.asked, &mut self.typed, &mut self.traced].map(|times| 1.0 / median(times));
        let name = scenario.name;
        report.add_ratio(
            &format!("traceflow: predict ({name})"),
            predicted,
            "ofproto/trace over a kept connection",
            asked,
            "a second",
            Target::AtLeast(PREDICTED),
        );
        report.add_ratio(
            &format!("traceflow: trace on the switch ({name})"),
            traced,
            "ovs-appctl ofproto/trace",
            typed,
            "a second",
            Target::AtLeast(1.0),
        );
        report.add_ratio(
            &format!("traceflow: trace on the switch ({name})"),
            traced,
            "ofproto/trace over a kept connection",
            asked,
            "a second",
            Target::None,
        );
    }
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}

fn each(times: usize, mut once: impl FnMut() -> Result<(), Failure>) -> Result<Duration, Failure> {
    let begun = Instant::now();
    for _ in 0..times {
        once()?;
    }
    Ok(begun.elapsed().div_f64(times as f64))
}

/// The node where the packets enter, by its control socket.
struct Switch {
    control: PathBuf,
    bridge: String,
    flow: String,
    line: Line,
}

impl Switch {
    fn of(world: &World, packets: &Packets) -> Result<Self, Failure> {
        let node = world.fabric.nodes().next().ok_or("there is no node")?;
        let entry = Entry {
            in_port: packets.port,
            ..Entry::default()
        };
        let flow = flow(&packets.packet, &entry);
        let mut line = Line::open(&node.unixctl, "ofproto/trace", &[&node.bridge, &flow])?;
        let said = String::from_utf8_lossy(line.ask()?).into_owned();
        if !said.contains("Datapath actions") {
            return Err(format!("ofproto/trace says {said}").into());
        }
        Ok(Self {
            control: node.unixctl.clone(),
            bridge: node.bridge.clone(),
            flow,
            line,
        })
    }

    fn ask(&mut self) -> Result<(), Failure> {
        self.line.ask().map(drop)
    }

    fn run(&self) -> Result<(), Failure> {
        let output = Command::new("ovs-appctl")
            .arg("-t")
            .arg(&self.control)
            .args(["ofproto/trace", &self.bridge, &self.flow])
            .output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        Ok(())
    }
}
