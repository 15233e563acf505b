//! Prints how often each operation allocates: `cargo run --release --manifest-path benches/rovs/Cargo.toml --bin allocations`.
//! A process of its own, for counting takes time.

use benches::Operation;
use benches::openflow::{FLOW_MOD, FLOW_MOD_FRESH, PACKET_IN_OWNED, PACKET_IN_VIEW, PACKET_OUT};

const TIMES: u64 = 1_000;

fn main() {
    let operations: [&Operation; 8] = [
        &FLOW_MOD,
        &FLOW_MOD_FRESH,
        &rovs_peer::FLOW_MOD,
        &PACKET_OUT,
        &PACKET_IN_VIEW,
        &PACKET_IN_OWNED,
        &rovs_peer::PACKET_IN_OURS,
        &rovs_peer::PACKET_IN,
    ];
    for operation in operations {
        let mut rounds = (operation.prepare)();
        rounds(1);
        let counted = allocation_counter::measure(|| rounds(TIMES));
        println!(
            "{:<58} {:>6.1} allocations",
            operation.name,
            counted.count_total as f64 / TIMES as f64
        );
    }
}
