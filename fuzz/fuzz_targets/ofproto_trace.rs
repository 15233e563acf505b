//! Any text is read as a trace of ofproto/trace and shown, in time that grows no faster than the text, and no terminal
//! is told what to do.

#![no_main]

use libfuzzer_sys::fuzz_target;
use traceflow_ovs::ofproto_trace::{Caveat, Ending, Trace};

fuzz_target!(|text: &str| {
    let trace = Trace::read(text);
    let stops = trace.caveats().into_iter().any(|caveat| caveat != Caveat::AssumedConntrack);
    if let Ending::Dropped { pass, visit } = trace.ending() {
        assert!(!stops, "a trace that stops before the packet does isn't a drop");
        assert!(visit.is_none_or(|visit| visit < trace.passes[pass].visits.len()));
    }
    let table = trace.table(text.len() % 130, |_, number| Some(number.to_string()));
    assert!(table.chars().all(|character| character == '\n' || !character.is_control()));
});
