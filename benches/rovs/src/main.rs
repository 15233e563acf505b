//! Prints what our OpenFlow messages cost beside rovs-openflow's, measured in one run:
//! `cargo run --release --manifest-path benches/rovs/Cargo.toml [-- --json FILE]`.
//!
//! Exit status 1 if a target is missed, 2 if the figures can't be written.

use std::process::ExitCode;

use benches::measure::measure;
use benches::report::Report;
use rovs_peer::COMPARISONS;

fn main() -> ExitCode {
    let mut report = Report::new("openflow beside rovs-openflow");
    for comparison in COMPARISONS {
        let times = measure(&[comparison.ours, comparison.peer]);
        report.add_comparison(comparison, times[0].0, times[1].0);
    }
    report.finish()
}
