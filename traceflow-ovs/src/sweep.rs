//! Cleaning up after tracers that died.

use std::cmp::Reverse;

use traceflow_core::datapath::DatapathError;
use traceflow_openflow::message::Message;

use crate::address::Address;
use crate::channel::{Channel, Opening};
use crate::instance::Instance;
use crate::switch::delete;
use crate::watch;

/// Takes away the flows of all tracers from the switch at this address, whatever their numbers, and returns them as
/// text without counters. Everybody else's flows stay as they are. Needs a runtime with time and I/O enabled.
///
/// A tracer that is alive loses its flows, too. Those of a dead one would go by themselves within a minute.
///
/// # Errors
/// [`DatapathError::Unavailable`] if the switch can't be reached, [`DatapathError::Refused`] if it refuses.
pub async fn sweep(address: &Address) -> Result<Vec<String>, DatapathError> {
    let channel = Channel::open(Opening::of_a_moment(address));
    let (cookie, mask) = Instance::every_cookie();
    let mut flows = channel.flows(cookie, mask).await?;
    if flows.is_empty() {
        return Ok(Vec::new());
    }
    channel.perform(vec![Message::FlowMod(delete(cookie, mask))]).await?;
    flows.sort_by_cached_key(|flow| (flow.table, Reverse(flow.priority), watch::text(flow)));
    Ok(flows.iter().map(watch::text).collect())
}
