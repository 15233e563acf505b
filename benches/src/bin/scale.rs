//! Prints what a large cluster costs: `cargo run --release -p benches --bin scale [-- --quick] [--json FILE]`.
//!
//! Exit status 1 if a target is missed, 2 if something could not be measured. Each cluster is loaded by a process of its
//! own, so that peaks of memory are its alone; `scale --load` is what they run.

use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use benches::report::{Report, Target};
use benches::scale::{Format, Manifests, Memory, Questions, Size, Times};
use serde_json::{Value, json};
use traceflow_sim::{Cluster, Object};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--load", folder, pods, policies] => load(Path::new(folder), pods, policies).map(|figures| {
            println!("{figures}");
            ExitCode::SUCCESS
        }),
        _ => compare(arguments.iter().any(|word| word == "--quick")),
    };
    match result {
        Ok(exit) => exit,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

const SEED: u64 = 1;
const QUESTIONS: usize = 20_000;

const LOAD_AT_MOST: f64 = 15.0;
const MEMORY_AT_MOST: f64 = 3e9;
const MANIFEST_AT_MOST: f64 = 600.0;
const PREDICTION_AT_MOST: f64 = 10.0;
const CHANGE_AT_MOST: f64 = 1000.0;
/// How many times longer a prediction may take among a hundred times as many Pods, asked for again: how much work it is
/// doesn't hang on the cluster's size, only how much of the cluster the processor's caches hold.
const GROWTH_AT_MOST: f64 = 1.5;

fn compare(quick: bool) -> Result<ExitCode, Box<dyn Error>> {
    let large = if quick { Size::of_pods(10_000) } else { Size::LARGE };
    let mut report = Report::new("a large cluster");
    println!("nodes   pods    services policies format  bytes/Pod load, s  resident, MB peak, MB");
    let mut last = Value::Null;
    for format in Format::ALL {
        let figures = measure(large, format)?;
        let figure = |name: &str| figures[name].as_f64().unwrap_or(f64::INFINITY);
        println!(
            "{:<7} {:<7} {:<8} {:<8} {:<7} {:<9.0} {:<8.2} {:<12.0} {:.0}",
            large.nodes,
            large.pods,
            large.services,
            large.policies,
            format.extension(),
            figure("bytes"),
            figure("load"),
            figure("resident") / 1e6,
            figure("peak") / 1e6,
        );
        report.add("bytes a Pod", figure("bytes"), "", Target::AtMost(MANIFEST_AT_MOST));
        report.add("seconds to load", figure("load"), "", Target::AtMost(LOAD_AT_MOST));
        report.add("bytes of memory", figure("peak"), "", Target::AtMost(MEMORY_AT_MOST));
        last = figures;
    }
    println!("\npods    policies  asked                   median, us  p99, us   again, us");
    let small = [large.pods / 100, large.pods / 10].map(Size::of_pods);
    let small = small.map(|size| measure(size, Format::Json).map(|figures| (size, figures)));
    let changed = last["times"]["change a Pod"]["median"]
        .as_f64()
        .unwrap_or(f64::INFINITY);
    let mut medians = Vec::new();
    for (size, figures) in small
        .into_iter()
        .chain([Ok((large, last))])
        .collect::<Result<Vec<_>, _>>()?
    {
        medians.push(print_times(size, &figures));
    }
    for many in [4, 16] {
        let size = Size::of_pods(large.pods / 10);
        let size = Size {
            policies: size.policies * many,
            ..size
        };
        print_times(size, &measure(size, Format::Json)?);
    }
    println!();
    let [[_, small], .., [median, large]] = medians[..] else {
        return Err("nothing was measured".into());
    };
    let grown = large / small;
    report.add("us to predict, median", median, "", Target::AtMost(PREDICTION_AT_MOST));
    report.add(
        "us to change a Pod, median",
        changed,
        "",
        Target::AtMost(CHANGE_AT_MOST),
    );
    report.add(
        "times the prediction among a hundredth of the Pods",
        grown,
        "",
        Target::AtMost(GROWTH_AT_MOST),
    );
    Ok(report.finish())
}

/// The slowest medians of all kinds of predictions (nothing else is asked for again): asked for once, and again.
fn print_times(size: Size, figures: &Value) -> [f64; 2] {
    let mut slowest: [f64; 2] = [0.0; 2];
    for (name, times) in figures["times"].as_object().into_iter().flatten() {
        let time = |figure: &str| times[figure].as_f64().unwrap_or(0.0);
        println!(
            "{:<7} {:<9} {:<23} {:<11.2} {:<9.2} {:.2}",
            size.pods,
            size.policies,
            name,
            time("median"),
            time("p99"),
            time("again")
        );
        if time("again") > 0.0 {
            slowest = [slowest[0].max(time("median")), slowest[1].max(time("again"))];
        }
    }
    slowest
}

/// What a process of its own finds out about a cluster of this size.
fn measure(size: Size, format: Format) -> Result<Value, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let manifests = Manifests { size, seed: SEED };
    let bytes = manifests.write(format, folder.path())?;
    let output = Command::new(std::env::current_exe()?)
        .arg("--load")
        .arg(folder.path())
        .args([size.pods.to_string(), size.policies.to_string()])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let mut figures: Value = serde_json::from_slice(&output.stdout)?;
    figures["bytes"] = json!(bytes as f64 / f64::from(size.pods));
    Ok(figures)
}

fn load(folder: &Path, pods: &str, policies: &str) -> Result<Value, Box<dyn Error>> {
    let size = Size {
        policies: policies.parse()?,
        ..Size::of_pods(pods.parse()?)
    };
    let start = Instant::now();
    let mut cluster = Cluster::from_paths([folder])?;
    let time = start.elapsed();
    let memory = Memory::now().ok_or("the system doesn't tell how much memory is used")?;
    let questions = Questions::new(&Manifests { size, seed: SEED }, &cluster, QUESTIONS)?;
    let microseconds = |time: Duration| time.as_secs_f64() * 1e6;
    let mut times = serde_json::Map::new();
    for (ends, [first, again]) in questions.ask(&cluster) {
        let [median, p99] = [first.median(), first.at_most(99)].map(microseconds);
        let again = microseconds(again.median());
        times.insert(
            ends.name().to_owned(),
            json!({"median": median, "p99": p99, "again": again}),
        );
    }
    let decided = questions.decide(&cluster).ok_or("a Pod isn't there")?;
    let [median, p99] = [decided.median(), decided.at_most(99)].map(microseconds);
    times.insert("policies alone".to_owned(), json!({"median": median, "p99": p99}));
    changes(&mut cluster, &mut times)?;
    Ok(json!({
        "load": time.as_secs_f64(),
        "resident": memory.resident,
        "peak": memory.peak,
        "times": times,
    }))
}

/// How long it takes to take objects out and to put them back, a hundred of each kind from all over the cluster.
fn changes(cluster: &mut Cluster, times: &mut serde_json::Map<String, Value>) -> Result<(), Box<dyn Error>> {
    let policies = cluster.policies();
    let kinds: [(&str, Vec<Object>); 4] = [
        ("change a Pod", some(cluster.pod_objects().cloned())),
        ("change a Service", some(cluster.service_objects().cloned())),
        (
            "change a NetworkPolicy",
            some(policies.policies().map(|policy| (**policy).clone())),
        ),
        (
            "change one of Antrea's",
            some(policies.antrea_policies().map(|policy| (**policy).clone())),
        ),
    ];
    for (name, objects) in kinds.into_iter().filter(|(_, objects)| !objects.is_empty()) {
        let mut measured = Vec::new();
        for object in objects {
            let reference = object.reference();
            for change in [None, Some(object)] {
                let start = Instant::now();
                match change {
                    None => cluster.remove(&reference)?,
                    Some(object) => cluster.put(object)?,
                }
                measured.push(start.elapsed());
            }
        }
        let measured = Times::new(measured);
        let [median, p99] = [measured.median(), measured.at_most(99)].map(|time| time.as_secs_f64() * 1e6);
        times.insert(name.to_owned(), json!({"median": median, "p99": p99}));
    }
    Ok(())
}

fn some<T: Into<Object>>(objects: impl Iterator<Item = T>) -> Vec<Object> {
    let objects: Vec<T> = objects.collect();
    let step = (objects.len() / 100).max(1);
    objects.into_iter().step_by(step).map(Into::into).collect()
}
