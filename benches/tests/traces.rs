//! The bench of traces on real switches, for a moment: it works, and prints its table.

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
        let lines = table.lines().filter(|line| line.starts_with(scenario.name));
        assert_eq!(lines.count(), 6, "{table}");
    }
}
