//! The benches on real switches, for a moment: they work, and print what they found.

use std::process::Command;

#[test]
fn the_bench_of_traces_prints_every_scenario() {
    let output = Command::new(env!("CARGO_BIN_EXE_traces"))
        .arg("--quick")
        .output()
        .unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    // A target that is missed is no failure here: this isn't a release build, nor a quiet machine.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{table}\n{said}");
    for scenario in benches::traces::SCENARIOS {
        let lines: Vec<&str> = table.lines().filter(|line| line.starts_with(scenario.name)).collect();
        let (beside, measured): (Vec<&str>, Vec<&str>) = lines.into_iter().partition(|line| line.contains(" times "));
        assert_eq!((measured.len(), beside.len()), (6, 4), "{table}");
    }
}

#[test]
fn the_bench_of_tracers_prints_every_scenario_and_writes_json() {
    let folder = tempfile::tempdir().unwrap();
    let figures = folder.path().join("figures.json");
    let output = Command::new(env!("CARGO_BIN_EXE_tracers"))
        .args(["--quick", "--json"])
        .arg(&figures)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{said}");
    let figures: serde_json::Value = serde_json::from_slice(&std::fs::read(figures).unwrap()).unwrap();
    let ratios: Vec<f64> = figures["figures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|figure| figure["ratio"].as_f64().unwrap())
        .collect();
    // And two beside ovn-trace, where that is installed.
    let expected = 3 * benches::traces::SCENARIOS.len();
    assert!([expected, expected + 2].contains(&ratios.len()), "{ratios:?}");
    assert!(
        ratios.iter().all(|ratio| ratio.is_finite() && *ratio > 0.0),
        "{ratios:?}"
    );
}
