//! What answers the same question without sending anything: `ofproto/trace`, over a connection that is kept and by
//! `ovs-appctl`, as one would type it; beside our prediction, and beside a trace of ours on the same switch.

use std::hint::black_box;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use traceflow_core::trace::Predictor;
use traceflow_ovs::ofproto_trace::{Entry, flow};

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
            taken.asked.push(each(amount.questions, || switch.ask().map(drop))?);
            taken.typed.push(each(1, || switch.run().map(drop))?);
            let turn = runtime.block_on(ours.trace(&packets, 1, amount.questions))?;
            taken.traced.push(turn.elapsed / amount.questions as u32);
        }
        taken.report(scenario, report);
    }
    runtime.block_on(ours.close())
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

/// The node where the packets enter, by its control socket: one connection, questions as bytes, and no JSON is read.
struct Switch {
    control: PathBuf,
    bridge: String,
    line: UnixStream,
    flow: String,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Switch {
    fn of(world: &World, packets: &Packets) -> Result<Self, Failure> {
        let node = world.fabric.nodes().next().ok_or("there is no node")?;
        let entry = Entry {
            in_port: packets.port,
            ..Entry::default()
        };
        let flow = flow(&packets.packet, &entry);
        let request = serde_json::json!({"id": 0, "method": "ofproto/trace", "params": [node.bridge, flow]});
        let mut switch = Self {
            line: UnixStream::connect(&node.unixctl).and_then(with_patience)?,
            control: node.unixctl.clone(),
            bridge: node.bridge.clone(),
            flow,
            request: request.to_string().into_bytes(),
            answer: Vec::with_capacity(1 << 16),
        };
        let said = String::from_utf8_lossy(switch.ask()?).into_owned();
        if !said.contains("Datapath actions") {
            return Err(format!("ofproto/trace says {said}").into());
        }
        Ok(switch)
    }

    fn ask(&mut self) -> Result<&[u8], Failure> {
        self.line.write_all(&self.request)?;
        self.answer.clear();
        let mut chunk = [0; 1 << 14];
        // Open vSwitch ends its replies so where nothing was wrong; in the text before, quotes are marked.
        while !self.answer.ends_with(b"\"error\":null}") {
            let read = self.line.read(&mut chunk)?;
            if read == 0 {
                return Err("the switch closed the control connection".into());
            }
            self.answer.extend_from_slice(&chunk[..read]);
        }
        Ok(&self.answer)
    }

    fn run(&self) -> Result<Vec<u8>, Failure> {
        let output = Command::new("ovs-appctl")
            .arg("-t")
            .arg(&self.control)
            .args(["ofproto/trace", &self.bridge, &self.flow])
            .output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        Ok(output.stdout)
    }
}

/// A switch that refuses a question is no reason to wait for ever.
fn with_patience(line: UnixStream) -> std::io::Result<UnixStream> {
    line.set_read_timeout(Some(Duration::from_secs(5)))?;
    Ok(line)
}
