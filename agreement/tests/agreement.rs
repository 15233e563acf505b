//! All tellers agree about a few thousand random cases, and about every case that once showed a disagreement.

use std::process::Command;

use agreement::Case;
use agreement::run::{Settings, run, start, tell};
use agreement::tally::Teller;
use traceflow_core::trace::Predictor;

/// Whether there are real switches to test with; says so if not.
fn switches_are_installed() -> bool {
    let installed = Command::new("ovs-vswitchd").arg("--version").output().is_ok();
    if !installed {
        println!("skipped: ovs-vswitchd isn't installed (Debian: openvswitch-switch)");
    }
    installed
}

/// How many; `TRACEFLOW_AGREEMENT` says otherwise.
const CASES: usize = 3000;

#[tokio::test(flavor = "multi_thread")]
async fn all_tell_the_same_about_random_packets_in_random_clusters() {
    if !switches_are_installed() {
        return;
    }
    let cases = std::env::var("TRACEFLOW_AGREEMENT").map_or(CASES, |text| text.parse().unwrap());
    let settings = Settings {
        cases,
        seed: 1,
        real_traffic: false,
    };
    let report = run(settings, |_| {}).await.unwrap();
    println!("{}", report.tally);
    let texts: Vec<&str> = report.disagreements.iter().map(|found| &*found.text).collect();
    assert_eq!(texts, [""; 0]);
    assert_eq!((report.tally.disagreements(), report.leftovers.len()), (0, 0));
    for teller in [Teller::Simulation, Teller::Injection, Teller::Tables] {
        let agreed = report.tally.agreements((Teller::Prediction, teller));
        assert!(agreed > cases * 3 / 4, "{teller} was compared {agreed} times only");
    }
    for end in ["to a Pod", "by the gateway", "dropped by a rule", "rejected by a rule"] {
        assert!(report.tally.ended(end) > 0, "no packet ended {end}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_once_showed_a_disagreement_shows_none() {
    if !switches_are_installed() {
        return;
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/regressions");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .collect();
    files.sort();
    for file in &files {
        let (case, expected) = Case::read(&std::fs::read_to_string(file).unwrap()).unwrap();
        let cluster = case.objects.cluster(0).unwrap();
        let plan = case.packet.plan(&cluster).unwrap();
        let predicted = cluster.predict(&plan).unwrap().verdict.to_string();
        assert_eq!(predicted, expected, "{}", file.display());
        let world = start(&case.objects, false).unwrap();
        let told = tell(&world, &case.objects, &[case.packet], false).await.unwrap();
        let tellings = told.into_iter().next().unwrap().unwrap();
        assert!(!tellings.disagree(), "{}\n{}", file.display(), tellings.text());
        assert_eq!(world.end().await.unwrap(), Vec::<String>::new());
    }
    println!("{} cases", files.len());
}
