//! What probes leave behind on the switch, and what the switch has shown and nobody heard.

use traceflow_core::datapath::{DatapathError, Report};
use traceflow_openflow::message::{FlowEntry, Message};

use super::Switch;
use crate::losses::shown;

/// What an injected probe leaves behind.
pub(crate) struct Left {
    /// What has the switch forget it.
    pub(crate) messages: Vec<Message>,
    /// The packet was not seen here; it may be that what the switch said of it never came.
    pub(crate) silent: bool,
}

impl Switch {
    pub(crate) async fn clean_up(&self, left: Left) -> Result<(), DatapathError> {
        self.flights.owe(&left.messages);
        self.channel.up().await?;
        self.channel.post(left.messages.clone())?;
        if left.silent {
            self.find_losses().await?;
        } else {
            self.channel.perform(Vec::new()).await?;
        }
        self.flights.pay(&left.messages);
        Ok(())
    }

    pub(crate) async fn find_losses(&self) -> Result<(), DatapathError> {
        let flows = self.channel.flows(self.instance().cookie(), u64::MAX).await?;
        match self.lost_of(&flows).await? {
            0 => {}
            count => self.report(&Report::Lost { count }),
        }
        Ok(())
    }

    pub(super) async fn lost_of(&self, flows: &[FlowEntry]) -> Result<u64, DatapathError> {
        // What is counted already may still be on its way; it comes before this has an answer.
        self.channel.perform(Vec::new()).await?;
        Ok(self.losses.find(shown(flows)))
    }
}
