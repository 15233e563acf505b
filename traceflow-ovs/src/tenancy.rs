//! Which tracers are at work on some switches, so that a newcomer doesn't take another's place.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use crate::address::Address;
use crate::channel::{Channel, Opening};
use crate::instance::{Instance, LAST_INSTANCE};

/// A switch that doesn't answer by then is not waited for; whoever traces there will be told.
const PATIENCE: Duration = Duration::from_secs(1);

/// A tracer that none of the switches at these addresses has flows of, at random; `None` if all are at work there, or
/// have died within the last minute.
///
/// Who runs as a service has a number of its own instead, and sweeps what its last life left. Needs a runtime with time
/// and I/O enabled.
pub async fn free_instance(addresses: &[Address]) -> Option<Instance> {
    let taken = join_all(addresses.iter().map(tracers)).await;
    let taken: BTreeSet<u8> = taken.into_iter().flatten().collect();
    let free: Vec<u8> = (0..=LAST_INSTANCE).filter(|number| !taken.contains(number)).collect();
    fastrand::choice(free).map(Instance::new)
}

/// The numbers of the tracers that have flows on this switch.
async fn tracers(address: &Address) -> BTreeSet<u8> {
    let (cookie, mask) = Instance::every_cookie();
    let asked = async { Channel::open(Opening::of_a_moment(address)).flows(cookie, mask).await };
    match timeout(PATIENCE, asked).await {
        Ok(Ok(flows)) => flows.iter().map(|flow| Instance::number_in(flow.cookie)).collect(),
        Ok(Err(_)) | Err(_) => BTreeSet::new(),
    }
}
