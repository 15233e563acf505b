//! What traceflow's hot paths cost beside their peers.
//!
//! The lists of [`COMPARISONS`] and [`LIMITS`] are all there is to know: the `ratios` program prints them as tables
//! measured in one run, and the criterion bench measures the same operations with statistics. A new operation is a
//! static [`Operation`] and a line in one of those lists.

pub mod callgrind;
pub mod matrix;
pub mod measure;
pub mod openflow;
pub mod report;
pub mod scale;
pub mod tracers;
pub mod traces;

mod control;
mod ours;
mod ovn;
mod peers;
mod predictions;
mod sample;

use peers::{etherparse, memcpy, pnet, smoltcp};

/// Something that can be done many times over, to see what it costs.
#[derive(Debug)]
pub struct Operation {
    /// Who does what, as the tables print it.
    pub name: &'static str,
    /// Makes ready what isn't measured, and gives back what does it as many times as it is told.
    pub prepare: fn() -> Rounds,
}

/// Does an operation as many times as it is told. The loop is inside, so that no call through a pointer is measured.
pub type Rounds = Box<dyn FnMut(u64)>;

/// One of our operations beside a peer's that gives the same result.
#[derive(Debug)]
pub struct Comparison {
    /// Ours.
    pub ours: &'static Operation,
    /// The peer's.
    pub peer: &'static Operation,
    /// How many times the peer's time ours may take, where the project has set itself a target.
    pub at_most: Option<f64>,
}

/// One of our operations that has no peer, beside what it may take.
#[derive(Debug)]
pub struct Limit {
    /// The operation.
    pub operation: &'static Operation,
    /// How many nanoseconds it may take.
    pub at_most: f64,
}

/// Every comparison, in the order of the table.
pub static COMPARISONS: &[Comparison] = &[
    against(&ours::PATCH_TCP, &memcpy::TCP, Some(3.0)),
    against(&ours::PATCH_TCP, &memcpy::TCP_CALLED, Some(3.0)),
    against(&ours::PATCH_UDP6, &memcpy::UDP6, Some(3.0)),
    against(&ours::PATCH_SCTP, &memcpy::SCTP, Some(3.0)),
    against(&ours::PATCH_TCP, &smoltcp::EMIT_TCP, Some(1.0 / 3.0)),
    against(&ours::PATCH_UDP6, &smoltcp::EMIT_UDP6, Some(1.0 / 3.0)),
    against(&ours::BUILD_TCP, &etherparse::BUILD_TCP, Some(1.0)),
    against(&ours::BUILD_UDP6, &etherparse::BUILD_UDP6, Some(1.0)),
    against(&ours::BUILD_TCP, &etherparse::HEADERS_TCP, Some(1.0)),
    against(&ours::BUILD_TCP, &pnet::BUILD_TCP, Some(1.0)),
    against(&ours::BUILD_TCP, &smoltcp::EMIT_TCP, None),
    against(&ours::BUILD_UDP6, &smoltcp::EMIT_UDP6, None),
    against(&ours::READ_TCP, &etherparse::LAX_TCP, None),
    against(&ours::READ_TCP, &etherparse::STRICT_TCP, None),
    against(&ours::READ_TCP, &smoltcp::READ_TCP, None),
    against(&ours::READ_TCP, &pnet::READ_TCP, None),
    against(&openflow::FLOW_MOD, &openflow::FLOW_MOD_SLICES, None),
    against(&openflow::FLOW_MOD_FRESH, &openflow::FLOW_MOD_SLICES, None),
    against(&openflow::PACKET_OUT, &openflow::PACKET_OUT_COPIED, None),
    against(&openflow::PACKET_IN_VIEW, &openflow::PACKET_IN_SLICES, None),
    against(&openflow::PACKET_IN_VIEW, &openflow::PACKET_IN_OWNED, Some(1.0)),
];

/// Every operation that has a limit instead of a peer.
pub static LIMITS: &[Limit] = &[
    below_2_microseconds(&predictions::TO_POD),
    below_2_microseconds(&predictions::TO_OTHER_NODE),
    below_2_microseconds(&predictions::TO_SERVICE),
];

const fn against(ours: &'static Operation, peer: &'static Operation, at_most: Option<f64>) -> Comparison {
    Comparison { ours, peer, at_most }
}

const fn below_2_microseconds(operation: &'static Operation) -> Limit {
    Limit {
        operation,
        at_most: 2_000.0,
    }
}

/// Every operation of both lists once, in their order.
pub fn operations() -> Vec<&'static Operation> {
    let mut operations: Vec<&'static Operation> = Vec::new();
    let compared = COMPARISONS
        .iter()
        .flat_map(|comparison| [comparison.ours, comparison.peer]);
    let limited = LIMITS.iter().map(|limit| limit.operation);
    for operation in compared.chain(limited) {
        if operations.iter().all(|known| known.name != operation.name) {
            operations.push(operation);
        }
    }
    operations
}
