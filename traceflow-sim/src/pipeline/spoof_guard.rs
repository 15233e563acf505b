//! Stops packets that claim another sender's address.

use std::ops::ControlFlow;

use traceflow_core::observation::{Action, Component, DropReason, Observation};

use super::{Arrival, Outcome, Passage};

/// A Pod may send from its own IP and MAC addresses only. What comes in by the gateway was checked by the node.
pub(super) fn check_source(passage: &mut Passage<'_>) -> ControlFlow<Outcome> {
    let mut seen = Observation::new(Component::SpoofGuard, Action::Forwarded);
    match passage.entering.arrival {
        Arrival::Peer => return ControlFlow::Continue(()),
        Arrival::Pod { pod, mac } => {
            let sender = passage.cluster.pod_record(pod);
            let own_mac = mac.is_none() || mac == sender.mac;
            if !own_mac || !sender.pod.addresses.contains(&passage.packet.source) {
                return passage.drop_at(Component::SpoofGuard, DropReason::SpoofedSource);
            }
            seen.src_pod_ip = Some(passage.packet.source);
        }
        Arrival::Gateway => {}
    }
    passage.observe(seen);
    ControlFlow::Continue(())
}
