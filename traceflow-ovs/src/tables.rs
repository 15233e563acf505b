//! What a switch says about its tables.

use std::collections::BTreeMap;

use traceflow_core::datapath::DatapathError;

use crate::address::Address;
use crate::channel::{Channel, Opening};

/// The names of the tables of the switch at this address, by number. Needs a runtime with time and I/O enabled.
///
/// # Errors
/// [`DatapathError::Unavailable`] if the switch can't be reached, [`DatapathError::Refused`] if it refuses.
pub async fn table_names(address: &Address) -> Result<BTreeMap<u8, String>, DatapathError> {
    Channel::open(Opening::of_a_moment(address)).tables().await
}
