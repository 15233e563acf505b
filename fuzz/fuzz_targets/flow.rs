//! Any text is read as a flow or refused with a column in it, and the order of a flow's items doesn't matter.

#![no_main]

use libfuzzer_sys::fuzz_target;
use traceflow_core::spec::PacketSpec;

fuzz_target!(|text: &str| {
    match text.parse::<PacketSpec>() {
        Ok(packet) => {
            let reversed: Vec<&str> = text.split(',').rev().collect();
            let again = reversed.join(" , ").parse::<PacketSpec>();
            assert_eq!(again.expect("the same items"), packet);
        }
        Err(mistake) => {
            let place = mistake.place().expect("the flow is a text");
            assert!(place.column as usize <= text.chars().count() + 1);
            let _ = (mistake.to_string(), mistake.excerpt());
        }
    }
});
