//! Traces under events in hostile order: whatever comes, every trace gets one answer and nothing is left behind.

#![no_main]

use libfuzzer_sys::fuzz_target;

// The tests of the session use all of it; this target only what a random walk needs.
#[allow(dead_code)]
#[path = "../../traceflow-core/tests/traces/support.rs"]
mod support;
#[path = "../../traceflow-core/tests/traces/world.rs"]
mod world;

fuzz_target!(|bytes: &[u8]| {
    if let Some((&setting, schedule)) = bytes.split_first() {
        world::run(setting, schedule.as_chunks().0);
    }
});
